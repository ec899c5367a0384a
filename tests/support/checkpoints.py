"""Models that were never trained, as checkpoints."""

import torch

from cplearn_solo.config.read import parse_config
from cplearn_solo.engine.checkpoint import checkpoint_entry
from cplearn_solo.engine.module import Pretrainer
from support.configs import tiny

MEAN, STD = [0.4, 0.5, 0.6, 0.7], [0.2, 0.25, 0.3, 0.35]
CLASSES = [f"kind {i}" for i in range(10)]


def write_checkpoint(folder, method="cplearn", backbone=None, **data):
    """A checkpoint of a method with seeded weights, whose keys of ``data`` are ``data``.

    ``backbone``: name and size of images of another one than the shipped, and its keywords.
    """
    plain = tiny(folder, method, data=data)
    if backbone:
        name, size, kwargs = backbone
        plain["backbone"] = {"name": name, "kwargs": kwargs}
        plain["augmentations"] = [{"crop_size": size, "num_crops": 2}]
    config = parse_config(plain)
    channels = config.data.channels
    statistics = {"num_classes": 10, "mean": MEAN[:channels], "std": STD[:channels], "classes": CLASSES}
    torch.manual_seed(0)
    module = Pretrainer(config, **statistics)
    module.features_scale.update(3 * torch.randn(50, module.backbone.num_features) + 1)
    entry = checkpoint_entry(config, **statistics)
    torch.save({"state_dict": module.state_dict(), **entry}, folder / "model.ckpt")
    return folder / "model.ckpt"
