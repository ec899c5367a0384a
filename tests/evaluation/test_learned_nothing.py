"""Whether a run has learned anything, from the scores in its summary and from views of its images."""

import pytest
import torch
from support.configs import tiny
from support.images import write_images
from torch import nn

from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import FileSet, load_splits
from cplearn_solo.evaluation.learned import IMAGES, learned_nothing, own_views
from cplearn_solo.metrics.own_view import Measured

CHANCE = {"chance": {"knn_acc1": 0.1, "linear_acc1": 0.1}}
POOR = {"knn_acc1": 0.12, "linear_acc1": 0.11, **CHANCE}
RANDOM = {"random_backbone": {"knn_acc1": 0.5}}
ALIKE, BETTER = ([Measured(value, 0.01), Measured(0.6, 0.01)] for value in (0.61, 0.7))


def test_scores_at_chance_are_told_by_their_names():
    found = "kNN 0.120, linear probe 0.110, and 0.100 by naming the most frequent class"
    assert learned_nothing(POOR, 100, BETTER) == found
    assert learned_nothing({**POOR, "linear_acc1": 0.9}, 100, BETTER) == ""


def test_fewer_than_a_hundred_labelled_images_say_nothing():
    assert learned_nothing(POOR, 99, []) == ""


def test_random_weights_are_compared_where_they_were_scored():
    """The linear probe of random weights is not known here: it neither counts nor ends the comparison."""
    scores = {**CHANCE, "knn_acc1": 0.51, "linear_acc1": 0.52, **RANDOM}
    found = "recognised views 0.610 (random weights 0.600), kNN 0.510 (random weights 0.500)"
    assert learned_nothing(scores, 400, ALIKE) == found
    assert learned_nothing({**scores, "knn_acc1": 0.9}, 400, ALIKE) == ""
    assert learned_nothing(scores, 400, BETTER) == "" == learned_nothing(scores, 400, [])


def test_views_of_networks_that_see_and_that_do_not(tmp_path):
    """In batches of the size in training, as many as are full; networks and their statistics stay as they were."""
    config = parse_config(tiny(tmp_path, optimizer={"batch_size": 48}))
    images = load_splits(config.data, seed=0).train
    seeing = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192), nn.Dropout())
    sizes = []
    seeing[0].register_forward_hook(lambda *call: sizes.append(len(call[2])))
    blind = nn.Sequential(nn.Flatten(), nn.Threshold(1e9, 0.0))
    found = own_views([seeing, blind], images, config, torch.device("cpu"))
    assert found[0].value > 0.7 and found[1].value == pytest.approx(0.5, abs=1e-9)
    assert set(sizes) == {48} and len(sizes) == 2 * (min(len(images), IMAGES) // 48)
    assert seeing.training and not seeing[1].running_mean.any()
    few = images.subset(torch.arange(99))
    assert own_views([seeing], few, config, torch.device("cpu")) == []


@pytest.mark.parametrize("allowed", [0.01, 0.0])
def test_more_unreadable_images_among_some_than_among_all_end_no_finished_training(tmp_path, allowed):
    """One in a hundred of all, all of them among those that are looked at; where none may be, one ends it."""
    config = parse_config(tiny(tmp_path, optimizer={"batch_size": 64}))
    write_images(tmp_path, ["good.png"])
    paths = [str(tmp_path / "good.png")] * 800
    for drawn in torch.randperm(800, generator=torch.Generator().manual_seed(config.seed))[:8].tolist():
        paths[drawn] = str(tmp_path / "none.png")
    images = FileSet(paths, torch.zeros(800, dtype=torch.int64), 1, max_unreadable=allowed)
    if allowed:
        with pytest.warns(UserWarning, match="8 of 512 images could not be read"):
            (found,) = own_views([nn.Flatten()], images, config, torch.device("cpu"))
        assert 0 < found.value < 1
    else:
        with pytest.raises(InputError, match="data.max_unreadable = 0.0"):
            own_views([nn.Flatten()], images, config, torch.device("cpu"))
