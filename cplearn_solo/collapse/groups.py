"""Which subjects share a curve and a column: runs that differ in the seed only, or each subject by itself."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from statistics import mean, stdev
from typing import Any

from cplearn_solo.collapse.measures import Measurement
from cplearn_solo.collapse.names import distinct_names
from cplearn_solo.collapse.subject import Origin, Subject
from cplearn_solo.config.identity import varying
from cplearn_solo.core.errors import InputError

MAX_KEYS = 2  # most keys in the name of a group


@dataclass(frozen=True)
class Group:
    """``members``: indices of its subjects; a subject by itself is a group of one."""

    name: str
    members: tuple[int, ...]


def by_themselves(subjects: list[Subject]) -> tuple[list[Group], list[str]]:
    """A group for each subject, and the names of the subjects."""
    names = distinct_names(subjects)
    return [Group(name, (i,)) for i, name in enumerate(names)], names


def by_configuration(subjects: list[Subject]) -> tuple[list[Group], list[str]]:
    """The groups of :func:`grouped` and the names of the subjects.

    Groups that would have equal names also get the keys in which they differ.
    """
    found = grouped([subject.origin for subject in subjects])
    names, firsts = distinct_names(subjects), [members[0] for members in found]
    groups = [Group(_name(members[0], firsts, subjects, names), tuple(members)) for members in found]
    for group in groups:
        for i in group.members:
            names[i] = group.name if len(group.members) == 1 else f"{group.name}, seed {_seed(subjects[i].origin)}"
    return groups, names


def grouped(origins: list[Origin]) -> list[list[int]]:
    """Indices of the members of each group, in the order of their first subjects.

    Runs that differ in the seed only are a group; any other subject is a group by itself. Raises ``InputError`` if no
    two runs form a group, and if two runs of a group have the same seed or different lengths.
    """
    found: list[list[int]] = []
    for i, origin in enumerate(origins):
        same = next((members for members in found if not _differing(origins[members[0]], origin)), None)
        if same is None:
            found.append([i])
        else:
            same.append(i)
    if len(found) == len(origins):
        raise InputError(_why_no_group(origins))
    for members in found:
        for a, b in combinations([origins[i] for i in members], 2):
            _check_pair(a, b)
    return found


def of_group(cells: list[Measurement]) -> Measurement:
    """Mean and sample standard deviation of the members' numbers, or the reason why one of them has none."""
    missing = [cell for cell in cells if cell.value is None]
    if missing or len(cells) == 1:
        return (missing or cells)[0]
    values, largest = [cell.value for cell in cells], {cell.of for cell in cells}
    return Measurement(mean(values), of=largest.pop() if len(largest) == 1 else None, spread=stdev(values))


def _differing(a: Origin, b: Origin) -> dict[str, Any]:
    """The keys, except the seed, in which two runs differ, with the values of ``a``; a file differs from everything."""
    if a.config is None or b.config is None:
        return {"file": True}
    return varying([a.config, b.config], but=("seed",))[0]


def _seed(of: Origin) -> int:
    return of.config["seed"]


def _check_pair(a: Origin, b: Origin) -> None:
    if _seed(a) == _seed(b):
        raise InputError(f"group = {a.path}, {b.path}: must have different seeds, both have {_seed(a)}")
    if a.epochs != b.epochs:
        lengths = f"{a.epochs} and {b.epochs} epochs"
        raise InputError(f"group = {a.path}, {b.path}: must have trained equally long, not {lengths}")


def _why_no_group(origins: list[Origin]) -> str:
    runs = [origin for origin in origins if origin.config is not None]
    if len(runs) < 2:
        return f"group = {', '.join(str(o.path) for o in origins)}: must hold at least two runs"
    a, b = runs[:2]
    keys = ", ".join(list(_differing(a, b))[:MAX_KEYS])
    return f"group = {a.path}, {b.path}: must differ in the seed alone, as any two runs here must, not in {keys}"


def _name(first: int, firsts: list[int], subjects: list[Subject], names: list[str]) -> str:
    """The name of the group whose first subject is ``first``; ``firsts``: the first subjects of all groups."""
    subject = subjects[first]
    alike = [i for i in firsts if subjects[i].names[0] == subject.names[0]]
    if len(alike) == 1 and subject.config is not None:
        return subject.names[0]
    if any(subjects[i].config is None for i in alike):
        return names[first]
    keys = varying([subjects[i].config for i in alike], but=("seed",))[alike.index(first)]
    if len(keys) > MAX_KEYS:
        return names[first]
    values = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in keys.items())
    return f"{subject.names[0]}, {values}"
