"""Average precision of boxes and masks, by pycocotools."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cplearn_solo.core.progress import tracked
from cplearn_solo.data.decoding import Decoding
from cplearn_solo.detection.annotations import Annotations, pycocotools
from cplearn_solo.detection.dataset import AnnotatedImages

SCORES = ("AP", "AP50", "AP75")
KINDS = {"bbox": "", "segm": "mask_"}  # kinds of COCOeval, and prefixes of their scores


@torch.no_grad()
def average_precision(
    network: nn.Module,
    annotations: Annotations,
    decoding: Decoding,
    *,
    masks: bool,
    device: torch.device,
    num_workers: int,
) -> dict[str, float]:
    """AP (mean over IoU 0.5 to 0.95), AP50 and AP75 of boxes, and with ``masks`` mask_AP, ..., each from 0 to 1."""
    images = AnnotatedImages(annotations, decoding, masks=False, with_objects=False)
    loader = DataLoader(images, batch_size=1, num_workers=num_workers, collate_fn=_the_image)
    numbers, found = list(annotations.categories), []
    network.eval()
    for image, pixels in zip(images.ids, tracked(loader, "scoring", total=len(images))):
        (output,) = network([pixels.to(device)])
        found += _as_coco(image, {key: value.cpu() for key, value in output.items()}, numbers, masks)
    return scored(annotations, found, masks=masks)


def scored(annotations: Annotations, found: list[dict[str, Any]], *, masks: bool) -> dict[str, float]:
    """The scores of detections ``found``, in the format of COCO's results."""
    kinds = [kind for kind in KINDS if masks or kind == "bbox"]
    if not found:
        return {f"{KINDS[kind]}{name}": 0.0 for kind in kinds for name in SCORES}
    scores = {}
    with redirect_stdout(StringIO()):
        results = annotations.coco.loadRes(found)
        for kind in kinds:
            judged = pycocotools("cocoeval").COCOeval(annotations.coco, results, kind)
            judged.evaluate()
            judged.accumulate()
            judged.summarize()
            scores |= {f"{KINDS[kind]}{name}": float(value) for name, value in zip(SCORES, judged.stats)}
    return scores


def _as_coco(image: int, output: dict[str, Tensor], numbers: list[int], masks: bool) -> Iterable[dict[str, Any]]:
    boxes = output["boxes"].clone()
    boxes[:, 2:] -= boxes[:, :2]
    for place, (box, label, score) in enumerate(zip(boxes.tolist(), output["labels"].tolist(), output["scores"])):
        one = {"image_id": image, "category_id": numbers[label - 1], "bbox": box, "score": score.item()}
        if masks:
            shape = (output["masks"][place, 0] >= 0.5).numpy().astype(np.uint8)
            one["segmentation"] = pycocotools("mask").encode(np.asfortranarray(shape))
        yield one


def _the_image(batch: list[tuple[Tensor, Any]]) -> Tensor:
    return batch[0][0]
