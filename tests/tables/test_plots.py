"""Figures of grids: axes have names, and the legend is away from them."""

from pathlib import Path

import pytest

from cplearn_solo.tables import plots
from cplearn_solo.tables.plan import plan
from cplearn_solo.tables.results import Found
from cplearn_solo.tables.schema import GridConfig

pytestmark = pytest.mark.integration

SCRIPTS = Path(__file__).parents[2] / "scripts"
SUMMARY = {"nmi": 0.2, "ami": 0.1, "kmeans_ami": 0.3, "paper_linear_acc1": 0.4, "knn_acc1": 0.5}
CURVES = {
    "train_loss": [3.0, 2.0],
    "val_acc1": [0.1, 0.2],
    "collapse_correlation": [0.5, 0.4],
    "collapse_features_correlation": [0.5, 0.6],
    "embeddings_spectrum": [1.0, 0.1, 0.0],
    "intra_class_rank_by_epoch": [3.0, 4.0],
    "inter_class_rank_by_epoch": [3.0, 4.0],
    "kept_epochs": [5, 10],
}


@pytest.fixture
def figures(monkeypatch):
    """Function from a table's name to its figures, each laid out and not yet a PNG."""

    def draw(table):
        drawn = []
        monkeypatch.setattr(plots, "_png", lambda figure: drawn.append(figure) or b"")
        grid = plan(GridConfig(table=table, seeds=1), {}, scripts=SCRIPTS)
        records = {cell: {"seed": 0, "summary": SUMMARY, "curves": CURVES} for cell in grid.cells}
        assert plots.curves(grid, Found(records, []))
        for figure in drawn:
            figure.draw_without_rendering()
        return drawn

    return draw


@pytest.mark.parametrize(
    "table", ["cplearn_fig5", "cplearn_table9", "cplearn_fig16", "matrix_ssl_fig3", "report_fig8", "report_fig11"]
)
def test_axes_have_names_and_the_legend_meets_nothing(table, figures):
    for figure in figures(table):
        assert figure.subfigs
        for panel in figure.subfigs:
            (axes,), (legend,) = panel.axes, panel.legends
            assert axes.get_xlabel() and axes.get_ylabel() and axes.lines
            below = legend.get_window_extent()
            assert below.y1 <= axes.xaxis.label.get_window_extent().y0 and below.y0 >= 0


def test_curves_of_kept_checkpoints_stand_at_their_epochs(figures):
    (figure,) = figures("matrix_ssl_fig3")
    assert list(figure.subfigs[0].axes[0].lines[0].get_xdata()) == [5, 10]
