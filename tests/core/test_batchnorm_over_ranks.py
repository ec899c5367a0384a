"""BatchNorm over all ranks is that of one process, with what lies within it, and is taken back after training."""

import copy

import pytest
import timm
import torch
from torch import nn

from cplearn_solo.core import distributed
from cplearn_solo.core.distributed import own_batchnorm, sync_batchnorm

IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network():
    """A network of timm, whose BatchNorm activates, too."""
    torch.manual_seed(0)
    return timm.create_model("test_efficientnet", num_classes=0).double()


@pytest.mark.parametrize("on_gpus", [False, True])
def test_activations_within_batchnorm_stay(network, on_gpus):
    synced = sync_batchnorm(copy.deepcopy(network), on_gpus=on_gpus)
    norms = [part for part in synced.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    assert norms and all(isinstance(part, nn.SyncBatchNorm) == on_gpus for part in norms)
    for training in (True, False):  # one process
        expected = network.train(training)(IMAGES.double())
        assert torch.equal(synced.train(training)(IMAGES.double()), expected)


def test_two_ranks_are_one_process(network, monkeypatch):
    """Both have the same images, so that sums over them are twice those of one."""
    synced = sync_batchnorm(copy.deepcopy(network))
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "sum_ranks", lambda x: 2 * x)
    torch.testing.assert_close(synced.train()(IMAGES.double()), network.train()(IMAGES.double()))


@pytest.mark.parametrize("on_gpus", [False, True])
def test_a_rank_uses_it_alone_once_it_is_taken_back(network, on_gpus, monkeypatch):
    own = own_batchnorm(sync_batchnorm(copy.deepcopy(network), on_gpus=on_gpus))
    assert [type(part) for part in own.modules()] == [type(part) for part in network.modules()]
    monkeypatch.setattr(distributed, "world_size", lambda: 2)  # of which the other is gone
    assert torch.equal(own.train()(IMAGES.double()), network.train()(IMAGES.double()))
