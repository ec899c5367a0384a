"""What a path or name points at, and whether the images there have labels."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.images import noise_images, write_images, write_parquet

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


def found(path, dataset="custom", **keys):
    what = found_at(DataConfig(dataset, str(path), **keys))
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
    write_images(tmp_path, names)
    count = len(names) if no_labels else sum("/" in name for name in names)
    assert found(tmp_path, no_labels=not no_labels) == (count, no_labels, why, [-1] if no_labels else [0, 1])


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
