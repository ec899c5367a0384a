"""Settings of a program that uses this one from Python, which are restored afterwards."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch

# Environment variables that a training leaves behind.
VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "CUDA_DEVICE_ORDER", "PL_GLOBAL_SEED", "PL_SEED_WORKERS")


@contextmanager
def own_defaults() -> Iterator[None]:
    """In this block, new tensors are float32 and on the CPU, and gradients are enabled, whatever was set before."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    try:
        on_cpu = torch.device("cpu") if device.type != "cpu" else nullcontext()  # it slows down the code in it
        with torch.inference_mode(False), torch.enable_grad(), on_cpu:
            yield
    finally:
        torch.set_default_dtype(dtype)


def forked_generators() -> AbstractContextManager[None]:
    """Restores the states of PyTorch's generators after this block; those of GPUs only if GPUs are already in use.

    Reading the states of GPUs would initialise them. After that, no process that trains on GPUs can be forked, which
    Lightning does in a notebook.
    """
    return torch.random.fork_rng(devices=range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0))


@contextmanager
def left_as_found() -> Iterator[None]:
    """Restores random generators, PyTorch's determinism, the current GPU and environment variables after this block.
    Otherwise a program that draws settings between trainings with one seed would draw the same ones after each."""
    python, numpy = random.getstate(), np.random.get_state()
    deterministic = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark, variables = torch.backends.cudnn.benchmark, {name: os.environ.get(name) for name in VARIABLES}
    seed, begun = torch.initial_seed(), torch.cuda.is_initialized()
    gpu = torch.cuda.current_device() if begun else 0
    try:
        with forked_generators():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.use_deterministic_algorithms(deterministic, warn_only=only_warns)
        torch.backends.cudnn.benchmark = benchmark
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if torch.cuda.is_initialized():
            torch.cuda.set_device(gpu)
            if not begun:
                torch.cuda.manual_seed_all(seed)  # the state that the program's own first draw there would have had
