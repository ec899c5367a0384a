"""What a report compares: runs, checkpoints and files of features, all read as a :class:`Subject`."""

from __future__ import annotations

import pickle
import re
import zipfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.data import ImageSet
from cplearn_solo.engine.checkpoint import CHECKPOINT_KEY
from cplearn_solo.engine.log import EpochLog
from cplearn_solo.inference.devices import choose_device
from cplearn_solo.inference.features import Features, extractor
from cplearn_solo.inference.pretrained import Pretrained, load_pretrained
from cplearn_solo.inference.splits import splits_of
from cplearn_solo.methods import Method
from cplearn_solo.metrics.checks import as_tensor, check_features, check_integers, check_length

ARRAYS = (".npy", ".npz", ".pt", ".pth")
MAX_EPOCHS = 8  # kept checkpoints whose features are extracted, spread evenly over training
EMBEDDED_AT_ONCE = 4096


@dataclass(frozen=True)
class Subject:
    """A run, a checkpoint or a file of features: one column of the report.

    ``features`` Z ``(n, d)``; ``embeddings`` H ``(n, f)``; ``labels`` ``(n,)``, -1 where unknown; ``codes`` ``(n,)``.
    ``rows`` are the epochs of a run's metrics.csv, ``kept`` the features of its kept checkpoints by epoch. ``method``
    is that of a run or checkpoint, ``None`` for a file of features.
    """

    names: tuple[str, ...]  # from short to long
    path: Path
    samples: str  # what the n samples are
    features: Tensor
    embeddings: Tensor | None = None
    labels: Tensor | None = None
    codes: Tensor | None = None
    codes_total: int | None = None
    entropies: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    method: Method | None = None
    run: Path | None = None
    rows: list[dict[str, float]] = field(default_factory=list)
    kept: dict[int, Tensor] = field(default_factory=dict)


def read_subject(path: str | Path, *, images: int, data: dict[str, Any], seed: int) -> Subject:
    """The run folder, checkpoint or file of features at ``path``, with a seeded choice of at most ``images`` samples.

    ``data`` overrides the data that a run was trained on. Raises ``InputError`` for anything missing, damaged, of
    another shape or not finite.
    """
    path = Path(path)
    stored = _read_arrays(path) if path.suffix in ARRAYS else None
    if stored is None or CHECKPOINT_KEY in stored:
        return _from_run(path, images=images, data=data, seed=seed)
    return _from_arrays(path, stored, images=images, seed=seed)


# --- files of features --------------------------------------------------------------------------------------------


def _read_arrays(path: Path) -> dict[str, Any]:
    """The named arrays of a file; a single one is ``features``."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a run folder, a checkpoint or a file of features")
    try:
        if path.suffix in (".npy", ".npz"):
            stored = np.load(path, allow_pickle=False)
            stored = stored if isinstance(stored, np.ndarray) else dict(stored)
        else:
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is damaged or holds no arrays: {reason}") from error
    if isinstance(stored, (np.ndarray, Tensor)):
        return {"features": stored}
    if not isinstance(stored, dict) or not {"features", CHECKPOINT_KEY} & stored.keys():
        held = ", ".join(map(str, stored)) if isinstance(stored, dict) else type(stored).__name__
        raise InputError(f"{path} holds no 'features' (n, d), it holds: {held[:200] or 'nothing'}")
    return stored


def _from_arrays(path: Path, stored: dict[str, Any], *, images: int, seed: int) -> Subject:
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
    chosen = _choice(n, images, seed)
    parts = {name: values[chosen] for name, values in parts.items()}
    if "labels" in parts and not (parts["labels"] >= 0).any():
        del parts["labels"]
    names = (path.stem, path.name, f"{path.resolve().parent.name}/{path.name}")
    return Subject(names, path, _described(len(chosen), n, "rows"), **parts)


def _numbers(key: str, values: Tensor) -> Tensor:
    require(not values.is_complex(), f"{key}.dtype", values.dtype, "a type of real numbers")
    return _checked(key, values.float())


def _integers(key: str, values: Tensor, *, least: int) -> Tensor:
    values = check_integers(key, values)
    low = int(values.min())
    require(low >= least, key, low, f"{least} or more")
    return values


# --- runs and checkpoints -----------------------------------------------------------------------------------------


def _from_run(path: Path, *, images: int, data: dict[str, Any], seed: int) -> Subject:
    device = choose_device()
    model = load_pretrained(path, device=device)
    held_out, samples = _held_out(model, data, images=images, seed=seed)
    features = _features(model, held_out, device)
    x = _checked(f"{path}: features", features.x)
    embeddings = torch.cat([model.method.embed(part.to(device)).cpu() for part in x.split(EMBEDDED_AT_ONCE)])
    entropies = model.method.code_entropies(x.to(device))
    epoch = re.fullmatch(r"epoch=(\d+)", model.checkpoint.stem)
    kept = _kept(model.run, held_out, device) if path.is_dir() else {}
    return Subject(
        names=_run_names(model),
        path=path,
        samples=samples,
        features=x,
        embeddings=_checked(f"{path}: embeddings", embeddings),
        labels=features.y if (features.y >= 0).any() else None,
        codes=features.codes,
        codes_total=model.method.codes_total,
        entropies=None if entropies is None else tuple(entropy.item() for entropy in entropies),
        classes=held_out.classes,
        method=model.method.cpu(),
        run=model.run,
        rows=_rows(model.run, int(epoch[1]) if epoch else None),
        kept=kept,
    )


def _held_out(model: Pretrained, data: dict[str, Any], *, images: int, seed: int) -> tuple[ImageSet, str]:
    """A seeded choice of held-out images, or of training images if none are held out, and a description of them."""
    splits, config = splits_of(model, data)
    whole = splits.train if splits.test is None else splits.test
    kind = "training images: none are held out" if splits.test is None else f"{splits.name} images"
    chosen = _choice(len(whole), images, seed)
    return whole.subset(chosen), _described(len(chosen), len(whole), f"{config.dataset} {kind}")


def _features(model: Pretrained, images: ImageSet, device: torch.device) -> Features:
    return extractor(model.backbone, model.method, model.config, device=device)(images)


def _kept(run: Path, images: ImageSet, device: torch.device) -> dict[int, Tensor]:
    """Features by epoch of the checkpoints that a run kept, at most eight, the first and the last among them."""
    files = {int(p.stem.partition("=")[2]): p for p in run.glob("checkpoints/epoch=*.ckpt")}
    epochs = sorted(files)
    if len(epochs) > MAX_EPOCHS:
        epochs = [epochs[round(i * (len(epochs) - 1) / (MAX_EPOCHS - 1))] for i in range(MAX_EPOCHS)]
    return {epoch: _features(load_pretrained(files[epoch], device=device), images, device).x for epoch in epochs}


def _rows(run: Path | None, epochs: int | None) -> list[dict[str, float]]:
    """Rows of the run's metrics.csv before ``epochs``, the checkpoint's, or all."""
    if run is None or not (run / "metrics.csv").is_file():
        return []
    try:
        rows = EpochLog.read(run)
        return [row for row in rows if epochs is None or row["epoch"] < epochs]
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{run / 'metrics.csv'} is damaged: {error}") from error


def _run_names(model: Pretrained) -> tuple[str, ...]:
    name = model.config.name
    if model.checkpoint.stem != "last":
        name = f"{name} {model.checkpoint.stem}"
    return (name, f"{name} {model.run.resolve().name}") if model.run else (name,)


# --- both ---------------------------------------------------------------------------------------------------------


def _checked(name: str, values: Tensor) -> Tensor:
    values = check_features(name, values)
    require(len(values) >= 2, f"{name}.shape", tuple(values.shape), "(n, d) with n >= 2")
    return values


def _choice(size: int, most: int, seed: int) -> Tensor:
    """At most ``most`` of ``size`` indices, sorted; the same for every subject of that size."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))[:most].sort().values


def _described(chosen: int, size: int, kind: str) -> str:
    return f"{chosen:,} {kind}" if chosen == size else f"{chosen:,} of {size:,} {kind}"
