"""A first-in first-out queue of embeddings from earlier batches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import InputError


class Queue(nn.Module):
    """The last ``size`` rows of all ranks for each of ``views`` views: ``rows`` ``(views, size, dim)``.

    It starts with random unit vectors. A checkpoint holds rows and position. Raises ``InputError`` unless batches fill
    it evenly, here for one rank's batch and at the first :meth:`push` for that of all ranks.
    """

    def __init__(self, views: int, size: int, dim: int, *, batch_size: int) -> None:
        super().__init__()
        self.seen = 0
        self.register_buffer("rows", F.normalize(torch.randn(views, size, dim), dim=2))
        self._check(batch_size)

    @property
    def full(self) -> bool:
        """Whether only real embeddings are left."""
        return self.seen >= self.rows.shape[1]

    def push(self, views: list[Tensor]) -> None:
        """Replaces the oldest rows by those of every rank, ``(n, dim)`` for each view."""
        new = torch.stack([gather(rows.detach()) for rows in views])
        self._check(new.shape[1])
        # a run resumed with another batch may not be at a multiple of it
        self.rows[:, (self.seen + torch.arange(new.shape[1], device=new.device)) % self.rows.shape[1]] = new
        self.seen += new.shape[1]

    def get_extra_state(self) -> int:
        return self.seen

    def set_extra_state(self, state: int) -> None:
        self.seen = state

    def _check(self, batch: int) -> None:
        size = self.rows.shape[1]
        if size < batch or size % batch:
            raise InputError(f"method_kwargs.queue_size = {size}: must be a multiple of the whole batch, {batch}")
