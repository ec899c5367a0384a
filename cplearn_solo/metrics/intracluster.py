"""How much samples of one cluster still differ: entropies, ranks and variances within clusters.

Every function takes features ``(n, d)`` as a tensor or an array and raises ``InputError`` for bad input. Entropies are
differential, in nats; scaling features by s adds d log s, so compare features of the same scale.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.metrics.checks import check_count, check_features, check_ids, check_length, check_number

_NATS_PER_DIMENSION = 1e-4  # a mixture has converged if its log-likelihood gains less in a step


def gmm_entropy(features: Any, *, components: int, samples: int = 10_000, seed: int = 0) -> float:
    """Entropy of a Gaussian mixture with diagonal covariance fitted to the features (CPLearn, Section 4 and Fig. 6).

    Monte Carlo over ``samples`` draws from the mixture: minus their mean log-density. The paper repeats it for 10 to
    1000 ``components``. Raises ``InputError`` for fewer features than components.
    """
    check_count("components", components)
    check_count("samples", samples)
    features = check_features("features", features).double().cpu().numpy()
    require(len(features) > 1, "features.shape", features.shape, "(n, d) with n >= 2, for a mixture")
    require(components <= len(features), "components", components, f"at most the {len(features)} samples")
    # float64, because variances of tight clusters cancel in float32. With scikit-learn's tolerance, 1e-3 nats for all
    # dimensions together, most of the time would be spent on the last thousandth of the entropy.
    mixture = GaussianMixture(
        components, covariance_type="diag", tol=_NATS_PER_DIMENSION * features.shape[1], random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a mixture that has not converged has an entropy too
        mixture.fit(features)
    drawn, _ = mixture.sample(samples)
    return -float(mixture.score(drawn))


@torch.no_grad()
def gaussian_entropy(features: Any, *, noise: float = 1e-3) -> float:
    """Entropy of a Gaussian with the features' covariance plus ``noise`` in every direction (the log-determinant
    estimator): 1/2 log det(2 pi e (C + noise I)). Without noise, collapsed directions would make it minus infinity.
    """
    check_number("noise", noise)
    features = check_features("features", features).double()
    centred = features - features.mean(dim=0)
    covariance = centred.T @ centred / len(features) + noise * torch.eye(features.shape[1]).to(features)
    return 0.5 * (features.shape[1] * math.log(2 * math.pi * math.e) + torch.logdet(covariance).item())


@torch.no_grad()
def pairwise_entropy(features: Any, *, noise: float = 1e-3) -> float:
    """Upper bound of the entropy of features blurred by Gaussian ``noise``, from distances between all pairs.

    d/2 log(2 pi e noise) - mean_i log mean_j exp(-||x_i - x_j||^2 / (2 noise)) (Kolchinsky & Tracey, 2017, Eq. 10 with
    the KL divergence). It is at most log n above its value for a single point.
    """
    check_number("noise", noise)
    features = check_features("features", features).double()
    n, d = features.shape
    close = torch.cat(
        [torch.logsumexp(-torch.cdist(rows, features).square() / (2 * noise), dim=1) for rows in features.split(1024)]
    )
    return d / 2 * math.log(2 * math.pi * math.e * noise) - (close.mean().item() - math.log(n))


@torch.no_grad()
def within_cluster_variance(features: Any, clusters: Any) -> float:
    """Variance within clusters over the total variance: 0 if each cluster is one point, about 1 for random clusters.

    ``clusters`` ``(n,)``, codes or classes, k of them in use. Each variance is divided by its degrees of freedom, n - k
    and n - 1, so that many small clusters do not look tight by chance (1 - adjusted R^2; with the Calinski-Harabasz
    score s it is (n - 1) / (n - k + (k - 1) s)). Raises ``InputError`` for constant features, which have no variance,
    and where no cluster has two samples.
    """
    features, clusters = _clustered(features, clusters)
    n, k = len(features), int(clusters.max()) + 1
    if n == k:
        raise InputError(f"each of {n} samples is a cluster of its own: there is no variance within clusters")
    means = features.new_zeros(k, features.shape[1]).index_add_(0, clusters, features)
    means /= clusters.bincount()[:, None]
    total = (features - features.mean(dim=0)).square().sum().item()
    if total <= _rounding(features):
        raise InputError("features are constant: they have no variance to share out")
    return (features - means[clusters]).square().sum().item() / (n - k) / (total / (n - 1))


def intra_class_effective_rank(features: Any, classes: Any) -> float:
    """Mean over classes of the effective rank of a class's covariance (Matrix-SSL, Eq. 20)."""
    features, classes = _clustered(features, classes)
    parts = [features[classes == k] for k in range(int(classes.max()) + 1)]
    return sum(_erank(part - part.mean(dim=0), _rounding(part)) for part in parts) / len(parts)


def inter_class_effective_rank(features: Any, classes: Any) -> float:
    """Effective rank of the covariance of class means around the global mean (Matrix-SSL, Eq. 21)."""
    features, classes = _clustered(features, classes)
    means = torch.stack([features[classes == k].mean(dim=0) for k in range(int(classes.max()) + 1)])
    return _erank(means - features.mean(dim=0), _rounding(features))


def _rounding(features: Tensor) -> float:
    """The largest sum of squared deviations from a mean that rounding alone can cause."""
    rounding = len(features) * torch.finfo(torch.float64).eps * features.abs().max().item()
    return features.numel() * rounding**2


def _erank(around: Tensor, rounding: float) -> float:
    """Effective rank of the covariance of deviations ``(n, d)`` from a mean: exp of the entropy of its normalised
    eigenvalues (Roy & Vetterli); 0 if their sum is at most ``rounding``."""
    gram = around @ around.T if len(around) < around.shape[1] else around.T @ around  # of the same nonzero eigenvalues
    values = torch.linalg.eigvalsh(gram).clamp(min=0)
    if values.sum() <= rounding:
        return 0.0
    return math.exp(torch.special.entr(values / values.sum()).sum().item())


def _clustered(features: Any, clusters: Any) -> tuple[Tensor, Tensor]:
    """Features in float64, and clusters renumbered 0, 1, ... without gaps."""
    features, clusters = check_features("features", features).double(), check_ids("clusters", clusters)
    check_length("clusters", clusters, len(features), "sample")
    return features, clusters.to(features.device).unique(return_inverse=True)[1]
