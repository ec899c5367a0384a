"""The figures of a report, in order: file name, title, what to look for, and the function that draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from cplearn_solo.collapse import curves, epochs, matrices, scatter
from cplearn_solo.collapse.comparison import Comparison
from cplearn_solo.collapse.style import png
from cplearn_solo.core.errors import InputError


@dataclass(frozen=True)
class Plot:
    """A kind of figure; ``draw`` raises ``InputError`` with the reason if there is nothing to draw.

    ``about`` may contain attributes of the report's ``{protocol}``. On the page, only ``opening`` figures are
    unfolded at first.
    """

    file: str
    title: str
    about: str
    draw: Callable[[Comparison], Figure]
    opening: bool = False


@dataclass(frozen=True)
class Drawn:
    """A figure as PNG with what to look for, or the ``reason`` why there is none."""

    plot: Plot
    png: bytes | None
    about: str = ""
    reason: str = ""


PLOTS = (
    Plot(
        "codes.png",
        "Use of the codes",
        "Many codes of similar size are healthy; cluster collapse is one code with 100 % of the samples. Dotted: the "
        "share if all codes were used alike.",
        curves.code_usage,
        opening=True,
    ),
    Plot(
        "tsne.png",
        "t-SNE of the representation",
        "At most 1,000 samples, of ten classes, or of the ten largest codes where there are no labels. Distances "
        "between clusters mean little. (Matrix-SSL, Fig. 2)",
        scatter.tsne,
        opening=True,
    ),
    Plot(
        "spectra.png",
        "Singular values of the covariance",
        "Dimensional collapse is a sharp drop: singular values that fall by orders of magnitude or end before the "
        "others; values that are zero up to rounding are not drawn. Representation collapse is a curve far below the "
        "others. {protocol.spectra} (CPLearn, Figs. 6a, 13a, 14; Jing et al., 2022)",
        curves.spectra,
        opening=True,
    ),
    Plot(
        "entropy.png",
        "Entropy by a diagonal Gaussian mixture",
        "The higher, the less intracluster collapse. {protocol.entropies} Monte Carlo over 10,000 draws. "
        "(CPLearn, Figs. 6b, 13b, 15)",
        curves.entropies,
    ),
    Plot(
        "covariance.png",
        "Covariance and adjacency of the embeddings",
        "A healthy covariance is close to diagonal; the adjacency of clustered embeddings has a block for each code. "
        "A single red square is representation or cluster collapse. Without embeddings, the features are shown. "
        "(CPLearn, Figs. 4, 8, 9)",
        matrices.covariance_and_adjacency,
    ),
    Plot(
        "scale.png",
        "Scale of the representation over training",
        "Root mean variance of the dimensions in each epoch. A curve that keeps rising or falling is a drift of the "
        "scale; a backbone without normalisation does not prevent it. Scores that depend on the scale, such as a "
        "linear probe on raw features, then depend on the drift, too. (CPLearn, Fig. 7 and Appendix A)",
        epochs.scale,
    ),
    Plot(
        "class_ranks.png",
        "Effective rank within and between classes",
        "Within classes, a rank that falls towards 1 is intracluster collapse. (Matrix-SSL, Fig. 3)",
        epochs.class_ranks,
    ),
    Plot(
        "statistics.png",
        "Mean and standard deviation of each dimension",
        "Line: mean; band: one standard deviation on each side. No band is representation collapse. (CPLearn, Fig. 7)",
        scatter.statistics,
    ),
    Plot(
        "training.png",
        "Training",
        "Loss and its parts, adjacency and t-SNE of each run. (CPLearn, Fig. 12)",
        scatter.training,
    ),
    Plot(
        "dictionary.png",
        "The dictionary",
        "W^T W / f and its entries: 1 on the diagonal, and around 0 with standard deviation 1 / sqrt(f) elsewhere. "
        "(CPLearn, Fig. 3)",
        matrices.dictionary,
    ),
)


def draw(plot: Plot, comparison: Comparison) -> Drawn:
    """The plot as PNG, or the reason why it is left out."""
    try:
        image, numbers = png(plot.draw(comparison))
    except InputError as error:
        return Drawn(plot, None, reason=str(error))
    about = plot.about.format(protocol=comparison.protocol)
    if numbers:
        about += f" No font here has the letters of {', '.join(f'{n} {words}' for n, words in numbers.items())}."
    return Drawn(plot, image, about)
