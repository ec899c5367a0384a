"""Where a result comes from: versions of learning, scores and packages, and the commit of the source tree."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cplearn_solo
from cplearn_solo.config.identity import LEARNING_VERSION
from cplearn_solo.config.score_names import SCORES_VERSION

DECISIVE = ("torch", "torchvision", "lightning", "timm", "lightly", "scikit-learn")


def provenance() -> dict[str, Any]:
    """``learning_version``, ``scores_version``, ``versions`` of the packages that decide a result, and ``git_sha``."""
    ours = {"learning_version": LEARNING_VERSION, "scores_version": SCORES_VERSION}
    return {**ours, "versions": versions(), "git_sha": git_sha()}


def versions() -> dict[str, str]:
    """Versions of the installed packages that decide a result, and of the code that runs."""
    found = {"cplearn-solo": cplearn_solo.__version__}  # of a source tree, pip knows the version at installation
    for package in DECISIVE:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_sha() -> str | None:
    """Commit of the source tree that runs, with ``+`` if it has changes; ``None`` for an installed copy."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    sha = _git(root, "rev-parse", "--short=12", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{sha}{'+' if changes else ''}" if sha else None


def _git(root: Path, *command: str) -> str:
    """What git prints; empty if it cannot run."""
    try:
        done = subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
