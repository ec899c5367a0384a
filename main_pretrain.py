"""Same as ``cplearn pretrain``."""

from cplearn_solo.cli import pretrain

if __name__ == "__main__":
    pretrain()
