"""Same as ``cplearn search``."""

from cplearn_solo.cli import search

if __name__ == "__main__":
    search()
