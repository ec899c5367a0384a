"""Views are finished a part of the batch at a time, so that a cache holds what one thread works on."""

import pytest
import torch

from cplearn_solo.data import Augmentation, BatchAugment, batch_views
from cplearn_solo.data.schema import Prob


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(500, 3, 32, 32), (5, 3, 8, 8), (4, 3, 400, 400)])
def test_parts_are_whole_rows_of_at_most_131072_values_a_thread(monkeypatch, threads, shape):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    parts = batch_views._parts(torch.empty(1).expand(shape))
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(shape[0]))
    one, most = shape[1] * shape[2] * shape[3], threads * 131_072
    for part in parts[:-1]:  # all but the last are as large as they may be
        rows = part.stop - part.start
        assert rows == 1 or rows * one <= most < (rows + 1) * one
        assert rows > 1 or 2 * one > most


def test_parts_change_nothing(monkeypatch):
    images = torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8)
    augment = BatchAugment([Augmentation(crop_size=8, solarization=Prob(0.5))], (0.5,) * 3, (0.2,) * 3)
    whole = augment(images, torch.Generator().manual_seed(0))[0]
    monkeypatch.setattr(batch_views, "PART", 2 * 192)
    assert torch.equal(augment(images, torch.Generator().manual_seed(0))[0], whole)
