"""Run folders ``dir/name/id/``: made once, never overwritten, resumed only by the same configuration."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import OmegaConf

from cplearn_solo.config.identity import DEVICES, LEARNING_VERSION, PATHS, difference, learning_version
from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.files import whole_file, write_file, write_json
from cplearn_solo.core.locks import try_lock
from cplearn_solo.engine.checkpoint import CHECKPOINT_KEY, LAST, find_checkpoint, read_checkpoint

# Tells the other processes of a multi-device run which folder the first one opened, and what it resumes.
RUN_VARIABLE = "CPLEARN_RUN"


@dataclass
class RunFolder:
    """An open run: its folder, and the checkpoint to resume from, if any. Locked as long as this object lives."""

    path: Path
    resume: Path | None
    lock: FileLock | None

    def close(self) -> None:
        """Unlocks the folder."""
        if self.lock:
            self.lock.release()

    def write_json(self, name: str, values: dict[str, Any]) -> None:
        """Writes ``name`` whole or not at all."""
        write_json(self.path / name, values)


def open_run(config: Config) -> RunFolder:
    """Resumes the newest unfinished run of exactly this configuration, or starts a new folder.

    ``resume_from_checkpoint`` names the checkpoint instead; ``InputError`` if its configuration would learn something
    different, with the keys that differ.
    """
    run = _named_resume(config) if config.resume_from_checkpoint else None
    if run is None and config.auto_resume.enabled and config.checkpoint.enabled:
        run = _auto_resume(config)
    return run or _new_run(config, resume=None)


@contextmanager
def shared_with_processes(run: RunFolder) -> Iterator[None]:
    """While this lasts, processes that this one starts get the same folder from :func:`run_of_parent`."""
    resume = str(run.resume.resolve()) if run.resume else None
    os.environ[RUN_VARIABLE] = json.dumps({"process": os.getpid(), "path": str(run.path.resolve()), "resume": resume})
    try:
        yield
    finally:
        del os.environ[RUN_VARIABLE]


def run_of_parent() -> RunFolder | None:
    """The run that the process which started this one has opened for both, if it has.

    What any other process left in the environment is ignored, with a word: nothing locks that folder for us.
    """
    if RUN_VARIABLE not in os.environ:
        return None
    try:
        shared = json.loads(os.environ[RUN_VARIABLE])
        if shared["process"] == os.getppid():
            return RunFolder(Path(shared["path"]), shared["resume"] and Path(shared["resume"]), None)
    except (ValueError, KeyError, TypeError):
        pass
    print(f"{RUN_VARIABLE} is ignored: it was not set by the process that started this one")
    return None


def _named_resume(config: Config) -> RunFolder:
    file, folder = find_checkpoint(config.resume_from_checkpoint)
    key = f"resume_from_checkpoint = {str(file)!r}"
    checkpoint = read_checkpoint(file)
    differing = _other_version(checkpoint)
    differing += difference(config.plain(), checkpoint[CHECKPOINT_KEY]["config"], but=(*DEVICES, *PATHS))
    if differing:
        raise InputError(f"{key}: must have the same configuration; differing are {'; '.join(differing[:5])}")
    unfinished = folder and file.name == Path(LAST).name and not (folder / "summary.json").exists()
    if not unfinished and checkpoint["epoch"] + 1 >= config.max_epochs:
        raise InputError(f"{key}: must be unfinished, but has trained all of its {config.max_epochs} epochs")
    if unfinished:
        lock = _lock(folder)
        if lock is None:
            raise InputError(f"{key}: must not be running, but is locked by another process")
        return RunFolder(folder, file, lock)
    run = _new_run(config, resume=file)
    if folder and (folder / "metrics.csv").is_file():  # the epochs before
        with whole_file(run.path / "metrics.csv") as copy:
            shutil.copyfile(folder / "metrics.csv", copy)
    return run


def _auto_resume(config: Config) -> RunFolder | None:
    explained = False
    for folder in sorted(_root(config).glob("*/"), reverse=True):
        if not _can_be_resumed(folder) or (lock := _lock(folder)) is None:
            continue
        differing = difference(config.plain(), OmegaConf.to_container(OmegaConf.load(folder / "config.yaml")))
        differing = differing or _other_version(read_checkpoint(folder / LAST))
        if not differing:
            print(f"resuming the unfinished run {folder}")
            return RunFolder(folder, folder / LAST, lock)
        lock.release()
        if not explained:
            print(f"unfinished run {folder} is not resumed, its configuration differs: {'; '.join(differing[:5])}")
            explained = True
            if all(line.startswith(DEVICES) for line in differing):
                print(f"resume_from_checkpoint={folder} resumes it on these devices")
    return None


def _can_be_resumed(folder: Path) -> bool:
    """Whether it is an unfinished run with a checkpoint."""
    unfinished = (folder / "config.yaml").is_file() and not (folder / "summary.json").exists()
    return unfinished and (folder / LAST).is_file()


def _other_version(checkpoint: dict[str, Any]) -> list[str]:
    """A line, as :func:`difference` has them, where it was written by a program that learns something else."""
    theirs = learning_version(checkpoint[CHECKPOINT_KEY])
    return [] if theirs == LEARNING_VERSION else [f"learning version: {theirs} there, {LEARNING_VERSION} here"]


def _new_run(config: Config, resume: Path | None) -> RunFolder:
    root, stamp, attempt = _root(config), time.strftime("%Y%m%d-%H%M%S"), 1
    while True:
        path = root / (stamp if attempt == 1 else f"{stamp}-{attempt}")
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:
            attempt += 1
        except OSError as error:
            raise InputError(f"checkpoint.dir = {config.checkpoint.dir!r}: {error}") from error
    lock = _lock(path)
    write_file(path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config.plain())))
    (path / "figures").mkdir()
    return RunFolder(path, resume, lock)


def _root(config: Config) -> Path:
    return Path(config.checkpoint.dir) / config.name


def _lock(folder: Path) -> FileLock | None:
    """The folder's lock, or ``None`` where another process holds it."""
    return try_lock(folder / ".lock")
