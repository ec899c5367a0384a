"""Run folders ``dir/name/id/``: made once, never overwritten, resumed only by the same configuration."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import OmegaConf

from cplearn_solo.config.identity import DEVICES, LEARNING_VERSION, PATHS, difference, learning_version
from cplearn_solo.config.schema import Config
from cplearn_solo.core.as_yaml import as_yaml
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.files import clear_partial, folder_of_now, whole_file, write_file, write_json, written
from cplearn_solo.core.locks import try_lock
from cplearn_solo.core.stored import read_json
from cplearn_solo.data.fingerprint import describe_change
from cplearn_solo.data.schema import KNOWN_IMAGES
from cplearn_solo.engine.asked import require_outside_of_images
from cplearn_solo.engine.checkpoint import CHECKPOINT_KEY, read_checkpoint
from cplearn_solo.engine.find import LAST, find_checkpoint

# Tells the other processes of a multi-device run which folder the first one opened, and what it resumes.
RUN_VARIABLE = "CPLEARN_RUN"

DATA = "data.json"  # the fingerprint of a run's images
DERIVED = "derived.json"  # what followed from its configuration and the machine


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


def read_derived(run: Path) -> dict[str, Any]:
    """What followed from the configuration of a run and its machine; empty if that was not written."""
    return read_json(run / DERIVED)


def open_run(config: Config, data: dict[str, Any]) -> RunFolder:
    """Resumes the newest unfinished run of exactly this configuration and data, or starts a new folder.

    ``data`` is the fingerprint of the images. ``resume_from_checkpoint`` names a checkpoint instead; ``InputError``,
    with the differences, if its configuration or data would train a different model. With a larger ``max_epochs`` the
    run goes on in a new folder, at its epoch in the longer schedule.
    """
    require_outside_of_images(config)
    if config.resume_from_checkpoint:
        return _named_resume(config, data)
    return _auto_resume(config, data) or _new_run(config, data, resume=None)


def how_to_go_on(run: Path, config: Config) -> str:
    """How to go on with the run in that folder, whose training or evaluation was interrupted."""
    if not config.checkpoint.enabled:
        return "checkpoint.enabled=false, so nothing was kept and the same command starts from the beginning"
    if not (run / LAST).is_file():
        return f"{run} has no checkpoint yet, so the same command starts from the beginning"
    again = "the same command goes on" if config.auto_resume.enabled else f"resume_from_checkpoint={run} goes on"
    return f"{again} from {run / LAST}"


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
    """The run that the parent process has opened for both, if it has.

    If another process has set the variable, it is ignored with a message: nothing locks that folder for us.
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


def _named_resume(config: Config, data: dict[str, Any]) -> RunFolder:
    file, folder = find_checkpoint(config.resume_from_checkpoint)
    key = f"resume_from_checkpoint = {str(file)!r}"
    checkpoint = read_checkpoint(file)
    theirs, done = checkpoint[CHECKPOINT_KEY]["config"], checkpoint["epoch"] + 1
    longer = theirs.get("max_epochs", config.max_epochs) < config.max_epochs
    differing = _other_version(checkpoint)
    differing += difference(config.plain(), theirs, but=(*DEVICES, *PATHS, *(["max_epochs"] if longer else [])))
    if differing:
        raise InputError(f"{key}: must have the same configuration; differing are {'; '.join(differing[:5])}")
    if folder and (change := _change_of_data(folder, config, data)):
        raise InputError(f"{key}: must have the same data; {change}")
    unfinished = not longer and folder and file.name == Path(LAST).name and not (folder / "summary.json").exists()
    steps = config.max_steps
    if not unfinished and (done >= config.max_epochs or (steps and checkpoint.get("global_step", 0) >= steps)):
        reason = f"has trained all of its {config.max_epochs} epochs; a larger max_epochs goes on"
        reason = f"has trained all of its {steps} steps" if steps else reason
        raise InputError(f"{key}: must be unfinished, but {reason}")
    if unfinished:
        lock = _lock(folder)
        if lock is None:
            raise InputError(f"{key}: must not be running, but is locked by another process")
        clear_partial(folder)
        return RunFolder(folder, file, lock)
    if run := _auto_resume(config, data):  # the same command was killed before
        return run
    run = _new_run(config, data, resume=file)
    if longer:
        place = f"those of a run of {config.max_epochs} epochs, not of {theirs['max_epochs']}, from epoch {done + 1} on"
        print(f"continuing {folder or file} in a new run folder; learning rate and other schedules are {place}")
    if folder and (folder / "metrics.csv").is_file():  # with the epochs so far
        with whole_file(run.path / "metrics.csv") as copy:
            shutil.copyfile(folder / "metrics.csv", copy)
    return run


def _auto_resume(config: Config, data: dict[str, Any]) -> RunFolder | None:
    """The newest unfinished run of this configuration and data; those with a checkpoint come first.

    With ``resume_from_checkpoint`` only a run that began at the same checkpoint.
    """
    if not (config.auto_resume.enabled and config.checkpoint.enabled):
        return None
    explained, began_at = False, config.resume_from_checkpoint
    try:
        newest = sorted(filter(_is_unfinished, _root(config).glob("*/")), reverse=True)
    except OSError:  # an impossible place, which a new run reports
        return None
    for folder in sorted(newest, key=lambda folder: not (folder / LAST).is_file()):
        last = folder / LAST if (folder / LAST).is_file() else None
        if began_at and last is None:
            continue
        theirs = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
        if began_at and theirs.get("resume_from_checkpoint") != began_at:
            continue
        try:
            lock = _lock(folder)
        except PermissionError:  # of another user
            continue
        if lock is None:
            continue
        if not _is_unfinished(folder):  # another process has finished it since it was found
            lock.release()
            continue
        differing = difference(config.plain(), theirs)
        differing = differing or (_other_version(read_checkpoint(last)) if last else [])
        change = _change_of_data(folder, config, data)
        if not differing and not change:
            print(f"resuming the unfinished run {folder}" if last else f"beginning the run {folder} again")
            clear_partial(folder)
            return RunFolder(folder, last, lock)
        lock.release()
        if last and not explained:
            changed = f"its configuration differs: {'; '.join(differing[:5])}"
            print(f"unfinished run {folder} is not resumed, {changed if differing else f'the data changed: {change}'}")
            explained = True
            if differing and all(line.startswith(DEVICES) for line in differing):
                print(f"resume_from_checkpoint={folder} resumes it on these devices")
    return None


def _is_unfinished(folder: Path) -> bool:
    """Whether ``folder`` is a run without a summary that this user may go on with."""
    return (
        os.access(folder, os.R_OK | os.W_OK | os.X_OK)
        and (folder / "config.yaml").is_file()
        and not (folder / "summary.json").exists()
    )


def _other_version(checkpoint: dict[str, Any]) -> list[str]:
    """A line like those of :func:`difference` if the checkpoint has another learning version, else no line."""
    theirs = learning_version(checkpoint[CHECKPOINT_KEY])
    return [] if theirs == LEARNING_VERSION else [f"learning version: {theirs} there, {LEARNING_VERSION} here"]


def _change_of_data(folder: Path, config: Config, data: dict[str, Any]) -> str:
    """How the images differ from those of a run, in a line; empty if they do not, or if it is unknown."""
    if (folder / DATA).is_file():
        return describe_change(read_json(folder / DATA), data)
    own_images = config.data.dataset not in KNOWN_IMAGES  # of a run of 0.2.0
    return "held-out images: drawn in another way before" if own_images and config.data.val_split else ""


def _new_run(config: Config, data: dict[str, Any], resume: Path | None) -> RunFolder:
    try:
        path = folder_of_now(_root(config))
    except OSError as error:
        raise InputError(f"checkpoint.dir = {config.checkpoint.dir!r}: {error}") from error
    lock = _lock(path)
    with written(path):
        write_json(path / DATA, data)
        (path / "figures").mkdir()
        write_file(path / "config.yaml", as_yaml(config.stored()))
    return RunFolder(path, resume, lock)


def _root(config: Config) -> Path:
    return Path(os.path.expanduser(config.checkpoint.dir)) / config.name


def _lock(folder: Path) -> FileLock | None:
    """The folder's lock, or ``None`` where another process holds it."""
    return try_lock(folder / ".lock")
