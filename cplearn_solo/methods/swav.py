"""SwAV: predict the code of one view from another, with codes balanced over prototypes (Caron et al., NeurIPS 2020).

Unit embeddings Z ``(n, f)`` are scored against K unit prototypes; Sinkhorn-Knopp turns the scores of a large crop into
codes Q ``(n, K)`` with equal mass on every prototype, and every other crop predicts them. Loss, Sinkhorn and projector
are lightly's. The prototypes are a plain layer, because lightly's have a bias and the paper's do not.

    L = -sum_k Q_k log softmax(Z' C / temperature)_k

C are the prototypes, Q is the code of one crop and Z' the embedding of another.
"""

from __future__ import annotations

import math

from lightly.loss import SwaVLoss
from lightly.models.modules.heads import SwaVProjectionHead
from torch import Tensor, nn
from torch.nn import functional as F

from cplearn_solo.core.distributed import gather
from cplearn_solo.core.errors import require
from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.methods.base import METHODS, Method, Progress, Views
from cplearn_solo.methods.queue import Queue

LARGEST_EXPONENT = 88  # of e in float32


@METHODS.register("swav")
class SwAV(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: hidden width and f of the projector. ``num_prototypes``: K.
    ``temperature``: of the predictions. ``sk_epsilon``, ``sk_iters``: Sinkhorn's entropy weight and rounds.
    ``queue_size``: earlier embeddings that are balanced together with the batch, 0 for none, from epoch
    ``epoch_queue_starts`` on. ``freeze_prototypes_epochs``: number of first epochs with fixed prototypes.
    Names and defaults as in solo-learn.
    """

    multicrop = True

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 2048,
        proj_output_dim: int = 128,
        num_prototypes: int = 3000,
        temperature: float = 0.1,
        sk_epsilon: float = 0.05,
        sk_iters: int = 3,
        queue_size: int = 65_536,
        epoch_queue_starts: int = 15,
        freeze_prototypes_epochs: int = 1,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        require(temperature > 0, "method_kwargs.temperature", temperature, "above 0")
        self.projector = SwaVProjectionHead(features_dim, proj_hidden_dim, proj_output_dim)
        self.prototypes = nn.Linear(proj_output_dim, num_prototypes, bias=False)
        self.queue = Queue(2, queue_size, proj_output_dim, batch_size=batch_size) if queue_size else None
        self.batch_size = batch_size
        self.epoch_queue_starts, self.freeze_prototypes_epochs = epoch_queue_starts, freeze_prototypes_epochs
        self.code_temperature = temperature
        self.criterion = SwaVLoss(temperature, sk_iters, sk_epsilon)
        self.check_ranks(1)

    def check_ranks(self, ranks: int) -> None:
        queued = 0
        if self.queue is not None:
            self.queue.check_ranks(ranks)
            queued = self.queue.rows.shape[1]
        # Sinkhorn sums exp(cosine / sk_epsilon) of all pairs
        least = 1 / (LARGEST_EXPONENT - math.log((self.batch_size * ranks + queued) * self.codes_total))
        wanted = f"at least {least:.4f}, for exponentials that float32 can hold"
        epsilon = self.criterion.sinkhorn_epsilon
        require(epsilon >= least, "method_kwargs.sk_epsilon", epsilon, wanted)

    @property
    def codes_total(self) -> int:
        return self.prototypes.out_features

    def before_step(self, progress: Progress) -> None:
        self.prototypes.weight.data.copy_(F.normalize(self.prototypes.weight.data, dim=1))

    def after_backward(self, progress: Progress) -> None:
        if progress.epoch < self.freeze_prototypes_epochs:
            self.prototypes.weight.grad = None

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Mean over large crops of the cross-entropy of their codes with every other crop's prediction, Eq. 2."""
        z = [self.embed(feats) for feats in views.feats]
        scores = [gather(at_least_float32(self.prototypes(zi))) for zi in z]  # codes are balanced over all ranks
        queued = None
        if self.queue is not None:
            size, wanted = self.queue.rows.shape[1], f"0 with {views.n_large} large crops, as the queue needs 2"
            require(views.n_large == len(self.queue.rows), "method_kwargs.queue_size", size, wanted)
            if self.queue.full and views.progress.epoch >= self.epoch_queue_starts:
                queued = [at_least_float32(self.prototypes(rows)) for rows in self.queue.rows]
            self.queue.push(z[: views.n_large])
        loss = self.criterion(scores[: views.n_large], scores[views.n_large :], queued).squeeze()
        return {"loss": loss, "codes": scores[0].argmax(dim=1)}

    def embed(self, feats: Tensor) -> Tensor:
        """Unit embeddings Z ``(n, f)``."""
        return F.normalize(at_least_float32(self.projector(feats)), dim=1)

    def released_codes(self, feats: Tensor, codes: Tensor | None) -> Tensor:
        return self.embed(feats).argmax(dim=1)  # solo-learn's z is the embedding, not the prototypes' scores

    def forward(self, feats: Tensor) -> Tensor:
        """Scores ``(n, K)``."""
        return self.prototypes(self.embed(feats))
