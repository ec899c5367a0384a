"""Names to objects: a mapping that fills through a decorator, or imports an object when its name is looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TypeVar

from cplearn_solo.core.errors import unknown

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """A read-only mapping that fills through a decorator, refuses duplicates and explains unknown names.

    A second definition of the same module and name, as when a notebook's cell is run again, is no duplicate.

    ``find`` returns functions by name, each of which imports an object and registers or returns it. They are called
    when the name is looked up, so that listing names imports nothing.

    >>> COLOURS = Registry("colour")
    >>> @COLOURS.register("red")
    ... class Red: ...
    >>> COLOURS["red"] is Red
    True
    >>> COLOURS["rde"]
    Traceback (most recent call last):
    ...
    cplearn_solo.core.errors.UnknownName: unknown colour 'rde': did you mean 'red'? choices are red
    """

    def __init__(self, kind: str, *, find: Callable[[], Mapping[str, Callable[[], T | None]]] | None = None) -> None:
        self.kind = kind
        self._find = find
        self._items: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that adds its object under ``name``; raises ``ValueError`` if the name is taken."""

        def add(item: T) -> T:
            if name in self._items and _place(item) != _place(self._items[name]):
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._items[name] = item
            return item

        return add

    def loaded(self, name: str) -> T | None:
        """The object of that name, if it has been registered already."""
        return self._items.get(name)

    def __getitem__(self, name: str) -> T:
        if not isinstance(name, str) or name not in self:
            raise unknown(self.kind, name, self)
        if name not in self._items:
            found = self._importers[name]()
            if found is not None and name not in self._items:  # an import may have registered it by itself
                self._items[name] = found
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        return name in self._items or name in self._importers

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._items, *self._importers}))

    def __len__(self) -> int:
        return len({*self._items, *self._importers})

    @cached_property
    def _importers(self) -> Mapping[str, Callable[[], T | None]]:
        return self._find() if self._find else {}


def _place(item: object) -> object:
    """Module and name of a class's or function's definition; of anything else, the object itself."""
    named = getattr(item, "__module__", None), getattr(item, "__qualname__", None)
    return named if all(named) else (item,)
