"""Arithmetic with codes of f bits, packed as ``cplearn embed --space bits`` writes them.

Binary spatter codes (Kanerva, 1996), which are CPLearn's multiply-add-permute codes of +-1 (Section 3.3) as bits, but
for the sign of a product; the paper leaves their algebra to future work. Codes are bound, bundled and permuted to codes
of the same length, and what was put together is found again in a memory of the codes that there are.

A code is uint8 ``(ceil(f / 8),)``, its first bit the highest of the first byte; bits beyond f are 0 and stay so.
Everything works along the last dimension.

>>> cat, dog = np.array([[0b10110000], [0b01101000]], np.uint8)
>>> unbound = bind(bind(cat, dog), dog)
>>> int(clean_up(unbound[None], np.stack([dog, cat]))[0])
1
"""

from __future__ import annotations

import numpy as np

from cplearn_solo.core.errors import require

Codes = np.ndarray
_ONES = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


def bind(a: Codes, b: Codes) -> Codes:
    """A code that is like neither, from which either gives the other back: exclusive or.

    Commutative, associative and its own inverse; distances between codes that are bound to the same one stay.
    """
    return a ^ b


def bundle(codes: Codes) -> Codes:
    """Of codes ``(m, ..., bytes)`` the one that is like each of them: the majority of each bit.

    Where there is a tie, the bit is that of one code after the other, so that two codes have equal shares. Raises
    ``InputError`` for no code.
    """
    require(len(codes) > 0, "codes", len(codes), "at least 1 code")
    bits = np.moveaxis(np.unpackbits(codes, axis=-1), 0, -1)
    votes, place = 2 * bits.sum(axis=-1, dtype=np.int64), np.arange(bits.shape[-2])
    in_turn = bits[..., place, place % len(codes)]
    return np.packbits(np.where(votes == len(codes), in_turn, votes > len(codes)), axis=-1)


def permute(codes: Codes, f: int, shift: int = 1) -> Codes:
    """The bits of each code, of ``f``, moved on by ``shift`` in a circle, for order: distances stay.

    Raises ``InputError`` for an ``f`` that is not that of the codes' bytes.
    """
    require(0 < f <= 8 * codes.shape[-1] < f + 8, "f", f, f"the bits of codes of {codes.shape[-1]} bytes")
    bits = np.unpackbits(codes, axis=-1, count=f)
    return np.packbits(np.roll(bits, shift, axis=-1), axis=-1)


def distances(a: Codes, b: Codes) -> np.ndarray:
    """Hamming distances ``(n, m)`` between codes ``(n, bytes)`` and ``(m, bytes)``; holds n m bytes."""
    return _ONES[a[:, None] ^ b[None]].sum(axis=-1, dtype=np.int64)


def clean_up(codes: Codes, memory: Codes) -> np.ndarray:
    """Which code of ``memory`` ``(m, bytes)`` is nearest to each of ``codes`` ``(n, bytes)``, the first of equals."""
    return distances(codes, memory).argmin(axis=1)
