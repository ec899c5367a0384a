"""A trained backbone in torchvision's Faster and Mask R-CNN.

``neck: c4`` is as in detectron2's R50-C4, which MoCo, SimSiam and MEC report: proposals and regions come from stage 3,
and stage 4 is the head that boxes and masks share. docs/detection.md lists the differences.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.resnet import ResNet
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from cplearn_solo.backbones.resnet8 import ResNet8
from cplearn_solo.core.errors import require
from cplearn_solo.detection.schema import Network

RATIOS = (0.5, 1.0, 2.0)  # height to width of anchors
STAGES = ("layer1", "layer2", "layer3", "layer4")
BOX_HEAD = 1024  # width of the box head with a pyramid, as in torchvision


def build_detector(backbone: nn.Module, model: Network, classes: int, mean: list[float], std: list[float]) -> nn.Module:
    """The detector of ``classes`` kinds of object on ``backbone``, which is changed in place.

    It maps a list of images ``(3, h, w)`` in [0, 1] and their targets to losses in training; in evaluation it maps
    images to boxes, labels, scores and masks. Raises ``InputError`` for a backbone without feature maps in stages.
    """
    wanted = "a run of a ResNet, whose stages are maps of features"
    require(isinstance(backbone, (ResNet, ResNet8)), "pretrained", type(backbone).__name__, wanted)
    if model.batch_norm == "frozen":
        freeze_batch_norm(backbone)
    masks = model.name == "mask_rcnn"
    parts = (_c4 if model.neck == "c4" else _fpn)(backbone, model, classes + 1, masks)  # 0 is the background
    how = {"min_size": tuple(model.sizes), "max_size": model.max_size, "image_mean": mean, "image_std": std}
    return (MaskRCNN if masks else FasterRCNN)(**parts, **how, box_batch_size_per_image=model.rois)


def freeze_batch_norm(network: nn.Module) -> None:
    """Replaces BatchNorm by constants: its current statistics and weights."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            frozen = FrozenBatchNorm2d(child.num_features, child.eps)
            frozen.load_state_dict(child.state_dict())
            setattr(network, name, frozen)
        else:
            freeze_batch_norm(child)


class Pyramid(nn.Module):
    """Feature pyramid ``{name: (n, channels, h, w)}`` on the maps of ``body``, with one more level by pooling."""

    def __init__(self, body: nn.Module, inputs: list[int], channels: int) -> None:
        super().__init__()
        self.body, self.out_channels = body, channels
        self.fpn = FeaturePyramidNetwork(inputs, channels, LastLevelMaxPool())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.fpn(self.body(images))


class ResNet8Maps(nn.Module):
    """The maps of a ResNet-8 at strides 2 and 4."""

    def __init__(self, backbone: ResNet8) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        first = self.backbone.first_block(images)
        return {"0": first, "1": self.backbone.blocks(first)}


def _fpn(backbone: nn.Module, model: Network, outputs: int, masks: bool) -> dict[str, Any]:
    """torchvision's own heads, with a pyramid and a mask head of ``model.channels``."""
    c, width = model.channels, backbone.num_features
    if isinstance(backbone, ResNet8):
        names, inputs, body = ["0", "1"], [width, width], ResNet8Maps(backbone)
    else:
        names, inputs = [str(level) for level in range(4)], [width >> 3 - level for level in range(4)]
        body = IntermediateLayerGetter(backbone, dict(zip(STAGES, names)))
    levels, sizes = len(names) + 1, model.anchor_sizes
    require(len(sizes) == levels, "model.anchor_sizes", sizes, f"{levels} numbers, one for each level of the pyramid")
    parts = {
        "backbone": Pyramid(body, inputs, c),
        "rpn_anchor_generator": AnchorGenerator(tuple((size,) for size in sizes), (RATIOS,) * levels),
        "box_roi_pool": MultiScaleRoIAlign(names, 7, 2),
        "box_head": TwoMLPHead(c * 7 * 7, BOX_HEAD),
        "box_predictor": FastRCNNPredictor(BOX_HEAD, outputs),
    }
    if masks:
        parts["mask_roi_pool"] = MultiScaleRoIAlign(names, 14, 2)
        parts |= {"mask_head": MaskRCNNHeads(c, (c,) * 4, 1), "mask_predictor": MaskRCNNPredictor(c, c, outputs)}
    return parts


def _c4(backbone: nn.Module, model: Network, outputs: int, masks: bool) -> dict[str, Any]:
    """Proposals from stage 3; its regions, 14 x 14 cells, go through stage 4."""
    wanted = "fpn for a ResNet-8, which has no fourth stage"
    require(isinstance(backbone, ResNet), "model.neck", model.neck, wanted)
    width, head = backbone.num_features, backbone.layer4
    body = IntermediateLayerGetter(backbone, {STAGES[2]: "0"})
    body.out_channels = width // 2
    parts = {
        "backbone": body,
        "rpn_anchor_generator": AnchorGenerator((tuple(model.anchor_sizes),), (RATIOS,)),
        "rpn_pre_nms_top_n_train": 12_000,
        "rpn_pre_nms_top_n_test": 6000,
        "box_roi_pool": MultiScaleRoIAlign(["0"], 14, 0),
        "box_head": nn.Sequential(head, nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        "box_predictor": FastRCNNPredictor(width, outputs),
    }
    if masks:
        parts["mask_roi_pool"] = MultiScaleRoIAlign(["0"], 14, 0)
        parts |= {"mask_head": head, "mask_predictor": MaskRCNNPredictor(width, model.channels, outputs)}
    return parts
