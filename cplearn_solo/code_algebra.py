"""Arithmetic with codes of f bits, packed as ``cplearn embed --space bits`` writes them.

They are binary spatter codes (Kanerva, 1996): CPLearn's multiply-add-permute codes of +-1 (Section 3.3) as bits, except
that a product has the opposite sign. The paper leaves their algebra to future work. Codes are bound, bundled and
permuted to codes of the same length, and the parts are recovered by a search in a memory of known codes.

A code is uint8 ``(ceil(f / 8),)``. Its first bit is the highest bit of the first byte; bits beyond f are 0 and stay 0.
All functions work along the last dimension.

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
    """Exclusive or: a code that is similar to neither; binding it to one of the two gives the other.

    Commutative, associative and its own inverse. Binding two codes to a third one does not change their distance.
    """
    return a ^ b


def bundle(codes: Codes) -> Codes:
    """The majority of each bit of codes ``(m, ..., bytes)``: one code ``(..., bytes)`` that is similar to each of them.

    In a tie, bit i comes from code i % m, so that two codes have equal shares. Raises ``InputError`` for no code.
    """
    require(len(codes) > 0, "codes", len(codes), "at least 1 code")
    bits = np.moveaxis(np.unpackbits(codes, axis=-1), 0, -1)
    votes, place = 2 * bits.sum(axis=-1, dtype=np.int64), np.arange(bits.shape[-2])
    in_turn = bits[..., place, place % len(codes)]
    return np.packbits(np.where(votes == len(codes), in_turn, votes > len(codes)), axis=-1)


def permute(codes: Codes, f: int, shift: int = 1) -> Codes:
    """The ``f`` bits of each code rotated by ``shift`` places, to encode order; distances do not change.

    Raises ``InputError`` unless codes of ``f`` bits have this number of bytes.
    """
    require(0 < f <= 8 * codes.shape[-1] < f + 8, "f", f, f"the bits of codes of {codes.shape[-1]} bytes")
    bits = np.unpackbits(codes, axis=-1, count=f)
    return np.packbits(np.roll(bits, shift, axis=-1), axis=-1)


def distances(a: Codes, b: Codes) -> np.ndarray:
    """Hamming distances ``(n, m)`` between codes ``(n, bytes)`` and ``(m, bytes)``; holds ``(n, m, bytes)``."""
    return _ONES[a[:, None] ^ b[None]].sum(axis=-1, dtype=np.int64)


def clean_up(codes: Codes, memory: Codes) -> np.ndarray:
    """Index ``(n,)`` of the code in ``memory`` ``(m, bytes)`` nearest to each of ``codes`` ``(n, bytes)``, the first in
    a tie."""
    return distances(codes, memory).argmin(axis=1)
