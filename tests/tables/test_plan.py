"""From a table and what a user asks for to configurations, and from results to what is shown."""

import json
import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from support.images import write_images

from cplearn_solo.core.errors import InputError
from cplearn_solo.evaluation.reference_rows import REFERENCE_ROWS
from cplearn_solo.methods import method_facts
from cplearn_solo.tables.identity import checked, identity
from cplearn_solo.tables.paper import load_table, table_names
from cplearn_solo.tables.plan import _setting as plan_setting
from cplearn_solo.tables.plan import plan
from cplearn_solo.tables.render import escape_latex
from cplearn_solo.tables.schedule import by_identity
from cplearn_solo.tables.schema import GridConfig

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCRIPTS, DOCS = ROOT / "scripts", ROOT / "docs/tables.md"
TINY = Path(__file__).with_name("tiny.yaml")
DIGITS = {"data": {"dataset": "digits"}}


def grid(table, overrides=None, **request):
    return plan(GridConfig(table=str(table), **{"seeds": 1, **request}), overrides or {}, scripts=SCRIPTS)


def config(planned, row, column):
    (cell,) = [cell for cell in planned.cells if (cell.row, cell.column) == (row, column)]
    return checked(cell)


def sizes(name):
    """The table at every scale it has, and on digits."""
    settings = load_table(name).settings
    return [planned_as(name, setting) for setting in ("mini", "midi", "digits", "full") if setting in settings]


@cache
def planned_as(name, setting):
    return grid(name, DIGITS) if setting == "digits" else grid(name, scale=setting)


def test_the_document_names_the_crops_of_the_reduced_scale():
    (size,) = re.findall(r"crops of (\d+) pixels at `scale=mini`", DOCS.read_text())
    assert int(size) == grid("cplearn_table1").cells[0].config["augmentations"][0]["crop_size"]


@pytest.mark.parametrize("name", table_names())
def test_every_row_of_every_table_is_a_run_of_its_own(name):
    for planned in sizes(name):
        assert {cell.row for cell in planned.cells} == {*REFERENCE_ROWS, *(row.name for row in planned.table.rows)}
        trained = [cell.config for cell in planned.cells if not cell.is_reference]
        assert len({json.dumps(config) for config in trained}) == len(trained), "two cells would learn the same"
        for config in trained:
            assert set(config["method_kwargs"]) <= set(method_facts(config["method"]).arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", table_names())
def test_every_cell_of_every_table_is_a_valid_configuration(name):
    for planned in sizes(name):
        assert all(len(identity(cell)) == 16 for cell in planned.cells)


def test_a_cell_is_known_by_what_it_learns_and_what_is_measured_of_it():
    def known(**overrides):
        return identity(grid(TINY, DIGITS | overrides).cells[2])

    assert known() == known(checkpoint={"frequency": 5}) == known(evaluation={"knn": True})
    assert len({known(), known(evaluation={"knn": False}), known(max_epochs=1)}) == 3


def test_the_same_relative_path_elsewhere_is_of_other_images_where_runs_are_shared(tmp_path, monkeypatch):
    found = {}
    for project in ("one", "two"):
        write_images(tmp_path / project, ["images/cat/1.png", "images/dog/1.png"])
        monkeypatch.chdir(tmp_path / project)
        cells = grid(TINY, {"data": {"dataset": "custom", "train_path": "images", "val_split": 0.5}}).cells
        found[project] = [{*by_identity(cells, Path(work))} for work in ("runs", "../runs", str(tmp_path / "runs"))]
    (own, *shared), (others, *shared_there) = found.values()
    assert own == others, "a project that is moved goes on"
    assert shared[0] == shared[1] and not shared[0] & shared_there[0]


@pytest.mark.parametrize("name", table_names())
def test_every_table_has_a_configuration(name):
    commands = {path.read_text().partition("table: ")[2].split()[0]: path for path in SCRIPTS.glob("tables/*.yaml")}
    assert f"--config-name {commands[name].name}" in commands[name].read_text()


def test_full_scale_of_table_1_is_the_papers():
    """Tables 5 to 7."""
    planned = planned_as("cplearn_table1", "full")
    for column, width, epochs, betas in [
        ("cifar10", 128, 200, (0.5, 0.5, 0.05)),
        ("cifar100", 256, 200, (0.5, 0.25, 0.05)),
        ("svhn", 128, 20, (0.5, 0.5, 0.05)),
    ]:
        for row, c, beta in zip(("10", "c = f", "16384"), (10, width, 16384), betas):
            found = config(planned, f"CPLearn ({row})", column)
            kwargs = found.method_kwargs
            assert (kwargs["proj_hidden_dim"], kwargs["proj_output_dim"], kwargs["beta"]) == (width, c, beta)
        for row in planned.table.rows:
            found = config(planned, row.name, column)
            assert (found.backbone.kwargs["width"], found.max_epochs, found.optimizer.batch_size) == (width, epochs, 64)
            assert found.data.dataset == column
            assert found.augmentations[0].horizontal_flip.prob == (0 if column == "svhn" else 0.5)
        classes = 100 if column == "cifar100" else 10
        assert config(planned, "Self-Classifier (c = k)", column).method_kwargs["num_prototypes"] == classes


@pytest.mark.parametrize("name", ["cplearn_table1", "cplearn_fig5"])
def test_the_middle_scale_has_all_images(name):
    planned = grid(name, scale="midi", columns=["cifar10"])
    for cell in planned.cells:
        found = checked(cell)
        assert (found.data.max_train_images, found.data.max_val_images, found.max_epochs) == (None, None, 20)
        assert found.backbone.kwargs["width"] == 32


def test_data_of_ones_own_stands_for_a_column_of_the_paper():
    parquet = {"data": {"dataset": "parquet", "train_path": "file"}}
    planned = grid("cplearn_table1", parquet, compare_with="cifar10", label="CIFAR-10 (JPEG copy)")
    assert {key: column.label for key, column in planned.columns.items()} == {"cifar10": "CIFAR-10 (JPEG copy)"}
    assert {cell.config["data"]["dataset"] for cell in planned.cells} == {"parquet"}
    assert planned.folder == Path("results/cplearn_table1-parquet-mini")
    assert list(grid("cplearn_table1", parquet).columns) == ["parquet"]
    with pytest.raises(InputError, match="did you mean 'cifar10'"):
        grid("cplearn_table1", parquet, compare_with="cifar")


@pytest.mark.parametrize("content", ["# größe\ntitle: x".encode("latin-1"), b"words", b"a: ["])
def test_a_file_that_is_no_table_is_told_in_one_line(content, tmp_path):
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(InputError, match="mine.yaml: ") as error:
        grid(tmp_path / "mine.yaml", DIGITS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "table, overrides, request_, words",
    [
        ("cplearn_table1", {"seed": 3}, {}, r"seed = 3: must be absent from a table, which has seeds: seeds=\[3\]"),
        ("cplearn_table1", {"dry_run": True}, {}, "dry_run = True: must be false in a table"),
        ("cplearn_table1", {}, {"label": "mine"}, "label = 'mine': must be null unless data.dataset stands for a col"),
        ("long_tail", DIGITS, {"label": "mine"}, "label = 'mine': .*the columns here are imbalance10, imbalance100"),
        ("long_tail", DIGITS, {"compare_with": "imbalance10"}, "compare_with = 'imbalance10': must be null"),
        ("cplearn_table1", DIGITS, {"columns": ["svhn"]}, "columns = .'svhn'.: must be null with data.dataset=digits"),
        ("cplearn_table1", {**DIGITS, "augmentations": {"crop_size": 8}}, {}, "key 'augmentations.crop_size': augment"),
    ],
)
def test_what_would_change_nothing_is_refused(table, overrides, request_, words):
    with pytest.raises(InputError, match=words):
        grid(table, overrides, **request_)


@pytest.mark.parametrize(
    "data, words",
    [
        ({"dataset": "folder"}, "unknown data.dataset 'folder': choices are"),
        ({"dataset": "custom", "train_path": "nowhere"}, "data.train_path = 'nowhere': must be a file or folder"),
        (
            {"dataset": "custom", "train_path": "flat"},
            "data.train_path = 'flat': must be a folder of class folders, or",
        ),
        (
            {"dataset": "custom", "train_path": "flat", "no_labels": True},
            "data.val_path = None: must be images with lab",
        ),
        (
            {"dataset": "custom", "train_path": "named"},
            "data.val_path = None: must be images with labels, or data.val_s",
        ),
        (
            {"dataset": "custom", "train_path": "list.csv", "val_split": 0.5},
            "data.train_path = 'list.csv': must be imag",
        ),
    ],
)
def test_images_that_no_cell_could_use_are_told_before_one_runs(data, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path, ["flat/1.png", "flat/2.png", "named/cat/1.png", "named/dog/1.png"])
    (tmp_path / "list.csv").write_text("file,label\nflat/1.png,\nflat/2.png,\n")
    with pytest.raises(InputError, match=words):
        by_identity(grid("cplearn_table1", {"data": {"val_path": None, **data}}, rows=["SwAV"]).cells)


def test_images_of_ones_own_that_cells_can_use_are_none_to_tell(tmp_path):
    write_images(tmp_path, ["named/cat/1.png", "named/dog/1.png", "flat/1.png"])
    named, flat = str(tmp_path / "named"), str(tmp_path / "flat")
    for data in ({"train_path": named, "val_split": 0.5}, {"train_path": flat, "val_path": named, "no_labels": True}):
        by_identity(grid("cplearn_table1", {"data": {"dataset": "custom", **data}}, rows=["SwAV"]).cells)


@pytest.mark.parametrize("name", [path.name for path in sorted((SCRIPTS / "tables").glob("*.yaml"))])
def test_the_command_above_each_configuration_makes_its_table(name):
    words = (SCRIPTS / "tables" / name).read_text().splitlines()[0].split()
    assert words[:5] == ["#", "python", "main_table.py", "--config-name", name]
    own = {field.name for field in fields(GridConfig)}
    values = OmegaConf.merge(OmegaConf.load(SCRIPTS / "tables" / name), OmegaConf.from_dotlist(words[5:]))
    request = {key: value for key, value in OmegaConf.to_container(values).items() if key in own}
    dataset = OmegaConf.select(values, "data.dataset")
    assert plan_setting(GridConfig(**request), load_table(request["table"]), dataset) == (dataset or "mini")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"rows": [{"name": "x"}]}, "config"),
        ({"titel": "x"}, "titel"),
        ({"rows": [{"name": "x", "config": "cplern", "x": 1}]}, "did you mean 'cplearn.yaml'"),
        ({"rows": [{"name": "x", "config": "cplearn"}] * 2}, "row 'x' is there twice"),
        ({"rows": [{"name": "x", "config": "cplearn", "overrides": {"fulll": {}}}]}, "did you mean 'full'|choices are"),
        ({"rows": [{"name": "x", "config": "cplearn", "trials": {"mino": 8}}]}, "trials 'mino': did you mean 'mini'"),
        (
            {"rows": [{"name": "x", "config": "cplearn", "configs": {"mino": "x"}}]},
            "configs 'mino': did you mean 'mini'",
        ),
        ({"rows": [{"name": "x", "config": "cplearn", "trials": {"mini": -1}}]}, "trials, mini = -1: .* at least 0"),
        ({"rows": [{"name": "x", "config": "cplearn", "published": {"digit": {}}}]}, "did you mean 'digits'"),
        ({"rows": [{"name": "x", "config": "cplearn", "published": {"digits": {"mni": 1}}}]}, "metric of .* 'mni'"),
        ({"rows": [{"name": "x", "config": "cplearn", "x": 1, "overrides": {"all": {"max_epochs": "${no}"}}}]}, "'no'"),
        (
            {
                "rows": [
                    {"name": "x", "config": "cplearn", "x": 1, "overrides": {"all": {"augmentations.crop_size": 8}}}
                ]
            },
            "unknown configuration key 'augmentations.crop_size': augmentations is a list of 1, choices are augmentati",
        ),
        ({"rows": [{"name": "x", "config": "cplearn"}]}, "row 'x', x = None: must be a number with plot: rows"),
        *(
            ({"rows": [{"name": name, "config": "cplearn", "x": 1}]}, "name of a row = .*: must be one line of text")
            for name in ("Raw pixels", "baseline", " ", "two\nlines")
        ),
        *(({"columns": {name: {"label": "x"}}}, f"name of a column = '{name}'") for name in ("all", "mini", "a/b")),
        ({"metrics": {"nmi": {"scale": -1}}}, r"metrics.nmi.scale = -1.0: must be above 0"),
        ({"metrics": {"nmi": {"decimals": -1}}}, r"metrics.nmi.decimals = -1: must be 0 to 15"),
        ({"proposes": "cplern"}, "proposes: 'cplern': did you mean 'cplearn'"),
        ({"overrides": {"all": {"seed": 7}}}, "overrides, all, seed = 7: must be left to the table"),
        ({"rows": [{"name": "x", "config": "cplearn.v2", "x": 1}]}, "unknown configuration of x, .* 'cplearn.v2.yaml'"),
        ({"rows": [{"name": "x", "config": "no/cplearn", "x": 1}]}, "no/cplearn.yaml': must be in a folder of scripts"),
        ({"plot": "epochs"}, r"metrics of setting '\w+' = \['nmi', 'linear'\]: must be one with a curve"),
        *(
            (
                {"rows": [{"name": "x", "config": "cplearn", "x": 1, "published": {"digits": {"nmi": printed}}}]},
                "spread",
            )
            for printed in ("0.5 ± 0.1", [0.5], [0.5, 0.1, 3], [0.5, None], True)
        ),
    ],
)
def test_a_bad_data_file_is_told_in_one_line(change, words, tmp_path):
    from omegaconf import OmegaConf

    good = OmegaConf.load(TINY)
    OmegaConf.save(OmegaConf.merge(good, change), tmp_path / "mine.yaml")
    with pytest.raises(InputError, match=words) as error:
        grid(tmp_path / "mine.yaml", DIGITS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["metrics", "columns"])
def test_a_table_that_shows_nothing_is_refused(kind, tmp_path):
    good = OmegaConf.load(TINY)
    good[kind] = {}
    for row in good.rows:
        row.published = {}
    OmegaConf.save(good, tmp_path / "mine.yaml")
    with pytest.raises(InputError, match=f"{kind} = .*: must be at least one"):
        grid(tmp_path / "mine.yaml", DIGITS)


def test_a_baseline_is_known_by_its_configuration_however_it_is_written(tmp_path):
    table = OmegaConf.load(TINY)
    table.proposes = "cplearn"
    table.rows[0].config, table.rows[1].configs = "digits/cplearn.yaml", {"digits": "swav"}
    OmegaConf.save(table, tmp_path / "mine.yaml")
    assert grid(tmp_path / "mine.yaml", DIGITS).baselines == ["too_large"]


def test_the_documented_table_and_keys_are_true(tmp_path):
    document = DOCS.read_text()
    keys = document.split("## Keys")[1].split("```yaml\n")[1].split("```")[0]
    assert [line.split(":")[0] for line in keys.splitlines()] == [field.name for field in fields(GridConfig)]
    (tmp_path / "mine.yaml").write_text(
        document.split("## A table of your own")[1].split("```yaml\n")[1].split("```")[0]
    )
    planned = grid(tmp_path / "mine.yaml", DIGITS)
    assert config(planned, "c = 16", "digits").method_kwargs["proj_output_dim"] == 16


def test_latex_is_escaped():
    assert escape_latex(r"50 % of a_b & {c} \d ± 1") == r"50 \% of a\_b \& \{c\} \textbackslash{}d $\pm$ 1"


def test_a_scale_may_measure_more_than_the_table():
    for scale, overrides, wanted in (("mini", DIGITS, "detection_mini"), ("full", {}, "detection_full")):
        planned = grid("matrix_ssl_table2", overrides, scale=scale, rows=["Matrix-SSL"])
        measures = {cell.row: cell.measures for cell in planned.cells}
        assert measures == {"Raw pixels": (), "Random backbone": (wanted,), "Matrix-SSL": (wanted,)}
    shared = [identity(cell) for cell in grid("matrix_ssl_table2", DIGITS).cells]
    assert shared == [identity(cell) for cell in grid("matrix_ssl_table3", DIGITS).cells]
