"""The objective in three sweeps over tiles of codes, none of which needs all logits at once.

For views a and b with logits z and p = softmax(z), the sweeps find

1. for each sample log-sum-exp z_a and the mean of z_b under p_a, both updated as the maximum moves. This is all of the
   invariance: cross-entropy(p_a, p_b) = log-sum-exp z_b - mean of z_b under p_a;
2. for each code its mean assignment, whence the prior's term and its derivative v by log p;
3. dloss / dz_a = p_a (beta sum_b (1 + mean of z_b - z_b) - sum_j v) + v - beta sum_b p_b, but for factors, and its
   product with W.

Half of the plain path's products are in sweep 1, half in sweep 3. Sweeps 2 and 3 need the logits again: those that fit
into ``kept_bytes`` are kept, the others multiplied out, which at worst doubles the products.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cplearn_solo.core.distributed import rank, world_size
from cplearn_solo.objective.matching import Forward, Reverse
from cplearn_solo.objective.problem import Problem, Solution
from cplearn_solo.objective.rows import Rows
from cplearn_solo.objective.tiles import Tiles


def chunked(h: Tensor, problem: Problem) -> Solution:
    """The objective of embeddings ``(views, n, f)``."""
    return Sweeps(h, problem, Tiles).solve()


class Sweeps:
    """The sweeps over all tiles; what is done to one tile is in ``_sum``, ``_match`` and ``_differentiate``."""

    def __init__(self, h: Tensor, problem: Problem, tiles: type[Tiles]) -> None:
        self.problem, self.partners = problem, problem.partners(len(h))
        self.terms = [(0, 0), *(direction for pair in problem.pairs for direction in (pair, pair[::-1]))]
        self.tiles = tiles(h, problem.dictionary, problem.temperature, kept_bytes=problem.kept_bytes)

    def solve(self) -> Solution:
        problem = self.problem
        self._sum_over_codes()
        self._match_prior()
        rows, matching = self.rows, self.matching
        degrees = matching.loss.new_tensor([len(others) for others in self.partners])
        entropies = sum(rows.cross_entropy(a, b) + rows.cross_entropy(b, a) for a, b in problem.pairs)
        return Solution(
            invariance=entropies.mean() / (2 * len(problem.pairs)),
            prior=(degrees @ matching.loss).mean() / (2 * len(problem.pairs)),
            assignment_entropy=rows.cross_entropy(0, 0).mean(),
            mean_entropy=matching.mean_entropy[0].mean(),
            codes=rows.codes,
            grad=self._gradient() if problem.needs_grad else None,
        )

    def _sum_over_codes(self) -> None:
        """The first sweep."""
        problem = self.problem
        self.rows = Rows(self.terms)
        self._sum_all(rank() * problem.dictionary.c if problem.codes_shared else 0)
        self.rows.merge(ranks=problem.codes_shared)

    def _match_prior(self) -> None:
        """The second sweep."""
        problem = self.problem
        form = {"reverse": Reverse, "forward": Forward}[problem.prior_loss]
        self.matching = form(self.rows, problem)
        self.groups = self.matching.share.shape[1:]
        self._match_all()
        self.matching.finish()

    def _gradient(self) -> Tensor:
        """The third sweep: ``(views, n, f)``."""
        problem, rows = self.problem, self.rows
        means = [sum(problem.beta * (1 + rows.mean(a, b)) for b in others) for a, others in enumerate(self.partners)]
        pulls = [len(others) * self.matching.pull[a].flatten() for a, others in enumerate(self.partners)]
        self.constant = (torch.stack(means) - torch.stack(pulls)).to(rows.top)
        # each rank has the part of its codes, and the sum over ranks is what gathered embeddings get
        scale = world_size() if problem.codes_shared else 1
        n = self.constant.shape[1]
        return self._differentiate_all() * (scale / (2 * n * len(problem.pairs) * problem.temperature))

    def _sum_all(self, first: int) -> None:
        """Adds all tiles to ``rows``; ``first``: the first code."""
        for k, (start, _) in enumerate(self.tiles.bounds):
            self._sum(k, first + start)

    def _match_all(self) -> None:
        """Adds all tiles to ``matching``."""
        for k, codes in enumerate(self.tiles.bounds):
            self._match(k, slice(*codes))

    def _differentiate_all(self) -> Tensor:
        """dloss / dz W^T but for factors, ``(views, n, f)``."""
        tiles = self.tiles
        grad = tiles.h.new_zeros(tiles.h.flatten(0, 1).shape, dtype=tiles.dtype)
        for k, codes in enumerate(tiles.bounds):
            grad += self._differentiate(k, slice(*codes)).flatten(0, 1) @ tiles.w(k).T
        return grad.view_as(tiles.h)

    def _sum(self, k: int, start: int) -> None:
        """Adds the k-th tile, whose first code is ``start``, to ``rows``."""
        z = self.tiles.logits(k)
        top = z.amax(dim=2).to(self.tiles.dtype)
        d, e = self.tiles.shifted(k, z, top)
        moments = torch.bmm(d.transpose(0, 1), e.permute(1, 2, 0))  # (n, b, a): all pairs of views at once
        moment = torch.stack([moments[:, b, a] for a, b in self.terms])
        self.rows.add(top, e.sum(dim=2), moment, z[0].argmax(dim=1) + start)

    def _match(self, k: int, codes: slice) -> None:
        """Adds the k-th tile to ``matching``."""
        d, e = self.tiles.shifted(k, self.tiles.logits(k), self.rows.top)
        self.matching.see(codes, d.unflatten(1, self.groups), e.unflatten(1, self.groups))

    def _differentiate(self, k: int, codes: slice) -> Tensor:
        """dloss / dz of the k-th tile but for factors, ``(views, n, width)`` in the type of products."""
        tiles, beta, matching = self.tiles, self.problem.beta, self.matching
        dz = tiles.logits(k)  # not needed any more once they are shifted
        d, e = tiles.shifted(k, dz, self.rows.top)
        p, t = e.mul_(matching.share.flatten(1)[:, :, None]), tiles.work(k)
        for a, others in enumerate(self.partners):
            torch.add(self.constant[a, :, None], d[others[0]], alpha=-beta, out=t)
            for b in others[1:]:
                t.sub_(d[b], alpha=beta)
            grouped = (x.unflatten(0, self.groups) for x in (t, d[a], p[a]))
            matching.differentiate(*grouped, view=a, codes=codes, weight=len(others))
            for b in others[:-1]:
                t.sub_(p[b], alpha=beta)
            torch.sub(t, p[others[-1]], alpha=beta, out=dz[a])
        return dz
