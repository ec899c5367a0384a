"""``cplearn collapse`` on a run, its checkpoints and other software's features, and its errors of one line."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cplearn_solo.core import progress

pytestmark = pytest.mark.integration


def test_one_run_has_its_report_beside_it(run, here, tmp_path):
    code, out, error = here("collapse", run, "--data", "max_val_images=60", "--max-components", "10")
    assert code == 0, error
    page = Path(re.fullmatch(r"report: (.*)", out.splitlines()[-1])[1])
    assert page.parent.parent == run / "figures" and "60 digits test images" in page.read_text()
    assert {p.name for p in page.parent.glob("*.png")} >= {"training.png", "dictionary.png", "tsne.png", "entropy.png"}
    assert "alignment with codes" in out and "gap to the strict bound" in out
    assert list(tmp_path.iterdir()) == []


def test_a_log_says_which_step_takes_long(here, monkeypatch):
    monkeypatch.setattr(progress, "SILENCE", 0.01)
    np.save("other.npy", np.random.default_rng(0).normal(size=(80, 4)))
    code, out, error = here("collapse", "other.npy", "--max-components", "10", "--output", "out")
    assert code == 0 and re.search(r"^t-SNE of other, step \d+ of \d+: \d+ s so far$", out, re.M), error


@pytest.mark.parametrize("name", ["summary.json", "data.json", "metrics.csv"])
def test_a_damaged_file_of_a_run_is_named(name, run, here, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / name).write_text("x\ny\n")
    code, _, error = here("collapse", "run", "--max-components", "10", "--output", "out")
    assert (code, error.count("\n")) == (2, 1) and error.startswith(f"collapse: error: run/{name} is damaged: ")
    assert not (tmp_path / "out").exists()


def test_a_damaged_configuration_is_named_in_place_of_that_of_the_program(run, here, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run/config.yaml").write_text("a: [1")
    code, _, error = here("knn", "run")
    assert (code, error.count("\n")) == (2, 1) and error.startswith("knn: error: run/config.yaml is damaged: ")


@pytest.mark.slow
def test_runs_checkpoints_and_features_side_by_side(run, here, tmp_path):
    np.save("other.npy", np.random.default_rng(0).normal(size=(80, 32)))
    quick = ["--images", "60", "--max-components", "10", "--output", "out"]
    code, out, error = here("collapse", run, run / "checkpoints/epoch=1.ckpt", run, "other.npy", *quick)
    assert code == 0, error
    for name in ("cplearn-digits:", "cplearn-digits epoch=1:", "cplearn-digits (2):", "other:"):
        assert any(line.startswith(name) for line in out.splitlines()), out
    assert "left out: all of “CPLearn's optimum”: other: no CPLearn run" in out
    assert (tmp_path / "out/class_ranks.png").exists()
    code, _, error = here("collapse", "other.npy", "--output", "out")
    assert code == 2 and "--output = 'out': must be an empty folder" in error


@pytest.mark.slow
def test_the_released_protocol_says_what_it_shows(run, here, tmp_path):
    quick = ["--images", "60", "--max-components", "10", "--output", "out"]
    code, out, error = here("collapse", run, "--protocol", "released", *quick)
    assert code == 0, error
    page = (tmp_path / "out/index.html").read_text()
    assert page.count("As released: BatchNorm in training mode") == 2
    (value,) = re.findall(r"entropy of H, 10 components *│ *(\S+)", out)
    assert float(value) < -1000 and "zeros up to 2,048 dimensions" in page


def test_a_run_may_be_given_as_the_key_of_other_programs(here):
    code, _, error = here("collapse", "pretrained=nowhere", "pretrained=else")
    assert code == 2 and error.startswith("collapse: error: RUN = 'nowhere': must be a run folder")


def test_a_run_without_held_out_images_is_measured_on_its_training_images(here, tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(40):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(f"images/{i}.png")
    data = ["data.dataset=custom", "data.train_path=images", "data.no_labels=true", "data.num_workers=0"]
    settings = ["max_epochs=2", "accelerator=cpu", "enable_progress_bar=false", "optimizer.batch_size=20"]
    code, out, error = here("pretrain", "--config-name", "cplearn.yaml", *settings, *data)
    assert code == 0 and "no labels, so no scores" in out, error
    (unlabelled,) = tmp_path.glob("runs/*/*")
    code, out, error = here("collapse", unlabelled, "--max-components", "10", "--output", "out")
    assert code == 0, error
    assert "40 custom training images (none are held out)" in (tmp_path / "out/index.html").read_text()
    assert "k-means AMI of Z" in out and "no labels" in out


def test_help_says_what_it_takes(here):
    code, out, _ = here("collapse", "--help")
    assert code == 0 and all(words in out for words in ("features.npy", "--output", "--images", "1000 is the"))
    assert "val_path=FOLDER --data val_split=0" in " ".join(out.split())  # without it a run that holds out refuses


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nowhere"], "RUN = 'nowhere': must be a run folder"),
        (["nowhere.npy"], "RUN = 'nowhere.npy': must be a run folder"),
        (["nan.npy"], "nan.npy: features = nan: must be finite"),
        (["RUN", "nan.npy"], "nan.npy: features = nan: must be finite"),
        (["RUN", "--data", "val_pth=x"], "did you mean 'val_path'"),
        (["RUN", "--data", "max_val_images"], "--data = 'max_val_images': must be key=value"),
        (["RUN", "--data", "max_val_images=[1"], "--data = 'max_val_images=[1'"),
        (["RUN", "--data", "dataset=digit"], "did you mean 'digits'"),
        (["RUN", "--protocol", "relased"], "unknown --protocol 'relased': did you mean 'released'?"),
        (["RUN", "RUN", "--group"], "must have different seeds, both have 0"),
        (["RUN", "--images", "0"], "--images = 0: must be at least 2"),
        (["RUN/checkpoints"], "is not a run folder"),
        (["RUN/config.yaml"], "damaged or no checkpoint"),
        (["RUN", "nan.parquet"], "features in .npy, .npz, .pt, .pth; embed writes .npz, too"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, words, run, here, tmp_path):
    np.save("nan.npy", np.full((9, 2), np.nan))
    Path("nan.parquet").touch()
    before = sorted(run.rglob("*"))
    code, _, error = here("collapse", *(argument.replace("RUN", str(run)) for argument in arguments))
    lines = [line for line in error.splitlines() if not line.startswith("warning:")]
    assert code == 2 and len(lines) == 1 and words in lines[0], error
    assert {p.name for p in tmp_path.iterdir()} == {"nan.npy", "nan.parquet"} and sorted(run.rglob("*")) == before
