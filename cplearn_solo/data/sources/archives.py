"""Archives of images, read by the positions of their members: any image at any time, as random orders need."""

from __future__ import annotations

import os
import posixpath
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from cplearn_solo.core.errors import InputError, reason_of, require, some
from cplearn_solo.data.decoding import EncodedImage, is_image_name
from cplearn_solo.data.decoding.source import as_text, require_fetched
from cplearn_solo.data.index import PIECE, Index, Named, Names, joined
from cplearn_solo.data.notes import counted
from cplearn_solo.data.sources.class_folders import outer_folder, require_filled
from cplearn_solo.data.sources.labels import Labels, from_names, from_words, require_classes, tell_absent, unlabelled
from cplearn_solo.data.sources.listing import is_hidden, kind, tell_ignored
from cplearn_solo.data.sources.members import Member, members_of
from cplearn_solo.data.sources.no_labels import all_labelled, require_labels
from cplearn_solo.data.sources.one_set import OWN_RUN, require_one_set

ARCHIVES = (".tar", ".zip")
LABEL = ".cls"  # the extension of labels in WebDataset


class Members(Named):
    """Images in an archive."""

    def __init__(self, archive: str, members: Sequence[Member]) -> None:
        names = Names.of(member.name.encode(errors="surrogateescape") for member in members)
        places = np.array([member[1:5] for member in members], np.int64)
        self.offsets, self.lengths, sizes, self.deflated = places.T.copy()
        super().__init__(archive, names, sizes)

    def __getitem__(self, i: int) -> EncodedImage:
        return EncodedImage(self.content(i), self._name(i))

    def content(self, i: int) -> bytes:
        """Raises ``InputError`` naming the member that cannot be read or unpacked."""
        stored = self._read(i, 0, int(self.lengths[i]))
        try:
            return zlib.decompress(stored, -15) if self.deflated[i] else stored
        except zlib.error as error:
            raise InputError(f"unreadable image {self._name(i)}: {error}") from error

    def piece(self, i: int) -> bytes:
        if self.deflated[i]:
            return super().piece(i)
        middle = int(self.sizes[i]) // 2
        return self._read(i, middle, min(PIECE, int(self.sizes[i]) - middle))

    def _read(self, i: int, start: int, length: int) -> bytes:
        try:
            with open(self.place, "rb") as file:
                file.seek(int(self.offsets[i]) + start)
                return file.read(length)
        except OSError as error:
            raise InputError(f"unreadable image {self._name(i)}: {error.strerror}") from error

    def _name(self, i: int) -> str:
        return f"{self.file(i)} in {self.place}"


def is_archive(place: Path) -> bool:
    return place.suffix.lower() in ARCHIVES and place.is_file()


def read_archives(paths: Sequence[Path], key: str, *, labelled: bool) -> tuple[Index, Labels]:
    """The images of archives: WebDataset shards if there are labels beside the images, else folders of classes.

    Folders of classes are sorted by name, so that an archive gives the same as the folder that it was made of. Raises
    ``InputError`` for archives that hold several parts of a data set, or runs of this program.
    """
    parts = all_labelled(partial(_read, path, key, labelled) for path in paths)
    words = [word for part in parts for word in part.words]
    sharded = any(part.sharded for part in parts)
    where = some([str(path) for path in paths])
    if sharded:
        require_classes(words, key, where)
    found = joined([part.images for part in parts])
    if not labelled:
        return found, unlabelled(len(found))
    if not sharded:
        return found, from_names(words)
    labels = from_words(words)
    tell_absent(labels, where, f"an empty {LABEL}")
    return found, labels


def without_outer_folder(path: Path, key: str) -> list[str] | None:
    """The paths of an archive's images from the folder that is around its classes; ``None`` if it has labels beside
    the images."""
    content = _contents(path, key)
    if content.beside:
        return None
    names = [member.name for member in content.images]
    outer = outer_folder(names)
    return [name.removeprefix(outer) for name in names]


class Part(NamedTuple):
    """The images of an archive, with the word for each one's label; none if it is read without labels."""

    images: Members
    words: list[str | None]
    sharded: bool


def _read(path: Path, key: str, labelled: bool) -> Part:
    content = _contents(path, key)
    images, beside = content.images, content.beside
    words: list[str | None] = []
    if not beside:
        images.sort(key=lambda member: member.name.split("/"))
    if labelled and beside:
        wanted = f"an archive whose labels can be read, and {''.join(content.unread[:1])}"
        require(not content.unread, key, str(path), wanted)
        words += [beside.get(_sample(member.name)) for member in images]
    elif labelled:
        images, words = _of_classes(path, key, content)
    tell_ignored(path, content.ignored)
    return Part(Members(str(path), images), words, bool(beside))


class Content(NamedTuple):
    """What is in an archive: the images, the labels beside them by the name of a sample, and everything else."""

    images: list[Member]
    beside: dict[str, str]
    unread: list[str]  # which labels cannot be read, and why
    folders: dict[str, set[str]]  # the names of those in each folder, which is "" at the top
    ignored: Counter[str]


def _contents(path: Path, key: str) -> Content:
    require_fetched(path)
    content = Content([], {}, [], {"": set()}, Counter())
    of_runs: set[str] = set()  # files that runs of this program have
    try:
        with path.open("rb") as file:
            for member in members_of(path, file):
                _sort_in(member, file, content, of_runs)
            length = file.seek(0, os.SEEK_END)
    except (OSError, ValueError, EOFError, struct.error, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        wanted = f"a .tar without compression, or a .zip, and it cannot be read: {reason_of(error)}"
        require(False, key, str(path), wanted)
    for folder, inner in sorted(content.folders.items()):
        names = inner | {name for name in OWN_RUN if posixpath.join(folder, name) in of_runs}
        require_one_set(key, path, folder, names, inner, packed=True)
    # if several have one name, unpacking leaves the last
    images = list({member.name: member for member in content.images}.values())
    whole = all(member.offset + member.length <= length for member in images)
    require(whole, key, str(path), f"a whole archive, and it ends after {length} bytes within an image")
    found = f", and it holds {counted(content.ignored)}" if content.ignored else ""
    require(len(images) > 0, key, str(path), f"an archive with images{found}")
    return content._replace(images=images)


def _sort_in(member: Member, file: BinaryIO, content: Content, of_runs: set[str]) -> None:
    """Adds a member of ``file`` to ``content``; folders have no name after the last slash."""
    folder, _, name = member.name.rpartition("/")
    if any(map(is_hidden, member.name.split("/"))):
        if name:
            content.ignored["hidden"] += 1
        return
    _note(folder, content.folders)
    if not name:
        return
    if name in OWN_RUN:
        of_runs.add(member.name)
    if member.broken:
        content.ignored["link(s) to no file in it"] += 1
    elif is_image_name(name):
        content.images.append(member)
    elif name.endswith(LABEL):
        file.seek(member.offset)
        stored = file.read(member.length)
        word = ""
        try:
            word = (zlib.decompress(stored, -15) if member.deflated else stored).decode().strip()
        except (zlib.error, UnicodeDecodeError) as error:
            content.unread.append(f"{member.name} cannot: {reason_of(error)}")
        content.beside[_sample(member.name)] = word
    else:
        content.ignored[kind(name)] += 1


def _note(folder: str, folders: dict[str, set[str]]) -> set[str]:
    """The names of the folders in ``folder``, which is noted in those above it."""
    if folder not in folders:
        above, _, name = folder.rpartition("/")
        folders[folder] = set()
        _note(above, folders).add(name)
    return folders[folder]


def _of_classes(path: Path, key: str, content: Content) -> tuple[list[Member], list[str | None]]:
    """The images in class folders, and the class of each: the first folder of its path from that around them."""
    outer = outer_folder([member.name for member in content.images])
    inside = [member for member in content.images if "/" in member.name.removeprefix(outer)]
    wanted = "an archive of class folders, or of WebDataset shards, or set data.no_labels=true"
    require_labels(len(inside) > 0, key, str(path), wanted, likely=False)
    content.ignored.update({"outside the class folders": len(content.images) - len(inside)})
    classes = [member.name.removeprefix(outer).partition("/")[0] for member in inside]
    require_filled(sorted(content.folders[outer.removesuffix("/")].difference(classes)), key, path, "an archive")
    return inside, [as_text(name) for name in classes]


def _sample(name: str) -> str:
    """What the files of a WebDataset sample share: their path up to the first dot of their name."""
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.partition('.')[0]}"
