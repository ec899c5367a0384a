"""CPLearn's objective from embeddings and a packed dictionary, with its gradient from the same sweeps."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cplearn_solo.core.distributed import gather, rank, world_size
from cplearn_solo.core.errors import InputError, unknown
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.losses.cplearn import PRIOR_LOSSES, check_prior
from cplearn_solo.objective.chunked import chunked
from cplearn_solo.objective.lookup.sweeps import library, lookup
from cplearn_solo.objective.packed import PackedDictionary
from cplearn_solo.objective.problem import Problem, Solution
from cplearn_solo.objective.reference import reference
from cplearn_solo.objective.tiles import has_units

IMPLEMENTATIONS = ("auto", "reference", "chunked", "lookup", "triton")

# with it a step of n = 256 and 131,072 codes takes less than a twelfth of the plain path's memory
KEPT_LOGITS_MB = 64

# floats of W and of what automatic differentiation keeps of logits: below this a GPU is faster without tiles
_REFERENCE_FLOATS = 1 << 28


class Objective(NamedTuple):
    """``loss = beta * invariance + prior``, scalars in nats; a gradient flows through ``loss`` only.

    Of the first view: ``assignment_entropy``, the mean entropy of p, and ``mean_entropy``, that of the mean p, in nats,
    and ``codes`` ``(n,)``, the most likely ones.
    """

    loss: Tensor
    invariance: Tensor
    prior: Tensor
    assignment_entropy: Tensor
    mean_entropy: Tensor
    codes: Tensor


def objective(
    views: Sequence[Tensor],
    dictionary: PackedDictionary,
    *,
    temperature: float,
    beta: float,
    prior: Tensor | None = None,
    prior_loss: str = "reverse",
    pairs: Sequence[tuple[int, int]] | None = None,
    dictionary_parallel: bool = False,
    global_prior: bool = False,
    kept_logits_mb: float = KEPT_LOGITS_MB,
    impl: str = "auto",
) -> Objective:
    """:func:`cplearn_solo.losses.cplearn_loss` of the logits H W / tau, averaged over pairs of views.

    ``views``: embeddings ``(n, f)`` each, row i of all from the same image. ``dictionary``: W with f rows and c codes.
    ``temperature``: tau. ``pairs``: indices of the views to compare, all pairs by default. ``beta``, ``prior``,
    ``prior_loss``: see there.

    On several ranks each has its own samples and, by default, its own loss. ``dictionary_parallel``: each works on a
    share of the codes for the samples of all, and the loss is the mean over ranks. ``global_prior``: the mean
    assignment is that of the samples of all. Gradients are such that their mean over ranks, which data-parallel
    training takes, is that of the mean loss.

    ``impl``: ``reference`` multiplies W out and holds all logits ``(n, c)``; ``chunked`` goes through the codes in
    tiles, keeping ``kept_logits_mb`` megabytes of logits, the others being multiplied out again; ``lookup`` does the
    same on a CPU in a third to two thirds of the time, in float32, its products looking up what the bits of W select;
    ``triton`` on a GPU with fewer and larger steps, in float32; ``auto`` is the fastest but ``triton`` of those that
    can. All sum in float32 at least. Products of the first two are in half precision where the embeddings are, or where
    autocast asks for it, and the processor has units for it.

    Raises ``InputError`` for embeddings that do not match each other or the dictionary, pairs of views that are not
    there, a bad prior, an unknown ``impl`` or ``prior_loss``, an ``impl`` that cannot do what is asked, codes that
    cannot be shared among ranks, and too little memory.
    """
    n, f = _common_shape(views)
    if f != dictionary.f:
        raise InputError(f"embeddings of f = {f} dimensions with a dictionary of {dictionary.f} rows: must be equal")
    pairs = list(combinations(range(len(views)), 2)) if pairs is None else [tuple(pair) for pair in pairs]
    _check_pairs(pairs, len(views))
    c = dictionary.c
    if prior_loss not in PRIOR_LOSSES:
        raise unknown("prior_loss", prior_loss, PRIOR_LOSSES)
    if prior is not None:
        check_prior(prior, c, prior_loss)
    if not kept_logits_mb >= 0:
        raise InputError(f"kept_logits_mb = {kept_logits_mb}: must be at least 0")
    log_q = torch.tensor(-math.log(c), dtype=torch.float64) if prior is None else at_least_float32(prior).log()
    solve = _implementation(impl, views, dictionary, several_ranks=dictionary_parallel or global_prior)
    problem = Problem(
        dictionary=dictionary,
        temperature=temperature,
        beta=float(beta),
        log_q=log_q,
        prior_loss=prior_loss,
        pairs=pairs,
        samples=n * world_size() if global_prior else n,
        needs_grad=torch.is_grad_enabled() and any(h.requires_grad for h in views),
        kept_bytes=int(kept_logits_mb * 2**20),
        samples_shared=global_prior and not dictionary_parallel,
    )
    if dictionary_parallel:
        problem = _share_of_codes(problem)
        views = [gather(h) for h in views]
    found = Objective(*_InOneGo.apply(problem, solve, *map(_autocast, views)))
    return found._replace(codes=found.codes[rank() * n :][:n]) if dictionary_parallel else found


def _common_shape(views: Sequence[Tensor]) -> tuple[int, int]:
    shapes = [tuple(h.shape) for h in views]
    if len(shapes) < 2 or len(shapes[0]) != 2 or len(set(shapes)) > 1 or math.prod(shapes[0]) == 0:
        raise InputError(f"embeddings of shapes {', '.join(map(str, shapes))}: must be at least two of the same (n, f)")
    return shapes[0]


def _check_pairs(pairs: list[tuple[int, ...]], views: int) -> None:
    if any(len(pair) != 2 or not 0 <= pair[0] < pair[1] < views for pair in pairs):
        raise InputError(f"pairs = {pairs}: must be (a, b) with 0 <= a < b < {views}, the number of views")
    if len({view for pair in pairs for view in pair}) < views:
        raise InputError(f"pairs = {pairs}: each of {views} views must be in one")


def _implementation(
    impl: str, views: Sequence[Tensor], dictionary: PackedDictionary, *, several_ranks: bool
) -> Callable[[Tensor, Problem], Solution]:
    if impl not in IMPLEMENTATIONS:
        raise unknown("impl", impl, IMPLEMENTATIONS)
    if impl in ("reference", "lookup") and several_ranks:
        raise InputError(f"impl = '{impl}' with dictionary_parallel or global_prior: choices are auto, chunked")
    if impl == "auto":
        impl = "chunked" if several_ranks else _fastest(views, dictionary)
    if impl == "lookup":
        return _lookup(views[0])
    if impl == "triton":
        return _triton(views[0])
    return reference if impl == "reference" else chunked


def _fastest(views: Sequence[Tensor], dictionary: PackedDictionary) -> str:
    h = _autocast(views[0])
    if h.device.type == "cuda":
        floats = (dictionary.f + 8 * len(views) * len(h)) * dictionary.c
        return "reference" if floats <= _REFERENCE_FLOATS else "chunked"
    in_single = h.dtype == torch.float32 or (h.dtype != torch.float64 and not has_units(h.device, h.dtype))
    return "lookup" if h.device.type == "cpu" and in_single and library() else "chunked"


def _lookup(h: Tensor) -> Callable[[Tensor, Problem], Solution]:
    if h.device.type != "cpu":
        raise InputError(f"impl = 'lookup': needs a CPU, the embeddings are on {h.device}; choices are auto, chunked")
    if not library():
        raise InputError(
            "impl = 'lookup': needs a processor with AVX2 or AVX-512, and a C++ compiler when cplearn_solo is "
            "installed; choices are auto, chunked"
        )
    return lookup


def _triton(h: Tensor) -> Callable[[Tensor, Problem], Solution]:
    """Imported only here: Triton is not everywhere that PyTorch is."""
    if h.device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        raise InputError(f"impl = 'triton': needs a GPU, the embeddings are on {h.device}; choices are auto, chunked")
    try:
        from cplearn_solo.objective.triton.sweeps import triton
    except ImportError as error:
        raise InputError(f"impl = 'triton': {error}; choices are auto, chunked") from error
    return triton


def check_shares(c: int, ranks: int) -> None:
    """Raises ``InputError`` where ``dictionary_parallel`` cannot share c codes among ``ranks`` processes."""
    if ranks == 1:
        raise InputError("dictionary_parallel = True on one process: it shares codes among several")
    if c % ranks:
        raise InputError(f"dictionary_parallel = True with c = {c} codes on {ranks} processes: must be divisible")


def _share_of_codes(problem: Problem) -> Problem:
    """That part of the problem which is this rank's."""
    c, ranks = problem.dictionary.c, world_size()
    check_shares(c, ranks)
    start, stop = rank() * c // ranks, (rank() + 1) * c // ranks
    return replace(
        problem,
        dictionary=problem.dictionary.columns(start, stop),
        log_q=problem.log_q[start:stop] if problem.log_q.ndim else problem.log_q,
        codes_shared=True,
    )


def _autocast(h: Tensor) -> Tensor:
    """Half precision where automatic mixed precision would multiply in it."""
    device = h.device.type
    if h.dtype != torch.float32 or not torch.is_autocast_enabled(device):
        return h
    half = torch.get_autocast_dtype(device)
    return h.to(half) if has_units(h.device, half) else h


def _out_of_memory(h: Tensor, problem: Problem, solve: Callable) -> InputError:
    size = f"out of memory with n = {len(h)}, f = {h.shape[1]}, c = {problem.dictionary.c}"
    if solve is reference:
        return InputError(f"{size}: impl='chunked' needs less")
    return InputError(f"{size}: set kept_logits_mb below {problem.kept_bytes / 2**20:g}, or a smaller batch_size")


class _InOneGo(torch.autograd.Function):
    """The gradient comes with the loss: what it is computed from is larger than the gradient itself."""

    @staticmethod
    def forward(ctx: Any, problem: Problem, solve: Callable, *views: Tensor) -> tuple[Tensor, ...]:
        try:
            with without_autocast(views[0]):
                found: Solution = solve(torch.stack(views), problem)
        except RuntimeError as error:
            if "out of memory" in str(error) or "allocate memory" in str(error):
                raise _out_of_memory(views[0], problem, solve) from error
            raise
        ctx.save_for_backward(found.grad)
        loss = problem.beta * found.invariance + found.prior
        parts = (loss, found.invariance, found.prior, found.assignment_entropy, found.mean_entropy)
        dtype = torch.promote_types(views[0].dtype, torch.float32)
        parts = (*(part.to(dtype) for part in parts), found.codes)
        ctx.mark_non_differentiable(*parts[1:])
        return parts

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return None, None, *(grad * grad_loss).unbind()
