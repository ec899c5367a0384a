"""How many batches of an epoch are trained on and validated, if limits of the Trainer allow only some of them."""

from __future__ import annotations

from typing import Protocol

from lightning import Trainer

from cplearn_solo.core.errors import require


class Counted(Protocol):
    """Batches that each of ``world`` processes trains on in an epoch, and that the process ``rank`` validates."""

    def batches(self, world: int) -> int: ...

    def val_batches(self, world: int, rank: int = 0) -> int: ...


def limited(batches: int, limit: int | float) -> int:
    """How many of ``batches`` the Trainer takes with a limit: an integer is their number, a float their share."""
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)


def check_batches(trainer: Trainer, loaders: Counted) -> None:
    """Raises ``InputError`` for limits that leave nothing to train on, and for others that the Trainer would refuse
    only during training."""
    whole, limit = loaders.batches(trainer.world_size), trainer.limit_train_batches
    batches = limited(whole, limit)
    require(batches > 0, "limit_train_batches", limit, f"so that one of {whole} batches is left, or more")
    if (limit := trainer.limit_val_batches) == 0:
        return
    world = trainer.world_size
    whole = loaders.val_batches(world, rank=world - 1)  # no other process has fewer
    require(whole > 0, "devices", world, "at most as many as images that are scored, unless limit_val_batches is 0")
    if isinstance(limit, float) and limit < 1:
        require(limited(whole, limit) > 0, "limit_val_batches", limit, f"0, or so that one of {whole} batches is left")
    interval = getattr(trainer, "val_check_interval", None)  # not there if the user gave a time
    within = trainer.check_val_every_n_epoch is not None
    wanted = f"at most {batches}, the batches of an epoch, unless check_val_every_n_epoch is null"
    require(not (within and isinstance(interval, int) and interval > batches), "val_check_interval", interval, wanted)
