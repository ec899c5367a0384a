"""W-MSE: whiten the embeddings of a batch, then pull views together (Ermolov et al., ICML 2021).

Whitening and distance are lightly's. The loop over blocks is not, as lightly's loss draws a permutation for the rows of
one process: here all devices whiten blocks of the whole batch with the same permutation.
"""

from __future__ import annotations

from itertools import combinations

import torch
from lightly.loss.wmse_loss import Whitening2d, norm_mse_loss
from lightly.models.modules.heads import ProjectionHead
from torch import Tensor, nn

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
        self.projector = ProjectionHead(
            [
                (features_dim, proj_hidden_dim, nn.BatchNorm1d(proj_hidden_dim), nn.ReLU()),
                (proj_hidden_dim, proj_output_dim, None, None),
            ]
        )
        self.whitening = Whitening2d(proj_output_dim, track_running_stats=False, eps=whitening_eps)
        self.whitening_size, self.whitening_iters = whitening_size, whitening_iters

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Mean over blocks and pairs of crops of 2 - 2 cos of whitened embeddings, Eq. 6."""
        z = [gather(at_least_float32(self.projector(feats))) for feats in views.feats]
        generator, losses = shared_generator(z[0].device), []
        with without_autocast(z[0]):
            for _ in range(self.whitening_iters):
                order = torch.randperm(len(z[0]), generator=generator, device=z[0].device)
                for block in order.split(self.whitening_size):
                    white = [self._whiten(zi[block]) for zi in z]
                    losses += [norm_mse_loss(x, y) for x, y in combinations(white, 2)]
        return {"loss": torch.stack(losses).mean()}

    def _whiten(self, block: Tensor) -> Tensor:
        try:
            return self.whitening(block)
        except torch.linalg.LinAlgError as error:
            raise InputError(
                "wmse: embeddings have collapsed, the covariance of a block cannot be inverted; a lower optimizer.lr, "
                "a smaller method_kwargs.proj_output_dim or whitening_eps above 0 may help"
            ) from error
