"""What a path or name points at, and whether the images there have labels."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.images import encode, noise_images, write_images, write_parquet

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DataConfig
from cplearn_solo.data.sources.kinds import dataset_at, found_at, holds_tables
from cplearn_solo.data.sources.written import ABOUT


def test_what_a_path_or_name_is_read_by(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path, ["images/a.png", "me/x.png"])
    write_parquet(tmp_path / "tables/deeper/a.parquet", noise_images(1, 4, 4), [0])
    (tmp_path / "list.txt").write_text("images/a.png\n")
    kinds = {
        "images": "custom",
        "tables": "parquet",
        "tables/deeper/a.parquet": "parquet",
        "there/A.PARQUET": "parquet",
    }
    kinds |= {"tables/deeper/*": "parquet", "table[st]": "parquet", "image*": "custom", "none*": "custom"}
    kinds |= {"list.txt": "custom", "": "custom", "cifar10": "cifar10", "digits": "digits", "nobody/set": "hub"}
    kinds |= {"me/none": "custom", "none": "custom", "a/b/c": "custom"}  # mistaken paths rather than names on the hub
    assert {where: dataset_at(where) for where in kinds} == kinds


def test_the_first_folder_with_anything_says_whether_it_holds_tables(tmp_path):
    assert not holds_tables(tmp_path)
    write_parquet(tmp_path / "b/a.parquet", noise_images(1, 4, 4), [0])
    (tmp_path / "a").mkdir()
    assert holds_tables(tmp_path)
    write_images(tmp_path, ["a/x.png"])
    assert not holds_tables(tmp_path)


def test_what_was_written_of_images_is_none_of_them(tmp_path):
    """As ``cplearn embed RUN photos photos/vectors.parquet`` leaves it."""
    write_images(tmp_path, ["photos/cat/1.png", "photos/dog/1.png"])
    written = pa.table({"file": ["cat/1.png"]}).replace_schema_metadata({ABOUT: b"{}"})
    pq.write_table(written, tmp_path / "photos/vectors.parquet")
    assert dataset_at(str(tmp_path / "photos")) == "custom"
    write_parquet(tmp_path / "tables/a.parquet", noise_images(2, 4, 4), [0, 1])
    pq.write_table(written, tmp_path / "tables/vectors.parquet")
    assert dataset_at(str(tmp_path / "tables")) == "parquet" and found(tmp_path / "tables", "parquet")[0] == 2


@pytest.mark.parametrize("name", ["train.parquet", "train.tar", "train.zip", "train.csv", "."])
def test_a_pointer_of_git_lfs_is_told_as_such(name, tmp_path):
    """As a clone from the hub without Git LFS has it in the place of each large file."""
    file = tmp_path / ("train.parquet" if name == "." else name)
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    place = tmp_path / name
    words = f"^unreadable file {file}: a Git LFS pointer in the place of the file, which `git lfs pull` fetches"
    with pytest.raises(InputError, match=words):
        found(place, dataset_at(str(place)))


def found(path, dataset="custom", **keys):
    what = found_at(DataConfig(dataset, path if isinstance(path, list) else str(path), **keys))
    return len(what.images), what.no_labels, what.why, sorted(set(what.images.labels.tolist()))


@pytest.mark.parametrize(
    ("names", "no_labels", "why"),
    [
        (["a/1.png", "b/1.png", "b/2.png"], False, "2 class folders"),
        (["1.png", "2.png"], True, "no class folders"),
        (["a/1.png", "a/2.png"], True, "2 of 2 images in 1 folder(s): no class folders"),
        (["a/1.png", "b/1.png", "1.png", "2.png"], True, "2 of 4 images in 2 folder(s): no class folders"),
        (["a/1.png", "b/1.png", "b/2.png", "1.png", "2.png"], False, "2 class folders"),
    ],
)
def test_folders_are_classes_if_they_hold_most_images(tmp_path, names, no_labels, why):
    write_images(tmp_path / "images", names)
    count = len(names) if no_labels else sum("/" in name for name in names)
    expected = (count, no_labels, why, [-1] if no_labels else [0, 1])
    assert found(tmp_path / "images", no_labels=not no_labels) == expected
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "images")
    shutil.make_archive(str(tmp_path / "packed"), "tar", tmp_path / "images")
    assert found(tmp_path / "packed.zip") == found([str(tmp_path / "packed.tar")]) == expected


def test_tables_and_lists_have_labels_if_they_can_be_read_so(tmp_path):
    assert found(".", "digits", no_labels=True)[1:3] == (False, "digits has labels")
    path = write_parquet(tmp_path / "a.parquet", noise_images(3, 4, 4), [0, 1, -1], ["a", "b"])
    assert found(path, "parquet")[:3] == (3, False, "labels of 2 classes")
    path = write_parquet(tmp_path / "b.parquet", noise_images(2, 4, 4), [-1, -1], ["a", "b"])
    assert found(path, "parquet") == (2, True, "no labels among them", [-1])
    path = write_parquet(tmp_path / "b.parquet", noise_images(3, 4, 4), None)
    assert found(path, "parquet") == (3, True, "no labels among them", [-1])
    with pytest.raises(InputError, match="data.label_column = 'kind'"):
        found(path, "parquet", label_column="kind")


def table(path, **columns):
    """A parquet file of three images beside these columns."""
    cells = [encode(image) for image in noise_images(3, 4, 4)]
    pq.write_table(pa.table({"img": cells, **columns}), path)
    return str(path)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([-1, 0, 1], "data.label_column = 'label': must be a column of labels from 0 up, and .* holds -1"),
        ([0.5, 1.0, 2.0], "data.label_column = 'label': must be a column of whole numbers, and .* holds fractions"),
        ([0, 1, 10**6], "data.label_column = 'label': must be a column of labels from 0 to 999999, and .*1000000"),
    ],
)
def test_labels_that_cannot_be_read_are_an_error(tmp_path, labels, words):
    path = table(tmp_path / "a.parquet", label=labels)
    with pytest.raises(InputError, match=f"{words}; data.no_labels=true leaves labels out$"):
        found(path, "parquet")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([-1, 0, 1], "must be images with labels from 0 up, empty where there is none, and it holds -1"),
        ([0, 0.5, 1], "must be images with labels that are names or whole numbers, and it holds 0.5"),
        ([0, 1, 10**6], "must be images with labels below 1000000, and it holds 1000000: number classes from 0"),
    ],
)
def test_so_are_those_of_lists_and_shards(tmp_path, labels, words):
    write_images(tmp_path, [f"{i}.png" for i in range(3)])
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(f"{i}.png,{label}\n" for i, label in enumerate(labels)))
    with pytest.raises(InputError, match=f"data.train_path = .*list.csv': {words}; data.no_labels=true leaves labels"):
        found(tmp_path / "list.csv")
    (tmp_path / "shard").mkdir()
    for i, label in enumerate(labels):
        shutil.copy(tmp_path / f"{i}.png", tmp_path / "shard")
        (tmp_path / f"shard/{i}.cls").write_text(str(label))
    shutil.make_archive(str(tmp_path / "shard"), "tar", tmp_path / "shard")
    with pytest.raises(InputError, match=f"data.train_path = .*shard.tar': {words}; data.no_labels=true leaves labels"):
        found(tmp_path / "shard.tar")
    with pytest.raises(InputError, match="must be a list in UTF-8, .* at byte 11$") as told:  # it has no bad labels
        (tmp_path / "list.csv").write_bytes(b"path,label\n\xff.png,1\n")
        found(tmp_path / "list.csv")
    assert "no_labels" not in str(told.value)


def test_what_may_be_labels_is_told_where_nothing_says_so(tmp_path):
    path = table(tmp_path / "a.parquet", **{"class": ["cat", "dog", "cat"]})
    wanted = "data.label_column = 'label': must be a column of"
    why = f"labels are not read: {wanted} {path}: img, class"
    assert found(path, "parquet") == (3, True, why, [-1])
    assert found(path, "parquet", label_column="class")[1:] == (False, "labels of 2 classes", [0, 1])
    only, named = table(tmp_path / "only.parquet"), table(tmp_path / "named.parquet", label=[0, 1, 1])
    assert found([only, named], "parquet") == (6, True, f"labels are not read: {wanted} {only}: img", [-1])
    write_images(tmp_path, ["flat/1.png", "more/2.png", "classes/cat/1.png", "classes/dog/1.png"])
    rows = "path,class,weight\nflat/1.png,a,1\nmore/2.png,b,1\n"
    (tmp_path / "list.csv").write_text(rows)
    why = f"labels are not read: {wanted} {tmp_path}/list.csv, or set data.no_labels=true: it has path, class, weight"
    assert found(tmp_path / "list.csv") == (2, True, why, [-1])
    with pytest.raises(InputError, match="data.label_column = 'clas': must be a column of .*: it has path, class"):
        found(tmp_path / "list.csv", label_column="clas")
    flat, more, classes = (str(tmp_path / name) for name in ("flat", "more", "classes"))
    assert found([flat, more])[2] == "no labels among them"
    assert found([flat, classes])[2].startswith(f"labels are not read: data.train_path = '{flat}': must be a folder of")
    for name in ("flat", "classes"):
        shutil.make_archive(str(tmp_path / name), "zip", tmp_path / name)
    several = found([f"{classes}.zip", f"{flat}.zip"])
    assert several[2].startswith(f"labels are not read: data.train_path = '{flat}.zip': must be an archive of class")
