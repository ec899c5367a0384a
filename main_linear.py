"""Same as ``cplearn linear``."""

from cplearn_solo.cli import linear

if __name__ == "__main__":
    linear()
