"""Same as ``cplearn detect``."""

from cplearn_solo.cli import detect

if __name__ == "__main__":
    detect()
