"""A program finds again what it has set, also of GPUs, which are pretended here."""

import os

import pytest
import torch

from cplearn_solo.core.precision import matmul_precision
from cplearn_solo.core.surroundings import forked_generators, left_as_found


@pytest.fixture
def two_gpus(monkeypatch):
    """That nothing has used yet; to put them in use raises here."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)


@pytest.mark.parametrize("block", [forked_generators, left_as_found])
def test_gpus_that_nothing_uses_are_not_put_in_use(two_gpus, block):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with block():
        torch.rand(1)
    assert torch.equal(torch.rand(3), expected)


def test_the_order_of_gpus_is_the_programs_own(monkeypatch):
    """Lightning sets another."""
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    with left_as_found():
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    assert os.environ["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"


@pytest.mark.parametrize("begun", [False, True])
def test_a_program_goes_on_with_its_gpu_and_the_numbers_there(two_gpus, begun, monkeypatch):
    """Where the block is the first to use GPUs, their generators begin as the program has seeded all of them."""
    did, states = [], [torch.zeros(1), torch.ones(1)]
    for name, found in {"is_initialized": begun, "current_device": 1}.items():
        monkeypatch.setattr(torch.cuda, name, lambda found=found: found)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda gpu: states[gpu])
    for name in ("set_rng_state", "set_device", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, lambda *args, name=name: did.append((name, *args)))
    seed = torch.initial_seed()
    with left_as_found():
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    restored = [("set_rng_state", states[gpu], gpu) for gpu in (0, 1)]
    assert did == ([*restored, ("set_device", 1)] if begun else [("set_device", 0), ("manual_seed_all", seed)])


@pytest.mark.skipif(not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="PyTorch 2.8 and before")
@pytest.mark.parametrize("said, expected", [("tf32", "high"), ("ieee", "highest")])
def test_the_precision_of_products_is_known_however_it_was_said(said, expected):
    torch.backends.cuda.matmul.fp32_precision = said
    try:
        assert matmul_precision() == expected
    finally:
        torch.set_float32_matmul_precision("highest")
