"""What a method takes and asks of its host, read from source text: importing the methods would take seconds."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from cplearn_solo.core.errors import require, unknown
from cplearn_solo.core.signatures import ClassText, literal, module_docstring, read_classes, registered_classes
from cplearn_solo.core.types import check_type
from cplearn_solo.methods.registry import HERE, METHODS

if TYPE_CHECKING:
    from cplearn_solo.methods.base import Method

SMALLEST, LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127  # of the numbers that float32 holds exactly enough


@dataclass(frozen=True)
class MethodFacts:
    """``summary``: first line of the file; ``arguments``: types of the ``method_kwargs`` by name; ``defaults``: their
    defaults; the rest are attributes of :class:`~cplearn_solo.methods.base.Method`."""

    summary: str
    arguments: dict[str, Any]
    defaults: dict[str, Any]
    teacher: str | None
    multicrop: bool
    needs_images: bool


def method_facts(name: str) -> MethodFacts:
    """Facts of the method registered as ``name``; raises ``InputError`` for an unknown one."""
    loaded = METHODS.loaded(name)
    if loaded is None and name in _ours():
        return _ours()[name]
    return _of_class(loaded or METHODS[name])


def check_method_kwargs(name: str, method_kwargs: Mapping[str, Any]) -> None:
    """Raises ``InputError`` for an unknown method or keyword, for a value of the wrong type, and for a number that
    float32 does not hold, which would make a loss infinite."""
    allowed = method_facts(name).arguments
    for key, value in method_kwargs.items():
        if key not in allowed:
            raise unknown(f"key of {name}'s method_kwargs", key, allowed)
        check_type(f"method_kwargs.{key}", value, allowed[key])
        held = not isinstance(value, (int, float)) or value == 0 or SMALLEST <= abs(value) <= LARGEST
        wanted = f"0, or of a size from {SMALLEST:.1g} to {LARGEST:.1g}: losses are worked out in float32"
        require(held, f"method_kwargs.{key}", value, wanted)


def _of_class(cls: type[Method]) -> MethodFacts:
    hints = typing.get_type_hints(cls.__init__)
    parameters = [
        p
        for p in inspect.signature(cls.__init__).parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.name != "batch_size"
    ]
    return MethodFacts(
        summary=(inspect.getdoc(inspect.getmodule(cls)) or "").partition("\n")[0],
        arguments={p.name: hints.get(p.name, Any) for p in parameters},
        defaults={p.name: p.default for p in parameters},
        teacher=cls.teacher,
        multicrop=cls.multicrop,
        needs_images=cls.needs_images,
    )


@cache
def _ours() -> dict[str, MethodFacts]:
    files = sorted(HERE.glob("*.py"))
    classes = {text.name: text for path in files for text in read_classes(path).values()}
    return {
        name: _of_text(text, classes, summary=module_docstring(path).partition("\n")[0])
        for path in files
        for name, text in registered_classes(path, "METHODS").items()
    }


def _of_text(text: ClassText, classes: dict[str, ClassText], *, summary: str) -> MethodFacts:
    def attribute(key: str, default: Any) -> Any:
        """That of the class or of its nearest base in this folder."""
        place: ClassText | None = text
        while place is not None:
            if key in place.attributes:
                return literal(place.attributes[key])
            place = classes.get(place.bases[0]) if place.bases else None
        return default

    known = vars(typing) | {"Any": Any}
    arguments = {key: given for key, given in text.keyword_only.items() if key != "batch_size"}
    return MethodFacts(
        summary=summary,
        arguments={key: eval(given.annotation, known) if given.annotation else Any for key, given in arguments.items()},
        defaults={key: given.default for key, given in arguments.items()},
        teacher=attribute("teacher", None),
        multicrop=attribute("multicrop", False),
        needs_images=attribute("needs_images", False),
    )
