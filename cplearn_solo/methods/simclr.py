"""SimCLR: recognise an image's other view among all other images of the batch (Chen et al., ICML 2020).

Loss and projector are lightly's; embeddings are gathered first, so that negatives come from every device.
"""

from __future__ import annotations

from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from torch import Tensor

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.methods.base import METHODS, Method, Views


@METHODS.register("simclr")
class SimCLR(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: widths of the two-layer projector. ``temperature``: of the softmax
    over similarities. Names and defaults as in solo-learn's CIFAR configuration.
    """

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 2048,
        proj_output_dim: int = 256,
        temperature: float = 0.2,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        self.projector = SimCLRProjectionHead(features_dim, proj_hidden_dim, proj_output_dim, batch_norm=False)
        self.criterion = NTXentLoss(temperature)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """NT-Xent, Eq. 1, averaged over the 2n embeddings."""
        z1, z2 = (gather(at_least_float32(self.projector(feats))) for feats in views.feats)
        with without_autocast(z1):
            return {"loss": self.criterion(z1, z2)}
