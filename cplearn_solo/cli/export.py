"""``cplearn export``: a trained backbone in files of other software."""

from __future__ import annotations

import argparse

from cplearn_solo.cli.options import add_pretrained, parser_of
from cplearn_solo.engine.find import find_checkpoint
from cplearn_solo.inference.targets import new_export

EXPORT = """Writes the trained backbone for other software, by the ending of OUT, and prints Python that loads it.

  cplearn export RUN backbone.pt               a state dict of PyTorch
  cplearn export RUN backbone.safetensors      the same; a finished run has it in its folder
  cplearn export RUN backbone.onnx             a graph for any size of batch, checked against onnxruntime (extra onnx)
  cplearn export RUN backbone.pkl              a ResNet for detectron2
  cplearn export RUN backbone/                 a folder for timm and transformers, with a model card"""


def command_line() -> argparse.ArgumentParser:
    """The program's options."""
    parser = parser_of("export", EXPORT)
    add_pretrained(parser)
    parser.add_argument(
        "out", metavar="OUT", help="a new .pt, .safetensors, .onnx or .pkl; or a folder, ending in / or bare"
    )
    return parser


def export_task(options: argparse.Namespace) -> None:
    """Writes the backbone and says how to load it."""
    _, ending = new_export(options.out)
    find_checkpoint(options.pretrained)

    from cplearn_solo.inference.export import export_backbone
    from cplearn_solo.inference.recipes import loaders, recipe

    model = export_backbone(options.pretrained, options.out)
    weights = model.backbone.state_dict()
    size = sum(value.numel() for value in weights.values())
    print(f"{options.out}: {len(weights)} tensors, {size:,} numbers")
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (model.mean, model.std))
    print(f"images: {model.config.augmentations[0].crop_size} pixels, mean {mean}, std {std}")
    print(loaders(model))
    print(f"\n{recipe(model, options.out, ending)}")
