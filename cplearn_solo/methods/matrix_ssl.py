"""Matrix-SSL: uniformity of the views' cross-covariance, alignment of their covariances (Zhang et al., ICML 2024).

Heads are lightly's; the host keeps the teacher, an EMA copy of backbone and projector.

    L = -lamb tr log(C_pz + mu I) - gamma tr((C_pp + mu I) log(C_zz + mu I))

C_ab is the covariance of teacher's and student's unit embeddings, p of one view and z of the other. With ``mkl`` the
second term also has gamma tr((C_pp + mu I) log(C_pp + mu I)), without a gradient.
"""

from __future__ import annotations

from typing import Literal

import torch
from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead
from torch import Tensor

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.losses import check_matrix_ssl, matrix_ssl_loss
from cplearn_solo.methods.base import METHODS, Method, Views


@METHODS.register("matrix_ssl")
class MatrixSSL(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: widths of the three-layer projector. ``pred_hidden_dim``: hidden width
    of the predictor. ``divergence``: ``mce``, or ``mkl`` for Matrix-SSL-KL. ``lamb``, ``mu``, ``gamma``, ``order``,
    ``trace_term``: see :func:`matrix_ssl_loss`; defaults as in the released code.
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
        lamb: float = 0.5,
        mu: float = 0.5,
        gamma: float = 1.0,
        order: int | None = 4,
        divergence: Literal["mce", "mkl"] = "mce",
        trace_term: bool = False,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        check_matrix_ssl(mu=mu, order=order, divergence=divergence)
        self.projector = SimSiamProjectionHead(features_dim, proj_hidden_dim, proj_output_dim)
        self.predictor = SimSiamPredictionHead(proj_output_dim, pred_hidden_dim, proj_output_dim)
        self.weights = {"lamb": lamb, "mu": mu, "gamma": gamma}
        self.capturable = order is not None  # an eigendecomposition waits for the GPU
        self.form = {"order": order, "divergence": divergence, "trace_term": trace_term}

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Mean over ordered pairs (teacher on a large crop, student on another crop), each of the whole batch."""
        targets = [gather(at_least_float32(target)) for target in views.teacher]
        z = [gather(at_least_float32(self.predictor(self.projector(feats)))) for feats in views.feats]
        pairs = [(i, j) for i in range(len(targets)) for j in range(len(z)) if i != j]
        losses = [matrix_ssl_loss(targets[i], z[j], **self.weights, **self.form) for i, j in pairs]
        parts = ("loss", "uniformity", "alignment", "taylor_norm")
        return {name: torch.stack(part).mean() for name, part in zip(parts, zip(*losses))}
