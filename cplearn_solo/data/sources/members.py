"""What is in an archive, and at which bytes."""

from __future__ import annotations

import os
import posixpath
import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cplearn_solo.data.decoding import is_image_name
from cplearn_solo.data.notes import say_once

IN_UTF8 = 1 << 11  # flag of a name in a zip file
LONGEST_PATH = 4096  # on Linux; a link's content is read whole
LOCAL_HEADER = struct.Struct("<26x2H")  # of a member of a zip file: lengths of its name and its extra field


class Member(NamedTuple):
    """A file in an archive: ``length`` bytes from ``offset`` on, or ``size`` bytes when unpacked; or a folder, whose
    name ends in /."""

    name: str
    offset: int
    length: int
    size: int
    deflated: bool = False
    broken: bool = False  # a link that leads to no file in the archive


def members_of(path: Path, file: BinaryIO) -> Iterator[Member]:
    """All files and folders in an archive that is open as ``file``, in its order, then its links."""
    read, links = _tar if path.suffix.lower() == ".tar" else _zip, Links()
    yield from read(file, links)
    found = set()
    for member in read(file, Links()) if links else ():
        for name in links.get(member.name, ()):
            found.add(member.name)
            yield member._replace(name=name)
    for target in links.keys() - found:
        yield from (Member(name, 0, 0, 0, broken=True) for name in links[target])


class Links(dict[str, list[str]]):
    """The names of links by the path in the archive that they lead to."""

    def add(self, name: str, target: str, start: str) -> None:
        """Adds a link to ``target``, a path from ``start``."""
        self.setdefault(_path(posixpath.join(start, target)), []).append(name)


def _path(name: str) -> str:
    """The path of a member without . and .., with which programs begin it if they pack what is beside their folder."""
    path = posixpath.normpath(name)
    while path.startswith("../"):
        path = path.removeprefix("../")
    return path


def _folder(name: str) -> Member:
    return Member(f"{name.rstrip('/')}/", 0, 0, 0)


def _tar(file: BinaryIO, links: Links) -> Iterator[Member]:
    """Raises ``TarError`` for images that are stored as sparse files, and for archives that are cut off in a member."""
    for info in _tar_infos(file):
        name = _path(info.name)
        if info.issparse() and is_image_name(name):
            raise tarfile.TarError(f"{name} is packed without its holes, as by tar --sparse")
        if info.isdir():
            yield _folder(name)
        elif info.isreg():
            yield Member(name, info.offset_data, info.size, info.size)
        elif info.islnk() or info.issym():
            links.add(name, info.linkname, start=posixpath.dirname(name) if info.issym() else "")


def _tar_infos(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """The headers of an archive, and of archives that were written after it, as by ``cat a.tar b.tar``."""
    start: int | None = 0
    while start is not None:
        file.seek(start)
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                tar.members.clear()  # else it keeps an object for each
                yield info
            _require_end(file, tar.offset)
            start = _following(file, tar.offset)


def _require_end(file: BinaryIO, end: int) -> None:
    """Raises ``TarError`` if something else than zeros, such as a part of a header, follows the last member, which ends
    at byte ``end``.

    Two blocks of zeros end an archive in POSIX (pax, ustar Interchange Format), in Python and in GNU tar, but Julia's
    Tar.jl and others write none, and GNU tar takes what has none for whole.
    """
    file.seek(end)
    block = file.read(tarfile.BLOCKSIZE)
    if not block:
        say_once(f"{file.name} lacks the zeros that end a .tar: images are missing if it was cut off")
    if any(block):
        raise tarfile.TarError(f"it is cut off or damaged after {end} bytes")


def _following(file: BinaryIO, end: int) -> int | None:
    """The byte at which an archive begins after the zeros from ``end`` on; ``None`` if there is none."""
    file.seek(end)
    for block in iter(lambda: file.read(tarfile.BLOCKSIZE), b""):
        if any(block):
            start = file.tell() - len(block)
            try:
                tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
            except tarfile.HeaderError:
                say_once(f"not read in {file.name}: what follows the end of the .tar from byte {start} on")
                return None
            return start
    return None


def _zip(file: BinaryIO, links: Links) -> Iterator[Member]:
    """Raises ``BadZipFile`` for members that are encrypted or packed by other means than deflation."""
    with zipfile.ZipFile(file) as packed:
        for info in packed.infolist():
            name = _zip_name(info)
            folder, name = name.endswith("/"), _path(name)
            if folder:
                yield _folder(name)
                continue
            deflated = info.compress_type == zipfile.ZIP_DEFLATED
            if info.flag_bits & 1 or not (deflated or info.compress_type == zipfile.ZIP_STORED):
                raise zipfile.BadZipFile(f"{info.filename} is encrypted, or packed by other means than deflation")
            if stat.S_ISLNK(info.external_attr >> 16) and info.file_size <= LONGEST_PATH:
                links.add(name, os.fsdecode(packed.read(info)), start=posixpath.dirname(name))
                continue
            file.seek(info.header_offset)
            start = info.header_offset + LOCAL_HEADER.size + sum(LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size)))
            yield Member(name, start, info.compress_size, info.file_size, deflated)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The path of a member, with / between folders.

    A name that is not marked as UTF-8 is of code page 437 to Python, but Info-ZIP and macOS write UTF-8 without a mark.
    """
    name = info.filename
    if not info.flag_bits & IN_UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name if info.create_system else name.replace("\\", "/")  # some programs on Windows separate folders by it
