"""What a program that uses this one from Python has set, and what it finds again afterwards."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch

# That a training leaves in the environment.
VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "CUDA_DEVICE_ORDER", "PL_GLOBAL_SEED", "PL_SEED_WORKERS")


@contextmanager
def own_defaults() -> Iterator[None]:
    """In this block new tensors are float32 and on the CPU, and gradients are kept, whatever the program has set."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    try:
        on_cpu = torch.device("cpu") if device.type != "cpu" else nullcontext()  # such a block slows what is in it
        with torch.inference_mode(False), torch.enable_grad(), on_cpu:
            yield
    finally:
        torch.set_default_dtype(dtype)


def forked_generators() -> AbstractContextManager[None]:
    """After this block PyTorch's generators go on as if it had not been; those of GPUs only once GPUs are in use.

    To ask for them would put them in use, after which no process that trains on GPUs can be forked, as Lightning does
    in a notebook.
    """
    return torch.random.fork_rng(devices=range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0))


@contextmanager
def left_as_found() -> Iterator[None]:
    """After this block random numbers go on as if it had not been, and PyTorch is as deterministic as before and on the
    same GPU: a program that draws settings between trainings, all of one seed, would draw the same ones after each."""
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
                torch.cuda.manual_seed_all(seed)  # with which the program's own first draw there would have begun
