"""A grid as a user runs it: results, failures, what is not run again, and input that does not fit."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
TINY = Path(__file__).with_name("tiny.yaml")
COMMAND = ["--config-name", "table1.yaml", "table=tiny.yaml"]
QUICK = ["data.dataset=digits", "max_epochs=1", "data.max_train_images=128", "accelerator=cpu"]
FOLDER = "results/tiny-digits-mini"
FORMATS = ["digits.png", "table.csv", "table.html", "table.md", "table.tex"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the user is."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "tiny.yaml").write_text(TINY.read_text())
    return folder


@pytest.fixture
def call(table, folder):
    """Function that runs ``cplearn table ...`` on the tiny table there: exit code, output and errors."""
    return lambda *arguments: table(folder, *COMMAND, "seeds=1", *QUICK, *arguments)


@pytest.fixture
def done(call, folder):
    """The folder of the results, filled by the first test that asks."""
    if not (folder / FOLDER).exists():
        code, out, error = call("workers=2")
        assert code == 0, error
        assert "cells to run: 4, 2 at a time" in out
    return folder / FOLDER


def test_a_grid_runs_and_a_failure_stops_nothing(done, numbers):
    found = numbers(done)
    ours, linear = found["c = f", "Clustering (NMI)"], found["c = f", "Linear probe"]
    assert float(ours["difference"]) == pytest.approx(float(ours["ours"]) - 0.5, abs=1e-5)
    assert 5 < float(linear["ours"]) <= 100 and linear["paper"] == "50" and linear["unit"] == "%"
    assert "eps" in found["too_large", "Clustering (NMI)"]["failed"]
    for row in ("Raw pixels", "Random backbone"):
        assert 5 < float(found[row, "Linear probe"]["ours"]) <= 100
    records = [json.loads(line) for line in (done / "cells.jsonl").read_text().splitlines()]
    images = [record["data"] for record in records if "summary" in record]
    assert len(images) == 3 and all(each == images[0] for each in images)  # of rows that are not trained, too
    assert {"nmi_chance", "ami", "codes_used", "kmeans_ami"} <= {score for row, score in found if row == "c = f"}
    assert sorted(path.name for path in done.glob("*.*") if path.name[0] != ".") == sorted(
        [*FORMATS, "cells.jsonl", "grid.json"]
    )


def test_every_format_has_every_row(done):
    for name in FORMATS[1:]:
        text = (done / name).read_text()
        assert "c = f" in text and "Raw pixels" in text and "eps" in text
    assert r"too\_large" in (done / "table.tex").read_text() and r"Tiny \& <small>" in (done / "table.tex").read_text()
    page = (done / "table.html").read_text()
    assert "Tiny &amp; &lt;small&gt;" in page and "data:image/png;base64," in page and 'src="http' not in page
    assert (done / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_done_is_not_run_again(done, call):
    before = (done / "cells.jsonl").read_text()
    code, out, error = call("rows=['c = f']")
    assert code == 0 and "to run" not in out and "c = f" in out and "Random backbone" in out, error
    assert "too_large" not in out and "rows=" in (done / "table.md").read_text()
    code, out, error = call("run=false")
    assert code == 0 and "failed" in out and (done / "cells.jsonl").read_text() == before
    command = f"Command: cplearn table {' '.join(COMMAND)} seeds=1 {' '.join(QUICK)}\n"
    assert command in (done / "table.md").read_text()  # which fills it


def test_runs_are_taken_over_and_continued_by_another_folder(done, call, folder, numbers):
    """The runs themselves lie apart from the results, by what they learn; here as version 0.2.0 has left them."""
    record = next(json.loads(line) for line in (done / "cells.jsonl").read_text().splitlines() if '"c = f"' in line)
    (folder / "runs/tables/2").rename(folder / "runs/tables/0.2.0")
    cell = folder / "runs/tables/0.2.0" / record["identity"]
    runs = sorted(folder.glob("runs/tables/*/*/*/*"))
    for unfinished in (cell / "result.json", *cell.glob("*/*/summary.json")):
        unfinished.unlink()
    code, out, error = call("results=elsewhere", "rows=['c = f']")
    assert code == 0, error
    assert "cells to run: 3" in out, "the reference rows run with it"
    assert sorted(folder.glob("runs/tables/*/*/*/*")) == runs and "resuming" in (cell / "log.txt").read_text()
    theirs, ours = numbers(folder / "elsewhere"), numbers(done)
    for number in [("c = f", "nmi_chance"), ("c = f", "Linear probe"), ("Raw pixels", "Linear probe")]:
        assert theirs[number] == ours[number]


def test_an_edited_configuration_names_the_stale_cells(done, call):
    before = {path: path.read_bytes() for path in done.iterdir()}
    code, out, error = call("optimizer.lr=0.5")
    assert code == 2 and len(error.splitlines()) == 1, error
    assert "optimizer.lr: 0.02 there, 0.5 here" in error and "c = f on digits (seed 0" in error
    assert before == {path: path.read_bytes() for path in done.iterdir()}
    code, out, error = call("optimizer.lr=0.5", "run=false")
    assert code == 0 and "c = f, digits, seed 0 is stale" in out
    call("run=false")  # the files as they were
    code, out, error = call("data.train_path=elsewhere", "rows=['c = f']")
    assert code == 0 and "to run" not in out, "what changes nothing makes nothing stale"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["table=cplearn_table11"], "did you mean 'cplearn_table1'"),
        (["table=nowhere.yaml"], "no such file"),
        (["table=cplearn_table1", "rows=[Barlw]"], "did you mean 'Barlow'"),
        (["scale=ful"], "choices are mini"),
        (["table=cplearn_table1", "scale=full"], "scale = 'full': must be mini with data.dataset=digits"),
        (["seeds=0"], "seeds = 0"),
        (["seeds=[1,1]"], "different"),
        (["columns=[svhn]"], "unknown column"),
        (["workers=0"], "workers = 0"),
        (["workers=many"], "workers"),
        (["launcher=cloud"], "choices are local, slurm"),
        (["optimizer.lrr=1"], "unknown key of optimizer 'lrr'"),
        (["results=runs"], "holds no grid"),
        (["table=cplearn_table1", f"results={FOLDER}"], "holds table 'tiny.yaml'"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(arguments, words, done, call, folder):
    before = sorted(folder.rglob("*"))
    code, out, error = call(*arguments)
    assert code == 2 and len(error.splitlines()) == 1 and words in error, error
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "change, words",
    [({"format": 99}, "format 99"), ({"learning_version": 99, "cplearn-solo": "9.9"}, "learning version 99")],
)
def test_results_of_another_learning_version_are_left_alone(change, words, done, call):
    head = done / "grid.json"
    before = head.read_text()
    try:
        head.write_text(json.dumps({**json.loads(before), **change}))
        left = {path: path.read_bytes() for path in done.iterdir()}
        code, out, error = call("seeds=2")
        assert code == 2 and len(error.splitlines()) == 1 and words in error, error
        assert left == {path: path.read_bytes() for path in done.iterdir()}
    finally:
        head.write_text(before)


def test_two_processes_do_not_fill_one_folder(done, call):
    from filelock import FileLock

    with FileLock(done / ".lock"):
        code, out, error = call("seeds=2")
    assert code == 2 and "locked by another process" in error


@pytest.mark.slow
def test_a_grid_that_is_killed_again_and_again_ends_the_same(tmp_path, numbers):
    """SIGKILL ten times at random moments, then finish: the same table, and no process is left behind."""
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    started = time.time()
    assert start(undisturbed).wait(timeout=600) == 0
    took = time.time() - started
    moments = random.Random(0)
    for _ in range(10):
        process = start(killed)
        time.sleep(moments.uniform(0.2, 1) * took)
        process.kill()
        process.wait()
        ended_by = time.time() + 60  # a process that is still importing notices only then
        while inside(killed) and time.time() < ended_by:
            time.sleep(0.2)
        assert not inside(killed)
    assert start(killed).wait(timeout=600) == 0
    measured = {"wall_seconds", "images_per_second"}
    tables = [
        {key: line for key, line in numbers(folder / FOLDER).items() if key[1] not in measured}
        for folder in (undisturbed, killed)
    ]
    assert tables[0] == tables[1] and len(tables[0]) > 40


def start(folder):
    """``main_table.py`` on the tiny grid in ``folder``, in a process of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(TINY.read_text())
    command = [sys.executable, str(ROOT / "main_table.py"), *COMMAND]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(folder / "out.txt", "a") as out:
        return subprocess.Popen([*command, "seeds=2", *QUICK], cwd=folder, env=environment, stdout=out, stderr=out)


def inside(folder):
    """Processes that work in ``folder``; none where the system does not tell."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            found += [link] if link.resolve() == folder.resolve() else []
        except OSError:  # it has ended, or is not ours
            continue
    return found
