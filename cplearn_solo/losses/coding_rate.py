"""Coding rates and maximal coding rate reduction, MCR2 (Yu et al., NeurIPS 2020), also in variational form.

Embeddings are rows ``(n, d)`` of length 1. ``eps`` is the squared distortion of the code, the paper's epsilon^2. Rates
are in nats per embedding. All computation is at least in float32, also under autocast.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from cplearn_solo.core.errors import require
from cplearn_solo.core.precision import at_least_float32, without_autocast

F = TypeVar("F", bound=Callable[..., Any])


def _in_float32(function: F) -> F:
    """``function`` of tensors at least in float32: determinants exist in no less, and products would be too coarse."""

    @wraps(function)
    def computed(*given: Any, **named: Any) -> Any:
        first = next(x for x in (*given, *named.values()) if isinstance(x, Tensor))
        with without_autocast(first):
            return function(*map(_precise, given), **{key: _precise(x) for key, x in named.items()})

    return computed  # type: ignore[return-value]


def _precise(x: Any) -> Any:
    return at_least_float32(x) if isinstance(x, Tensor) else x


@_in_float32
def coding_rate(z: Tensor, *, eps: float) -> Tensor:
    """R(Z, eps) = 1/2 log det(I + d / (n eps) Z^T Z) of all embeddings together, a scalar (Eq. 1).

    It is computed from the smaller of Z^T Z and Z Z^T. Raises ``InputError`` for an ``eps`` that is not above 0.
    """
    check_eps(eps)
    n, d = z.shape
    return _log_det(d / (n * eps) * (z.mT @ z if d <= n else z @ z.mT)) / 2


@_in_float32
def partition_rate(z: Tensor, memberships: Tensor, *, eps: float) -> Tensor:
    """R_c(Z, eps | Pi) = sum_j n_j / (2 n) log det(I + d / (n_j eps) Z^T Pi_j Z), a scalar (Eq. 2).

    ``memberships``: Pi ``(n, k)``, how much of each embedding belongs to each of k classes, n_j = sum_i Pi_ij.
    Raises ``InputError`` for shapes that do not fit or an ``eps`` that is not above 0.
    """
    check_eps(eps)
    weights, sizes = _weights(z, memberships)
    covariances = torch.einsum("ij,ia,ib->jab", weights, z, z)
    return (sizes * _log_det(z.shape[1] / eps * covariances)).sum() / (2 * len(z))


@_in_float32
def views_rate(views: Tensor, *, eps: float) -> Tensor:
    """:func:`partition_rate` of ``views`` ``(v, n, d)`` if the views of an image form a class: n determinants of size
    v.

    Raises ``InputError`` for an ``eps`` that is not above 0.
    """
    check_eps(eps)
    v, _, d = views.shape
    by_image = views.transpose(0, 1)
    return _log_det(d / (v * eps) * (by_image @ by_image.mT)).mean() / 2


class VariationalRate(NamedTuple):
    """Scalars: ``rate``, of the covariances that the atoms describe, and ``misfit``, their distance from those of Z."""

    rate: Tensor
    misfit: Tensor


@_in_float32
def variational_rate(z: Tensor, memberships: Tensor, atoms: Tensor, amounts: Tensor, *, eps: float) -> VariationalRate:
    """:func:`partition_rate` without a determinant (Baek et al., CVPR 2022), to be minimised over its parameters.

    ``atoms`` ``(q, d)`` are scaled to length 1 and shared by all classes, as columns of Gamma; ``amounts`` A ``(k, q)``
    are not negative. With C_j = Z^T Pi_j Z / n_j,

        rate = sum_j n_j / (2 n) sum_l log(1 + d / eps A_jl)
        misfit = sum_j n_j / n ||C_j - Gamma diag(A_j) Gamma^T||^2.

    The smallest rate without misfit is R_c. It is reached if the atoms and amounts of each class are the eigenvectors
    and eigenvalues of its C_j (:func:`eigen_atoms`). In training, a multiple of the misfit is added to the rate. Both
    are computed from products of embeddings and atoms, which are at most (n + q)^2 numbers, instead of the paper's k
    covariances of d x d.

    Raises ``InputError`` for shapes that do not fit or an ``eps`` that is not above 0.
    """
    check_eps(eps)
    weights, sizes = _weights(z, memberships)
    (n, d), k = z.shape, memberships.shape[1]
    fitting = atoms.ndim == 2 and atoms.shape[1] == d and amounts.shape == (k, len(atoms))
    shapes = tuple(atoms.shape), tuple(amounts.shape)
    require(fitting, "shapes of atoms and amounts", shapes, f"(q, {d}) and ({k}, q)")
    atoms = torch.nn.functional.normalize(atoms, dim=1)
    rate = (sizes * (d / eps * amounts).log1p().sum(dim=1)).sum() / (2 * n)
    own = (weights * ((z @ z.mT).square() @ weights)).sum(dim=0)
    both = (weights * ((z @ atoms.mT).square() @ amounts.mT)).sum(dim=0)
    atomic = (amounts * (amounts @ (atoms @ atoms.mT).square())).sum(dim=1)
    return VariationalRate(rate, (sizes * (own - 2 * both + atomic)).sum() / n)


@torch.no_grad()
@_in_float32
def eigen_atoms(z: Tensor, memberships: Tensor, per_class: int | None = None) -> tuple[Tensor, Tensor]:
    """The optimal atoms ``(k d, d)`` and amounts ``(k, k d)`` of :func:`variational_rate`: k eigendecompositions.

    With ``per_class``, each class has only this number of directions instead of d, those of its largest eigenvalues.
    Raises ``InputError`` for memberships that do not fit.
    """
    weights, _ = _weights(z, memberships)
    values, vectors = torch.linalg.eigh(torch.einsum("ij,ia,ib->jab", weights, z, z))
    first = 0 if per_class is None else max(0, z.shape[1] - per_class)
    amounts = torch.block_diag(*values[:, first:].clamp_min(0).unsqueeze(1))
    return vectors[:, :, first:].mT.flatten(0, 1), amounts


def check_eps(eps: float) -> None:
    """Raises ``InputError`` unless ``eps`` is above 0."""
    require(eps > 0, "eps", eps, "above 0")


def _weights(z: Tensor, memberships: Tensor) -> tuple[Tensor, Tensor]:
    """Pi_ij / n_j ``(n, k)``, 0 for an empty class, and n_j ``(k,)``."""
    fitting = memberships.ndim == 2 and len(memberships) == len(z)
    require(fitting, "shape of memberships", tuple(memberships.shape), f"({len(z)}, k), one row an embedding")
    sizes = memberships.sum(dim=0)
    return memberships / sizes.clamp_min(torch.finfo(z.dtype).tiny), sizes


def _log_det(x: Tensor) -> Tensor:
    """log det(I + X) of symmetric positive semi-definite matrices ``(..., d, d)``."""
    identity = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    factor, _ = torch.linalg.cholesky_ex(identity + x)  # unlike cholesky, this does not wait for a GPU
    return 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
