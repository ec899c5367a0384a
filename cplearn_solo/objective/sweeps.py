"""The objective in three sweeps over the codes, none of which needs all logits at once.

For views a and b with logits z and p = softmax(z), the sweeps compute

1. for each sample log-sum-exp z_a and the mean of z_b under p_a, both updated when the maximum changes. They give the
   invariance: cross-entropy(p_a, p_b) = log-sum-exp z_b - mean of z_b under p_a;
2. for each code its mean assignment, and from it the prior's term and g, n times the term's derivative with respect to
   log p;
3. dloss / dz_a = p_a (beta sum_b (1 + mean of z_b - z_b) - sum_j g) + g - beta sum_b p_b, up to constant factors, and
   its product with W.

Half of the products of :mod:`reference` are in sweep 1, half in sweep 3. Sweeps 2 and 3 need the logits again: those
that fit into ``kept_bytes`` are kept, the others are computed again, which at worst doubles the products.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from cplearn_solo.core.cached import cached_tensor
from cplearn_solo.core.distributed import rank, world_size
from cplearn_solo.objective.prior_term import PriorTerm, prior_term
from cplearn_solo.objective.softmax_sums import SoftmaxSums, TileSums, merge
from cplearn_solo.objective.spec import LossAndGradient, LossSpec


class Sweeps(ABC):
    """The order of the sweeps and the results that they pass on; a subclass defines how a sweep goes over the codes.

    ``terms``: pairs (a, b) of views for which the first sweep computes the mean of z_b under p_a. ``groups``: the
    number of groups of samples that share a mean assignment, and the samples per group.
    """

    def __init__(self, h: Tensor, spec: LossSpec) -> None:
        self.spec, self.partners = spec, spec.partners(len(h))
        self.terms = [(0, 0), *(direction for pair in spec.pairs for direction in (pair, pair[::-1]))]
        n = h.shape[1]
        self.groups = (n // min(spec.samples, n), min(spec.samples, n))

    def run(self) -> LossAndGradient:
        spec, pairs = self.spec, self.spec.pairs
        first = rank() * spec.dictionary.c if spec.codes_shared else 0
        sums = merge(self.softmax_sums(first), self.terms, ranks=spec.codes_shared)
        prior = prior_term(*self.mean_assignments(sums), spec)
        entropies = sum(sums.cross_entropy(a, b) + sums.cross_entropy(b, a) for a, b in pairs)
        degrees = cached_tensor(tuple(map(len, self.partners)), dtype=torch.float64, device=prior.loss.device)
        return LossAndGradient(
            invariance=entropies.mean() / (2 * len(pairs)),
            prior=(degrees @ prior.loss).mean() / (2 * len(pairs)),
            assignment_entropy=sums.cross_entropy(0, 0).mean(),
            mean_entropy=prior.mean_entropy[0].mean(),
            codes=sums.codes,
            mean_assignment=prior.mean_assignment,
            grad=self._scaled_gradient(sums, prior) if spec.needs_grad else None,
        )

    def _scaled_gradient(self, sums: SoftmaxSums, prior: PriorTerm) -> Tensor:
        beta, partners = self.spec.beta, list(enumerate(self.partners))
        means = [sum(beta * (1 + sums.mean_logit(a, b)) for b in others) for a, others in partners]
        grad_sums = [len(others) * prior.grad_sum[a] for a, others in partners]
        constant = (torch.stack(means) - torch.stack(grad_sums)).to(sums.max_logit)
        # each rank has the part of its codes, and gathered embeddings get the sum over ranks
        ranks = world_size() if self.spec.codes_shared else 1
        scale = ranks / (2 * constant.shape[1] * len(self.spec.pairs) * self.spec.temperature)
        return self.gradient(sums, prior.log_ratio, constant) * scale

    @abstractmethod
    def softmax_sums(self, first: int) -> list[TileSums]:
        """The first sweep: the sums of each tile, whose codes are numbered from ``first``."""

    @abstractmethod
    def mean_assignments(self, sums: SoftmaxSums) -> tuple[Tensor, Tensor]:
        """The second sweep: log pbar ``(views, groups, c)`` and sum_j g_ij ``(views, n)``, in float64."""

    @abstractmethod
    def gradient(self, sums: SoftmaxSums, log_ratio: Tensor, constant: Tensor) -> Tensor:
        """The third sweep: dloss / dz W^T up to constant factors, ``(views, n, f)``.

        ``log_ratio``: log(pbar / q) ``(views, groups, c)``. ``constant`` ``(views, n)``: the factor of p_a without its
        part that depends on z_b.
        """
