"""Images of parquet files for a reader in order: the same ones, few of them in memory."""

import pickle
from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.images import encode, noise_images, write_images, write_parquet

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DATASETS, DataConfig, eval_loader
from cplearn_solo.data.fingerprint import fingerprint
from cplearn_solo.data.sources import images_in_order, in_order

IMAGES = [encode(image) for image in noise_images(23, 6, 6)]
IMAGES[7], IMAGES[20] = None, b""


def table(path, *, rows, struct):
    cells = pa.array([{"bytes": data, "path": "x.png"} for data in IMAGES]) if struct else pa.array(IMAGES, pa.binary())
    pq.write_table(pa.table({"img": cells, "label": list(range(len(IMAGES)))}), path, row_group_size=rows)
    return path


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(in_order, "HELD", 4)


def both(path):
    """The images held in memory, and those in order."""
    cfg = DataConfig(dataset="parquet", train_path=str(path), no_labels=True)
    return DATASETS["parquet"](cfg, False)[0], images_in_order(cfg)


@pytest.mark.parametrize("struct", [True, False])
@pytest.mark.parametrize("rows", [1, 5, 100])
def test_they_are_the_same_in_any_order(rows, struct, tmp_path):
    held, found = both(table(tmp_path / "x.parquet", rows=rows, struct=struct))
    assert isinstance(found.sources, in_order.RowsInOrder) and fingerprint(found, None) == fingerprint(held, None)
    there = range(len(IMAGES))
    for i in chain(there, there, reversed(there), [3, 21, 4, 4, -1]):
        assert found.sources.content(i) == held.sources.content(i) == (IMAGES[i] or b"")
        assert found.sources.key(i) == held.sources.key(i)
    assert found.sources[5] == held.sources[5]  # and its name
    copy = pickle.loads(pickle.dumps(found.sources))
    assert copy.content(9) == IMAGES[9] and len(copy) == 23


def test_few_rows_are_held(tmp_path):
    _, found = both(table(tmp_path / "x.parquet", rows=100, struct=True))
    for i in range(len(IMAGES)):
        found.sources.content(i)
        assert len(found.sources._held) <= 4
    with pytest.raises(IndexError):
        found.sources.content(23)


@pytest.mark.filterwarnings("ignore:2 of 23 images")
@pytest.mark.parametrize("workers", [0, 2])
def test_workers_have_places_of_their_own(workers, tmp_path):
    held, found = both(table(tmp_path / "x.parquet", rows=9, struct=True))
    found.sources.content(11)  # the place of this process, which workers are forked from
    batches = [
        [pixels.tolist() for _, pixels, _ in eval_loader(images, crop_size=6, batch_size=3, num_workers=workers)]
        for images in (held, found)
    ]
    assert batches[0] == batches[1]


def test_several_files_are_one_behind_the_other(tmp_path):
    for i, part in enumerate(([0, 1], [2], [3, 4, 5])):
        write_parquet(tmp_path / f"{i}.parquet", [IMAGES[j] for j in part], None)
    held, found = both(tmp_path)
    assert [found.sources.content(i) for i in range(6)] == [held.sources.content(i) for i in range(6)] == IMAGES[:6]
    assert [found.sources.file(i) for i in range(6)] == [held.sources.file(i) for i in range(6)]


def test_paths_in_a_table_are_files(tmp_path):
    write_images(tmp_path, ["a.png", "b.png"])
    pq.write_table(pa.table({"img": ["b.png", "a.png"]}), tmp_path / "x.parquet")
    cells = pa.array([{"bytes": None, "path": "b.png"}, {"bytes": None, "path": "a.png"}])
    pq.write_table(pa.table({"img": cells}), tmp_path / "y.parquet")
    for name in ("x.parquet", "y.parquet"):
        _, found = both(tmp_path / name)
        assert [found.sources.file(i) for i in range(2)] == ["b.png", "a.png"]


def test_other_sources_are_as_they_are():
    assert len(images_in_order(DataConfig())) == 1438  # digits


def test_mistakes_are_those_of_any_reader(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"no table")
    pq.write_table(pa.table({"img": [1, 2]}), tmp_path / "y.parquet")
    for name, words in (("x.parquet", "unreadable parquet file"), ("y.parquet", "data.image_column = 'img': must be")):
        with pytest.raises(InputError, match=words):
            images_in_order(DataConfig(dataset="parquet", train_path=str(tmp_path / name), no_labels=True))
