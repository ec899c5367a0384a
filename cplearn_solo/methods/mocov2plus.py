"""MoCo v2+: recognise an image's other view among a queue of a slow teacher's embeddings (He et al., CVPR 2020).

It has the changes of v2 (Chen et al., 2020) and is symmetrised over the two views, as in solo-learn. The projector is
lightly's. Queue and InfoNCE are not, because checkpoints do not hold lightly's memory bank.

    L = -log(exp(q.k / temperature) / (exp(q.k / temperature) + sum_j exp(q.k_j / temperature)))

q is a unit embedding of the student, k the teacher's of the other view, and k_j are those in the queue.
"""

from __future__ import annotations

import torch
from lightly.models.modules.heads import MoCoProjectionHead
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.core.errors import require
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.methods.base import METHODS, Method, Views
from cplearn_solo.methods.queue import Queue


@METHODS.register("mocov2plus")
class MoCoV2Plus(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: widths of the two-layer projector. ``temperature``: of the softmax
    over similarities. ``queue_size``: negatives of each view. Names and defaults as in solo-learn for CIFAR.
    """

    teacher = "projector"

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 2048,
        proj_output_dim: int = 256,
        temperature: float = 0.2,
        queue_size: int = 32768,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        require(temperature > 0, "method_kwargs.temperature", temperature, "above 0")
        self.projector = MoCoProjectionHead(features_dim, proj_hidden_dim, proj_output_dim)
        self.queue = Queue(2, queue_size, proj_output_dim, batch_size=batch_size)
        self.temperature = temperature

    def check_ranks(self, ranks: int) -> None:
        self.queue.check_ranks(ranks)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """InfoNCE of each view's embeddings with the teacher's of the other view, Eq. 1, mean of both directions."""
        q1, q2 = (self.embed(feats) for feats in views.feats)
        k1, k2 = (F.normalize(at_least_float32(t), dim=1) for t in views.teacher)
        old1, old2 = self.queue.rows.clone()  # the queue moves on before the backward pass needs them
        with without_autocast(q1):
            loss = (self._info_nce(q1, k2, old2) + self._info_nce(q2, k1, old1)) / 2
        self.queue.push([k1, k2])
        return {"loss": loss}

    def embed(self, feats: Tensor) -> Tensor:
        """Unit embeddings ``(n, f)``."""
        return F.normalize(at_least_float32(self.projector(feats)), dim=1)

    def _info_nce(self, queries: Tensor, keys: Tensor, negatives: Tensor) -> Tensor:
        positive = (queries * keys).sum(dim=1, keepdim=True)
        scores = torch.cat([positive, queries @ negatives.T], dim=1) / self.temperature
        return F.cross_entropy(scores, scores.new_zeros(len(scores), dtype=torch.int64))
