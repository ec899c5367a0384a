"""CPLearn's objective from embeddings and a packed dictionary; loss and gradient are computed together."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cplearn_solo.core.distributed import gather, rank, world_size
from cplearn_solo.core.errors import InputError, require, require_known
from cplearn_solo.core.out_of_memory import OutOfMemory, lack_of_memory
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.losses.cplearn import PRIOR_LOSSES, check_prior
from cplearn_solo.objective.chunked import chunked
from cplearn_solo.objective.lookup.sweeps import library, lookup
from cplearn_solo.objective.packed import PackedDictionary
from cplearn_solo.objective.reference import reference
from cplearn_solo.objective.spec import LossAndGradient, LossSpec
from cplearn_solo.objective.tiles import has_units

IMPLEMENTATIONS = ("auto", "reference", "chunked", "lookup", "triton")

# A step of n = 256 and 131,072 codes then takes less than a twelfth of the memory of all logits.
KEPT_LOGITS_MB = 64
KEPT_SHARE = 32  # on a GPU, 1 / 32 of its memory if that is more: 2.5 GB of 80 GB

TRITONS_LEAST = (8, 0)  # least compute capability that Triton supports; GPUs have bfloat16 from there on


class Objective(NamedTuple):
    """``loss = beta * invariance + prior``, scalars in nats; a gradient flows through ``loss`` only.

    Of the first view: ``assignment_entropy``, the mean entropy of p, and ``mean_entropy``, the entropy of the mean p,
    both in nats; ``codes`` ``(n,)``, the most likely ones; ``mean_assignment``, the mean p ``(c,)``.
    """

    loss: Tensor
    invariance: Tensor
    prior: Tensor
    assignment_entropy: Tensor
    mean_entropy: Tensor
    codes: Tensor
    mean_assignment: Tensor


def objective(
    views: Sequence[Tensor],
    dictionary: PackedDictionary,
    *,
    temperature: float,
    beta: float | Tensor,
    prior: Tensor | None = None,
    prior_loss: str = "reverse",
    pairs: Sequence[tuple[int, int]] | None = None,
    dictionary_parallel: bool = False,
    global_prior: bool = False,
    kept_logits_mb: float | None = None,
    impl: str = "auto",
    prior_is_checked: bool = False,
) -> Objective:
    """:func:`cplearn_solo.losses.cplearn_loss` of the logits H W / tau, averaged over pairs of views.

    ``views``: embeddings ``(n, f)`` each, row i of all from the same image. ``dictionary``: W with f rows and c codes.
    ``temperature``: tau. ``pairs``: indices of the views to compare, all pairs by default. ``beta``, ``prior``,
    ``prior_loss``, ``prior_is_checked``: as in ``cplearn_loss``.

    With several ranks, each has its own samples and, by default, its own loss. ``dictionary_parallel``: each rank works
    on a share of the codes for the samples of all ranks, ``mean_assignment`` has only its share, and the loss is the
    mean over ranks. ``global_prior``: the mean assignment is over the samples of all ranks. The mean of the gradients
    over ranks, which data-parallel training computes, is the gradient of the mean loss.

    ``impl``:

    * ``reference`` holds all of W as floats and all logits ``(n, c)``.
    * ``chunked`` goes through the codes in tiles. It keeps ``kept_logits_mb`` megabytes of logits and computes the
      others again. The default is 64, or on a GPU 1 / 32 of its memory if that is more.
    * ``lookup`` does the same on a CPU in a third to two thirds of the time, in float32: its products are sums of table
      entries that the bits of W select.
    * ``triton`` does the same on a GPU in a fifth to two thirds of the time. Products are in half precision; float32
      embeddings are split into as many terms as ``torch.set_float32_matmul_precision`` asks for.
    * ``auto`` picks the fastest one available: ``lookup`` on CPUs, ``triton`` on GPUs from compute capability 8.0 on.
      Otherwise, and with ``dictionary_parallel`` or ``global_prior``, it is ``chunked``.

    All of them sum at least in float32. Except in ``lookup``, products are in half precision if the embeddings are, or
    if autocast asks for it, and if the processor has units for it.

    Raises ``InputError`` for embeddings that do not match each other or the dictionary, ``pairs`` of views that do not
    exist or that leave a view out, a prior that is not a distribution, an unknown ``impl`` or ``prior_loss``, an
    ``impl`` that cannot be used here, codes that cannot be divided among ranks, and too little memory.
    """
    n, f = _common_shape(views)
    require(f == dictionary.f, "f of the embeddings", f, f"{dictionary.f}, the rows of the dictionary")
    pairs = list(combinations(range(len(views)), 2)) if pairs is None else [tuple(pair) for pair in pairs]
    _check_pairs(pairs, len(views))
    c = dictionary.c
    require_known("prior_loss", prior_loss, PRIOR_LOSSES)
    if prior is not None and not prior_is_checked:
        check_prior(prior, c, prior_loss)
    kept_logits_mb = _kept_logits_mb(views[0].device) if kept_logits_mb is None else kept_logits_mb
    require(kept_logits_mb >= 0, "kept_logits_mb", kept_logits_mb, "at least 0")
    implementation = _implementation(impl, views[0], several_ranks=dictionary_parallel or global_prior)
    spec = LossSpec(
        dictionary=dictionary,
        temperature=temperature,
        beta=beta.detach() if isinstance(beta, Tensor) and beta.is_cuda else float(beta),
        log_q=-math.log(c) if prior is None else at_least_float32(prior).log(),
        prior_loss=prior_loss,
        pairs=pairs,
        samples=n * world_size() if global_prior else n,
        needs_grad=torch.is_grad_enabled() and any(h.requires_grad for h in views),
        kept_bytes=int(kept_logits_mb * 2**20),
        samples_shared=global_prior and not dictionary_parallel,
    )
    if dictionary_parallel:
        spec = _share_of_codes(spec)
        views = [gather(h) for h in views]
    found = Objective(*_LossWithGradient.apply(spec, implementation, *views))
    return found._replace(codes=found.codes[rank() * n :][:n]) if dictionary_parallel else found


def _kept_logits_mb(device: torch.device) -> float:
    """The default: little on a CPU, where memory is slow, and a small share of a GPU's memory."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return KEPT_LOGITS_MB
    return max(KEPT_LOGITS_MB, torch.cuda.get_device_properties(device).total_memory / KEPT_SHARE / 2**20)


def _common_shape(views: Sequence[Tensor]) -> tuple[int, int]:
    shapes = [tuple(h.shape) for h in views]
    usable = len(shapes) >= 2 and len(shapes[0]) == 2 and len(set(shapes)) == 1 and math.prod(shapes[0]) > 0
    require(usable, "shapes of embeddings", shapes, "at least two of the same (n, f)")
    return shapes[0]


def _check_pairs(pairs: list[tuple[int, ...]], views: int) -> None:
    in_range = all(len(pair) == 2 and 0 <= pair[0] < pair[1] < views for pair in pairs)
    require(in_range, "pairs", pairs, f"(a, b) with 0 <= a < b < {views}, the number of views")
    require(
        len({view for pair in pairs for view in pair}) == views,
        "pairs",
        pairs,
        f"such that each of {views} views is in one",
    )


def _implementation(impl: str, h: Tensor, *, several_ranks: bool) -> Callable[[Tensor, LossSpec], LossAndGradient]:
    check_impl(impl, several_ranks=several_ranks)
    if impl == "auto":
        impl = "chunked" if several_ranks else _fastest(h)
    check_impl_on(impl, h.device)
    if impl == "triton":
        from cplearn_solo.objective.triton.sweeps import triton  # not every PyTorch comes with Triton

        return triton
    return {"reference": reference, "chunked": chunked, "lookup": lookup}[impl]


def _fastest(h: Tensor) -> str:
    if h.device.type == "cuda":
        fits = h.dtype != torch.float64 and find_spec("triton") and _is_new_enough(h.device)
        return "triton" if fits else "chunked"
    # also for half precision: 1.6 to 3 times as fast as products in bfloat16 on a processor with AVX512-BF16
    return "lookup" if h.device.type == "cpu" and h.dtype != torch.float64 and library() else "chunked"


def check_impl(impl: str, *, several_ranks: bool) -> None:
    """Raises ``InputError`` for an unknown ``impl``, or one that cannot combine the results of ``several_ranks``."""
    require_known("impl", impl, IMPLEMENTATIONS)
    possible = not several_ranks or impl not in ("reference", "lookup")
    require(possible, "impl", impl, "auto, chunked or triton with dictionary_parallel or global_prior")


def check_impl_on(impl: str, device: torch.device) -> None:
    """Raises ``InputError`` for an ``impl`` that cannot be used for embeddings on ``device``."""
    if impl == "lookup":
        require(device.type == "cpu", "impl", impl, f"auto or chunked for embeddings on {device}, not on a CPU")
        needs = "needs a processor with AVX2 or AVX-512, and a C++ compiler when cplearn_solo is installed"
        require(library() is not None, "impl", impl, f"auto or chunked here; lookup {needs}")
    if impl == "triton":
        possible = device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"
        require(possible, "impl", impl, f"auto or chunked for embeddings on {device}, not on a GPU")
        if device.type == "cuda":
            least = ".".join(map(str, TRITONS_LEAST))
            wanted = f"auto or chunked on {device}, whose compute capability is below {least}"
            require(_is_new_enough(device), "impl", impl, wanted)
        try:
            import triton  # noqa: F401
        except ImportError as error:
            raise InputError(f"impl = {impl!r}: must be auto or chunked here: {error}") from error


def _is_new_enough(device: torch.device) -> bool:
    """Whether Triton supports this GPU."""
    return torch.cuda.get_device_capability(device) >= TRITONS_LEAST


def check_shares(c: int, ranks: int) -> None:
    """Raises ``InputError`` if ``dictionary_parallel`` cannot divide c codes among ``ranks`` processes."""
    require(ranks > 1, "dictionary_parallel", True, "False on one process; it shares codes among several")
    require(c % ranks == 0, "c", c, f"divisible by {ranks}, the number of processes, for dictionary_parallel")


def _share_of_codes(spec: LossSpec) -> LossSpec:
    """``spec`` for this rank's share of the codes."""
    c, ranks = spec.dictionary.c, world_size()
    check_shares(c, ranks)
    start, stop = rank() * c // ranks, (rank() + 1) * c // ranks
    return replace(
        spec,
        dictionary=spec.dictionary.columns(start, stop),
        log_q=spec.log_q if isinstance(spec.log_q, float) else spec.log_q[start:stop],
        codes_shared=True,
    )


def _autocast(h: Tensor) -> Tensor:
    """``h`` in half precision if automatic mixed precision would multiply in it."""
    device = h.device.type
    if h.dtype != torch.float32 or not torch.is_autocast_enabled(device):
        return h
    half = torch.get_autocast_dtype(device)
    return h.to(half) if has_units(h.device, half) else h


def _out_of_memory(h: Tensor, spec: LossSpec, implementation: Callable) -> OutOfMemory:
    size = f"out of memory with n = {len(h)}, f = {h.shape[1]}, c = {spec.dictionary.c}"
    if implementation is reference:
        return OutOfMemory(f"{size}: impl='chunked' needs less")
    return OutOfMemory(f"{size}: set kept_logits_mb below {spec.kept_bytes / 2**20:g}, or a smaller batch_size")


class _LossWithGradient(torch.autograd.Function):
    """Computes loss and gradient together, because intermediate results are larger than the gradient itself."""

    @staticmethod
    def forward(ctx: Any, spec: LossSpec, implementation: Callable, *views: Tensor) -> tuple[Tensor, ...]:
        h = torch.stack(views)
        h = h if implementation is lookup else _autocast(h)
        try:
            with without_autocast(h):
                found: LossAndGradient = implementation(h, spec)
        except (RuntimeError, MemoryError) as error:
            if not lack_of_memory(error):
                raise
            raise _out_of_memory(views[0], spec, implementation) from error
        ctx.save_for_backward(found.grad)
        loss = spec.beta * found.invariance + found.prior
        parts = (loss, found.invariance, found.prior, found.assignment_entropy, found.mean_entropy)
        dtype = torch.promote_types(views[0].dtype, torch.float32)
        parts = (*(part.to(dtype) for part in parts), found.codes, found.mean_assignment.to(dtype))
        ctx.mark_non_differentiable(*parts[1:])
        return parts

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return None, None, *(grad * grad_loss).unbind()
