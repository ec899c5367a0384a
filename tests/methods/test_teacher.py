"""A teacher has no dropout and no stochastic depth, and its BatchNorm goes on with the statistics of batches."""

import pytest
import timm
import torch
import torchvision
from support.configs import shipped
from torch import nn

from cplearn_solo.backbones import build_backbone
from cplearn_solo.config.read import parse_config
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.methods import teacher_of

NETWORKS = {
    "timm's ViT": lambda: build_backbone(
        "vit_tiny", crop_size=32, patch_size=16, drop_path_rate=0.5, proj_drop_rate=0.5, attn_drop_rate=0.5
    ),
    "patch dropout": lambda: build_backbone("vit_tiny", crop_size=64, patch_size=16, patch_drop_rate=0.5),
    "timm's ConvNeXt": lambda: timm.create_model("convnext_atto", num_classes=0, drop_path_rate=0.5),
    "torchvision's Swin": lambda: torchvision.models.swin_transformer.SwinTransformer(
        [4, 4], 24, [1, 1], [1, 2], [4, 4], dropout=0.5, attention_dropout=0.5, stochastic_depth_prob=0.5
    ),
    "torch's attention": lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_teacher_is_the_whole_network_in_training_mode(name):
    torch.manual_seed(0)
    student = NETWORKS[name]().train()
    x = torch.randn(2, *{"torch's attention": (5, 8), "patch dropout": (3, 64, 64)}.get(name, (3, 32, 32)))
    teacher = teacher_of(student).train()
    with torch.no_grad():
        assert not torch.equal(student(x), student(x))
        assert torch.equal(teacher(x), teacher(x))
        torch.testing.assert_close(teacher(x), student.eval()(x))
    assert not any(p.requires_grad for p in teacher.parameters())


def test_a_teachers_batch_norm_uses_the_batch():
    teacher = teacher_of(nn.Sequential(nn.BatchNorm1d(4, momentum=0.5), nn.Dropout(0.5))).train()
    teacher(torch.full((3, 4), 2.0))
    assert torch.equal(teacher[0].running_mean, torch.ones(4)) and teacher[0].momentum == 0.5


def test_the_engines_teacher_keeps_all_and_its_student_does_not():
    backbone = {"name": "vit_tiny", "kwargs": {"patch_size": 4, "drop_path_rate": 0.5}}
    config = parse_config({**shipped("byol"), "backbone": backbone})
    module = Pretrainer(config, num_classes=10, mean=[0.5] * 3, std=[0.5] * 3).train()
    images = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        taught, again = (module.teacher[0](images) for _ in range(2))
        assert torch.equal(taught, again) and not torch.equal(module.encode(images), module.encode(images))
    assert module.teacher[1].training
