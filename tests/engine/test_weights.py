"""``backbone.weights``: from where a training may start, and what is said of weights that do not fit."""

import pytest
import timm
import torch
import torchvision
from support.configs import tiny

from cplearn_solo.backbones import build_backbone
from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.engine.find import LAST
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.engine.weights import start_from_weights

pytestmark = pytest.mark.integration


def module(weights, method="cplearn", name="resnet8", size=8, channels=3, **kwargs):
    config = tiny("runs", method, backbone={"name": name, "weights": str(weights), "kwargs": kwargs})
    config["data"]["channels"] = channels
    config["backbone"]["kwargs"] = kwargs
    for augmentation in config["augmentations"]:
        augmentation["crop_size"] = size
    torch.manual_seed(1)
    return Pretrainer(parse_config(config), num_classes=10, mean=[0.5] * channels, std=[0.5] * channels)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def trained(finished):
    checkpoint = torch.load(finished / LAST, weights_only=True)["state_dict"]
    prefix = "backbone."
    return {name.removeprefix(prefix): value for name, value in checkpoint.items() if name.startswith(prefix)}


@pytest.mark.parametrize("method", ["cplearn", "byol"])
def test_backbone_and_teacher_start_from_a_run_or_a_file(method, finished, trained, tmp_path, capsys):
    plain, others = tmp_path / "plain.pt", tmp_path / "others.pth"
    torch.save({**trained, "fc.weight": torch.zeros(2, 2)}, plain)
    torch.save({"state_dict": {f"module.backbone.{name}": value for name, value in trained.items()}}, others)
    for weights in (finished, finished / LAST, plain, others):
        ours = module(weights, method, width=32)
        assert not same(ours.backbone.state_dict(), trained)
        start_from_weights(ours)
        assert same(ours.backbone.state_dict(), trained)
        assert method == "cplearn" or same(ours.teacher[0].state_dict(), trained)
    assert f"backbone.weights = {plain}: {len(trained)} tensors; left out: fc.weight" in capsys.readouterr().out


def test_weights_of_libraries(monkeypatch):
    resnet, vit = torchvision.models.resnet18(), timm.create_model("vit_tiny_patch16_224", num_classes=0)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", lambda *_, **__: resnet.state_dict())
    ours = module("torchvision/IMAGENET1K_V1", name="resnet18", size=96)
    start_from_weights(ours)
    assert all(torch.equal(value, resnet.state_dict()[name]) for name, value in ours.backbone.state_dict().items())

    asked = []

    def create_model(name, pretrained=False, **kwargs):
        asked.append((name, pretrained, kwargs.pop("pretrained_cfg", None)))
        return vit if pretrained else create(name, **kwargs)

    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", create_model)
    ours = module("timm/augreg_in21k", name="vit_tiny", size=224)
    start_from_weights(ours)
    assert asked[-1] == ("vit_tiny_patch16_224", True, "augreg_in21k")
    assert same(ours.backbone.state_dict(), vit.state_dict())


@pytest.mark.parametrize("channels", [1, 4])
def test_weights_for_rgb_are_fitted_to_other_channels(channels, finished, trained, capsys):
    ours = module(finished, channels=channels, width=32)
    start_from_weights(ours)
    for name, value in ours.backbone.state_dict().items():
        if name in ("conv1.weight", "shortcut.weight"):
            of_grey = trained[name].sum(1, keepdim=True)
            of_bands = trained[name][:, [0, 1, 2, 0]] * 3 / 4
            torch.testing.assert_close(value, of_grey if channels == 1 else of_bands)
        else:
            assert torch.equal(value, trained[name])
    assert f"fitted to {channels} channel(s): conv1.weight, shortcut.weight" in capsys.readouterr().out


def test_weights_for_grey_images_are_not_for_rgb(tmp_path):
    torch.save(build_backbone("resnet8", crop_size=8, image_channels=1, width=32).state_dict(), tmp_path / "grey.pt")
    with pytest.raises(InputError, match=r"its conv1.weight is \(32, 1, 3, 3\) instead of \(32, 3, 3, 3\)"):
        start_from_weights(module(tmp_path / "grey.pt", width=32))


def test_without_a_network_one_line_says_where_to_put_the_file(monkeypatch):
    def fails(*_, **__):
        raise OSError("no network\nmore")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fails)
    with pytest.raises(InputError, match=r"within reach \(no network\): put https.*resnet18.*/checkpoints, or"):
        start_from_weights(module("torchvision", name="resnet18", size=96))
    ours = module("timm/augreg_in21k", name="vit_tiny", size=224)
    monkeypatch.setattr(timm, "create_model", fails)
    with pytest.raises(InputError, match=r"\(no network\): put its files in the cache of the Hugging Face hub, or"):
        start_from_weights(ours)
    with pytest.raises(InputError, match=r"weights = 'timm/resnet10t': must be here or within reach \(no network\)"):
        build_backbone("timm/resnet10t", crop_size=32, pretrained=True)


def test_weights_that_do_not_fit_are_one_line(finished, tmp_path, trained, monkeypatch):
    def conv1(outputs, channels, side):
        return rf"its conv1.weight is \({outputs}, {channels}, {side}, {side}\)"

    large, damaged, same = torchvision.models.resnet18().state_dict(), tmp_path / "damaged.pt", "makes it the same$"
    torch.save(large, tmp_path / "large.pt")
    torch.save(build_backbone("resnet18", crop_size=32).state_dict(), tmp_path / "small.pt")
    torch.save(build_backbone("resnet8", crop_size=8, image_channels=1, width=8).state_dict(), tmp_path / "grey.pt")
    damaged.write_bytes(b"no weights")
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    monkeypatch.setenv("HOME", str(tmp_path))
    for arguments, words in (
        (dict(weights=finished, width=16), f"{conv1(32, 3, 3)} instead of .*; backbone.kwargs.width=32 {same}"),
        (dict(weights=tmp_path / "grey.pt"), f"{conv1(8, 1, 3)} .*; backbone.kwargs.width=8 data.channels=1 {same}"),
        (dict(weights=tmp_path / "large.pt", width=16), "weights of resnet8, and lacks"),
        (dict(weights=tmp_path / "large.pt", name="resnet18"), f"; backbone.kwargs.small_stem=false {same}"),
        (dict(weights=tmp_path / "small.pt", name="resnet18", size=96), f"; backbone.kwargs.small_stem=true {same}"),
        (dict(weights=tmp_path / "small.pt", name="timm/resnet18", size=96), r"instead of \(64, 3, 7, 7\)$"),
        (
            dict(weights=damaged),
            "must be a checkpoint or .* with a state dict, and cannot be read: Weights only load failed$",
        ),
        (dict(weights=tmp_path / "tensor.pt"), "and holds a Tensor"),
        (dict(weights="~/tensor.pt"), "and holds a Tensor"),
        (dict(weights="nowhere"), "backbone.weights = 'nowhere': must be a run folder"),
        (dict(weights="torchvision/IMAGENET", name="resnet18"), "did you mean 'torchvision/IMAGENET1K_V1'"),
        (dict(weights="timm/dinos", name="vit_small", size=224), "did you mean 'timm/dino'"),
        (dict(weights="timm", name="resnet8"), "must be weights for resnet8: torchvision has those"),
    ):
        with pytest.raises(InputError, match=words):
            start_from_weights(module(**arguments))


def test_torchvisions_own_keyword_is_refused_with_ours():
    with pytest.raises(InputError, match="backbone.kwargs.weights = 'DEFAULT': must be backbone.weights=torchvision"):
        build_backbone("resnet18", crop_size=32, weights="DEFAULT")
