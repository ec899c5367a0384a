"""How close CPLearn's embeddings are to the optimum of its theory (Theorem 1, Corollaries 2 and 3).

``embeddings`` H ``(n, f)`` at the scale of Eq. 1, rows of length sqrt(f / n); every function raises ``InputError`` for
bad input.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.checks import check_features, check_ids, check_length


@torch.no_grad()
def code_alignment(embeddings: Any, dictionary: Any, codes: Any) -> float:
    """Mean cosine between each embedding and its code, 1 at the optimum.

    ``dictionary`` W ``(f, c)``; ``codes`` ``(n,)``, the column each sample is assigned to.
    """
    h, w = check_features("embeddings", embeddings).double(), check_features("dictionary", dictionary).double()
    check_length("dictionary", w, h.shape[1], "dimension of the embeddings")
    codes = _codes(codes, len(h), w.shape[1])
    return F.cosine_similarity(h, w[:, codes].T).mean().item()


@torch.no_grad()
def orthonormality_gap(embeddings: Any) -> float:
    """||H^T H - I|| / ||I|| in the Frobenius norm: 0 if all dimensions are used alike and decorrelated (Cor. 2)."""
    h = check_features("embeddings", embeddings).double()
    f = h.shape[1]
    return ((h.T @ h - torch.eye(f).to(h)).norm() / f**0.5).item()


@torch.no_grad()
def block_gap(embeddings: Any, codes: Any) -> float:
    """Share of the squared entries of H H^T that lie between samples of different codes, from 0 (block-diagonal,
    Cor. 3) to 1. Raises ``InputError`` for embeddings that are all zero."""
    h = check_features("embeddings", embeddings).double()
    codes = _codes(codes, len(h), None)
    # ||A B^T||^2 = <A^T A, B^T B>: never forms the (n, n) matrix
    total = (h.T @ h).square().sum().item()
    if not total:
        raise InputError("embeddings are all zero: they have no direction")
    within = sum((part.T @ part).square().sum().item() for part in (h[codes == k] for k in codes.unique()))
    return max(0.0, 1 - within / total)


def _codes(codes: Any, n: int, c: int | None) -> torch.Tensor:
    codes = check_ids("codes", codes, c)
    check_length("codes", codes, n, "sample")
    return codes
