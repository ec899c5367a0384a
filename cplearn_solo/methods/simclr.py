"""SimCLR: recognise an image's other view among all other images of the batch (Chen et al., ICML 2020).

The projector is lightly's. The loss is not, because lightly's removes similarities by a mask, which makes a program
wait for the GPU. Embeddings are gathered first, so that negatives come from every device.

    L = -log(exp(s_ij / temperature) / sum_{k != i} exp(s_ik / temperature))

s_ij is the cosine of an embedding i and its other view j; k runs over all other embeddings of the batch.
"""

from __future__ import annotations

import torch
from lightly.models.modules.heads import SimCLRProjectionHead
from torch import Tensor
from torch.nn import functional as F

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import require
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
        require(temperature > 0, "method_kwargs.temperature", temperature, "above 0")
        self.projector = SimCLRProjectionHead(features_dim, proj_hidden_dim, proj_output_dim, batch_norm=False)
        self.temperature = temperature

    def loss(self, views: Views) -> dict[str, Tensor]:
        """NT-Xent, Eq. 1, averaged over the 2n embeddings."""
        z1, z2 = (gather(at_least_float32(self.projector(feats))) for feats in views.feats)
        with without_autocast(z1):
            return {"loss": nt_xent(z1, z2, temperature=self.temperature)}


def nt_xent(z1: Tensor, z2: Tensor, *, temperature: float) -> Tensor:
    """Cross-entropy of picking an image's other view among all other embeddings by cosine / ``temperature``: the mean
    over the 2n embeddings of two views ``(n, f)``, a scalar in nats (Eq. 1)."""
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    scores = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    n, i = len(z1), torch.arange(len(z1), device=z.device)
    return F.cross_entropy(scores, torch.cat([i + n, i]))
