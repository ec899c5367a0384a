"""Products with a tile of the dictionary, in half precision.

Entries of +-1 are exact in it. A float32 factor is a sum of terms: each is the rounded remainder after the terms before
it. ``torch.set_float32_matmul_precision`` sets their number: three for ``highest``, which hold all 24 bits, two for
``high`` and one for ``medium``. Sums are in float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from cplearn_solo.core.precision import matmul_precision

CODES, BITS = 1024, 8  # codes, and bits of each code's word, that a program unpacks


class Precision:
    """The type ``half`` of factors and the number of ``terms`` for embeddings in ``dtype``."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.half = torch.float16 if dtype == torch.float16 else torch.bfloat16
        terms = {"highest": 3, "high": 2, "medium": 1}[matmul_precision()]
        self.terms = terms if dtype == torch.float32 else 1

    def split(self, x: Tensor) -> Tensor:
        """``x`` ``(rows, f)`` as ``(rows, terms * f)``, whose parts add up to it."""
        parts = []
        for _ in range(self.terms):
            parts.append(x.to(self.half))
            x = x - parts[-1]
        return torch.cat(parts, dim=1)


def entries(words: Tensor, f: int, out: Tensor) -> Tensor:
    """Fills ``out`` ``(terms * f, width)`` with W ``(f, width)``, once for each term, from its ``words``
    ``(ceil(f / 32), width)``."""
    count, width = words.shape
    grid = (32 // BITS * count, triton.cdiv(width, CODES))
    _entries[grid](words, out, f, width, *words.stride(), TERMS=len(out) // f, CODES=CODES, BITS=BITS)
    return out


def product(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """The product A B of factors in half precision, summed in float32 and written to ``out``, which may be float32."""
    if out.dtype == a.dtype:
        return torch.mm(a, b, out=out)
    if a.is_cuda and hasattr(torch.ops.aten.mm, "dtype_out"):
        return torch.mm(a, b, out_dtype=out.dtype, out=out)
    return torch.mm(a.to(out.dtype), b.to(out.dtype), out=out)  # before PyTorch 2.8


@triton.jit
def _entries(words, out, f, width, stride_k, stride_j, TERMS: tl.constexpr, CODES: tl.constexpr, BITS: tl.constexpr):
    first = tl.program_id(0) * BITS
    j = tl.program_id(1) * CODES + tl.arange(0, CODES)
    word = tl.load(words + (first // 32).to(tl.int64) * stride_k + j * stride_j, mask=j < width, other=0)
    for bit in tl.static_range(BITS):
        row = (first + bit).to(tl.int64)
        entry = tl.where((word >> (row % 32).to(tl.int32)) & 1 == 1, 1.0, -1.0).to(out.dtype.element_ty)
        for term in tl.static_range(TERMS):
            tl.store(out + (term * f + row) * width + j, entry, mask=(j < width) & (row < f))
