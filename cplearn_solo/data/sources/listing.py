"""The image files below a folder, and counts of everything else."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.decoding import is_image_name
from cplearn_solo.data.index import Files, Names
from cplearn_solo.data.notes import counted, say_once
from cplearn_solo.data.sources.one_set import require_one_set

# Images that Pillow reads with another package, and how it is installed.
INSTALLED = dict.fromkeys((".heic", ".heif"), ' (pip install "cplearn-solo[heif]" reads them)')


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name comes from a system or an archiver, not from the user."""
    return name.startswith(".") or name == "__MACOSX"


def kind(name: str) -> str:
    """The kind as which a file that is no image is counted."""
    ending = os.path.splitext(name)[1].lower()
    return f"{ending}{INSTALLED.get(ending, '')}" if ending else "without an ending"


def tell_ignored(place: Path, ignored: Counter[str]) -> None:
    """Prints once what was not read, also if ``place`` is given once as a relative and once as an absolute path."""
    if any(ignored.values()):
        path = Path(os.path.abspath(place))
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        say_once(f"ignored in {shown}: {counted(ignored)}")


def _leads_to(kind: Callable[[], bool]) -> bool:
    """The result of ``kind``, or false for links in a circle and for places that may not be read."""
    try:
        return kind()
    except OSError:
        return False


class Listing:
    """Image files below ``root``, sorted by name at every depth; ``key`` names the folder in messages.

    Other files are counted in ``ignored``. Raises ``InputError`` for folders that hold several parts of a data set, or
    runs of this program.
    """

    def __init__(self, root: Path, key: str) -> None:
        self.root, self.key, self.ignored = str(root), key, Counter[str]()
        self._text, self._ends, self._sizes = bytearray(), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._ends)

    def files(self) -> Files:
        """An index of all added images."""
        ends, sizes = np.frombuffer(self._ends, np.int64), np.frombuffer(self._sizes, np.int64)
        return Files(self.root, Names(self._text, ends), sizes)

    def scan(self, folder: str = "") -> tuple[list[str], set[str]]:
        """Sorted names in ``folder``, a path from the root, and which of them are folders; hidden ones are left out."""
        names, folders = [], set()
        path = os.path.join(self.root, folder)
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        self.ignored["hidden"] += 1
                    elif _leads_to(entry.is_dir):
                        folders.add(entry.name)
                        names.append(entry.name)
                    elif _leads_to(entry.is_file):
                        names.append(entry.name)
                    else:
                        self.ignored["broken link(s)" if entry.is_symlink() else "special file(s)"] += 1
        except OSError as error:
            raise InputError(f"{self.key} = {self.root!r}: {path} cannot be listed: {error.strerror}") from error
        require_one_set(self.key, self.root, path, names, folders)
        names.sort()
        return names, folders

    def add(self, folder: str = "", above: tuple[os.stat_result, ...] = ()) -> int:
        """Adds all images below ``folder``, a path from the root, and returns the number of images so far.

        ``above`` are its parent folders, to which a link may lead back.
        """
        path = os.path.join(self.root, folder)
        here = os.stat(path)
        if folder and not above:
            above = (os.stat(self.root),)
        if any(os.path.samestat(here, one) for one in above):
            self.ignored["link(s) to a folder above"] += 1
            return len(self)
        names, folders = self.scan(folder)
        for name in names:
            if name in folders:
                self.add(f"{folder}/{name}" if folder else name, (*above, here))
            elif is_image_name(name):
                try:
                    self._sizes.append(os.stat(f"{path}/{name}").st_size)
                except FileNotFoundError:  # deleted since it was listed
                    self.ignored["gone by now"] += 1
                    continue
                self._text += os.fsencode(f"{folder}/{name}" if folder else name)
                self._ends.append(len(self._text))
            else:
                self.ignored[kind(name)] += 1
        return len(self)
