"""Objectives as pure functions of tensors."""

from cplearn_solo.losses.cplearn import CPLearnLoss, check_prior, cplearn_loss, strict_bound

__all__ = ["CPLearnLoss", "check_prior", "cplearn_loss", "strict_bound"]
