"""Arguments and needs of each method, read from source text, because importing the methods would take seconds."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from cplearn_solo.core.errors import InputError, require, require_known
from cplearn_solo.core.signatures import ClassText, module_docstring, read_classes, registered_classes
from cplearn_solo.core.types import check_type
from cplearn_solo.methods.registry import HERE, METHODS

if TYPE_CHECKING:
    from cplearn_solo.methods.base import Method

SMALLEST, LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127  # range of normal float32 numbers


@dataclass(frozen=True)
class MethodFacts:
    """``summary``: first line of the file; ``arguments``: types of the ``method_kwargs`` by name; ``defaults``: values
    of those that have one; the rest are attributes of :class:`~cplearn_solo.methods.base.Method`."""

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
    """Raises ``InputError`` for an unknown method or keyword, for a value of the wrong type, for a number outside the
    range of float32, which would make a loss infinite, and for a keyword without a default that is not given."""
    facts = method_facts(name)
    allowed = facts.arguments
    for key, value in method_kwargs.items():
        require_known(f"key of {name}'s method_kwargs", key, allowed)
        check_type(f"method_kwargs.{key}", value, allowed[key])
        held = not isinstance(value, (int, float)) or value == 0 or SMALLEST <= abs(value) <= LARGEST
        wanted = f"0, or of a size from {SMALLEST:.1g} to {LARGEST:.1g}: losses are worked out in float32"
        require(held, f"method_kwargs.{key}", value, wanted)
    for key in allowed:
        if key not in facts.defaults and key not in method_kwargs:
            raise InputError(f"method_kwargs.{key} is missing: method {name!r} has no default for it")


def _of_class(cls: type[Method]) -> MethodFacts:
    arguments: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for init in _constructors(cls):
        hints = _hints(init)
        for place, p in enumerate(inspect.signature(init).parameters.values()):
            named = p.kind is p.KEYWORD_ONLY or (p.kind is p.POSITIONAL_OR_KEYWORD and place > 1)
            if not named or p.name in ("batch_size", *arguments):
                continue
            arguments[p.name] = hints.get(p.name, Any)
            if p.default is not p.empty:
                defaults[p.name] = p.default
    return MethodFacts(
        summary=(inspect.getdoc(inspect.getmodule(cls)) or "").partition("\n")[0],
        arguments=arguments,
        defaults=defaults,
        teacher=cls.teacher,
        multicrop=cls.multicrop,
        needs_images=cls.needs_images,
    )


def _constructors(cls: type) -> Iterator[Any]:
    """The class's ``__init__``, and those of its bases that get its ``**kwargs``."""
    for base in cls.__mro__:
        if "__init__" in vars(base):
            init = vars(base)["__init__"]
            yield init
            if not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(init).parameters.values()):
                return


def _hints(init: Any) -> dict[str, Any]:
    """Annotations of a function; names that only type checkers import become ``Any``."""
    unseen: dict[str, Any] = {}
    while True:
        try:
            return typing.get_type_hints(init, localns=unseen)
        except NameError as error:
            if error.name in unseen:
                return {}
            unseen[error.name] = Any
        except Exception:  # e.g. for an attribute of such a name
            return {}


@cache
def _ours() -> dict[str, MethodFacts]:
    """Facts of the methods in this folder that can be read from text; the others are imported."""
    files = sorted(HERE.glob("*.py"))
    classes = {text.name: text for path in files for text in read_classes(path).values()}
    facts = {}
    for path in files:
        for name, text in registered_classes(path, "METHODS").items():
            with suppress(ValueError, TypeError, NameError, SyntaxError, AttributeError):
                facts[name] = _of_text(text, classes, summary=module_docstring(path).partition("\n")[0])
    return facts


def _of_text(text: ClassText, classes: dict[str, ClassText], *, summary: str) -> MethodFacts:
    if text.takes_more or text.arguments != ["self", "features_dim", *text.keyword_only]:
        raise ValueError(f"{text.name}: what it takes is not in its own text")

    def attribute(key: str, default: Any) -> Any:
        """The attribute ``key`` of the class or of its nearest base in this folder."""
        place: ClassText | None = text
        while place is not None:
            if key in place.attributes:
                return ast.literal_eval(place.attributes[key])
            place = classes.get(place.bases[0]) if place.bases else None
        return default

    known = vars(typing) | {"Any": Any}
    arguments = {key: given for key, given in text.keyword_only.items() if key != "batch_size"}
    return MethodFacts(
        summary=summary,
        arguments={key: eval(given.annotation, known) if given.annotation else Any for key, given in arguments.items()},
        defaults={key: ast.literal_eval(given.default) for key, given in arguments.items() if given.default},
        teacher=attribute("teacher", None),
        multicrop=attribute("multicrop", False),
        needs_images=attribute("needs_images", False),
    )
