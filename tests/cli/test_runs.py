"""``cplearn runs`` on folders as runs leave them."""

import json
import os
from pathlib import Path

import pytest
import yaml

from cplearn_solo import Run
from cplearn_solo.core.locks import try_lock


@pytest.fixture
def some(tmp_path, monkeypatch):
    """Three runs: done, killed, and one that a process works on; lines are wide enough for all columns."""
    monkeypatch.setenv("COLUMNS", "120")
    scores = {"linear_acc1": 0.5, "ami": 0.25, "verdict": "healthy", "scores_version": 2}
    made = [("a", "byol", scores), ("b", "cplearn", None), ("c", "cplearn", None)]
    for age, (name, method, summary) in enumerate(made):
        folder = tmp_path / "runs" / name / "1"
        folder.mkdir(parents=True)
        config = {"name": name, "method": method, "seed": age, "max_epochs": 9, "data": {"dataset": "digits"}}
        (folder / "config.yaml").write_text(yaml.dump({**config, "optimizer": {"lr": 0.1 * (age + 1)}}))
        (folder / "data.json").write_text("{}")
        (folder / "metrics.csv").write_text("epoch,train_loss\n0,1\n1,1\n")
        os.utime(folder / "metrics.csv", (1e9 - age, 1e9 - age))  # the last one is the oldest
        if summary:
            (folder / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "runs" / "config.yaml").write_text("pretrained: x\n")  # of something else
    lock = try_lock(tmp_path / "runs/c/1/.lock")
    yield tmp_path
    lock.release()


def rows(out):
    return [line.split() for line in out.splitlines()[1:-1]]


def test_state_epochs_and_scores_are_listed_by_age(some, here):
    code, out, _ = here("runs")
    assert code == 0
    c, b, a = rows(out)
    assert c[0] == "runs/c/1" and c[1:4] == ["cplearn", "digits", "2"] and "running 2/9" in " ".join(c)
    assert "killed 2/9" in " ".join(b)
    assert a[0] == "runs/a/1" and a[-4:] == ["done", "0.500", "0.250", "healthy"]
    assert out.splitlines()[-1] == "3 of 3 runs below runs: 1 done, 1 running, 1 killed"


def test_a_run_in_a_folder_of_any_name_is_listed_by_it(some, here):
    """Rich takes [old] for a style."""
    (some / "runs/a").rename(some / "runs/[old]")
    code, out, error = here("runs", "state=done")
    assert code == 0 and rows(out)[0][0] == "runs/[old]/1", error


def test_runs_that_were_moved_to_another_disk_and_linked_are_listed_once(some, here):
    (some / "disk").mkdir()
    for name in "ab":
        (some / "runs" / name).rename(some / "disk" / name)
        (some / "runs" / name).symlink_to(some / "disk" / name)
    (some / "runs/latest").symlink_to("c")
    (some / "runs/c/back").symlink_to("..")
    code, out, error = here("runs")
    assert code == 0 and [row[0] for row in rows(out)] == ["runs/c/1", "runs/b/1", "runs/a/1"], error


def test_runs_of_others_are_listed_too(some, here, monkeypatch):
    """Whose locks may not be written."""
    for name in "bc":
        (some / f"runs/{name}/1/.lock").touch()
    opened = os.open

    def not_for_writing(path, flags, *mode, **how):
        if str(path).endswith(".lock") and flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, *mode, **how)

    monkeypatch.setattr(os, "open", not_for_writing)
    code, out, error = here("runs")
    assert code == 0 and "3 of 3 runs below runs: 1 done, 1 running, 1 killed" in out, error


def test_a_run_of_0_2_0_is_listed(here):
    code, out, _ = here("runs", Path(__file__).parents[1] / "fixtures/0.2.0")
    assert code == 0 and out.splitlines()[-1].startswith("1 of 1 runs")


def test_a_run_is_a_line_in_a_narrow_terminal(some, here, monkeypatch):
    """Its path can be copied."""
    wide = here("runs")[1]
    monkeypatch.setenv("COLUMNS", "40")
    assert here("runs")[1] == wide and "runs/a/1 " in wide


def test_a_run_that_was_not_judged_says_so(some, here):
    """Also one of a release that wrote no verdict then."""
    file = some / "runs/a/1/summary.json"
    for scores in ({"linear_acc1": 0.5}, {"linear_acc1": 0.5, "verdict": "too early to tell"}):
        file.write_text(json.dumps(scores))
        assert "too early to tell" in " ".join(here("runs", "state=done")[1].split())
        assert Run(file.parent).verdict == "too early to tell"
    assert Run(some / "runs/b/1").verdict is None  # killed
    code, out, _ = here("runs", "verdict=too early to tell")
    assert code == 0 and [row[0] for row in rows(out)][:1] == ["runs/a/1"]


def test_a_trial_whose_rung_is_done_is_paused(some, here):
    """Until its search asks for more of it, if it does."""
    for rung, state in ((0, "paused"), (1, "killed")):
        (some / f"runs/rung-{rung}").mkdir()
        (some / f"runs/rung-{rung}/trial.json").write_text("{}")
        if state == "paused":
            (some / f"runs/rung-{rung}/result.json").write_text("{}")
        assert f"1 running, 1 {state}" in here("runs")[1] and f"{state} 2/9" in here("runs")[1]


def test_a_trial_is_paused_whatever_its_name_and_wherever_one_looks(some, here, monkeypatch):
    (some / "runs/b/rung-0").mkdir()
    for name in ("trial.json", "result.json"):
        (some / f"runs/b/rung-0/{name}").write_text("{}")
    folder = some / "runs/b/x/y/1"
    folder.parent.mkdir(parents=True)
    (some / "runs/b/1").rename(folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.dump({**config, "name": "x/y"}))
    for place in (some, folder.parent, folder):
        monkeypatch.chdir(place)
        assert "paused 2/9" in here("runs", ".")[1], place


def test_scores_of_an_earlier_release_have_the_names_that_they_have_now(some, here):
    """Its linear probe was the paper's, which does not stand below the converged one's heading."""
    file = some / "runs/a/1/summary.json"
    file.write_text(json.dumps({"linear_acc1": 0.5, "ami": 0.25, "verdict": "healthy"}))
    assert rows(here("runs", "state=done")[1])[0][-3:] == ["done", "0.250", "healthy"]
    assert here("runs", "paper_linear_acc1=0.5")[1].endswith("1 of 3 runs below runs: 1 done\n")


def test_filters_and_order(some, here):
    for filters, found in ((["method=cplearn"], "cb"), (["state=done"], "a"), (["optimizer.lr=0.2"], "b"),
                           (["seed=2", "name=c"], "c"), (["--sort", "name"], "abc"), (["--sort", "ami"], "acb"),
                           (["runs", "state=done"], "a")):  # fmt: skip
        code, out, error = here("runs", *filters)
        assert code == 0 and [row[0] for row in rows(out)] == [f"runs/{name}/1" for name in found], (filters, error)
    assert here("runs", "seed=7")[1] == "0 of 3 runs below runs\n"


def test_values_are_found_however_they_are_written(some, here):
    config = yaml.safe_load((some / "runs/b/1/config.yaml").read_text())
    config |= {"augmentations": [{"crop_size": 8}, {"crop_size": 6}], "name": "a: [b", "accelerator": "cpu"}
    config["optimizer"]["lr"] = 1e-5
    (some / "runs/b/1/config.yaml").write_text(yaml.dump(config))
    for text in ("optimizer.lr=1e-5", "optimizer.lr=0.00001", "seed=1.0", "augmentations.1.crop_size=6", "name=a: [b"):
        assert [row[0] for row in rows(here("runs", text)[1])] == ["runs/b/1"], text
    for text in ("augmentations.1.crop_size=8", "name=c: [d", "optimizer.lr=fast"):
        assert here("runs", text)[:2] == (0, "0 of 3 runs below runs\n"), text
    for index in "2²":  # there is no third
        assert here("runs", f"augmentations.{index}.crop_size=6")[0] == 2


@pytest.mark.parametrize("stored", ["photos", ["photos", "more #1"]])
def test_a_path_is_found_however_it_was_written(stored, some, here, monkeypatch):
    """A run has its paths from the root, whatever the command said."""
    monkeypatch.setenv("HOME", str(some))
    config = yaml.safe_load((some / "runs/b/1/config.yaml").read_text())
    several = isinstance(stored, list)
    config["data"]["train_path"] = [str(some / name) for name in stored] if several else str(some / stored)
    (some / "runs/b/1/config.yaml").write_text(yaml.dump(config))
    texts = ["[photos, 'more #1']", "[./photos, '~/more #1']"] if several else ["photos", "./photos/", "~/photos"]
    for text in texts:
        assert [row[0] for row in rows(here("runs", f"data.train_path={text}")[1])] == ["runs/b/1"], text
    assert here("runs", "data.train_path=photo")[:2] == (0, "0 of 3 runs below runs\n")


def test_configurations_of_others_are_passed_over(some, here):
    (some / "runs/theirs").mkdir()
    (some / "runs/theirs/config.yaml").write_bytes("größe: 1\n".encode("latin-1"))
    assert here("runs")[1].splitlines()[-1].startswith("3 of 3 runs")


def test_mistakes_are_a_line(some, here):
    for arguments, words in (
        (["nowhere"], "FOLDER = 'nowhere': must be a folder that exists"),
        (["--sort", "amy"], "unknown --sort 'amy': did you mean 'ami'?"),
        (["sed=1"], "sed = '1': no run below runs says this key"),
        (["state=finished"], "unknown state 'finished': choices are done, killed, paused, running"),
        (["runs", "."], "FOLDER = 'runs .': must be one folder"),
    ):
        code, _, error = here("runs", *arguments)
        assert code == 2 and words in error, error
