"""Objectives as pure functions of tensors."""

from cplearn_solo.losses.coding_rate import (
    VariationalRate,
    coding_rate,
    eigen_atoms,
    partition_rate,
    variational_rate,
    views_rate,
)
from cplearn_solo.losses.cplearn import (
    Assignments,
    CPLearnLoss,
    assignments,
    check_prior,
    cplearn_loss,
    strict_bound,
    strict_bound_of,
)
from cplearn_solo.losses.gedi import GEDILoss, energy, gedi_loss, langevin
from cplearn_solo.losses.language_model import LanguageModelLoss, language_model_loss
from cplearn_solo.losses.matrix_ssl import MatrixSSLLoss, check_matrix_ssl, matrix_ssl_loss
from cplearn_solo.losses.mec import MECLoss, coding_scale, mec_loss
from cplearn_solo.losses.self_classifier import self_classifier_loss

__all__ = [
    "Assignments",
    "CPLearnLoss",
    "GEDILoss",
    "LanguageModelLoss",
    "MECLoss",
    "MatrixSSLLoss",
    "VariationalRate",
    "assignments",
    "check_matrix_ssl",
    "check_prior",
    "coding_rate",
    "coding_scale",
    "cplearn_loss",
    "eigen_atoms",
    "energy",
    "gedi_loss",
    "langevin",
    "language_model_loss",
    "matrix_ssl_loss",
    "mec_loss",
    "partition_rate",
    "self_classifier_loss",
    "strict_bound",
    "strict_bound_of",
    "variational_rate",
    "views_rate",
]
