"""Accuracies that are shown while a run trains: a linear classifier and nearest neighbours on detached features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cplearn_solo.config.schema import KNNEvalConfig
from cplearn_solo.core.distributed import sum_ranks
from cplearn_solo.core.precision import without_autocast
from cplearn_solo.engine.running_scale import RunningScale
from cplearn_solo.metrics import knn_accuracy


class OnlineProbe:
    """Trains ``classifier`` on features without touching the network below; images with label -1 do not count.

    ``scale`` standardises features first, so that learning does not depend on their scale, which may grow a
    thousandfold in training. ``classifier`` and ``scale`` belong to the module that trains, because they are part of
    the checkpoint. The classifier ``learns`` unless training images have no labels.
    """

    def __init__(
        self, classifier: nn.Linear, scale: RunningScale, knn: KNNEvalConfig, *, num_classes: int, learns: bool = True
    ) -> None:
        self.classifier, self.scale, self.knn = classifier, scale, knn
        self.num_classes, self.learns = num_classes, learns
        self._bank: list[tuple[Tensor, Tensor]] = []  # features and labels of the epoch's training images ...
        self.asked: list[tuple[Tensor, Tensor]] = []  # ... and of the held-out ones
        self._counts = torch.zeros(2, dtype=torch.long)  # hits and labels among the held-out images

    def start_training(self) -> None:
        """Forgets the features of the epoch before."""
        self._bank.clear()

    def train(self, feats: list[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Mean cross-entropy ``probe_loss`` over large crops, each ``(n, d)``; sums ``probe_sum`` of the cross-entropy,
        ``hits`` and ``labelled``.

        ``features_std`` is the root of the mean variance of features.
        """
        all_feats = torch.cat(feats).detach().float()
        features_std = self.scale.update(all_feats)
        logits = self._logits(all_feats)
        all_labels = labels.repeat(len(feats))
        known = all_labels >= 0
        labelled = known.sum()
        total = F.cross_entropy(logits, all_labels, ignore_index=-1, reduction="sum")
        hits = ((logits.argmax(dim=1) == all_labels) & known).sum()
        sums = {"probe_sum": total, "hits": hits, "labelled": labelled}
        return {"probe_loss": total / labelled.clamp(min=1), **sums, "features_std": features_std}

    def remember(self, feats: Tensor, labels: Tensor) -> None:
        """Keeps features ``(n, d)``, without gradient, as neighbours of held-out images."""
        if self.knn.enabled:
            self._bank.append((feats.float(), labels))

    def start_validation(self, device: torch.device) -> None:
        """Forgets the held-out images of the validation before."""
        self.asked.clear()
        self._counts = torch.zeros(2, dtype=torch.long, device=device)

    def validate(self, feats: Tensor, labels: Tensor) -> None:
        """Classifies features ``(n, d)`` of held-out images."""
        known = labels >= 0
        hits = (self._logits(feats).argmax(dim=1) == labels) & known
        self._counts += torch.stack([hits.sum(), known.sum()])
        if self.knn.enabled:
            self.asked.append((feats.float(), labels))

    def accuracies(self) -> dict[str, float]:
        """``acc1`` and ``knn_acc1`` of the held-out images of all processes, as far as they were measured."""
        hits, labelled = sum_ranks(self._counts.float()).tolist()
        scores = {"acc1": hits / labelled} if labelled and self.learns else {}
        if self.knn.enabled:
            hits, asked = sum_ranks(self._among_neighbours()).tolist()
            scores |= {"knn_acc1": hits / asked} if asked else {}
        return scores

    def _logits(self, feats: Tensor) -> Tensor:
        """Logits in float32, even if the networks compute in half precision."""
        with without_autocast(feats):
            return self.classifier(self.scale(feats.float()))

    def _among_neighbours(self) -> Tensor:
        """Hits and labels ``(2,)`` of kNN on held-out images of this process, with neighbours of this process, too.

        If training images have no labels, half of the held-out images are the neighbours of the others. Both numbers
        are 0 if too few images have labels.
        """
        nothing = self._counts.new_zeros(2).float()
        if not (self._bank and self.asked):
            return nothing
        train_x, train_y = (torch.cat(part) for part in zip(*self._bank))
        test_x, test_y = (torch.cat(part) for part in zip(*self.asked))
        known, asked = train_y >= 0, test_y >= 0
        train_x, train_y, test_x, test_y = train_x[known], train_y[known], test_x[asked], test_y[asked]
        if not len(train_y):
            train_x, train_y, test_x, test_y = test_x[::2], test_y[::2], test_x[1::2], test_y[1::2]
        if not len(test_y):
            return nothing
        accuracy = knn_accuracy(train_x, train_y, test_x, test_y, k=self.knn.k, num_classes=self.num_classes)
        return nothing.new_tensor([accuracy * len(test_y), len(test_y)])
