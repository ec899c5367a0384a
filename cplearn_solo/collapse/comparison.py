"""Everything that is computed for a report, before anything is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from cplearn_solo.collapse.entropy import Entropy, mixture_entropy
from cplearn_solo.collapse.measures import MEASURES, Cell, measure
from cplearn_solo.collapse.sources import Subject
from cplearn_solo.collapse.tsne import Map, tsne_map
from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.verdict import Verdict, collapse_verdict

PARTS = ("Z", "H")  # representation and embeddings
LONGEST_NAME = 28  # characters that fit above a panel


@dataclass(frozen=True)
class Row:
    """A row of the table, one cell a subject."""

    section: str
    title: str
    note: str
    cells: list[Cell]


@dataclass(frozen=True)
class Comparison:
    """Subjects under names that differ, and what was computed on them; every list is in the order of subjects.

    ``entropies`` by part, empty for a subject without that part; ``maps`` have a reason in place of what has no map.
    """

    subjects: list[Subject]
    names: list[str]
    verdicts: list[Verdict]
    rows: list[Row]
    entropies: dict[str, list[list[Entropy]]]
    maps: list[Map | str]
    seed: int


def count_steps(subjects: list[Subject], components: tuple[int, ...]) -> int:
    """How often :func:`compare` says what it is at."""
    fitted = sum(len(_with_part(subjects, part)) for part in PARTS if not mixed_dimensions(subjects, part))
    return 2 * len(subjects) + len(MEASURES) + fitted * len(components)


def compare(
    subjects: list[Subject], *, components: tuple[int, ...], seed: int, at: Callable[[str], None]
) -> Comparison:
    """Measures all subjects; ``at`` is told before each step what it is."""
    names = distinct_names(subjects)
    verdicts = []
    for subject, name in zip(subjects, names):
        at(f"verdict on {name}")
        verdicts.append(_verdict(subject))
    rows = []
    for row in MEASURES:
        at(row.title)
        reason = row.same_dimension and mixed_dimensions(subjects, row.same_dimension)
        cells = [Cell(None, reason) if reason else measure(row, subject) for subject in subjects]
        rows.append(Row(row.section, row.title, row.note, cells))
    entropies = {part: _entropies(subjects, names, part, components, seed, at) for part in PARTS}
    rows += [row for part in PARTS for row in _entropy_rows(subjects, part, entropies[part], components)]
    maps: list[Map | str] = []
    for subject, name in zip(subjects, names):
        at(f"t-SNE of {name}")
        maps.append(_map(subject, seed))
    return Comparison(subjects, names, verdicts, rows, entropies, maps, seed)


def values_of(subject: Subject, part: str) -> Tensor | None:
    """Representation Z or embeddings H, if it has any."""
    return subject.features if part == "Z" else subject.embeddings


def mixed_dimensions(subjects: list[Subject], part: str) -> str:
    """Why the differential entropies of a part do not compare, or nothing where it has one dimension everywhere."""
    dimensions = sorted({values.shape[1] for s in subjects if (values := values_of(s, part)) is not None})
    if len(dimensions) < 2:
        return ""
    return f"{part} has {' or '.join(map(str, dimensions))} dimensions: differential entropies of them do not compare"


def distinct_names(subjects: list[Subject]) -> list[str]:
    """The shortest name of each subject that no other has; the same path twice is numbered."""
    names: list[str] = []
    for subject in subjects:
        others = [other.names for other in subjects if other.path.resolve() != subject.path.resolve()]
        unique = (name for name in subject.names if not any(name in theirs for theirs in others))
        name = _shortened(next(unique, subject.names[-1]))
        same = sum(name == _unnumbered(taken) for taken in names)
        names.append(f"{name} ({same + 1})" if same else name)
    return names


def _unnumbered(name: str) -> str:
    return name.rpartition(" (")[0] if name.endswith(")") else name


def _shortened(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    half = (LONGEST_NAME - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _with_part(subjects: list[Subject], part: str) -> list[Subject]:
    return [subject for subject in subjects if values_of(subject, part) is not None]


def _verdict(subject: Subject) -> Verdict:
    return collapse_verdict(
        subject.features,
        subject.embeddings,
        subject.codes,
        codes_total=subject.codes_total,
        entropies=subject.entropies,
    )


def _entropies(
    subjects: list[Subject],
    names: list[str],
    part: str,
    components: tuple[int, ...],
    seed: int,
    at: Callable[[str], None],
) -> list[list[Entropy]]:
    curves = []
    for subject, name in zip(subjects, names):
        curve, values = [], values_of(subject, part)
        if values is not None and not mixed_dimensions(subjects, part):
            for count in components:
                at(f"entropy of {part}, {name}, {count} components")
                curve.append(mixture_entropy(values, count, seed=seed))
        curves.append(curve)
    return curves


def _entropy_rows(
    subjects: list[Subject], part: str, curves: list[list[Entropy]], components: tuple[int, ...]
) -> list[Row]:
    mixed = mixed_dimensions(subjects, part)
    rows = []
    for i, count in enumerate(components):
        cells = [
            Cell(curve[i].nats, curve[i].reason) if curve else Cell(None, mixed or "no embeddings: features only")
            for curve in curves
        ]
        title = f"entropy of {part}, {count} components"
        rows.append(Row(f"Diagonal Gaussian mixtures, {part}", title, "nats, at unit scale", cells))
    return rows


def _map(subject: Subject, seed: int) -> Map | str:
    try:
        return tsne_map(subject.features, subject.labels, seed=seed)
    except InputError as error:
        return str(error)
