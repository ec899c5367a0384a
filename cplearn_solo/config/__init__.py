"""The configuration: its keys, their meaning, and when two configurations are the same run.

Nothing here needs PyTorch or Lightning, so that a mistake is reported at once.
"""

from cplearn_solo.config.checks import check_numbers
from cplearn_solo.config.read import parse_config
from cplearn_solo.config.schema import Config

__all__ = ["Config", "check_numbers", "parse_config"]
