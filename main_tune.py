"""Same as ``cplearn tune``."""

from cplearn_solo.cli import tune

if __name__ == "__main__":
    tune()
