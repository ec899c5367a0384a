"""The program from Python: a run that is made, gone on with and read."""

import io
import json
import logging
import os
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir, version
from lightning import seed_everything
from packaging.version import Version
from PIL import Image
from safetensors.torch import load_file
from support.images import noise_images, pil, write_images, write_parquet

import cplearn_solo
from cplearn_solo import Run, load_backbone, pretrain
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.messages import Notice
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.engine.weights import _read
from cplearn_solo.inference.devices import known_device
from cplearn_solo.inference.embed import embed
from cplearn_solo.inference.images import images_at
from cplearn_solo.inference.pretrained import load_pretrained
from cplearn_solo.interface.training import Finished

pytestmark = pytest.mark.integration

QUICK = {"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": False, "evaluation": {"linear": False}}
DIGITS = {"max_train_images": 128, "num_workers": 0}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    return pretrain(DIGITS, checkpoint={"dir": str(folder)}, **{"method_kwargs.beta": 0.5}, **QUICK)


def test_a_run_has_what_its_folder_has(run):
    assert run.config.method_kwargs["beta"] == 0.5 and run.config.name == "cplearn-digits"
    assert run.config.method_kwargs["proj_output_dim"] == 64  # a key beside it stays
    assert run.scores == json.loads((run.path / "summary.json").read_text()) and "knn_acc1" in run.scores
    assert run.verdict == run.scores["verdict"] == "too early to tell"  # after two epochs, both of warm-up
    assert [row["epoch"] for row in run.metrics] == [0, 1] and run.metrics[1]["train_loss"] == run.scores["loss"]
    again = Run(str(run.path))
    assert again.config == run.config and repr(again) == f"Run({str(run.path)!r})"


def test_a_finished_run_has_its_backbone_as_a_file(run):
    weights = load_file(run.path / "backbone.safetensors")
    wanted = load_backbone(run.path).state_dict()
    assert weights.keys() == wanted.keys() and all(torch.equal(weights[name], wanted[name]) for name in wanted)
    read = _read(str(run.path / "backbone.safetensors"))  # where another training may start
    assert all(torch.equal(read[name], wanted[name]) for name in wanted)


def test_embeddings_are_those_of_the_command(run, tmp_path):
    write_images(tmp_path / "images", ["a.png", "b.png", "c.png"])
    (tmp_path / "images/b.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="1 of 3 images could not be read"):
        found = run.embed(tmp_path / "images", num_workers=0)
    model = load_pretrained(run.path)
    with pytest.warns(UserWarning, match="1 of 3 images could not be read"):
        embed(model, images_at(model, str(tmp_path / "images")), tmp_path / "out.npz", num_workers=0)
    stored = np.load(tmp_path / "out.npz")
    assert found.files == stored["file"].tolist() == ["a.png", "c.png"] and found.unreadable == ["b.png"]
    np.testing.assert_array_equal(found.x, stored["features"])
    np.testing.assert_array_equal(found.codes, stored["codes"])
    np.testing.assert_array_equal(found.confidence, stored["confidence"])


def test_to_load_a_model_draws_no_random_number_of_the_program(run):
    before = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()
    load_backbone(run.path)
    Run(run.path).embed(noise_images(2, 8, 8))
    assert random.getstate() == before[0] and np.random.get_state()[1].tolist() == before[2]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_images_at_hand_are_embedded_as_files_are(run, tmp_path):
    images = noise_images(5, 20, 24)
    (tmp_path / "images").mkdir()
    for i, image in enumerate(images):
        pil(image).save(tmp_path / f"images/{i}.png")
    wanted = run.embed(str(tmp_path / "images"), num_workers=0)
    for given in (images, list(images), [pil(image) for image in images]):
        found = run.embed(given, batch_size=2)
        torch.testing.assert_close(found.x, wanted.x, rtol=1e-4, atol=1e-4)
        assert found.codes.tolist() == wanted.codes.tolist() and found.files == ["0", "1", "2", "3", "4"]
    with torch.no_grad():
        by_hand = run.backbone(run.transform(images))
        h = load_pretrained(run.path).method.embed(by_hand)
    torch.testing.assert_close(by_hand, wanted.x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(run.embed(images, space="projector").x, h, rtol=1e-4, atol=1e-4)


def test_a_gallery_is_a_page(run, tmp_path):
    write_images(tmp_path / "images", [f"{i}.png" for i in range(3)])
    page = run.gallery(tmp_path / "images", tmp_path / "page.html", num_workers=0)
    assert page == tmp_path / "page.html" and "0.png" in page.read_text()


def test_the_same_call_goes_on_with_a_run_that_is_not_finished(run):
    keys = {"checkpoint": {"dir": str(run.path.parents[1])}, "method_kwargs.beta": 0.5, **QUICK}
    (run.path / "summary.json").rename(run.path / "kept.json")
    try:
        assert pretrain(DIGITS, **keys).path == run.path
    finally:
        (run.path / "kept.json").unlink()


def test_it_works_in_any_program_and_leaves_that_as_it_was(monkeypatch, tmp_path):
    """Which may work in float64, on another device, without gradients and in a Hydra of its own, and draw numbers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs.yaml").write_text("own: 1")
    keys = {**QUICK, "max_epochs": 1, "limit_train_batches": 1, "evaluation": {"linear": False, "knn": False}}
    drawn, images = [], noise_images(1, 8, 8)
    with initialize_config_dir(str(tmp_path), version_base="1.2"), torch.inference_mode():
        for trains in (False, True):
            seed_everything(3)
            before = dict(os.environ)
            if trains:
                torch.set_default_dtype(torch.float64)
                torch.set_default_device("meta")
                try:
                    run = pretrain(DIGITS, seed=np.int64(4), deterministic=True, **keys)
                    assert torch.get_default_dtype() == torch.float64 and torch.zeros(1).device.type == "meta"
                finally:
                    torch.set_default_device(None)
                    torch.set_default_dtype(torch.float32)
            assert dict(os.environ) == before and torch.is_inference_mode_enabled()
            drawn.append((random.random(), float(np.random.rand()), torch.rand(()).item()))
        torch.set_default_dtype(torch.float64)
        try:
            assert run.embed(images).x.dtype == torch.float32
        finally:
            torch.set_default_dtype(torch.float32)
        assert compose("theirs") == {"own": 1} and version.getbase() == Version("1.2")
    assert drawn[0] == drawn[1] and not torch.are_deterministic_algorithms_enabled()
    monkeypatch.chdir("/")  # where the run's relative folder is not
    assert run.scores["seed"] == 4 and len(run.metrics) == 1


@pytest.fixture
def heard(monkeypatch):
    """What a program hears that listens to Lightning and, with a handler of its own, to all others."""
    listener = logging.StreamHandler(io.StringIO())
    for name in ("lightning.pytorch", ""):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [listener])
    # as Lightning sets it, but only if the root had no handler when it was imported, which depends on earlier tests
    monkeypatch.setattr(logging.getLogger("lightning.pytorch"), "propagate", False)
    return listener.stream


@pytest.mark.parametrize("works", [True, False])
def test_what_other_packages_say_is_in_the_runs_folder(works, heard, tmp_path, monkeypatch, capsys):
    """The program has its own handlers and warnings again afterwards, and gets ours."""
    step = Pretrainer.on_train_start

    def on_train_start(self):
        warnings.warn("of another package", UserWarning, stacklevel=1)
        step(self)
        if not works:
            raise InputError("this is a mistake")

    monkeypatch.setattr(Pretrainer, "on_train_start", on_train_start)
    loggers = [logging.getLogger(name) for name in ("", "lightning", "lightning.pytorch", "lightning.fabric")]

    def settings():
        return warnings.showwarning, sys.stderr, [(logger.propagate, *logger.handlers) for logger in loggers]

    keys = {**QUICK, "max_epochs": 1, "evaluation": {"linear": False, "knn": False}, "checkpoint": {"dir": tmp_path}}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        before = settings()
        try:
            assert pretrain(DIGITS, **keys).verdict and works
        except InputError as error:
            assert str(error) == "this is a mistake" and not works
        assert settings() == before
    (kept,) = tmp_path.glob("*/*/messages.log")
    assert "UserWarning: of another package" in kept.read_text() and "GPU available" in kept.read_text()
    assert {warning.category for warning in told} == {Notice} and heard.getvalue() == ""
    assert capsys.readouterr().err == f"warnings of other packages, 1 in all: {kept}\n"
    logging.getLogger("lightning.pytorch").info("said later")
    assert heard.getvalue() == "said later\n"


def test_a_list_of_places_is_read_as_the_key_takes_it(tmp_path, monkeypatch):
    for name in "ab":
        write_images(tmp_path / name, ["x.png", "y.png"])
        write_parquet(tmp_path / f"{name}.parquet", noise_images(2, 9, 9), [0, 1])
    asked = []
    monkeypatch.setattr(sys.modules["cplearn_solo.interface.pretrain"], "take_stock", asked.append)
    folders, tables = [tmp_path / "a", str(tmp_path / "b")], (str(tmp_path / "a.parquet"), tmp_path / "b.parquet")
    for places, dataset in ((folders, "custom"), (tables, "parquet")):
        assert pretrain(places, dry_run=True, accelerator="cpu") is None
        found = asked.pop().data
        assert (found.dataset, found.train_path) == (dataset, [str(place) for place in places])


def test_threads_train_one_after_the_other(monkeypatch, capsys):
    """They would draw each other's random numbers."""
    running, most, both = [], [], Barrier(2)

    def train(config):
        running.append(config)
        time.sleep(0.05)
        most.append(len(running))
        running.remove(config)
        return Finished(Path("nowhere"), None, None, None)

    def call():
        both.wait()
        with pytest.raises(InputError, match="is not a run folder"):
            pretrain(DIGITS, **QUICK)

    monkeypatch.setattr(sys.modules["cplearn_solo.interface.pretrain"], "train_and_score", train)
    threads = [Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1] and "another training of this program goes on" in capsys.readouterr().out


def test_a_run_that_is_to_go_on_is_told(tmp_path, capsys):
    run = pretrain(DIGITS, **{**QUICK, "max_time": "00:00:00:00"}, checkpoint={"dir": tmp_path})
    assert "stopped by max_time=00:00:00:00 at epoch 1 of 2; the same command goes on" in capsys.readouterr().out
    assert run.verdict is None


@pytest.mark.parametrize(
    "content, words",
    [
        (b"a: [1\n\tb: 2", "found character"),
        (b"seed: 1\nseed: 2", "found duplicate key seed"),
        ("# größe".encode("latin-1"), "must be text in UTF-8"),
        (b"- 1", "must be a DictConfig"),
        (b"seed: ${nothing}", "nothing"),
    ],
)
def test_a_file_that_is_no_configuration_is_a_line(content, words, tmp_path):
    (tmp_path / "own.yaml").write_bytes(content)
    with pytest.raises(InputError, match=words) as told:
        pretrain(config=tmp_path / "own.yaml")
    assert "\n" not in str(told.value)


def test_a_configuration_ends_as_hydra_wants_it(tmp_path):
    (tmp_path / "own.yml").write_text("seed: 1")
    with pytest.raises(InputError, match=r"own.yml': must be a file whose name ends in .yaml"):
        pretrain(config=tmp_path / "own.yml")


@pytest.mark.parametrize(
    "call, words",
    [
        ({"optimizer": {"lrr": 1}}, "unknown key of optimizer 'lrr': did you mean 'lr'?"),
        ({"max_epoch": 1}, "did you mean 'max_epochs'?"),
        ({"config": "digits/cplern.yaml"}, "unknown config 'digits/cplern.yaml': did you mean 'digits/cplearn.yaml'?"),
        ({"data": "nowhere"}, "must be a file or folder that exists"),
        ({"data": {"train_pth": "x"}}, "did you mean 'train_path'?"),
        ({"seed": object()}, "seed = <object"),
        ({"optimizer": {"lr": torch.zeros(99, 9)}}, "optimizer = <dict>: Value 'Tensor' is not a supported"),
        ({"data": torch.zeros(99, 9)}, "data = <Tensor>: must be a path, as text too, a list of paths, or a dict of"),
        ({"data": np.zeros((99, 9))}, "data = <ndarray>: must be a path"),
        ({"data": ["here", None]}, "data = None: must be a path"),
        ({"data": {"train_path": np.zeros((99, 9))}}, "data.train_path = <ndarray>: Value 'ndarray'"),
        (
            {"augmentations.crop_size": 8},
            "key 'augmentations.crop_size': augmentations is a list of 1, choices are aug",
        ),
        ({"augmentations.5.crop_size": 8}, "is a list of 1, choices are augmentations.0.crop_size"),
    ],
)
def test_mistakes_are_a_line(call, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as told:
        pretrain(**call)
    assert words in str(told.value) and "\n" not in str(told.value) and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("summary.json", '{"ver', lambda run: run.verdict),
        ("summary.json", "[]", lambda run: run.scores),
        ("metrics.csv", "epoch,loss\n0,x\n", lambda run: run.metrics),
        ("metrics.csv", "loss\n1\n", lambda run: run.metrics),
        ("config.yaml", "a: [1", lambda run: run.config),
        ("config.yaml", b"\xff", lambda run: run.config),
    ],
)
def test_a_damaged_part_is_named_in_a_line(name, content, read, tmp_path):
    (tmp_path / "config.yaml").write_text("")
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=f"^{tmp_path / name} is damaged: [^\n]+$"):
        read(Run(tmp_path))


def test_other_folders_and_images_are_refused(run, tmp_path):
    with pytest.raises(InputError, match="is not a run folder: it has no config.yaml"):
        Run(tmp_path)
    with pytest.raises(InputError, match="unknown space 'bits': choices are backbone, projector"):
        run.embed(noise_images(1, 8, 8), space="bits")
    with pytest.raises(InputError, match=r"images = \(3, 8, 8\): must be of shape \(n, channels, height, width\)"):
        run.embed(torch.rand(3, 8, 8))
    with pytest.raises(InputError, match="images = Image: must be a tensor, a list of images"):
        run.embed(Image.new("RGB", (8, 8)))
    with pytest.raises(InputError, match="batch_size = 0: must be an integer from 1"):
        run.embed(noise_images(2, 8, 8), batch_size=0)
    with pytest.raises(InputError, match="batch_size = 0: must be an integer from 1"):
        run.gallery("digits", batch_size=0)
    with pytest.raises(InputError, match="images = 0: must be at least 1 image"):
        run.embed([])
    for given, words in (
        ({"batch_size": 2.5}, "batch_size = 2.5: must be an integer from 1"),
        ({"num_workers": "x"}, "num_workers = 'x': must be auto or an integer from 0 up"),
        ({"seed": -1}, "seed = -1: must be an integer from 0 to 2"),
    ):
        with pytest.raises(InputError, match=words):
            run.gallery("digits", tmp_path / "page.html", **given)
    assert len(run.embed(noise_images(2, 8, 8), batch_size=np.int64(2)).x) == 2
    with pytest.raises(InputError, match=r"image = \(1, 8, 8\): must be of shape \(3, height, width\)"):
        run.embed([noise_images(1, 8, 8)[0, :1]])


@pytest.mark.parametrize(
    "device",
    ["gpu", "nope", "cuda", "cuda:1", "xpu", "meta", torch.device("meta"), torch.device("cuda"), None, [1]],
)
@pytest.mark.parametrize("of", [load_backbone, Run])
def test_a_device_that_is_not_here_is_a_line(of, device, run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    shown = None if device is None else "<list>" if device == [1] else repr(str(device))
    with pytest.raises(InputError, match=f"^device = {shown}: must be one that is here, as cpu$"):
        of(run.path, device=device)


def test_gpus_are_counted_without_a_use_of_them(monkeypatch):
    """After which no process could be forked."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [known_device(given) for given in ("cuda", "cuda:1")] == [torch.device("cuda"), torch.device("cuda", 1)]
    assert not torch.cuda.is_initialized()
    with pytest.raises(InputError, match="^device = 'cuda:2': must be one that is here, as cpu, cuda, cuda:0, cuda:1$"):
        known_device("cuda:2")


def test_names_are_offered_and_nothing_large_is_imported_for_them():
    assert {"Run", "load_backbone", "pretrain"} <= set(cplearn_solo.__all__)
    program = "import cplearn_solo, sys; print({'torch', 'numpy', 'lightning', 'hydra'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_images_that_need_too_much_memory_are_told(run, tmp_path, monkeypatch):
    write_images(tmp_path, ["a.png"])
    monkeypatch.setattr(run._model.backbone, "forward", lambda _: torch.empty(1 << 60, dtype=torch.uint8))
    for images in (noise_images(2, 8, 8), str(tmp_path)):
        with pytest.raises(InputError, match="^batch_size = 256: must be smaller, as the memory of cpu ran out$"):
            run.embed(images)
    with pytest.raises(InputError, match="^batch_size = 2: must be smaller, as the memory of cpu ran out$"):
        run.gallery(tmp_path, tmp_path / "page.html", batch_size=2, num_workers=0)
