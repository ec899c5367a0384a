"""Parquet files and the hub: parts by the names of files, columns by their types, kinds of labels."""

from __future__ import annotations

import json
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from support.images import encode, noise_images, write_images, write_parquet

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DataConfig, FileSet, MemorySet, Splits, eval_loader, load_splits
from cplearn_solo.data.notes import say_once
from cplearn_solo.data.sources import own_scored_part
from cplearn_solo.data.sources.hub import hub_parts
from cplearn_solo.data.sources.kinds import dataset_at
from cplearn_solo.data.sources.parquet import folder_parts

LARGE = noise_images(8, 70, 65)  # these stay encoded


def splits(**config) -> Splits:
    return load_splits(DataConfig(**{"dataset": "parquet", **config}), seed=0)


def fails(message: str, **config) -> None:
    with pytest.raises(InputError, match=message) as caught:
        splits(**config)
    assert "\n" not in str(caught.value)


def write_parts(root: Path, names: list[str], **kwargs) -> None:
    """A file of two images for each name, no image twice."""
    for i, name in enumerate(names):
        write_parquet(root / name, noise_images(2, 8, 8, seed=i), [0, 1], **kwargs)


# --- parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "train", "scored"),
    [
        (["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "test-00000-of-00001.parquet"], [0, 1], [2]),
        (["data/train-0.parquet", "data/validation-0.parquet", "data/test-0.parquet"], [0], [1]),
        (["plain_text/train-00000-of-00001.parquet", "plain_text/test-00000-of-00001.parquet"], [0], [1]),
        (["default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet"], [0, 1], [2]),
        (["train.parquet", "my_valid.parquet", "backup/train-old.parquet"], [0], [1]),
        (["0.parquet", "1.parquet"], [0, 1], []),
        (["trained-0.parquet", "latest-0.parquet"], [1, 0], []),  # parts are whole words
        (["train-0.parquet", ".train-1.parquet", "extra.parquet"], [0], []),
        (["data/train-0.parquet", ".old/train-1.parquet"], [0], []),  # hidden, too
        (["test/train/0.parquet", "test/validation/0.parquet"], [0], [1]),  # the innermost folder says it
    ],
)
def test_parts_of_a_folder(tmp_path: Path, files: list[str], train: list[int], scored: list[int]) -> None:
    write_parts(tmp_path, files)

    def images(numbers: list[int]) -> torch.Tensor:
        return torch.cat([noise_images(2, 8, 8, seed=i) for i in numbers])

    found = splits(train_path=str(tmp_path))
    assert torch.equal(found.train.images, images(train))
    assert (found.test is None) == (not scored)
    if scored:
        assert torch.equal(found.test.images, images(scored))
        assert len(splits(train_path=str(tmp_path), no_labels=True).train) == 2 * len(train)


@pytest.mark.parametrize("key", ["train_path", "val_path"])
def test_a_table_without_rows_is_told_by_its_key(tmp_path: Path, key: str) -> None:
    write_parquet(tmp_path / "some.parquet", LARGE, [0, 1] * 4)
    none = {"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())}
    pq.write_table(pa.table(none), tmp_path / "none.parquet")
    places = {"train_path": str(tmp_path / "some.parquet"), "val_path": str(tmp_path / "some.parquet")}
    fails(f"^data.{key} = '.*none.parquet': must be a", **{**places, key: str(tmp_path / "none.parquet")})


@pytest.mark.parametrize("labels, part", [([0, 1], "test"), ([-1, -1], None), (None, None)])
def test_a_labelled_part_is_scored_where_nothing_else_is_named(tmp_path: Path, labels: list | None, part: str) -> None:
    write_parquet(tmp_path / "train.parquet", noise_images(2, 8, 8), [0, 1])
    assert own_scored_part(DataConfig("parquet", str(tmp_path))) is None
    write_parquet(tmp_path / "test.parquet", noise_images(2, 8, 8), labels)
    assert own_scored_part(DataConfig("parquet", str(tmp_path))) == part
    assert own_scored_part(DataConfig("custom", str(tmp_path))) is None


def test_parts_are_chosen_by_paths(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_parts(tmp_path, ["data/train-0.parquet", "data/validation-0.parquet", "data/test-0.parquet"])
    write_parts(tmp_path / "other", ["test-0.parquet"])
    found = splits(train_path=str(tmp_path / "data/train-*"), val_path=str(tmp_path / "data/test-*"))
    assert torch.equal(found.test.images, noise_images(2, 8, 8, seed=2))
    whole = splits(train_path=str(tmp_path / "data/*"), allow_overlap=True).train
    assert len(whole) == 6  # files that are named are all read
    assert len(splits(train_path=str(tmp_path / "data"), val_path=str(tmp_path / "data")).test) == 2
    capsys.readouterr()
    splits(train_path=str(tmp_path / "data"))
    assert capsys.readouterr().out == f"scored on the validation part of {tmp_path}/data; data.val_path names another\n"
    fails(
        "data.train_path = .*other': must be data with a part named train, and it has test",
        train_path=str(tmp_path / "other"),
    )


def test_parts_that_a_column_names_are_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """They are all read, as ``datasets`` reads them, too."""

    def write(name: str, images: torch.Tensor, **columns: list) -> str:
        path = write_parquet(tmp_path / name, images, [0, 1, 0])
        table = pq.read_table(path)
        for column, values in columns.items():
            table = table.append_column(column, pa.array(values))
        pq.write_table(table, path)
        return path

    images = noise_images(6, 8, 8)
    words = pa.array(["train", "test", None]).dictionary_encode()
    both = write(
        "both.parquet", images[:3], split=words, text=["train", "test", "a cat"], part=["train", None, "train"]
    )
    whole = f"all rows of {both} are read as one part, whatever column split says: train and test need a file each\n"
    assert len(splits(train_path=both).train) == 3 and capsys.readouterr().out == whole
    with pytest.raises(InputError, match="3 of 3 scored images are also training images"):
        splits(train_path=both, val_path=both)
    feature = {"label": {"_type": "ClassLabel"}, "split": {"_type": "ClassLabel", "names": ["train", "test"]}}
    numbers = pq.read_table(both).drop_columns(["split", "label"]).append_column("split", pa.array([0, 1, 0]))
    meta = {"huggingface": json.dumps({"info": {"features": feature}})}
    pq.write_table(numbers.replace_schema_metadata(meta), both)
    say_once.cache_clear()
    capsys.readouterr()
    assert len(splits(train_path=both, no_labels=True).train) == 3 and capsys.readouterr().out == whole
    fails("data.label_column = 'label': must be a column of .*: img, text, part, split", train_path=both)
    files = [write(f"{part}/{i}.parquet", images[i::2], split=[part] * 3) for i, part in enumerate(("val", "train"))]
    capsys.readouterr()
    assert len(splits(train_path=files[1], val_path=files[0]).train) == 3 and capsys.readouterr().out == ""
    assert len(splits(train_path=files).train) == 6
    assert f"{files[0]}, {files[1]} are read as one part, whatever column split says: train and val need" in (
        capsys.readouterr().out
    )


def test_several_data_sets_in_a_folder_are_refused(tmp_path: Path) -> None:
    write_parts(tmp_path, ["a/train-0.parquet", "a/test-0.parquet", "b/train-0.parquet"])
    fails("data.train_path = .*: must be one of the data sets in it: a, b", train_path=str(tmp_path))
    assert len(splits(train_path=str(tmp_path / "a")).train) == 2


@pytest.mark.skipif(find_spec("datasets") is None, reason="the library of the hub is not installed")
@pytest.mark.parametrize(
    "files",
    [
        ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "test-00000-of-00001.parquet"],
        ["data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet"],
        ["plain/train-0.parquet", "plain/eval_2.parquet"],
        ["train/0000.parquet", "test/0000.parquet"],
        ["0.parquet", "1.parquet"],
        ["trained-0.parquet", "latest-0.parquet"],
    ],
)
def test_parts_are_those_of_the_hub(tmp_path: Path, files: list[str]) -> None:
    from datasets import load_dataset

    write_parts(tmp_path, files)
    theirs = load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    ours = folder_parts(tmp_path, "data.train_path")
    assert {part: len(rows) for part, rows in theirs.items()} == {
        part or "train": 2 * len(shards) for part, shards in ours.items()
    }


# --- columns -----------------------------------------------------------------------------------------------------


def write_table(path: Path, features: dict | None = None, **columns) -> str:
    table = pa.table(columns)
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path)
    return str(path)


def cells(images: torch.Tensor) -> pa.Array:
    return pa.array([{"bytes": encode(image), "path": None} for image in images])


FEATURES = {
    "picture": {"_type": "Image"},
    "fine_label": {"_type": "ClassLabel", "names": ["a", "b", "c"]},
    "coarse_label": {"_type": "ClassLabel", "names": ["x", "y"]},
}


def test_columns_are_found_by_their_types(tmp_path: Path) -> None:
    columns = {"id": ["p", "q"], "fine_label": [2, 0], "coarse_label": [1, 0], "picture": cells(LARGE[:2])}
    path = write_table(tmp_path / "a.parquet", FEATURES, **columns)
    train = splits(train_path=path).train
    assert (train.labels.tolist(), train.classes) == ([2, 0], ("a", "b", "c"))
    assert splits(train_path=path, label_column="coarse_label").train.classes == ("x", "y")
    fails(
        "data.label_column = 'labels': must be a column of .*: id, fine_label", train_path=path, label_column="labels"
    )
    two = write_table(tmp_path / "b.parquet", one=cells(LARGE[:2]), two=cells(LARGE[:2]), label=[0, 1])
    fails("data.image_column = 'img': must be a column of .*: one, two, label", train_path=two)
    assert len(splits(train_path=two, image_column="two").train) == 2
    plain = write_table(tmp_path / "c.parquet", image=cells(LARGE[:2]), y=[0, 1])
    fails("data.label_column = 'label': must be a column of .*: image, y", train_path=plain)


@pytest.mark.parametrize(
    ("column", "labels", "classes"),
    [
        (pa.array(["b", None, "a", "007"]), [2, -1, 1, 0], ("007", "a", "b")),
        (pa.array([2.0, float("nan"), None, 7.0]), [2, -1, -1, 7], ()),
        (pa.array([True, False, None, True]), [1, 0, -1, 1], ("false", "true")),
        (pa.array([3, None, 0, 250], pa.uint8()), [3, -1, 0, 250], ()),
        (pa.array(["b", "a", None, "b"]).dictionary_encode(), [1, 0, -1, 1], ("a", "b")),
        (pa.array([2.0, float("nan"), None, 7.0], pa.float16()), [2, -1, -1, 7], ()),
        (pa.array(["b", "NaN", "nan", "Nan"]), [1, -1, -1, 0], ("Nan", "b")),
        (pa.array(["b", "-1", "a", None]), [1, -1, 0, -1], ("a", "b")),
        (pa.array(["-1", "1", "1", "-1"]), [0, 1, 1, 0], ("-1", "1")),
        (pa.array([None] * 4), [-1] * 4, ()),
    ],
)
def test_kinds_of_labels(tmp_path: Path, column: pa.Array, labels: list[int], classes: tuple[str, ...]) -> None:
    train = splits(train_path=write_table(tmp_path / "a.parquet", img=cells(LARGE[:4]), label=column)).train
    assert (train.labels.tolist(), train.classes) == (labels, classes)


def test_words_for_no_label_are_classes_of_a_table_and_are_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = write_table(tmp_path / "a.parquet", img=cells(LARGE[:2]), label=["None", "a"])
    assert splits(train_path=path).train.classes == ("None", "a")
    assert (
        "classes of column label are called None; images without a label have null there\n" in capsys.readouterr().out
    )


def test_labels_that_are_none(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.parquet", img=cells(LARGE[:2]), label=[0.5, 1.0])
    fails("data.label_column = 'label': must be a column of whole numbers, .* holds fractions", train_path=path)
    for number, kind in ((2**64 - 1, pa.uint64()), (1e300, pa.float64()), (1_000_000, pa.int32())):
        path = write_table(tmp_path / "a.parquet", img=cells(LARGE[:2]), label=pa.array([0, number], kind))
        fails("data.label_column = 'label': must be a column of labels from 0 to 999999, .* holds 1", train_path=path)
    features = {"label": {"_type": "ClassLabel", "names": ["a", "b"]}}
    path = write_table(tmp_path / "b.parquet", features, img=cells(LARGE[:2]), label=[-1, 1])
    assert splits(train_path=path).train.labels.tolist() == [-1, 1]  # the hub's sign for a hidden label


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    train = write_parquet(tmp_path / "a.parquet", LARGE[:3], [0, 1, 2], ["cat", "dog", "ox"])
    test = write_parquet(tmp_path / "b.parquet", LARGE[3:5], [0, 1], ["ox", "cat"])
    found = splits(train_path=train, val_path=test)
    assert (found.test.labels.tolist(), found.test.classes) == ([2, 0], ("cat", "dog", "ox"))
    words = write_table(tmp_path / "c.parquet", img=cells(LARGE[5:7]), label=["dog", "ox"])
    assert splits(train_path=train, val_path=words).test.labels.tolist() == [1, 2]
    both = splits(train_path=[train, test]).train
    assert (both.labels.tolist(), both.classes) == ([0, 1, 2, 2, 0], ("cat", "dog", "ox"))
    unknown = write_parquet(tmp_path / "d.parquet", LARGE[3:5], [0, 1], ["cat", "elk"])
    fails(
        "data.val_path = .*: must be images of the classes .* 'elk' is none of them", train_path=train, val_path=unknown
    )


@pytest.mark.parametrize("struct", [True, False])
def test_paths_of_images(tmp_path: Path, struct: bool) -> None:
    write_images(tmp_path, ["pictures/1.png", "pictures/2.png"])
    paths = ["pictures/1.png", "pictures/2.png"]
    column = pa.array([{"bytes": None, "path": path} for path in paths]) if struct else pa.array(paths)
    file = write_table(tmp_path / "a.parquet", img=column, label=[1, 0])
    (tmp_path / "pictures/big.png").write_bytes(encode(LARGE[0]))
    train = splits(train_path=file).train
    assert train.images.shape == (2, 3, 20, 24)
    (tmp_path / "pictures/1.png").unlink()
    fails("data.image_column = 'img': must be .* 1 of 2 are not there", train_path=file)


def test_texts_that_are_no_paths_are_told(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.parquet", text=["a word and another " * 20] * 2, label=[0, 1])
    fails("data.image_column = 'text': must be .* 2 of 2 are not there", train_path=path, image_column="text")


def test_images_in_dictionaries(tmp_path: Path) -> None:
    column = pa.array([encode(image) for image in LARGE[:2]]).dictionary_encode()
    train = splits(train_path=write_table(tmp_path / "a.parquet", img=column, label=[0, 1])).train
    assert train.sources.content(1) == encode(LARGE[1])


def test_rows_without_an_image_are_no_copies(tmp_path: Path) -> None:
    for i in range(2):
        cell = pa.array([encode(LARGE[i]), None])
        write_table(tmp_path / f"{i}.parquet", img=cell, label=[0, 1])
    found = splits(train_path=str(tmp_path / "0.parquet"), val_path=str(tmp_path / "1.parquet"))
    assert (len(found.train), len(found.test)) == (2, 2)


def test_a_folder_with_a_folder_for_each_table(tmp_path: Path) -> None:
    write_parts(tmp_path, ["data.parquet/part-0.parquet", "data.parquet/part-1.parquet"])
    assert len(splits(train_path=str(tmp_path)).train) == 4


def test_parts_behind_links_are_read_once(tmp_path: Path) -> None:
    write_parts(tmp_path, ["disk/0.parquet", "set/train/1.parquet"])
    (tmp_path / "set/test").symlink_to(tmp_path / "disk")
    (tmp_path / "set/another").symlink_to("train")
    (tmp_path / "set/train/back").symlink_to("..")
    assert dataset_at(str(tmp_path / "set")) == "parquet"
    found = splits(train_path=str(tmp_path / "set"))
    assert (len(found.train), len(found.test)) == (2, 2)
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "only").symlink_to(tmp_path / "disk")
    assert dataset_at(str(linked)) == "parquet"


def test_what_a_probe_learns_from_is_decoded_as_what_it_is_scored_on(tmp_path: Path) -> None:
    train = write_parquet(tmp_path / "a.parquet", noise_images(4, 48, 48), [0, 1, 0, 1])
    images = [encode(image) for image in (*noise_images(2, 48, 48, seed=1), *noise_images(1, 40, 48, seed=2))]
    test = write_table(tmp_path / "b.parquet", img=pa.array(images), label=[0, 1, 0])
    found = splits(train_path=train, val_path=test)
    assert isinstance(found.probe, FileSet) and isinstance(found.test, FileSet)
    assert isinstance(found.train, MemorySet)  # which is trained on as if nothing were scored
    assert found.probe.labels.tolist() == [0, 1, 0, 1] and found.probe.mean == found.test.mean == found.train.mean
    back = splits(train_path=test, val_path=train)
    small = write_parquet(tmp_path / "c.parquet", noise_images(2, 24, 24, seed=3), [0, 1])
    for parts in (back, splits(train_path=train, val_path=small)):
        assert isinstance(parts.probe, FileSet) and isinstance(parts.test, FileSet)
        first, second = (eval_loader(s, crop_size=16, batch_size=1, num_workers=0) for s in (parts.probe, parts.test))
        assert next(iter(first))[1].shape == next(iter(second))[1].shape


def test_rows_stay_in_arrow(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", LARGE, list(range(8)))
    train = splits(train_path=path).train
    assert isinstance(train, FileSet)
    assert train.sources.sizes.tolist() == [len(encode(image)) for image in LARGE]
    assert train.subset(torch.tensor([5, 2])).sources.content(1) == encode(LARGE[2])
    assert train.sources.piece(2) == encode(LARGE[2])[len(encode(LARGE[2])) // 2 :][:256]


# --- hub ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed")
@pytest.mark.parametrize("library", [False, True])
def test_hub_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: bool) -> None:
    if library and find_spec("datasets") is None:
        pytest.skip("the library of the hub is not installed")
    if not library:
        monkeypatch.setattr("cplearn_solo.data.sources.hub.find_spec", lambda name: None)
    for name, value in {"HF_HUB_CACHE": tmp_path / "hub", "HF_HUB_OFFLINE": True}.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    fails(
        "data.train_path = 'someone/none': must be a file or folder that exists, or a data set of the hub, .*parquet",
        dataset="hub",
        train_path="someone/none",
    )
    fails("data.train_path = None: must be the name", dataset="hub", train_path=None)
    cached = tmp_path / "hub/datasets--me--set"
    commit = "0" * 40
    write_parts(
        cached / "snapshots" / commit, ["data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"]
    )
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text(commit)
    if library:
        return  # it has its own cache, and reads folders
    found = splits(dataset="hub", train_path="me/set")
    assert torch.equal(found.train.images, noise_images(2, 8, 8, seed=0))
    assert torch.equal(found.test.images, noise_images(2, 8, 8, seed=1))


def test_a_folder_called_datasets_is_not_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``datasets`` is where downloads go, and Python takes a folder in the place where it runs for a package."""
    (tmp_path / "datasets").mkdir()
    found = PathFinder.find_spec("datasets", [str(tmp_path)])
    monkeypatch.setattr("cplearn_solo.data.sources.hub.find_spec", lambda name: found)
    write_parts(tmp_path / "cached", ["train.parquet", "test.parquet"])
    monkeypatch.setattr("cplearn_solo.data.sources.hub._downloaded", lambda name: tmp_path / "cached")
    assert list(hub_parts("me/set", "data.train_path")) == ["test", "train"]


def test_parts_of_the_library_are_whole_words_and_keep_what_labels_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the library: some columns without their meaning, which the features have."""

    def images(labels: list[int]) -> SimpleNamespace:
        info = {"info": {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}
        cells = pa.array([{"bytes": encode(image), "path": None} for image in noise_images(len(labels), 8, 8)])
        arrow = SimpleNamespace(metadata={b"huggingface": json.dumps(info).encode()})
        table = pa.table({"img": cells, "label": labels})
        return SimpleNamespace(data=SimpleNamespace(table=table), features=SimpleNamespace(arrow_schema=arrow))

    library = ModuleType("datasets")
    parts = {"training": images([0, 1]), "dev": images([1]), "trained": images([0, 0, 0])}
    library.load_dataset = lambda name: parts
    monkeypatch.setitem(sys.modules, "datasets", library)
    monkeypatch.setattr("cplearn_solo.data.sources.hub.find_spec", lambda name: SimpleNamespace(origin=name))
    assert list(hub_parts("me/set", "data.train_path")) == ["train", "validation", "trained"]
    found = splits(dataset="hub", train_path="me/set")
    assert (found.train.labels.tolist(), found.test.labels.tolist()) == ([0, 1], [1])
    assert found.train.classes == ("a", "b")

    def away(name: str) -> None:
        raise OSError("no network\nat all")

    library.load_dataset = away
    fails(
        r"data.train_path = 'me/set': must be a file or folder that exists, or a data set .* \(no network\); or give",
        dataset="hub",
        train_path="me/set",
    )


@pytest.mark.skipif(find_spec("datasets") is None, reason="the library of the hub is not installed")
def test_hub_by_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    write_parquet(tmp_path / "me/set/train-0.parquet", LARGE[:3], [0, 1, 2], ["a", "b", "c"], column="image")
    write_parquet(tmp_path / "me/set/test-0.parquet", LARGE[3:5], [1, 0], ["a", "b", "c"], column="image")
    ours = splits(train_path="me/set")
    theirs = splits(dataset="hub", train_path="me/set")
    for a, b in ((ours.train, theirs.train), (ours.test, theirs.test)):
        assert torch.equal(a.labels, b.labels) and a.classes == b.classes == ("a", "b", "c")
        assert all(a.load(i).tobytes() == b.load(i).tobytes() for i in range(len(a)))
