"""Names to objects, and the one kind of error a user should ever see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


class InputError(ValueError):
    """Bad input from a user: one line that names the key, the value and the choices.

    Command-line programs print it without a traceback and exit with code 2; everything else is a bug and
    keeps its traceback.
    """


class UnknownName(InputError, KeyError):
    """A name that is not among the choices."""

    __str__ = ValueError.__str__  # KeyError would show the repr


def unknown(kind: str, name: object, choices: Iterable[str]) -> UnknownName:
    """The error for ``name``, closest choices first: ``unknown method 'cplern': did you mean 'cplearn'? ...``."""
    names = sorted(choices)
    close = get_close_matches(str(name), names, n=5, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    listed = names if len(names) <= 40 else [*close, f"... ({len(names)} in all)"]
    return UnknownName(f"unknown {kind} {name!r}: {hint}choices are {', '.join(listed) or 'none'}")


class Registry(Mapping[str, T]):
    """A read-only mapping that fills through a decorator, refuses duplicates and explains unknown names.

    >>> COLOURS = Registry("colour")
    >>> @COLOURS.register("red")
    ... class Red: ...
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that adds its object under ``name``; raises ``ValueError`` if the name is taken."""

        def add(item: T) -> T:
            if name in self._items:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._items[name] = item
            return item

        return add

    def __getitem__(self, name: str) -> T:
        try:
            return self._items[name]
        except (KeyError, TypeError):
            raise unknown(self.kind, name, self._items) from None

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)
