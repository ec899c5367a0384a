"""The sweeps over tiles of the dictionary that are unpacked to floats one at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from cplearn_solo.objective.prior_term import TilePrior, tile_prior
from cplearn_solo.objective.softmax_sums import SoftmaxSums, TileSums
from cplearn_solo.objective.spec import LossAndGradient, LossSpec
from cplearn_solo.objective.sweeps import Sweeps
from cplearn_solo.objective.tiles import Tiles


def chunked(h: Tensor, spec: LossSpec) -> LossAndGradient:
    """The objective of embeddings ``(views, n, f)``."""
    return ChunkedSweeps(h, spec).run()


class ChunkedSweeps(Sweeps):
    """Each sweep is a loop over tiles of codes."""

    def __init__(self, h: Tensor, spec: LossSpec) -> None:
        super().__init__(h, spec)
        self.tiles = Tiles(h, spec.dictionary, spec.temperature, kept_bytes=spec.kept_bytes)

    def softmax_sums(self, first: int) -> list[TileSums]:
        return [self._tile_sums(k, first + start) for k, (start, _) in enumerate(self.tiles.bounds)]

    def mean_assignments(self, sums: SoftmaxSums) -> tuple[Tensor, Tensor]:
        like, c = sums.max_logit, self.spec.dictionary.c
        prior = tile_prior(self.spec, sums, self.groups)
        log_mean = like.new_empty(len(like), self.groups[0], c)
        grad_sum = torch.zeros_like(sums.sum_exp).unflatten(1, self.groups)
        for k, (start, stop) in enumerate(self.tiles.bounds):
            codes = slice(start, stop)
            d, e = self.tiles.shifted(k, self.tiles.logits(k), sums.max_logit)
            log_mean[:, :, codes], part = prior.means(codes, d.unflatten(1, self.groups), e.unflatten(1, self.groups))
            grad_sum += part
        return log_mean, grad_sum.flatten(1)

    def gradient(self, sums: SoftmaxSums, log_ratio: Tensor, constant: Tensor) -> Tensor:
        tiles, prior = self.tiles, tile_prior(self.spec, sums, self.groups)
        grad = tiles.h.new_zeros(tiles.h.flatten(0, 1).shape, dtype=tiles.dtype)
        for k, (start, stop) in enumerate(tiles.bounds):
            dz = self._tile_gradient(k, sums.max_logit, log_ratio[:, :, start:stop], constant, prior)
            grad += tiles.times_transposed_w(k, dz)
        return grad.view_as(tiles.h)

    def _tile_sums(self, k: int, start: int) -> TileSums:
        z = self.tiles.logits(k)
        top = z.amax(dim=2).to(self.tiles.dtype)
        d, e = self.tiles.shifted(k, z, top)
        all_pairs = torch.bmm(d.transpose(0, 1), e.permute(1, 2, 0))  # (n, b, a)
        sum_exp_logit = torch.stack([all_pairs[:, b, a] for a, b in self.terms])
        return TileSums(top, e.sum(dim=2), sum_exp_logit, z[0].argmax(dim=1) + start)

    def _tile_gradient(self, k: int, top: Tensor, log_ratio: Tensor, constant: Tensor, prior: TilePrior) -> Tensor:
        """dloss / dz of the k-th tile up to constant factors, ``(views, n, width)`` in the dtype of products."""
        tiles, beta = self.tiles, self.spec.beta
        dz = tiles.logits(k)  # its memory is free for the result once the logits are shifted
        d, e = tiles.shifted(k, dz, top)
        p, t = e.mul_(prior.inverse_sum.flatten(1)[:, :, None]), tiles.work(k)
        for a, others in enumerate(self.partners):
            _subtract(constant[a, :, None], beta, d[others[0]], out=t)
            for b in others[1:]:
                _subtract(t, beta, d[b], out=t)
            grouped = (x.unflatten(0, self.groups) for x in (t, d[a], p[a]))
            prior.add_gradient(*grouped, log_ratio[a], view=a, weight=len(others))
            for b in others[:-1]:
                _subtract(t, beta, p[b], out=t)
            _subtract(t, beta, p[others[-1]], out=dz[a])
        return dz


def _subtract(x: Tensor, factor: float | Tensor, y: Tensor, *, out: Tensor) -> None:
    """``x - factor * y`` in one operation, whether the factor is a number or a tensor."""
    if isinstance(factor, Tensor):
        torch.addcmul(x, y, factor, value=-1, out=out)
    else:
        torch.sub(x, y, alpha=factor, out=out)
