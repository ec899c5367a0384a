"""Memory that runs out, told as a line that names what takes less of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from cplearn_solo.core.errors import InputError, reason_of

# Words of PyTorch's allocators (torch.OutOfMemoryError of GPUs, a RuntimeError for CPUs), of cuBLAS and cuDNN, of C++,
# of the system, and of Python where there is no room for a thread's stack.
WORDS = re.compile(
    r"out of memory|allocate memory|not enough memory|ALLOC_FAILED|bad_alloc|can't start new thread", re.IGNORECASE
)


class OutOfMemory(InputError):
    """What was asked for needs more memory than there is."""


def lack_of_memory(error: BaseException) -> str:
    """The first line of ``error`` if it says that memory has run out, of a GPU or of the machine, else empty."""
    by_words = isinstance(error, (RuntimeError, OSError)) and WORDS.search(str(error))
    return reason_of(error) if isinstance(error, MemoryError) or by_words else ""


@contextmanager
def large_batch_told(key: str, size: int, device: object, *ways: str) -> Iterator[None]:
    """In this block, memory that runs out is an ``OutOfMemory`` error: ``key = size: must be smaller, ...``.

    ``device``: where the batch is computed; ``ways``: what else takes less memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not lack_of_memory(error):
            raise
        told = f"{key} = {size}: must be smaller, as the memory of {device} ran out"
        raise OutOfMemory("; ".join([told, *ways])) from error
