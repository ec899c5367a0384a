"""Finds checkpoints. This imports no trainer, so that a mistake is reported at once."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from cplearn_solo.core.errors import InputError, reason_of

LAST = "checkpoints/last.ckpt"  # of a run folder
CHECKPOINT_KEY = "cplearn_solo"  # of our entry in a checkpoint
EXPORTS = (".pt", ".safetensors", ".onnx", ".pkl")  # endings of files for other software, which hold weights alone


def find_checkpoint(path: str | Path) -> tuple[Path, Path | None]:
    """Checkpoint and run folder, or ``None``, of a path to either; ``InputError`` if it is neither, or not ours."""
    path = Path(os.path.expanduser(path))
    if path.is_dir():
        if not (path / "config.yaml").is_file():
            raise InputError(f"{path} is not a run folder: it has no config.yaml")
        if not (path / LAST).is_file():
            why = "the run ended before its first checkpoint, or checkpoint.enabled was false"
            raise InputError(f"{path} has no {LAST}: {why}")
        _require_ours(path / LAST)
        return path / LAST, path
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a run folder or a checkpoint")
    _require_ours(path)
    run = path.resolve().parent.parent
    return path, run if is_run(run) else None


def kept_checkpoints(run: Path) -> dict[int, Path]:
    """Checkpoints that a run kept after epochs (``checkpoint.keep_prev``), by the number of epochs, ascending."""
    named = ((re.fullmatch(r"epoch=(\d+)", file.stem), file) for file in (run / "checkpoints").glob("epoch=*.ckpt"))
    return dict(sorted((int(name[1]), file) for name, file in named if name))


def is_run(folder: Path) -> bool:
    """Whether a folder is a run folder: other programs write a config.yaml, too. 0.2.0 wrote no data.json."""
    beside = (folder / "data.json", folder / "metrics.csv")
    return (folder / "config.yaml").is_file() and any(map(Path.is_file, beside))


def _require_ours(file: Path) -> None:
    """Looks for our entry among the words of a checkpoint, which PyTorch's archive keeps apart from its numbers."""
    why = f"is not a checkpoint of this program: it has no {CHECKPOINT_KEY!r} entry"
    try:
        with ZipFile(file) as archive:
            words = b"".join(archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl"))
        if CHECKPOINT_KEY.encode() in words:
            return
    except (BadZipFile, OSError, EOFError, ValueError, KeyError, NotImplementedError, zlib.error) as error:
        why = f"is damaged or no checkpoint: {reason_of(error)}"
    if file.suffix in EXPORTS:
        why = f"is no checkpoint: exported {file.suffix} files hold weights alone; give the run folder or its {LAST}"
    raise InputError(f"{file} {why}")


def finished_runs(folder: Path) -> list[Path]:
    """The runs with a summary in ``folder``, which is the ``checkpoint.dir`` of a job, oldest first; names of runs may
    be paths."""
    return [file.parent for file in sorted(folder.rglob("summary.json"))]


def epochs_done(folder: Path, epochs: int) -> tuple[int, int]:
    """How many epochs the newest run in such a folder has trained, and ``epochs``."""
    logs = sorted(folder.rglob("metrics.csv"))
    return (max(0, logs[-1].read_text().count("\n") - 1) if logs else 0), epochs
