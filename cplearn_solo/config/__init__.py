"""The configuration: what may be written, what it means, and when two of them are the same run.

Nothing here needs PyTorch or Lightning, so that a mistake is told at once.
"""

from cplearn_solo.config.checks import check_numbers
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.schema import Config

__all__ = ["Config", "check_numbers", "parse_config"]
