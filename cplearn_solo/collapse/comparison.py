"""Everything that is computed for a report, before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from cplearn_solo.collapse.entropy import Entropy, mixture_entropy
from cplearn_solo.collapse.measures import MEASURES, Measurement, measure, method_measures
from cplearn_solo.collapse.progress import Steps
from cplearn_solo.collapse.sources import Subject
from cplearn_solo.collapse.tsne import Map, tsne_map
from cplearn_solo.core.errors import InputError
from cplearn_solo.metrics.verdict import Verdict, collapse_verdict

PARTS = ("Z", "H")  # representation and embeddings
LONGEST_NAME = 28  # characters that fit above a panel


@dataclass(frozen=True)
class Row:
    """A row of the table, with a cell for each subject."""

    section: str
    title: str
    note: str
    cells: list[Measurement]


@dataclass(frozen=True)
class Comparison:
    """Subjects, their distinct names and what was computed on them; every list has the order of the subjects.

    ``entropies``: by part, then subject; empty for a subject without that part. ``maps``: a t-SNE map, or the reason
    why there is none.
    """

    subjects: list[Subject]
    names: list[str]
    verdicts: list[Verdict]
    rows: list[Row]
    entropies: dict[str, list[list[Entropy]]]
    maps: list[Map | str]
    seed: int


def count_steps(subjects: list[Subject], components: tuple[int, ...]) -> int:
    """The number of steps of :func:`compare`."""
    fitted = sum(len(_with_part(subjects, part)) for part in PARTS if not mixed_dimensions(subjects, part))
    measures = len(MEASURES) + len(method_measures(subjects))
    return 2 * len(subjects) + measures + fitted * len(components)


def compare(subjects: list[Subject], *, components: tuple[int, ...], seed: int, steps: Steps) -> Comparison:
    """Measures all subjects and reports each step to ``steps``."""
    names = distinct_names(subjects)
    verdicts = []
    for subject, name in zip(subjects, names):
        steps.start(f"verdict on {name}")
        verdicts.append(_verdict(subject))
    rows = []
    for row in [*MEASURES, *method_measures(subjects)]:
        steps.start(row.title)
        reason = mixed_dimensions(subjects, row.same_dimension) if row.same_dimension else ""
        cells = [Measurement(None, reason) if reason else measure(row, subject) for subject in subjects]
        rows.append(Row(row.section, row.title, row.note, cells))
    entropies = {part: _entropies(subjects, names, part, components, seed, steps) for part in PARTS}
    rows += [row for part in PARTS for row in _entropy_rows(subjects, part, entropies[part], components)]
    maps: list[Map | str] = []
    for subject, name in zip(subjects, names):
        steps.start(f"t-SNE of {name}")
        maps.append(_map(subject, seed))
    return Comparison(subjects, names, verdicts, rows, entropies, maps, seed)


def values_of(subject: Subject, part: str) -> Tensor | None:
    """Representation Z, or embeddings H if there are any."""
    return subject.features if part == "Z" else subject.embeddings


def mixed_dimensions(subjects: list[Subject], part: str) -> str:
    """Why differential entropies of a part are not comparable; empty if its dimension is the same everywhere."""
    dimensions = sorted({values.shape[1] for s in subjects if (values := values_of(s, part)) is not None})
    if len(dimensions) < 2:
        return ""
    return f"{part} has {' or '.join(map(str, dimensions))} dimensions: differential entropies of them do not compare"


def distinct_names(subjects: list[Subject]) -> list[str]:
    """For each subject its shortest name that no other has; the same path twice gets numbers."""
    names: list[str] = []
    for subject in subjects:
        others = {name for other in subjects if other.path.resolve() != subject.path.resolve() for name in other.names}
        name = _shortened(next((name for name in subject.names if name not in others), subject.names[-1]))
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
        advice=None if subject.method is None else subject.method.advice,
    )


def _entropies(
    subjects: list[Subject],
    names: list[str],
    part: str,
    components: tuple[int, ...],
    seed: int,
    steps: Steps,
) -> list[list[Entropy]]:
    curves = []
    for subject, name in zip(subjects, names):
        curve, values = [], values_of(subject, part)
        if values is not None and not mixed_dimensions(subjects, part):
            for count in components:
                steps.start(f"entropy of {part}, {name}, {count} components")
                curve.append(mixture_entropy(values, count, seed=seed))
        curves.append(curve)
    return curves


def _entropy_rows(
    subjects: list[Subject], part: str, curves: list[list[Entropy]], components: tuple[int, ...]
) -> list[Row]:
    missing = mixed_dimensions(subjects, part) or "no embeddings: features only"
    rows = []
    for i, count in enumerate(components):
        cells = [
            Measurement(curve[i].nats, curve[i].reason) if curve else Measurement(None, missing) for curve in curves
        ]
        title = f"entropy of {part}, {count} components"
        rows.append(Row(f"Diagonal Gaussian mixtures, {part}", title, "nats, at unit scale", cells))
    return rows


def _map(subject: Subject, seed: int) -> Map | str:
    try:
        return tsne_map(subject.features, subject.labels, seed=seed)
    except InputError as error:
        return str(error)
