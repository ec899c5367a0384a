"""Archives of images, read by the positions of their members: any image at any time, as random orders need."""

from __future__ import annotations

import os
import posixpath
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from cplearn_solo.core.errors import InputError, reason_of, require
from cplearn_solo.data.decoding import EncodedImage, is_image_name
from cplearn_solo.data.decoding.source import as_text
from cplearn_solo.data.index import PIECE, Index, Named, Names, joined
from cplearn_solo.data.notes import counted
from cplearn_solo.data.sources.labels import Labels, from_words, require_from_zero, unlabelled
from cplearn_solo.data.sources.listing import is_hidden, kind, tell_ignored

ARCHIVES = (".tar", ".zip")
LABEL = ".cls"  # the extension of labels in WebDataset
LOCAL_HEADER = struct.Struct("<26x2H")  # of a member of a zip file: lengths of its name and its extra field


class Member(NamedTuple):
    """A file in an archive: ``length`` bytes from ``offset`` on, or ``size`` bytes when unpacked."""

    name: str
    offset: int
    length: int
    size: int
    deflated: bool = False


class Members(Named):
    """Images in an archive."""

    def __init__(self, archive: str, members: Sequence[Member]) -> None:
        names = Names.of(member.name.encode(errors="surrogateescape") for member in members)
        places = np.array([member[1:] for member in members], np.int64)
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


def read_archives(paths: Sequence[Path], key: str, *, labelled: bool) -> tuple[Index, Labels]:
    """The images of archives: WebDataset shards if there are labels beside the images, else folders of classes.

    Folders of classes are sorted by name, so that an archive gives the same as the folder that it was made of.
    """
    found, words, sharded = [], [], False
    for path in paths:
        images, beside = _contents(path, key)
        sharded = sharded or bool(beside)
        if not beside:
            images.sort(key=lambda member: member.name.split("/"))
        found.append(Members(str(path), images))
        names = [member.name for member in images]
        if labelled:
            words += [beside.get(_sample(name)) for name in names] if beside else _class_names(path, names, key)
    if sharded:
        require_from_zero(words, key, ", ".join(map(str, paths)))
    labels = from_words(words, numbers=sharded) if labelled else unlabelled(sum(map(len, found)))
    return joined(found), labels


def _contents(path: Path, key: str) -> tuple[list[Member], dict[str, str]]:
    """The images in an archive, and the labels beside them by the name of a sample."""
    images: list[Member] = []
    beside: dict[str, str] = {}
    ignored: Counter[str] = Counter()
    try:
        with path.open("rb") as file:
            for member in (_tar if path.suffix.lower() == ".tar" else _zip)(path, file):
                name = member.name.rpartition("/")[2]
                if any(map(is_hidden, member.name.split("/"))):
                    ignored["hidden"] += 1
                elif is_image_name(name):
                    images.append(member)
                elif name.endswith(LABEL) and not member.deflated:
                    file.seek(member.offset)
                    beside[_sample(member.name)] = file.read(member.length).decode().strip()
                else:
                    ignored[kind(name)] += 1
            length = file.seek(0, os.SEEK_END)
    except (OSError, ValueError, EOFError, struct.error, tarfile.TarError, zipfile.BadZipFile) as error:
        wanted = f"a .tar without compression, or a .zip, and it cannot be read: {reason_of(error)}"
        require(False, key, str(path), wanted)
    # if several have one name, unpacking leaves the last
    images = list({member.name: member for member in images}.values())
    whole = all(member.offset + member.length <= length for member in images)
    require(whole, key, str(path), f"a whole archive, and it ends after {length} bytes within an image")
    found = f", and it holds {counted(ignored)}" if ignored else ""
    require(len(images) > 0, key, str(path), f"an archive with images{found}")
    tell_ignored(path, ignored)
    return images, beside


def _tar(path: Path, file: BinaryIO) -> Iterator[Member]:
    """Raises ``TarError`` for images that are stored as sparse files."""
    links: dict[str, list[str]] = {}  # names of links by their targets
    for info in _tar_infos(file):
        name = info.name.removeprefix("./")
        if info.issparse() and is_image_name(name):
            raise tarfile.TarError(f"{name} is packed without its holes, as by tar --sparse")
        if info.isreg():
            yield Member(name, info.offset_data, info.size, info.size)
        elif info.islnk() or info.issym():
            start = posixpath.dirname(name) if info.issym() else ""
            links.setdefault(posixpath.normpath(posixpath.join(start, info.linkname)), []).append(name)
    for info in _tar_infos(file) if links else ():
        for name in links.get(posixpath.normpath(info.name), ()) if info.isreg() else ():
            yield Member(name, info.offset_data, info.size, info.size)


def _tar_infos(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for info in tar:
            tar.members.clear()  # else it keeps an object for each
            yield info


def _zip(path: Path, file: BinaryIO) -> Iterator[Member]:
    """Raises ``BadZipFile`` for members that are encrypted or packed by other means than deflation."""
    with zipfile.ZipFile(path) as packed:
        for info in packed.infolist():
            if info.is_dir():
                continue
            deflated = info.compress_type == zipfile.ZIP_DEFLATED
            if info.flag_bits & 1 or not (deflated or info.compress_type == zipfile.ZIP_STORED):
                raise zipfile.BadZipFile(f"{info.filename} is encrypted, or packed by other means than deflation")
            file.seek(info.header_offset)
            start = info.header_offset + LOCAL_HEADER.size + sum(LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size)))
            # some programs on Windows separate folders by backslashes
            name = info.filename if info.create_system else info.filename.replace("\\", "/")
            yield Member(name, start, info.compress_size, info.file_size, deflated)


def _sample(name: str) -> str:
    """What the files of a WebDataset sample share: their path up to the first dot of their name."""
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.partition('.')[0]}"


def _class_names(path: Path, names: list[str], key: str) -> list[str]:
    """The class folder of each image: the outermost one, not counting those that hold nothing but one folder."""
    folders = [name.split("/")[:-1] for name in names]
    depth, shallowest = 0, min(map(len, folders))
    while depth + 1 < shallowest and len({folder[depth] for folder in folders}) == 1:
        depth += 1
    wanted = "an archive of class folders, or of WebDataset shards, or set data.no_labels=true"
    require(shallowest > 0, key, str(path), wanted)
    return [as_text(folder[depth]) for folder in folders]
