"""Backbones in files of other software: each loads what was written, as the printed lines say, to the same features."""

import json
import pickle
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors import safe_open

from cplearn_solo.backbones.elsewhere import has_small_stem
from cplearn_solo.cli.hydra_app import composed_by
from cplearn_solo.config import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.engine.find import find_checkpoint
from cplearn_solo.engine.networks import check_networks
from cplearn_solo.inference import to_onnx
from cplearn_solo.inference.export import export_backbone
from cplearn_solo.inference.model_card import model_card
from cplearn_solo.inference.pretrained import load_pretrained
from cplearn_solo.inference.recipes import loaders, recipe
from cplearn_solo.inference.targets import new_export
from cplearn_solo.inference.timm_folder import loads_folders

RESNET8 = ("resnet8", 8, {"width": 4})
SMALL_STEM = ("resnet18", 32, {})
LARGE_STEM = ("resnet18", 96, {})
VIT = ("vit_tiny", 32, {"depth": 2})
FROM_TIMM = ("timm/test_byobnet", 64, {})


def features(model, channels=3, size=None):
    """What the run's backbone makes of two images, and the images."""
    size = size or model.config.augmentations[0].crop_size
    images = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return images, model.backbone(images)


def loaded(model, out, images):
    """Features by the lines that are printed."""
    found = {"images": images.numpy()}
    exec(recipe(model, str(out), new_export_ending(out)), found)
    if "features" in found:
        return torch.from_numpy(found["features"])
    with torch.no_grad():
        return found["model"](images)


def new_export_ending(out):
    return "" if Path(out).is_dir() else Path(out).suffix


of_folders = pytest.mark.skipif(not loads_folders(), reason="this release of timm loads no folders")


@pytest.mark.parametrize(
    "ending, backbone, channels, said",
    [
        (".pt", RESNET8, 3, "resnet8: no other library has it"),
        (".pt", SMALL_STEM, 1, "resnet18 with a 3x3 stem: no library has it, torchvision makes it"),
        (".safetensors", VIT, 4, "vit_tiny: timm and transformers load it"),
        (".pt", FROM_TIMM, 3, "timm/test_byobnet: timm and transformers load it"),
    ],
)
def test_weights_load_by_the_lines_that_are_printed(ending, backbone, channels, said, checkpoint, tmp_path):
    out = tmp_path / f"backbone{ending}"
    model = export_backbone(checkpoint(backbone=backbone, channels=channels), out)
    images, wanted = features(model, channels)
    torch.testing.assert_close(loaded(model, out, images), wanted)
    assert said in loaders(model)
    needs_ours = "cplearn_solo" in recipe(model, str(out), ending)
    assert needs_ours == (backbone is RESNET8)


@pytest.mark.parametrize("name, blocks, wide", [("resnet18", (2, 2, 2, 2), False), ("resnet50", (3, 4, 6, 3), True)])
def test_a_pickle_has_the_names_and_shapes_that_detectron2_looks_for(name, blocks, wide, checkpoint, tmp_path):
    """Written from detectron2's networks: a stem, and stages res2 to res5, each convolution with a norm."""
    model = export_backbone(checkpoint(backbone=(name, 96, {})), tmp_path / "x.pkl")
    content = pickle.loads((tmp_path / "x.pkl").read_bytes())  # as detectron2 does; this program has no way to read it
    wanted = {"stem.conv1": (64, 3, 7, 7)}
    inputs = 64
    for stage, (count, inner) in enumerate(zip(blocks, (64, 128, 256, 512)), 2):
        outputs = 4 * inner if wide else inner
        for block in range(count):
            place, own = f"res{stage}.{block}", inputs if block == 0 else outputs
            if wide:
                shapes = [(inner, own, 1, 1), (inner, inner, 3, 3), (outputs, inner, 1, 1)]
            else:
                shapes = [(inner, own, 3, 3), (outputs, inner, 3, 3)]
            wanted |= {f"{place}.conv{i}": shape for i, shape in enumerate(shapes, 1)}
            if block == 0 and own != outputs:
                wanted[f"{place}.shortcut"] = (outputs, own, 1, 1)
        inputs = outputs
    arrays = {f"{place}.weight": shape for place, shape in wanted.items()}
    norms = ("weight", "bias", "running_mean", "running_var")
    arrays |= {f"{place}.norm.{part}": shape[:1] for place, shape in wanted.items() for part in norms}
    assert {key: value.shape for key, value in content["model"].items()} == arrays
    assert content["matching_heuristics"] is True and content["__author__"] == "cplearn_solo"
    stored, own = content["model"]["res3.0.conv2.norm.weight"], model.backbone.layer2[0].bn2.weight
    torch.testing.assert_close(torch.from_numpy(stored), own)
    told = recipe(model, "x.pkl", ".pkl")
    assert f"DEPTH, cfg.MODEL.RESNETS.STRIDE_IN_1X1 = {name[6:]}, False" in told and ("RES2" in told) != wide
    assert "PIXEL_STD = [102.0, 127.5, 153.0], [51.0, 63.75, 76.5]" in told
    compile(told, "recipe", "exec")


@pytest.mark.parametrize(
    ("channels", "line"), [(3, "cfg.INPUT.FORMAT = 'RGB'"), (1, "cfg.INPUT.FORMAT = 'L'"), (4, "")]
)
def test_detectron2_is_told_the_channels_that_it_can_read(channels, line, checkpoint):
    lines = recipe(load_pretrained(checkpoint(backbone=LARGE_STEM, channels=channels)), "x.pkl", ".pkl").splitlines()
    assert [text for text in lines if "FORMAT" in text] == ([line] if line else [])


def test_a_small_stem_is_none_of_detectron2s(checkpoint, tmp_path):
    with pytest.raises(InputError, match="must be of another ending, detectron2 has ResNets with a 7x7 stem only"):
        export_backbone(checkpoint(backbone=SMALL_STEM), tmp_path / "x.pkl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backbone", [RESNET8, SMALL_STEM])
def test_the_keys_that_are_told_train_what_detectron2_has(backbone, checkpoint, tmp_path):
    """With the configuration of digits, whose resnet8 has a width."""
    with pytest.raises(InputError, match="in training") as told:
        export_backbone(checkpoint(backbone=backbone), tmp_path / "x.pkl")
    keys = re.findall(r"~?backbone\.[\w.]+=\w+|~[\w.]+", str(told.value))
    start = [] if backbone is RESNET8 else ["backbone.name=resnet18", "~backbone.kwargs.width"]
    config = parse_config(composed_by(["-cp", "scripts/pretrain/digits", *start, *keys], config="cplearn.yaml"))
    check_networks(config)
    assert not has_small_stem(config.backbone.name, 8, **config.backbone.kwargs)


def test_weights_alone_are_no_checkpoint_and_a_line_says_so(checkpoint, tmp_path):
    file = checkpoint(backbone=RESNET8)
    for ending in (".pt", ".safetensors"):
        export_backbone(file, tmp_path / f"x{ending}")
    export_backbone(checkpoint(backbone=LARGE_STEM), tmp_path / "x.pkl")
    (tmp_path / "x.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch")
    for ending in (".pt", ".safetensors", ".pkl", ".onnx"):
        words = f"x{ending} is no checkpoint: exported {ending} files hold weights alone; give the run folder or its ch"
        with pytest.raises(InputError, match=words):
            find_checkpoint(tmp_path / f"x{ending}")
    shutil.copy(file, tmp_path / "renamed.pt")
    assert find_checkpoint(tmp_path / "renamed.pt") == (tmp_path / "renamed.pt", None)


def test_safetensors_say_what_they_are_of(checkpoint, tmp_path):
    export_backbone(checkpoint(backbone=VIT), tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        facts = json.loads(file.metadata()["cplearn_solo"])
    assert facts == {
        "backbone": "vit_tiny",
        "kwargs": {"depth": 2},
        "image_channels": 3,
        "crop_size": 32,
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.25, 0.3],
    }


@of_folders
@pytest.mark.parametrize("backbone, channels", [pytest.param(LARGE_STEM, 1, marks=pytest.mark.slow), (FROM_TIMM, 3)])
def test_a_folder_is_loaded_by_timm(backbone, channels, checkpoint, tmp_path):
    model = export_backbone(checkpoint(backbone=backbone, channels=channels), tmp_path / "folder")
    images, wanted = features(model, channels)
    torch.testing.assert_close(loaded(model, tmp_path / "folder", images), wanted)

    there = timm.create_model(f"local-dir:{tmp_path}/folder", pretrained=True, num_classes=7)  # for fine-tuning
    assert there(images).shape == (2, 7)
    found = timm.data.resolve_model_data_config(there)
    size = backbone[1]
    assert found["input_size"] == (channels, size, size) and found["interpolation"] == "bicubic"
    assert found["mean"] == pytest.approx([0.4, 0.5, 0.6][:channels]) and found["std"][0] == pytest.approx(0.2)
    assert int(size / found["crop_pct"]) == {96: 110, 64: 64}[size]  # 256 / 224 of it above 64


@of_folders
def test_a_folder_is_loaded_by_transformers(checkpoint, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = export_backbone(checkpoint(backbone=VIT), tmp_path / "folder")
    images, wanted = features(model)
    with torch.no_grad():
        there = transformers.AutoModel.from_pretrained(tmp_path / "folder").eval()(images)
    torch.testing.assert_close(there.pooler_output, wanted)


@of_folders
def test_a_card_has_scores_beside_chance_and_the_verdict(checkpoint, tmp_path):
    file = checkpoint(backbone=VIT)
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints/last.ckpt").write_bytes(file.read_bytes())
    (run / "config.yaml").touch()
    assert "None, as no finished run was exported but a checkpoint." in model_card(load_pretrained(run))
    (run / "data.json").write_text(json.dumps({"train": {"images": 1438}}))
    summary = {"linear_acc1": 0.98, "epochs": 4, "ami": 0.87, "scored_images": 359, "scored_on": "test"}
    summary["scores_version"] = 2
    summary |= {"random_backbone": {"linear_acc1": 0.94}, "chance": {"linear_acc1": 0.1003, "ami": 0.0}}
    summary |= {"verdict": "healthy", "verdict_reason": "spread 0.98"}
    (run / "summary.json").write_text(json.dumps(summary))
    export_backbone(run, tmp_path / "folder")
    card = (tmp_path / "folder/README.md").read_text()
    assert "| linear_acc1 | 0.98 | 0.94 | 0.1003 |" in card and "| ami | 0.87 |  | 0 |" in card
    assert "Trained on: digits, 1438 images" in card and "Collapse: healthy: spread 0.98." in card
    assert "Started from" not in card
    other = load_pretrained(run)
    for weights, said in (("timm/some_vit", "timm/some_vit"), ("/home/me/run", "weights in a file")):
        config = replace(other.config, backbone=replace(other.config.backbone, weights=weights))
        assert f"- Started from: {said}\n" in model_card(replace(other, config=config))
    earlier = replace(load_pretrained(run), checkpoint=run / "checkpoints/epoch=2.ckpt", epochs=2)
    assert "Training: 2 of 4 epochs" in model_card(earlier) and "0.98" not in model_card(earlier)
    assert "Training: 4 epochs" in card
    assert "epochs |" not in card and str(tmp_path) not in card and re.search(r"less 0.4, 0.5, 0.6 and over 0.2", card)


def test_a_checkpoint_in_the_folder_of_another_program_is_of_no_run(checkpoint, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    moved = Path(shutil.copy(checkpoint(), tmp_path / "checkpoints"))
    (tmp_path / "config.yaml").write_text("port: 80\n")
    assert find_checkpoint(moved) == (moved, None)
    (tmp_path / "metrics.csv").touch()  # all that a run of 0.2.0 has besides
    assert find_checkpoint(moved) == (moved, tmp_path)


@of_folders
def test_a_network_that_timm_lacks_is_no_folder(checkpoint, tmp_path):
    words = "folder': must be a file that ends in .pt, .safetensors or .onnx, timm has no resnet8"
    with pytest.raises(InputError, match=words):
        export_backbone(checkpoint(backbone=RESNET8), tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


@of_folders
def test_a_network_that_is_another_one_in_timm_is_no_folder(checkpoint, tmp_path, monkeypatch):
    from cplearn_solo.inference import timm_folder

    monkeypatch.setattr(timm_folder, "in_timm", lambda *_, **__: ("vit_tiny_patch16_224", {"img_size": 32}))
    with pytest.raises(InputError, match="must be a file, timm cannot load this network"):
        export_backbone(checkpoint(backbone=VIT), tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("backbone, channels", [(RESNET8, 3), (SMALL_STEM, 1), (VIT, 3)])
def test_onnx_computes_the_same_for_any_batch(backbone, channels, checkpoint, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    out = tmp_path / "backbone.onnx"
    model = export_backbone(checkpoint(backbone=backbone, channels=channels), out)
    images, wanted = features(model, channels)
    torch.testing.assert_close(loaded(model, out, images), wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())
    session = runtime.InferenceSession(out)
    for n in (1, 5):
        (found,) = session.run(None, {"images": images[:1].repeat(n, 1, 1, 1).numpy()})
        torch.testing.assert_close(torch.from_numpy(found), wanted[:1].repeat(n, 1), rtol=1e-3, atol=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["backbone.onnx"]


def test_features_that_are_all_0_differ_by_nothing_from_the_same():
    zeros = torch.zeros(2, 3)
    assert to_onnx.difference(zeros, zeros) == 0 and to_onnx.difference(zeros + 1e-6, zeros) > to_onnx.TOLERANCE


@pytest.mark.slow
def test_onnx_that_computes_something_else_is_refused(checkpoint, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    file = checkpoint(backbone=RESNET8)
    monkeypatch.setattr(to_onnx, "difference", lambda *_: 0.01)
    with pytest.raises(InputError, match="onnxruntime's features of this network are off by 1.0e-02"):
        export_backbone(file, tmp_path / "backbone.onnx")
    assert list(tmp_path.iterdir()) == []


def test_onnx_of_what_cannot_be_exported_is_one_line(checkpoint, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("no such operator\nand a page more")

    monkeypatch.setattr(to_onnx.torch.onnx, "export", fails)
    monkeypatch.setattr("cplearn_solo.inference.targets.find_spec", lambda name: name)
    with pytest.raises(InputError, match=r"another ending, PyTorch cannot export resnet8 \(no such operator\)$"):
        export_backbone(checkpoint(backbone=RESNET8), tmp_path / "backbone.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "out, words",
    [
        (
            "x.bin",
            "must be a file that ends in .pt, .safetensors, .onnx, .pkl, or a folder, which ends in / or has no ending",
        ),
        ("no/x.pt", "there is no folder"),
        ("mine.pt", "a new file, that one exists already"),
        ("mine/", "a new file, that one exists already"),
    ],
)
def test_other_targets_are_refused(out, words, tmp_path):
    (tmp_path / "mine.pt").write_text("mine")
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match=words):
        new_export(f"{tmp_path}/{out}")


def test_missing_packages_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr("cplearn_solo.inference.targets.find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(InputError, match=r"pip install 'cplearn-solo\[onnx\]': there is no onnxscript$"):
        new_export(tmp_path / "x.onnx")
