"""solo-learn's configuration with our keys."""

from __future__ import annotations

from typing import Any

RESNET8 = "cplearn_resnet8"  # solo-learn treats every name that starts with resnet as torchvision's


def our_config(cfg: dict[str, Any]) -> dict[str, Any]:
    """The keys that evaluation reads, in our form; without learning rates, which solo-learn has already rescaled."""
    backbone = {"name": cfg["backbone"]["name"], "kwargs": cfg["backbone"].get("kwargs") or {}}
    if backbone["name"] == RESNET8:
        backbone["name"] = "resnet8"
    elif backbone["name"].startswith("resnet"):  # there the stem depends on the data set, here on the crop size
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
