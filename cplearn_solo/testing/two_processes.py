"""Two processes with half a batch each compute the same as one with the whole batch."""

from __future__ import annotations

import copy
import multiprocessing
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from cplearn_solo.core.distributed import rank, sum_ranks, sync_batchnorm, world_size
from cplearn_solo.core.errors import require
from cplearn_solo.methods import METHODS, Method
from cplearn_solo.testing.loop import Case, TrainingLoop


def check_two_processes(case: Case) -> None:
    """Compares losses and gradients in float64, where the order of summation does not matter."""
    half = case.batch_size
    _require_file(case.name)
    with tempfile.TemporaryDirectory() as folder:
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:  # imports once what both processes, and those of later checks, need
            context.set_forkserver_preload([__name__])
        arguments = (case, METHODS[case.name], Path(folder))
        processes = [context.Process(target=_one_of_two, args=(index, *arguments)) for index in range(2)]
        for process in processes:
            process.start()
        try:
            alone = _run(TrainingLoop(case, half if _per_device(case) else 2 * half).double(), half)
        except BaseException:
            for process in processes:  # they would wait for minutes for a folder that is gone
                process.kill()  # SIGTERM may be blocked where the fork server was started
            raise
        for process in processes:
            process.join()
        assert all(process.exitcode == 0 for process in processes), "one of two processes failed, see its error above"
        together = torch.load(Path(folder) / "result.pt", weights_only=True)
    names = TrainingLoop(case).names()
    for step, (one, two) in enumerate(zip(alone, together)):
        loss, expected = two["loss"].item(), one["loss"].item()
        assert abs(loss - expected) <= 1e-6 * max(1.0, abs(expected)), (
            f"step {step}: two processes have loss {loss}, one has {expected}"
        )
        # the gradient of a bias before BatchNorm is only rounding error
        rounding = 1e-6 * sum(grad.norm().item() for grad in one["grads"] if grad is not None)
        for name, a, b in zip(names, one["grads"], two["grads"]):
            if a is None or b is None:
                assert a is b, f"step {step}: {name} has a gradient only in one of one and two processes"
                continue
            error = (a - b).norm() / max(a.norm().item(), rounding)
            assert error <= 1e-5, f"step {step}: gradients of {name} on two processes are {error:.1e} off those on one"


def _require_file(name: str) -> None:
    """Raises ``InputError`` for a method of a notebook's cell or a prompt, which no other process can import."""
    program = sys.modules["__main__"]
    there = METHODS[name].__module__ != "__main__" or Path(getattr(program, "__file__", None) or "").is_file()
    where = "in a file that can be imported, as two processes are tried; it is in a notebook's cell or at a prompt"
    require(there, "method", name, where)


def _one_of_two(index: int, case: Case, method: type[Method], folder: Path) -> None:
    """A process with its half of each batch. Unpickling ``method`` has imported and so registered it."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=index, world_size=2)
    loop = TrainingLoop(case).double()
    if not _per_device(case):
        sync_batchnorm(loop.module)
    result = _run(loop, case.batch_size)
    if index == 0:
        torch.save(result, folder / "result.pt")
    dist.barrier()
    dist.destroy_process_group()


def _run(loop: TrainingLoop, half: int) -> list[dict[str, Any]]:
    """Losses and gradients of three steps on both halves; with ``loss_scope`` "device", of one step, as means over the
    halves."""
    results, per_device = [], loop.method.loss_scope == "device"
    for step in range(1 if per_device else 3):
        crops = loop.crops(step, 2 * half)
        shares = [[view[start : start + half] for view in crops] for start in (0, half)]
        if world_size() == 2:
            loss = loop.forward(step, shares[rank()])["loss"]
            grads = loop.backward(loss)
        elif per_device:
            loss, grads = _mean_over(loop, step, shares)
        else:
            loss = loop.forward(step, crops)["loss"]
            grads = loop.backward(loss)
        results.append({"loss": sum_ranks(loss.detach()) / world_size(), "grads": grads})
        loop.update()
    return results


def _mean_over(loop: TrainingLoop, step: int, shares: list[list[Tensor]]) -> tuple[Tensor, list[Tensor | None]]:
    """Mean loss and gradients of shares. Each share sees the method in its present state, unchanged by other shares."""
    before = copy.deepcopy(loop.method.state_dict())
    losses, grads = [], []
    for share in shares:
        loop.method.load_state_dict(before)
        losses.append(loop.forward(step, share)["loss"])
        grads.append(loop.backward(losses[-1]))
    means = [None if each[0] is None else torch.stack(each).mean(dim=0) for each in zip(*grads)]
    return torch.stack(losses).detach().mean(), means


def _per_device(case: Case) -> bool:
    return TrainingLoop(case).method.loss_scope == "device"
