"""The laws of an algebra of codes, on random ones."""

import numpy as np
import pytest

from cplearn_solo.code_algebra import bind, bundle, clean_up, distances, permute
from cplearn_solo.core.errors import InputError

F = 1003  # no whole number of bytes
RANDOM = np.random.default_rng(0)


def codes(n, f=F):
    """Random codes (n, bytes) and their bits (n, f)."""
    bits = RANDOM.integers(0, 2, (n, f), dtype=np.uint8)
    return np.packbits(bits, axis=1), bits


def bits_of(packed):
    assert not np.unpackbits(packed, axis=-1)[..., F:].any()  # no bit beyond
    return np.unpackbits(packed, axis=-1, count=F)


def test_binding():
    (a, b, c), bits = codes(3)
    assert (bits_of(bind(a, b)) == (bits[0] != bits[1])).all()
    assert (bind(a, b) == bind(b, a)).all() and (bind(bind(a, b), c) == bind(a, bind(b, c))).all()
    assert (bind(bind(a, b), b) == a).all() and not bind(a, a).any()
    assert distances(bind(a, c)[None], bind(b, c)[None]) == distances(a[None], b[None])
    assert 0.4 * F < distances(bind(a, b)[None], a[None]) < 0.6 * F  # like neither


@pytest.mark.parametrize("m", [1, 2, 5])
def test_bundling(m):
    some, bits = codes(m)
    together = bundle(some)
    ones = bits.sum(axis=0)
    wanted = np.where(2 * ones == m, [bits[j % m, j] for j in range(F)], 2 * ones > m)
    assert (bits_of(together) == wanted).all()
    other, _ = codes(1)
    assert distances(together[None], some).max() < 0.45 * F < distances(together[None], other)  # like each of them
    if m % 2:
        assert (bundle(some[::-1]) == together).all()
    assert (bundle(np.stack([some, some])) == some).all()  # batches, along the last dimension


def test_permuting():
    (a, b, c), bits = codes(3)
    assert (bits_of(permute(a, F)) == np.roll(bits[0], 1)).all()
    assert (permute(permute(a, F, 5), F, -5) == a).all() and (permute(a, F, F) == a).all()
    assert (permute(permute(a, F, 2), F, 3) == permute(a, F, 5)).all()
    assert (permute(bind(a, b), F) == bind(permute(a, F), permute(b, F))).all()
    assert (permute(bundle(np.stack([a, b, c])), F) == bundle(np.stack([permute(x, F) for x in (a, b, c)]))).all()
    several = np.stack([[a, b], [b, c]])  # batches, along the last dimension
    assert (permute(several, F) == [[permute(x, F) for x in row] for row in several]).all()
    assert distances(permute(a, F)[None], permute(b, F)[None]) == distances(a[None], b[None])
    assert 0.4 * F < distances(permute(a, F)[None], a[None]) < 0.6 * F
    for f in (900, 1000, 1009):
        with pytest.raises(InputError, match=f"f = {f}: must be the bits of codes of 126 bytes"):
            permute(a, f)
    for f in (1001, 1008):
        permute(a, f)
    assert permute(np.array([128, 0], np.uint8), 9).tolist() == [64, 0]


def test_a_memory_finds_what_was_bundled_and_bound():
    """A record of three roles with their fillers gives each filler back; noise in a fifth of the bits does no harm."""
    memory, _ = codes(200)
    roles, _ = codes(3)
    fillers = [17, 3, 120]
    record = bundle(np.stack([bind(role, memory[i]) for role, i in zip(roles, fillers)]))
    noise = np.packbits(RANDOM.random(F) < 0.2)
    for known in (record, bind(record, noise)):
        assert clean_up(bind(roles, known), memory).tolist() == fillers
    assert clean_up(memory[:4], np.concatenate([memory[:2], memory[:2]])).tolist()[:2] == [0, 1]  # the first of equals


def test_distances_are_those_of_bits():
    (a, x), (b, y) = codes(4), codes(5)
    assert distances(a, b).tolist() == (x[:, None] != y[None]).sum(axis=2).tolist()
    with pytest.raises(InputError, match="codes = 0: must be at least 1 code"):
        bundle(a[:0])
