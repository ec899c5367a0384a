"""A trained backbone as a graph that any runtime of ONNX computes."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from cplearn_solo.core.errors import InputError, reason_of, require
from cplearn_solo.core.files import whole_file
from cplearn_solo.inference.pretrained import Pretrained

TOLERANCE = 1e-4  # of the largest feature
SMALLEST = 1e-30  # least divisor, in the place of a largest feature of 0
CHECKED = (1, 3)  # sizes of batches


def write_onnx(model: Pretrained, file: Path) -> None:
    """Writes the graph from normalised images ``(n, c, S, S)`` to features ``(n, d)``; n is free, S is the run's.

    Raises ``InputError`` for a network that PyTorch cannot export, or that onnxruntime does not compute to within
    ``TOLERANCE`` on batches of several sizes.
    """
    backbone = copy.deepcopy(model.backbone).cpu().to(memory_format=torch.contiguous_format)
    two = example_images(model, 2)
    with whole_file(file) as partial:
        try:
            with _quiet():
                program = torch.onnx.export(
                    backbone,
                    (two,),
                    input_names=["images"],
                    output_names=["features"],
                    dynamic_shapes=({0: torch.export.Dim("n")},),
                    dynamo=True,
                    verbose=False,
                )
                program.save(partial, external_data=False)
        except OSError:
            raise
        except Exception as error:  # from any part of the exporter
            name, reason = model.config.backbone.name, reason_of(error)
            wanted = f"of another ending, PyTorch cannot export {name} ({reason})"
            raise InputError(f"OUT = {str(file)!r}: must be {wanted}") from error
        for n in CHECKED:
            _require_equal(backbone, partial, file, example_images(model, n))


def example_images(model: Pretrained, n: int) -> Tensor:
    """Seeded noise ``(n, c, S, S)``, as normalised images are."""
    size = model.config.augmentations[0].crop_size
    return torch.randn(n, model.config.data.channels, size, size, generator=torch.Generator().manual_seed(n))


def difference(features: Tensor, wanted: Tensor) -> float:
    """The largest difference, relative to the largest feature; 0 if both are 0, as for a network that has collapsed."""
    return ((features - wanted).abs().max() / wanted.abs().max().clamp_min(SMALLEST)).item()


@torch.no_grad()
def _require_equal(backbone: nn.Module, written: Path, file: Path, images: Tensor) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(written.read_bytes(), providers=["CPUExecutionProvider"])
    (features,) = session.run(None, {"images": images.numpy()})
    off = difference(torch.from_numpy(features), backbone(images))
    wanted = f"of another ending, onnxruntime's features of this network are off by {off:.1e}"
    require(off <= TOLERANCE, "OUT", str(file), wanted)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's warnings of itself."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
