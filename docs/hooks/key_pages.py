"""The page of all keys: type, default and meaning, from the dataclasses that check configurations."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cplearn_solo.config.evaluation import ClusteringConfig, KNNConfig, LinearConfig
from cplearn_solo.config.schema import Config
from cplearn_solo.tables.schema import GridConfig
from cplearn_solo.tuning.schema import TuneConfig

PROGRAMS = {
    "Pretraining": (Config, "`cplearn pretrain`, `check`, and `cplearn_solo.pretrain`; any argument of Lightning's"
                    " `Trainer` is a key, too. `method_kwargs` are on the pages of the [methods](methods/cplearn.md)."),
    "Linear probe": (LinearConfig, "`cplearn linear`"),
    "Nearest neighbours": (KNNConfig, "`cplearn knn`"),
    "Clustering": (ClusteringConfig, "`cplearn clustering`"),
    "Tables": (GridConfig, "`cplearn table`; all other keys are a pretraining's and hold in every cell."),
    "Search for keys": (TuneConfig, "`cplearn tune`; all other keys are a pretraining's and hold in every trial."),
}  # fmt: skip
TRAINER = "trainer"  # the field of Trainer arguments, which users give as top-level keys
WORDS = {
    int: "whole number",
    float: "number",
    bool: "true, false",
    str: "text",
    list: "list",
    dict: "mapping",
    type(None): "null",
}


def pages() -> dict[str, str]:
    """The page of keys."""
    parts = [
        "# Every key",
        "Written by a program from what checks configurations. `--cfg job` after any of these commands prints every key"
        " with the value that a run of that command would have, those of its method included, and does nothing else."
        " [What keys do](configuration.md).",
    ]
    for title, (schema, about) in PROGRAMS.items():
        parts += [f"## {title}", about, table(schema)]
    return {"keys.md": "\n\n".join(parts) + "\n"}


def table(schema: type) -> str:
    """A row for each key."""
    rows = [f"| `{key}` | {kind} | {default} | {meaning} |" for key, kind, default, meaning in keys(schema)]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])


def keys(schema: type, path: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Key, type, default and meaning of all fields, those of nested schemas included."""
    hints, meanings = get_type_hints(schema), _meanings(schema, otherwise=_about(schema) if path else "")
    for field in fields(schema):
        if path + field.name == TRAINER:
            continue
        hint, key = hints[field.name], f"{path}{field.name}"
        inner = next((kind for kind in (hint, *get_args(hint)) if is_dataclass(kind)), None)
        if inner is None:
            yield key, in_words(hint), _default(field), _cell(meanings[field.name])
        else:
            yield from keys(inner, f"{key}.0." if get_origin(hint) is list else f"{key}.")


def _about(schema: type) -> str:
    """The first paragraph of a docstring; empty if the dataclass generated it."""
    text = inspect.getdoc(schema) or ""
    return "" if text.startswith(f"{schema.__name__}(") else text.split("\n\n")[0]


def _meanings(schema: type, *, otherwise: str) -> dict[str, str]:
    """The comment behind or above each field, or ``otherwise``."""
    found: dict[str, str] = {}
    for cls in reversed([cls for cls in schema.__mro__ if is_dataclass(cls)]):
        source = textwrap.dedent(inspect.getsource(cls))
        lines = source.splitlines()
        for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                behind = re.search(r"  # (.*)$", lines[node.end_lineno - 1])
                above: list[str] = []
                while (line := lines[node.lineno - 2 - len(above)].strip()).startswith("# "):
                    above.insert(0, line[2:])
                found[node.target.id] = behind[1] if behind else " ".join(above) or otherwise
    return found


def in_words(hint: Any) -> str:
    """A type in words: ``float | Literal["auto"]`` as ``number, auto``; empty for ``Any``."""
    if hint is Any:
        return ""
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        return ", ".join(map(in_words, get_args(hint)))
    return WORDS[get_origin(hint) or hint]


def _default(field: Field[Any]) -> str:
    if field.default_factory is not MISSING:
        return f"`{json.dumps(field.default_factory())}`"
    return "" if field.default == "???" else f"`{json.dumps(field.default)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")
