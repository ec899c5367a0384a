"""Scores of extracted features; one that cannot be computed is absent, never 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from cplearn_solo.config.schema import EvaluationConfig
from cplearn_solo.core.progress import shown
from cplearn_solo.data import Splits
from cplearn_solo.evaluation.linear import LinearResult, linear_probe
from cplearn_solo.evaluation.paper_probe import paper_probe
from cplearn_solo.inference.features import Features
from cplearn_solo.metrics import balanced, clustering_scores, codes_used, effective_rank, kmeans_ami, knn_accuracies
from cplearn_solo.metrics.scale import scale_of

EMBEDDED_SAMPLES = 10_000  # rows for the effective rank and k-means, a seeded choice if there are more
NEARNESS = (("knn", "centred"), ("knn_cosine", "cosine"), ("knn_l2", "l2"))  # names of scores, and what is near
CLEARLY = 0.02  # a difference of accuracies that is not rounding or chance
ONE_CLASS = "scores of one class, as all would be 1"


def linear_scores(train: Features, test: Features, *, num_classes: int, **settings: Any) -> dict[str, Any]:
    """Accuracy of the converged linear probe and its penalty; ``settings`` go to :func:`linear_probe`.

    As in :func:`knn_scores`, balanced accuracy is added if classes have unequal sizes.
    """
    return _probed("linear", linear_probe, train, test, num_classes=num_classes, **settings)


def paper_linear_scores(train: Features, test: Features, *, num_classes: int, **settings: Any) -> dict[str, Any]:
    """The same for the linear probe as papers train it, :func:`paper_probe`, which depends on the scale of features."""
    return _probed("paper_linear", paper_probe, train, test, num_classes=num_classes, **settings)


def _probed(
    name: str, probe: Callable[..., LinearResult], train: Features, test: Features, **settings: Any
) -> dict[str, Any]:
    train, test = train.labelled(), test.labelled()
    if _one_class(train, test):
        return {"left_out": ONE_CLASS}
    return named_scores(name, probe(train.x, train.y, test.x, test.y, **settings), test.y)


def named_scores(name: str, result: LinearResult, labels: torch.Tensor) -> dict[str, Any]:
    """The known scores of a classifier on images with these ``labels`` (n,), each key with ``name`` in front."""
    scores = {
        "acc1": result.acc1,
        "balanced_acc1": None if balanced(labels) else result.balanced_acc1,
        "acc5": result.acc5,
        "train_acc1": result.train_acc1,
        "l2": result.l2,
        "lr": result.lr,
        "note": result.note or None,
    }
    return {f"{name}_{key}": value for key, value in scores.items() if value is not None}


def knn_scores(
    train: Features,
    test: Features,
    *,
    num_classes: int,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """kNN accuracy for each kind of nearness, computed on ``device``; ``settings`` go to :func:`knn_accuracies`, and
    ``progress`` is called with (votes counted, votes in all)."""
    train, test = train.labelled(), test.labelled()
    if _one_class(train, test):
        return {"left_out": ONE_CLASS}
    scores: dict[str, Any] = {}
    for i, (name, nearness) in enumerate(NEARNESS):
        how = {"nearness": nearness, "progress": _of_passes(progress, i, len(NEARNESS)), **settings}
        found = knn_accuracies(train.x.to(device), train.y, test.x, test.y, num_classes=num_classes, **how)
        scores[f"{name}_acc1"] = found.of_rows
        if not balanced(test.y):
            scores[f"{name}_balanced_acc1"] = found.of_classes
    return scores


def cluster_scores(
    test: Features, *, codes_total: int | None, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Scores of the codes, chance included, k-means AMI on the representation, and its effective rank.

    k-means clusters raw features, where dimensions of large variance matter most, and standardised features.
    ``released_...``: the same for the index of the projector's largest output, which the released scripts use as code.
    ``progress`` is called with (starts of k-means done, starts in all).
    """
    scores: dict[str, Any] = {}
    known = test.labelled()
    several = known.y.unique().numel() > 1
    if test.codes is not None:
        scores |= clustering_scores(known.codes, known.y, seed=seed) if several else {}
        scores |= {"codes_used": codes_used(test.codes), "codes_total": codes_total}
    if known.released is not None and several:
        same = known.codes is not None and known.codes.equal(known.released)
        of_released = scores if same else clustering_scores(known.released, known.y, seed=seed)
        scores |= {f"released_{key}": of_released[key] for key in ("nmi", "nmi_chance", "ami")}
    if known.y[sample(len(known.y), seed)].unique().numel() > 1:
        for i, (name, standardised) in enumerate((("kmeans_ami", False), ("kmeans_standardised_ami", True))):
            how = {"standardised": standardised, "seed": seed, "progress": _of_passes(progress, i, 2)}
            scores[name] = kmeans_score(known.x, known.y, **how)
    scores["effective_rank"] = effective_rank(test.x[sample(len(test.x), seed)])
    return scores if several or not len(known.y) else {**scores, "left_out": ONE_CLASS}


def kmeans_score(
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    standardised: bool,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> float:
    """k-means AMI of at most 10,000 of the rows ``x`` (n, d) with labels ``y`` (n,), as they are or standardised."""
    chosen = sample(len(y), seed)
    x, y = x[chosen], y[chosen]
    return kmeans_ami(scale_of(x).standardise(x) if standardised else x, y, seed=seed, progress=progress)


def _of_passes(progress: Callable[[int, int], None] | None, i: int, passes: int) -> Callable[[int, int], None]:
    """The progress of pass ``i`` of several that are equally long."""
    return lambda done, total: progress(i * total + done, passes * total) if progress else None


def _one_class(train: Features, test: Features) -> bool:
    """Whether all labels are the same, so that any classifier would be right."""
    return torch.cat([train.y, test.y]).unique().numel() < 2


def all_scores(train: Features, test: Features, wanted: EvaluationConfig, **settings: Any) -> dict[str, Any]:
    """:func:`converged_scores`, the paper's linear probe, and a note if the latter has not converged.

    Probes, kNN and k-means that take more than some seconds show how far they are.
    """
    scores = converged_scores(train, test, wanted, **settings)
    if wanted.linear and _labelled(train, test):
        settings.pop("codes_total")
        with shown("the paper's linear probe") as progress:
            scores |= paper_linear_scores(train, test, **settings, progress=progress)
    return scores | _doubt(scores)


def converged_scores(
    train: Features,
    test: Features,
    wanted: EvaluationConfig,
    *,
    num_classes: int,
    codes_total: int | None,
    seed: int,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """The scores that ``wanted`` asks for and the labels allow; probes and kNN run on ``device``."""
    scores: dict[str, Any] = {}
    labelled = _labelled(train, test)
    if wanted.linear and labelled:
        with shown("linear probe") as progress:
            scores |= linear_scores(train, test, num_classes=num_classes, seed=seed, device=device, progress=progress)
    if wanted.knn and labelled:
        with shown("kNN") as progress:
            scores |= knn_scores(train, test, num_classes=num_classes, device=device, progress=progress)
    if wanted.clustering:
        with shown("k-means") as progress:
            scores |= cluster_scores(test, codes_total=codes_total, seed=seed, progress=progress)
    return scores


def _labelled(train: Features, test: Features) -> bool:
    return bool((train.y >= 0).any() and (test.y >= 0).any())


def _doubt(scores: dict[str, Any]) -> dict[str, str]:
    """A note if the paper's probe is right on fewer training images than a converged probe, or than kNN on held-out
    images.

    Its learning rate is the same for features of every scale: too large for large features, too small for small ones.
    """
    reached = scores.get("paper_linear_train_acc1")
    for other, name in (("linear_train_acc1", "a converged probe"), ("knn_acc1", "neighbours of held-out images")):
        if reached is not None and other in scores and scores[other] - reached > CLEARLY:
            words = f"not converged: right on {reached:.3f} of its training images, {name} {scores[other]:.3f}"
            return {"paper_linear_note": words}
    return {}


def images_of_scores(splits: Splits, labels: torch.Tensor) -> dict[str, Any]:
    """Which images of ``splits`` are scored, and how many: of the ``labels`` (n,), those that are known, or all.

    ``probe_images``: number of images that probe and kNN learned from, if training images have no labels.
    """
    found = {"scored_on": splits.name, "scored_images": int((labels >= 0).sum()) or len(labels)}
    return found if splits.probe is splits.train else {**found, "probe_images": len(splits.probe)}


def sample(size: int, seed: int) -> torch.Tensor:
    """Indices of at most 10,000 of ``size`` rows, for costly scores."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))[:EMBEDDED_SAMPLES]
