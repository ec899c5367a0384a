"""The number of processor cores that this process may use."""


def cores() -> int:
    """Number of cores that the process may use, by its affinity and, in a container, by its quota, rounded up."""
    from joblib import cpu_count  # imported here because it takes a while

    return cpu_count()
