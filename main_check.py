"""Same as ``cplearn check``."""

from cplearn_solo.cli import check

if __name__ == "__main__":
    check()
