"""Tables of image files and their labels."""

from __future__ import annotations

import csv
import os
import stat
from pathlib import Path

import numpy as np

from cplearn_solo.core.errors import InputError, require, some
from cplearn_solo.data.decoding import is_image_name
from cplearn_solo.data.decoding.source import require_fetched
from cplearn_solo.data.index import Files, Names
from cplearn_solo.data.schema import DataConfig
from cplearn_solo.data.sources.labels import Labels, from_words, require_classes, tell_absent, unlabelled
from cplearn_solo.data.sources.no_labels import require_labels
from cplearn_solo.data.sources.parts import parts_among, tell_one_part

LISTS = (".csv", ".tsv")


def read_list(path: Path, cfg: DataConfig, key: str, *, labelled: bool) -> tuple[Files, Labels]:
    """The files that a table names, by paths from its own folder, and the labels in another column.

    Columns are those that ``data.image_column`` and ``data.label_column`` name. Where columns have no names, or a key
    has its default and no column that name, paths are in the first column that holds names of images, and labels in the
    only other one, not counting those that hold nothing but names of the parts of a data set. The first row may name
    the columns. Raises ``InputError`` for keys that name none of them, for files that are not there, and for numbers as
    labels that are below 0 or not whole.
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
    require_classes(words, key, path)
    labels = from_words(words) if labelled else unlabelled(len(names))
    tell_absent(labels, path, "an empty cell")
    return Files(root, Names.of(map(os.fsencode, names)), sizes), labels


def _rows(path: Path, key: str) -> list[list[str]]:
    """The cells of each row, without the spaces around them; rows with nothing in them are left out."""
    require_fetched(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            tabs = path.suffix.lower() == ".tsv" and "\t" in first  # then names may contain commas
            delimiter = "\t" if tabs else max(",;\t", key=first.count)
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)  # also before quotes
            rows = [cells for row in reader if any(cells := [cell.strip() for cell in row])]
    except UnicodeDecodeError as error:
        wanted = f"a list in UTF-8, as programs for tables save on request: {error.reason} at byte {error.start}"
        raise InputError(f"{key} = {str(path)!r}: must be {wanted}") from error
    except (OSError, csv.Error) as error:
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
    columns = some(names) or f"{len(first)} columns without names"
    held = [i for i, cell in enumerate(second if header else first) if is_image_name(cell)]
    image = _column("image_column", cfg, names, held[:1])
    wanted = f"a column of {path} with paths of images, and it has {columns}"
    require(image is not None, "data.image_column", cfg.image_column, wanted)
    others = [i for i in range(len(first)) if i != image and not (header and names[i] == cfg.label_column)]
    parts = {i: found for i in others if (found := parts_among({row[i] for row in rows[header:]}))}
    for i, found in parts.items():
        tell_one_part(path, names[i] if header else i + 1, found, "list")
    if not labelled:
        return image, -1, header
    likely = [i for i in others if i not in parts]
    label = _column("label_column", cfg, names, likely if len(likely) == 1 else [])
    wanted = f"a column of {path}, or set data.no_labels=true: it has {columns}"
    require_labels(label is not None, "data.label_column", cfg.label_column, wanted, likely=len(likely) > 0)
    require(label != image, "data.label_column", cfg.label_column, "another column than that of the images")
    return image, label, header


def _column(key: str, cfg: DataConfig, names: list[str], fitting: list[int]) -> int | None:
    """The column that a key names, or the ``fitting`` one if columns have no names, or the key has its default."""
    name = getattr(cfg, key)
    if name in names:
        return names.index(name)
    return fitting[0] if fitting and (not names or name == getattr(DataConfig, key)) else None


def _size(path: str) -> int:
    """Bytes of a file, -1 where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1
