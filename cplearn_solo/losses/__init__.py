"""Objectives as pure functions of tensors."""

from cplearn_solo.losses.cplearn import CPLearnLoss, check_prior, cplearn_loss, strict_bound
from cplearn_solo.losses.language_model import LanguageModelLoss, language_model_loss
from cplearn_solo.losses.matrix_ssl import MatrixSSLLoss, check_matrix_ssl, matrix_ssl_loss
from cplearn_solo.losses.mec import MECLoss, coding_scale, mec_loss

__all__ = [
    "CPLearnLoss",
    "LanguageModelLoss",
    "MECLoss",
    "MatrixSSLLoss",
    "check_matrix_ssl",
    "check_prior",
    "coding_scale",
    "cplearn_loss",
    "language_model_loss",
    "matrix_ssl_loss",
    "mec_loss",
    "strict_bound",
]
