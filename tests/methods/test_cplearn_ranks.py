"""Codes that cannot be shared are refused before a run begins."""

import pytest

from cplearn_solo.core.errors import InputError
from cplearn_solo.methods import METHODS
from cplearn_solo.methods.simclr import SimCLR

pytestmark = pytest.mark.distributed


@pytest.mark.parametrize("ranks, words", [(1, "False on one process"), (3, "_dim = 64: must be divisible by 3")])
def test_codes_that_cannot_be_shared(ranks, words):
    settings = dict(batch_size=4, proj_hidden_dim=32, proj_output_dim=64)
    method = METHODS.get("cplearn")(8, **settings, dictionary_parallel=True)
    method.check_ranks(2)
    with pytest.raises(InputError, match=words):
        method.check_ranks(ranks)
    METHODS.get("cplearn")(8, **settings).check_ranks(ranks)


def test_the_old_name_of_loss_scope():
    class OfItsClass(SimCLR):
        coupling = "device"

    class OfItsObjects(SimCLR):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.coupling = "device"

    for method in (OfItsClass, OfItsObjects):
        assert method(8, batch_size=4).loss_scope == method(8, batch_size=4).coupling == "device"
    assert SimCLR(8, batch_size=4).loss_scope == SimCLR(8, batch_size=4).coupling == "global"
