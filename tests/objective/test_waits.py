"""A step of CPLearn on a pretended GPU never makes the program wait for it."""

import copy
import traceback

import pytest
import torch
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cplearn_solo.methods import Progress, Views, build_method

N, D, C = 16, 24, 50
READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero"}
COPIES = {"aten::_to_copy", "aten::copy_"}


class Waits(TorchDispatchMode):
    """Where something is read from the GPU, or copied from or to it; what is copied once and cached does not count."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        devices = {x.device.type for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)}
        name = operation.name().partition(".")[0]
        if (name in READS and "cuda" in devices) or (name in COPIES and devices == {"cpu", "cuda"}):
            frames = [f"{x.filename}:{x.lineno}" for x in traceback.extract_stack()]
            if not any("objective/cached.py" in frame for frame in frames):
                self.found.append((name, frames))
        return out


def to_a_pretended_gpu(method):
    for module in method.modules():
        for name, x in module.named_parameters(recurse=False):
            module._parameters[name] = torch.nn.Parameter(x.detach().to("cuda"))
        for name, x in module.named_buffers(recurse=False):
            module._buffers[name] = x.to("cuda")


# without a GPU there is no backward pass on one: the reference, which has its own inside, computes no gradient here
@pytest.mark.parametrize("impl", ["auto", "chunked", "reference"])
@pytest.mark.parametrize(
    "kwargs", [{}, {"beta": "auto"}, {"prior": [1 / C] * C}, {"beta": "auto", "prior_loss": "forward"}]
)
def test_a_step_does_not_wait(impl, kwargs):
    sizes = {"proj_hidden_dim": 32, "proj_output_dim": C}
    method = build_method("cplearn", D, batch_size=N, method_kwargs={**sizes, **kwargs, "impl": impl})
    mode = FakeTensorMode()
    with FakeCopyMode(mode):
        method = copy.deepcopy(method)
    with mode:
        to_a_pretended_gpu(method)
        feats = [torch.randn(N, D, device="cuda", requires_grad=True) for _ in range(3)]
        with torch.set_grad_enabled(impl != "reference"), Waits() as waits:
            loss = method.loss(Views(feats, 2, Progress(0, 1, 0, 1)))["loss"]
    assert loss.device.type == "cuda" and waits.found == []


def test_a_wait_is_found():
    with FakeTensorMode(), Waits() as waits:
        torch.ones(3).to("cuda")
    assert [name for name, _ in waits.found] == ["aten::_to_copy"]
