"""Memory of a training step on the CPU is kept for the next one."""

import ctypes

# Parameters of glibc's mallopt(3): how much may be free at the heap's top, and how large a block has pages of its own.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 1 << 30  # bytes


def keep_freed_memory() -> None:
    """Keeps this process from giving pages back to the system at each step, only to ask for them again at the next.

    By itself, glibc does so in some runs and not in others, depending on which blocks happen to lie at the heap's top,
    and zeroing fresh pages takes time. No effect with other C libraries.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_TRIM_THRESHOLD, _KEPT)
    mallopt(_MMAP_THRESHOLD, _KEPT)
