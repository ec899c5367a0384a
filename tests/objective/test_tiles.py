"""Tiles of the dictionary are as large as their memory allows: 6 MB of W, 8 MB of logits, 64 codes at least."""

import pytest
import torch

from cplearn_solo.dictionary import pack_dictionary
from cplearn_solo.objective.packed import PackedDictionary
from cplearn_solo.objective.tiles import Tiles


def tiles(views, n, f, c, kept_bytes=0):
    return Tiles(torch.zeros(views, n, f), PackedDictionary(pack_dictionary(f, c), f), 1.0, kept_bytes=kept_bytes)


@pytest.mark.parametrize(
    ("views", "n", "f", "width"),
    [
        (2, 8, 512, 3072),  # 6 MB / (512 rows of 4 bytes)
        (2, 8, 500, 3072),  # in whole words of 32 rows
        (2, 512, 64, 672),  # 8 MB / (1,024 rows of 12 bytes) is 682, in steps of 16
        (4, 4096, 64, 64),  # which takes more
    ],
)
def test_width(views, n, f, width):
    found = tiles(views, n, f, 4000)
    assert found.width == width and found.bounds[0] == (0, width)
    assert [code for start, stop in found.bounds for code in range(start, stop)] == list(range(4000))


def test_fewer_codes_are_one_tile():
    assert tiles(2, 8, 512, 100).bounds == [(0, 100)]


@pytest.mark.parametrize(
    ("kept_bytes", "kept"), [(0, 0), (4 * 2 * 512 * 672 - 1, 0), (4 * 2 * 512 * 672, 1), (10**9, 6)]
)
def test_logits_are_kept_in_whole_tiles(kept_bytes, kept):
    found = tiles(2, 512, 64, 4000, kept_bytes)
    assert found._kept == kept and len(found._logits) == min(kept + 1, 6)
