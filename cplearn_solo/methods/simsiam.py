"""SimSiam: predict the other view's embedding, with a stop-gradient and no teacher (Chen & He, CVPR 2021).

Heads and similarity are lightly's.

    L = -(cos(q(z), z') + cos(q(z'), z)) / 2

z and z' are embeddings of two views, q is the predictor; the second argument of each cosine gets no gradient.
"""

from __future__ import annotations

from typing import Any

from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.methods.base import METHODS, Method, Views
from cplearn_solo.methods.remedy import Keywords, Remedy


def _stops(given: Keywords) -> bool | None:
    return None if given["stop_gradient"] else True


NO_STOP = Remedy("stop_gradient", _stops, "without it, one point for all images is the easiest solution, Section 4.1")


@METHODS.register("simsiam")
class SimSiam(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: widths of the projector. ``pred_hidden_dim``: hidden width of the
    predictor, whose learning rate is constant. ``stop_gradient``: false trains the other view's embedding too, which
    collapses (Section 4.1). Names and defaults as in solo-learn's CIFAR configuration.
    """

    capturable = True
    advice = dict.fromkeys(("spread", "stable_rank"), (NO_STOP,))

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 2048,
        proj_output_dim: int = 2048,
        pred_hidden_dim: int = 512,
        stop_gradient: bool = True,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        self.projector = SimSiamProjectionHead(features_dim, proj_hidden_dim, proj_output_dim)
        self.predictor = SimSiamPredictionHead(proj_output_dim, pred_hidden_dim, proj_output_dim)
        self.criterion = NegativeCosineSimilarity()
        self.stop_gradient = stop_gradient

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Negative cosine of prediction and the other view's embedding, mean of both directions, Eq. 4."""
        z1, z2 = (at_least_float32(self.projector(feats)) for feats in views.feats)
        p1, p2 = (at_least_float32(self.predictor(z)) for z in (z1, z2))
        targets = (z2.detach(), z1.detach()) if self.stop_gradient else (z2, z1)
        loss = (self.criterion(p1, targets[0]) + self.criterion(p2, targets[1])) / 2
        # 1/sqrt(d) when embeddings are spread over the sphere, 0 when they have collapsed to a point
        return {"loss": loss, "embedding_std": F.normalize(z1.detach(), dim=1).std(dim=0).mean()}

    def param_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": list(self.projector.parameters())},
            {"params": list(self.predictor.parameters()), "static_lr": True},
        ]
