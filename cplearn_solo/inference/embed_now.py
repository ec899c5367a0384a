"""Representations of images in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from cplearn_solo.core.errors import InputError, require, require_known
from cplearn_solo.core.out_of_memory import large_batch_told
from cplearn_solo.data.workers import Workers
from cplearn_solo.inference.images import file_names, images_at
from cplearn_solo.inference.pretrained import Pretrained, transform_of
from cplearn_solo.inference.rows import representations

SPACES = ("backbone", "projector")


@dataclass(frozen=True)
class Embeddings:
    """``x`` ``(n, d)`` float32, on the CPU; codes ``(n,)`` and their probability, of methods with codes.

    ``files`` says where each image is in its source, or its number; images that cannot be read are left out and listed
    in ``unreadable``.
    """

    x: Tensor
    codes: Tensor | None
    confidence: Tensor | None
    files: list[str]
    unreadable: list[str]


def embed_images(
    model: Pretrained,
    images: Tensor | Sequence[Image.Image | Tensor],
    *,
    space: str,
    batch_size: int,
    device: torch.device,
) -> Embeddings:
    """Embeds images as a :class:`cplearn_solo.inference.transform.Transform` takes them; ``model`` is on ``device``."""
    transform = transform_of(model)
    if isinstance(images, Tensor):  # the channels of a single image would pass for images
        require(images.ndim == 4, "images", tuple(images.shape), "of shape (n, channels, height, width)")
    elif not isinstance(images, Sequence):
        raise InputError(f"images = {type(images).__name__}: must be a tensor, a list of images, or a path as text")
    require(len(images) > 0, "images", len(images), "at least 1 image")

    def feats() -> Iterable[Tensor]:
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            batch = transform(part) if isinstance(part, Tensor) else torch.stack([transform(one) for one in part])
            yield model.backbone(batch.to(device)).float()

    with large_batch_told("batch_size", batch_size, device):
        return _embeddings(model, feats(), space, [str(i) for i in range(len(images))], unreadable=set())


def embed_source(
    model: Pretrained, where: str, *, space: str, batch_size: int, num_workers: Workers, device: torch.device
) -> Embeddings:
    """Embeds all images at a place, as :func:`cplearn_solo.inference.images.images_at` takes it."""
    images, unreadable = images_at(model, where, in_order=True), set[int]()

    def feats() -> Iterable[Tensor]:
        for batch, bad in representations(model, images, 0, batch_size, num_workers, device):
            unreadable.update(bad)
            yield batch

    with large_batch_told("batch_size", batch_size, device):
        return _embeddings(model, feats(), space, file_names(images, range(len(images))), unreadable)


@torch.no_grad()
def _embeddings(
    model: Pretrained, feats: Iterable[Tensor], space: str, files: list[str], unreadable: set[int]
) -> Embeddings:
    require_known("space", space, SPACES)
    found: list[tuple[Tensor, ...]] = []
    for batch in feats:
        x = batch if space == "backbone" else model.method.embed(batch).float()
        found.append(tuple(part.cpu() for part in (x, *(model.method.assign_with_confidence(batch) or ()))))
    readable = torch.tensor([i not in unreadable for i in range(len(files))])
    x, *codes = (torch.cat(parts)[readable] for parts in zip(*found))
    code, confidence = codes or (None, None)
    kept = [file for i, file in enumerate(files) if i not in unreadable]
    return Embeddings(x, code, confidence, kept, [files[i] for i in sorted(unreadable)])
