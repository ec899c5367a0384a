"""A first-in first-out queue of embeddings from earlier batches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import require


class Queue(nn.Module):
    """The last ``size`` rows of all ranks for each of ``views`` views: ``rows`` ``(views, size, dim)``.

    It starts with random unit vectors. A checkpoint holds rows and position. Raises ``InputError`` unless ``size`` is a
    multiple of the batch: here of one rank's batch, in :meth:`push` of the batch of all ranks.
    """

    def __init__(self, views: int, size: int, dim: int, *, batch_size: int) -> None:
        super().__init__()
        self.seen, self.batch_size = 0, batch_size
        self.register_buffer("rows", F.normalize(torch.randn(views, size, dim), dim=2))
        self.check_ranks(1)

    @property
    def full(self) -> bool:
        """Whether no random vectors are left."""
        return self.seen >= self.rows.shape[1]

    def check_ranks(self, ranks: int) -> None:
        """Raises ``InputError`` unless ``size`` is a multiple of the batch of ``ranks`` processes."""
        self._check(self.batch_size * ranks)

    def push(self, views: list[Tensor]) -> None:
        """Replaces the oldest rows by the new rows of all ranks, ``(n, dim)`` for each view."""
        new = torch.stack([gather(rows.detach()) for rows in views])
        self._check(new.shape[1])
        # in a run that was resumed with another batch size, the position is not a multiple of the batch
        self.rows[:, (self.seen + torch.arange(new.shape[1], device=new.device)) % self.rows.shape[1]] = new
        self.seen += new.shape[1]

    def get_extra_state(self) -> int:
        return self.seen

    def set_extra_state(self, state: int) -> None:
        self.seen = state

    def _check(self, batch: int) -> None:
        size = self.rows.shape[1]
        multiple = size >= batch and size % batch == 0
        require(multiple, "method_kwargs.queue_size", size, f"a multiple of the whole batch, {batch}")
