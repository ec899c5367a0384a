"""Shapes, stems and names of the backbones."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from cplearn_solo.backbones import BACKBONES, LastBlocks, build_backbone
from cplearn_solo.core.errors import InputError


@pytest.mark.parametrize("name", ["resnet8", "resnet18", "resnet34", "resnet50", "vit_tiny", "timm/resnet10t"])
@pytest.mark.parametrize("size", [32, 96])
def test_features(name, size):
    model = build_backbone(name, crop_size=size)
    assert model.eval()(torch.zeros(2, 3, size, size)).shape == (2, model.num_features)


@pytest.mark.parametrize("name", ["resnet8", "resnet18", "vit_tiny", "timm/resnet10t"])
@pytest.mark.parametrize("size, channels", [(32, 1), (32, 4), (96, 1)])
def test_images_of_other_channels(name, size, channels):
    model = build_backbone(name, crop_size=size, image_channels=channels)
    assert model.eval()(torch.zeros(2, channels, size, size)).shape == (2, model.num_features)
    with pytest.raises(InputError, match="backbone.kwargs.in_chans = 1: must be data.channels, a key of its own"):
        build_backbone(name, crop_size=size, image_channels=channels, in_chans=1)


def test_every_registered_name_is_listed():
    assert set(BACKBONES) == {"resnet8", "resnet18", "resnet34", "resnet50", "vit_tiny", "vit_small", "vit_base"}


def test_resnet8_is_table_5():
    """Eight 3x3 convolutions of width F and block 1's 1x1 shortcut, nothing else."""
    width = 16
    shapes = [tuple(p.shape) for p in build_backbone("resnet8", crop_size=32, width=width).parameters() if p.ndim == 4]
    assert sorted(shapes) == sorted([(width, 3, 3, 3), *[(width, width, 3, 3)] * 7, (width, 3, 1, 1)])
    positions = []
    model = build_backbone("resnet8", crop_size=32, width=width)
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, out: positions.append(out.shape[-1]))
    model(torch.zeros(1, 3, 32, 32))
    assert positions == [8, 8, 8]  # blocks 1 and 2 halve 32 pixels, blocks 3 and 4 do not


def test_small_crops_of_no_whole_number_of_patches():
    assert build_backbone("vit_tiny", crop_size=224, other_sizes=[96])
    with pytest.raises(InputError, match=r"crop_size = 100: must be divisible by backbone.kwargs.patch_size \(16\)"):
        build_backbone("vit_tiny", crop_size=224, other_sizes=[96, 100])


def test_small_images_get_the_cifar_stem():
    small, large = (build_backbone("resnet18", crop_size=size) for size in (64, 65))
    assert small.conv1.kernel_size == (3, 3) and isinstance(small.maxpool, nn.Identity)
    assert large.conv1.kernel_size == (7, 7) and isinstance(large.maxpool, nn.MaxPool2d)


def test_weights_load_into_torchvision_and_timm():
    theirs = torchvision.models.resnet18()
    theirs.fc = nn.Identity()
    theirs.load_state_dict(build_backbone("resnet18", crop_size=224).state_dict(), strict=True)
    vit = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    vit.load_state_dict(build_backbone("vit_tiny", crop_size=224).state_dict(), strict=True)


def test_vit_takes_crops_of_another_size():
    model = build_backbone("vit_tiny", crop_size=32).eval()
    assert model(torch.zeros(1, 3, 16, 16)).shape == (1, model.num_features)


def cubic(distance):
    """The kernel of bicubic interpolation with a = -0.75."""
    x, a = abs(distance), -0.75
    inner, outer = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * (x**3 - 5 * x**2 + 8 * x - 4)
    return inner if x <= 1 else outer if x < 2 else 0.0


def test_positions_of_other_crops_are_dinos():
    """Samples at (i + 1/2) H / (h + 0.1) - 1/2 of the own grid, whose border goes on; from DINO's source."""
    model = build_backbone("vit_tiny", crop_size=224).eval()
    own, new = 14, 6
    weights = torch.zeros(new, own)
    for i in range(new):
        place = (i + 0.5) * own / (new + 0.1) - 0.5
        for j in range(int(place) - 1, int(place) + 3):
            weights[i, min(max(j, 0), own - 1)] += cubic(place - j)
    prefix, grid = model.pos_embed.split([1, own * own], dim=1)
    expected = torch.einsum("ih,jw,hwd->ijd", weights, weights, grid.view(own, own, -1)).reshape(1, new * new, -1)
    tokens = model._pos_embed(torch.zeros(1, new, new, model.num_features))
    torch.testing.assert_close(tokens[:, 1:], expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(tokens[:, :1], prefix + model.cls_token)


@pytest.mark.parametrize("kwargs", [{"reg_tokens": 2}, {"no_embed_class": True}, {"class_token": False}])
def test_other_tokens_keep_their_places(kwargs):
    if kwargs.get("class_token") is False:
        kwargs = {**kwargs, "global_pool": "avg"}
    model = build_backbone("vit_tiny", crop_size=32, **kwargs).eval()
    small, large = (model.forward_features(torch.zeros(1, 3, size, size)) for size in (16, 32))
    assert large.shape[1] - small.shape[1] == 8 * 8 - 4 * 4 and small.isfinite().all()


def test_a_class_token_starts_as_dinos():
    assert build_backbone("vit_tiny", crop_size=32).cls_token.std().item() == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize(
    "name, kwargs, words",
    [
        ("resnet9", {}, "did you mean 'resnet"),
        ("timm/resnet10tt", {}, "did you mean 'resnet10t'"),
        ("resnet8", {"widht": 4}, "backbone.kwargs = .*: must be keywords that"),
        ("resnet8", {"width": 0}, "width = 0"),
        ("resnet18", {"nonsense": 1}, "backbone.kwargs = .*: must be keywords that"),
        ("vit_tiny", {"patch_size": 5}, "must be divisible"),
        ("resnet18", {"width_per_group": 128}, r"backbone.kwargs = {'width_per_group': 128}: must be .*base_width=64"),
        ("resnet18", {"replace_stride_with_dilation": [True]}, "must be keywords that 'resnet18' takes"),
        ("vit_tiny", {"drop_rate": 7}, "must be keywords that 'vit_tiny' takes .dropout probability"),
        ("vit_tiny", {"num_heads": 0}, "must be keywords that 'vit_tiny' takes"),
        ("vit_tiny", {"patch_size": -4}, "must be keywords that 'vit_tiny' takes"),
        ("vit_tiny", {"num_classes": 10}, "backbone.kwargs.num_classes = 10: must be 0, for one vector of features"),
        ("vit_tiny", {"global_pool": ""}, "backbone.kwargs.global_pool = '': must be 'token', for one vector"),
    ],
)
def test_bad_input(name, kwargs, words):
    with pytest.raises(InputError, match=words):
        build_backbone(name, crop_size=32, **kwargs)


def test_any_timm_model_says_its_own_width():
    model = build_backbone("timm/mobilenetv3_small_050", crop_size=32)
    assert model.training and model(torch.randn(2, 3, 32, 32)).shape == (2, model.num_features)
    with pytest.raises(InputError, match="crop_size = 32: .*img_size=32 may help"):
        build_backbone("timm/vit_tiny_patch16_224", crop_size=32)
    assert build_backbone("timm/vit_tiny_patch16_224", crop_size=32, img_size=32).num_features == 192


@pytest.mark.parametrize(
    "name, sizes, key",
    [
        (
            "vit_tiny_patch16_224",
            {"img_size": 8, "patch_size": 2, "embed_dim": 8, "depth": 1, "num_heads": 1},
            "dynamic",
        ),
        ("swin_tiny_patch4_window7_224", {"img_size": 8, "window_size": 2, "depths": (1,), "embed_dim": 6}, "strict"),
    ],
)
def test_a_timm_model_of_one_size_is_told_how_to_take_small_crops(name, sizes, key):
    choice = {"dynamic": "dynamic_img_size=true", "strict": "strict_img_size=false"}[key]
    words = rf"crop_size = 4: must be 8, as that of the first crops, or backbone.kwargs.{choice} \(Input"
    with pytest.raises(InputError, match=words):
        build_backbone(f"timm/{name}", crop_size=8, other_sizes=[4], **sizes)
    any_size = {f"{key}_img_size": key == "dynamic"}
    model = build_backbone(f"timm/{name}", crop_size=8, other_sizes=[4], **sizes, **any_size)
    assert model.training and model(torch.zeros(2, 3, 4, 4)).shape == (2, model.num_features)


def test_last_blocks_are_class_tokens_side_by_side():
    vit = build_backbone("vit_tiny", crop_size=32).eval()
    images = torch.randn(2, 3, 32, 32)
    four, one = LastBlocks(vit, 4)(images), LastBlocks(vit, 1)(images)
    assert four.shape == (2, 4 * vit.num_features)
    torch.testing.assert_close(one, vit(images))  # what the backbone gives
    torch.testing.assert_close(four[:, -vit.num_features :], one)
    x = vit._pos_embed(vit.patch_embed(images))
    for block in vit.blocks[:-1]:
        x = block(x)
    torch.testing.assert_close(four[:, -2 * vit.num_features : -vit.num_features], vit.norm(x)[:, 0])
    with pytest.raises(InputError, match="last_blocks = 13: must be 1 to 12"):
        LastBlocks(vit, 13)
    with pytest.raises(InputError, match="last_blocks = 4: must be 0 for .* no ViT with a class token"):
        LastBlocks(build_backbone("resnet8", crop_size=32), 4)


@pytest.mark.parametrize("sizes", [{"crop_size": 3}, {"crop_size": 8, "other_sizes": [4, 3]}])
def test_crops_of_which_resnet8_leaves_nothing(sizes):
    with pytest.raises(InputError, match="crop_size = 3: must be at least 4 for resnet8"):
        build_backbone("resnet8", **sizes)
    build_backbone("resnet8", crop_size=8, other_sizes=[4])(torch.zeros(1, 3, 4, 4))
