"""The dictionary against its documented hash, Fig. 3's statistics and Theorem 1's orthogonality."""

import math

import pytest
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.dictionary import make_dictionary, pack_dictionary, temperature


def hash_bit(seed, i, j):
    """Bit (i, j) from the module's description, in plain integers."""

    def mix(x):
        x ^= x >> 16
        x = x * 0x7FEB352D % 2**32
        x ^= x >> 15
        x = x * 0x846CA68B % 2**32
        return x ^ x >> 16

    a = mix(i // 32 ^ mix(seed))
    b = mix((a + 0x9E3779B9) % 2**32)
    return mix(mix((j + a) % 2**32) ^ b) >> i % 32 & 1


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_entries_are_the_documented_hash(seed):
    w = make_dictionary(70, 33, seed=seed)
    assert w.dtype == torch.int8
    assert w.tolist() == [[2 * hash_bit(seed, i, j) - 1 for j in range(33)] for i in range(70)]


def test_any_tile_is_the_same():
    w = make_dictionary(130, 40_000)
    assert torch.equal(make_dictionary(50, 20_001), w[:50, :20_001])
    assert not torch.equal(make_dictionary(130, 100, seed=1), w[:, :100])


@pytest.mark.parametrize("f", [50, 100])
@pytest.mark.parametrize("c", [100, 1000, 3000])
def test_codes_are_quasi_orthogonal_as_in_figure_3(f, c):
    """Cosines of different codes: mean 0, variance 1/f, for any c (Eq. 5); bands of five standard errors."""
    w = make_dictionary(f, c, seed=3).double()
    cosines = w.T @ w / f
    assert (cosines.diagonal() == 1).all()
    upper = cosines[torch.triu(torch.ones(c, c, dtype=torch.bool), 1)]
    pairs = len(upper)
    assert abs(upper.mean()) < 5 / math.sqrt(f * pairs)
    # variance of a squared cosine is (2 - 2/f) / f^2; squares of different pairs are uncorrelated
    assert abs(upper.square().mean() - 1 / f) < 5 * math.sqrt((2 - 2 / f) / f**2 / pairs)


def test_rows_and_word_borders_are_fair():
    w = make_dictionary(256, 8192, seed=11).double()
    assert w.mean(dim=1).abs().max() < 5 / math.sqrt(8192)
    rows = w @ w.T / 8192
    assert (rows - torch.eye(256, dtype=torch.float64)).abs().max() < 6 / math.sqrt(8192)


@pytest.mark.parametrize("f, c", [(1, 1), (2, 2), (64, 64), (128, 100)])
def test_hadamard_is_orthogonal(f, c):
    w = make_dictionary(f, c, kind="hadamard", seed=5).int()
    assert torch.equal(w.T @ w, f * torch.eye(c, dtype=torch.int32))
    assert set(w.unique().tolist()) <= {-1, 1}


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(f=0, c=4), "at least 1"),
        (dict(f=4, c=0), "at least 1"),
        (dict(f=4, c=8, kind="hadamard"), "no more codes"),
        (dict(f=12, c=8, kind="hadamard"), "power of two"),
        (dict(f=4, c=4, kind="rademacer"), "did you mean 'rademacher'"),
        (dict(f=4, c=4, seed=-1), "seed = -1"),
        (dict(f=4, c=4, seed=2**32), "seed = 4294967296: must be in 0 ... 4294967295"),
        (dict(f=4, c=5, kind="hadamard"), "no more codes"),
    ],
)
def test_bad_dictionaries(arguments, words):
    with pytest.raises(InputError, match=words):
        make_dictionary(**arguments)


def test_temperature_gives_lemma_1_assignments():
    """An embedding equal to an orthogonal code, scaled as in Eq. 1, has p = 1 - eps (c - 1) there and eps elsewhere."""
    f, n, c, eps = 32, 10, 32, 1e-3
    w = make_dictionary(f, c, kind="hadamard").double()
    h = w[:, 4] / math.sqrt(n)
    p = torch.softmax(h @ w / temperature(f, n, c, eps), dim=0)
    expected = torch.full((c,), eps, dtype=torch.float64)
    expected[4] = 1 - eps * (c - 1)
    torch.testing.assert_close(p, expected, rtol=1e-12, atol=0)


def test_a_seed_that_is_not_said_is_0():
    for f, c, kind in ((40, 3, "rademacher"), (4, 3, "hadamard")):
        assert torch.equal(make_dictionary(f, c, kind=kind), make_dictionary(f, c, kind=kind, seed=0))
        assert not torch.equal(make_dictionary(f, c, kind=kind), make_dictionary(f, c, kind=kind, seed=1))
        assert torch.equal(pack_dictionary(f, c, kind=kind), pack_dictionary(f, c, kind=kind, seed=0))


def test_released_temperature():
    """About 13.9 at n = 64, f = 2048 and 16,384 codes."""
    assert temperature(2048, 64, 16384, 1e-8) == pytest.approx(13.9, abs=0.05)


@pytest.mark.parametrize(
    "f, n, c, eps", [(0, 4, 4, 1e-8), (4, 0, 4, 1e-8), (4, 4, 0, 1e-8), (4, 4, 10, 0.1), (4, 4, 4, 0)]
)
def test_bad_temperatures(f, n, c, eps):
    with pytest.raises(InputError):
        temperature(f, n, c, eps)
