"""Messages of other packages while a program runs: kept in a file beside its results, apart from our own lines."""

from __future__ import annotations

import logging
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
    """Removes the handlers with which imported packages print by themselves, if the program collects messages."""
    if _current is not None:
        for name in THEIR_OWN:
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [], True


@contextmanager
def messages_apart() -> Iterator[Messages]:
    """In this block, our warnings are lines, and messages of other packages wait for :func:`keep_messages`."""
    global _current
    before, _current = _current, Messages()
    theirs = [logging.getLogger(name) for name in THEIR_OWN]
    were = [(logger.handlers, logger.propagate) for logger in theirs]
    root = logging.getLogger()
    root.addHandler(_current)
    only_collect()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show  # type: ignore[assignment]
            yield _current
    finally:
        root.removeHandler(_current)
        for logger, (handlers, propagate) in zip(theirs, were):
            logger.handlers, logger.propagate = handlers, propagate
        _current = before


def _show(message: Warning | str, category: type[Warning], filename: str, line: int, *_: object) -> None:
    if issubclass(category, Notice):
        print(f"warning: {message}", file=sys.stderr)
    else:
        # other categories, such as deprecations, concern the authors of libraries, not the user
        level = logging.WARNING if category is UserWarning else logging.INFO
        logging.getLogger(f"{filename}:{line}").log(level, "%s: %s", category.__name__, message)
