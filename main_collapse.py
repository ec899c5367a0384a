"""Same as ``cplearn collapse``."""

from cplearn_solo.cli import collapse

if __name__ == "__main__":
    collapse()
