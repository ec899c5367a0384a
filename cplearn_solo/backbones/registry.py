"""Names to backbones: ours, torchvision's ResNets, timm's ViTs, and any timm model as ``timm/<name>``.

Both libraries take a second or two to import, so they are imported only where one of their networks is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from cplearn_solo.backbones.catalog import BACKBONES
from cplearn_solo.backbones.elsewhere import has_small_stem, vit_in_timm
from cplearn_solo.backbones.resnet8 import LEAST_SIDE, ResNet8
from cplearn_solo.core.errors import InputError, reason_of, require, unknown


def build_backbone(
    name: str, *, crop_size: int, image_channels: int = 3, other_sizes: Iterable[int] = (), **kwargs: Any
) -> nn.Module:
    """The backbone ``name`` for images of ``image_channels`` and ``crop_size`` pixels.

    ``kwargs`` go to its constructor. The module maps images to features ``(n, d)`` and has d as ``num_features``.
    Raises ``InputError`` for an unknown name, a keyword or value that its constructor refuses, or ``other_sizes`` of
    crops that it does not take.
    """
    wanted = "backbone.weights=torchvision/NAME, a key of its own"
    require("weights" not in kwargs, "backbone.kwargs.weights", kwargs.get("weights"), wanted)
    wanted = "data.channels, a key of its own"
    require("in_chans" not in kwargs, "backbone.kwargs.in_chans", kwargs.get("in_chans"), wanted)
    if name.startswith("timm/"):
        build: Callable[..., nn.Module] = partial(_any_timm, name.removeprefix("timm/"))
    else:
        build = BACKBONES[name]
    try:
        model = build(crop_size, image_channels, **kwargs)
    except InputError:
        raise
    # how torchvision, timm and PyTorch refuse arguments, and what impossible sizes lead to
    except (TypeError, AssertionError, ValueError, RuntimeError, ArithmeticError) as error:
        reason = reason_of(error)
        raise InputError(f"backbone.kwargs = {kwargs}: must be keywords that {name!r} takes ({reason})") from error
    for size in other_sizes:
        if name.startswith("timm/"):
            told = f"crop_size = {size}: must be {crop_size}, as that of the first crops{or_any_size(model)}"
            output_for(size, model, told, channels=image_channels)
        elif hasattr(model, "patch_embed"):
            _check_patches(size, max(model.patch_embed.patch_size))
        elif isinstance(model, ResNet8):
            _check_side(size)
    return model


@torch.no_grad()
def output_for(size: int, model: nn.Module, told: str, *, channels: int) -> Tensor:
    """Output of ``model`` for zeros of ``size`` pixels; ``InputError`` that begins with ``told`` if it refuses them."""
    training, weight = model.training, next(model.parameters())
    try:
        return model.eval()(weight.new_zeros(1, channels, size, size))
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"{told} ({reason_of(error)})") from error
    finally:
        model.train(training)


def or_any_size(model: nn.Module) -> str:
    """The keyword with which a timm model takes images of any size, as the end of a list; empty if it already does."""
    if getattr(model, "dynamic_img_size", True):
        return ""
    strict = "strict_img_size" in signature(type(model)).parameters  # Swin's name for it
    return f", or backbone.kwargs.{'strict_img_size=false' if strict else 'dynamic_img_size=true'}"


@BACKBONES.register("resnet8")
def resnet8(crop_size: int, channels: int, /, *, width: int = 128) -> nn.Module:
    """Table 5 of the CPLearn paper."""
    require(width >= 1, "backbone.kwargs.width", width, "an integer from 1 up")
    _check_side(crop_size)
    return ResNet8(width, channels)


def _check_side(crop_size: int) -> None:
    wanted = f"at least {LEAST_SIDE} for resnet8, which halves it twice"
    require(crop_size >= LEAST_SIDE, "crop_size", crop_size, wanted)


def _resnet(name: str, crop_size: int, channels: int, /, *, small_stem: bool | None = None, **kwargs: Any) -> nn.Module:
    """torchvision's ResNet without its classifier; 3x3 stem and no max-pool (``small_stem``) for small images.

    The stem's padding of 2 is solo-learn's, so that weights are interchangeable.
    """
    from torchvision import models

    model = getattr(models, name)(weights=None, **kwargs)
    model.num_features, model.fc = model.fc.in_features, nn.Identity()
    if has_small_stem(name, crop_size, small_stem):
        model.conv1 = nn.Conv2d(channels, 64, kernel_size=3, stride=1, padding=2, bias=False)
        model.maxpool = nn.Identity()
    elif channels != 3:
        model.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision does
    return model


def _vit(size: str, crop_size: int, channels: int, /, *, patch_size: int | None = None, **kwargs: Any) -> nn.Module:
    """timm's plain ViT, with DINO's initial class token, and DINO's positions for crops of another size."""
    from cplearn_solo.backbones.vit import as_dino

    for key, usual in (("num_classes", 0), ("global_pool", "token")):
        value = kwargs.get(key, usual)
        require(bool(value) == bool(usual), f"backbone.kwargs.{key}", value, f"{usual!r}, for one vector of features")
    name, arguments = vit_in_timm(size, crop_size, channels, patch_size)
    _check_patches(crop_size, arguments["patch_size"])
    return as_dino(_timm(name, **{**arguments, **kwargs}), start=not kwargs.get("pretrained"))


def _check_patches(crop_size: int, patch: int) -> None:
    require(crop_size % patch == 0, "crop_size", crop_size, f"divisible by backbone.kwargs.patch_size ({patch})")


def _any_timm(name: str, crop_size: int, channels: int, /, **kwargs: Any) -> nn.Module:
    """d is the width of the output for an image: some models have layers after those that timm counts as features."""
    model = _timm(name, in_chans=channels, **kwargs)
    hint = "" if "img_size" in kwargs else f"; backbone.kwargs.img_size={crop_size} may help"
    told = f"crop_size = {crop_size}: must be one that 'timm/{name}' takes{hint}"
    shape = output_for(crop_size, model, told, channels=channels).shape
    wanted = f"a model that gives one vector for an image, and its output is {tuple(shape)}"
    require(len(shape) == 2, "backbone.name", f"timm/{name}", wanted)
    model.num_features = shape[-1]
    return model


def _timm(name: str, **kwargs: Any) -> nn.Module:
    import timm

    if not timm.is_model(name):
        raise unknown("timm model", name, timm.list_models())
    kwargs = {"pretrained": False, "num_classes": 0, **kwargs}
    try:
        return timm.create_model(name, **kwargs)
    except Exception as error:  # several libraries raise their own errors for the network
        if not kwargs["pretrained"] or isinstance(error, TypeError):
            raise
        raise out_of_reach(f"timm/{name}", error, "its files in the cache of the Hugging Face hub") from error


def out_of_reach(weights: str, error: Exception, place: str) -> InputError:
    """The error for published weights that are neither here nor can be downloaded; ``place`` says what to put where."""
    wanted = f"here or within reach ({reason_of(error)}): put {place}, or set backbone.weights to a file of weights"
    return InputError(f"weights = {weights!r}: must be {wanted}")


for _name in ("resnet18", "resnet34", "resnet50"):
    BACKBONES.register(_name)(partial(_resnet, _name))
for _size in ("tiny", "small", "base"):
    BACKBONES.register(f"vit_{_size}")(partial(_vit, _size))
