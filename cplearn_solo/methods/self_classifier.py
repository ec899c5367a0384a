"""Self-Classifier: learn labels and classifier together with one softmax (Amrani et al., ECCV 2022).

A three-layer MLP gives unit embeddings ``(n, f)``, scored against c weight-normalised class vectors.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn

from cplearn_solo.core.distributed import gather
from cplearn_solo.losses import self_classifier_loss
from cplearn_solo.methods.base import METHODS, Method, Views
from cplearn_solo.methods.heads import PrototypeHead


@METHODS.register("self_classifier")
class SelfClassifier(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: hidden width and f of the head. ``num_prototypes``: c, classes.
    ``tau_row``, ``tau_col``: temperatures of prediction and target. ``use_bn_in_head``: BatchNorm in the head.
    """

    multicrop = True
    capturable = True

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 4096,
        proj_output_dim: int = 128,
        num_prototypes: int = 1000,
        tau_row: float = 0.1,
        tau_col: float = 0.05,
        use_bn_in_head: bool = False,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        self.projector = PrototypeHead(
            features_dim, proj_hidden_dim, proj_output_dim, num_prototypes,
            activation=nn.LeakyReLU, batch_norm=use_bn_in_head, unit=False,
        )  # fmt: skip
        self.taus = {"tau_row": tau_row, "tau_col": tau_col}

    @property
    def codes_total(self) -> int:
        return self.projector.prototypes.out_features

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Mean over pairs of crops with at least one large crop, each of the whole batch."""
        scores = [gather(self.projector(feats)) for feats in views.feats]
        pairs = [pair for pair in combinations(range(len(scores)), 2) if pair[0] < views.n_large]
        losses = [self_classifier_loss(scores[i], scores[j], **self.taus) for i, j in pairs]
        return {"loss": torch.stack(losses).mean(), "codes": scores[0].argmax(dim=1)}

    def embed(self, feats: Tensor) -> Tensor:
        """Unit embeddings ``(n, f)``."""
        return self.projector.embed(feats)

    def assign(self, feats: Tensor) -> Tensor:
        return self(feats).argmax(dim=1)

    def forward(self, feats: Tensor) -> Tensor:
        """Scores ``(n, c)``."""
        return self.projector(feats)
