"""Where the images of a set are, in a few arrays.

With a list of a million strings, every worker would soon have a copy: Python counts references in the strings
themselves, so that reading one writes to its memory page. Arrays stay shared with the workers.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np

from cplearn_solo.data.decoding.source import Source, as_text

PIECE = 256  # bytes from the middle of a file, which differ between nearly all files of one size


class Names(Sequence[bytes]):
    """Byte strings, one after another in one buffer."""

    def __init__(self, text: bytes | bytearray, ends: np.ndarray) -> None:
        self.text, self.ends = np.frombuffer(text, np.uint8), ends

    @classmethod
    def of(cls, names: Iterable[bytes]) -> Names:
        """Packs ``names``."""
        names = list(names)
        return cls(b"".join(names), np.cumsum([len(name) for name in names], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> bytes:
        i = range(len(self))[i]
        return self.text[self.ends[i - 1] if i else 0 : self.ends[i]].tobytes()


class Index(Sequence[Source]):
    """Images to decode, and what is known of them before that.

    ``sizes`` are their numbers of bytes, int64 of shape (N,); ``place`` is the folder, archive or table they are in.
    """

    sizes: np.ndarray
    place: str

    def __len__(self) -> int:
        return len(self.sizes)

    @abstractmethod
    def __getitem__(self, i: int) -> Source: ...

    @abstractmethod
    def key(self, i: int) -> bytes:
        """Identifies image ``i``, independently of where the set is stored and what else is in it."""

    def file(self, i: int) -> str:
        """Where image ``i`` is in ``place``: a path, or its number where images have no names."""
        return str(i)

    @abstractmethod
    def content(self, i: int) -> bytes:
        """The encoded image."""

    def piece(self, i: int) -> bytes:
        """Some bytes from the middle of the content."""
        content = self.content(i)
        return content[len(content) // 2 :][:PIECE]

    @abstractmethod
    def known_by(self) -> Iterable[np.ndarray]:
        """Arrays that determine all keys, for a hash; empty if images have no names."""


class Named(Index):
    """Images with names, which are paths relative to ``place``."""

    def __init__(self, place: str, names: Names, sizes: np.ndarray) -> None:
        self.place, self.names, self.sizes = place, names, sizes

    def key(self, i: int) -> bytes:
        return self.names[i]

    def file(self, i: int) -> str:
        return as_text(self.names[i])

    def known_by(self) -> Iterable[np.ndarray]:
        return self.names.text, self.names.ends


class Files(Named):
    """Files in a folder; their names may be absolute paths, too."""

    def __getitem__(self, i: int) -> str:
        return os.path.join(self.place, os.fsdecode(self.names[i]))

    def content(self, i: int) -> bytes:
        with open(self[i], "rb") as file:
            return file.read()

    def piece(self, i: int) -> bytes:
        with open(self[i], "rb") as file:
            file.seek(self.sizes[i] // 2)
            return file.read(PIECE)


class Joined(Index):
    """Several indices, one after another."""

    def __init__(self, parts: Sequence[Index]) -> None:
        self.parts = parts
        self.ends = np.cumsum([len(part) for part in parts])
        self.sizes = np.concatenate([part.sizes for part in parts])

    def _part(self, i: int) -> tuple[Index, int]:
        i = range(len(self))[i]
        number = int(np.searchsorted(self.ends, i, side="right"))
        return self.parts[number], i - int(self.ends[number - 1] if number else 0)

    def __getitem__(self, i: int) -> Source:
        part, at = self._part(i)
        return part[at]

    def key(self, i: int) -> bytes:
        part, at = self._part(i)
        return part.key(at)

    def file(self, i: int) -> str:
        part, at = self._part(i)
        return os.path.join(as_text(os.path.relpath(part.place, self.place)), part.file(at))

    @property
    def place(self) -> str:
        return os.path.commonpath([part.place for part in self.parts])

    def content(self, i: int) -> bytes:
        part, at = self._part(i)
        return part.content(at)

    def piece(self, i: int) -> bytes:
        part, at = self._part(i)
        return part.piece(at)

    def known_by(self) -> Iterable[np.ndarray]:
        return (array for part in self.parts for array in part.known_by())


class Selected(Index):
    """The sources in ``rows``, in that order. If ``sources`` is no ``Index``, only items can be read."""

    def __init__(self, sources: Sequence[Source], rows: np.ndarray) -> None:
        if isinstance(sources, Selected):
            sources, rows = sources.sources, sources.rows[rows]
        self.sources, self.rows = sources, rows

    @property
    def sizes(self) -> np.ndarray:
        return self.sources.sizes[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Source:
        return self.sources[int(self.rows[i])]

    def key(self, i: int) -> bytes:
        return self.sources.key(int(self.rows[i]))

    def file(self, i: int) -> str:
        return self.sources.file(int(self.rows[i]))

    @property
    def place(self) -> str:
        return self.sources.place

    def content(self, i: int) -> bytes:
        return self.sources.content(int(self.rows[i]))

    def piece(self, i: int) -> bytes:
        return self.sources.piece(int(self.rows[i]))

    def known_by(self) -> Iterable[np.ndarray]:
        return (*self.sources.known_by(), self.rows)


def joined(parts: Sequence[Index]) -> Index:
    """One index of several."""
    return parts[0] if len(parts) == 1 else Joined(parts)
