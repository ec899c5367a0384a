"""Same as ``cplearn duplicates``."""

from cplearn_solo.cli import duplicates

if __name__ == "__main__":
    duplicates()
