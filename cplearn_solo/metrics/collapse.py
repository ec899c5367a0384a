"""How far features, embeddings and codes are from each kind of collapse.

Representation collapse: all samples at one point. Dimensional: few directions in use. Cluster: few codes in use. Every
function takes features ``(n, d)`` or codes ``(n,)`` as tensors or arrays, computes in float64 and raises ``InputError``
for input that is not finite, is empty or has another shape.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.checks import check_count, check_features, check_ids

_POWER_LAW = (4, 100)  # first and last eigenvalue that a power law is fitted to
_CORRELATED = 8192  # dimensions whose correlations are computed: 0.5 GB, where 131,072 would take 137


@torch.no_grad()
def dimension_variances(features: Any) -> Tensor:
    """Variance of each dimension ``(d,)`` over samples; all 0 where the representation has collapsed to a point."""
    return check_features("features", features).double().var(dim=0, unbiased=False)


@torch.no_grad()
def spread(features: Any) -> float:
    """Distance to the constant solution, from 0 (all samples at one point) to 1 (mean at the origin).

    Mean squared distance to the mean over mean squared norm; features that are all zero give 0.
    """
    features = check_features("features", features).double()
    total = features.square().sum().item()
    return (features - features.mean(dim=0)).square().sum().item() / total if total else 0.0


@torch.no_grad()
def covariance_spectrum(features: Any) -> Tensor:
    """Eigenvalues ``(min(n, d),)`` of the covariance of centred features, largest first."""
    features = check_features("features", features).double()
    return torch.linalg.svdvals(features - features.mean(dim=0)).square() / len(features)


@torch.no_grad()
def rankme(features: Any) -> float:
    """RankMe, from 1 to min(n, d): effective rank without centring (Garrido et al., ICML 2023, Eq. 1)."""
    singular = torch.linalg.svdvals(check_features("features", features).double())
    p = singular / singular.sum().clamp(min=1e-300) + 1e-7
    return math.exp(-(p * p.log()).sum().item())


@torch.no_grad()
def stable_rank(features: Any) -> float:
    """Squared Frobenius over squared spectral norm of centred features, from 1 to min(n - 1, d); 0 if constant."""
    features = check_features("features", features).double()
    centred = features - features.mean(dim=0)
    gram = centred.T @ centred if features.shape[0] > features.shape[1] else centred @ centred.T
    largest = torch.linalg.eigvalsh(gram)[-1]
    noise = (max(features.shape) * torch.finfo(torch.float64).eps * features.norm()) ** 2
    return (centred.square().sum() / largest).item() if largest > noise else 0.0


@torch.no_grad()
def mean_correlation(features: Any) -> float:
    """Mean absolute correlation between different dimensions, from 0 (decorrelated) to 1 (one direction).

    Dimensions that do not vary have no correlation and are left out. Of more than 8,192 that vary, as many are taken at
    even distances. Raises ``InputError`` where fewer than two vary.
    """
    features = check_features("features", features).double()
    centred = features - features.mean(dim=0)
    noise = len(features) * torch.finfo(torch.float64).eps * features.abs().amax(dim=0)
    varying = centred[:, centred.abs().amax(dim=0) > noise]
    d = varying.shape[1]
    if d < 2:
        raise InputError(f"features vary in {d} of {features.shape[1]} dimensions: a correlation needs at least 2")
    if d > _CORRELATED:
        varying = varying[:, torch.linspace(0, d - 1, _CORRELATED, device=varying.device).long()]
        d = _CORRELATED
    unit = varying / varying.norm(dim=0)
    return ((unit.T @ unit).abs().sum().item() - d) / (d * (d - 1))


@torch.no_grad()
def spectrum_auc(features: Any) -> float:
    """Area under the cumulative explained variance over the share of directions, from 0.5 (all alike) to 1 (one).

    If the k largest of m eigenvalues explain a share c_k, it is the mean of c_1 ... c_m minus 1 / (2 m); an isotropic
    spectrum gives 0.5 (after Li et al., ECCV 2022). Raises ``InputError`` for constant features.
    """
    spectrum = covariance_spectrum(features)
    if stable_rank(features) == 0:
        raise InputError("features are constant: they have no spectrum")
    return (spectrum.cumsum(0) / spectrum.sum()).mean().item() - 1 / (2 * len(spectrum))


@torch.no_grad()
def power_law_exponent(features: Any) -> float:
    """Decay alpha of the spectrum, eigenvalue i ~ i^-alpha (alpha-ReQ, Agrawal et al., NeurIPS 2022); 0 is isotropic,
    large is collapsed.

    Least squares in logarithms over eigenvalues 4 to 100 with weight 1/i, as in the authors' code (fastssl), which has
    the weights from Stringer et al. (Nature 2019). The paper describes a fit of all eigenvalues; the code leaves out
    the first three to fit the tail. Numerically zero eigenvalues are left out. Raises ``InputError`` if fewer than two
    are left.
    """
    spectrum = covariance_spectrum(features)
    spectrum = spectrum[spectrum > spectrum[0] * 1e-12][: _POWER_LAW[-1]]
    if len(spectrum) <= _POWER_LAW[0] or stable_rank(features) == 0:
        raise InputError(f"features vary in fewer than {_POWER_LAW[0] + 1} directions: a power law needs as many")
    rank = torch.arange(_POWER_LAW[0], len(spectrum) + 1).to(spectrum)
    x, y, weight = rank.log(), spectrum[_POWER_LAW[0] - 1 :].log(), 1 / rank / (1 / rank).sum()
    x = x - weight @ x
    return -((weight * x) @ y / ((weight * x) @ x)).item()


@torch.no_grad()
def code_entropy(codes: Any, num_codes: int) -> float:
    """Entropy of the shares of samples in each of ``num_codes`` codes, in nats, from 0 (one code) to log num_codes."""
    share = _shares(codes, num_codes)
    return torch.special.entr(share).sum().item()


@torch.no_grad()
def largest_share(codes: Any, num_codes: int) -> float:
    """Share of samples in the most used code, from 1 / num_codes (even) to 1 (cluster collapse)."""
    return _shares(codes, num_codes).max().item()


def _shares(codes: Any, num_codes: int) -> Tensor:
    check_count("num_codes", num_codes)
    codes = check_ids("codes", codes, num_codes)
    return codes.bincount(minlength=num_codes).double() / len(codes)
