"""Messages of other packages while a program runs: kept in a file beside its results, apart from our own lines."""

from __future__ import annotations

import logging
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cplearn_solo.core.lines import on_a_line

LOG = "messages.log"  # in a run folder
THEIR_OWN = ("lightning", "lightning.pytorch", "lightning.fabric")  # loggers with handlers that print


class Notice(UserWarning):
    """A warning of ours: a line for the user."""


class Messages(logging.Handler):
    """Collects log records and warnings of other packages, each once, until there is a file for them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self.file: Path | None = None
        self.waiting: list[logging.LogRecord] = []
        self.warnings: Counter[Path] = Counter()  # in each file
        self._seen: set[tuple[str, str]] = set()  # records in the file, or waiting for one

    def emit(self, record: logging.LogRecord) -> None:
        try:
            said = record.name, record.getMessage()
        except Exception:  # a mistake in the package's logging must not end a run
            self.handleError(record)
            return
        if said in self._seen:
            return
        self._seen.add(said)
        self.waiting.append(record)
        if self.file is not None:
            self.to(self.file)

    def warned(self, message: Warning | str, category: type[Warning], filename: str, line: int) -> None:
        """Collects a warning. Categories such as deprecations concern the authors of libraries, not the user."""
        level = logging.WARNING if category is UserWarning else logging.INFO
        said = (category.__name__, message)
        self.handle(logging.LogRecord(f"{filename}:{line}", level, filename, line, "%s: %s", said, None))

    def to(self, file: Path) -> None:
        """Writes waiting and later records to ``file``."""
        if self.file not in (None, file):  # that was another run's
            self._seen.clear()
        self.file, waiting, self.waiting = file, self.waiting, []
        self.warnings[file] += sum(record.levelno >= logging.WARNING for record in waiting)
        with suppress(OSError), open(file, "a", encoding="utf-8", errors="backslashreplace") as out:
            out.writelines(self.format(record) + "\n" for record in waiting)  # a failure must not end a run

    def tell(self) -> None:
        """Prints where the warnings are, or the warnings themselves if there was no file for them."""
        for file, count in (+self.warnings).items():
            print(f"warnings of other packages, {count} in all: {file}", file=sys.stderr)
        for record in self.waiting:
            if record.levelno >= logging.WARNING:
                print(f"warning: {record.name}: {record.getMessage()}", file=sys.stderr)


_current: Messages | None = None


def keep_messages(folder: Path) -> None:
    """Writes messages of other packages to ``messages.log`` in ``folder`` from now on, if the program collects them."""
    if _current is not None:
        _current.to(folder / LOG)


def only_collect() -> None:
    """Replaces the handlers with which imported packages print by themselves, if the program collects messages."""
    if _current is not None:
        for name in THEIR_OWN:
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [_current], False


def as_line(message: Warning | str, *_: Any) -> None:
    """Shows a warning of ours in a program of ours."""
    print(f"warning: {on_a_line(str(message))}", file=sys.stderr)


@contextmanager
def messages_apart(ours: Callable[..., None] = as_line) -> Iterator[Messages]:
    """In this block, messages of other packages wait for :func:`keep_messages`, and ``ours``, which takes what
    ``warnings.showwarning`` takes, shows our warnings."""
    global _current
    before, _current = _current, Messages()
    collected = _current

    def show(message: Warning | str, category: type[Warning], filename: str, line: int, *others: Any) -> None:
        if issubclass(category, Notice):
            ours(message, category, filename, line, *others)
        else:
            collected.warned(message, category, filename, line)

    theirs = [logging.getLogger(name) for name in THEIR_OWN]
    were = [(logger.handlers, logger.propagate) for logger in theirs]
    root = logging.getLogger()
    root.addHandler(collected)
    only_collect()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show  # type: ignore[assignment]
            yield collected
    finally:
        root.removeHandler(collected)
        for logger, (handlers, propagate) in zip(theirs, were):
            logger.handlers, logger.propagate = handlers, propagate
        _current = before
