"""Old name of :mod:`cplearn_solo.core.distributed`, to be removed in the next release."""

from cplearn_solo.core.distributed import gather, max_ranks, rank, shared_generator, sum_ranks, world_size

__all__ = ["gather", "max_ranks", "rank", "shared_generator", "sum_ranks", "world_size"]
