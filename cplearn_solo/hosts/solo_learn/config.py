"""solo-learn's configuration in our words."""

from __future__ import annotations

from typing import Any

RESNET8 = "cplearn_resnet8"  # solo-learn takes a name that starts with resnet for torchvision's and rewires it


def our_config(cfg: dict[str, Any]) -> dict[str, Any]:
    """What evaluation reads, in our configuration's words; solo-learn has rescaled the learning rates in its own."""
    backbone = {"name": cfg["backbone"]["name"], "kwargs": cfg["backbone"].get("kwargs") or {}}
    if backbone["name"] == RESNET8:
        backbone["name"] = "resnet8"
    elif backbone["name"].startswith("resnet"):  # there the stem goes by data set, here by crop size
        backbone["kwargs"]["small_stem"] = cfg["data"]["dataset"] in ("cifar10", "cifar100")
    sizes = [{"crop_size": aug["crop_size"], "num_crops": aug["num_crops"]} for aug in cfg["augmentations"]]
    ours = {
        key: cfg[key] for key in ("name", "method", "method_kwargs", "max_epochs", "seed") if cfg.get(key) is not None
    }
    data = {
        k: v for k, v in cfg["data"].items() if k in ("dataset", "train_path", "val_path", "no_labels", "num_workers")
    }
    momentum = {k: v for k, v in (cfg.get("momentum") or {}).items() if k in ("base_tau", "final_tau")}
    return {
        **ours,
        "backbone": backbone,
        "data": data,
        "augmentations": sizes,
        "optimizer": {"batch_size": cfg["optimizer"]["batch_size"]},
        **({"momentum": momentum} if momentum else {}),
    }
