"""Python code that loads an exported backbone, with only the libraries that its network needs."""

from __future__ import annotations

from cplearn_solo.backbones.elsewhere import RESNETS
from cplearn_solo.data.decoding.image import COLOURS
from cplearn_solo.data.schema import RGB
from cplearn_solo.inference.pretrained import Pretrained
from cplearn_solo.inference.timm_folder import describe, timm_model


def recipe(model: Pretrained, out: str, ending: str) -> str:
    """Lines that make ``model`` in evaluation mode from what is in ``out``, or for .onnx ``features``."""
    if ending == "":
        return _lines(
            "import timm",
            f"model = timm.create_model({f'local-dir:{out}'!r}, pretrained=True).eval()",
            f"# or transformers.AutoModel.from_pretrained({out!r}), whose pooler_output are the features",
        )
    if ending == ".onnx":
        return _lines(
            "import onnxruntime",
            f"session = onnxruntime.InferenceSession({out!r})",
            '(features,) = session.run(None, {"images": images})  # float32 (n, c, h, w) to (n, d)',
        )
    if ending == ".pkl":
        return _detectron2(model, out)
    read = "import torch\nweights = torch.load({!r}, weights_only=True)"
    if ending == ".safetensors":
        read = "from safetensors.torch import load_file\nweights = load_file({!r})"
    return _lines(_network(model), read.format(out), "model.load_state_dict(weights)", "model.eval()")


def loaders(model: Pretrained) -> str:
    """A sentence on which other software has the network."""
    name = describe(model)
    if timm_model(model) is not None:
        return f"{name}: timm and transformers load it from a folder, cplearn export RUN FOLDER/"
    who = "no library has it, torchvision makes it in the lines below"
    if model.config.backbone.name not in RESNETS:
        who = "no other library has it"
    return f"{name}: {who}; an .onnx file brings its own"


def _network(model: Pretrained) -> str:
    """Lines that make the network with random weights."""
    backbone, channels = model.config.backbone, model.config.data.channels
    if backbone.name in RESNETS:
        return _resnet(model)
    if (known := timm_model(model)) is not None:
        name, arguments = known
        return f"import timm\nmodel = timm.create_model({name!r}{_keywords({'num_classes': 0} | arguments)})"
    kwargs = ({} if channels == RGB else {"image_channels": channels}) | backbone.kwargs
    size = model.config.augmentations[0].crop_size
    return _lines(
        "from cplearn_solo.backbones import build_backbone",
        f"model = build_backbone({backbone.name!r}, crop_size={size}{_keywords(kwargs)})",
    )


def _resnet(model: Pretrained) -> str:
    """torchvision's, with the first layer of this one."""
    backbone, conv = model.config.backbone, model.backbone.conv1
    own = {key: value for key, value in backbone.kwargs.items() if key != "small_stem"}
    keywords = _keywords(own).removeprefix(", ")
    lines = ["import torch", "import torchvision", f"model = torchvision.models.{backbone.name}({keywords})"]
    lines += ["model.fc = torch.nn.Identity()"]
    small = conv.kernel_size == (3, 3)
    if small or conv.in_channels != RGB:
        shape = f"{conv.in_channels}, 64, kernel_size={conv.kernel_size[0]}, stride={conv.stride[0]}"
        lines += [f"model.conv1 = torch.nn.Conv2d({shape}, padding={conv.padding[0]}, bias=False)"]
    return _lines(*lines, *(["model.maxpool = torch.nn.Identity()"] if small else []))


def _detectron2(model: Pretrained, out: str) -> str:
    """Lines that set a detectron2 configuration to the run's network; its defaults are for its own weights."""
    mean, std = ([round(255 * each, 3) for each in values] for values in (model.mean, model.std))
    depth = int(model.config.backbone.name.removeprefix("resnet"))
    narrow = ["cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 64"] if depth < 50 else []
    return _lines(
        "from detectron2.config import get_cfg",
        "cfg = get_cfg()  # merged with a file of detectron2's configs",
        f"cfg.MODEL.WEIGHTS = {out!r}",
        f"cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = {mean}, {std}",
        f"cfg.MODEL.RESNETS.DEPTH, cfg.MODEL.RESNETS.STRIDE_IN_1X1 = {depth}, False",
        *narrow,
        *(f"cfg.INPUT.FORMAT = {mode!r}" for mode in [COLOURS.get(model.config.data.channels)] if mode),
    )


def _keywords(kwargs: dict) -> str:
    return "".join(f", {key}={value!r}" for key, value in kwargs.items())


def _lines(*parts: str) -> str:
    """The lines of all parts, imports first and once."""
    lines = "\n".join(parts).splitlines()
    imports = dict.fromkeys(line for line in lines if line.startswith(("import ", "from ")))
    return "\n".join([*imports, *(line for line in lines if line not in imports)])
