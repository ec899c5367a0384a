"""A folder of images and nothing else: what a person types who has one."""

import pytest
import yaml
from support.images import write_images

from cplearn_solo import pretrain

pytestmark = pytest.mark.integration
QUICK = ["max_epochs=2", "accelerator=cpu", "enable_progress_bar=false", "data.num_workers=0"]


@pytest.fixture
def flat(tmp_path):
    write_images(tmp_path / "photos", [f"{i}.png" for i in range(12)])
    return "data.train_path=photos"


def test_a_run_of_a_folder_and_the_same_command_goes_on(here, flat, tmp_path):
    code, out, error = here("pretrain", flat, *QUICK)
    assert code == 0, error
    assert "auto  data.no_labels=True  no class folders" in out and "data: 12 images" in out
    (run,) = tmp_path.glob("runs/cplearn-*/*")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["max_epochs"] == 2 and config["backbone"] == {
        "name": "resnet8", "kwargs": {"width": 32}, "weights": None,
    }  # fmt: skip
    assert "auto" not in [*config["method_kwargs"].values(), *config["optimizer"].values(), config["precision"]]
    (run / "summary.json").unlink()
    code, out, error = here("pretrain", flat, *QUICK)
    assert code == 0 and f"resuming the unfinished run {run.relative_to(tmp_path)}" in out, error
    (run / "summary.json").unlink()
    assert pretrain("photos", max_epochs=2, accelerator="cpu", **{"data.num_workers": 0}).path.name == run.name


def test_a_dry_run_says_what_it_takes_and_leaves_nothing(here, flat, tmp_path):
    code, out, error = here("pretrain", flat, *QUICK, "dry_run=true")
    assert code == 0 and "12 images, " in out and "last.ckpt" in out, error
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    assert pretrain("photos", max_epochs=1, accelerator="cpu", **{"data.num_workers": 0}, dry_run=True) is None


def test_two_images_are_enough_and_one_is_not(here, tmp_path):
    write_images(tmp_path / "two", ["a.png", "b.png"])
    code, _, error = here("pretrain", "data.train_path=two", *QUICK)
    assert code == 0, error
    write_images(tmp_path / "one", ["a.png"])
    code, _, error = here("pretrain", "data.train_path=one", *QUICK)
    assert code == 2 and "data.train_path = 'one': must be at least 2 images to train on" in error


def test_a_folder_is_looked_at_without_a_key(here, flat, tmp_path):
    code, out, error = here("check", "photos")
    assert code == 0 and "training: 12 images" in out and "  classes: 0" in out, error
    assert (tmp_path / "check.png").is_file()


def test_a_contact_sheet_joins_no_images(here, tmp_path):
    """Nor does it take the place of one."""
    write_images(tmp_path / "photos", [f"{i}.png" for i in range(12)])
    before = {path: path.read_bytes() for path in (tmp_path / "photos").iterdir()}
    for place, sheet in (("photos", "photos/new.png"), (f"{tmp_path}/photos/", "photos/3.png")):
        code, _, error = here("check", place, "--sheet", sheet)
        assert code == 2 and f"--sheet = '{sheet}': must be outside of {place.rstrip('/')}, whose images" in error
    assert {path: path.read_bytes() for path in (tmp_path / "photos").iterdir()} == before


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["data.train_path=nowhere"], "data.train_path = 'nowhere': must be a file or folder that exists"),
        (["data.train_path=photos", "dry_run=maybe"], "dry_run = 'maybe': must be true or false"),
        (["--config-name", "byol.yaml", "method_kwargs.proj_output_dim=auto"], "for method 'byol'"),
        (["data.train_path=photos", "max_epochs=some"], "max_epochs = 'some': must be a whole number"),
    ],
)
def test_mistakes_are_a_line(arguments, words, here, flat, tmp_path):
    code, _, error = here("pretrain", *arguments)
    assert code == 2 and len(error.splitlines()) == 1 and words in error, error
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
