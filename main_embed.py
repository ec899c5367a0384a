"""Same as ``cplearn embed``."""

from cplearn_solo.cli import embed

if __name__ == "__main__":
    embed()
