"""Triton kernels for all work on a tile except matrix products; each reads and writes the tile once.

A tile of logits z is ``(views, n, width)``; ``top`` ``(views, n)`` are the maxima that are subtracted from it, and
``log_sum`` ``(views, n)`` is log sum_j exp(z_j - top) over all codes, so that log p = z - top - log_sum.

If there are too few rows to keep all processors busy, several programs share a row: each one sums over a share of the
codes. These sums are added in a fixed order, so that results are always the same.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

CODES = 1024  # of a row that a program processes at once
PROGRAMS = 1024  # of 4 warps: enough for a GPU with 132 processors to have half of the warps that it can hold
BLOCK = (16, 128)  # samples and codes that a program processes at once where it sums over samples
LOWEST = tl.constexpr(-3.0e38)  # below every logit, and finite: differences of it are numbers


def rows(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each share of a row, its largest logit, sum_j exp(z_j - largest) and the first code with that logit,
    ``(shares, views, n)`` each."""
    views, n, width = z.shape
    shares, codes = _shares(views * n, width)
    top, weight = (z.new_empty(shares, views, n, dtype=torch.float32) for _ in range(2))
    code = z.new_empty(shares, views, n, dtype=torch.int64)
    _rows[(views * n, shares)](z, top, weight, code, views * n, width, codes, CODES=CODES)
    return top, weight, code


def moments(z: Tensor, top: Tensor, terms: Tensor) -> Tensor:
    """sum_j exp(z_a - top_a) (z_b - top_b) for each pair (a, b) of views in ``terms`` ``(t, 2)`` and the shares of
    :func:`rows`, with its ``top`` ``(shares, views, n)``: ``(shares, t, n)``."""
    views, n, width = z.shape
    shares, codes = _shares(views * n, width)
    count = len(terms)
    out = z.new_empty(shares, count, n, dtype=torch.float32)
    grid = (n * count, shares)  # the first dimension of a grid alone may exceed 65,535
    _moments[grid](z, top, terms, out, n, count, views * n, width, codes, CODES=CODES)
    return out


def columns(z: Tensor, top: Tensor, log_sum: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """log sum_i p_ij over the samples of each of ``groups``, as a maximum and a sum relative to it.

    Both are ``(views, groups, width)``.
    """
    views, n, width = z.shape
    most, total = (z.new_empty(views, groups, width, dtype=torch.float32) for _ in range(2))
    grid = (views * groups, triton.cdiv(width, BLOCK[1]))
    _columns[grid](z, top, log_sum, most, total, n // groups, width, SAMPLES=BLOCK[0], CODES=BLOCK[1])
    return most, total


def grad_sums(z: Tensor, top: Tensor, log_sum: Tensor, log_ratio: Tensor, *, reverse: bool) -> Tensor:
    """sum_j g_ij ``(views, n)`` of :mod:`prior_term` for ``log_ratio`` = log(pbar / q) ``(views, groups, width)``."""
    views, n, width = z.shape
    shares, codes = _shares(views * n, width)
    out = z.new_empty(shares, views, n, dtype=torch.float32)
    _grad_sums[(views * n, shares)](
        z, top, log_sum, log_ratio, out, views * n, n // log_ratio.shape[1], width, codes, REVERSE=reverse, CODES=CODES
    )
    return out.sum(dim=0)


def gradient(
    z: Tensor,
    top: Tensor,
    log_sum: Tensor,
    log_ratio: Tensor,
    constant: Tensor,
    paired: Tensor,
    *,
    beta: Tensor,
    reverse: bool,
    out: Tensor,
) -> Tensor:
    """dloss / dz up to constant factors: p_a (constant_a - beta sum_b (z_b - top_b)) + k g_a - beta sum_b p_b.

    The sums go over the k views b that are paired with a: ``paired`` ``(views, views)`` is 1 there and 0 elsewhere.
    ``constant`` is ``(views, n)``, ``beta`` a scalar. Fills ``out`` ``(terms, views, n, width)``, whose terms add up to
    the gradient: each term is the remainder after the terms before it, rounded to the dtype of ``out``.
    """
    views, n, width = z.shape
    grid = (views * n, triton.cdiv(width, CODES))
    _gradient[grid](
        z, top, log_sum, log_ratio, constant, paired, out, beta, n, views * n, n // log_ratio.shape[1], width,
        VIEWS=views, TERMS=len(out), REVERSE=reverse, CODES=CODES,
    )  # fmt: skip
    return out


def _shares(rows: int, width: int) -> tuple[int, int]:
    """The number of shares of each of ``rows``, and the codes per share."""
    blocks = triton.cdiv(width, CODES)
    each = triton.cdiv(blocks, min(blocks, triton.cdiv(PROGRAMS, rows)))
    return triton.cdiv(blocks, each), each * CODES


@triton.jit
def _rows(z, top, weight, code, rows, width, codes, CODES: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    share = tl.program_id(1)
    lane = tl.arange(0, CODES)
    most = tl.full((CODES,), LOWEST, tl.float32)
    total = tl.zeros((CODES,), tl.float32)
    best = tl.zeros((CODES,), tl.int32)
    for start in range(share * codes, tl.minimum((share + 1) * codes, width), CODES):
        j = start + lane
        x = tl.load(z + row * width + j, mask=j < width, other=-float("inf")).to(tl.float32)
        best = tl.where(x > most, j, best)
        most, total = _joined(most, total, x)
    highest = tl.max(most, axis=0)
    tl.store(top + share * rows + row, highest)
    tl.store(weight + share * rows + row, tl.sum(total * tl.exp(most - highest), axis=0))
    tl.store(code + share * rows + row, tl.min(tl.where(most == highest, best, width), axis=0))


@triton.jit
def _moments(z, top, terms, out, n, count, rows, width, codes, CODES: tl.constexpr):
    t = tl.program_id(0) % count
    i = tl.program_id(0) // count
    share = tl.program_id(1)
    a = tl.load(terms + 2 * t) * n + i
    b = tl.load(terms + 2 * t + 1) * n + i
    top_a = tl.load(top + share * rows + a)
    top_b = tl.load(top + share * rows + b)
    total = 0.0
    for start in range(share * codes, tl.minimum((share + 1) * codes, width), CODES):
        j = start + tl.arange(0, CODES)
        e = tl.exp(tl.load(z + a * width + j, mask=j < width, other=-float("inf")).to(tl.float32) - top_a)
        d = tl.load(z + b * width + j, mask=j < width, other=0.0).to(tl.float32) - top_b
        total += tl.sum(e * d, axis=0)
    tl.store(out + (share * count + t) * n + i, total)


@triton.jit
def _columns(z, top, log_sum, most_out, total_out, samples, width, SAMPLES: tl.constexpr, CODES: tl.constexpr):
    group = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * CODES + tl.arange(0, CODES)
    most = tl.full((SAMPLES, CODES), LOWEST, tl.float32)
    total = tl.zeros((SAMPLES, CODES), tl.float32)
    for start in range(0, samples, SAMPLES):
        s = start + tl.arange(0, SAMPLES)
        row = group * samples + s
        shift = tl.load(top + row, mask=s < samples, other=0.0) + tl.load(log_sum + row, mask=s < samples, other=0.0)
        inside = (s < samples)[:, None] & (j < width)[None, :]
        x = tl.load(z + row[:, None] * width + j[None, :], mask=inside, other=-float("inf")).to(tl.float32)
        most, total = _joined(most, total, x - shift[:, None])
    highest = tl.max(most, axis=0)
    total = tl.sum(total * tl.exp(most - highest[None, :]), axis=0)
    tl.store(most_out + group * width + j, highest, mask=j < width)
    tl.store(total_out + group * width + j, total, mask=j < width)


@triton.jit
def _joined(most, total, x):
    """The maximum and the sum of exponentials relative to it after ``x`` is added, element by element: a program that
    sums over lanes only at its end does not wait for other warps in each iteration."""
    e = tl.exp(-tl.abs(x - most))
    total = tl.where(x > most, total * e + 1.0, total + e)
    return tl.maximum(most, x), total


@triton.jit
def _grad_sums(
    z, top, log_sum, log_ratio, out, rows, samples, width, codes, REVERSE: tl.constexpr, CODES: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    share = tl.program_id(1)
    group = row // samples
    shift = tl.load(top + row) + tl.load(log_sum + row)
    total = 0.0
    for start in range(share * codes, tl.minimum((share + 1) * codes, width), CODES):
        j = start + tl.arange(0, CODES)
        x = tl.load(z + row * width + j, mask=j < width, other=-float("inf")).to(tl.float32) - shift
        m = tl.load(log_ratio + group * width + j, mask=j < width, other=0.0)
        total += tl.sum(tl.exp(x) * m if REVERSE else -tl.exp(x - m), axis=0)
    tl.store(out + share * rows + row, total)


@triton.jit
def _gradient(
    z, top, log_sum, log_ratio, constant, paired, out, beta, n, rows, samples, width,
    VIEWS: tl.constexpr, TERMS: tl.constexpr, REVERSE: tl.constexpr, CODES: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    a = row // n
    i = row % n
    j = tl.program_id(1) * CODES + tl.arange(0, CODES)
    log_p = tl.load(z + row * width + j, mask=j < width, other=0.0).to(tl.float32)
    log_p -= tl.load(top + row) + tl.load(log_sum + row)
    p = tl.exp(log_p)
    others = 0.0
    t = tl.zeros((CODES,), tl.float32)
    taken = tl.zeros((CODES,), tl.float32)
    for b in range(VIEWS):
        weight = tl.load(paired + a * VIEWS + b)
        other = b * n + i
        d = tl.load(z + other * width + j, mask=j < width, other=0.0).to(tl.float32) - tl.load(top + other)
        t += weight * d
        taken += weight * tl.exp(d - tl.load(log_sum + other))
        others += weight
    m = tl.load(log_ratio + (row // samples) * width + j, mask=j < width, other=0.0)
    g = p * m if REVERSE else -tl.exp(log_p - m)
    factor = tl.load(beta)
    dz = p * (tl.load(constant + row) - factor * t) + others * g - factor * taken
    for term in tl.static_range(TERMS):
        part = dz.to(out.dtype.element_ty)
        tl.store(out + (term * rows + row) * width + j, part, mask=j < width)
        dz -= part.to(tl.float32)
