from __future__ import annotations

import numpy as np
import pytest
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics import effective_rank

RNG = np.random.default_rng(0)


def reference(x: np.ndarray) -> float:
    s = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    p = s[s > 1e-9 * s.max()] / s.sum()
    return float(np.exp(-sum(q * np.log(q) for q in p)))


@pytest.mark.parametrize("shape", [(50, 8), (8, 50), (30, 30)])
def test_against_numpy(shape: tuple[int, int]) -> None:
    x = RNG.normal(size=shape) * RNG.random(shape[1])
    rank = effective_rank(x)
    assert rank == pytest.approx(reference(x))
    assert 1 < rank <= min(shape[0] - 1, shape[1])  # centring takes one direction when n <= d


def test_equal_directions_count_fully_and_the_mean_not_at_all() -> None:
    axes = torch.cat([torch.eye(6), -torch.eye(6)])[:, :4]
    assert effective_rank(axes) == pytest.approx(4)
    assert effective_rank(1000 + 7 * axes) == pytest.approx(4)


def test_rank_one() -> None:
    assert effective_rank(RNG.normal(size=(20, 1)) * RNG.normal(size=(1, 5))) == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64])
def test_constant_features_have_no_direction(dtype: torch.dtype) -> None:
    row = (10 * torch.rand(7, generator=torch.Generator().manual_seed(0))).to(dtype)
    assert effective_rank(row.expand(13, 7)) == 0.0
    assert effective_rank(row[None]) == 0.0
    assert effective_rank(torch.zeros(4, 3, dtype=dtype)) == 0.0


def test_rounding_noise_of_the_mean_is_no_direction() -> None:
    row = torch.tensor([0.1, 1 / 3, 1e6 / 7], dtype=torch.float64)
    x = row.expand(997, 3)
    assert (x - x.mean(dim=0)).any()  # constant, yet not zero after centring
    assert effective_rank(x) == 0.0


def test_small_variation_around_a_large_mean_counts() -> None:
    x = torch.full((10, 3), 100.0)
    x[::2, 0] += 1e-3
    assert effective_rank(x) == pytest.approx(1)


@pytest.mark.parametrize("bad", [[1.0, 2.0], torch.empty(0, 3), torch.empty(3, 0), [[float("inf")]], "features"])
def test_bad_input(bad) -> None:
    with pytest.raises(InputError, match="features.*: must be"):
        effective_rank(bad)
