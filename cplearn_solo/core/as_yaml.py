"""YAML that is read as the values that it was made of.

``OmegaConf.to_yaml`` leaves text such as ``0.1_e5`` without quotes, which OmegaConf then reads as a number, and puts
line breaks such as ``\\x85`` in quotes that make spaces of them.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml
from omegaconf import OmegaConf

_LIKE_A_NUMBER = re.compile(r"[-+.\d][-+.:\d_eE]*")
_TEXT = "tag:yaml.org,2002:str"


class _Dumper(yaml.SafeDumper):
    """Quotes what is like a number, and escapes what cannot be seen."""


def _represented(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "'" if _LIKE_A_NUMBER.fullmatch(text) else None if text.isprintable() else '"'
    return dumper.represent_scalar(_TEXT, text, style=style)


_Dumper.add_representer(str, _represented)


def as_yaml(values: Any) -> str:
    """A configuration, OmegaConf's or plain, as YAML; ``${...}`` stay as they are."""
    plain = OmegaConf.to_container(OmegaConf.create(values))
    return yaml.dump(plain, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False)


def quoted(text: str) -> str:
    """Text in double quotes, on one line."""
    return yaml.dump(text, Dumper=yaml.SafeDumper, default_style='"', allow_unicode=True, width=math.inf).rstrip("\n")
