"""Annotated images for torchvision's detectors, in an order that depends on seed and step only."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from torchvision.tv_tensors import BoundingBoxes, BoundingBoxFormat, Mask

from cplearn_solo.core.errors import keys_named, require
from cplearn_solo.data.crops import as_tensor
from cplearn_solo.data.decoding import Decoding, decode
from cplearn_solo.detection.annotations import Annotations

Target = dict[str, Tensor]
OF_RUN = {key: f"{key} of the run" for key in ("data.range", "data.max_pixels")}  # as data.* here is of annotations


class AnnotatedImages(Dataset):
    """Images ``(3, h, w)`` in [0, 1] and their targets: boxes, labels from 1 up, and masks if ``masks``.

    Files are read by ``decoding``, but not turned upright, because COCO's boxes ignore the orientation in a file's
    metadata. ``with_objects``: only images with objects. Raises ``InputError`` for an unreadable file, or one of
    another size than its annotations say.
    """

    def __init__(self, annotations: Annotations, decoding: Decoding, *, masks: bool, with_objects: bool) -> None:
        self.annotations, self.decoding, self.masks = annotations, decoding, masks
        known = annotations.coco.imgs
        self.ids = [each for each in sorted(known) if not with_objects or annotations.objects(each)]
        self.labels = {number: label for label, number in enumerate(annotations.categories, 1)}

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        facts = self.annotations.coco.imgs[self.ids[index]]
        size = (facts["height"], facts["width"])
        image = self._read(str(self.annotations.folder / facts["file_name"]))
        wanted = f"of {size[1]} x {size[0]} pixels, as {self.annotations.key} says, and is of {image.shape[2]} x "
        wanted += f"{image.shape[1]}: annotations and images do not belong together"
        require(image.shape[1:] == size, "image", facts["file_name"], wanted)
        objects = self.annotations.objects(self.ids[index])
        boxes = torch.tensor([each["bbox"] for each in objects], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        boxes[:, 0::2], boxes[:, 1::2] = boxes[:, 0::2].clamp(0, size[1]), boxes[:, 1::2].clamp(0, size[0])
        target: Target = {
            "boxes": BoundingBoxes(boxes, format=BoundingBoxFormat.XYXY, canvas_size=size),
            "labels": torch.tensor([self.labels[each["category_id"]] for each in objects], dtype=torch.int64),
        }
        if self.masks:
            shapes = [torch.from_numpy(self.annotations.coco.annToMask(each)) for each in objects]
            target["masks"] = Mask(torch.stack(shapes) if shapes else torch.zeros(0, *size, dtype=torch.uint8))
        return image, target

    def _read(self, file: str) -> Tensor:
        with keys_named(OF_RUN):
            return as_tensor(decode(file, self.decoding, upright=False).image).float() / 255


class Steps(Sampler[list[int]]):
    """Indices of the images that device ``rank`` of ``world`` sees in each step from ``first`` on, shuffled each epoch.

    A step has ``batch_size`` images over all devices, and may end one epoch and begin the next.
    """

    def __init__(
        self, images: int, *, batch_size: int, first: int, steps: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.first, self.steps, self.rank, self.world = first, steps, rank, world

    def __len__(self) -> int:
        return self.steps - self.first

    def __iter__(self) -> Iterator[list[int]]:
        orders: dict[int, list[int]] = {}
        for step in range(self.first, self.steps):
            places = range(step * self.batch_size, (step + 1) * self.batch_size)
            needed = {place // self.images for place in places}
            orders = {epoch: orders.get(epoch) or self._order(epoch) for epoch in needed}
            batch = [orders[place // self.images][place % self.images] for place in places]
            yield batch[self.rank :: self.world]

    def _order(self, epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(self.images, generator=generator).tolist()
