"""How spectra and entropies are computed from Z and H: in the report's own way, or as in the released code."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cplearn_solo.collapse.asked import RELEASED, STANDARD
from cplearn_solo.collapse.scale import unit_scale
from cplearn_solo.collapse.subject import Subject
from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.checks import check_features
from cplearn_solo.metrics.collapse import covariance_spectrum
from cplearn_solo.metrics.intracluster import gmm_entropy

WIDTH = 2048  # dimensions to which the released code pads with zeros
REGULARISATION = 1e-6  # added to each variance of a component by scikit-learn; a padded dimension has no other


class Protocol:
    """The report's own protocol: spectra of the centred covariance, entropies at unit scale."""

    name = STANDARD
    spectra = "Eigenvalues are of the centred covariance, at the scale that features have."
    entropies = (
        "Differential entropy depends on scale, so all features were centred and divided by one number that makes "
        "their variance 1 on average over dimensions; it also depends on the dimension, so parts of different "
        "dimensions are not compared."
    )
    note = "nats, at unit scale"

    def part(self, subject: Subject, name: str) -> Tensor | None:
        """Z ``(n, d)``, or H ``(n, f)`` if there is one."""
        return subject.part(name)

    def spectrum(self, values: Tensor) -> Tensor:
        """Singular values ``(min(n, d),)`` of the covariance, largest first."""
        return covariance_spectrum(values)

    def entropy(self, values: Tensor, components: int, *, seed: int) -> float:
        """Entropy of a diagonal Gaussian mixture in nats; raises ``InputError`` if there is none."""
        return gmm_entropy(unit_scale(values), components=components, seed=seed)

    def incomparable(self, subjects: list[Subject], name: str) -> str:
        """Why entropies of a part are not comparable; empty if they are."""
        return mixed_dimensions(subjects, name)


class Released(Protocol):
    """The protocol of the released code (its main_embeddings.py and main_collapses.py).

    Its fit in 2,048 dimensions is computed without padding: in a dimension of zeros, each component has mean 0 and the
    variance that scikit-learn adds, so such a dimension always adds the entropy of one Gaussian.
    """

    name = RELEASED
    spectra = (
        "As released: BatchNorm in training mode in batches of 64; H of Barlow Twins and GEDI is the hidden layer "
        "after its ReLU; all entries were scaled to [0, 1] by the smallest and the largest of the matrix, and the "
        "covariance is not centred, so that the first value is mostly the mean."
    )
    entropies = (
        f"{spectra.partition(', and the covariance')[0]}, and zeros fill each sample up to {WIDTH:,} dimensions. Each "
        "of those adds -5.49 nats, so the entropies are far below zero, and parts of different dimensions differ by "
        "their dimension first of all."
    )
    note = f"nats, as released: entries scaled to [0, 1], zeros up to {WIDTH:,} dimensions"

    def part(self, subject: Subject, name: str) -> Tensor | None:
        return subject.released.get(name, subject.part(name))

    def spectrum(self, values: Tensor) -> Tensor:
        return torch.linalg.svdvals(scaled_by_range(values)).square() / len(values)

    def entropy(self, values: Tensor, components: int, *, seed: int) -> float:
        missing = WIDTH - values.shape[1]
        if missing < 0:
            raise InputError(f"the released code takes at most {WIDTH:,} dimensions, these are {values.shape[1]:,}")
        padding = missing * math.log(2 * math.pi * math.e * REGULARISATION) / 2
        return gmm_entropy(scaled_by_range(values), components=components, seed=seed) + padding

    def incomparable(self, subjects: list[Subject], name: str) -> str:
        return ""  # they are not comparable, but the released figures show them in the same axes


PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (Protocol(), Released())}


def scaled_by_range(features: Tensor) -> Tensor:
    """Features ``(n, d)`` scaled to [0, 1] by their smallest and largest entry; ``InputError`` if all are equal."""
    features = check_features("features", features).double()
    low, high = features.aminmax()
    if low == high:
        raise InputError("features are constant: they have no range")
    return (features - low) / (high - low)


def mixed_dimensions(subjects: list[Subject], part: str) -> str:
    """Why differential entropies of a part are not comparable; empty if its dimension is the same everywhere."""
    dimensions = sorted({values.shape[1] for s in subjects if (values := s.part(part)) is not None})
    if len(dimensions) < 2:
        return ""
    return f"{part} has {' or '.join(map(str, dimensions))} dimensions: differential entropies of them do not compare"
