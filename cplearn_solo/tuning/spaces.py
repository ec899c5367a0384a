"""From a file of search spaces to the domains of one method's keys."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from cplearn_solo.config.list_keys import entries, value_at
from cplearn_solo.core.errors import InputError, require, unknown
from cplearn_solo.core.schema import read_schema
from cplearn_solo.methods.registry import METHODS
from cplearn_solo.tuning.domains import AnyDomain, Choice, Range, Space, typed
from cplearn_solo.tuning.schema import ALL, Domain


def read_space(file: Path, method: str, plain: dict[str, Any], *, fixed: Iterable[str] = ()) -> Space:
    """The space that ``file`` has for ``method``: the keys of ``all``, and its own, which replace equal ones.

    ``plain``: the complete configuration, which has all valid keys and the values that ``times`` multiplies. Keys that
    are ``fixed``, or below a fixed one, do not vary. Raises ``InputError`` naming file, key and choices.
    """
    sections = _read(file)
    given = {**(sections.get(ALL) or {}), **(sections.get(method) or {})}
    try:
        for name in sections:
            if name != ALL and name not in METHODS:
                raise unknown("method", name, [ALL, *METHODS])
        for key in given:
            _require_key(f"key of {method}", key, plain)
        varied = [key for key in given if not any(f"{key}.".startswith(f"{name}.") for name in fixed)]
        space = {key: _domain(key, given[key], value_at(plain, key)) for key in varied}
    except InputError as error:
        raise InputError(f"space = {str(file)!r}: {error}") from error
    require(len(given) > 0, "space", str(file), f"a file with keys of {method} that may vary")
    others = f"a file with keys that may vary besides those that you give, {', '.join(given)}"
    require(len(space) > 0, "space", str(file), others)
    return space


def _read(file: Path) -> dict[str, dict[str, Any]]:
    require(file.is_file(), "space", str(file), "a YAML file of search spaces")
    try:
        sections: Any = OmegaConf.to_container(OmegaConf.load(file))
    except (YAMLError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"space = {str(file)!r}: {' '.join(str(error).split())}") from error
    nested = isinstance(sections, dict) and all(isinstance(s, dict) or s is None for s in sections.values())
    require(nested, "space", str(file), f"a mapping from methods, or {ALL}, to keys and what they may be")
    return sections


def _require_key(what: str, key: str, plain: dict[str, Any]) -> None:
    """Raises ``InputError`` for a key that the configuration lacks, with the keys at the same level."""
    beside: Any = plain
    path = ""
    for part in str(key).split("."):
        below = entries(beside)
        if part not in below:
            raise unknown(what, key, [f"{path}{name}" for name in below] or [path[:-1]])
        beside, path = below[part], f"{path}{part}."


def _domain(key: str, values: Any, present: Any) -> AnyDomain:
    forms = "{choices: [a, b]}, {low: a, high: b} or {times: [a, b]}"
    require(isinstance(values, dict), key, values, forms)
    given = read_schema(values, Domain, key)
    ranges = given.low is not None or given.high is not None
    kinds = [given.choices is not None, given.times is not None, ranges]
    require(sum(kinds) == 1, key, values, forms)
    require(ranges or "log" not in values, key, values, "{low: a, high: b, log: true}; log is of a range alone")
    if given.choices is not None:
        plain = all(isinstance(value, (int, float, str, type(None))) for value in given.choices)
        different = plain and len(set(given.choices)) == len(given.choices) > 1
        require(different, f"{key}.choices", given.choices, "at least two numbers or words, all different")
        return Choice(tuple(given.choices))
    if given.times is not None:
        number = isinstance(present, (int, float)) and not isinstance(present, bool) and present > 0
        require(number, key, present, "above 0 in the configuration, as times multiply it")
        fits = len(given.times) == 2 and 0 < given.times[0] < given.times[1] < math.inf
        require(fits, f"{key}.times", given.times, "[a, b] with 0 < a < b")
        whole = isinstance(present, int)
        low, high = (max(1, round(present * t)) if whole else typed(present * t) for t in given.times)
        require(low < high, f"{key}.times", given.times, f"further apart, as {present} is a whole number")
        return Range(low, high, log=True, whole=whole)
    ends = [given.low, given.high]
    numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in ends)
    fits = numbers and -math.inf < given.low < given.high < math.inf
    require(fits, key, values, "two numbers, low less than high")
    require(not given.log or given.low > 0, f"{key}.low", given.low, "above 0 for a logarithm")
    return Range(given.low, given.high, log=given.log, whole=all(isinstance(end, int) for end in ends))
