"""Archives of images: the same as the folders they were made of, or shards with labels beside the images."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import stat
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from support.images import encode, noise_images, write_images

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import Augmentation, DataConfig, FileSet, load_splits, train_loader
from cplearn_solo.data.notes import say_once

NAMES = ["cat/1.png", "cat/deep/2.png", "dog/3.png", "dog/4.png"]


def read(path: object, **config) -> FileSet:
    return load_splits(DataConfig(dataset="custom", train_path=str(path), **config), seed=0).train


def fails(message: str, path: Path, **config) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(path, **config)
    assert "\n" not in str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_images(tmp_path / "animals", NAMES)
    (tmp_path / "animals/dog/notes.txt").write_text("no image")
    write_images(tmp_path, ["animals/__MACOSX/cat/1.png", "animals/cat/._1.png"])
    return tmp_path / "animals"


def packed(root: Path, kind: str) -> Path:
    """An archive of the folder, made as users make them; ``-inside`` has its class folders at the top."""
    path = root.parent / f"packed.{kind.partition('-')[0]}"
    inside = root if kind.endswith("inside") else root.parent
    if kind.startswith("tar"):
        subprocess.run(["tar", "-cf", path, "-C", inside, "." if inside == root else root.name], check=True)
    else:
        pack = zipfile.ZIP_DEFLATED if "deflated" in kind else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", pack) as archive:
            for file in root.rglob("*"):  # in any order
                archive.write(file, file.relative_to(inside))
    return path


@pytest.mark.parametrize("kind", ["tar", "tar-inside", "zip", "zip-inside", "zip-deflated"])
def test_archive_is_the_same_as_its_folder(root: Path, kind: str, capsys: pytest.CaptureFixture) -> None:
    folder, archive = read(root), read(packed(root, kind))
    told = capsys.readouterr().out
    assert "packed" in told and "1 .txt" in told and "hidden" in told
    assert archive.classes == folder.classes == ("cat", "dog")
    assert torch.equal(archive.labels, folder.labels)
    for i in range(4):
        assert archive.load(i).tobytes() == folder.load(i).tobytes()
        assert archive.sources.content(i) == folder.sources.content(i)
        assert archive.sources.piece(i) == folder.sources.piece(i)
    assert (archive.sources.sizes == folder.sources.sizes).all()
    assert len(read(packed(root, kind), no_labels=True)) == 4


def test_overlap_of_an_archive_with_a_folder(root: Path) -> None:
    shutil.rmtree(root / "__MACOSX")
    fails("4 of 4 scored images", packed(root, "zip-deflated"), val_path=str(root))


def test_archive_of_one_class(tmp_path: Path) -> None:
    write_images(tmp_path / "animals", ["cat/1.png", "cat/2.png"])
    assert read(packed(tmp_path / "animals", "zip")).classes == ("cat",)


@pytest.mark.parametrize("kind", ["tar", "tar-inside", "zip", "zip-inside"])
def test_images_beside_class_folders_are_counted_as_in_a_folder(root: Path, kind: str, capsys) -> None:
    write_images(root, ["cover.png", "thumbnail.png"], seed=1)
    images = read(packed(root, kind))
    assert (images.classes, images.labels.tolist()) == (("cat", "dog"), [0, 0, 1, 1])
    assert "2 outside the class folders" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["tar", "tar-inside", "zip", "zip-inside"])
def test_class_folder_without_an_image_is_named(root: Path, kind: str) -> None:
    (root / "horse").mkdir()
    message = "packed.*': must be an archive of class folders with images, and there are none in horse$"
    fails(message, packed(root, kind))
    (root / "horse/film.mov").write_bytes(b"")
    fails(message, packed(root, kind))
    assert len(read(packed(root, kind), no_labels=True)) == 4


@pytest.mark.parametrize("kind", ["tar-inside", "zip"])
@pytest.mark.parametrize("no_labels", [True, False])
@pytest.mark.parametrize("place", ["", "cat/"])
def test_parts_in_an_archive_are_refused(root: Path, kind: str, no_labels: bool, place: str) -> None:
    write_images(root, [f"{place}{part}/{name}" for part in ("train", "val") for name in NAMES])
    outer = f"{root.name}/{place}" if kind == "zip" else place
    wanted = f"must be one part of the data: unpack it, and set data.train_path={outer}train data.val_path={outer}val$"
    fails(f"data.train_path = .*packed.*': {wanted}", packed(root, kind), no_labels=no_labels)


@pytest.mark.parametrize("kind", ["tar-inside", "zip"])
@pytest.mark.parametrize("no_labels", [True, False])
def test_own_runs_in_an_archive_are_no_images(root: Path, kind: str, no_labels: bool) -> None:
    run = "runs/cplearn/20250101-000000"
    write_images(root, [f"{run}/figures/tsne.png"])
    (root / run / "config.yaml").write_text("")
    fails(f"must be an archive without runs, and .*{run} is one: ", packed(root, kind), no_labels=no_labels)


def test_epoch_of_an_archive_is_that_of_its_folder(root: Path) -> None:
    def epoch(images: FileSet) -> list[torch.Tensor]:
        loader = train_loader(images, [Augmentation(crop_size=8, num_crops=2)], batch_size=2, num_workers=2, seed=3)
        loader.batch_sampler.set_epoch(1)
        return [crop for batch in loader for crop in batch[1]]

    folder, archive = epoch(read(root)), epoch(pickle.loads(pickle.dumps(read(packed(root, "tar")))))
    assert len(folder) == 4 and all(map(torch.equal, folder, archive))


def write_shards(folder: Path, labels: list[str], per_shard: int = 2) -> None:
    folder.mkdir()
    images = noise_images(len(labels), 20, 24)
    for start in range(0, len(labels), per_shard):
        with tarfile.open(folder / f"set-{start // per_shard:04d}.tar", "w") as tar:
            for i in reversed(range(start, start + per_shard)):
                for ending, data in (("cls", labels[i].encode()), ("png", encode(images[i])), ("json", b"{}")):
                    info = tarfile.TarInfo(f"part.1/{i:06d}.{ending}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(
    ("words", "labels", "classes"),
    [(["3", "0", "1", "3"], [0, 3, 3, 1], ()), (["1", "cat", "dog", "cat"], [1, 0, 1, 2], ("1", "cat", "dog"))],
)
def test_webdataset_shards(tmp_path: Path, words: list[str], labels: list[int], classes: tuple[str, ...]) -> None:
    write_shards(tmp_path / "shards", words)
    found = read(tmp_path / "shards/set-{0000..0001}.tar")
    assert (found.labels.tolist(), found.classes) == (labels, classes)  # in the order of the files in the shards
    assert found.load(3).tobytes() == read(tmp_path / "shards/set-*.tar").load(3).tobytes()
    assert found.subset(torch.tensor([3, 0])).name(0) == f"part.1/000002.png in {tmp_path}/shards/set-0001.tar"
    fails("set-0002.tar': must be a file or folder that exists", tmp_path / "shards/set-{0000..0002}.tar")


def test_damaged_archives(root: Path) -> None:
    path = packed(root, "tar")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    fails("packed.tar': must be a (whole archive, and it ends|.tar without compression, .* cannot be read)", path)
    path.write_bytes(b"nonsense" * 100)
    fails("packed.tar': must be a .tar without compression, or a .zip, and it cannot be read: ", path)
    subprocess.run(["tar", "-czf", path, "-C", root, "cat"], check=True)
    fails("must be a .tar without compression", path)
    path = packed(root, "zip")
    longer = bytearray(path.read_bytes())
    entry = longer.rindex(b"PK\1\2")  # the last one of the list of files, whose sizes are said to be larger
    longer[entry + 20 : entry + 28] = struct.pack("<II", 10**6, 10**6)
    path.write_bytes(longer)
    fails(f"packed.zip': must be a whole archive, and it ends after {len(longer)} bytes within an image", path)
    path = packed(root, "zip-deflated")
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[:-30])
    fails("packed.zip': must be .* cannot be read: File is not a zip file", path)
    start = int(zipfile.ZipFile(io.BytesIO(whole)).getinfo("animals/cat/1.png").header_offset)
    whole[start + 60 : start + 400] = b"\xff" * 340
    path.write_bytes(whole)
    with pytest.raises(InputError, match="unreadable image animals/cat/1.png in .*packed.zip: "):
        read(path).load(0)


def headers(path: Path) -> list[int]:
    """Where the members of a tar begin."""
    with tarfile.open(path) as tar:
        return [info.offset for info in tar]


def test_no_cut_of_a_tar_is_silent(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_images(tmp_path / "animals", NAMES)
    path = packed(tmp_path / "animals", "tar")
    whole = path.read_bytes()
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    assert len(read(path)) == 4 and capsys.readouterr().out == ""
    starts = {*headers(path)}
    for length in sorted({*starts - {0}, *range(100, end, 101), end}):
        path.write_bytes(whole[:length])
        say_once.cache_clear()
        try:
            read(path, no_labels=True)
        except InputError as error:
            told = str(error)
            assert length not in starts or "must be an archive with images" in told  # only folders are before the cut
        else:
            told = ""
            assert length in starts | {end}  # some programs end a .tar where its last member ends
        line = f"{path} lacks the zeros that end a .tar: images are missing if it was cut off\n"
        assert capsys.readouterr().out == (line if length in starts | {end} else ""), (length, told)


@pytest.mark.parametrize("zeros", [1, 511, 512, 1024, 10240])
def test_a_tar_that_ends_in_zeros_is_whole(root: Path, zeros: int, capsys: pytest.CaptureFixture) -> None:
    path = packed(root, "tar")
    whole = path.read_bytes()
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    path.write_bytes(whole[:end] + b"\0" * zeros)
    assert len(read(path)) == 4 and "lacks" not in capsys.readouterr().out


def test_archives_one_after_another_are_read_whole(root: Path, capsys: pytest.CaptureFixture) -> None:
    """As GNU tar reads them with -i."""
    path = packed(root, "tar")
    folder, first = read(root), path.read_bytes()
    path.write_bytes(first + first)
    assert len(read(path)) == 4  # of members with the same name the last is read
    subprocess.run(["tar", "-cf", path, "-C", root.parent, "animals/cat"], check=True)
    with open(path, "ab") as file:
        subprocess.run(["tar", "-c", "-C", root.parent, "animals/dog"], check=True, stdout=file)
    capsys.readouterr()
    images = read(path)
    assert (images.labels.tolist(), images.classes) == (folder.labels.tolist(), folder.classes)
    assert [images.sources.content(i) for i in range(4)] == [folder.sources.content(i) for i in range(4)]
    cut = path.read_bytes().rstrip(b"\0")[:-900]
    path.write_bytes(cut)
    fails("packed.tar': must be a (whole archive, and it ends|.tar without compression, .* cannot be read)", path)
    path.write_bytes(first + b"notes")
    assert len(read(path)) == 4
    told = f"not read in {path}: what follows the end of the .tar from byte {len(first)} on\n"
    assert told in capsys.readouterr().out


def test_a_damaged_header_within_a_tar_is_refused(root: Path) -> None:
    path = packed(root, "tar")
    whole = bytearray(path.read_bytes())
    middle = headers(path)[-2]
    whole[middle : middle + 512] = b"\xff" * 512
    path.write_bytes(whole)
    fails(f"packed.tar': must be a .tar .*, and it cannot be read: it is cut off or damaged after {middle} bytes", path)


def test_archives_that_hold_no_classes(tmp_path: Path) -> None:
    write_images(tmp_path / "flat", ["1.png", "2.png"])
    path = packed(tmp_path / "flat", "zip-inside")
    fails("must be an archive of class folders, or of WebDataset shards, or set data.no_labels=true", path)
    assert len(read(path, no_labels=True)) == 2
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.write(tmp_path / "flat/1.png", "cat/1.png")
    fails("cat/1.png is encrypted, or packed by other means than deflation", path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/notes.txt", "")
    fails("must be an archive with images, and it holds 1 .txt", path)


@pytest.mark.parametrize("pack", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_labels_in_a_zip_are_those_beside_each_image(tmp_path: Path, pack: int) -> None:
    with zipfile.ZipFile(tmp_path / "shard.zip", "w", pack) as archive:
        for i, image in enumerate(noise_images(4, 8, 8)):
            archive.writestr(f"{i}.png", encode(image))
            archive.writestr(f"{i}.cls", f"{3 - i}\n")
    assert read(tmp_path / "shard.zip").labels.tolist() == [3, 2, 1, 0]


def test_links_in_a_tar_are_images_and_of_two_with_one_name_the_last(root: Path) -> None:
    os.link(root / "dog/3.png", root / "dog/5.png")
    (root / "cat/7.png").symlink_to("../dog/4.png")
    archive = packed(root, "tar")
    folder = read(root)
    assert len(folder) == 6
    write_images(root, ["cat/1.png"], seed=9)
    subprocess.run(["tar", "-rf", archive, "-C", root.parent, "animals/cat/1.png"], check=True)
    images = read(archive)
    assert (images.labels.tolist(), images.classes) == (folder.labels.tolist(), folder.classes)
    for i in range(6):
        assert images.sources.content(i) == folder.sources.content(i)  # the new one of cat/1.png, too


def test_links_in_a_zip_are_images(root: Path) -> None:
    (root / "cat/7.png").symlink_to("../dog/4.png")
    folder, path = read(root), root.parent / "linked.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES:
            archive.write(root / name, name)
        link = zipfile.ZipInfo("cat/7.png")  # as zip --symlinks and macOS pack it
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "../dog/4.png")
    images = read(path)
    assert (images.labels.tolist(), images.classes) == (folder.labels.tolist(), folder.classes)
    assert [images.sources.content(i) for i in range(5)] == [folder.sources.content(i) for i in range(5)]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_links_that_lead_out_of_an_archive_are_counted(root: Path, kind: str, capsys: pytest.CaptureFixture) -> None:
    outside = root.parent / "outside.png"
    outside.write_bytes((root / "dog/3.png").read_bytes())
    for name, target in (("cat/7.png", outside), ("cat/8.png", "nowhere.png"), ("cat/more", "../dog")):
        (root / name).symlink_to(target)
    path = root.parent / f"linked.{kind}"
    if kind == "tar":
        subprocess.run(["tar", "-cf", path, "-C", root.parent, root.name], check=True)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(root.rglob("*.png")) + [root / "cat/more"]:
                info = zipfile.ZipInfo(str(file.relative_to(root)))
                info.external_attr = file.lstat().st_mode << 16
                archive.writestr(info, os.readlink(file) if file.is_symlink() else file.read_bytes())
    assert len(read(path)) == 4 and "3 link(s) to no file in it" in capsys.readouterr().out


@pytest.mark.parametrize("coded", ["utf-8", "cp437"])
def test_names_in_a_zip_are_in_utf8_though_nothing_says_so(root: Path, coded: str) -> None:
    """As Info-ZIP and the Finder write them; names of old programs are in code page 437."""
    path, accent = root.parent / "named.zip", "é".encode(coded)
    with zipfile.ZipFile(path, "w") as archive:
        for name in NAMES:
            archive.writestr(f"name{'#' * len(accent)}/{name}", (root / name).read_bytes())
    path.write_bytes(path.read_bytes().replace(b"name" + b"#" * len(accent), b"name" + accent))
    assert read(path).sources.file(1) == "nameé/cat/deep/2.png"


def test_folders_in_a_zip_that_backslashes_separate(root: Path) -> None:
    archive = root.parent / "windows.zip"
    with zipfile.ZipFile(archive, "w") as packed_there:
        for name in NAMES:
            member = zipfile.ZipInfo(name)
            member.filename, member.create_system = name.replace("/", "\\"), 0
            packed_there.writestr(member, (root / name).read_bytes())
    assert (read(archive).labels.tolist(), read(archive).classes) == ([0, 0, 1, 1], ("cat", "dog"))


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("start", ["./", "././", ".//", "../", ".././../"])
def test_names_that_begin_with_the_folder_itself(root: Path, kind: str, start: str) -> None:
    path = root.parent / f"named.{kind}"
    with tarfile.open(path, "w") if kind == "tar" else zipfile.ZipFile(path, "w") as archive:
        for name in NAMES:
            stored = start + name.replace("deep/", "deep/./")
            if kind == "tar":
                archive.add(root / name, stored)
            else:
                archive.writestr(stored, (root / name).read_bytes())
    images = read(path)
    assert (images.labels.tolist(), images.classes) == ([0, 0, 1, 1], ("cat", "dog"))
    assert images.sources.file(1) == "cat/deep/2.png"
    with zipfile.ZipFile(root.parent / "top.zip", "w") as archive:
        for name in ("", "cat/", ".hidden/1.png", "cat/1.png"):
            archive.writestr(start + name, b"" if name.endswith("/") or not name else (root / "cat/1.png").read_bytes())
    assert read(root.parent / "top.zip").classes == ("cat",)


def test_words_for_no_label_are_classes_of_shards_and_are_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_shards(tmp_path / "shards", ["NaN", "none", "a", ""])
    images = read(tmp_path / "shards/*.tar")
    assert (images.labels.tolist(), images.classes) == ([1, -1, -1, 0], ("a", "none"))
    both = ", ".join(str(tmp_path / f"shards/set-000{i}.tar") for i in range(2))
    told = f"classes of {both} are called none; images without a label have an empty .cls there\n"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["tar", "stored", "deflated"])
def test_labels_in_an_archive_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("shard.tar" if kind == "tar" else "shard.zip")
    members = [
        ("0.png", encode(noise_images(1, 8, 8)[0])),
        ("0.cls", b"1"),
        ("deep/1.cls", "b\u00e4r".encode("latin1")),
    ]
    if kind == "tar":
        with tarfile.open(path, "w") as tar:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED) as archive:
            for name, data in members:
                archive.writestr(name, data)
    reason = "'utf-8' codec can't decode byte 0xe4 in position 1: invalid continuation byte"
    fails(f"shard.*': must be an archive whose labels can be read, and deep/1.cls cannot: {reason}$", path)
    assert len(read(path, no_labels=True)) == 1
    if kind == "deflated":
        start = zipfile.ZipFile(path).getinfo("0.cls").header_offset + 30 + len("0.cls")
        whole = bytearray(path.read_bytes())
        whole[start] = 0xFF
        path.write_bytes(whole)
        fails("labels can be read, and 0.cls cannot: Error -3 while decompressing", path)
        assert len(read(path, no_labels=True)) == 1


def test_sparse_images_in_a_tar_are_refused(root: Path) -> None:
    with (root / "cat/1.png").open("r+b") as file:
        file.truncate(1 << 20)
    subprocess.run(["tar", "-cSf", root.parent / "s.tar", "-C", root.parent, root.name], check=True)
    fails("it cannot be read: animals/cat/1.png is packed without its holes", root.parent / "s.tar")


def test_an_archive_that_goes_is_told_as_unreadable_images(root: Path) -> None:
    images = read(packed(root, "tar"))
    Path(images.sources.place).unlink()
    with pytest.raises(InputError, match="unreadable image .*cat/1.png in .*packed.tar: No such file"):
        images.read(0)
