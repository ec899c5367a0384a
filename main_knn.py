"""Same as ``cplearn knn``."""

from cplearn_solo.cli import knn

if __name__ == "__main__":
    knn()
