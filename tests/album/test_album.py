"""Images of a code, and thumbnails of many in a file."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from support.images import noise_images

from cplearn_solo.album import sheets as sheeting
from cplearn_solo.album.codes import by_code
from cplearn_solo.album.seen import Seen
from cplearn_solo.album.sheets import COLUMNS, SIDE, sheets, thumbnails

MOST_BYTES = 2_000_000


def seen_of(codes, confidence, labels, kept=None):
    codes = torch.tensor(codes)
    kept = torch.arange(len(codes)) if kept is None else torch.tensor(kept)
    return Seen(codes, torch.tensor(confidence), torch.tensor(labels), kept, kept, torch.zeros(len(kept), 1), 0)


def test_codes_come_by_size_with_their_purity_and_images_from_sure_to_unsure():
    codes = [5, 2, 5, 5, 9, 5, 2, 5]
    seen = seen_of(codes, [0.9, 0.5, 0.3, 0.7, 0.2, 0.1, 0.6, 0.8], [1, 0, 1, -1, -1, 3, 0, 1])
    first, second, third = by_code(seen, most=9, images=3)
    assert (first.number, first.size, first.share, first.label, first.purity) == (5, 5, 5 / 8, 1, 3 / 4)
    assert first.rows == [0, 3, 5]  # the most sure, one between, the least sure
    assert (second.number, second.rows, second.purity) == (2, [6, 1], 1)
    assert (third.number, third.label, third.purity) == (9, None, None)
    assert [code.number for code in by_code(seen, most=1, images=3)] == [5]


def test_sizes_are_of_all_images_and_rows_of_those_that_are_kept():
    seen = seen_of([1, 1, 1, 4], [0.1, 0.9, 0.5, 0.3], [0, 0, 1, 1], kept=[0, 2])
    one, four = by_code(seen, most=9, images=10)
    assert (one.size, one.purity, one.rows) == (3, 2 / 3, [1, 0]) and (four.size, four.rows) == (1, [])


def test_thumbnails_are_where_the_page_looks_for_them():
    colours = noise_images(COLUMNS**2 + 40, 1, 1)
    files = sheets(colours.expand(-1, -1, SIDE, SIDE), MOST_BYTES)
    pictures = [np.asarray(Image.open(io.BytesIO(file))) for file in files]
    assert [picture.shape for picture in pictures] == [
        (COLUMNS * SIDE, COLUMNS * SIDE, 3),
        (2 * SIDE, COLUMNS * SIDE, 3),
    ]
    for i in (0, 1, COLUMNS, COLUMNS**2 - 1, COLUMNS**2 + 39):
        y, x = i // COLUMNS % COLUMNS * SIDE, i % COLUMNS * SIDE
        cell = pictures[i // COLUMNS**2][y : y + SIDE, x : x + SIDE].astype(float)
        inside = cell[1:-1, 1:-1]  # a decoder smooths colours at the edge
        assert np.abs(inside - colours[i, :, 0, 0].numpy()).max() < 6, i


def test_what_is_too_large_is_compressed_more():
    noise = noise_images(64, SIDE, SIDE)
    (best,) = sheets(noise, MOST_BYTES)
    (smaller,) = sheets(noise, len(best) // 2)
    assert len(best) / 8 < len(smaller) <= len(best) / 2


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_images_of_any_bands_have_thumbnails(bands, monkeypatch):
    batch = torch.arange(bands, dtype=torch.uint8)[None, :, None, None].expand(2, -1, 96, 96)
    monkeypatch.setattr(sheeting, "eval_loader", lambda *args, **kwargs: [(None, batch, None)])
    found = thumbnails(None, 0)
    assert found.shape == (2, 3, SIDE, SIDE)
    assert found[0, :, 0, 0].tolist() == ([0, 1, 2] if bands >= 3 else [0, 0, 0])
