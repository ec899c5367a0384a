"""One training step of each method on a pretended CUDA device: what would make it wait for the host is listed."""

from collections import Counter
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from pretend import CUDA, Waits, pretend, pretended_device
from steps import BATCH, CASES, METHODS, Step, digits, new_module

pytestmark = pytest.mark.integration

LISTED = yaml.safe_load((Path(__file__).parent / "exceptions.yaml").read_text())
EXCEPTIONS = LISTED["exceptions"]


@cache
def look(case):
    """Number of operations of a second step's forward pass, and what among them is an exception."""
    module = new_module(case)
    with pretended_device() as recorder:
        step = Step(pretend(module))
        index, labels = torch.empty(2, BATCH, dtype=torch.int64, device=CUDA)
        images = torch.empty(BATCH, 3, 8, 8, dtype=torch.uint8, device=CUDA)
        step.forward([index, images, labels])  # which may send constants to the device
        recorder.operations = 0
        recorder.found.clear()
        loss = step.forward([index, images, labels])
        assert loss.device == CUDA and loss.dtype == torch.float32
        return recorder.operations, set(recorder.found)


def not_listed(names):
    return {name for name in names if not any(fnmatchcase(name, pattern) for pattern in EXCEPTIONS)}


@pytest.mark.parametrize("case", CASES)
def test_a_step_stays_on_the_device_but_for_named_exceptions(case):
    operations, found = look(case)
    assert not not_listed(found), "mend it, or name it in exceptions.yaml"
    assert operations <= LISTED["operations"][case], "more operations than exceptions.yaml allows"


@cache
def look_back(case):
    """The same of gradients, optimizer and teacher, which FakeTensors cannot run: of three steps on the CPU."""
    step, waits = Step(new_module(case)), Waits()
    for _ in range(3):
        loss = step.forward(step.batch())
        with waits:
            step.backward(loss)
        assert loss.isfinite()
    return set(waits.found)


@pytest.mark.parametrize("case", METHODS)
def test_gradients_optimizer_and_teacher_read_no_number_but_for_named_exceptions(case):
    assert not not_listed(look_back(case))


def test_no_exception_is_listed_in_vain():
    found = set().union(*(look(case)[1] for case in CASES), *map(look_back, METHODS))
    mended = [pattern for pattern in EXCEPTIONS if not any(fnmatchcase(name, pattern) for name in found)]
    assert not mended, "take it out of exceptions.yaml"
    assert LISTED["operations"].keys() == set(CASES)


def test_gradients_in_a_forward_pass_read_no_number():
    """GEDI's samples and the reference objective, which differentiate there; on the CPU, as above."""
    for case in ("gedi", "cplearn, 16,384 codes"):
        module = new_module(case)
        views = Step(module).views(module.augment(digits().images[:BATCH]))
        with Waits() as waits:
            module.method.loss(views)
        assert not not_listed(waits.found)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch.compile looks at it
@pytest.mark.parametrize("case", LISTED["one graph"])
def test_a_loss_is_one_graph(case):
    """Nothing in it makes ``torch.compile`` fall back to Python."""
    torch._dynamo.reset()
    module = new_module(case)
    views = Step(module).views(module.augment(digits().images[:BATCH]))

    def loss(feats, teacher):
        return module.method.loss(replace(views, feats=feats, teacher=teacher))["loss"]

    explained = torch._dynamo.explain(loss)(views.feats, views.teacher)
    assert explained.graph_break_count == 0, [reason.reason for reason in explained.break_reasons]


def test_each_kind_of_exception_is_seen():
    with pretended_device() as recorder:
        x = torch.empty(4, 3, device=CUDA)
        x.sum().item(), x[0].tolist(), bool((x > 0).any()), torch.equal(x, x + 1)
        x.nonzero(), x[x[:, 0] > 0], x.new_tensor([1.0, 2.0])
        x[x > 0] = x.new_ones(6)
        x.double()
        x.cpu().cuda()
        x[0] = torch.zeros(3)
    kinds = Counter(name.split()[-1] for name in recorder.found.elements())
    assert kinds == {"item": 4, "nonzero": 3, "copy": 4, "cpu": 2, "float64": 1}
    with Waits() as waits:
        x = torch.ones(4, 3)
        x.sum().item(), x.nonzero(), x[x > 0]
    assert sorted(name.split()[-1] for name in waits.found.elements()) == ["item", "nonzero", "nonzero"]
