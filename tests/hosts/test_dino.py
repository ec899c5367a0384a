"""DINO's main script trains our methods; what needs a checkout of it is skipped where there is none."""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.processes import MAIN, ROOT, python
from torch import nn

from cplearn_solo import hosts
from cplearn_solo.cli.main import main
from cplearn_solo.core.errors import InputError
from cplearn_solo.hosts.dino import fitting_methods, parse_options, write_patch
from cplearn_solo.hosts.dino.images import PatientImageFolder
from cplearn_solo.hosts.dino.networks import Head, NoTeacher
from cplearn_solo.hosts.dino.script import IN_SCRIPT, IN_UTILS, USED
from cplearn_solo.hosts.dino.substitutes import Substitutes, check_arguments, plain
from cplearn_solo.methods import METHODS, Progress, Views

pytestmark = pytest.mark.integration

CHECKOUT = Path(os.environ.get("DINO", "nowhere"))
needs_checkout = pytest.mark.skipif(
    not (CHECKOUT / "main_dino.py").is_file(),
    reason="DINO names no checkout of facebookresearch/dino: set it to a clone of its repository",
)
EPOCHS = 10  # of one step, so that the log holds the loss of each
CPLEARN = ("--method", "cplearn", "--dict_size", "64", "--beta", "0.25", "--device", "cpu")
SMALL = {
    "barlow_twins": {"proj_hidden_dim": 16, "proj_output_dim": 8},
    "swav": {"proj_hidden_dim": 16, "proj_output_dim": 8, "num_prototypes": 12, "queue_size": 24},
    "gedi_nogen": {"proj_hidden_dim": 16, "proj_output_dim": 8},
    "self_classifier": {"proj_hidden_dim": 16, "proj_output_dim": 8, "num_prototypes": 12},
}
EVALUATION_ON_CPU = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
import utils
from cplearn_solo.hosts.dino.cpu import stay_on_cpu
stay_on_cpu(utils)
runpy.run_path(sys.argv.pop(1) + "/eval_knn.py", run_name="__main__")
"""


def cplearn_dino(folder, *arguments):
    return python(*MAIN, "dino", *arguments, cwd=folder)


def of_dino(images, output, epochs=EPOCHS):
    """Arguments of DINO's for seconds on a CPU."""
    flags = {"arch": "vit_tiny", "patch_size": 32, "data_path": images, "output_dir": output, "epochs": epochs}
    flags |= {"warmup_epochs": 1, "batch_size_per_gpu": 12, "num_workers": 0, "local_crops_number": 1}
    return [text for flag, value in flags.items() for text in (f"--{flag}", value)]


def log(output):
    return [json.loads(line) for line in (output / "log.txt").read_text().splitlines()]


@pytest.fixture(scope="module")
def twelve(digits, tmp_path_factory):
    """A folder of as many images as a batch has."""
    folder = tmp_path_factory.mktemp("twelve")
    for i, image in enumerate(sorted(digits.glob("train/*/*.png"))[::12][:12]):
        (folder / str(i % 2)).mkdir(exist_ok=True)
        shutil.copy(image, folder / str(i % 2) / image.name)
    return folder


@pytest.fixture(scope="module")
def trained(twelve, tmp_path_factory):
    """What the runner leaves, with a checkpoint of every fifth epoch."""
    folder = tmp_path_factory.mktemp("run")
    done = cplearn_dino(folder, CHECKOUT / "main_dino.py", *CPLEARN, "--", *of_dino(twelve, "out"), "--saveckp_freq", 5)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "proj_output_dim: 64" in done.stdout and "n = 12 is the batch of one crop" in done.stdout
    return folder / "out"


@needs_checkout
def test_the_patch_gives_the_losses_of_the_runner(trained, twelve, tmp_path):
    copy = tmp_path / "dino"
    copy.mkdir()
    for file in ("main_dino.py", "utils.py", "vision_transformer.py"):
        shutil.copy(CHECKOUT / file, copy)
    assert cplearn_dino(tmp_path, "--write-patch", "our.patch", copy).returncode == 0
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    subprocess.run(["git", "apply", "../our.patch"], cwd=copy, check=True)
    done = python(copy / "main_dino.py", *CPLEARN, *of_dino(twelve, "out"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    losses = [[epoch["train_loss"] for epoch in log(output)] for output in (trained, tmp_path / "out")]
    assert len(losses[0]) == EPOCHS and losses[0] == losses[1]
    assert {"train_lr", "train_invariance", "train_prior"} <= log(trained)[0].keys()

    wrong = python(copy / "main_dino.py", "--method", "byol", *of_dino(twelve, "out"), cwd=tmp_path)
    words = "main_dino.py: error: --method = 'byol': must be one without a teacher"
    assert wrong.returncode == 2 and wrong.stderr.startswith(words)


@needs_checkout
def test_its_evaluation_runs_on_our_checkpoint(trained, digits, tmp_path):
    for part in ("train", "val"):  # it wants a hundred held-out images
        (tmp_path / part).symlink_to(digits / "train")
    flags = ["--pretrained_weights", trained / "checkpoint.pth", "--data_path", tmp_path, "--nb_knn", 10]
    flags += ["--arch", "vit_tiny", "--patch_size", 32, "--num_workers", 0, "--use_cuda", "false"]
    done = python("-c", EVALUATION_ON_CPU, CHECKOUT, *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Take key teacher" in done.stdout and "<All keys matched successfully>" in done.stdout
    assert "10-NN classifier result" in done.stdout


@needs_checkout
def test_a_run_goes_on_from_a_checkpoint_and_from_no_other(trained, twelve, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    shutil.copy(trained / "checkpoint0005.pth", output / "checkpoint.pth")
    command = [CHECKOUT / "main_dino.py", *CPLEARN, "--", *of_dino(twelve, "out")]
    done = cplearn_dino(tmp_path, *command)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [epoch["epoch"] for epoch in log(output)] == [6, 7, 8, 9]
    assert [epoch["train_lr"] for epoch in log(output)] == [epoch["train_lr"] for epoch in log(trained)[6:]]
    steps = {int(state["step"]) for state in torch.load(output / "checkpoint.pth")["optimizer"]["state"].values()}
    assert steps == {EPOCHS}

    command[command.index("0.25")] = "0.5"
    other = cplearn_dino(tmp_path, *command)
    assert other.returncode == 2 and "beta = 0.5: must be 0.25, as in the checkpoint" in other.stderr.splitlines()[-1]
    torch.save({"args": argparse.Namespace()}, output / "checkpoint.pth")
    foreign = cplearn_dino(tmp_path, *command)
    assert foreign.returncode == 2 and "must be another, its checkpoint.pth is of" in foreign.stderr.splitlines()[-1]


@needs_checkout
@pytest.mark.parametrize("method", SMALL)
def test_methods_without_a_teacher_run(method, twelve, tmp_path):
    options = ["--method", method, "--device", "cpu"]
    options += [text for key, value in SMALL[method].items() for text in (f"--{key}", value)]
    done = cplearn_dino(tmp_path, CHECKOUT / "main_dino.py", *options, "--", *of_dino(twelve, "out", epochs=2))
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(log(tmp_path / "out")) == 2
    assert all(np.isfinite(epoch["train_loss"]) for epoch in log(tmp_path / "out"))
    checkpoint = torch.load(tmp_path / "out/checkpoint.pth")
    assert checkpoint["args"]["method"] == method
    assert all(key.startswith("backbone.") for key in checkpoint["teacher"])


@pytest.mark.parametrize(
    "options, words",
    [
        (["--method", "cplern"], "unknown method 'cplern': did you mean 'cplearn'?"),
        (["--method", "byol"], "--method = 'byol': must be one without a teacher; choices are "),
        (["--method", "gedi"], "--method = 'gedi': must be one that does not need the images"),
        ([], "--method is missing: choices are "),
        (["--method", "cplearn", "--bta", "1"], "unknown key of cplearn's method_kwargs 'bta': did you mean 'beta'?"),
        (["--method", "cplearn", "--beta", "[1"], "method_kwargs.beta = '[1': cannot be read"),
        (["--method", "swav", "--dict_size", "16"], "unknown key of swav's method_kwargs 'dict_size'"),
        (["--method", "cplearn", "--arch", "vit_tiny"], "DINO's own arguments stand after --"),
    ],
)
def test_bad_options_are_one_line(options, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cplearn", "dino", "dino/main_dino.py", *options, "--", "--arch", "vit_tiny"])
    with pytest.raises(SystemExit, match="2"):
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("dino: error: ") and words in line


@needs_checkout
@pytest.mark.parametrize(
    "dinos, words",
    [
        (["--patch_size", "14"], "--patch_size = 14: must be a divisor of 32, for crops of 96 and"),
        (["--batch_size_per_gpu", "13"], "must be a folder of at least 13 images"),
    ],
)
def test_arguments_that_dino_would_fail_on_late_are_one_line(dinos, words, twelve, tmp_path):
    done = cplearn_dino(tmp_path, CHECKOUT / "main_dino.py", *CPLEARN, "--", *of_dino(twelve, "out"), *dinos)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("dino: error: ") and words in done.stderr.splitlines()[-1]


@pytest.fixture
def imitation(tmp_path):
    """A script with the names that the host needs, and no more."""
    entry = "if __name__ == '__main__':\n    train_dino(None)"
    (tmp_path / "main_dino.py").write_text("\n".join(["import utils", *USED, entry]))
    names = [name.removeprefix("utils.") for name in USED if name.startswith("utils.")]
    (tmp_path / "utils.py").write_text("\n".join(f"def {name}(): pass" for name in names))
    return tmp_path


@pytest.mark.parametrize("file, name", [("main_dino.py", name) for name in USED] + [("utils.py", "MultiCropWrapper")])
def test_another_version_is_told_which_name_was_looked_for(file, name, imitation):
    text = (imitation / file).read_text()
    (imitation / file).write_text(text.replace(name, "renamed"))
    with pytest.raises(InputError, match=f"looked for (utils.)?{name}, which is not there"):
        write_patch(str(imitation / "it.patch"), str(imitation))


@pytest.mark.parametrize("script", ["nowhere.py", ".", "setup.py"])
def test_a_path_that_is_not_the_script_ends_in_one_line(script, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["cplearn", "dino", script, "--method", "cplearn", "--", "--arch", "vit_tiny"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"dino: error: {script}" in capsys.readouterr().err


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_patch_applies_whatever_the_end_of_lines(end, imitation):
    script = imitation / "main_dino.py"
    script.write_bytes(script.read_bytes().replace(b"\n", end.encode()))
    write_patch(str(imitation / "it.patch"), str(imitation))
    subprocess.run(["git", "apply", "it.patch"], cwd=imitation, check=True)
    assert f"    patched(sys.modules[__name__]){end}    train_dino(None)".encode() in script.read_bytes()
    with pytest.raises(InputError, match="must be a new file"):
        write_patch(str(imitation / "it.patch"), str(imitation))
    with pytest.raises(InputError, match="must be one that is not patched already"):
        write_patch(str(imitation / "other.patch"), str(imitation))


def test_patches_of_earlier_releases_go_on_working(imitation):
    from cplearn_solo.cli.dino import patched

    assert patched is hosts.dino.patched
    script = imitation / "main_dino.py"
    old = "    from cplearn_solo.cli.dino import patched\n    patched(sys.modules[__name__])\n    train_dino(None)"
    script.write_text(script.read_text().replace("    train_dino(None)", old))
    with pytest.raises(InputError, match="must be one that is not patched already"):
        write_patch(str(imitation / "it.patch"), str(imitation))


def test_arguments_of_dino_are_checked(tmp_path):
    main = SimpleNamespace(
        vits=SimpleNamespace(vit_tiny=None),
        DataAugmentationDINO=lambda *_: lambda image: [torch.zeros(3, size, size) for size in (224, 96)],
    )
    args = argparse.Namespace(
        arch="deit_tiny", patch_size=14, data_path=tmp_path, warmup_epochs=1, epochs=1,
        global_crops_scale=(0.4, 1), local_crops_scale=(0.05, 0.4), local_crops_number=1,
    )  # fmt: skip
    with pytest.raises(InputError, match="--patch_size = 14: must be a divisor of 32, for crops of 96 and 224 pixels"):
        check_arguments(main, args)
    args.patch_size = 16
    check_arguments(main, args)
    args.arch, args.patch_size = "resnet50", 14
    check_arguments(main, args)
    args.warmup_epochs = 2
    with pytest.raises(InputError, match="--warmup_epochs = 2: must be at most --epochs, 1"):
        check_arguments(main, args)
    args.data_path = "nowhere"
    with pytest.raises(InputError, match="--data_path = 'nowhere': must be a folder"):
        check_arguments(main, args)


def head_and_crops(name, **method_kwargs):
    torch.manual_seed(0)
    head = Head(name, 5, n=6, method_kwargs=method_kwargs)
    head.progress = Progress(0, 1, 0, 1)
    return head, [torch.randn(6, 5) for _ in range(4)]


def test_the_head_gives_crops_one_by_one():
    head, crops = head_and_crops("cplearn", proj_hidden_dim=8, proj_output_dim=16)
    loss = head(torch.cat(crops))
    expected = head.method.loss(Views(crops, 2, head.progress))
    torch.testing.assert_close(loss, expected["loss"])
    torch.testing.assert_close(head.parts()["prior"], expected["prior"].item())
    assert not head.sums  # the next epoch starts anew


def test_values_of_another_type_are_refused():
    with pytest.raises(InputError, match="method_kwargs.beta = 'much': must be of type"):
        head_and_crops("cplearn", beta="much")


def test_a_method_that_so_many_processes_cannot_train_is_refused_by_its_key(monkeypatch):
    monkeypatch.setattr("cplearn_solo.hosts.dino.networks.world_size", lambda: 3)
    with pytest.raises(InputError, match="method_kwargs.proj_output_dim = 16: must be divisible by 3"):
        head_and_crops("cplearn", proj_output_dim=16, dictionary_parallel=True)


def test_a_checkpoint_of_other_settings_is_refused():
    head, _ = head_and_crops("cplearn", proj_output_dim=16)
    other, _ = head_and_crops("cplearn", proj_output_dim=16, beta=0.5)
    head.load_state_dict(head.state_dict())
    with pytest.raises(InputError, match="beta = 1.0: must be 0.5, as in the checkpoint"):
        head.load_state_dict(other.state_dict())


@pytest.mark.parametrize("name", ["barlow_twins", "gedi_nogen"])
def test_methods_of_two_views_take_the_mean_over_pairs(name):
    head, crops = head_and_crops(name, proj_hidden_dim=8, proj_output_dim=4)
    pairs = [(i, j) for i, j in combinations(range(4), 2) if i < 2]
    assert len(pairs) == 5
    losses = [head.method.loss(Views([crops[i], crops[j]], 1, head.progress))["loss"] for i, j in pairs]
    torch.testing.assert_close(head(torch.cat(crops)), torch.stack(losses).mean())


@pytest.mark.parametrize("name", fitting_methods())
def test_batchnorm_of_backbone_and_method_is_in_step_over_gpus(name):
    """As DINO's script does it with its own backbone and head, once it has found BatchNorm in them."""
    main = SimpleNamespace(**dict.fromkeys(IN_SCRIPT), utils=SimpleNamespace(**dict.fromkeys(IN_UTILS)))
    main.datasets, main.utils.MultiCropWrapper = SimpleNamespace(), lambda *parts: nn.ModuleList(parts)
    Substitutes(main, name, {}, "cuda").args = SimpleNamespace(batch_size_per_gpu=256)
    student = main.utils.MultiCropWrapper(nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)), 8)
    norms = [module for module in student.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in norms) and isinstance(student[0][1], nn.SyncBatchNorm)


def test_no_teacher_has_the_students_backbone_and_nothing_to_average():
    student = nn.Module()
    student.backbone, student.head = nn.Linear(2, 3), nn.Linear(3, 4)
    teacher = NoTeacher(student)
    assert not list(teacher.parameters()) and teacher([torch.zeros(1)]) is None
    assert list(teacher.state_dict()) == ["backbone.weight", "backbone.bias"]
    assert teacher.state_dict()["backbone.weight"].data_ptr() == student.backbone.weight.data_ptr()


def test_checkpoints_are_plain(tmp_path):
    saved = {"args": argparse.Namespace(scale=(0.4, 1.0)), "groups": [{"lr": np.float64(0.1)}], "w": torch.ones(2)}
    torch.save(plain(saved), tmp_path / "it.pth")
    found = torch.load(tmp_path / "it.pth", weights_only=True)
    assert found["args"] == {"scale": (0.4, 1.0)} and found["groups"] == [{"lr": 0.1}]


def test_unreadable_images_are_passed_over_up_to_three_of_a_few(digits, tmp_path):
    shutil.copytree(digits / "train", tmp_path / "train")
    images = PatientImageFolder(tmp_path / "train")
    assert images.skipped() == ""
    *broken, one_more = random.Random(0).sample(range(len(images)), 4)
    Path(images.samples[broken[0]][0]).write_bytes(b"no image")
    assert images[broken[0]][0].size == (8, 8)
    assert images.skipped() == f"1 of 150 images cannot be read, such as {images.samples[broken[0]][0]}"
    for index in broken[1:]:
        Path(images.samples[index][0]).write_bytes(b"no image")
        assert images[index][0].size == (8, 8)
    Path(images.samples[one_more][0]).write_bytes(b"no image")
    with pytest.raises(InputError, match="4 of 150 images cannot be read"):
        images[one_more]


def test_a_few_images_of_which_none_can_be_read_are_told(tmp_path):
    """And not looked for among for ever."""
    (tmp_path / "train/all").mkdir(parents=True)
    for name in ("1.png", "2.png"):
        (tmp_path / "train/all" / name).write_bytes(b"no image")
    with pytest.raises(InputError, match="2 of 2 images cannot be read"):
        PatientImageFolder(tmp_path / "train")[1]


@needs_checkout
def test_our_vit_sees_small_crops_as_dinos():
    """Features of crops of 96 and of 224 pixels, with the same weights."""
    code = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from vision_transformer import vit_tiny
from cplearn_solo.backbones import build_backbone
theirs, ours = vit_tiny().eval(), build_backbone("vit_tiny", crop_size=224).eval()
ours.load_state_dict(theirs.state_dict())
with torch.no_grad():
    for size in (96, 224):
        x = torch.randn(2, 3, size, size)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
"""
    done = python("-c", code, CHECKOUT, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def awkward(monkeypatch):
    """A method whose keywords are names of options and of the host's own settings."""

    class Awkward(METHODS["barlow_twins"]):
        def __init__(self, features_dim, *, batch_size, device=1, method=2, help=3, n=4, lamb=0.1):
            super().__init__(features_dim, batch_size=batch_size, proj_hidden_dim=8, proj_output_dim=4, lamb=lamb)

    monkeypatch.setitem(METHODS._items, "awkward", Awkward)


def test_keywords_may_have_names_of_options(awkward):
    words = "--method awkward --device cpu --method_kwargs.device 5 --method_kwargs.method 6 --method_kwargs.help 7"
    arguments = [*words.split(), "--n", "8", "--lamb", "0.2", "--", "--arch", "vit_tiny"]
    options, keywords, theirs = parse_options(argparse.ArgumentParser(allow_abbrev=False), arguments)
    assert (options.method, options.device, theirs) == ("awkward", "cpu", ["--arch", "vit_tiny"])
    assert keywords == {"device": 5, "method": 6, "help": 7, "n": 8, "lamb": 0.2}
    head = Head("awkward", 5, n=6, method_kwargs=keywords)
    kept = {key: head.settings[key] for key in ("method", "n", "method_kwargs.method", "method_kwargs.n", "device")}
    assert list(kept.values()) == ["awkward", 6, 6, 8, 5]


def test_the_methods_that_fit():
    assert {"cplearn", "barlow_twins", "swav", "gedi_nogen", "self_classifier"} <= set(fitting_methods())
    assert not {"byol", "dino", "gedi"} & set(fitting_methods())
