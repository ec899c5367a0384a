"""W-MSE: whiten the embeddings of a batch, then pull views together (Ermolov et al., ICML 2021).

The projector is lightly's. Whitening and loss are not: lightly's permutes the rows of one process and makes a program
wait for the GPU. Here, all devices whiten blocks of the whole batch with the same permutation.

    L = 2 - 2 cos(w, w'),   w = K^-1 (z - mean),   K K^T = covariance of a block

w and w' are the whitened embeddings of two views.
"""

from __future__ import annotations

from itertools import combinations

import torch
from lightly.models.modules.heads import BYOLProjectionHead
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.core.distributed import gather, shared_generator
from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.methods.base import METHODS, Method, Views


@METHODS.register("wmse")
class WMSE(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: widths of the projector. ``whitening_size``: samples whitened
    together, at least twice ``proj_output_dim``. ``whitening_iters``: random partitions into blocks. ``whitening_eps``:
    share of the identity mixed into each block's covariance. Names and defaults as in solo-learn.
    """

    multicrop = True

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 1024,
        proj_output_dim: int = 64,
        whitening_size: int = 256,
        whitening_iters: int = 1,
        whitening_eps: float = 0.0,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        key, least = "method_kwargs.whitening_size", 2 * proj_output_dim
        divides = whitening_size > 0 and batch_size % whitening_size == 0
        require(divides, key, whitening_size, f"a divisor of the batch, {batch_size}")
        wanted = f"at least twice proj_output_dim, {least}, for a covariance that can be inverted"
        require(whitening_size >= least, key, whitening_size, wanted)
        require(whitening_iters >= 1, "method_kwargs.whitening_iters", whitening_iters, "at least 1")
        require(0 <= whitening_eps <= 1, "method_kwargs.whitening_eps", whitening_eps, "a share from 0 to 1")
        self.projector = BYOLProjectionHead(features_dim, proj_hidden_dim, proj_output_dim)
        self.whitening_size, self.whitening_iters = whitening_size, whitening_iters
        self.whitening_eps = whitening_eps

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Mean over blocks and pairs of crops of 2 - 2 cos of whitened embeddings, Eq. 6."""
        z = [gather(at_least_float32(self.projector(feats))) for feats in views.feats]
        generator, losses = shared_generator(z[0].device), []
        with without_autocast(z[0]):
            for _ in range(self.whitening_iters):
                order = torch.randperm(len(z[0]), generator=generator, device=z[0].device)
                blocks = order.view(-1, self.whitening_size)
                white = [whiten(zi[blocks], eps=self.whitening_eps) for zi in z]
                losses += [2 - 2 * F.cosine_similarity(x, y, dim=2).mean() for x, y in combinations(white, 2)]
        return {"loss": torch.stack(losses).mean()}


def whiten(z: Tensor, *, eps: float = 0.0) -> Tensor:
    """Rows of blocks ``(blocks, n, f)``, centred and multiplied by the inverse of the Cholesky factor of their
    covariance, into which a share ``eps`` of the identity is mixed (Section 3.2).

    Computed in float64, because the condition number of a covariance is squared, and TF32 would keep three digits of
    its products. Raises ``InputError`` for a covariance that cannot be inverted; on a GPU, where this check would make
    the program wait, the result is NaN.
    """
    z, dtype = z.double(), z.dtype
    z = z - z.mean(dim=1, keepdim=True)
    covariance = z.mT @ z / (z.shape[1] - 1)
    if eps:
        covariance = covariance.lerp(torch.eye(z.shape[2], dtype=z.dtype, device=z.device), eps)
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if not z.is_cuda and failed.any():
        raise InputError(
            "wmse: embeddings have collapsed, the covariance of a block cannot be inverted; a lower optimizer.lr, "
            "a smaller method_kwargs.proj_output_dim or whitening_eps above 0 may help"
        )
    white = torch.linalg.solve_triangular(factor, z.mT, upper=False).mT
    return torch.where(failed[:, None, None] > 0, torch.nan, white).to(dtype)
