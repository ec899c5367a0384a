"""CPLearn's objective from embeddings and a packed dictionary, with its gradient from the same sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from cplearn_solo.kernels.chunked import chunked
from cplearn_solo.kernels.packed import PackedDictionary
from cplearn_solo.kernels.problem import Problem, Solution, compute_dtype
from cplearn_solo.kernels.reference import reference
from cplearn_solo.losses.cplearn import PRIOR_LOSSES, check_prior
from cplearn_solo.precision import full_precision, without_autocast
from cplearn_solo.registry import InputError, unknown

IMPLEMENTATIONS = ("auto", "reference", "chunked")


class Objective(NamedTuple):
    """``loss = beta * invariance + prior`` in nats; a gradient flows through ``loss`` only.

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
    impl: str = "auto",
) -> Objective:
    """:func:`cplearn_solo.losses.cplearn_loss` of the logits H W / tau, averaged over pairs of views.

    ``views``: embeddings ``(n, f)`` each, row i of all from the same image. ``dictionary``: W with f rows and c codes.
    ``temperature``: tau. ``pairs``: indices of the views to compare, all pairs by default. ``beta``, ``prior``,
    ``prior_loss``: see there.

    ``impl``: ``reference`` multiplies W out and holds all logits ``(n, c)``; ``chunked`` goes through the codes in
    tiles; ``auto`` is the fastest that the machine can run. All sum in float32 at least. Products are in half
    precision where the embeddings are and the processor has units for it.

    Raises ``InputError`` for embeddings that do not match each other or the dictionary, a pair of views that are not
    there, a bad prior or an unknown ``impl`` or ``prior_loss``.
    """
    if impl not in IMPLEMENTATIONS:
        raise unknown("impl", impl, IMPLEMENTATIONS)
    n, f = _common_shape(views)
    if f != dictionary.f:
        raise InputError(f"embeddings of f = {f} dimensions with a dictionary of {dictionary.f} rows: must be equal")
    pairs = list(combinations(range(len(views)), 2)) if pairs is None else [tuple(pair) for pair in pairs]
    if not pairs or any(not 0 <= a < b < len(views) for a, b in pairs):
        raise InputError(f"pairs = {pairs}: must be (a, b) with 0 <= a < b < {len(views)}, the number of views")
    if prior_loss not in PRIOR_LOSSES:
        raise unknown("prior_loss", prior_loss, PRIOR_LOSSES)
    if prior is not None:
        check_prior(prior, dictionary.c, prior_loss)
    solve = reference if impl == "reference" else chunked
    problem = Problem(
        dictionary=dictionary,
        temperature=temperature,
        beta=float(beta),
        log_q=None if prior is None else full_precision(prior).log(),
        prior_loss=prior_loss,
        pairs=pairs,
        needs_grad=torch.is_grad_enabled() and any(h.requires_grad for h in views),
    )
    return Objective(*_InOneSweep.apply(problem, solve, *views))


def _common_shape(views: Sequence[Tensor]) -> tuple[int, int]:
    shapes = [tuple(h.shape) for h in views]
    if len(shapes) < 2 or len(shapes[0]) != 2 or len(set(shapes)) > 1 or math.prod(shapes[0]) == 0:
        raise InputError(f"embeddings of shapes {', '.join(map(str, shapes))}: must be at least two of the same (n, f)")
    return shapes[0]


class _InOneSweep(torch.autograd.Function):
    """The sweep knows the gradient once it knows the loss; keeping it is cheaper than keeping logits."""

    @staticmethod
    def forward(ctx, problem: Problem, solve, *views: Tensor):
        with without_autocast(views[0]):
            solution: Solution = solve(torch.stack(views), problem)
        ctx.save_for_backward(solution.grad)
        loss = problem.beta * solution.invariance + solution.prior
        parts = (loss, solution.invariance, solution.prior, solution.assignment_entropy, solution.mean_entropy)
        parts = (*(part.to(compute_dtype(views[0])) for part in parts), solution.codes)
        ctx.mark_non_differentiable(*parts[1:])
        return parts

    @staticmethod
    def backward(ctx, grad_loss: Tensor, *_):
        (grad,) = ctx.saved_tensors
        return None, None, *(grad * grad_loss).unbind()
