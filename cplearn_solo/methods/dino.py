"""DINO: match a teacher's centred and sharpened distribution over prototypes (Caron et al., ICCV 2021).

The loss with its centre is lightly's; the host keeps the teacher, an EMA copy of backbone and head.

    L = -sum_k P'_k log P_k
    P = softmax(s / student_temperature),   P' = softmax((s' - centre) / teacher_temperature)

s and s' are the scores of student and teacher for two crops, centre is a moving average of s'.
"""

from __future__ import annotations

from lightly.loss import DINOLoss
from torch import Tensor

from cplearn_solo.core.errors import require
from cplearn_solo.core.precision import at_least_float32, without_autocast
from cplearn_solo.methods.base import METHODS, Method, Progress, Views
from cplearn_solo.methods.heads import PrototypeHead


@METHODS.register("dino")
class DINO(Method):
    """``proj_hidden_dim``, ``proj_output_dim``: hidden width and f of the head. ``num_prototypes``: K.
    ``student_temperature``, ``teacher_temperature``: of the softmaxes; the teacher's rises linearly from
    ``warmup_teacher_temperature`` over ``warmup_teacher_temperature_epochs``. ``use_bn_in_head``: BatchNorm in the
    head. ``norm_last_layer``: unit prototypes. ``freeze_last_layer``: number of first epochs with fixed prototypes.
    Names and defaults as in solo-learn.
    """

    teacher = "projector"
    multicrop = True

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 2048,
        proj_output_dim: int = 256,
        num_prototypes: int = 4096,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.07,
        warmup_teacher_temperature: float = 0.04,
        warmup_teacher_temperature_epochs: int = 0,
        use_bn_in_head: bool = False,
        norm_last_layer: bool = True,
        freeze_last_layer: int = 1,
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        temperatures = {
            "student_temperature": student_temperature,
            "teacher_temperature": teacher_temperature,
            "warmup_teacher_temperature": warmup_teacher_temperature,
        }
        for key, value in temperatures.items():
            require(value > 0, f"method_kwargs.{key}", value, "above 0")
        self.projector = PrototypeHead(
            features_dim, proj_hidden_dim, proj_output_dim, num_prototypes,
            batch_norm=use_bn_in_head, unit=norm_last_layer,
        )  # fmt: skip
        self.criterion = DINOLoss(num_prototypes, student_temp=student_temperature)
        self.code_temperature = student_temperature
        self.temperatures = (warmup_teacher_temperature, teacher_temperature)
        self.warmup_epochs, self.freeze_last_layer = warmup_teacher_temperature_epochs, freeze_last_layer

    @property
    def codes_total(self) -> int:
        return self.projector.prototypes.out_features

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Mean over pairs (teacher on a large crop, student on another crop) of the cross-entropy, Eq. 3."""
        student = [at_least_float32(self.projector(feats)) for feats in views.feats]
        teacher = [at_least_float32(scores) for scores in views.teacher]
        with without_autocast(student[0]):
            loss = self.criterion(teacher, student, self._teacher_temperature(views.progress.epoch))
        return {"loss": loss, "codes": views.teacher[0].argmax(dim=1)}

    def after_backward(self, progress: Progress) -> None:
        if progress.epoch < self.freeze_last_layer:
            for parameter in self.projector.prototypes.parameters():
                parameter.grad = None

    def embed(self, feats: Tensor) -> Tensor:
        """Unit embeddings ``(n, f)``."""
        return self.projector.embed(feats)

    def forward(self, feats: Tensor) -> Tensor:
        """Scores ``(n, K)``."""
        return self.projector(feats)

    def _teacher_temperature(self, epoch: int) -> float:
        low, high = self.temperatures
        if epoch >= self.warmup_epochs:
            return high
        return low + (high - low) * epoch / max(1, self.warmup_epochs - 1)
