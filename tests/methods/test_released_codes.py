"""The released scripts' codes: argmax of solo-learn's z, which is not what every method assigns by itself."""

import pytest
import torch

from cplearn_solo.methods import build_method

FEATS = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
HEADS = {"proj_hidden_dim": 32, "proj_output_dim": 8}


def built(name, **kwargs):
    torch.manual_seed(0)
    return build_method(name, 16, batch_size=64, method_kwargs=kwargs).eval()


@pytest.mark.parametrize("name", ["barlow_twins", "vicreg", "simclr", "simsiam", "byol"])
@torch.no_grad()
def test_without_codes_they_are_the_largest_embedding(name):
    method = built(name, **HEADS)
    assert method.assign(FEATS) is None
    assert torch.equal(method.released_codes(FEATS, None), method.projector(FEATS).argmax(dim=1))


@torch.no_grad()
def test_swavs_are_of_its_embedding_and_not_its_prototypes():
    method = built("swav", **HEADS, num_prototypes=20, queue_size=0)
    codes = method.assign(FEATS)
    released = method.released_codes(FEATS, codes)
    assert torch.equal(released, method.projector(FEATS).argmax(dim=1)) and not torch.equal(released, codes)


@torch.no_grad()
def test_those_of_a_dictionary_are_its_codes():
    method = built("cplearn", **HEADS)
    codes = method.assign(FEATS)
    assert method.released_codes(FEATS, codes) is codes
    assert torch.equal(codes, method(FEATS).argmax(dim=1))
