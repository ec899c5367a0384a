"""Replacements of DINO's head, teacher and loss."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from cplearn_solo.core.distributed import world_size
from cplearn_solo.core.errors import require
from cplearn_solo.methods import Progress, Views, build_method, method_facts
from cplearn_solo.methods.build import method_keys_named
from cplearn_solo.methods.parts import checked_parts

N_LARGE = 2  # DINO's global crops


class Head(nn.Module):
    """A method in place of DINO's head: maps features of all crops ``(crops n, d)`` to the loss, a scalar.

    DINO calls its head once on all crops, large ones first. The method gets them crop by crop, so that n, the images
    that BatchNorm and priors see, is the batch of one crop. A method of two views is called for every pair with at
    least one large crop, and the loss is the mean. ``progress`` has to be set before each epoch.
    """

    progress: Progress

    def __init__(self, name: str, features_dim: int, *, n: int, method_kwargs: Mapping[str, Any]) -> None:
        super().__init__()
        self.method = build_method(name, features_dim, batch_size=n, method_kwargs=method_kwargs)
        with method_keys_named(name):
            self.method.check_ranks(world_size())
        self.n = n
        own, keywords = {"method": name, "n": n}, {**method_facts(name).defaults, **method_kwargs}
        self.settings = own | {f"method_kwargs.{k}" if k in own else k: value for k, value in keywords.items()}
        self.sums: dict[str, Tensor | float] = defaultdict(float)
        self.steps = 0

    def forward(self, feats: Tensor) -> Tensor:
        self.method.before_step(self.progress)
        crops = list(feats.split(self.n))
        if self.method.multicrop or len(crops) == N_LARGE:
            found = [self._loss(crops, N_LARGE)]
        else:
            pairs = [(i, j) for i, j in combinations(range(len(crops)), 2) if i < N_LARGE]
            found = [self._loss([crops[i], crops[j]], 1 + (j < N_LARGE)) for i, j in pairs]
        means = {key: torch.stack([parts[key] for parts in found]).mean() for key in found[0]}
        for key, value in means.items():
            self.sums[key] += value.detach()
        self.steps += 1
        return means["loss"]

    def parts(self) -> dict[str, float]:
        """Means of the loss's parts since the last call, on this device."""
        means = {key: float(total / self.steps) for key, total in self.sums.items() if key != "loss"}
        self.sums.clear()
        self.steps = 0
        return means

    def get_extra_state(self) -> dict[str, Any]:
        return self.settings

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """``InputError`` for a checkpoint of another method, n or ``method_kwargs``."""
        for key in {**self.settings, **state}:
            was, now = state.get(key), self.settings.get(key)
            require(was == now, key, now, f"{was!r}, as in the checkpoint in --output_dir")

    def _loss(self, crops: list[Tensor], n_large: int) -> dict[str, Tensor]:
        parts = checked_parts(self.settings["method"], self.method.loss(Views(crops, n_large, self.progress)))
        parts.pop("codes", None)
        return parts


class NoTeacher(nn.Module):
    """Replaces DINO's teacher: it computes nothing and has no parameters to average.

    Its state in checkpoints is the student's backbone under the names of DINO's teacher, which DINO's evaluations load.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = (student,)  # in a tuple it is no submodule

    def forward(self, crops: list[Tensor]) -> None:
        return None

    def state_dict(self) -> dict[str, Tensor]:
        return self.student[0].backbone.state_dict(prefix="backbone.")

    def load_state_dict(self, state: Mapping[str, Tensor], strict: bool = True) -> str:
        return "as the student"


class StudentsLoss(nn.Module):
    """Replaces DINO's loss: returns the loss that the student's head computed."""

    def forward(self, student_output: Tensor, teacher_output: None, epoch: int) -> Tensor:
        return student_output
