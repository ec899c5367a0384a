"""The data files against the papers' texts, which lie beside the repository where this project is developed."""

import re
from pathlib import Path

import pytest

from cplearn_solo.tables.paper import load_table, published, table_names

PAPERS = Path(__file__).parents[3] / "shared/papers"
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
DATA_SETS = ["svhn", "cifar10", "cifar100"]


def both(columns, first, second):
    """Two scores, each over all columns, as the papers print them side by side."""
    return [(column, first) for column in columns] + [(column, second) for column in columns]


ONE = [("cifar10", "nmi"), ("cifar10", "linear")]
SIZES = [f"c{c}" for c in (128, 1024, 2048, 32768, 65536, 131072)]
CODES = [f"c{c}" for c in (100, 500, 1000, 5000, 10000, 50000, 100000, 200000, 300000, 500000)]
PRECISIONS = [("coco", metric) for metric in ("ap50", "ap", "ap75")]
EPOCHS = [(f"epochs{epochs}", "linear") for epochs in (100, 200, 400)]

# Tables with a printed line a row: where they begin and end, and what their columns are.
PRINTED = {
    "cplearn_table1": ("Table 1: Test generalization", "Figure 4:", both(DATA_SETS, "nmi", "linear")),
    "cplearn_table2": ("Method\tClustering (NMI)\tLinear (Acc.)", "Table 2:", ONE),
    "cplearn_table3": ("Table 3: Test generalization", "Analysis on ImageNet-100", both(SIZES, "nmi", "linear")),
    "cplearn_table8": (
        "Method\tClustering\tLinear\tState dict",
        "Table 8:",
        [("cifar10", metric) for metric in ("nmi", "linear", "state_dict", "checkpoint", "time")],
    ),
    "cplearn_table9": (r"$\boldsymbol{\beta}$", "Table 9:", [("cifar10", "linear")]),
    "falcon_table1": ("Method SVHN NMI", "ImageNet-100 Linear", both(DATA_SETS, "nmi", "linear")),
    "matrix_ssl_table2": ("Table 2: **Transfer learning on object", "Semi-supervised learning.", PRECISIONS),
    "matrix_ssl_table3": ("Table 3: **Transfer learning on instance", "Table 4: Results", PRECISIONS),
    "matrix_ssl_table1": ("Table 1: **Linear evaluation**", "Transfer learning.", EPOCHS),
}
# Curves and tables that the texts print otherwise; each has a test of its own below, or no numbers to compare.
OTHERWISE = {"cplearn_table4", "falcon_table2", "matrix_ssl_table4", "matrix_ssl_table5", "matrix_ssl_table6"}
BY_SIZE = {"cplearn_fig5", "cplearn_fig10", "cplearn_fig11"}
CURVES = {*BY_SIZE, "cplearn_fig16", "matrix_ssl_fig3", "report_fig8", "report_fig11"}
OURS = {"long_tail"}


@pytest.fixture
def text():
    """Function from a table's name, a beginning and an end to the lines between, first cell and rest apart."""
    if not PAPERS.is_dir():
        pytest.skip(f"the papers' texts are not at {PAPERS}")

    def cut(name, begin, end):
        whole = (PAPERS / load_table(name).document).read_text()
        return whole[whole.index(begin) :].partition(end)[0].splitlines()[1:]

    return cut


def numbers(line):
    return [float(number) for number in NUMBER.findall(line.replace("_", " ").replace("{", " ").replace("}", " "))]


def ours(table, row, columns):
    """What the data file has for a row, in the order of the printed columns, spreads after their values."""
    pairs = [published(table, row, column, metric) for column, metric in columns]
    return [number for pair in pairs if pair for number in pair if number is not None]


def printed_as(name):
    """A row's name as the texts print it."""
    return {"Matrix-SSL": "Matrix-SSL (Ours)"}.get(name, name.removeprefix("beta = "))


def test_every_table_is_checked():
    assert set(table_names()) == PRINTED.keys() | OTHERWISE | CURVES | OURS


@pytest.mark.parametrize("name", PRINTED)
def test_rows_are_as_printed(name, text):
    begin, end, columns = PRINTED[name]
    table = load_table(name)
    lines = [line.replace("$", "") for line in text(name, begin, end)]
    printed_rows = [row for row in table.rows if row.published]  # the others are rows of ours
    for row in printed_rows:
        printed = printed_as(row.name)
        (line,) = [line for line in lines if re.match(re.escape(printed) + r"(\t| \d)", line, re.IGNORECASE)]
        assert ours(table, row, columns) == numbers(line[len(printed) :]), row.name
    assert len(printed_rows) == sum(map(has_scores, lines))  # nothing that the paper prints was left out


def has_scores(line):
    """Whether there is a score behind the first cell."""
    return bool(re.search(r"\d\.\d", line.partition("\t")[2] or line))


def test_activations(text):
    """Table 4 prints two rows in one line: of each cell the first value is L2's, the second tanh's."""
    table = load_table("cplearn_table4")
    lines = text("cplearn_table4", "\tActivation\tSVHN", "Table 4:")
    columns = both(DATA_SETS, "nmi", "linear")
    for size in ("10", "f", "16384"):
        (line,) = [line for line in lines if line.startswith(f"{size}\t")]
        line = line.partition("Tanh\t")[2].replace("begin{array}{c}", "")
        values = numbers(line)
        cells = [values[i : i + 4] for i in range(0, len(values), 4)]
        l2, tanh = (next(r for r in table.rows if r.name == f"c = {size}, {a}") for a in ("L2 norm", "tanh"))
        assert ours(table, l2, columns) == [v for cell in cells for v in cell[:2]]
        assert ours(table, tanh, columns) == [v for cell in cells for v in cell[2:]]
    assert len(table.rows) == 6


def test_codes_of_falcon(text):
    table = load_table("falcon_table2")
    lines = text("falcon_table2", "Method c=100", "Key Findings")
    for row in table.rows:
        for metric, label in (("top1", "Top-1"), ("top5", "Top-5")):
            (line,) = [line for line in lines if line.startswith(f"{row.name} {label} ")]
            assert ours(table, row, [(c, metric) for c in CODES]) == numbers(line.partition(label)[2])
    assert len(table.rows) == 2


def test_few_labels(text):
    """The text puts the last value of the second row behind the first row's."""
    table = load_table("matrix_ssl_table4")
    columns = [("imagenet", metric) for metric in ("acc1_1", "acc5_1", "acc1_10", "acc5_10")]
    lines = text("matrix_ssl_table4", "Method\t1% Acc@1", "6.3 Ablation")
    values = [number for line in lines for number in numbers(line)]
    mec, ours_ = (ours(table, row, columns) for row in table.rows)
    assert [*mec, ours_[3], *ours_[:3]] == values


@pytest.mark.parametrize(
    "name, begin, end, first, last",
    [
        ("matrix_ssl_table5", "Table 5: Ablations", "Taylor expansion order.", "γ\t", "Acc.\t"),
        ("matrix_ssl_table6", "Table 6: Results", "7 Matrix", "Taylor expansion order\t", "Top-1 accuracy\t"),
    ],
)
def test_points_of_a_curve(name, begin, end, first, last, text):
    table, lines = load_table(name), text(name, begin, end)
    at, scores = ([numbers(line[len(s) :]) for line in lines if line.startswith(s)] for s in (first, last))
    assert [[row.x for row in table.rows]] == at
    assert [[number for row in table.rows for number in ours(table, row, [("imagenet", "linear")])]] == scores


@pytest.mark.parametrize("name", sorted(BY_SIZE))
def test_sizes_and_beta_are_those_of_table_7(name, text):
    table = load_table(name)
    lines = text(name, "Table 7: Values", "Method\t")
    starts = ("Dictionary Size\t", f"{next(iter(table.columns.values())).label}\t")
    sizes, betas = (numbers(line[len(s) :]) for s in starts for line in lines if line.startswith(s))
    assert [row.x for row in table.rows] == sizes
    assert [row.overrides["full"]["method_kwargs.beta"] for row in table.rows] == betas


@pytest.mark.parametrize("name", sorted(CURVES))
def test_curves_without_numbers_say_so(name):
    table = load_table(name)
    assert "prints no numbers" in table.note and not any(row.published for row in table.rows)
