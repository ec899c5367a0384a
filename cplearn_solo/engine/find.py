"""Where a checkpoint is. To see whether there is one needs no trainer, so that a mistake is told at once."""

from __future__ import annotations

from pathlib import Path

from cplearn_solo.core.errors import InputError

LAST = "checkpoints/last.ckpt"  # of a run folder


def find_checkpoint(path: str | Path) -> tuple[Path, Path | None]:
    """Checkpoint and run folder of a path that is either; raises ``InputError`` where it is neither."""
    path = Path(path)
    if path.is_dir():
        if not (path / "config.yaml").is_file():
            raise InputError(f"{path} is not a run folder: it has no config.yaml")
        if not (path / LAST).is_file():
            raise InputError(f"{path} has no {LAST}: the run ended before its first checkpoint")
        return path / LAST, path
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a run folder or a checkpoint")
    run = path.resolve().parent.parent
    return path, run if (run / "config.yaml").is_file() else None


def finished_runs(folder: Path) -> list[Path]:
    """The runs in ``folder``, which is the ``checkpoint.dir`` of a job, that have a summary, oldest first."""
    return [file.parent for file in sorted(folder.glob("*/*/summary.json"))]


def epochs_done(folder: Path, epochs: int) -> tuple[int, int]:
    """How many epochs of how many the newest run in such a folder has trained."""
    logs = sorted(folder.glob("*/*/metrics.csv"))
    return (max(0, logs[-1].read_text().count("\n") - 1) if logs else 0), epochs
