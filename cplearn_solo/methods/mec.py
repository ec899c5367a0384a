"""MEC: maximise the coding length of embeddings, an entropy, while views agree (Liu et al., NeurIPS 2022).

Heads are lightly's; the host keeps the teacher, an EMA copy of backbone and projector.

    L = -1/(lambda m) tr log(I + lambda P Z^T),   lambda = f / (m eps)

P and Z are the m unit embeddings of teacher and student, for two views of the same images.
"""

from __future__ import annotations

import torch
from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead
from torch import Tensor

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import require
from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.losses import coding_scale, mec_loss
from cplearn_solo.methods.base import METHODS, Method, Progress, Views


@METHODS.register("mec")
class MEC(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: widths of the three-layer projector. ``pred_hidden_dim``: hidden width
    of the predictor. ``eps``: squared distortion of the code. ``order``: terms of the logarithm's Taylor series, or
    ``null`` for the exact logarithm. ``warmup_epochs``: epochs in which 1/lambda falls from eight times its final
    value.
    """

    teacher = "projector"
    multicrop = True

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 2048,
        proj_output_dim: int = 2048,
        pred_hidden_dim: int = 512,
        eps: float = 64.0,
        order: int | None = 4,
        warmup_epochs: float = 10.0,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        require(eps > 0, "method_kwargs.eps", eps, "above 0")
        require(order is None or order > 0, "method_kwargs.order", order, "above 0")
        least = proj_output_dim * torch.finfo(torch.float32).max ** (-1 / order) if order else 0.0
        wanted = f"at least {least:.2g}: powers of lambda C up to order {order} would not fit into float32"
        require(eps >= least, "method_kwargs.eps", eps, wanted)
        require(warmup_epochs >= 0, "method_kwargs.warmup_epochs", warmup_epochs, "at least 0")
        self.projector = SimSiamProjectionHead(features_dim, proj_hidden_dim, proj_output_dim)
        self.predictor = SimSiamPredictionHead(proj_output_dim, pred_hidden_dim, proj_output_dim)
        self.eps, self.order, self.warmup_epochs = eps, order, warmup_epochs

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Mean over ordered pairs (teacher on a large crop, student on another crop), each of the whole batch."""
        targets = [gather(at_least_float32(target)) for target in views.teacher]
        z = [gather(at_least_float32(self.predictor(self.projector(feats)))) for feats in views.feats]
        scale = self.scale(*z[0].shape, views.progress)
        pairs = [(i, j) for i in range(len(targets)) for j in range(len(z)) if i != j]
        losses = [mec_loss(targets[i], z[j], scale=scale, order=self.order) for i, j in pairs]
        loss, cosine, norm = (torch.stack(part).mean() for part in zip(*losses))
        return {"loss": loss, "cosine": cosine, "taylor_norm": norm}

    def scale(self, m: int, d: int, progress: Progress) -> float:
        """lambda at this step for m embeddings in d dimensions."""
        warmup_steps = self.warmup_epochs * progress.steps / progress.epochs
        warmed_up = min(1.0, progress.step / warmup_steps) if warmup_steps else 1.0
        return coding_scale(m, d, eps=self.eps, warmed_up=warmed_up)
