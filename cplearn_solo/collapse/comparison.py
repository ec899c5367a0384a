"""Everything that is computed for a report, before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cplearn_solo.collapse.entropy import Entropy, mixture_entropy
from cplearn_solo.collapse.groups import Group, of_group
from cplearn_solo.collapse.measures import Measurement, measure
from cplearn_solo.collapse.progress import Steps
from cplearn_solo.collapse.protocols import Protocol, mixed_dimensions
from cplearn_solo.collapse.rows import MEASURES, method_measures
from cplearn_solo.collapse.subject import PARTS, Subject
from cplearn_solo.collapse.tsne import Map, map_of
from cplearn_solo.config import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.engine.advice import advised
from cplearn_solo.engine.runs import read_derived
from cplearn_solo.engine.watch import told_more
from cplearn_solo.metrics.verdict import Verdict, collapse_measures, collapse_verdict, verdict_of


@dataclass(frozen=True)
class Row:
    """A row of the table, with a cell for each group."""

    section: str
    title: str
    note: str
    cells: list[Measurement]
    follows: tuple[str, ...] | None = ("dimensions",)


@dataclass(frozen=True)
class Comparison:
    """Subjects, their distinct names and what was computed on them.

    ``verdicts`` and ``entropies`` of each part have the order of the subjects; entropies are empty for a subject
    without that part. The subjects of a group share a curve and a column. The ``examples`` have panels
    of their own; ``maps``: their t-SNE maps, or the reason why there is none.
    """

    subjects: list[Subject]
    names: list[str]
    groups: list[Group]
    verdicts: list[Verdict]
    rows: list[Row]
    entropies: dict[str, list[list[Entropy]]]
    maps: list[Map | str]
    protocol: Protocol
    seed: int

    @property
    def group_names(self) -> list[str]:
        """The name of each group."""
        return [group.name for group in self.groups]

    @property
    def members(self) -> list[list[Subject]]:
        """The subjects of each group."""
        return [[self.subjects[i] for i in group.members] for group in self.groups]

    @property
    def examples(self) -> list[tuple[Subject, str]]:
        """The first subject of each group, with its name."""
        return [(self.subjects[group.members[0]], self.names[group.members[0]]) for group in self.groups]


def count_steps(subjects: list[Subject], groups: list[Group], components: tuple[int, ...], protocol: Protocol) -> int:
    """The number of steps of :func:`compare`."""
    fitted = sum(len(_fitted(subjects, part, protocol)) for part in PARTS)
    measures = len(MEASURES) + len(method_measures(subjects))
    return len(subjects) + measures + fitted * len(components) + len(groups)


def compare(
    subjects: list[Subject],
    names: list[str],
    groups: list[Group],
    *,
    components: tuple[int, ...],
    protocol: Protocol,
    seed: int,
    steps: Steps,
) -> Comparison:
    """Measures all subjects and reports each step to ``steps``."""
    verdicts = []
    for subject, name in zip(subjects, names):
        steps.start(f"verdict on {name}")
        verdicts.append(_verdict(subject))
    rows = []
    for row in [*MEASURES, *method_measures(subjects)]:
        steps.start(row.title)
        reason = mixed_dimensions(subjects, row.same_dimension) if row.same_dimension else ""
        cells = [Measurement(None, reason) if reason else measure(row, subject) for subject in subjects]
        rows.append(Row(row.section, row.title, row.note, _by_group(cells, groups), row.follows))
    entropies = {}
    for part in PARTS:
        curves = entropies[part] = _entropies(subjects, names, part, components, protocol, seed, steps)
        rows += _entropy_rows(subjects, part, curves, components, protocol, groups)
    maps: list[Map | str] = []
    for group in groups:
        first = group.members[0]
        steps.start(f"t-SNE of {names[first]}")
        maps.append(_map(subjects[first], seed))
    return Comparison(subjects, names, groups, verdicts, rows, entropies, maps, protocol, seed)


def _by_group(cells: list[Measurement], groups: list[Group]) -> list[Measurement]:
    return [of_group([cells[i] for i in group.members]) for group in groups]


def _fitted(subjects: list[Subject], part: str, protocol: Protocol) -> list[int]:
    """Indices of the subjects whose entropies of a part are shown."""
    if protocol.incomparable(subjects, part):
        return []
    return [i for i, subject in enumerate(subjects) if subject.part(part) is not None]


def _verdict(subject: Subject) -> Verdict:
    """The stored verdict, or one from measures of this report, with advice for the run's own configuration."""
    parts = (subject.features, subject.embeddings, subject.codes)
    sizes = {"codes_total": subject.codes_total, "entropies": subject.entropies}
    if (given := subject.verdict) is not None:
        return given if given.measures else replace(given, measures=collapse_measures(*parts, **sizes))
    if subject.method is None or subject.config is None:
        return collapse_verdict(*parts, **sizes)
    told = [row.get("collapse_told_apart") for row in subject.rows] or [None]
    verdict = verdict_of(collapse_measures(*parts, **sizes), told_more=told_more(told))
    derived = read_derived(subject.run) if subject.run else {}
    return advised(verdict, parse_config(subject.config), subject.method, derived)


def _entropies(
    subjects: list[Subject],
    names: list[str],
    part: str,
    components: tuple[int, ...],
    protocol: Protocol,
    seed: int,
    steps: Steps,
) -> list[list[Entropy]]:
    curves: list[list[Entropy]] = [[] for _ in subjects]
    for i in _fitted(subjects, part, protocol):
        for count in components:
            steps.start(f"entropy of {part}, {names[i]}, {count} components")
            values = protocol.part(subjects[i], part)
            curves[i].append(mixture_entropy(values, count, protocol, seed=seed))
    return curves


def _entropy_rows(
    subjects: list[Subject],
    part: str,
    curves: list[list[Entropy]],
    components: tuple[int, ...],
    protocol: Protocol,
    groups: list[Group],
) -> list[Row]:
    section = f"Diagonal Gaussian mixtures, {part}"
    missing = protocol.incomparable(subjects, part) or "no embeddings: features only"
    rows = []
    for i, count in enumerate(components):
        cells = [
            Measurement(curve[i].nats, curve[i].reason) if curve else Measurement(None, missing) for curve in curves
        ]
        title = f"entropy of {part}, {count} components"
        rows.append(Row(section, title, protocol.note, _by_group(cells, groups)))
    return rows


def _map(subject: Subject, seed: int) -> Map | str:
    try:
        return map_of(subject, seed=seed)
    except InputError as error:
        return str(error)
