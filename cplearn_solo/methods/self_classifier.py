"""Self-Classifier: learn labels and classifier together with one softmax (Amrani et al., ECCV 2022).

A three-layer MLP gives unit embeddings ``(n, f)``, scored against c weight-normalised class vectors. CPLearn's paper
compares with the same loss on CPLearn's projector, whose class vectors are frozen codes.

    L = -sum_j y_ij log p'_ij

y are targets of one view, softmax(z / tau_col) over the batch with rows scaled to sum 1; p' are predictions of the
other, softmax(z' / tau_row) over classes with columns scaled to sum n / c.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import require
from cplearn_solo.losses import self_classifier_loss
from cplearn_solo.methods.base import METHODS, Method, Views
from cplearn_solo.methods.cplearn import CPLearn
from cplearn_solo.methods.heads import PrototypeHead
from cplearn_solo.methods.remedy import Keywords, Remedy

if TYPE_CHECKING:
    from cplearn_solo.objective.packed import PackedDictionary


def _own(given: Keywords) -> str | None:
    return "own" if given["projector"] == "cplearn" else None


OWN_HEAD = Remedy("projector", _own, "on digits it loses codes if they are frozen, but not with its authors' head")


@METHODS.register("self_classifier")
class SelfClassifier(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: hidden width and f of the head. ``num_prototypes``: c, classes.
    ``tau_row``, ``tau_col``: temperatures of prediction and target. ``use_bn_in_head``: BatchNorm in the head.
    ``projector``: ``own``, the authors' head, or ``cplearn``: a linear layer to f = ``proj_hidden_dim``, BatchNorm,
    tanh and c frozen codes, at CPLearn's temperature and released scale; its logits replace the scores.
    """

    multicrop = True
    advice = {"code_use": (OWN_HEAD,)}

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
        projector: Literal["own", "cplearn"] = "own",
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        for key, value in (("tau_row", tau_row), ("tau_col", tau_col)):
            require(value > 0, f"method_kwargs.{key}", value, "above 0")
        if projector == "own":
            self.projector: PrototypeHead | CPLearn = PrototypeHead(
                features_dim, proj_hidden_dim, proj_output_dim, num_prototypes,
                activation=nn.LeakyReLU, batch_norm=use_bn_in_head, unit=False,
            )  # fmt: skip
        else:
            self.projector = CPLearn(
                features_dim, batch_size=batch_size, proj_hidden_dim=proj_hidden_dim, proj_output_dim=num_prototypes,
                activation="tanh", scale="released",
            )  # fmt: skip
        self.capturable = projector == "own"  # CPLearn's temperature is read from a buffer
        self.code_temperature = tau_row
        self.c, self.taus = num_prototypes, {"tau_row": tau_row, "tau_col": tau_col}

    @property
    def codes_total(self) -> int:
        return self.c

    @property
    def dictionary(self) -> PackedDictionary | None:
        return self.projector.dictionary if isinstance(self.projector, CPLearn) else None

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Mean over pairs of crops with at least one large crop, each of the whole batch."""
        scores = [gather(self.projector(feats)) for feats in views.feats]
        pairs = [pair for pair in combinations(range(len(scores)), 2) if pair[0] < views.n_large]
        losses = [self_classifier_loss(scores[i], scores[j], **self.taus) for i, j in pairs]
        return {"loss": torch.stack(losses).mean(), "codes": scores[0].argmax(dim=1)}

    def embed(self, feats: Tensor) -> Tensor:
        """Embeddings ``(n, f)``: of length 1, or CPLearn's."""
        return self.projector.embed(feats)

    def forward(self, feats: Tensor) -> Tensor:
        """Scores or logits ``(n, c)``."""
        return self.projector(feats)
