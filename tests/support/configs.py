"""Shipped configurations, whole or cut down to seconds."""

from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

PRETRAIN = Path(__file__).parents[2] / "scripts/pretrain"
DIGITS = sorted(path.stem for path in (PRETRAIN / "digits").glob("*.yaml"))
KINDS = ("cplearn", "byol", "mocov2plus", "gedi")  # with a dictionary, a teacher, a queue, a replay buffer


@cache
def composed(path):
    """What Hydra makes of a YAML file; not to be changed, as it is kept."""
    with initialize_config_dir(str(path.parent), version_base="1.3"):
        return compose(path.stem)


def shipped(name, folder="digits", **changes):
    """A shipped configuration as plain values; ``changes`` are merged into it."""
    plain = OmegaConf.to_container(composed(PRETRAIN / folder / f"{name}.yaml"))
    return OmegaConf.to_container(OmegaConf.merge(plain, changes))


def tiny(runs, name="cplearn", folder="digits", *, batch_size=32, **changes):
    """A shipped configuration that trains in seconds on the CPU, with its run folders below ``runs``."""
    whole = shipped(name, folder)
    whitening_block = whole["method_kwargs"].get("whitening_size", 0)  # W-MSE needs one in a batch
    small = {
        "data": {"max_train_images": 200, "num_workers": 0},
        "optimizer": {"batch_size": max(batch_size, whitening_block)},
        "max_epochs": 4,
        "checkpoint": {"dir": str(runs)},
        "enable_progress_bar": False,
        "accelerator": "cpu",
    }
    return OmegaConf.to_container(OmegaConf.merge(whole, small, changes))
