"""Alignment and uniformity on the sphere (Wang & Isola, ICML 2020): views close, images spread evenly.

Features ``(n, d)`` become unit embeddings ``(n, f)``; the loss pulls the two views of an image together (Eq. 6) and
pushes different images apart by the logarithm of a Gaussian potential (Eq. 7).
"""

import torch
from lightly.models.modules.heads import SimCLRProjectionHead
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import require
from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.methods import METHODS, Method, Views


@METHODS.register("align_uniform")
class AlignUniform(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: widths of the projector. ``uniform_weight``: weight of the uniformity
    term. ``t``: sharpness of its potential.
    """

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 256,
        proj_output_dim: int = 128,
        uniform_weight: float = 1.0,
        t: float = 2.0,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        require(t > 0, "method_kwargs.t", t, "above 0")
        self.projector = SimCLRProjectionHead(features_dim, proj_hidden_dim, proj_output_dim, batch_norm=False)
        self.uniform_weight, self.t = uniform_weight, t

    def embed(self, feats: Tensor) -> Tensor:
        return F.normalize(at_least_float32(self.projector(feats)), dim=1)

    def loss(self, views: Views) -> dict[str, Tensor]:
        z1, z2 = (gather(self.embed(feats)) for feats in views.feats)  # images of all devices repel each other
        alignment = (z1 - z2).square().sum(dim=1).mean()
        uniformity = (self._potential(z1) + self._potential(z2)) / 2
        return {"loss": alignment + self.uniform_weight * uniformity, "alignment": alignment, "uniformity": uniformity}

    def _potential(self, z: Tensor) -> Tensor:
        return torch.pdist(z).square().mul(-self.t).exp().mean().log()
