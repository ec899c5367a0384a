"""``cplearn_solo.Run``: a run folder from Python."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from cplearn_solo.config import Config, parse_config
from cplearn_solo.config.earlier import with_earlier_defaults
from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.stored import read_json, read_yaml
from cplearn_solo.core.surroundings import own_defaults
from cplearn_solo.core.words import given_verdict
from cplearn_solo.data.checks import check_workers
from cplearn_solo.data.workers import Workers
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.inference.devices import known_device
from cplearn_solo.inference.embed_now import Embeddings, embed_images, embed_source
from cplearn_solo.inference.images import labelled_images_at
from cplearn_solo.inference.pretrained import Pretrained, load_backbone, load_pretrained, transform_of
from cplearn_solo.inference.transform import Transform

if TYPE_CHECKING:
    from cplearn_solo.inference.pretrained import Backbone


class Run:
    """The content of a run folder, each part read when it is requested; models are on ``device``.

    Raises ``InputError``, a ``ValueError`` of one line, if it is no run folder, a part is missing or damaged, or there
    is no such device.
    """

    def __init__(self, path: str | Path, *, device: torch.device | str = "cpu") -> None:
        # absolute, because its content is read later, perhaps from another working folder
        self.path, self.device = Path(path).expanduser().absolute(), known_device(device)
        if not (self.path / "config.yaml").is_file():
            raise InputError(f"{self.path} is not a run folder: it has no config.yaml")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @cached_property
    def config(self) -> Config:
        """Every key of its configuration."""
        return parse_config(with_earlier_defaults(read_yaml(self.path / "config.yaml")))

    @property
    def scores(self) -> dict[str, Any]:
        """The content of ``summary.json``; empty for a run that is not finished."""
        return read_json(self.path / "summary.json")

    @property
    def verdict(self) -> str | None:
        """``healthy``, the collapse that its embeddings show, ``no better than chance`` or ``too early to tell``;
        ``None`` for a run that is not finished."""
        return given_verdict(self.scores)

    @property
    def metrics(self) -> list[dict[str, float]]:
        """A row per epoch, as pandas takes them; values that were not measured in an epoch are absent."""
        return EpochLog.read(self.path) if (self.path / "metrics.csv").is_file() else []

    @cached_property
    def backbone(self) -> Backbone:
        """Normalised images ``(n, c, h, w)`` to features ``(n, d)``, in evaluation mode, with gradients."""
        return load_backbone(self.path, device=self.device)

    @property
    def transform(self) -> Transform:
        """From a PIL image or tensor to the backbone's input."""
        return transform_of(self._model)

    def embed(
        self,
        images: str | Path | Tensor | Sequence[Image.Image | Tensor],
        *,
        space: str = "backbone",
        batch_size: int = 256,
        num_workers: Workers = "auto",
    ) -> Embeddings:
        """Representations of given images, or of all images at a place, as ``cplearn embed`` takes it.

        ``images``: a tensor ``(n, c, h, w)`` or a sequence of PIL images and tensors, as :attr:`transform` takes them,
        or a folder, list, archive, parquet file or name of a data set. ``space`` is ``backbone`` or ``projector``.
        The result is held in memory; ``cplearn embed`` writes results for any number of images to a file.
        """
        _check_reading(batch_size, num_workers)
        how = {"space": space, "batch_size": batch_size, "device": self.device}
        with own_defaults():
            if isinstance(images, (str, Path)):
                return embed_source(self._model, str(images), num_workers=num_workers, **how)
            return embed_images(self._model, images, **how)

    def gallery(
        self,
        images: str | Path,
        out: str | Path = "gallery.html",
        *,
        batch_size: int = 256,
        num_workers: Workers = "auto",
        seed: int = 0,
    ) -> Path:
        """Writes a page of the images at a place, as ``cplearn gallery`` does, to ``out``, a new .html file."""
        _check_reading(batch_size, num_workers)
        require(isinstance(seed, Integral) and 0 <= seed < 2**32, "seed", seed, "an integer from 0 to 2**32 - 1")
        from cplearn_solo.gallery.write import write_gallery

        how = {"batch_size": batch_size, "num_workers": num_workers, "seed": seed, "device": self.device}
        with own_defaults():
            found = labelled_images_at(self._model, str(images))
            return write_gallery(self._model, found, out, title=str(images), **how).page

    @cached_property
    def _model(self) -> Pretrained:
        return load_pretrained(self.path, device=self.device)


def _check_reading(batch_size: int, num_workers: Workers) -> None:
    """``InputError`` for values that are no integers, of Python or NumPy, or too small."""
    require(isinstance(batch_size, Integral) and batch_size >= 1, "batch_size", batch_size, "an integer from 1")
    check_workers("num_workers", int(num_workers) if isinstance(num_workers, Integral) else num_workers)
