"""Same as ``cplearn gallery``."""

from cplearn_solo.cli import gallery

if __name__ == "__main__":
    gallery()
