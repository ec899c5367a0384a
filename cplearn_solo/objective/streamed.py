"""Assignments to a large dictionary in evaluation, a block of codes at a time: memory does not grow with c."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from cplearn_solo.objective.packed import PackedDictionary

_LOGITS_AT_ONCE = 1 << 24


class StreamedLogits:
    """H W / tau of embeddings H ``h`` ``(n, f)``, and what follows from it; W is unpacked again in every pass."""

    def __init__(self, h: Tensor, dictionary: PackedDictionary, temperature: float) -> None:
        self.h, self.dictionary, self.temperature = h, dictionary, temperature

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """First code and logits ``(n, block)`` of each block of codes."""
        block = max(1, _LOGITS_AT_ONCE // max(self.h.shape))  # limits both the tile of W and that of logits
        for start in range(0, self.dictionary.c, block):
            tile = self.dictionary.tile(start, min(start + block, self.dictionary.c))
            yield start, self.h @ tile.to(self.h.dtype) / self.temperature

    def largest(self) -> tuple[Tensor, Tensor, Tensor]:
        """Most likely code of each sample, its logit and the log-sum-exp of all logits, each ``(n,)``."""
        best = log_sum = self.h.new_full((len(self.h),), -torch.inf)
        code = torch.zeros(len(self.h), dtype=torch.int64, device=self.h.device)
        for start, logits in self.blocks():
            value, index = logits.max(dim=1)
            code = torch.where(value > best, index + start, code)
            best = torch.maximum(value, best)
            log_sum = torch.logaddexp(log_sum, logits.logsumexp(dim=1))
        return code, best, log_sum

    def entropies(self) -> tuple[Tensor, Tensor]:
        """H(mean_i p_i) and mean_i H(p_i) of the assignments p = softmax(H W / tau)."""
        log_sum = self.largest()[2]
        of_mean = mean = self.h.new_zeros(())
        for _, logits in self.blocks():
            p = (logits - log_sum[:, None]).exp()
            of_mean = of_mean + torch.special.entr(p.mean(dim=0)).sum()
            mean = mean + torch.special.entr(p).sum() / len(p)
        return of_mean, mean
