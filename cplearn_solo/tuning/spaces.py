"""From a file of search spaces to the domains of one method's keys."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from cplearn_solo.core.errors import InputError, require, unknown
from cplearn_solo.core.schema import read_schema
from cplearn_solo.methods.registry import METHODS
from cplearn_solo.tuning.domains import AnyDomain, Choice, Range, Space, typed
from cplearn_solo.tuning.schema import ALL, Domain


def read_space(file: Path, method: str, plain: dict[str, Any], *, fixed: Iterable[str] = ()) -> Space:
    """What ``file`` lets vary for ``method``: the keys of ``all`` and its own, which replace those of the same name.

    ``plain`` is the complete configuration, by which a key is known and whose value ``times`` multiplies. Keys that are
    ``fixed``, or below one that is, do not vary. Raises ``InputError`` naming file, key and choices.
    """
    sections = _read(file)
    for name in sections:
        if name != ALL and name not in METHODS:
            raise unknown(f"space = {str(file)!r}: method", name, [ALL, *METHODS])
    given = {**(sections.get(ALL) or {}), **(sections.get(method) or {})}
    space = {}
    for key, values in given.items():
        where = f"space = {str(file)!r}: {key}"
        _require_key(f"space = {str(file)!r}: key of {method}", key, plain)
        if not any(f"{key}.".startswith(f"{name}.") for name in fixed):
            space[key] = _domain(where, read_schema(values, Domain, where), value_at(plain, key))
    require(len(space) > 0, "space", str(file), f"a file with keys of {method} that may vary, and none is left")
    return space


def value_at(values: Any, key: str) -> Any:
    """The value of a dotted key, in which numbers count the entries of lists."""
    for part in key.split("."):
        values = values[int(part)] if isinstance(values, list) else values[part]
    return values


def _read(file: Path) -> dict[str, dict[str, Any]]:
    require(file.is_file(), "space", str(file), "a YAML file of search spaces")
    try:
        sections: Any = OmegaConf.to_container(OmegaConf.load(file))
    except (YAMLError, OSError) as error:
        raise InputError(f"space = {str(file)!r}: {' '.join(str(error).split())}") from error
    nested = isinstance(sections, dict) and all(isinstance(s, dict) or s is None for s in sections.values())
    require(nested, "space", str(file), f"a mapping from methods, or {ALL}, to keys and what they may be")
    return sections


def _require_key(what: str, key: str, plain: dict[str, Any]) -> None:
    """Raises for a key that the configuration has not, with what there is beside it."""
    try:
        value_at(plain, key)
    except (KeyError, IndexError, ValueError, TypeError):
        parent = key.rpartition(".")[0]
        beside = plain.get(parent)
        names = [f"{parent}.{other}" for other in beside] if isinstance(beside, dict) else plain
        raise unknown(what, key, names) from None


def _domain(where: str, given: Domain, present: Any) -> AnyDomain:
    kinds = [given.choices is not None, given.times is not None, given.low is not None or given.high is not None]
    require(sum(kinds) == 1, where, _said(given), "one of choices, times, or low and high")
    if given.choices is not None:
        plain = all(isinstance(value, (int, float, str, type(None))) for value in given.choices)
        require(plain and len(given.choices) > 1, f"{where}.choices", given.choices, "at least two numbers or words")
        return Choice(tuple(given.choices))
    if given.times is not None:
        number = isinstance(present, (int, float)) and not isinstance(present, bool) and present > 0
        require(number, where, present, "above 0 in the configuration, as times multiply it")
        require(len(given.times) == 2 and 0 < given.times[0] < given.times[1], f"{where}.times", given.times, "[a, b]")
        whole = isinstance(present, int)
        low, high = (max(1, round(present * t)) if whole else typed(present * t) for t in given.times)
        require(low < high, f"{where}.times", given.times, f"further apart, as {present} is a whole number")
        return Range(low, high, log=True, whole=whole)
    ends = [given.low, given.high]
    numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in ends)
    require(numbers and given.low < given.high, where, _said(given), "numbers, low less than high")
    require(not given.log or given.low > 0, f"{where}.low", given.low, "above 0 for a logarithm")
    return Range(given.low, given.high, log=given.log, whole=all(isinstance(end, int) for end in ends))


def _said(given: Domain) -> dict[str, Any]:
    return {key: value for key, value in vars(given).items() if value not in (None, False)}
