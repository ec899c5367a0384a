"""Neighbours, near-duplicates and images that fit nowhere, against plain loops."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cplearn_solo.album import neighbours
from cplearn_solo.album.neighbours import fits_nowhere, near_duplicates, nearest


def directions(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_neighbours_are_those_of_a_loop(monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 150)  # several rows at a time
    x, told = directions(40, 5), []
    near = nearest(x, 7, progress=lambda *step: told.append(step))
    for i, row in enumerate(x.numpy()):
        cosines = x.numpy() @ row
        cosines[i] = -np.inf
        assert near.rows[i].tolist() == np.argsort(-cosines)[:7].tolist()
        np.testing.assert_allclose(near.cosines[i], np.sort(cosines)[::-1][:7], rtol=1e-5)
    assert told[0] == (3, 40) and told[-1] == (40, 40)
    asked = torch.tensor([31, 2, 9, 17])
    some = nearest(x, 7, of=asked, progress=lambda *step: told.append(step))
    assert torch.equal(some.rows, near.rows[asked]) and told[-2:] == [(3, 4), (4, 4)]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_images_have_all_others_as_neighbours(n):
    x = directions(n, 4)
    near = nearest(x, 10)
    assert near.rows.shape == (n, n - 1) and near_duplicates(x, near) == []


def test_near_duplicates_are_in_groups_the_closest_first():
    x = directions(60, 16)
    x[7] = x[3]
    x[[20, 30]] = F.normalize(x[10] + 0.01 * directions(2, 16, seed=1))  # two near one another, and one
    assert near_duplicates(x, nearest(x, 10)) == [[3, 7], [10, 20, 30]]


@pytest.mark.parametrize(("scenes", "of_each", "alone"), [(20, 2, 0), (20, 2, 30), (12, 5, 0), (9, 10, 5), (1, 2, 1)])
def test_bursts_are_found_where_most_images_are_in_one(scenes, of_each, alone):
    """Copies, which are the nearest neighbours of most images, say nothing of how far images usually are apart."""
    first = directions(scenes + alone, 16)
    x = F.normalize(first.repeat_interleave(torch.tensor([of_each] * scenes + [1] * alone), dim=0))
    x = F.normalize(x + 0.01 * directions(*x.shape, seed=1))
    bursts = [list(range(start, start + of_each)) for start in range(0, scenes * of_each, of_each)]
    assert sorted(near_duplicates(x, nearest(x, 10))) == bursts


def test_more_near_duplicates_than_neighbours_are_one_group(monkeypatch):
    """Three bundles, of which each image has its nearest in its own, on a chain."""
    monkeypatch.setattr(neighbours, "BLOCK", 1000)  # several rows at a time
    others, step = directions(80, 16), directions(1, 16, seed=1)
    bundles = [others[:1] + 0.04 * i * step + 1e-4 * directions(12, 16, seed=2 + i) for i in range(3)]
    x = F.normalize(torch.cat([others, *bundles]))
    assert set(nearest(x, 10).rows[104:].flatten().tolist()) <= set(range(104, 116))  # none leads to another bundle
    assert near_duplicates(x, nearest(x, 10)) == [[0, *range(80, 116)]]


def test_images_that_are_all_alike_are_one_group():
    x = directions(1, 8).expand(40, -1)
    assert near_duplicates(x, nearest(x, 10)) == [list(range(40))]


def test_what_fits_nowhere_comes_first():
    x = F.normalize(torch.tensor([1.0, 0, 0]) + 0.1 * directions(30, 3))
    x[11] = torch.tensor([-1.0, 0, 0])
    order = fits_nowhere(nearest(x, 10))
    assert order[0] == 11 and sorted(order.tolist()) == list(range(30))
