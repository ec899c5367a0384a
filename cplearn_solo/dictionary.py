"""The frozen dictionary W in {-1, +1}^(f x c): stored as a seed and a shape, never as weights.

Entry (i, j) of a Rademacher dictionary is bit ``i % 32`` (0 is the lowest) of the 32-bit word ``(i // 32, j)``::

    a = mix(k ^ mix(seed))          k = i // 32, all arithmetic modulo 2^32
    b = mix(a + 0x9E3779B9)
    word(k, j) = mix(mix(j + a) ^ b)
    mix(x): x ^= x >> 16; x *= 0x7FEB352D; x ^= x >> 15; x *= 0x846CA68B; x ^= x >> 16

A set bit means +1. The hash is counter-based: any tile can be computed alone, and the dictionary is the same on every
device. ``mix`` is a published 32-bit finaliser with low bias (https://nullprogram.com/blog/2018/07/31/).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cplearn_solo.core.errors import require, require_known

KINDS = ("rademacher", "hadamard")
_MASK = 0xFFFFFFFF
_COLUMNS_AT_ONCE = 1 << 12  # bounds the memory of the unpacked 64-bit words


def make_dictionary(
    f: int, c: int, *, kind: str = "rademacher", seed: int = 0, device: torch.device | str = "cpu"
) -> Tensor:
    """The dictionary of CPLearn (Eq. 1) with f rows and c codes as an int8 tensor ``(f, c)`` of -1 and +1.

    ``rademacher``: independent fair signs. ``hadamard``: exactly orthogonal codes, W^T W = f I (Theorem 1's setting),
    Sylvester's matrix with its rows multiplied by random signs; needs c <= f and f a power of two.

    Raises ``InputError`` for f or c below 1, an unknown kind, a seed outside 0 ... 2^32 - 1 or a shape that
    ``hadamard`` cannot have.
    """
    check_dictionary(f, c, kind=kind, seed=seed)
    if kind == "rademacher":
        w = torch.empty(f, c, dtype=torch.int8, device=device)
        for start in range(0, c, _COLUMNS_AT_ONCE):
            stop = min(start + _COLUMNS_AT_ONCE, c)
            w[:, start:stop] = _signs(f, torch.arange(start, stop, device=device), seed)
        return w
    w = torch.ones(1, 1, dtype=torch.int8, device=device)
    while w.shape[0] < f:
        w = torch.cat([torch.cat([w, w], dim=1), torch.cat([w, -w], dim=1)])
    return w[:, :c] * _signs(f, torch.zeros(1, dtype=torch.int64, device=device), seed)


def pack_dictionary(
    f: int,
    c: int,
    *,
    kind: str = "rademacher",
    seed: int = 0,
    columns: range | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The dictionary of :func:`make_dictionary` as bits: int32 words ``(ceil(f / 32), c)``, or those of some
    ``columns``.

    Bit ``i % 32`` of word ``(i // 32, j)`` is set if entry (i, j) is +1; bits of rows from f on have no meaning. Raises
    ``InputError`` in the same cases as :func:`make_dictionary`.
    """
    check_dictionary(f, c, kind=kind, seed=seed)
    columns = range(c) if columns is None else columns
    if kind == "hadamard":
        signs = make_dictionary(f, c, kind=kind, seed=seed, device=device)
        return _pack(signs[:, columns.start : columns.stop]).to(torch.int32)
    words = torch.empty(-(-f // 32), len(columns), dtype=torch.int32, device=device)
    for start in range(0, len(columns), _COLUMNS_AT_ONCE):
        some = columns[start : start + _COLUMNS_AT_ONCE]
        words[:, start : start + len(some)] = _words(f, torch.arange(some.start, some.stop, device=device), seed)
    return words


def temperature(f: int, n: int, c: int, eps: float) -> float:
    """Temperature tau = f / (sqrt(n) log((1 - eps (c - 1)) / eps)) of CPLearn's softmax (Eq. 1).

    With it, an embedding that equals a code of an orthogonal dictionary has the assignment (1 - eps (c - 1), eps, ...,
    eps) of Lemma 1. n is the number of samples whose embeddings are normalised together, a constant of the run.

    Raises ``InputError`` unless f, n, c >= 1 and 0 < eps < 1/c.
    """
    for name, value in (("f", f), ("n", n), ("c", c)):
        require(value >= 1, name, value, "at least 1")
    require(0 < eps < 1 / c, "eps", eps, f"above 0 and below 1/c = {1 / c:g}, for c = {c} codes")
    return f / (math.sqrt(n) * math.log((1 - eps * (c - 1)) / eps))


def check_dictionary(f: int, c: int, *, kind: str, seed: int) -> None:
    """Raises ``InputError`` if :func:`make_dictionary` cannot make this dictionary."""
    require(f >= 1, "f", f, "at least 1 row of the dictionary")
    require(c >= 1, "c", c, "at least 1 code of the dictionary")
    require_known("dictionary", kind, KINDS)
    require(0 <= seed <= _MASK, "dictionary seed", seed, f"in 0 ... {_MASK}")
    if kind == "hadamard":
        wanted = "a power of two, and no more codes than that"
        require(f & (f - 1) == 0 and c <= f, "f, c of a hadamard dictionary", (f, c), wanted)


def _signs(f: int, columns: Tensor, seed: int) -> Tensor:
    """Rademacher signs (f, len(columns)) of the given columns, int8."""
    words = _words(f, columns, seed)
    bits = words[:, None, :] >> torch.arange(32, device=columns.device)[:, None] & 1
    return (2 * bits - 1).to(torch.int8).flatten(0, 1)[:f]


def _words(f: int, columns: Tensor, seed: int) -> Tensor:
    """Rademacher bits of the given columns as 64-bit integers (ceil(f / 32), len(columns)) below 2^32."""
    k = torch.arange(-(-f // 32), device=columns.device)
    a = _mix(k ^ _mix(torch.tensor(seed, device=columns.device)))
    b = _mix((a + 0x9E3779B9) & _MASK)
    return _mix(_mix((columns + a[:, None]) & _MASK) ^ b[:, None])


def _pack(w: Tensor) -> Tensor:
    """Signs (f, c) to 64-bit integers (ceil(f / 32), c) below 2^32."""
    bits = nn.functional.pad((w > 0).long(), (0, 0, 0, -len(w) % 32)).unflatten(0, (-1, 32))
    return (bits << torch.arange(32, device=w.device)[:, None]).sum(dim=1)


def _mix(x: Tensor) -> Tensor:
    """The 32-bit finaliser on 64-bit integers: products wrap, the mask keeps their exact low half."""
    x = x ^ (x >> 16)
    x = x * 0x7FEB352D & _MASK
    x = x ^ (x >> 15)
    x = x * 0x846CA68B & _MASK
    return x ^ (x >> 16)
