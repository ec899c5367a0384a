"""BYOL: predict a slowly moving teacher's embedding of the other view (Grill et al., NeurIPS 2020).

Heads and similarity are lightly's; the host keeps the teacher, an EMA copy of backbone and projector.

    L = sum over pairs of views of 2 - 2 cos(q(z), z')

z is an embedding of the student, q its predictor, and z' the teacher's embedding of the other view.
"""

from __future__ import annotations

from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.methods.base import METHODS, Method, Views


@METHODS.register("byol")
class BYOL(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: widths of the projector. ``pred_hidden_dim``: hidden width of the
    predictor. Names and defaults as in solo-learn's CIFAR configuration.
    """

    teacher = "projector"
    multicrop = True
    capturable = True

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 4096,
        proj_output_dim: int = 256,
        pred_hidden_dim: int = 4096,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        self.projector = BYOLProjectionHead(features_dim, proj_hidden_dim, proj_output_dim)
        self.predictor = BYOLPredictionHead(proj_output_dim, pred_hidden_dim, proj_output_dim)
        self.criterion = NegativeCosineSimilarity()

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Sum over ordered pairs (teacher on a large crop, student on another crop) of 2 - 2 cos, Eq. 2."""
        z = [self.projector(feats) for feats in views.feats]
        p = [at_least_float32(self.predictor(zi)) for zi in z]
        terms = [
            2 + 2 * self.criterion(p[j], at_least_float32(target))
            for i, target in enumerate(views.teacher)
            for j in range(len(p))
            if j != i
        ]
        # 1/sqrt(d) when embeddings are spread over the sphere, 0 when they have collapsed to a point
        spread = F.normalize(at_least_float32(z[0].detach()), dim=1).std(dim=0).mean()
        return {"loss": sum(terms), "embedding_std": spread}
