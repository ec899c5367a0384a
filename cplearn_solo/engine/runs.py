"""Run folders ``dir/name/id/``: made once, never overwritten, resumed only by the same configuration."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from cplearn_solo.config.identity import DEVICES, PATHS, difference
from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import InputError
from cplearn_solo.engine.checkpoint import LAST, find_checkpoint, read_checkpoint
from cplearn_solo.engine.module import CHECKPOINT_KEY

# tell the other processes of a multi-device run which folder the first one opened, and what it resumes
RUN_VARIABLE, RESUME_VARIABLE = "CPLEARN_RUN", "CPLEARN_RESUME"


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
        partial = self.path / f".{name}.partial"
        partial.write_text(json.dumps(values, indent=2) + "\n")
        partial.replace(self.path / name)


def open_run(config: Config) -> RunFolder:
    """Resumes the newest unfinished run of exactly this configuration, or starts a new folder.

    ``resume_from_checkpoint`` names the checkpoint instead; ``InputError`` if its configuration would learn something
    different, with the keys that differ.
    """
    if RUN_VARIABLE in os.environ:
        resume = os.environ[RESUME_VARIABLE]
        return RunFolder(Path(os.environ[RUN_VARIABLE]), Path(resume) if resume else None, None)
    run = _named_resume(config) if config.resume_from_checkpoint else None
    if run is None and config.auto_resume.enabled and config.checkpoint.enabled:
        run = _auto_resume(config)
    return run or _new_run(config, resume=None)


@contextmanager
def shared_with_processes(run: RunFolder) -> Iterator[None]:
    """While this lasts, processes that the Trainer starts open the same folder."""
    os.environ[RUN_VARIABLE] = str(run.path.resolve())
    os.environ[RESUME_VARIABLE] = str(run.resume.resolve()) if run.resume else ""
    try:
        yield
    finally:
        del os.environ[RUN_VARIABLE], os.environ[RESUME_VARIABLE]


def versions() -> dict[str, str]:
    """Versions of what decides a result."""
    found = {}
    for package in ("cplearn-solo", "torch", "torchvision", "lightning", "timm", "lightly", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_sha() -> str | None:
    """Commit of the source tree that runs, ``+`` where it has changes; ``None`` for an installed copy."""
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():
        return None
    try:
        sha, status = (
            subprocess.run(
                ["git", "-C", str(here), *command], capture_output=True, text=True, timeout=10
            ).stdout.strip()
            for command in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return f"{sha}{'+' if status else ''}" or None


def _named_resume(config: Config) -> RunFolder | None:
    file, folder = find_checkpoint(config.resume_from_checkpoint)
    checkpoint = read_checkpoint(file)
    differing = difference(config.plain(), checkpoint[CHECKPOINT_KEY]["config"], but=(*DEVICES, *PATHS))
    if differing:
        raise InputError(f"resume_from_checkpoint = {file}: another configuration: {'; '.join(differing[:5])}")
    unfinished = folder and file.name == Path(LAST).name and not (folder / "summary.json").exists()
    if not unfinished and checkpoint["epoch"] + 1 >= config.max_epochs:
        raise InputError(f"resume_from_checkpoint = {file}: that run has trained all of its {config.max_epochs} epochs")
    if unfinished:
        lock = _lock(folder)
        if lock is None:
            raise InputError(f"resume_from_checkpoint = {file}: that run is still running")
        return RunFolder(folder, file, lock)
    run = _new_run(config, resume=file)
    if folder and (folder / "metrics.csv").is_file():  # the epochs before
        shutil.copyfile(folder / "metrics.csv", run.path / "metrics.csv")
    return run


def _auto_resume(config: Config) -> RunFolder | None:
    explained = False
    for folder in sorted(_root(config).glob("*/"), reverse=True):
        if (
            not (folder / "config.yaml").is_file()
            or (folder / "summary.json").exists()
            or not (folder / LAST).is_file()
        ):
            continue
        lock = _lock(folder)
        if lock is None:  # another process is at it
            continue
        theirs = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
        differing = difference(config.plain(), theirs)
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
    OmegaConf.save(OmegaConf.create(config.plain()), path / "config.yaml")
    (path / "figures").mkdir()
    return RunFolder(path, resume, _lock(path))


def _root(config: Config) -> Path:
    return Path(config.checkpoint.dir) / config.name


def _lock(folder: Path) -> FileLock | None:
    """The folder's lock, or ``None`` if a living process holds it."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock
