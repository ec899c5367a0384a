"""Runs that differ in the seed alone as one curve and one column."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from support.configs import shipped

from cplearn_solo.collapse.comparison import compare
from cplearn_solo.collapse.figures import PLOTS, draw
from cplearn_solo.collapse.groups import by_configuration, of_group
from cplearn_solo.collapse.measures import Measurement
from cplearn_solo.collapse.page import number, report_page
from cplearn_solo.collapse.pictures import Pictures
from cplearn_solo.collapse.progress import Steps
from cplearn_solo.collapse.protocols import PROTOCOLS
from cplearn_solo.collapse.style import mean_curve, panels
from cplearn_solo.collapse.subject import Subject
from cplearn_solo.config import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics import effective_rank

pytestmark = pytest.mark.integration


def run(path, *, epochs=3, **changes):
    """A run of which only its configuration, an epoch's scale and features are made up."""
    config = parse_config(shipped("cplearn", **changes)).stored()
    seed = config["seed"]
    x = torch.randn(60, 6, generator=torch.Generator().manual_seed(seed))
    rows = [{"epoch": float(i), "train_loss": 1.0, "train_features_std": 10.0 ** (seed + i)} for i in range(epochs)]
    parts = {"embeddings": x[:, :3], "labels": torch.arange(60) % 3, "codes": torch.arange(60) % 5}
    names = (config["name"], f"{config['name']} {path}")
    return Subject(names, Path(path), "60 rows", x, config=config, rows=rows, **parts)


def codes(c):
    return {"method_kwargs": {"proj_output_dim": c}}


FILE = Subject(("file", "file.npy"), Path("file.npy"), "60 rows", torch.randn(60, 6))
RUNS = [run("r0", seed=0, **codes(16)), run("r1", seed=1, **codes(16)), run("r2", seed=0, **codes(64)), FILE]


def test_runs_that_differ_in_the_seed_are_a_group_called_after_what_differs_between_groups():
    groups, names = by_configuration(RUNS)
    assert [group.members for group in groups] == [(0, 1), (2,), (3,)]
    assert [group.name for group in groups] == [
        "cplearn-digits, proj_output_dim=16",
        "cplearn-digits, proj_output_dim=64",
        "file",
    ]
    assert names[:2] == ["cplearn-digits, proj_output_dim=16, seed 0", "cplearn-digits, proj_output_dim=16, seed 1"]
    assert names[2:] == [groups[1].name, "file"]


def test_keys_that_train_the_same_make_no_other_group():
    groups, _ = by_configuration([run("r0", seed=0), run("r1", seed=1, accelerator="cpu")])
    assert [(group.name, group.members) for group in groups] == [("cplearn-digits", (0, 1))]


@pytest.mark.parametrize(
    "subjects, words",
    [
        ([FILE, FILE], "group = file.npy, file.npy: must hold at least two runs"),
        ([run("a"), FILE], "group = a, file.npy: must hold at least two runs"),
        (
            [run("a"), run("b", **codes(16))],
            "group = a, b: must differ in the seed alone, .* not in method_kwargs.proj_",
        ),
        ([run("a"), run("b")], "group = a, b: must have different seeds, both have 0"),
        ([run("a"), run("b", seed=1, epochs=2)], "group = a, b: must have trained equally long, not 3 and 2 epochs"),
    ],
)
def test_a_bad_group_is_one_line(subjects, words):
    with pytest.raises(InputError, match=words) as error:
        by_configuration(subjects)
    assert "\n" not in str(error.value)


def test_cells_are_mean_and_sample_deviation_or_the_reason():
    assert of_group([Measurement(1.0, of=6), Measurement(4.0, of=6)]) == Measurement(2.5, of=6, spread=4.5**0.5)
    assert of_group([Measurement(1.0, of=6), Measurement(4.0, of=5)]).of is None
    assert of_group([Measurement(1.0), Measurement(None, "why")]) == Measurement(None, "why")
    assert of_group([Measurement(1.0, of=6)]) == Measurement(1.0, of=6)


def test_large_numbers_keep_the_digits_in_which_they_differ():
    numbers = ((0.123456, None), (-11138.4, 5.43), (9999.7, 99.7), (1e5, 1234.5))
    shown = [number(Measurement(value, spread=spread)) for value, spread in numbers]
    assert shown == ["0.1235", "-11138 ± 5.4", "10000 ± 100", "100000 ± 1234"]


def test_curves_are_mean_and_sample_deviation():
    (ax,) = panels(1, 1)[1].flat
    mean_curve(ax, [1, 2], [[1.0, 10.0], [100.0, 1000.0]], 0, log=True)
    assert ax.lines[0].get_ydata() == pytest.approx([10, 100])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(100 * 10 ** math.sqrt(2)) and band.min() == pytest.approx(
        10 / 10 ** math.sqrt(2)
    )
    mean_curve(ax, [1, 2], [[1.0, 10.0], [3.0, 30.0]], 1)
    assert ax.lines[1].get_ydata() == pytest.approx([2, 20])


@pytest.fixture(scope="module")
def comparison():
    groups, names = by_configuration(RUNS)
    settings = {"protocol": PROTOCOLS["standard"], "seed": 0, "steps": Steps(0, lambda *step: None)}
    return compare(RUNS, names, groups, components=(2,), **settings)


@pytest.mark.slow
def test_the_report_of_groups(comparison):
    (row,) = (row for row in comparison.rows if (row.section, row.title) == ("Representation Z", "effective rank"))
    ranks = [effective_rank(subject.features) for subject in RUNS]
    assert row.cells[0].value == pytest.approx(np.mean(ranks[:2]))
    assert row.cells[0].spread == pytest.approx(np.std(ranks[:2], ddof=1))
    assert [cell.value for cell in row.cells[1:]] == ranks[2:] and row.cells[1].spread is None
    page = report_page(comparison, [draw(plot, comparison) for plot in PLOTS], Pictures([], [], []))
    assert f"{row.cells[0].value:.4g} ± {row.cells[0].spread:.2g} of 6" in page
    assert "means and sample standard deviations over runs that differ only in the seed" in re.sub(r"\s+", " ", page)
    assert len(comparison.verdicts) == 4 and len(comparison.maps) == 3
    assert "proj_output_dim=16, seed 0" in page and "proj_output_dim=16, seed 1" in page


def test_the_scale_over_training_is_a_curve_of_each_group(comparison):
    figure = next(plot for plot in PLOTS if plot.file == "scale.png").draw(comparison)
    (ax,) = figure.axes
    assert ax.get_yscale() == "log" and len(ax.lines) == 2
    assert ax.lines[0].get_ydata() == pytest.approx([10**0.5, 10**1.5, 10**2.5])
    assert ax.lines[1].get_ydata() == pytest.approx([1, 10, 100])
