"""``cplearn embed`` and ``cplearn predict`` as a user types them: files, errors of one line, kills."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from support.images import encode, noise_images, write_images, write_parquet

from cplearn_solo.inference import rows

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PROGRAM = """
from cplearn_solo.cli import embed
embed()
"""


def command(*arguments):
    return [sys.executable, "-c", PROGRAM, *map(str, arguments), "--accelerator", "cpu"]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def test_images_to_a_file(run, here, tmp_path):
    code, out, error = here("embed", run, "digits", "out", "--accelerator", "cpu")
    assert code == 0 and out == "out.parquet: 1438 images, 32 float32 each, codes out of 64\n", error
    write_images(tmp_path / "images", ["a.png", "b.png", "c.png"])
    (tmp_path / "images/b.png").write_bytes(b"")
    code, out, error = here("embed", f"pretrained={run}", "images", "bits.npz", "--space", "bits", "--num-workers", "0")
    assert code == 0 and "bits.npz: 2 images" in out and "uint8 of eight bits each" in out, error
    assert "bits.npz.unreadable.csv: 1 of 3 images, which could not be read" in out
    assert np.load("bits.npz")["file"].tolist() == ["a.png", "c.png"]


@pytest.mark.parametrize(
    "program, out, said",
    [
        ("embed", "a.csv", "a.csv: 1 image, 32 float32 each"),
        ("predict", "a.csv", "a.csv: 1 image, 10 classes"),
        ("gallery", "a.html", "a.html: 1 image, all of them to see, 0.0"),
        ("duplicates", None, "0 groups of near-duplicates with 0 of 1 image\n"),
    ],
)
def test_a_single_image_is_one_image(program, out, said, run, here, tmp_path):
    write_images(tmp_path / "images", ["a.png"])
    code, found, error = here(program, run, "images", *filter(None, [out]), "--num-workers", "0")
    assert code == 0 and said in found, error
    assert program != "gallery" or "<p>1 image as resnet8" in (tmp_path / out).read_text()


def test_classes_to_a_file(run, here):
    code, out, error = here("predict", run, "digits", "out.csv", "--accelerator", "cpu")
    assert code == 0 and out == "out.csv: 1438 images, 10 classes\n", error
    with open("out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "class", "probability", *(f"p_{k}" for k in range(10))]
    assert {row["class"] for row in rows} <= set("0123456789") and len(rows) == 1438
    code, _, error = here("predict", run, "digits", "out.csv")
    assert code == 2 and "OUT = 'out.csv': must be a new file, that one exists already" in error


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("nowhere images out", "nowhere does not exist: give a run folder or a checkpoint"),
        ("RUN empty out", "must be a folder with images"),
        ("RUN images/a.png out", "a.png': must be a folder, a list (.csv, .tsv), or an archive"),
        ("RUN nowhere out", "nowhere': must be a file or folder that exists"),
        ("RUN images out.txt", "OUT = 'out.txt': must be a file that ends in .parquet, .npz, .npy, .csv"),
        ("RUN images no/out", "OUT = 'no/out': must be in a folder, there is no folder no"),
        (f"RUN images {'n' * 197}", "nnn': must be a name of at most 200 bytes"),  # more, with .parquet
        ("RUN images there.csv", "OUT = 'there.csv': must be a new file, that one exists already"),
        ("RUN images out --space bit", "unknown --space 'bit': did you mean 'bits'?"),
        ("RUN images out --half --space bits", "half = True: must be left out where space is bits"),
        ("RUN images out --batch-size 0", "--batch-size = 0: must be at least 1"),
        ("RUN images out --num-workers few", "--num-workers = 'few': must be auto or an integer from 0 up"),
        ("RUN images out --accelerator tpu", "unknown --accelerator 'tpu'"),
        ("RUN images out --data channels=1", "data.channels = 1: must be 3, which the model was trained on"),
        ("RUN images out --data chanels=1", "unknown key 'chanels': did you mean 'channels'?"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, words, run, here, tmp_path):
    write_images(tmp_path / "images", ["a.png"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.csv").write_text("mine")
    code, _, error = here("embed", *arguments.replace("RUN", str(run)).split())
    assert code == 2 and len(error.splitlines()) == 1 and words in error, error
    assert {path.name for path in tmp_path.iterdir()} == {"images", "empty", "there.csv"}


@pytest.mark.parametrize("arguments", ["embed RUN digits out", "gallery RUN digits", "duplicates RUN digits"])
def test_a_batch_that_is_too_large_is_told_by_its_option(arguments, model, here, tmp_path, monkeypatch):
    def too_large(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(rows, "Normalise", lambda *_: too_large)
    code, _, error = here(*arguments.replace("RUN", str(model)).split(), "--batch-size", "64", "--accelerator", "cpu")
    assert code == 2 and error.endswith("error: --batch-size = 64: must be smaller, as the memory of cpu ran out\n")
    assert len(error.splitlines()) == 1 and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_process_that_is_killed_loses_at_most_a_shard(run, tmp_path):
    source = write_parquet(tmp_path / "images.parquet", [encode(image) for image in noise_images(20_000, 8, 8)], None)
    whole, again = (command(run, source, tmp_path / name) for name in ("whole.parquet", "again.parquet"))
    subprocess.run(whole, env=ENVIRONMENT, check=True)
    killed = subprocess.Popen(again, env=ENVIRONMENT, start_new_session=True)
    first = tmp_path / ".again.parquet.parts/000000.arrow"
    while not first.exists():
        assert killed.poll() is None
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert first.exists() and not (tmp_path / "again.parquet").exists()
    made = first.stat().st_mtime_ns
    resumed = subprocess.Popen(again, env=ENVIRONMENT)
    while resumed.poll() is None:
        assert not first.exists() or first.stat().st_mtime_ns == made
        time.sleep(0.01)
    assert resumed.returncode == 0
    assert (tmp_path / "whole.parquet").read_bytes() == (tmp_path / "again.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.parquet", "images.parquet", "whole.parquet"]
