"""Short names of subjects that tell them apart."""

from __future__ import annotations

from cplearn_solo.collapse.subject import Subject

LONGEST_NAME = 28  # characters that fit above a panel


def distinct_names(subjects: list[Subject]) -> list[str]:
    """For each subject, its shortest name that no other subject has; equal paths get numbers."""
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
