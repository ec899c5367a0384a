"""Keeps text values of the command line as they were typed: Hydra would read 2026_01_05 and 1e5 as numbers."""

from __future__ import annotations

import re
from functools import cache

from cplearn_solo.config.evaluation import ClusteringConfig, KNNConfig, LinearConfig
from cplearn_solo.config.schema import Config
from cplearn_solo.core.schema import text_keys
from cplearn_solo.detection.schema import DetectConfig
from cplearn_solo.tables.schema import GridConfig
from cplearn_solo.tuning.schema import TuneConfig

SCHEMAS = (Config, LinearConfig, KNNConfig, ClusteringConfig, DetectConfig, GridConfig, TuneConfig)
NOT_TEXT = {"precision"}  # an argument of the Trainer in a pretraining, which may be a number
PLACES = {"data.train_path", "data.val_path", "data.train", "data.val"}  # or lists of them


def as_typed(key: str, value: str) -> str:
    """A value in Hydra's grammar, with numbers and booleans in quotes if ``key`` is a text key."""
    if key.lstrip("+") not in _keys() or re.search(r"['\"\\$({]", value):
        return value
    pieces = re.split(r"(\s*[,\[\]]\s*)", value)
    return "".join(f"'{piece}'" if _is_number(piece) else piece for piece in pieces)


@cache
def _keys() -> set[str]:
    return PLACES.union(*map(text_keys, SCHEMAS)) - NOT_TEXT


def _is_number(piece: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    if not re.fullmatch(r"[\w.+-]+", piece):
        return False
    return isinstance(OverridesParser.create().parse_override(f"key={piece}").value(), (int, float))
