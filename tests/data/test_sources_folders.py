"""Folders, lists and several places: what is read, what is ignored and said, what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.images import write_images

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DataConfig, FileSet, Splits, load_splits
from cplearn_solo.data.sources import images_in_order
from cplearn_solo.data.sources.places import with_absolute_paths


def splits(seed: int = 0, **config) -> Splits:
    return load_splits(DataConfig(dataset="custom", **config), seed=seed)


def read(path: object, **config) -> FileSet:
    return splits(train_path=str(path), **config).train


def fails(message: str, **config) -> None:
    with pytest.raises(InputError, match=message) as caught:
        splits(**config)
    assert "\n" not in str(caught.value)


def names(images: FileSet, root: Path) -> list[str]:
    return [os.path.relpath(source, root) for source in images.sources]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_images(tmp_path / "root", ["cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"])
    return tmp_path / "root"


# --- what is in a folder -----------------------------------------------------------------------------------------


def test_what_is_ignored_is_said_once_however_the_folder_is_written(
    root: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "cat/a.txt").write_bytes(b"")
    monkeypatch.chdir(root.parent)
    read(Path("root"))
    read(root)
    assert capsys.readouterr().out.count("ignored in root: 1 .txt") == 1


def test_what_is_ignored_is_said(root: Path, capsys: pytest.CaptureFixture) -> None:
    for name in ("cat/a.txt", "cat/deep/b.txt", "dog/c.mov", "dog/README", "cat/.DS_Store", "loose.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    write_images(root, ["cat/._1.png", "dog/.cache/1.png", "__MACOSX/cat/1.png", "dog/__MACOSX/2.png", ".git/1.png"])
    os.symlink(root / "nowhere.png", root / "dog/gone.png")
    os.mkfifo(root / "dog/pipe.png")
    assert names(read(root), root) == ["cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"]
    told = capsys.readouterr().out
    assert told.startswith(f"ignored in {root}: 6 hidden, 2 .txt, ")
    for kind in (
        "1 .mov",
        "1 without an ending",
        "1 outside the class folders",
        "1 broken link(s)",
        "1 special file(s)",
    ):
        assert kind in told
    read(root)
    assert capsys.readouterr().out == ""  # once


def test_class_folder_without_an_image_is_named(root: Path) -> None:
    (root / "horse").mkdir()
    fails("data.train_path = .*root': must be .*there are none in horse", train_path=str(root))
    (root / "horse/film.mov").write_bytes(b"")
    fails("there are none in horse", train_path=str(root))
    write_images(root.parent / "val", ["cat/1.png"], seed=1)
    (root.parent / "val/dog").mkdir()
    shutil.rmtree(root / "horse")
    fails("data.val_path = .*there are none in dog", train_path=str(root), val_path=str(root.parent / "val"))


def test_folder_of_other_files_says_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "train-00000-of-00001.parquet").write_bytes(b"")
    fails("must be a folder with images, and it holds 1 .parquet$", train_path=str(tmp_path), no_labels=True)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/0.tar").write_bytes(b"")
    fails("and it holds 1 .tar, 1 .parquet$", train_path=str(tmp_path), no_labels=True)
    words = "must be a folder with images, and it holds 1 .tar; .*/deep/\\*.tar reads them$"
    fails(words, train_path=str(tmp_path / "deep"), no_labels=True)


def test_photographs_that_another_package_reads_are_told_with_it(root: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("cplearn_solo.data.sources.listing.is_image_name", lambda name: name.endswith(".png"))
    for name in ("cat/IMG_1.HEIC", "dog/2.heic"):
        (root / name).write_bytes(b"")
    read(root)
    assert '2 .heic (pip install "cplearn-solo[heif]" reads them)' in capsys.readouterr().out


@pytest.mark.parametrize("labelled", [True, False])
def test_link_loops_end(root: Path, labelled: bool, capsys: pytest.CaptureFixture) -> None:
    os.symlink(root, root / "cat/again")
    os.symlink(root / "dog", root / "cat/dogs")  # no loop: these images are read twice
    images = read(root, no_labels=not labelled, allow_overlap=True)
    assert names(images, root)[:4] == ["cat/1.png", "cat/2.png", "cat/dogs/3.png", "cat/dogs/4.png"]
    assert len(images) == 6
    assert "1 link(s) to a folder above" in capsys.readouterr().out


@pytest.mark.parametrize("other", ["val", "test", "Validation"])
@pytest.mark.parametrize("no_labels", [True, False])
def test_root_of_parts_is_refused(root: Path, other: str, no_labels: bool) -> None:
    whole = root.parent / "whole"
    shutil.copytree(root, whole / "train")
    shutil.copytree(root, whole / other)
    wanted = f"data.train_path={whole / 'train'} data.val_path={whole / other}"
    fails(f"data.train_path = .*whole': must be one part .*: {wanted}$", train_path=str(whole), no_labels=no_labels)
    fails(wanted, train_path=str(root.parent), no_labels=no_labels)  # a level deeper


def test_classes_may_be_called_as_parts(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/1.png", "bicycle/2.png"])
    assert read(tmp_path).classes == ("bicycle", "train")


@pytest.mark.parametrize("no_labels", [True, False])
def test_own_runs_are_no_images(root: Path, no_labels: bool) -> None:
    write_images(root, ["runs/cplearn/20250101-000000/figures/tsne.png"])
    run = root / "runs/cplearn/20250101-000000"
    (run / "config.yaml").write_text("")
    wanted = f"data.train_path = .*: must be a folder without runs, and {run} is one: .*checkpoint.dir"
    fails(wanted, train_path=str(root), no_labels=no_labels)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folder_that_may_not_be_read(root: Path) -> None:
    (root / "cat").chmod(0)
    fails("cat cannot be listed: Permission denied", train_path=str(root))


def test_names_of_any_letters(tmp_path: Path) -> None:
    write_images(tmp_path / "Käfer {a,b} [1] #&'", ["猫/ä b.png", "dog/1.png"])
    odd = os.fsdecode(b"\xff\xfe.png")
    shutil.copy(tmp_path / "Käfer {a,b} [1] #&'/dog/1.png", tmp_path / "Käfer {a,b} [1] #&'/dog" / odd)
    os.mkdir(os.fsencode(tmp_path / "Käfer {a,b} [1] #&'") + b"/caf\xe9")
    shutil.copy(tmp_path / "Käfer {a,b} [1] #&'/dog/1.png", tmp_path / "Käfer {a,b} [1] #&'" / os.fsdecode(b"caf\xe9"))
    images = read(tmp_path / "Käfer {a,b} [1] #&'")
    assert [Path(source).name for source in images.sources] == ["1.png", "1.png", odd, "ä b.png"]
    assert images.classes == (r"caf\xe9", "dog", "猫") and images.load(2).size == (24, 20)


def test_home_and_relative_paths(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    assert len(read("~/root")) == 4
    monkeypatch.chdir(root.parent)
    images = read("root")
    monkeypatch.chdir("/")
    assert images.load(0).size == (24, 20)


# --- several places ----------------------------------------------------------------------------------------------


def test_several_folders_share_their_classes(root: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "more", ["ant/1.png", "dog/2.png"], seed=1)
    both = splits(train_path=[str(root), str(tmp_path / "more")]).train
    assert (both.classes, both.labels.tolist()) == (("ant", "cat", "dog"), [1, 1, 2, 2, 0, 2])
    globbed = read(tmp_path / "[mr]o*")
    assert (globbed.classes, globbed.labels.tolist()) == (("ant", "cat", "dog"), [0, 2, 1, 1, 2, 2])
    assert len(read(tmp_path / "{root,more}")) == 6
    assert both.subset(both.labels.argsort()).load(0).size == (24, 20)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("part-{00..02}", r"data.train_path = '.*part-01': must be a file or folder that exists"),
        ("none-*", r"data.train_path = '.*none-\*': must be a file or folder"),
        (["part-00", ""], r"data.train_path = \[.*\]: must be a path or a list of paths"),
        ([], r"data.train_path = \[\]: must be a path or a list of paths"),
        (3, "data.train_path = 3: must be a path or a list of paths"),
    ],
)
def test_places_that_are_not_there(tmp_path: Path, monkeypatch, value: object, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path, ["part-00/cat/1.png"])
    fails(message, train_path=value)


@pytest.mark.parametrize("name", ["film.mov", "train.parquet", "images.tar.gz", "picture.png"])
def test_file_in_the_place_of_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    wanted = "data.dataset=parquet" if name.endswith("parquet") else "a folder, a list .* or an archive"
    fails(f"data.train_path = .*{name}': must be .*{wanted}", train_path=str(tmp_path / name))


# --- lists -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels", "classes"),
    [
        ("path,label\nroot/cat/1.png,cat\nroot/dog/3.png,dog\nroot/dog/4.png,\n", [0, 1, -1], ("cat", "dog")),
        ("\ufeffimg;klasse\nroot/cat/1.png;2\nroot/dog/3.png;0\n", [2, 0], ()),
        ("label\timage\n1.0\troot/cat/1.png\n\troot/dog/3.png\n", [1, -1], ()),
        ("root/cat/1.png,001\nroot/dog/3.png,002\n", [0, 1], ("001", "002")),
        (f"root/cat/1.png,1\nroot/dog/3.png,{10**20}\n", [0, 1], ("1", str(10**20))),
        ('id,path,label\n7,"root/cat/1.png",b\n8,root/dog/3.png,a\n', [1, 0], ("a", "b")),
        ("root/cat/1.png ,1\nroot/dog/3.png ,0\n , \n", [1, 0], ()),  # no names of columns, and a row of nothing
        ('path, label\nroot/cat/1.png, "cat, tabby"\nroot/dog/3.png, "dog"\n', [0, 1], ("cat, tabby", "dog")),
        ("path,label\nroot/cat/1.png,2.0\nroot/dog/3.png,NaN\n", [2, -1], ()),
        ("path,label\nroot/cat/1.png,cat\nroot/dog/3.png,-1\n", [0, -1], ("cat",)),
        ("path,label\nroot/cat/1.png,cat\nroot/dog/3.png,NaN\nroot/dog/4.png,nan\n", [0, -1, -1], ("cat",)),
        ("path,label\nroot/cat/1.png,Nan\nroot/dog/3.png,bread\n", [0, 1], ("Nan", "bread")),
        ("path,label\nroot/cat/1.png,v0.5\nroot/dog/3.png,0.5\n", [1, 0], ("0.5", "v0.5")),
        ("root/cat/1.png,b\u00e4r\nroot/dog/3.png,ba\u0308r\n", [0, 0], ("ba\u0308r",)),
    ],
)
def test_lists(root: Path, text: str, labels: list[int], classes: tuple[str, ...]) -> None:
    path = root.parent / "list.csv"
    path.write_text(text, encoding="utf-8")
    images = read(path)
    assert (images.labels.tolist(), images.classes) == (labels, classes)
    assert names(images, root.parent)[:2] == ["root/cat/1.png", "root/dog/3.png"]
    assert len(read(path, no_labels=True)) == len(labels)


def test_lists_in_which_no_image_has_a_label(root: Path) -> None:
    for name, image in (("train", "cat/1.png"), ("scored", "dog/3.png")):
        (root.parent / f"{name}.csv").write_text(f"path,label\nroot/{image},\n")
    found = splits(train_path=str(root.parent / "train.csv"), val_path=str(root.parent / "scored.csv"))
    assert found.train.labels.tolist() == found.test.labels.tolist() == [-1] and found.train.num_classes == 0


def test_training_images_without_labels_are_told_so_beside_scored_ones_with_labels(root: Path) -> None:
    (root / "list.csv").write_text("image,class\ncat/1.png,\ndog/3.png,\n")
    message = "data.no_labels = False: must be true, as no image in data.train_path has a label"
    fails(message, train_path=str(root / "list.csv"), val_path=str(root))


def test_numbers_below_zero_are_no_labels_of_a_list(root: Path) -> None:
    (root.parent / "list.csv").write_text("root/cat/1.png,1\nroot/dog/3.png,-1\n")
    message = r"data.train_path = .*list.csv': must be images with labels from 0 up, empty .* and it holds -1"
    fails(message, train_path=str(root.parent / "list.csv"))


def test_words_for_no_label_are_classes_and_are_told(root: Path, capsys: pytest.CaptureFixture) -> None:
    path = root.parent / "list.csv"
    path.write_text("path,label\nroot/cat/1.png,cat\nroot/dog/3.png,None\nroot/dog/4.png,null\n")
    assert read(path).classes == ("None", "cat", "null")
    told = f"classes of {path} are called None, null; images without a label have an empty cell there\n"
    assert capsys.readouterr().out == told


def test_list_of_absolute_paths_without_labels(root: Path) -> None:
    (root.parent / "list.tsv").write_text(f"{root / 'cat/1.png'}\n{root / 'dog/3.png'}\n")
    assert read(root.parent / "list.tsv", no_labels=True).load(1).size == (24, 20)
    fails(r"data.label_column = 'label': must be .* or set data.no_labels", train_path=str(root.parent / "list.tsv"))


def test_a_column_of_parts_is_none_of_labels_and_is_told(root: Path, capsys: pytest.CaptureFixture) -> None:
    path = root.parent / "list.csv"
    path.write_text("path,kind,split\nroot/cat/1.png,cat,train\nroot/dog/3.png,dog,test\n")
    assert read(path).classes == ("cat", "dog")
    told = f"all rows of {path} are read as one part, whatever column split says: train and test need a list each\n"
    assert capsys.readouterr().out == told
    path.write_text("root/cat/1.png,val\nroot/dog/3.png,train\n")
    fails("data.label_column = 'label': must be .*: it has 2 columns without names", train_path=str(path))
    assert "whatever column 2 says: train and val need a list each" in capsys.readouterr().out
    path.write_text("path,label\nroot/cat/1.png,train\nroot/dog/3.png,test\n")
    assert read(path).classes == ("test", "train") and capsys.readouterr().out == ""  # the column is named
    path.write_text("path,kind\nroot/cat/1.png,train\nroot/dog/3.png,bicycle\n")
    assert read(path).classes == ("bicycle", "train") and capsys.readouterr().out == ""


@pytest.mark.parametrize("parts", [["train"] * 3, ["train", "", "Training"], ["", "", "test"], ["", "val", ""]])
def test_one_part_and_empty_cells_are_none_of_labels(root: Path, parts: list[str], capsys) -> None:
    path = root.parent / "list.csv"
    images = ["cat/1.png", "dog/3.png", "dog/4.png"]
    rows = [f"root/{image},{image[:3]},{part}\n" for image, part in zip(images, parts)]
    path.write_text("path,class,split\n" + "".join(rows))
    assert read(path).classes == ("cat", "dog")
    assert capsys.readouterr().out == ""
    path.write_text("path,split\n" + "".join(f"root/{image},{part}\n" for image, part in zip(images, parts)))
    fails(
        "data.label_column = 'label': must be a column of .*list.csv, or set .*: it has path, split",
        train_path=str(path),
    )
    assert read(path, label_column="split").num_classes > 0  # the column is named


@pytest.mark.parametrize(
    ("parts", "words"),
    [("train test", "train and test"), ("test val", "val and test"), ("dev test train", "train, dev and test")],
)
def test_parts_with_empty_cells_need_a_list_each(root: Path, parts: str, words: str, capsys) -> None:
    path = root.parent / "list.csv"
    path.write_text(
        "path,class,split\nroot/dog/4.png,dog,\n" + "".join(f"root/cat/1.png,cat,{part}\n" for part in parts.split())
    )
    assert read(path).classes == ("cat", "dog")
    assert f"whatever column split says: {words} need a list each\n" in capsys.readouterr().out


def test_columns_that_are_named_must_be_there(root: Path) -> None:
    path = root.parent / "list.csv"
    path.write_text("path,class\nroot/cat/1.png,cat\nroot/dog/3.png,dog\n")
    assert read(path, image_column="path", label_column="class").classes == ("cat", "dog")
    fails(
        "data.label_column = 'clas': must be a column of .*list.csv, .*: it has path, class",
        train_path=str(path),
        label_column="clas",
    )
    fails(
        "data.image_column = 'pth': must be a column of .*list.csv with paths of images, and it has path, class$",
        train_path=str(path),
        image_column="pth",
    )
    fails("data.image_column = 'pth'", train_path=str(path), image_column="pth", no_labels=True)
    assert len(read(path, label_column="clas", no_labels=True)) == 2  # no label is read
    fails(
        "data.label_column = 'path': must be another column than that of the images",
        train_path=str(path),
        label_column="path",
    )
    path.write_text("root/cat/1.png,cat\nroot/dog/3.png,dog\n")  # where no column has a name, none is misspelt
    assert read(path, image_column="path", label_column="class").classes == ("cat", "dog")


def test_names_with_commas_in_a_list_with_tabs(root: Path) -> None:
    (root / "cat/1.png").rename(root / "cat/1,2,3.png")
    (root / "list.tsv").write_text("cat/1,2,3.png\ta\ndog/3.png\tb\n")
    assert read(root / "list.tsv").labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\nroot/cat/1.png,0\nroot/cat/9.png,1\n", "1 of 2 do not, such as root/cat/9.png"),
        ("path,label\nroot/cat/1.png\n", "2 cells in every row, and row 2 has another number"),
        ("a,b\n1,2\n", "data.image_column = 'img': must be a column of .*list.csv"),
        ("path,a,b\nroot/cat/1.png,1,2\n", r"data.label_column = 'label': must be a column of .*: it has path, a, b"),
        (
            "path,label\nroot/cat/1.png,0.5\nroot/dog/3.png,1\n",
            "labels that are names or whole numbers, and it holds 0.5$",
        ),
        ("path,label\nroot/cat/1.png,1e-05\nroot/dog/3.png,nan\n", "names or whole numbers, and it holds 1e-05$"),
        ("path,label\nroot/cat/1.png,-0.5\nroot/dog/3.png,-1\n", "names or whole numbers, and it holds -0.5$"),
        ("", "data.image_column = 'img'"),
        ("path,label\n", "data.image_column"),
        ("path,label\nroot/cat/1.png,123456789\n", "labels below 1000000, and it holds 123456789"),
        ("img,label\n", "list.csv': must be a list with a row for each image"),
        ("img,label\n,0\nroot/dog/3.png,1\n", "1 of 2 do not, such as an empty cell"),
        ("img,label\nroot/cat,0\nroot/dog/3.png,1\n", "1 of 2 do not, such as root/cat$"),
    ],
)
def test_bad_lists(root: Path, text: str, message: str) -> None:
    (root.parent / "list.csv").write_text(text)
    fails(message, train_path=str(root.parent / "list.csv"))


def test_numbers_that_are_none_of_classes_are_refused_where_only_scored_images_have_labels(root: Path) -> None:
    scored = root.parent / "scored.csv"
    scored.write_text("path,label\nroot/cat/1.png,123456789\n")
    fails(
        "data.val_path = .*labels below 1000000, and it holds 123456789",
        **{"train_path": str(root), "val_path": str(scored), "no_labels": True},
    )


def test_list_beside_a_folder(root: Path) -> None:
    path = root.parent / "list.csv"
    path.write_text("root/cat/1.png,1\nroot/dog/3.png,0\n")
    fails("all names of classes, or all numbers", train_path=[str(root), str(path)])
    path.write_text("root/cat/1.png,cat\nroot/dog/3.png,wolf\n")
    images = splits(train_path=[str(root), str(path)]).train
    assert (images.classes, images.labels.tolist()) == (("cat", "dog", "wolf"), [0, 0, 1, 1, 0, 2])


def test_a_folder_twice_is_read_twice(root: Path) -> None:
    assert splits(train_path=[str(root), str(root)]).train.labels.tolist() == [0, 0, 1, 1] * 2


# --- scored images -----------------------------------------------------------------------------------------------


def test_labelled_validation_images_for_training_images_without_labels(root: Path) -> None:
    write_images(root.parent / "val", ["b/1.png", "a/2.png"], seed=1)
    found = splits(train_path=str(root), val_path=str(root.parent / "val"), no_labels=True)
    assert found.train.labels.tolist() == [-1] * 4
    assert (found.probe.labels.tolist(), found.test.labels.tolist(), found.test.classes) == ([0], [1], ("a", "b"))
    assert (found.train.num_classes, found.train.classes) == (2, ("a", "b"))


def test_overlap_is_refused_and_can_be_allowed(root: Path, capsys: pytest.CaptureFixture) -> None:
    write_images(root.parent / "val", ["cat/8.png", "dog/9.png"], seed=1)
    shutil.copy(root / "cat/1.png", root.parent / "val/dog/copy.png")
    paths = {"train_path": str(root), "val_path": str(root.parent / "val")}
    fails("^1 of 3 scored images are also training .*copy.png: take them out .* set data.allow_overlap=true", **paths)
    assert len(splits(**paths, allow_overlap=True).test) == 3
    assert "1 of 3 scored images are also training images" in capsys.readouterr().out
    imagenet = load_splits(DataConfig(dataset="imagenet", **paths), seed=0)  # as it is, for everyone
    assert len(imagenet.test) == 3
    fails("2 of 2 scored images", train_path=str(root), val_path=str(root), max_val_images=2)


def test_labels_of_validation_images_are_learned_from_and_scored(root: Path) -> None:
    write_images(root.parent / "val", [f"{'ab'[i % 2]}/{i}.png" for i in range(8)], seed=1)
    found = splits(train_path=str(root), val_path=str(root.parent / "val"), no_labels=True)
    assert found.probe.labels.bincount().tolist() == found.test.labels.bincount().tolist() == [2, 2]
    assert not set(found.probe.sources) & set(found.test.sources)
    assert splits(train_path=str(root)).probe.labels.tolist() == [0, 0, 1, 1]
    write_images(root.parent / "few", ["a/1.png"], seed=2)
    shutil.copy(root.parent / "val/a/0.png", root.parent / "val/a/0 copy.png")  # which is in the other half
    copied = {"train_path": str(root), "val_path": str(root.parent / "val"), "no_labels": True}
    fails("1 of 4 scored images are also in the half of data.val_path that a probe learns from", **copied)
    assert len(splits(**copied, allow_overlap=True).test) == 4
    few = str(root.parent / "few")
    fails("data.val_path = .*1 with labels", train_path=str(root), val_path=few, no_labels=True)


def test_images_in_order_are_those_to_train_on_alone(tmp_path: Path) -> None:
    write_images(tmp_path / "train", ["a/1.png", "b/2.png"])
    found = images_in_order(DataConfig("custom", str(tmp_path / "train"), str(tmp_path / "nowhere")))
    assert found.labels.tolist() == [0, 1]


def test_a_class_is_one_however_its_name_is_spelled(tmp_path: Path) -> None:
    """Folders of macOS have ä as two characters, and a copy may have both."""
    one, two = "b\u00e4r", "ba\u0308r"
    places = [f"train/{one}/1.png", f"train/{two}/2.png", "train/cat/3.png", f"new/{two}/4.png", "new/cat/5.png"]
    write_images(tmp_path, places)
    found = splits(train_path=str(tmp_path / "train"), val_path=str(tmp_path / "new"))
    assert found.train.classes == (two, "cat") == found.test.classes
    assert sorted(found.train.labels.tolist()) == [0, 0, 1] and found.test.labels.tolist() == [0, 1]


def test_one_image_is_enough_to_score(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/a/1.png", "train/b/2.png", "one/a/3.png"])
    cfg = DataConfig("custom", str(tmp_path / "train"), str(tmp_path / "one"))
    assert len(load_splits(cfg, seed=0).test) == 1


def test_classes_named_by_numbers_are_not_taken_for_places(tmp_path: Path) -> None:
    folders = [f"root/{name}/{name}.png" for name in ("1", "2", "10")]
    write_images(tmp_path, [*folders, "new/1.png", "new/2.png"])
    (tmp_path / "new/list.csv").write_text("1.png,1\n2.png,2\n")
    either = {"train_path": str(tmp_path / "root"), "val_path": str(tmp_path / "new/list.csv")}
    fails("data.val_path = .*list.csv': must be .* classes named by numbers, such as 1, 10, the other", **either)
    other = {"train_path": either["val_path"], "val_path": either["train_path"]}
    fails("data.val_path = .*root': must be .* classes named by numbers, such as 1, 10, the other", **other)
    (tmp_path / "new/list.csv").write_text("1.png,\n2.png,\n")  # no label has no meaning
    assert splits(**either).test.labels.tolist() == [-1, -1]
    (tmp_path / "new/train.csv").write_text("1.png,0\n2.png,1\n")
    (tmp_path / "new/list.csv").write_text("../root/1/1.png,#\n../root/2/2.png,0\n")  # one word makes all of them names
    lists = {"train_path": str(tmp_path / "new/train.csv"), "val_path": str(tmp_path / "new/list.csv")}
    fails("data.val_path = .*list.csv': must be .* classes named by numbers, such as 0, the other", **lists)
    for old, new in (("1", "0"), ("2", "1"), ("10", "2")):
        (tmp_path / f"root/{old}").rename(tmp_path / f"root/{new}")
    (tmp_path / "new/list.csv").write_text("1.png,1\n2.png,2\n")
    assert splits(**either).test.labels.tolist() == [1, 2]  # where both meanings are one


def test_files_without_content_are_no_copies(tmp_path: Path) -> None:
    write_images(tmp_path, ["root/cat/1.png", "root/dog/1.png", "new/cat/2.png", "new/dog/2.png"])
    for name in ("root/cat/9.png", "new/cat/7.png"):
        (tmp_path / name).write_bytes(b"")
    found = splits(train_path=str(tmp_path / "root"), val_path=str(tmp_path / "new"))
    assert (len(found.train), len(found.test)) == (3, 3)


def test_images_that_go_while_they_are_listed_are_counted(root: Path, monkeypatch, capsys) -> None:
    stat = os.stat

    def gone(path: object, **how: object) -> os.stat_result:
        if str(path).endswith("2.png"):
            raise FileNotFoundError(path)
        return stat(path, **how)

    monkeypatch.setattr("cplearn_solo.data.sources.listing.os.stat", gone)
    images = read(root)
    monkeypatch.undo()
    assert names(images, root) == ["cat/1.png", "dog/3.png", "dog/4.png"]
    assert "1 gone by now" in capsys.readouterr().out


def test_paths_are_absolute_but_names_on_the_hub_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    custom, hub = ({"data": {"dataset": name, "train_path": "a/b", "val_path": None}} for name in ("custom", "hub"))
    assert with_absolute_paths(hub) == hub
    assert with_absolute_paths(custom) == {"data": {**custom["data"], "train_path": str(tmp_path / "a/b")}}


def test_links_that_lead_nowhere_but_to_each_other_are_broken(root: Path, capsys: pytest.CaptureFixture) -> None:
    for name, target in (("loop.png", "loop.png"), ("x", "y"), ("y", "x"), ("gone.png", "nowhere.png")):
        (root / "cat" / name).symlink_to(target)
    assert names(read(root), root) == ["cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"]
    assert "4 broken link(s)" in capsys.readouterr().out
