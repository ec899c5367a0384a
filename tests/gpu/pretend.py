"""A pretended CUDA device: which operations a step makes there, and what among them would make it wait for the host.

Tensors are FakeTensors, which have a shape and a device but no numbers. Three things cannot be done with them: the
backward pass, whose engine asks for a driver, and gradients inside a forward pass are looked at on the CPU instead,
with real tensors and :class:`Waits`; Triton's kernels, which need the addresses of numbers, run in its interpreter or
on a device only.
"""

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch
from torch import nn
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import cplearn_solo
from cplearn_solo.objective import interface

PACKAGE = Path(cplearn_solo.__file__).parent
CUDA = torch.device("cuda", 0)
aten = torch.ops.aten
DEVICE_OF = torch.ops.prim.device.default  # a question, which FakeTensors dispatch as if it were an operation
READS = {aten._local_scalar_dense.default, aten.equal.default, aten._linalg_check_errors.default}
FILLS = {aten.index_fill.int_Tensor, aten.index_fill_.int_Tensor}  # by a number that is read, as trace's gradient does
SHAPES = {aten.nonzero.default, aten.masked_select.default, aten.bincount.default}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}


class Waits(TorchDispatchMode):
    """Counts by place what would make a program wait for a device: ``item``, a number is read by the host, and
    ``nonzero``, a shape that follows from numbers. For real tensors, wherever they are."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def note(self, kind):
        self.found[f"{_place()} {kind}"] += 1

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        if op in READS | FILLS:
            self.note("item")
        elif op in SHAPES or (op in INDEXING and any(_is_mask(i) for i in args[1])):
            self.note("nonzero")
        return op(*args, **(kwargs or {}))


class Pretended(Waits):
    """The same for FakeTensors, with shapes that numbers would have decided made up: half of all.

    Counts ``operations``, but for views and questions for the device, and besides: ``copy``, memory that moves between
    host and device; ``cpu``, a tensor that is made on the host; ``float64``, one of that type on the device.
    """

    def __init__(self):
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = _tensors((args, kwargs))
        on_device = any(x.device.type == "cuda" for x in given)
        self.operations += on_device and not op.is_view and op is not DEVICE_OF
        if op in READS:
            if on_device:
                self.note("item")
            return None if op is aten._linalg_check_errors.default else _some(given[0].dtype)
        if op in SHAPES and on_device:
            self.note("nonzero")
            return _chosen(op, *args)
        if op in INDEXING and on_device:
            args = (args[0], [part for index in args[1] for part in self._without_mask(index)], *args[2:])
        made = op(*args, **kwargs)
        for x in _tensors(made):
            self._judge(x, given)
        return made

    def _judge(self, x, given):
        if any(x is other for other in given):  # in place
            if len({other.device for other in given if other.ndim}) > 1:
                self.note("copy")
            return
        if given and all(other.device.type != x.device.type for other in given):
            self.note("copy")
        elif x.device.type == "cpu":
            self.note("cpu")
        elif x.dtype == torch.float64:
            self.note("float64")

    def _without_mask(self, index):
        if not _is_mask(index):
            return [index]
        self.note("nonzero")
        return [index.new_empty(index.numel() // 2, dtype=torch.int64) for _ in range(index.ndim)]


class Generator(torch.Generator):
    """One that says it is the device's."""

    device = CUDA

    def __new__(cls, device="cpu"):
        return super().__new__(cls) if torch.device(device).type == "cuda" else torch._C.Generator(device)

    def get_offset(self):
        return 0


@contextmanager
def pretended_device():
    """Gives a :class:`Pretended` that sees all operations inside."""

    def tolist(x):
        if x.device.type == "cuda":
            recorder.note("item")
        return list(range(len(x))) if x.ndim == 1 and not x.is_floating_point() else _nested(x.shape)

    def as_type(x, *name):
        return x.to(CUDA) if name == ("torch.cuda.FloatTensor",) else of_type(x, *name)

    def no_gradient(outputs, inputs, *_, **__):
        inputs = [inputs] if isinstance(inputs, torch.Tensor) else inputs
        return tuple(torch.empty_like(x) for x in inputs)

    recorder, of_type = Pretended(), torch.Tensor.type
    with (
        mock.patch.object(torch, "Generator", Generator),
        mock.patch.object(torch.autograd, "grad", no_gradient),
        mock.patch.object(interface, "_fastest", lambda h: "chunked"),
        mock.patch.object(FakeTensor, "tolist", tolist),
        mock.patch.object(FakeTensor, "type", as_type),
        FakeTensorMode(allow_non_fake_inputs=True),
        recorder,
    ):
        yield recorder


def pretend(module):
    """``module`` as if it had been moved to the device; attributes that ``to`` would leave behind stay behind."""
    moved = {}

    def on_device(x):
        if id(x) not in moved:
            fake = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=CUDA)
            moved[id(x)] = nn.Parameter(fake, x.requires_grad) if isinstance(x, nn.Parameter) else fake
        return moved[id(x)]

    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            tensors.update({name: on_device(x) for name, x in tensors.items() if x is not None})
    module._device = CUDA  # Lightning's
    return module


def _place():
    """File and function of this package that ask; ``backward`` where it is automatic differentiation."""
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE) and not frame.f_code.co_name.startswith("<"):  # <lambda>, <genexpr>
            return f"{path.relative_to(PACKAGE)} {frame.f_code.co_name}"
        frame = frame.f_back
    return "backward"


def _tensors(values):
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def _is_mask(index):
    return index is not None and index.dtype in (torch.bool, torch.uint8)


def _some(dtype):
    return True if dtype == torch.bool else 1.0 if dtype.is_floating_point else 1


def _nested(shape):
    return 1.0 if not shape else [_nested(shape[1:]) for _ in range(shape[0])]


def _chosen(op, x, *rest):
    """What an operation of ``SHAPES`` gives."""
    if op is aten.nonzero.default:
        return x.new_empty(x.numel() // 2, x.ndim, dtype=torch.int64)
    if op is aten.bincount.default:
        return x.new_empty(8, dtype=torch.int64)
    return x.new_empty(x.numel() // 2)
