"""From results to tables: columns, marks, differences to another row, notes, and the formats that show them."""

import csv
import io
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from cplearn_solo.core.errors import InputError
from cplearn_solo.tables.numbers import numbers
from cplearn_solo.tables.plan import plan
from cplearn_solo.tables.render import latex, markdown, page, show
from cplearn_solo.tables.results import Found
from cplearn_solo.tables.schema import GridConfig
from cplearn_solo.tables.sheet import make_sheet

pytestmark = pytest.mark.integration

SCRIPTS = Path(__file__).parents[2] / "scripts"
DIGITS = {"data": {"dataset": "digits"}}
TABLE = "cplearn_table2"


def grid(table=TABLE, overrides=None, **request):
    return plan(GridConfig(table=table, **{"seeds": 3, **request}), overrides or {}, scripts=SCRIPTS)


def record(seed, **scores):
    about = {"versions": {"torch": "2"}, "scored_on": "test", "scored_images": 10, "dataset": "cifar10"}
    return {"seed": seed, "date": "2025-01-01", "summary": {**scores, **about}}


def found_of(planned, rows):
    """Results by row: a dict of scores for each seed, or what stands in the place of a summary."""
    records = {}
    for cell in planned.cells:
        if cell.row in rows and cell.seed < len(rows[cell.row]):
            scores = rows[cell.row][cell.seed]
            records[cell] = {"seed": cell.seed, **scores} if "failed" in scores else record(cell.seed, **scores)
    return Found(records, [])


def made(rows, planned=None):
    planned = planned or grid()
    return make_sheet(planned, found_of(planned, rows), command="typed")


def block(sheet, words):
    (one,) = [block for block in sheet.blocks if words in block.title]
    return one


def by_row(block):
    return {line[0][0]: dict(zip(block.header, (text for text, _ in line))) for line in block.lines}


def marked(block, heading):
    at = block.header.index(heading)
    return {line[0][0] for line in block.lines if line[at][1]}


def linear(*values):
    return [{"paper_linear_acc1": value} for value in values]


def test_mean_spread_difference_and_what_is_missing():
    failed = {"failed": "no memory", "log": "log.txt"}
    sheet = made({"Barlow": linear(0.90, 0.92, 0.94), "SwAV": [{"paper_linear_acc1": 0.9, "nmi": 0.2}, failed]})
    rows = by_row(block(sheet, "Linear probe"))
    assert (rows["Barlow"]["ours"], rows["Barlow"]["paper"]) == ("92.00 ± 2.00", "92.2")
    assert rows["Barlow"]["difference"] == "-0.20"
    assert rows["SwAV"]["ours"] == "90.00 (1 of 3)" and rows["GEDI no gen"]["ours"] == "not run"
    codes = by_row(block(sheet, "NMI), codes"))
    assert codes["Barlow"]["ours"] == "–" and codes["SwAV"]["ours"] == "20.00 (1 of 3)"
    assert codes["Barlow"]["paper"] == "29.1" and "difference" not in codes["Barlow"]
    assert sheet.failures == ["SwAV, cifar10, seed 1 failed: no memory (log.txt)"]


def test_cells_that_failed_for_one_reason_share_a_line():
    away = {"failed": "no network", "log": "log.txt"}
    sheet = made({"Barlow": [away, {"failed": "no memory", "log": "other.txt"}], "SwAV": [away, away]})
    assert sheet.failures == [
        "Barlow, cifar10, seed 0 and 2 more failed: no network (log.txt)",
        "Barlow, cifar10, seed 1 failed: no memory (other.txt)",
    ]
    assert "Command: typed" in sheet.notes


def test_the_papers_nmi_stands_beside_the_argmax_of_the_projector():
    scores = {"released_nmi": 0.3, "released_nmi_chance": 0.1, "released_ami": 0.2}
    rows = by_row(block(made({"Barlow": [scores]}), "argmax of the projector"))
    assert rows["Barlow"]["difference"] == "+0.90"  # a method without codes has a counterpart of the paper's 29.1
    assert (rows["Barlow"]["NMI at chance"], rows["Barlow"]["AMI"]) == ("10.00", "20.00")


def test_both_probes_are_named_and_the_online_probe_has_a_column():
    scores = {"paper_linear_acc1": 0.4, "linear_acc1": 0.5, "knn_acc1": 0.6, "online_acc1": 0.7}
    rows = by_row(block(made({"Barlow": [scores]}), "Linear probe, paper's protocol"))
    expected = {"ours": "40.00 (1 of 3)", "converged probe": "50.00", "kNN": "60.00", "online probe": "70.00"}
    assert expected.items() <= rows["Barlow"].items()


def test_what_nobody_has_measured_is_left_out_and_said():
    sheet = made({"Barlow": linear(0.9)})
    assert [block.title for block in sheet.blocks] == ["CIFAR-10: Linear probe, paper's protocol (accuracy) [%]"]
    assert sheet.blocks[0].header == ["", "ours", "paper", "difference"]
    assert any("No run has measured: CIFAR-10: Clustering (NMI)" in note for note in sheet.notes)
    assert len(made({}).blocks) == 3, "before anything is run all of it is shown"


def test_numbers_of_other_images_have_no_difference():
    planned = grid(overrides=DIGITS)
    sheet = made({row.name: linear(0.9) for row in planned.table.rows}, planned)
    assert sheet.blocks[0].header == ["", "ours", "paper, CIFAR-10"]


SPREAD = {
    "Barlow": [{"paper_linear_acc1": a, "ami": 0.1, "nmi": 0.5} for a in (0.90, 0.92, 0.94)],
    "SwAV": [{"paper_linear_acc1": a, "ami": 0.2, "nmi": 0.4} for a in (0.80, 0.95, 0.90)],
    "CPLearn (c = f)": [{"paper_linear_acc1": a, "ami": 0.3, "nmi": 0.3} for a in (0.89, 0.91, 0.93)],
}


def test_notes_are_of_the_table_at_hand():
    note = {"paper_linear_note": "not converged", "scale_note": "drifted"}
    sheet = made({"Barlow": [{"paper_linear_acc1": 0.9, **note}]})
    assert any(n.startswith("Paper: CPLearn") for n in sheet.notes)
    assert sum("Barlow (1 of its runs)" in n for n in sheet.notes) == 2
    sheet = made(
        {"Barlow": [{"kmeans_ami": 0.9, **note}]}, grid("long_tail", {"data": {"dataset": "digits", "fraction": 0.5}})
    )
    assert any(n.startswith("Source: ours; ") for n in sheet.notes), "which is no paper"
    assert not any("of its runs" in n for n in sheet.notes), "the probe that they are about is not shown"
    (trained,) = [n for n in sheet.notes if n.startswith("Trained: ")]
    assert "all training images, thinned out by data.imbalance=10, of which a share of 0.5" in trained


def test_best_rows_are_marked_but_for_nmi():
    sheet = made(SPREAD)
    assert marked(block(sheet, "Linear probe"), "ours") == {"Barlow", "SwAV"}
    codes = block(sheet, "codes")
    assert marked(codes, "AMI") == {"CPLearn (c = f)"} and not marked(codes, "ours") and not marked(codes, "paper")
    assert any("95 % t-interval" in note for note in sheet.notes)


def test_rows_of_few_seeds_take_no_part_in_what_is_best_and_that_is_said():
    words = "Rows of fewer than 3 seeds take no part."
    assert not any(words in note for note in made(SPREAD).notes)
    sheet = made({**SPREAD, "GEDI no gen": [{"paper_linear_acc1": 0.99}]})
    assert marked(block(sheet, "Linear probe"), "ours") == {"Barlow", "SwAV"}
    assert any(note.endswith(words) for note in sheet.notes)


def test_with_two_seeds_nothing_is_marked():
    sheet = made({row: runs[:2] for row, runs in SPREAD.items()}, grid(seeds=2))
    assert not any(best for block in sheet.blocks for line in block.lines for _, best in line)
    assert any("Nothing is marked" in note for note in sheet.notes)


def test_sizes_are_best_where_they_are_smallest():
    planned = grid("cplearn_table8")
    sizes = {"Barlow": 2, "SwAV": 1, "GEDI no gen": 3}
    rows = {row: [{"state_dict_bytes": size * 2**20}] * 3 for row, size in sizes.items()}
    assert marked(block(made(rows, planned), "State dict"), "ours") == {"SwAV"}


def test_every_format_shows_the_marks():
    planned = grid()
    found = found_of(planned, SPREAD)
    sheet = make_sheet(planned, found, command="typed")
    assert "| Barlow | **92.00 ± 2.00** | 92.2 |" in markdown(sheet, [])
    assert r"Barlow & \textbf{92.00 $\pm$ 2.00} & 92.2" in latex(sheet)
    assert "<td>Barlow</td><td><strong>92.00 ± 2.00</strong></td><td>92.2</td>" in page(sheet, [])
    console = Console(width=200, record=True, file=io.StringIO())
    show(sheet, console)
    assert "* 92.00 ± 2.00" in console.export_text() and "* 91.00" not in console.export_text()
    lines = {(line["row"], line["score"]): line for line in csv.DictReader(io.StringIO(numbers(planned, found)))}
    score = "Linear probe, paper's protocol (accuracy)"
    assert (lines["Barlow", score]["best"], lines["CPLearn (c = f)", score]["best"]) == ("yes", "")
    assert lines["CPLearn (c = f)", "ami"]["best"] == "yes" and "lead" not in lines["Barlow", score]


def test_differences_to_the_best_baseline_have_intervals():
    planned = grid(against="baseline")
    found = found_of(planned, SPREAD)
    rows = by_row(
        block(make_sheet(planned, found, command=""), "Linear probe, paper's protocol (accuracy) [%], differ")
    )
    assert rows["CPLearn (c = f)"]["ours, less Barlow"] == "-1.00 (-1.00 to -1.00)"
    assert rows["SwAV"]["ours, less Barlow"].startswith("-3.67 (") and rows["Barlow"]["ours, less Barlow"] == "–"
    lines = {(line["row"], line["score"]): line for line in csv.DictReader(io.StringIO(numbers(planned, found)))}
    line = lines["CPLearn (c = f)", "Linear probe, paper's protocol (accuracy)"]
    assert (line["unit"], line["against"], float(line["lead"]), float(line["lead_high"])) == ("%", "Barlow", -1, -1)
    assert lines["CPLearn (c = f)", "ami"]["against"] == "SwAV"


def test_two_seeds_have_no_differences_and_no_table_of_them():
    sheet = made({row: scores[:2] for row, scores in SPREAD.items()}, grid(against="baseline", seeds=2))
    assert all(block.columns for block in sheet.blocks) and not any("differences" in b.title for b in sheet.blocks)
    assert "There are no differences to another row: they need 3 seeds." in sheet.notes


def test_differences_to_a_row_of_ones_choice():
    sheet = made(SPREAD, grid(against="CPLearn (c = f)"))
    assert (
        block(sheet, "Linear probe, paper's protocol (accuracy) [%], differ").header[1] == "ours, less CPLearn (c = f)"
    )


@pytest.mark.parametrize(
    "table, against, words",
    [
        (TABLE, "Barlw", "did you mean 'Barlow'"),
        (
            "cplearn_table9",
            "baseline",
            "against = 'baseline': must be a row, as cplearn_table9 shows no method besides",
        ),
    ],
)
def test_a_row_that_is_not_there_is_told(table, against, words):
    with pytest.raises(InputError, match=words):
        grid(table, against=against)


def test_rows_are_shown_with_the_reference_rows():
    planned = grid(rows=["SwAV"])
    assert {cell.row for cell in planned.cells} == {"Raw pixels", "Random backbone", "SwAV"}
    assert block(made(SPREAD, planned), "Linear").rows == ["Raw pixels", "Random backbone", "SwAV"]


@pytest.mark.parametrize(
    "overrides, words",
    [
        (DIGITS, "50 epochs (60 epochs: Barlow, GEDI no gen; 70 epochs: GEDI); "),
        ({**DIGITS, "max_epochs": 4}, "Trained: resnet8 of width 32; 4 epochs; adam with batches of 64; crops of 8 "),
    ],
)
def test_notes_say_what_was_run(overrides, words):
    (note,) = [note for note in made({}, grid("cplearn_table1", overrides)).notes if note.startswith("Trained")]
    assert words in note


def test_a_note_is_a_line_whatever_the_data_file_says():
    planned = grid()
    planned.table.note = planned.table.rows[0].note = "one\ntwo"
    sheet = made({}, planned)
    assert {"one two", f"{planned.table.rows[0].name}: one two"} <= {*sheet.notes}
    assert "% one two\n" in latex(sheet)


def test_notes_name_the_columns_that_differ():
    planned = grid("cplearn_table1", scale="full")
    (note,) = [note for note in made({}, planned).notes if note.startswith("Trained")]
    assert "resnet8 of width 128 (resnet8 of width 256: CIFAR-100); 200 epochs (20 epochs: SVHN)" in note


def test_notes_say_how_long_training_took_and_on_what():
    runs = [{"wall_seconds": 50.0}, {"wall_seconds": 900.0, "machine": "a GPU"}, {"wall_seconds": 300.0}]
    assert "Training of a run took 50 s to 15 min on a GPU." in made({"SwAV": runs}).notes
    assert "Training of a run took 50 s." in made({"SwAV": runs[:1]}).notes


def test_notes_say_how_many_trials_chose_the_settings_of_each_row():
    planned = grid(rows=["Barlow", "SwAV", "GEDI no gen"])
    effort = "Searched for settings at this scale by cplearn tune"
    assert not any(effort in note for note in made({}, planned).notes)
    for row in planned.table.rows:
        row.trials = {"Barlow": {planned.setting: 8, "full": 3}, "SwAV": {"full": 1}}.get(row.name, {})
    assert f"{effort}, 8 trials: Barlow; none: SwAV, GEDI no gen." in made({}, planned).notes


def test_notes_name_the_runs_whose_probe_has_not_converged():
    runs = [{"paper_linear_acc1": 0.5, "paper_linear_note": "training accuracy is low"}] * 2 + linear(0.5)
    assert "The paper's probe had not converged: SwAV (2 of its runs)." in made({"SwAV": runs}).notes


def test_images_that_have_changed_between_cells_are_told():
    planned = grid(overrides={"data": {"dataset": "custom", "train_path": "photos"}})
    found = found_of(planned, {"SwAV": linear(0.9, 0.8, 0.7)})
    for cell, record in found.records.items():
        record |= {"config": cell.config, "data": {"train": {"images": 32 if cell.seed < 2 else 52}}}
    (told,) = [note for note in make_sheet(planned, found, command="typed").notes if "have changed" in note]
    assert "training images: 32 -> 52 images" in told
    for cell, record in found.records.items():  # images of another path may differ
        record["config"] = {"data": {"train_path": f"photos{cell.seed // 2}"}}
    assert not any("have changed" in note for note in make_sheet(planned, found, command="typed").notes)


def test_what_a_run_says_of_itself_is_no_score(tmp_path):
    table = OmegaConf.load(Path(__file__).with_name("tiny.yaml"))
    table.metrics = {"nmi": {"label": "NMI", "key": "nmi", "scale": 100, "beside": ["verdict", "wall_seconds", "ari"]}}
    table.metrics.verdict = {"label": "Verdict", "key": "verdict"}
    for row in table.rows:
        row.published = {}
    OmegaConf.save(table, tmp_path / "mine.yaml")
    planned = grid(str(tmp_path / "mine.yaml"), DIGITS)
    scores = [{"nmi": 0.5, "verdict": "healthy", "wall_seconds": 20.0}] * 3
    sheet = made({"c = f": scores, "too_large": scores}, planned)
    (shown,) = sheet.blocks
    assert "No run has measured: Digits: Verdict." in sheet.notes
    assert by_row(shown)["c = f"]["wall_seconds"] == "20.000 ± 0.000", "not in hundredths"
    assert not marked(shown, "wall_seconds"), "more may be worse"


def test_a_curve_that_no_run_has_is_told(tmp_path):
    table = OmegaConf.load(Path(__file__).with_name("tiny.yaml"))
    table.plot, table.metrics.nmi.curve = "epochs", "train_prio"
    OmegaConf.save(table, tmp_path / "mine.yaml")
    planned = grid(str(tmp_path / "mine.yaml"), DIGITS, seeds=1)
    found = found_of(planned, {"c = f": [{"nmi": 0.5}]})
    for one in found.records.values():
        one |= {"run": "RUN", "curves": {"train_loss": [1.0]}}
    assert "Digits: curve train_prio" in " ".join(make_sheet(planned, found, command="typed").notes)
