"""Our backbones as models of timm with the same names of weights."""

from __future__ import annotations

from typing import Any

RESNETS = ("resnet18", "resnet34", "resnet50")
SMALL_IMAGE = 64  # pixels; up to here ResNets get the CIFAR stem and ViTs patches of 4


def has_small_stem(name: str, crop_size: int, small_stem: bool | None = None) -> bool:
    """Whether it is a ResNet with a 3x3 stem and no max-pool, which other libraries do not build."""
    return name in RESNETS and (crop_size <= SMALL_IMAGE if small_stem is None else small_stem)


def vit_in_timm(size: str, crop_size: int, channels: int, patch_size: int | None) -> tuple[str, dict[str, Any]]:
    """Name and arguments of timm's plain ViT for images of that size."""
    patch = patch_size or (4 if crop_size <= SMALL_IMAGE else 16)
    arguments = {"img_size": crop_size, "in_chans": channels, "patch_size": patch, "dynamic_img_size": True}
    return f"vit_{size}_patch16_224", arguments


def in_timm(name: str, *, crop_size: int, image_channels: int, **kwargs: Any) -> tuple[str, dict[str, Any]] | None:
    """Name and arguments of the timm model that equals the backbone ``name``, or ``None``.

    Our ViTs equal timm's for images of ``crop_size``; for other sizes, they resize positions in another way.
    """
    own = {key: value for key, value in kwargs.items() if not key.startswith("pretrained")}
    if name.startswith("timm/"):
        return name.removeprefix("timm/"), {"in_chans": image_channels, **own}
    if name.startswith("vit_"):
        patch = own.pop("patch_size", None)
        model, arguments = vit_in_timm(name.removeprefix("vit_"), crop_size, image_channels, patch)
        return model, {**arguments, **own}
    if name in RESNETS and not has_small_stem(name, crop_size, own.get("small_stem")):
        return name, {"in_chans": image_channels}
    return None
