"""Notes on files while they are read: they are counted and reported, and too many unreadable files end the run."""

from __future__ import annotations

import warnings
from enum import IntEnum
from typing import TYPE_CHECKING

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.messages import Notice

if TYPE_CHECKING:
    from cplearn_solo.data.image_set import FileSet

NAMED = 3  # files in a message
ALWAYS_ALLOWED = 3  # unreadable files, however small the set is


class Note(IntEnum):
    """A note on a file that was read, or could not be."""

    READ = 0
    ONE_OF_SEVERAL = 1  # its first image was taken
    UNREADABLE = 2  # the next file that can be read took its place


TEXTS = {
    Note.ONE_OF_SEVERAL: "files hold several images, of which the first is used",
    Note.UNREADABLE: "images could not be read and are skipped",
}


def allowed(max_unreadable: float, count: int) -> float:
    """How many of ``count`` files may be unreadable: that share, but at least three; none if the share is 0."""
    return max(max_unreadable * count, ALWAYS_ALLOWED) if max_unreadable else 0


class Tally:
    """The notes on the files of a set."""

    def __init__(self, images: FileSet) -> None:
        self.images = images
        self._files: dict[Note, set[int]] = {note: set() for note in TEXTS}
        self._told = dict.fromkeys(TEXTS, 0)

    @property
    def unreadable(self) -> set[int]:
        """Indices of the files that could not be read."""
        return self._files[Note.UNREADABLE]

    def add(self, index: int, note: Note) -> None:
        """Adds a note. Raises ``InputError``, with the reason for one file, if more than allowed are unreadable."""
        self._files[note].add(index)
        images, found = self.images, self.unreadable
        if len(found) <= allowed(images.max_unreadable, len(images)):
            return
        try:
            images.load(min(found))
            reason = f"{images.name(min(found))}, which can be read by now"
        except InputError as error:
            reason = str(error)
        wanted = f"higher to skip {len(found)} or more of {len(images)} images: {reason}"
        require(False, "data.max_unreadable", images.max_unreadable, wanted)

    def tell(self) -> None:
        """Warns with counts and some names: once of files with several images, of unreadable ones if there are more."""
        for note, files in self._files.items():
            if len(files) > self._told[note] and not (note == Note.ONE_OF_SEVERAL and self._told[note]):
                names = ", ".join(self.images.name(i) for i in sorted(files)[:NAMED])
                more = ", ..." if len(files) > NAMED else ""
                message = f"{len(files)} of {len(self.images)} {TEXTS[note]}: {names}{more}"
                warnings.warn(message, Notice, stacklevel=3)
                self._told[note] = len(files)
