"""Same as ``cplearn table``."""

from cplearn_solo.cli import table

if __name__ == "__main__":
    table()
