"""Same as ``cplearn predict``."""

from cplearn_solo.cli import predict

if __name__ == "__main__":
    predict()
