"""What an epoch waited for its images is in the log, and said where it is much."""

import pytest
from support.configs import tiny
from support.images import noise_images, pil
from support.runs import folders

from cplearn_solo.config.read import parse_config
from cplearn_solo.engine import waiting
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.engine.train import pretrain

pytestmark = pytest.mark.integration


@pytest.fixture
def of_files(tmp_path):
    """A configuration that trains two epochs on files, which are too large to stay in memory."""
    (tmp_path / "images").mkdir()
    for i, image in enumerate(noise_images(40, 80, 72)):
        pil(image).save(tmp_path / f"images/{i}.png")
    data = {"dataset": "custom", "train_path": str(tmp_path / "images"), "no_labels": True, "max_train_images": None}
    return tiny(tmp_path / "runs", max_epochs=2, data=data)


def lines(out):
    return [line for line in out.splitlines() if "waiting for images" in line]


def test_waiting_is_a_column_and_a_line_after_the_first_epoch(of_files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(waiting, "SHARE", 0.0)
    monkeypatch.setattr(waiting, "SECONDS", 0.0)
    monkeypatch.setattr(waiting, "cores", lambda: 4)
    pretrain(parse_config(of_files))
    rows = EpochLog.read(folders(tmp_path / "runs")[0])
    assert len(rows) == 2 and all(0 < row["train_waiting"] < 1 for row in rows)
    share = f"{rows[0]['train_waiting']:.0%}"
    advised = f"{share} of the epoch was waiting for images: a higher data.num_workers (0 now, for 4 cores), "
    assert lines(capsys.readouterr().out) == [advised + "image files of fewer pixels or a faster disk help"]


def test_little_waiting_is_not_said(of_files, capsys):
    pretrain(parse_config(of_files))  # takes less than the seconds that count
    assert lines(capsys.readouterr().out) == []


def test_images_in_memory_are_not_waited_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(waiting, "SHARE", 0.0)
    monkeypatch.setattr(waiting, "SECONDS", 0.0)
    pretrain(parse_config(tiny(tmp_path, max_epochs=1)))
    (row,) = EpochLog.read(folders(tmp_path)[0])
    assert "train_waiting" not in row and lines(capsys.readouterr().out) == []


def test_advice_has_nothing_to_say_of_workers_where_each_core_has_one():
    assert waiting.advice(0.5, 4, 4) == (
        "50% of the epoch was waiting for images: image files of fewer pixels or a faster disk help"
    )
