"""How many processor cores there are for this process."""


def cores() -> int:
    """Those that the process may use: of its affinity and, in a container, of its share, rounded up."""
    from joblib import cpu_count  # as late as this because it takes a while to import

    return cpu_count()
