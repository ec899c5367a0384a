"""What is found out about images before a training."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from support.images import pil, smooth_image, write_images

from cplearn_solo.data import DataConfig
from cplearn_solo.data import inspect as module
from cplearn_solo.data.decoding.header import _bits
from cplearn_solo.data.inspect import contact_sheet, in_short, inspect
from cplearn_solo.data.sources import DATASETS


@pytest.fixture
def photos(tmp_path):
    """Two classes of five images each, to which tests add what is wrong."""
    write_images(tmp_path, [f"{name}/{i}.png" for name in ("cat", "dog") for i in range(5)])
    return tmp_path


def seen(folder: Path, **settings):
    return inspect(DATASETS["custom"](DataConfig(dataset="custom", train_path=str(folder)), False)[0], **settings)


def names(found, rows):
    return [Path(found.images.name(i)).name for i in rows]


def test_kinds_are_counted_by_what_files_hold_not_by_their_names(photos):
    grey = np.arange(64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(grey * 1000).save(photos / "cat/deep.png")
    Image.fromarray(grey * 1000).save(photos / "cat/deep.tif")
    Image.new("1", (30, 10)).save(photos / "dog/bits.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    pil(smooth_image(8, 30)).save(photos / "dog/turned.png", "JPEG", exif=exif)
    found = seen(photos)
    assert found.counts("format") == {"PNG": 12, "TIFF": 1, "JPEG": 1}
    assert found.counts("mode") == {"RGB": 11, "I;16": 2, "1": 1}
    assert found.counts("bits") == {"8": 11, "16": 2, "1": 1}
    assert [look.header.size for look in found.readable if look.header.turned] == [(30, 8)]


def test_bits_of_a_tiff_are_those_of_its_widest_band():
    image = SimpleNamespace(tag_v2={258: (5, 6, 5)}, tile=[], mode="RGB", format="TIFF", info={})
    assert _bits(image) == 6 and _bits(SimpleNamespace(**{**vars(image), "tag_v2": {}})) == 1


def test_damaged_and_nearly_empty_images_are_told_apart(photos):
    (photos / "cat/half.png").write_bytes((photos / "cat/0.png").read_bytes()[:300])
    (photos / "cat/none.png").write_bytes(b"")
    Image.new("RGB", (20, 20), "grey").save(photos / "dog/blank.png")
    found = seen(photos)
    refused = [look for look in found.looks if look.refused]
    assert names(found, [look.index for look in refused]) == ["half.png", "none.png"]
    assert "truncated" in refused[0].refused and "the file is empty" in refused[1].refused
    assert names(found, [look.index for look in found.looks if look.empty]) == ["blank.png"]
    assert len(found.readable) == 11


def test_copies_are_found_by_content_wherever_they_are(photos, monkeypatch):
    for copy in ("cat/a.png", "dog/b.png"):
        (photos / copy).write_bytes((photos / "cat/1.png").read_bytes())
    (photos / "dog/c.png").write_bytes((photos / "dog/0.png").read_bytes())
    same_size = bytearray((photos / "cat/2.png").read_bytes())
    same_size[-1] ^= 1
    (photos / "cat/other.png").write_bytes(same_size)
    found = seen(photos)
    assert [names(found, group) for group in found.copies] == [["1.png", "a.png", "b.png"], ["0.png", "c.png"]]

    monkeypatch.setattr(module, "SAMPLE", 3)
    few = seen(photos, seed=1)
    rows = {look.index for look in few.looks}
    assert len(rows) == 3
    assert few.copies == [group for group in found.copies if rows & set(group)]
    assert len(seen(photos, everything=True).looks) == 14


def test_a_training_says_in_a_line_what_it_sees(photos):
    (photos / "cat/none.png").write_bytes(b"")
    pil(smooth_image(20, 20)).save(photos / "dog/last.jpg")
    images = seen(photos).images
    words = "data: 12 images of 2 classes with 6 to 6 each, 12 to score on; 10 PNG RGB, 1 JPEG RGB of 12 looked at"
    assert in_short(images, images) == words
    digits, _ = DATASETS["digits"](DataConfig(), False)
    assert in_short(digits, None) == "data: 1438 images of 10 classes with 140 to 146 each"


def test_a_contact_sheet_has_the_views_of_an_image_side_by_side():
    views = [[np.full((4, 4, 3), 10 * i, np.uint8), np.full((300, 300, 3), 200, np.uint8)] for i in range(5)]
    sheet = np.asarray(contact_sheet(views, columns=4, side=16))
    assert sheet.shape == (2 * (16 + 8) + 8, 4 * (32 + 8) + 8, 3)
    for i in range(5):
        y, x = 8 + i // 4 * 24, 8 + i % 4 * 40
        assert (sheet[y : y + 16, x : x + 16] == 10 * i).all() and (sheet[y : y + 16, x + 16 : x + 32] == 200).all()
    assert (sheet[:8] == 255).all() and (sheet[-24:, -24:] == 255).all()


def test_pytorchs_random_state_is_not_touched(photos):
    before = torch.get_rng_state()
    seen(photos)
    assert torch.equal(before, torch.get_rng_state())
