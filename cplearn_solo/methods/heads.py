"""Heads that several methods share."""

from __future__ import annotations

from lightly.models.modules.heads import ProjectionHead
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from cplearn_solo.core.precision import at_least_float32


class PrototypeHead(nn.Module):
    """Three-layer MLP to unit embeddings ``(n, f)``, then scores ``(n, K)`` against weight-normalised prototypes.

    The head of DINO and Self-Classifier. ``unit``: prototypes keep length 1. lightly's head cannot be copied into a
    teacher, because it uses the old kind of weight normalisation.
    """

    def __init__(
        self,
        features_dim: int,
        hidden: int,
        f: int,
        prototypes: int,
        *,
        activation: type[nn.Module] = nn.GELU,
        batch_norm: bool = False,
        unit: bool = True,
    ) -> None:
        super().__init__()
        norms = [nn.BatchNorm1d(hidden) if batch_norm else None for _ in range(2)]
        widths = [(features_dim, hidden, norms[0], activation()), (hidden, hidden, norms[1], activation())]
        self.mlp = ProjectionHead([*widths, (hidden, f, None, None)])
        for layer in self.mlp.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.prototypes = weight_norm(nn.Linear(f, prototypes, bias=False))
        length = self.prototypes.parametrizations.weight.original0
        nn.init.ones_(length).requires_grad_(not unit)

    def embed(self, feats: Tensor) -> Tensor:
        """Unit embeddings ``(n, f)``."""
        return F.normalize(at_least_float32(self.mlp(feats)), dim=1)

    def forward(self, feats: Tensor) -> Tensor:
        return self.prototypes(self.embed(feats))
