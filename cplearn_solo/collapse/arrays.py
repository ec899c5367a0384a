"""Files of features, of this program or any other, as subjects of a report."""

from __future__ import annotations

import pickle
import tokenize
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cplearn_solo.collapse.subject import Subject, checked, choice, described
from cplearn_solo.core.errors import InputError, reason_of, require
from cplearn_solo.engine.find import CHECKPOINT_KEY
from cplearn_solo.metrics.checks import as_tensor, check_integers, check_length

BROKEN = (zipfile.BadZipFile, zlib.error, tokenize.TokenError, SyntaxError, NotImplementedError)  # of NumPy's files


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of a file by name; a single array is ``features``. Raises ``InputError`` for an unreadable file."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a run folder, a checkpoint or a file of features")
    try:
        if path.suffix in (".npy", ".npz"):
            with path.open("rb") as file:  # NumPy leaves damaged files open
                stored = np.load(file, allow_pickle=False)
                if not isinstance(stored, np.ndarray):
                    stored = dict(stored)
        else:
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError, ValueError, KeyError, *BROKEN) as error:
        raise InputError(f"{path} is damaged or holds no arrays: {reason_of(error)}") from error
    if isinstance(stored, (np.ndarray, Tensor)):
        return {"features": stored}
    if not isinstance(stored, dict) or not {"features", CHECKPOINT_KEY} & stored.keys():
        held = ", ".join(map(str, stored)) if isinstance(stored, dict) else type(stored).__name__
        raise InputError(f"{path} holds no 'features' (n, d), it holds: {held[:200] or 'nothing'}")
    return stored


def from_arrays(path: Path, stored: dict[str, Any], *, images: int, seed: int) -> Subject:
    """The subject of the arrays ``stored`` at ``path``."""
    readers = {
        "features": _numbers,
        "embeddings": _numbers,
        "labels": partial(_integers, least=-1),
        "codes": partial(_integers, least=0),
    }
    parts: dict[str, Tensor] = {}
    for name, read in readers.items():
        if name in stored:
            key = f"{path}: {name}"
            parts[name] = read(key, as_tensor(key, stored[name]))
            check_length(key, parts[name], len(parts["features"]), "row of features")
    n = len(parts["features"])
    chosen = choice(n, images, seed)
    parts = {name: values[chosen] for name, values in parts.items()}
    if "labels" in parts and not (parts["labels"] >= 0).any():
        del parts["labels"]
    names = (path.stem, path.name, f"{path.resolve().parent.name}/{path.name}")
    return Subject(names, path, described(len(chosen), n, "rows"), **parts)


def _numbers(key: str, values: Tensor) -> Tensor:
    require(not values.is_complex(), f"{key}.dtype", values.dtype, "a type of real numbers")
    wanted = "of another type: cplearn embed writes bits so, eight to a number; floats where they are numbers"
    require(values.dtype != torch.uint8, f"{key}.dtype", values.dtype, wanted)
    return checked(key, values.float())


def _integers(key: str, values: Tensor, *, least: int) -> Tensor:
    values = check_integers(key, values)
    low = int(values.min())
    require(low >= least, key, low, f"{least} or more")
    return values
