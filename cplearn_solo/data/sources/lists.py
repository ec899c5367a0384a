"""Tables of image files and their labels."""

from __future__ import annotations

import csv
import os
import stat
from pathlib import Path

import numpy as np

from cplearn_solo.core.errors import InputError, require, some
from cplearn_solo.data.decoding import is_image_name
from cplearn_solo.data.index import Files, Names
from cplearn_solo.data.notes import say_once
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources.labels import Labels, from_words, require_from_zero, unlabelled
from cplearn_solo.data.sources.no_labels import require_labels
from cplearn_solo.data.sources.parts import part_of, train_and_other

LISTS = (".csv", ".tsv")


def read_list(path: Path, cfg: DataConfig, key: str, *, labelled: bool) -> tuple[Files, Labels]:
    """The files that a table names, by paths from its own folder, and the labels in another column.

    Columns are those that ``data.image_column`` and ``data.label_column`` name. Otherwise paths are in the first column
    that holds names of images, and labels in the only other one, not counting those that hold nothing but names of
    the parts of a data set. The first row may name the columns. Raises ``InputError`` for files that are not there,
    and for numbers below 0 as labels.
    """
    rows = _rows(path, key)
    image, label, header = _columns(path, rows, cfg, labelled)
    del rows[:header]
    names = [row[image] for row in rows]
    require(len(names) > 0, key, str(path), "a list with a row for each image")
    root = str(path.parent)
    sizes = np.fromiter((_size(os.path.join(root, name)) for name in names), np.int64, len(names))
    absent = np.flatnonzero(sizes < 0)
    if len(absent):
        first = names[absent[0]] or "an empty cell"
        wanted = f"a list of files that exist, and {len(absent)} of {len(names)} do not, such as {first}"
        require(False, key, str(path), wanted)
    words = [row[label] for row in rows] if labelled else []
    require_from_zero(words, key, path)
    labels = from_words(words) if labelled else unlabelled(len(names))
    return Files(root, Names.of(map(os.fsencode, names)), sizes), labels


def _rows(path: Path, key: str) -> list[list[str]]:
    """The cells of each row, without the spaces around them; rows with nothing in them are left out."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            tabs = path.suffix.lower() == ".tsv" and "\t" in first  # then names may contain commas
            delimiter = "\t" if tabs else max(",;\t", key=first.count)
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)  # also before quotes
            rows = [cells for row in reader if any(cells := [cell.strip() for cell in row])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{key} = {str(path)!r}: unreadable list: {error}") from error
    width = len(rows[0]) if rows else 0
    odd = next((number for number, row in enumerate(rows, 1) if len(row) != width), None)
    require(odd is None, key, str(path), f"a list with {width} cells in every row, and row {odd} has another number")
    return rows


def _columns(path: Path, rows: list[list[str]], cfg: DataConfig, labelled: bool) -> tuple[int, int, int]:
    """The columns of paths and of labels, and how many rows are names of columns."""
    first, second = rows[0] if rows else [], rows[1] if len(rows) > 1 else []
    header = int(not any(map(is_image_name, first)))
    names = first if header else []
    held = [i for i, cell in enumerate(second if header else first) if is_image_name(cell)]
    image = names.index(cfg.image_column) if cfg.image_column in names else held[0] if held else None
    wanted = f"a column of {path}, which has none of paths of images: {some(first)}"
    require(image is not None, "data.image_column", cfg.image_column, wanted)
    named = names.index(cfg.label_column) if cfg.label_column in names else None
    others = [i for i in range(len(first)) if i not in (image, named)]
    parts = {i: found for i in others if (found := _parts({row[i] for row in rows[header:]}))}
    for i, (train, other) in parts.items():
        column = names[i] if header else i + 1
        told = f"all rows of {path} are read as one part, whatever column {column} says"
        say_once(f"{told}: {train} and {other} need a list each")
    if not labelled:
        return image, -1, header
    likely = [i for i in others if i not in parts]
    label = likely[0] if named is None and len(likely) == 1 else named
    columns = some(names) or f"{len(first)} columns without names"
    wanted = f"a column of {path}, or set data.no_labels=true: it has {columns}"
    require_labels(label is not None, "data.label_column", cfg.label_column, wanted, likely=len(likely) > 0)
    return image, label, header


def _parts(words: set[str]) -> tuple[str, str] | None:
    """Two of these words, if they are nothing but names of the parts of a data set, and the training part is one."""
    return train_and_other(words) if all(part_of(word, whole=True) for word in words) else None


def _size(path: str) -> int:
    """Bytes of a file, -1 where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1
