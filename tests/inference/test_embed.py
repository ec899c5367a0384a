"""Embeddings in files: what is in them, what is refused, and what a kill leaves."""

import csv
import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from support.images import encode, noise_images, write_images, write_parquet

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.locks import try_lock
from cplearn_solo.dictionary import pack_dictionary
from cplearn_solo.inference import rows
from cplearn_solo.inference.embed import embed, pack_bits
from cplearn_solo.inference.features import extract
from cplearn_solo.inference.formats import WRITERS, as_array
from cplearn_solo.inference.images import images_at
from cplearn_solo.inference.pretrained import load_pretrained

NAMES = [f"{kind}/{i}.png" for kind in ("a", "b") for i in range(10)]


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images", NAMES)
    return tmp_path / "images"


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of two batches of four."""
    monkeypatch.setattr(rows, "SHARD", 8)
    return {"batch_size": 4, "num_workers": 0}


def expected(model, images):
    """Features, embeddings and codes, all at once."""
    crop_size = model.config.augmentations[0].crop_size
    features = extract(model.backbone, model.method, images, crop_size=crop_size)
    with torch.no_grad():
        return features.x, model.method.embed(features.x), features.codes


def read_back(file):
    """File, representation, code and confidence as any other program reads them."""
    if file.suffix == ".parquet":
        table = pq.read_table(file)
        return [np.array(table["file"].to_pylist()), *(as_array(table[name]) for name in table.column_names[1:])]
    if file.suffix == ".npz":
        stored = np.load(file)
        return [stored[name] for name in ("file", "features", "codes", "confidence")]
    with file.with_suffix(".csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    names, codes, confidence = (
        np.array([kind(row[name]) for row in rows])
        for name, kind in (("file", str), ("code", int), ("confidence", np.float32))
    )
    if file.suffix == ".npy":
        return names, np.load(file), codes, confidence
    x = np.array([[np.float32(value) for name, value in row.items() if name.startswith("x")] for row in rows])
    return names, x, codes, confidence


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_holds_what_extract_gives(ending, half, model, folder, small_shards, tmp_path):
    images = images_at(model, str(folder))
    found = embed(model, images, tmp_path / f"out{ending}", half=half, **small_shards)
    names, x, codes, confidence = read_back(found.file)
    features, _, wanted = expected(model, images)
    assert names.tolist() == NAMES and (found.rows, found.unreadable, found.listed) == (20, 0, None)
    # batches of another size sum in another order
    np.testing.assert_allclose(x.astype(np.float32), features, rtol=1e-3 if half else 1e-5, atol=1e-3 if half else 1e-5)
    assert x.dtype == (np.float16 if half and ending != ".csv" else np.float32)
    assert codes.tolist() == wanted.tolist()
    with torch.no_grad():
        p = model.method(features).softmax(dim=1)[torch.arange(20), wanted]
    np.testing.assert_allclose(confidence, p, rtol=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["images", f"out{ending}", *(["out.csv"] if ending == ".npy" else [])]
    )


def test_spaces(model, folder, small_shards, tmp_path):
    images = images_at(model, str(folder))
    _, h, _ = expected(model, images)
    embed(model, images, tmp_path / "h.npy", space="projector", **small_shards)
    np.testing.assert_allclose(np.load(tmp_path / "h.npy"), h, rtol=1e-4, atol=1e-4)
    embed(model, images, tmp_path / "bits.npy", space="bits", **small_shards)
    bits = np.unpackbits(np.load(tmp_path / "bits.npy"), axis=1)[:, : h.shape[1]]
    sure = h.abs() > 1e-4
    assert (torch.from_numpy(bits).bool() == (h > 0))[sure].all() and sure.float().mean() > 0.99


def test_bits_are_those_of_the_dictionary():
    """A code, as an embedding, has the bytes of its words."""
    words = pack_dictionary(96, 5, seed=3)
    shifts = torch.arange(31, -1, -1)[:, None]
    signs = (words[:, None] >> shifts & 1).flatten(0, 1).float() * 2 - 1
    assert pack_bits(signs.T).tobytes() == words.T.numpy().astype(">i4").tobytes()
    assert pack_bits(torch.ones(2, 9)).tolist() == [[255, 128]] * 2


def test_without_an_ending_it_is_parquet_that_says_of_what(model, folder, tmp_path):
    found = embed(model, images_at(model, str(folder)), tmp_path / "out", num_workers=0)
    assert found.file == tmp_path / "out.parquet"
    about = json.loads(pq.read_schema(found.file).metadata[b"cplearn_solo"])
    assert about["space"] == "backbone" and about["images"]["images"] == 20 and "f" not in about
    embed(model, images_at(model, str(folder)), tmp_path / "bits", space="bits", num_workers=0)
    about = json.loads(pq.read_schema(tmp_path / "bits.parquet").metadata[b"cplearn_solo"])
    assert about["f"] == 128  # of which eight are a byte


@pytest.mark.parametrize("ending", WRITERS)
def test_a_folder_may_have_any_name(ending, model, folder, tmp_path):
    place = tmp_path / os.fsdecode(b"\xe4")
    try:
        place.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    (folder / "a/3.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match="1 of 20 images could not be read"):
        found = embed(model, images_at(model, str(folder)), place / f"out{ending}", num_workers=0)
    assert found.rows == 19 and found.file.stat().st_size > 0 and "3.png" in found.listed.read_text()


def test_a_table_is_of_the_checkpoint_that_was_read(cplearn, folder, tmp_path):
    """Though training goes on and puts the next one in its place."""
    file = shutil.copy(cplearn, tmp_path / "last.ckpt")
    model = load_pretrained(file)
    known = rows.run_hash(model)
    assert known == hashlib.blake2b(Path(file).read_bytes(), digest_size=8).hexdigest()
    (tmp_path / "next.ckpt").write_bytes(b"later")
    os.replace(tmp_path / "next.ckpt", file)
    found = embed(model, images_at(model, str(folder)), tmp_path / "out", num_workers=0)
    assert json.loads(pq.read_schema(found.file).metadata[b"cplearn_solo"])["run"] == known


@pytest.mark.parametrize("ending", WRITERS)
def test_a_killed_call_goes_on_and_leaves_the_same_bytes(ending, model, folder, small_shards, tmp_path):
    (folder / "a/3.png").write_bytes(b"no image")
    (folder / "b/9.png").write_bytes(b"")
    images, seen = images_at(model, str(folder)), []

    def killed(done, total):
        seen.append(done)
        if len(seen) == 4:
            raise KeyboardInterrupt

    whole, again = tmp_path / f"whole{ending}", tmp_path / f"again{ending}"
    with pytest.warns(UserWarning, match="could not be read"):
        embed(model, images, whole, **small_shards)
    with pytest.raises(KeyboardInterrupt):
        embed(model, images, again, progress=killed, **small_shards)
    assert not again.exists() and (tmp_path / f".again{ending}.parts").is_dir()
    with pytest.warns(UserWarning, match="could not be read"):
        found = embed(model, images, again, progress=lambda done, total: seen.append(done), **small_shards)
    assert seen == [4, 8, 12, 16, 12, 16, 20]  # the second shard was not whole
    assert found.unreadable == 2 and not (tmp_path / f".again{ending}.parts").exists()
    for one in tmp_path.glob("whole*"):
        assert one.read_bytes() == (tmp_path / one.name.replace("whole", "again")).read_bytes(), one


@pytest.mark.filterwarnings("ignore:1 of 20 images")
def test_a_call_that_is_killed_while_it_writes_reads_no_image_again(model, folder, small_shards, tmp_path, monkeypatch):
    (folder / "a/3.png").write_bytes(b"no image")
    images = images_at(model, str(folder))

    def killed(target, shards):
        rows.companion(target).write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setitem(WRITERS, ".npy", killed)
        with pytest.raises(KeyboardInterrupt):
            embed(model, images, tmp_path / "out.npy", **small_shards)
    seen = []
    found = embed(model, images, tmp_path / "out.npy", progress=lambda *where: seen.append(where), **small_shards)
    assert seen == [] and len(read_back(found.file)[0]) == len(np.load(found.file)) == 19
    assert found.listed.read_text().count("3.png") > 0


@pytest.mark.parametrize("name", ["out.csv", "out.npy", "out.npy.unreadable.csv"])
@pytest.mark.filterwarnings("ignore:1 of 20 images")
def test_what_another_program_writes_meanwhile_is_kept(name, model, folder, small_shards, tmp_path):
    """As ``cplearn predict`` writes out.csv beside an out.npy that takes hours, and also before that goes on."""
    (folder / "a/3.png").write_bytes(b"no image")
    images, other = images_at(model, str(folder)), tmp_path / name

    def meanwhile(done, total):
        other.write_text("of another")

    for progress in (meanwhile, lambda *_: None):
        with pytest.raises(InputError, match=f"OUT = '.*{name}': must be a new file, that one exists already"):
            embed(model, images, tmp_path / "out.npy", progress=progress, **small_shards)
        assert other.read_text() == "of another"
    other.unlink()
    seen = []
    found = embed(model, images, tmp_path / "out.npy", progress=lambda *at: seen.append(at), **small_shards)
    assert found.rows == 19 and seen == []


def test_work_of_another_call_is_not_taken(model, folder, small_shards, tmp_path):
    images = images_at(model, str(folder))

    def killed(done, total):
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(model, images, tmp_path / "out.npz", progress=killed, **small_shards)
    with pytest.raises(InputError, match="holds part of a call with other space, half"):
        embed(model, images, tmp_path / "out.npz", space="projector", half=True, **small_shards)
    lock = try_lock(tmp_path / ".out.npz.parts/lock")
    with pytest.raises(InputError, match="a process is writing that one"):
        embed(model, images, tmp_path / "out.npz", **small_shards)
    lock.release()
    assert embed(model, images, tmp_path / "out.npz", **small_shards).rows == 20


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_images_are_listed_and_left_out(workers, model, folder, small_shards, tmp_path):
    """However many follow one another."""
    broken = NAMES[4:17]
    for name in broken:
        (folder / name).write_bytes(b"no image")
    images = images_at(model, str(folder))
    with pytest.warns(UserWarning, match="13 of 20 images could not be read"):
        found = embed(model, images, tmp_path / "out.npz", **{**small_shards, "num_workers": workers})
    names, x, _, _ = read_back(found.file)
    readable = [i for i, name in enumerate(NAMES) if name not in broken]
    assert names.tolist() == [NAMES[i] for i in readable] and (found.rows, found.unreadable) == (7, 13)
    features, _, _ = expected(model, images.subset(torch.tensor(readable)))
    np.testing.assert_allclose(x, features, rtol=1e-5, atol=1e-5)
    with found.listed.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == broken and "cannot identify image file" in rows[0]["reason"]


@pytest.mark.parametrize("workers", [0, 1])
def test_images_on_a_drive_that_is_lost_are_not_left_out(workers, model, folder, small_shards, tmp_path, monkeypatch):
    """The same call goes on with them."""
    images, opened = images_at(model, str(folder)), Image.open

    def lost(file, *how):
        if str(file).endswith("b/4.png"):
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return opened(file, *how)

    how = {**small_shards, "num_workers": workers}
    with monkeypatch.context() as context:
        context.setattr(Image, "open", lost)
        with pytest.raises(InputError, match=r"^unreadable image .*b/4.png: .*Transport endpoint is not connected$"):
            embed(model, images, tmp_path / "out.npz", **how)
    assert [path.name for path in sorted(tmp_path.glob(".out.npz.parts/*.arrow"))] == ["000000.arrow"]
    assert embed(model, images, tmp_path / "out.npz", **how).rows == 20


def test_methods_without_codes_have_no_such_columns(checkpoint, folder, tmp_path):
    model = load_pretrained(checkpoint("simclr"))
    images = images_at(model, str(folder))
    found = embed(model, images, tmp_path / "out.parquet", num_workers=0)
    assert pq.read_schema(found.file).names == ["file", "representation"]
    with pytest.raises(InputError, match="space = 'bits': must be backbone or projector, simclr has no codes"):
        embed(model, images, tmp_path / "bits.parquet", space="bits")
    assert {path.name for path in tmp_path.iterdir()} == {"images", "out.parquet"}


@pytest.mark.parametrize("method", ["swav", "dino", "self_classifier", "gedi_nogen"])
def test_confidence_is_the_probability_of_the_code(method, checkpoint, folder, tmp_path):
    """By the temperature of each method's prediction: 0.1 in all of these."""
    model = load_pretrained(checkpoint(method))
    images = images_at(model, str(folder))
    features, _, codes = expected(model, images)
    embed(model, images, tmp_path / "out.npz", num_workers=0)
    scale = 1.0 if method == "gedi_nogen" else 0.1  # whose scores are divided already
    with torch.no_grad():
        p = (model.method(features) / scale).softmax(dim=1).max(dim=1)
    _, _, found, confidence = read_back(tmp_path / "out.npz")
    assert found.tolist() == codes.tolist() == p.indices.tolist()
    np.testing.assert_allclose(confidence, p.values, rtol=1e-3)


def test_numbers_too_large_for_16_bits_are_refused(cplearn, folder, tmp_path):
    model = load_pretrained(cplearn)
    model.backbone.register_forward_hook(lambda module, given, out: out * 1e6)
    with pytest.raises(
        InputError, match="half = True: must be left out, there are numbers of .* float16 ends at 65504"
    ):
        embed(model, images_at(model, str(folder)), tmp_path / "out.npz", half=True, num_workers=0)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize("name", ["out.parquet", "out.npy", "out.csv", "out.npy.unreadable.csv"])
def test_nothing_is_overwritten(name, model, folder, tmp_path):
    (tmp_path / name).write_text("mine")
    out = "out.npy" if "npy" in name or name == "out.csv" else "out"
    with pytest.raises(InputError, match="a new file, that one exists already"):
        embed(model, images_at(model, str(folder)), tmp_path / out, num_workers=0)
    assert {path.name for path in tmp_path.iterdir()} == {"images", name} and (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    "out, words",
    [
        ("out.txt", "a file that ends in .parquet, .npz, .npy, .csv"),
        ("no/out.npz", "there is no folder"),
        ("out/", "the name of a file"),
        ("images/..", "the name of a file"),
    ],
)
def test_other_files_are_refused(out, words, model, folder, tmp_path):
    with pytest.raises(InputError, match=words):
        embed(model, images_at(model, str(folder)), f"{tmp_path}/{out}")


def test_the_order_is_that_of_the_source(model, tmp_path):
    """Files of a table are numbers of rows; of several tables, their names stand before."""
    images = noise_images(6, 20, 24)
    write_parquet(tmp_path / "some/x-0.parquet", images[:4], None)
    write_parquet(tmp_path / "some/x-1.parquet", [encode(images[4]), b"", encode(images[5])], None)
    alone = images_at(model, str(tmp_path / "some/x-0.parquet"))
    embed(model, alone, tmp_path / "alone.npz", num_workers=0)
    with pytest.warns(UserWarning, match="1 of 7 images could not be read"):
        embed(model, images_at(model, str(tmp_path / "some")), tmp_path / "all.npz", num_workers=0)
    assert read_back(tmp_path / "alone.npz")[0].tolist() == ["0", "1", "2", "3"]
    names, x, *_ = read_back(tmp_path / "all.npz")
    assert names.tolist() == [f"x-0.parquet/{i}" for i in range(4)] + ["x-1.parquet/0", "x-1.parquet/2"]
    np.testing.assert_allclose(x[:4], read_back(tmp_path / "alone.npz")[1], rtol=1e-5, atol=1e-5)
    assert len({hashlib.sha1(row.tobytes()).hexdigest() for row in x}) == 6
