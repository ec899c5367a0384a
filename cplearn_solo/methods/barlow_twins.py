"""Barlow Twins: make the cross-correlation of two views the identity (Zbontar et al., ICML 2021).

Loss and projector are lightly's. Embeddings are gathered from all devices first, because lightly's loss computes its
statistics within one process.

    L = scale_loss (sum_i (1 - C_ii)^2 + lamb sum_{i != j} C_ij^2)

C_ij is the correlation over the batch of dimension i in one view and dimension j in the other.
"""

from __future__ import annotations

from lightly.loss import BarlowTwinsLoss
from lightly.models.modules.heads import BarlowTwinsProjectionHead
from torch import Tensor

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.methods.base import METHODS, Method, Views


@METHODS.register("barlow_twins")
class BarlowTwins(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: widths of the three-layer projector. ``lamb``: weight of the
    off-diagonal terms, 0.005 in the paper. ``scale_loss``: factor of the whole loss. Names and defaults as in
    solo-learn.
    """

    capturable = True

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 2048,
        proj_output_dim: int = 2048,
        lamb: float = 0.0051,
        scale_loss: float = 0.024,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        self.projector = BarlowTwinsProjectionHead(features_dim, proj_hidden_dim, proj_output_dim)
        self.criterion = BarlowTwinsLoss(lambda_param=lamb)
        self.scale_loss = scale_loss

    def loss(self, views: Views) -> dict[str, Tensor]:
        z1, z2 = (gather(at_least_float32(self.projector(feats))) for feats in views.feats)
        with without_autocast(z1):
            return {"loss": self.scale_loss * self.criterion(z1, z2)}
