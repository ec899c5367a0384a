"""A step captured once and replayed: a GPU then starts all of its kernels at once, not one after the other.

This file captures the networks, the loss, the online probe and all gradients; :mod:`captured_views` the views before
them, :mod:`captured_updates` optimizer and teacher. Sums over the epoch and gradient clipping follow without a graph,
as in any other step.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

import torch
from lightning import Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from cplearn_solo.config.schema import Config
from cplearn_solo.core.errors import require
from cplearn_solo.methods import Method

_WARM_STEPS = 3  # before a capture: libraries choose kernels, and constants are moved to the device


class NotCaptured(Exception):
    """Says why a step cannot be captured."""


class StepOutput(NamedTuple):
    """What a step returns: ``loss`` of method and probe, ``feats`` ``(n, d)`` of the first view without gradient,
    scalars of the method (``parts``) and of the ``probe`` by name, and ``codes`` ``(n,)`` if the method has them."""

    loss: Tensor
    feats: Tensor
    parts: dict[str, Tensor]
    probe: dict[str, Tensor]
    codes: Tensor | None


Step = Callable[[list[Tensor], Tensor], StepOutput]
Replay = Callable[[], None]
Recording = tuple[Any, Replay]  # tensors of results, and the function that fills them
Capture = Callable[..., Recording]  # such as cuda_graph


def cuda_graph(step: Callable[[], Any], *, generator: torch.Generator | None = None, pool: Any = None) -> Recording:
    """``step`` as a CUDA graph, which has not run yet. Raises :class:`NotCaptured` if it waits for its device.

    Each replay draws random numbers from the current state of ``generator``, or of the device's own one. Graphs that
    share a memory ``pool`` overwrite each other's results.
    """
    graph, before, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream(), _stream(torch.cuda.current_device())
    if generator is not None:
        graph.register_generator_state(generator)
    try:
        with torch.cuda.graph(graph, pool, stream, "thread_local"):  # other threads may be loading images
            output = step()
    except RuntimeError as error:
        for source in filter(None, (generator, *torch.cuda.default_generators)):
            source.graphsafe_set_state(source.clone_state())  # else they would still draw for the graph
        torch.cuda.set_stream(before)  # else everything later would run on the stream of the capture
        reason = str(error.__context__ or error).partition("\n")[0]
        raise NotCaptured(f"a step cannot be captured: {reason}") from error
    return output, graph.replay


@cache
def _stream(device: int) -> torch.cuda.Stream:
    """The stream of all captures on a GPU. PyTorch's default one works only on the GPU of the first capture."""
    return torch.cuda.Stream(device)


class CapturedStep:
    """``compute`` with its gradients, for views, each ``(n, c, h, w)``, and labels ``(n,)`` whose shapes never change.

    The first steps run without a graph, and the caller computes their gradients. After that ``replays`` is true: each
    call computes the gradients of ``parameters()``, and :meth:`set_gradients` assigns them. The Python code of
    ``compute`` no longer runs: a number that it takes from anywhere but its arguments, parameters and buffers keeps its
    old value.
    """

    def __init__(self, compute: Step, parameters: Callable[[], Iterable[nn.Parameter]], capture: Capture) -> None:
        self._compute, self._parameters, self.capture = compute, parameters, capture
        self._warm_steps = 0
        self._inputs: list[Tensor] = []
        self._recording: Recording | None = None
        self._gradients: list[tuple[nn.Parameter, Tensor]] = []

    @property
    def replays(self) -> bool:
        """Whether the latest step was replayed, with its gradients."""
        return self._recording is not None

    def __call__(self, views: list[Tensor], labels: Tensor) -> StepOutput:
        """The result of ``compute``; that of a replay is detached, and all but ``feats`` is overwritten by the next."""
        if self._warm_steps < _WARM_STEPS:
            self._warm_steps += 1
            return self._compute(views, labels)
        if self._recording is None:
            self._inputs = [x.clone() for x in (*views, labels)]
            gc.collect()  # frees what is left of earlier steps, whose gradients belong to another stream
            self._recording = self.capture(self._with_gradients)
            self._gradients = [(p, p.grad) for p in self._parameters() if p.grad is not None]
        else:
            for place, x in zip(self._inputs, (*views, labels), strict=True):
                place.copy_(x)
        output, replay = self._recording
        replay()
        return output._replace(feats=output.feats.clone())

    def set_gradients(self) -> None:
        """Assigns the gradients of the latest replay, since optimizers and Lightning remove them in every step."""
        for p, gradient in self._gradients:
            p.grad = gradient

    def _with_gradients(self) -> StepOutput:
        *views, labels = self._inputs
        for p in self._parameters():
            p.grad = None  # so that the graph writes gradients and does not add to them
        torch.clear_autocast_cache()  # so that the graph casts the weights of each step to half precision
        output = self._compute(views, labels)
        with torch.autocast(output.loss.device.type, enabled=False):  # as for any other backward pass
            output.loss.backward()
        return tree_map_only(Tensor, Tensor.detach, output)


def captures(config: Config, method: Method, trainer: Trainer) -> bool:
    """Whether ``performance.graph`` asks for captured steps; ``auto`` does wherever they are possible.

    Raises ``InputError`` for ``true`` where they are not.
    """
    precision = str(config.trainer.get("precision"))
    refused = {
        "on a CPU": trainer.strategy.root_device.type != "cuda",
        "with several devices": not isinstance(trainer.strategy, SingleDeviceStrategy),
        f"with method {config.method!r}, whose steps cannot be captured": not method.capturable,
        "with accumulate_grad_batches above 1": config.accumulate_grad_batches > 1,
        f"with precision={precision}": precision.startswith("16"),
        "with performance.compile=true": config.performance.compile,
    }
    possible, graph = not any(refused.values()), config.performance.graph
    if graph is True and not possible:
        where = next(where for where, refuse in refused.items() if refuse)
        require(False, "performance.graph", True, f"false {where}")
    return possible if graph == "auto" else graph
