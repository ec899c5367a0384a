"""GEDI without its generative term: even clusters, the same for two views of an image (Sansone & Manhaeve, 2024).

    L = (-sum_j log mean_i p_ij + beta CE(p', p)) / 2,   p = softmax(z / temperature)

z are the logits of the first view, p' is the assignment of the second.
"""

from __future__ import annotations

from lightly.models.modules.heads import BYOLProjectionHead
from torch import Tensor

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import require
from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.losses import gedi_loss
from cplearn_solo.methods.base import METHODS, Method, Views


@METHODS.register("gedi_nogen")
class GEDINoGen(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: hidden width and c, clusters, of the projector. ``beta``: weight of
    the invariance term. ``temperature``: logits are divided by it.
    """

    capturable = True

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 2048,
        proj_output_dim: int = 2048,
        beta: float = 0.1,
        temperature: float = 0.1,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        require(beta >= 0, "method_kwargs.beta", beta, "at least 0")
        require(temperature > 0, "method_kwargs.temperature", temperature, "above 0")
        self.projector = BYOLProjectionHead(features_dim, proj_hidden_dim, proj_output_dim)
        self.c, self.beta, self.temperature = proj_output_dim, beta, temperature

    @property
    def codes_total(self) -> int:
        return self.c

    def loss(self, views: Views) -> dict[str, Tensor]:
        z1, z2 = (gather(self(feats)) for feats in views.feats)
        return {**gedi_loss(z1, z2, beta=self.beta)._asdict(), "codes": z1.argmax(dim=1)}

    def forward(self, feats: Tensor) -> Tensor:
        """Logits ``(n, c)``."""
        return at_least_float32(self.projector(feats)) / self.temperature
