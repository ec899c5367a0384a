"""Same as ``cplearn clustering``."""

from cplearn_solo.cli import clustering

if __name__ == "__main__":
    clustering()
