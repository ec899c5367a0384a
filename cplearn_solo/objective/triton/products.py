"""Products with the dictionary from its bits, as Triton kernels: W is never written to memory.

Entries of +-1 are exact in half precision. A factor in float32 is the sum of bfloat16 terms, each the rounding of what
those before it leave; ``torch.set_float32_matmul_precision`` says how many: ``highest`` three, which hold all 24 bits,
``high`` two and ``medium`` one. Sums are in float32.
"""

from __future__ import annotations

import os

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS, CODES, WORDS = 64, 32, 2  # of a block; a word has the bits of 32 rows of W
PROGRAMS = 512  # of 8 warps: enough for a GPU with 132 processors


def times_dictionary(h: Tensor, words: Tensor, out: Tensor) -> Tensor:
    """H W: fills ``out`` ``(rows, width)`` from ``h`` ``(rows, f)`` and int32 ``words`` ``(ceil(f / 32), width)``."""
    (rows, f), (count, width) = h.shape, words.shape
    grid = (triton.cdiv(rows, ROWS), triton.cdiv(width, CODES))
    _times_dictionary[grid](
        h, words, out, rows, f, width, count, words.stride(0), words.stride(1),
        **_precision(h), ROWS=ROWS, CODES=CODES, num_warps=8,
    )  # fmt: skip
    return out


def times_transposed(dz: Tensor, words: Tensor, f: int) -> Tensor:
    """dz W^T: float32 ``(rows, f)`` from ``dz`` ``(rows, width)`` and ``words`` ``(ceil(f / 32), width)``."""
    (rows, width), count = dz.shape, len(words)
    blocks = triton.cdiv(rows, ROWS), triton.cdiv(count, WORDS)
    # with few rows, several programs share the codes: each has its own sums, so that their order is always the same
    splits = max(1, min(PROGRAMS // (blocks[0] * blocks[1]), triton.cdiv(width, CODES)))
    out = dz.new_empty(splits, rows, f, dtype=torch.float32)
    _times_transposed[(*blocks, splits)](
        dz, words, out, rows, f, width, count, splits, words.stride(0), words.stride(1),
        **_precision(dz), ROWS=ROWS, CODES=CODES, WORDS=WORDS, num_warps=8,
    )  # fmt: skip
    return out.sum(dim=0)


def _precision(x: Tensor) -> dict[str, object]:
    """Into how many terms of which type ``x`` is split, and the type of the product, which Triton's interpreter cannot
    do in bfloat16."""
    terms = {"highest": 3, "high": 2, "medium": 1}[torch.get_float32_matmul_precision()]
    half = tl.float16 if x.dtype == torch.float16 else tl.bfloat16
    product = tl.float32 if os.environ.get("TRITON_INTERPRET") == "1" else half
    return {"TERMS": terms if x.dtype == torch.float32 else 1, "HALF": half, "PRODUCT": product}


@triton.jit
def _times_dictionary(
    h, words, out, rows, f, width, count, stride_k, stride_j,
    TERMS: tl.constexpr, HALF: tl.constexpr, PRODUCT: tl.constexpr, ROWS: tl.constexpr, CODES: tl.constexpr,
):  # fmt: skip
    i = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    j = tl.program_id(1) * CODES + tl.arange(0, CODES)
    bit = tl.arange(0, 32)
    total = tl.zeros((ROWS, CODES), tl.float32)
    for k in range(count):
        word = tl.load(words + k * stride_k + j * stride_j, mask=j < width, other=0)
        w = ((word[None, :] >> bit[:, None]) & 1) * 2 - 1
        inside = (i < rows)[:, None] & (k * 32 + bit < f)[None, :]
        x = tl.load(h + i[:, None] * f + (k * 32 + bit)[None, :], mask=inside, other=0.0)
        total = _add_product(total, x, w, TERMS, HALF, PRODUCT)
    inside = (i < rows)[:, None] & (j < width)[None, :]
    tl.store(out + i[:, None] * width + j[None, :], total.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _times_transposed(
    dz, words, out, rows, f, width, count, splits, stride_k, stride_j,
    TERMS: tl.constexpr, HALF: tl.constexpr, PRODUCT: tl.constexpr,
    ROWS: tl.constexpr, CODES: tl.constexpr, WORDS: tl.constexpr,
):  # fmt: skip
    i = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    k = tl.program_id(1) * WORDS + tl.arange(0, WORDS)
    split = tl.program_id(2)
    bit = tl.arange(0, 32)
    total = tl.zeros((ROWS, WORDS * 32), tl.float32)
    for start in range(split * CODES, width, splits * CODES):
        j = start + tl.arange(0, CODES)
        inside = (j < width)[:, None] & (k < count)[None, :]
        word = tl.load(words + k[None, :] * stride_k + j[:, None] * stride_j, mask=inside, other=0)
        w = ((word[:, :, None] >> bit[None, None, :]) & 1) * 2 - 1
        inside = (i < rows)[:, None] & (j < width)[None, :]
        x = tl.load(dz + i[:, None] * width + j[None, :], mask=inside, other=0.0)
        total = _add_product(total, x, tl.reshape(w, (CODES, WORDS * 32)), TERMS, HALF, PRODUCT)
    column = tl.program_id(1) * WORDS * 32 + tl.arange(0, WORDS * 32)
    inside = (i < rows)[:, None] & (column < f)[None, :]
    tl.store(out + (split * rows + i)[:, None] * f + column[None, :], total, mask=inside)


@triton.jit
def _add_product(total, x, w, TERMS: tl.constexpr, HALF: tl.constexpr, PRODUCT: tl.constexpr):
    """``total + x w``, with x as the sum of ``TERMS`` numbers in half precision."""
    for _ in tl.static_range(TERMS):
        term = x.to(HALF)
        total = tl.dot(term.to(PRODUCT), w.to(PRODUCT), total)
        x -= term
    return total
