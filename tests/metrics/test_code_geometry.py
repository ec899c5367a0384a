"""At the optimum of Theorem 1, away from it, and against the (n, n) matrix itself."""

import math

import numpy as np
import pytest
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.dictionary import make_dictionary
from cplearn_solo.metrics.code_geometry import block_gap, code_alignment, orthonormality_gap

F, N = 16, 64
W = make_dictionary(F, F, kind="hadamard").double()
CODES = torch.arange(N) // (N // F)
H = W[:, CODES].T / math.sqrt(N)


def test_the_optimum():
    assert code_alignment(H, W, CODES) == pytest.approx(1)
    assert orthonormality_gap(H) == pytest.approx(0, abs=1e-12) and block_gap(H, CODES) == pytest.approx(0, abs=1e-12)


def test_random_embeddings_against_numpy():
    h = np.random.default_rng(0).normal(size=(N, F))
    gram = h @ h.T
    between = CODES.numpy()[:, None] != CODES.numpy()[None]
    assert block_gap(h, CODES) == pytest.approx((gram**2 * between).sum() / (gram**2).sum(), rel=1e-9)
    assert orthonormality_gap(h) == pytest.approx(np.linalg.norm(h.T @ h - np.eye(F)) / 4, rel=1e-9)
    w = W.numpy()[:, CODES]
    cosines = (h.T * w).sum(0) / np.linalg.norm(h, axis=1) / np.linalg.norm(w, axis=0)
    assert code_alignment(h, W, CODES) == pytest.approx(cosines.mean(), rel=1e-9)


def test_one_point_and_one_code():
    point = H[:1].repeat(N, 1)
    assert orthonormality_gap(point) > 1
    assert block_gap(point, CODES) == pytest.approx(1 - 1 / F) and block_gap(point, torch.zeros_like(CODES)) == 0


def test_bad_input():
    with pytest.raises(InputError, match=r"codes.shape = \(3,\): must be \(64,\), one for each sample"):
        block_gap(H, CODES[:3])
    with pytest.raises(InputError, match=r"dictionary.shape = \(8, 16\): must be \(16, 16\), one for each dimension"):
        code_alignment(H, W[:8], CODES)
    with pytest.raises(InputError, match="all zero"):
        block_gap(torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64))
