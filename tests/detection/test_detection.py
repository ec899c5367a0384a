"""Detectors on top of backbones, and whole transfers."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from support.checkpoints import write_checkpoint
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from cplearn_solo.backbones import build_backbone
from cplearn_solo.core.errors import InputError, NotWritten
from cplearn_solo.detection import train
from cplearn_solo.detection.annotations import read_coco
from cplearn_solo.detection.network import build_detector
from cplearn_solo.detection.schema import Network, parse_detection
from cplearn_solo.detection.score import scored

pytest.importorskip("pycocotools", reason="pycocotools, of the extra detection, is not installed")

ROOT = Path(__file__).parents[2]
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
QUICK = {"save_every": 2, "accelerator": "cpu", "data": {"dataset": "digits", "scenes": 12}}
SMALL = {"channels": 8, "anchor_sizes": [12, 16, 24], "rois": 8, "sizes": [64], "max_size": 64}


def network(**keys):
    return Network(**{**SMALL, **keys})


def targets(masks=True):
    target = {"boxes": torch.tensor([[8.0, 8.0, 30.0, 30.0]]), "labels": torch.tensor([2])}
    return [{**target, **({"masks": torch.ones(1, 64, 64, dtype=torch.uint8)} if masks else {})}]


@pytest.mark.parametrize(
    "name, kwargs, keys",
    [
        ("resnet8", {"width": 4}, {"neck": "fpn", "name": "mask_rcnn"}),
        ("resnet18", {}, {"neck": "fpn", "name": "faster_rcnn", "anchor_sizes": [8, 16, 32, 64, 128]}),
        ("resnet18", {}, {"neck": "c4", "name": "mask_rcnn"}),
    ],
)
def test_detectors_train_and_find(name, kwargs, keys):
    torch.manual_seed(0)
    backbone = build_backbone(name, crop_size=96, **kwargs)
    weight = backbone.conv1.weight
    masks = keys["name"] == "mask_rcnn"
    detector = build_detector(backbone, network(**keys), 3, MEAN, STD)
    assert not any(isinstance(each, nn.BatchNorm2d) for each in detector.backbone.modules())
    losses = detector([torch.rand(3, 64, 64)], targets(masks))
    assert ("loss_mask" in losses) == masks
    sum(losses.values()).backward()
    assert weight.grad.abs().sum() > 0  # the backbone itself is trained
    found = detector.eval()([torch.rand(3, 64, 64)])[0]
    assert ("masks" in found) == masks and found["boxes"].shape[1] == 4


def test_c4_is_stage_3_and_stage_4_as_the_head_of_boxes_and_masks():
    backbone = build_backbone("resnet50", crop_size=224)
    head = backbone.layer4
    detector = build_detector(backbone, network(neck="c4", anchor_sizes=[32, 64]), 3, MEAN, STD)
    assert detector.roi_heads.box_head[0] is head and detector.roi_heads.mask_head is head
    assert detector.backbone(torch.rand(1, 3, 64, 64))["0"].shape == (1, 1024, 4, 4)
    assert detector.rpn.head.cls_logits.out_channels == 6  # two sizes, three ratios
    assert detector.roi_heads.box_predictor.cls_score.in_features == 2048


def test_frozen_batch_norm_computes_the_same():
    backbone = build_backbone("resnet18", crop_size=96)
    backbone(torch.rand(4, 3, 64, 64))  # statistics of something
    x = torch.rand(2, 3, 64, 64)
    backbone.eval()
    with torch.no_grad():
        before = backbone(x)
        build_detector(backbone, network(neck="c4"), 3, MEAN, STD).train()
        assert isinstance(backbone.bn1, FrozenBatchNorm2d)
        torch.testing.assert_close(backbone.layer4(backbone.layer3(_stages(backbone, x))).mean((2, 3)), before)


def _stages(backbone, x):
    return backbone.layer2(backbone.layer1(backbone.maxpool(backbone.relu(backbone.bn1(backbone.conv1(x))))))


@pytest.mark.parametrize(
    "backbone, keys, words",
    [
        (nn.Flatten, {}, "pretrained = 'Flatten': must be a run of a ResNet"),
        (lambda: build_backbone("resnet8", crop_size=8, width=4), {"neck": "c4"}, "model.neck = 'c4': must be fpn"),
        (
            lambda: build_backbone("resnet8", crop_size=8, width=4),
            {"anchor_sizes": [8]},
            "model.anchor_sizes = [8]: must be 3 numbers",
        ),
    ],
)
def test_networks_that_do_not_fit_are_told(backbone, keys, words):
    with pytest.raises(InputError) as told:
        build_detector(backbone(), network(**keys), 3, MEAN, STD)
    assert words in str(told.value)


def test_scores_are_1_for_the_truth_and_0_for_nothing(written):
    truth = read_coco(written(), None, key="data.val", masks=True)
    found = [
        {key: each[key] for key in ("image_id", "category_id", "bbox", "segmentation")} | {"score": 0.9}
        for each in truth.objects(7)
    ]
    for each in found:
        each["segmentation"] = truth.coco.annToRLE(each | {"image_id": 7})
    right = scored(truth, found, masks=True)
    assert right == pytest.approx(dict.fromkeys(("AP", "AP50", "AP75", "mask_AP", "mask_AP50", "mask_AP75"), 1.0))
    found[0]["bbox"] = [4, 5, 10, 5]  # an overlap of 5/8
    half = scored(truth, found, masks=False)
    assert half["AP50"] == pytest.approx(1) and half["AP75"] == pytest.approx(0.5) and 0.5 < half["AP"] < 1
    assert set(scored(truth, [], masks=False).values()) == {0.0}


def test_annotations_are_scored_though_they_say_neither_area_nor_crowd(values, written):
    for each in values["annotations"][:2]:
        del each["area"], each["iscrowd"]
    truth = read_coco(written(), None, key="data.val", masks=True)
    found = [
        {"image_id": 7, "category_id": each["category_id"], "bbox": each["bbox"], "score": 0.9}
        for each in truth.objects(7)
    ]
    assert scored(truth, found, masks=False)["AP"] == pytest.approx(1)


@pytest.mark.parametrize("nothing", [[], None, {}])
def test_a_crowd_without_a_shape_is_its_box(nothing, values, written):
    """Other programs write none, which ended a transfer once it was trained."""
    values["annotations"][2]["segmentation"] = nothing
    values["annotations"][0] |= {"area": None, "iscrowd": None}
    truth = read_coco(written(), None, key="data.val", masks=True)
    found = [
        {"image_id": image, "category_id": 5, "bbox": box, "score": 0.9, "segmentation": truth.coco.annToRLE(shape)}
        for image, box, shape in ((8, [0, 0, 40, 30], truth.coco.anns[3]), (7, [20, 10, 20, 10], truth.coco.anns[2]))
    ]
    assert truth.coco.annToMask(truth.coco.anns[3]).all()
    scores = scored(truth, found, masks=True)
    assert scores["AP"] == scores["mask_AP"] == pytest.approx(0.5)  # of hats, and no cup was found


def test_a_full_disk_is_told_and_leaves_the_last_detector(tmp_path, request):
    fabric = SimpleNamespace(is_global_zero=True, barrier=lambda: None)
    layer = nn.Linear(100, 100)
    sgd = torch.optim.SGD(layer.parameters(), lr=0.1)
    train._save(fabric, tmp_path, layer, sgd, 1)
    request.getfixturevalue("small_files")
    with pytest.raises(NotWritten, match=r"last\.pt: could not be written: File too large"):
        train._save(fabric, tmp_path, layer, sgd, 2)
    assert torch.load(tmp_path / train.LAST, weights_only=True)["step"] == 1
    assert os.listdir(tmp_path) == [train.LAST]


def test_scenes_that_do_not_fit_are_told_by_their_folder(tmp_path, small_files):
    fabric = SimpleNamespace(is_global_zero=True, barrier=lambda: None)
    with pytest.raises(NotWritten, match="scenes: could not be written: File too large"):
        train._annotations(fabric, configured("run"), tmp_path, True)


def configured(run, **keys):
    solver = {"steps": 3, "batch_size": 2, "warmup_steps": 0, "lr": 0.01}
    raw = {"pretrained": str(run), **QUICK, "model": {"batch_norm": "trained", **SMALL}, "optimizer": solver}
    return parse_detection({**raw, **keys})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with an untrained ResNet-8."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "checkpoints").mkdir()
    os.replace(write_checkpoint(folder, backbone=("resnet8", 8, {"width": 4})), folder / "checkpoints/last.ckpt")
    (folder / "config.yaml").touch()
    return folder


def test_a_transfer_is_resumed_to_the_same_weights_and_done_once(run, monkeypatch, capsys):
    whole = train.detect(configured(run))
    weights = torch.load(whole.folder / train.LAST, weights_only=True)
    assert weights["step"] == 3 and {"AP", "AP50", "AP75", "mask_AP"} <= whole.result.keys()
    assert whole.result["scored_images"] == 12 and whole.folder.parent == run / "detection"
    assert yaml.safe_load((whole.folder / "config.yaml").read_text())["optimizer"]["steps"] == 3

    shutil.rmtree(whole.folder)
    saved = train._save

    def killed(fabric, folder, detector, optimizer, step):
        saved(fabric, folder, detector, optimizer, step)
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        train.detect(configured(run))
    monkeypatch.setattr(train, "_save", saved)
    again = train.detect(configured(run, save_every=5))  # how often is another is no other transfer
    assert again.folder == whole.folder and "step 2 of 3" in capsys.readouterr().out
    resumed = torch.load(again.folder / train.LAST, weights_only=True)
    for name, tensor in weights["detector"].items():
        assert torch.equal(resumed["detector"][name], tensor), name

    monkeypatch.setattr(train, "average_precision", None)
    assert train.detect(configured(run)).result == again.result == json.loads((again.folder / train.RESULT).read_text())


def test_all_processes_end_at_a_loss_that_is_no_number_in_one_of_them(run, monkeypatch):
    monkeypatch.setattr(train, "sum_ranks", lambda loss: loss * torch.nan)
    with pytest.raises(InputError, match="optimizer.lr = 0.01: must be smaller, the loss of step 0 is nan"):
        train.detect(configured(run, model={**SMALL, "rois": 4}))


def test_a_batch_that_is_too_large_is_told_by_its_key(run, monkeypatch):
    def too_large(_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(train, "sum_ranks", too_large)
    with pytest.raises(InputError, match="^optimizer.batch_size = 2: must be smaller, as the memory of cpu ran out$"):
        train.detect(configured(run, model={**SMALL, "rois": 5}))


def test_other_processes_end_with_the_first_one(run, monkeypatch):
    fabric, ended = SimpleNamespace(is_global_zero=False, launch=lambda: None), []
    monkeypatch.setattr(train, "Fabric", lambda **_: fabric)
    monkeypatch.setattr(train, "_train_and_score", lambda *_: None)
    monkeypatch.setattr(train, "end_with_parent", lambda: ended.append(True))
    assert train.detect(configured(run, seed=3)) is None and ended


@pytest.mark.slow
@pytest.mark.distributed
def test_two_processes_train_batch_norm_together(tmp_path):
    """Also on CPUs, which PyTorch's own BatchNorm over processes refuses."""
    keys = {"devices": 2, "accelerator": "cpu", "data.scenes": 12, "model.batch_norm": "trained", "save_every": 1}
    keys |= {"model.anchor_sizes": "[8,16,32,64,128]", "model.channels": 8, "model.rois": 8}
    keys |= {"optimizer.steps": 2, "optimizer.batch_size": 2, "optimizer.warmup_steps": 0}
    checkpoint = write_checkpoint(tmp_path, backbone=("resnet18", 32, {}))
    command = [sys.executable, str(ROOT / "main_detect.py"), str(checkpoint), "--config-name", "mini.yaml"]
    command += [f"{key}={value}" for key, value in keys.items()]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (last,) = tmp_path.glob("detection/*/last.pt")
    saved = torch.load(last, weights_only=True)
    assert saved["step"] == 2 and saved["detector"]["backbone.body.bn1.num_batches_tracked"] == 2


def test_a_transfer_is_known_by_what_decides_its_result(run):
    backbone = build_backbone("resnet8", crop_size=8, width=4)
    config = configured(run)
    same = train._identity(config, backbone)
    assert train._identity(configured("elsewhere", save_every=9, devices=2), backbone) == same
    assert train._identity(configured(run, seed=1), backbone) != same
    nn.init.zeros_(backbone.conv1.bias)
    assert train._identity(config, backbone) != same


def test_a_transfer_is_known_by_its_images_and_boxes_wherever_it_is_called(values, written, tmp_path, monkeypatch):
    backbone, file = build_backbone("resnet8", crop_size=8, width=4), Path(written())
    data = {"dataset": "coco", "train": file.name, "val": str(file)}

    def known(**keys):
        return train._identity(configured("run", data={**data, **keys}), backbone)

    monkeypatch.chdir(tmp_path)
    here = known()
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    assert known(train=f"../{file.name}", val=f"../{file.name}") == here
    for name in ("a.png", "b.png", file.name):
        shutil.copy(tmp_path / name, other / name)
    assert known() != here  # the same names of other images
    values["annotations"].pop()
    written()
    assert known(train=str(file)) != here  # corrected since


def test_random_weights_have_no_statistics_to_freeze(tmp_path):
    run = write_checkpoint(tmp_path, backbone=("resnet18", 96, {}))
    keys = {"from_scratch": True, "model": {"neck": "c4", "batch_norm": "frozen"}}
    with pytest.raises(InputError, match="model.batch_norm = 'frozen': must be trained with from_scratch=true"):
        train.detect(configured(run, **keys))


def test_a_transfer_that_diverges_says_so(run):
    solver = {"steps": 3, "batch_size": 2, "warmup_steps": 0, "lr": 1e12}
    with pytest.raises(InputError, match=r"optimizer.lr = 1000000000000.0: must be smaller, the loss of step \d is"):
        train.detect(configured(run, optimizer=solver))
