"""Results that lie in a folder: which of them are of a cell as it is now, whatever release has written them."""

import json
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.processes import ROOT, python

from cplearn_solo.config import identity as config_identity
from cplearn_solo.config import read as config_read
from cplearn_solo.config.schema import CheckpointConfig, Config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.engine.asked import require_outside_of_images
from cplearn_solo.engine.find import epochs_done, find_checkpoint, finished_runs
from cplearn_solo.engine.runs import open_run
from cplearn_solo.tables.identity import cell_folder, changes, identity
from cplearn_solo.tables.plan import plan
from cplearn_solo.tables.results import Results
from cplearn_solo.tables.schedule import missing
from cplearn_solo.tables.schema import GridConfig

pytestmark = pytest.mark.integration

TINY = Path(__file__).with_name("tiny.yaml")
KEPT = ROOT / "tests/fixtures/0.2.0/table"  # of the tiny table, written by 0.2.0
COMMITTED = sorted(path.parent.relative_to(ROOT) for path in ROOT.glob("results/**/grid.json"))


def command_of(folder):
    """The arguments under a committed table."""
    (line,) = [line for line in (folder / "table.md").read_text().splitlines() if line.startswith("- Command: ")]
    return shlex.split(line.removeprefix("- Command: cplearn table "))


@pytest.mark.parametrize("folder", COMMITTED, ids=str)
def test_committed_tables_are_shown_as_they_are(folder, table, tmp_path):
    shutil.copytree(ROOT / "results", tmp_path / "results")
    code, out, error = table(tmp_path, *command_of(ROOT / folder), "run=false")
    assert code == 0, error
    assert "stale" not in out and "not run" not in out
    has_images = list((ROOT / folder).glob("*.png"))  # whose bytes depend on matplotlib's version
    for name in ("table.md", "table.csv", "table.tex", *([] if has_images else ["table.html"])):
        assert (tmp_path / folder / name).read_bytes() == (ROOT / folder / name).read_bytes(), name


def test_a_table_is_shown_without_a_trainer(tmp_path):
    """Neither PyTorch nor Lightning are imported, even where configurations have to be compared key by key."""
    shutil.copytree(KEPT, tmp_path / "results/tiny-digits-mini")
    arguments = [f"table={TINY}", "seeds=1", "data.dataset=digits", "data.num_workers=0", "run=false"]
    head = tmp_path / "results/tiny-digits-mini/grid.json"
    head.write_text(json.dumps({**json.loads(head.read_text()), "table": str(TINY)}))
    program = f"""
import sys
from cplearn_solo.cli import table
table({arguments!r})
assert not {{"torch", "lightning"}} & sys.modules.keys()
"""
    done = python("-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0.874" in done.stdout and "stale" not in done.stdout


def grid(folder, **overrides):
    """The grid that 0.2.0 filled."""
    request = GridConfig(table=str(TINY), seeds=1, results=str(folder))
    return plan(request, {"data": {"dataset": "digits"}, **overrides}, scripts=ROOT / "scripts")


@pytest.fixture
def kept(tmp_path):
    """A copy of the folder that 0.2.0 filled, and a function that changes its head."""
    folder = tmp_path / "kept"
    shutil.copytree(KEPT, folder)
    head = {**json.loads((folder / "grid.json").read_text()), "table": str(TINY)}

    def write(**change):
        (folder / "grid.json").write_text(json.dumps({**head, **change}))
        return folder

    write()
    return write


def find(folder, **overrides):
    planned = grid(folder, **overrides)
    return Results(planned).find(planned.cells)


def test_cells_of_an_earlier_release_are_done(kept):
    found = find(kept())
    assert len(found.records) == 4 and not found.stale and not found.note
    assert {cell.row for cell, record in found.records.items() if "summary" in record} == {
        "Raw pixels",
        "Random backbone",
        "c = f",
    }
    for cell, record in found.records.items():
        assert identity(cell) == record["identity"], "its run is not found again"


def test_scores_of_an_earlier_release_have_the_names_of_today(kept):
    summaries = {cell.row: record["summary"] for cell, record in find(kept()).records.items() if "summary" in record}
    assert "paper_linear_acc1" in summaries["c = f"] and "knn_cosine_acc1" in summaries["Raw pixels"]
    assert not {"linear_acc1", "knn_acc1", "online_acc1"} & summaries["c = f"].keys()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("cells.jsonl", "null\n", "null has no keys"),
        ("cells.jsonl", '{"column": "a", "row": "b"}\n', "has no seed, identity, config"),
        ("cells.jsonl", '{"column": "a", "ro', "is damaged"),
        ("grid.json", "[]", "has no keys"),
        ("grid.json", '{"format": 1}', "holds table None, not"),
    ],
)
def test_a_file_that_is_damaged_is_told_in_a_line(kept, name, text, told):
    folder = kept()
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=told) as error:
        find(folder)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_what_a_table_measures_besides_makes_stale(kept):
    planned = grid(kept())
    cells = [replace(cell, measures=("spectrum",)) for cell in planned.cells if cell.row == "c = f"]
    found = Results(planned).find(cells)
    assert not found.records and changes(*found.stale[0]) == ["spectrum: not measured there"]
    assert identity(cells[0]) != found.stale[0][1]["identity"]


def test_what_can_be_done_about_stale_cells_comes_before_their_names(kept):
    planned = grid(kept(), method_kwargs={"beta": 0.5})
    with pytest.raises(InputError) as error:
        missing(planned, Results(planned).find(planned.cells))
    folder, change = planned.folder, "method_kwargs.beta: 1.0 there, 0.5 here"
    told = f"results = {folder}: 4 cells are stale: rerun_stale=true runs them again and keeps the old results, results"
    rows = "Raw pixels on digits (seed 0), Random backbone on digits (seed 0), c = f on digits (seed 0) and 1 more"
    assert str(error.value).startswith(f"{told}=FOLDER starts anew. They are {rows}; ")
    assert str(error.value).endswith(change)


def test_what_changes_a_score_makes_stale(kept):
    assert not find(kept(), data={"dataset": "digits", "num_workers": 0}).stale
    assert not find(kept(), optimizer={"classifier_lr": 0.04, "exclude_bias_n_norm_wd": False}).stale
    assert not find(kept(), evaluation={"knn": True}).stale
    assert len(find(kept(), method_kwargs={"beta": 0.5}).stale) == 4
    assert len(find(kept(), evaluation={"knn": False}).stale) == 4


@dataclass
class Grown(Config):
    """The configuration of a later release."""

    made_up: int = 1


def test_a_key_that_came_later_makes_nothing_stale(kept, monkeypatch):
    monkeypatch.setattr(config_read, "Config", Grown)
    monkeypatch.setattr(config_identity, "Config", Grown)
    monkeypatch.setattr(config_identity, "ADDED_KEYS", {**config_identity.ADDED_KEYS, "made_up": 1})
    config_identity._defaults.cache_clear()
    try:
        for same in ({}, {"made_up": 1}):
            found = find(kept(), **same)
            assert not found.stale
            assert all(identity(cell) == record["identity"] for cell, record in found.records.items())
        assert len(find(kept(), made_up=2).stale) == 4
    finally:
        config_identity._defaults.cache_clear()


def test_another_learning_version_is_shown_as_written_and_not_added_to(kept):
    for change, name in [
        ({"learning_version": 1}, "learning version 1 (cplearn-solo 0.2.0)"),
        ({"cplearn-solo": "0.1.0"}, "learning version 1 (cplearn-solo 0.1.0)"),
        ({"cplearn-solo": "9.9"}, "learning version unknown (cplearn-solo 9.9)"),
    ]:
        folder = kept(**change)
        found = find(folder)
        assert len(found.records) == 4 and not found.stale and name in found.note
        assert len(find(folder, data={"dataset": "digits", "num_workers": 0}).stale) == 4
        with pytest.raises(InputError, match="are not added") as error, Results(grid(folder)).locked():
            pass
        assert name in str(error.value)


def test_the_learning_version_counts_and_not_the_release(kept):
    folder = kept(**{"cplearn-solo": "9.9", "learning_version": config_identity.LEARNING_VERSION})
    assert not find(folder, data={"dataset": "digits", "num_workers": 0}).stale
    with Results(grid(folder)).locked():
        pass


def test_runs_that_an_earlier_release_began_are_found(tmp_path):
    assert cell_folder(tmp_path, "abc") == tmp_path / "2/abc"
    (tmp_path / "0.1.0/abc").mkdir(parents=True)  # which learned something else
    assert cell_folder(tmp_path, "abc") == tmp_path / "2/abc"
    (tmp_path / "0.2.0/abc").mkdir(parents=True)
    assert cell_folder(tmp_path, "abc") == tmp_path / "0.2.0/abc"


def test_paths_may_begin_at_the_users_folder(tmp_path, monkeypatch):
    """Also those of a YAML file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    own = Config(
        data=DataConfig(dataset="custom", train_path="~/images"), checkpoint=CheckpointConfig(dir="~/images/x")
    )
    with pytest.raises(InputError, match="checkpoint.dir = '~/images/x': must be a folder outside of data.train_path"):
        require_outside_of_images(own)
    assert (
        open_run(Config(name="it", checkpoint=CheckpointConfig(dir="~/runs")), {}).path.parent == tmp_path / "runs/it"
    )
    with pytest.raises(InputError, match="it has no config.yaml"):
        find_checkpoint("~/runs")


def test_a_cells_run_is_found_whatever_its_name(tmp_path):
    for name in ("a", "b/c"):
        run = tmp_path / name / "20250101-000000"
        run.mkdir(parents=True)
        (run / "metrics.csv").write_text("epoch,train_loss\n0,1\n1,1\n")
        (run / "summary.json").write_text("{}")
        assert finished_runs(tmp_path)[-1] == run and epochs_done(tmp_path / name.partition("/")[0], 5) == (2, 5)
