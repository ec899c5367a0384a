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

from cplearn_solo.distributed import rank, world_size
from cplearn_solo.kernels.matching import Forward, Matching, Reverse
from cplearn_solo.kernels.problem import Problem, Solution
from cplearn_solo.kernels.rows import Rows
from cplearn_solo.kernels.tiles import Tiles


def chunked(h: Tensor, problem: Problem) -> Solution:
    """The objective of embeddings ``(views, n, f)``."""
    views, n, _ = h.shape
    tiles = Tiles(h, problem.dictionary, problem.temperature, kept_bytes=problem.kept_bytes)
    rows = _sum_over_codes(tiles, problem)
    matching = _match(tiles, problem, rows)
    degrees = matching.loss.new_tensor([len(partners) for partners in problem.partners(views)])
    entropies = sum(rows.cross_entropy(a, b) + rows.cross_entropy(b, a) for a, b in problem.pairs)
    return Solution(
        invariance=entropies.mean() / (2 * len(problem.pairs)),
        prior=(degrees @ matching.loss).mean() / (2 * len(problem.pairs)),
        assignment_entropy=rows.cross_entropy(0, 0).mean(),
        mean_entropy=matching.mean_entropy[0].mean(),
        codes=rows.codes,
        grad=_gradient(tiles, problem, rows, matching) if problem.needs_grad else None,
    )


def _sum_over_codes(tiles: Tiles, problem: Problem) -> Rows:
    """The first sweep."""
    directed = [direction for pair in problem.pairs for direction in (pair, pair[::-1])]
    rows = Rows(tiles.h, [(0, 0), *directed], tiles.dtype)
    for k, (start, _) in enumerate(tiles.bounds):
        z = tiles.logits(k)
        rows.see(z, start)
        rows.add(*tiles.shifted(k, z, rows.top), work=tiles.work(k))
    if problem.codes_shared:
        rows.codes += rank() * problem.dictionary.c
        rows.merge()
    return rows


def _match(tiles: Tiles, problem: Problem, rows: Rows) -> Matching:
    """The second sweep."""
    form = {"reverse": Reverse, "forward": Forward}[problem.prior_loss]
    matching = form(rows, problem.dictionary.c, problem.samples, shared=problem.samples_shared)
    groups = matching.share.shape[1:]
    for k, (start, stop) in enumerate(tiles.bounds):
        d, e = (x.unflatten(1, groups) for x in tiles.shifted(k, tiles.logits(k), rows.top))
        matching.see(slice(start, stop), d, e, problem.log_prior(start, stop, like=d))
    if problem.codes_shared:
        matching.merge()
    return matching


def _gradient(tiles: Tiles, problem: Problem, rows: Rows, matching: Matching) -> Tensor:
    """The third sweep: ``(views, n, f)``."""
    views, n, f = tiles.h.shape
    beta, partners, groups = problem.beta, problem.partners(views), matching.share.shape[1:]
    means = [sum(beta * (1 + rows.mean(a, b)) for b in others) for a, others in enumerate(partners)]
    pulls = [len(others) * matching.pull[a].flatten() for a, others in enumerate(partners)]
    constant = (torch.stack(means) - torch.stack(pulls)).to(tiles.dtype)[:, :, None]
    share = matching.share.flatten(1)[:, :, None]
    grad = tiles.h.new_zeros(views * n, f, dtype=tiles.dtype)
    for k, codes in enumerate(tiles.bounds):
        dz = tiles.logits(k)  # not needed any more once they are shifted
        d, e = tiles.shifted(k, dz, rows.top)
        p, t = e.mul_(share), tiles.work(k)
        for a, others in enumerate(partners):
            torch.add(constant[a], d[others[0]], alpha=-beta, out=t)
            for b in others[1:]:
                t.sub_(d[b], alpha=beta)
            grouped = (x.unflatten(0, groups) for x in (t, d[a], p[a]))
            matching.differentiate(*grouped, view=a, codes=slice(*codes), weight=len(others))
            for b in others[:-1]:
                t.sub_(p[b], alpha=beta)
            torch.sub(t, p[others[-1]], alpha=beta, out=dz[a])
        grad += dz.flatten(0, 1) @ tiles.w(k).T
    # each rank has the part of its codes, and the sum over ranks is what gathered embeddings get
    scale = world_size() if problem.codes_shared else 1
    return grad.view(views, n, f) * (scale / (2 * n * len(problem.pairs) * problem.temperature))
