"""The sizes that CPLearn's Table 8 prints, from the networks of its rows as they are configured here."""

import pytest
import torch
from support.configs import shipped

from cplearn_solo.config.read import parse_config
from cplearn_solo.engine.module import Pretrainer
from cplearn_solo.tables.paper import load_table

MIB = 2**20
# bytes of the optimizer's state for each parameter: two moments of Adam, one momentum of LARS
STATE = {"adam": 8, "lars": 4}
ROWS = {
    "Barlow": ("cifar/barlow_twins", {}),
    "SwAV": ("cifar/swav", {}),
    "GEDI no gen": ("cifar_resnet18/gedi_nogen", {}),
    "Self-Classifier (c = f)": ("cifar_resnet18/self_classifier", {"num_prototypes": 512}),
    "Self-Classifier (16384)": ("cifar_resnet18/self_classifier", {"num_prototypes": 16384}),
    "CPLearn (c = f)": ("cifar_resnet18/cplearn", {"proj_output_dim": 512}),
    "CPLearn (16384)": ("cifar_resnet18/cplearn", {"proj_output_dim": 16384}),
}


def sizes(file, **method_kwargs):
    """MiB of the state dict with the dictionary as floats, and of it with the optimizer's state."""
    folder, name = file.split("/")
    config = parse_config(shipped(name, folder, method_kwargs=method_kwargs))
    module = Pretrainer(config, num_classes=10, mean=[0.5] * 3, std=[0.5] * 3)
    tensors = sum(tensor.numel() for tensor in module.state_dict().values() if torch.is_tensor(tensor))
    dictionary = module.method.dictionary
    floats = 0 if dictionary is None else dictionary.f * module.method.codes_total
    learned = sum(p.numel() for p in module.parameters() if p.requires_grad)
    state = 4 * (tensors + floats)
    return state / MIB, (state + STATE[config.optimizer.name] * learned) / MIB


def printed(row):
    found = next(each for each in load_table("cplearn_table8").rows if each.name == row).published["cifar10"]
    return found["state_dict"], found["checkpoint"]


@pytest.mark.parametrize("row", ROWS)
def test_the_networks_are_as_large_as_the_papers(row):
    file, method_kwargs = ROWS[row]
    assert tuple(map(round, sizes(file, **method_kwargs))) == printed(row)


def test_other_networks_are_not():
    """The authors' head, the released GEDI configuration's 2,048 clusters and its LARS."""
    head = {"projector": "own", "proj_hidden_dim": 4096, "proj_output_dim": 128, "num_prototypes": 512}
    assert tuple(map(round, sizes("cifar_resnet18/self_classifier", **head))) == (117, 351)
    clusters = {c: tuple(map(round, sizes("cifar_resnet18/gedi_nogen", proj_output_dim=c))) for c in (22, 23, 2048)}
    assert clusters[22] == printed("GEDI no gen") and clusters[23] == (47, 141) and clusters[2048] == (63, 188)
    state, checkpoint = sizes("cifar_resnet18/gedi_nogen")
    assert round(state + (checkpoint - state) / 2) == 93  # with one number of the optimizer for each parameter
