"""What every method promises, checked on real digits: call :func:`check_method` on a method of your own."""

from __future__ import annotations

import copy
import io
import multiprocessing
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from cplearn_solo.config.read import parse_config
from cplearn_solo.config.schema import Config
from cplearn_solo.core.distributed import rank, sum_ranks, sync_batchnorm, world_size
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DataConfig, load_splits
from cplearn_solo.engine.module import Pretrainer, image_statistics
from cplearn_solo.methods import METHODS, Method, Progress, ReportMeasure, method_facts
from cplearn_solo.methods.remedy import Remedy
from cplearn_solo.metrics.verdict import CRITERIA

AUGMENTATION = {
    "rrc": {"enabled": True, "crop_min_scale": 0.6},
    "color_jitter": {"prob": 0.8, "brightness": 0.4, "contrast": 0.4, "saturation": 0.0, "hue": 0.0},
}
LARGEST = 8  # pixels of a crop
STEPS = 60  # of the training in which the loss has to fall


def check_method(
    name: str,
    method_kwargs: Mapping[str, Any] | None = None,
    *,
    batch_size: int = 64,
    num_crops: Sequence[int] = (2,),
) -> None:
    """Raises ``AssertionError``, saying what is wrong, unless the method registered as ``name`` keeps all promises:

    * embeddings ``(n, f)``, codes ``(n,)`` and loss parts have their shapes, for any number of samples;
    * advice is for measures of the verdict, and rows for the collapse report have numbers;
    * gradients reach every weight of the backbone and of the method;
    * the loss is finite in bfloat16 mixed precision;
    * state survives saving and loading: the next steps are the same to the last bit; the method can be copied;
    * two processes with half a batch each compute the loss and gradients of one with the whole batch, BatchNorm
      included, over three steps (a method whose ``loss_scope`` is "device": of the mean over halves, in one step);
    * 60 steps on digits lower the loss.

    ``method_kwargs`` as in a configuration; ``num_crops``, for a method with ``multicrop``: the crops of each size, the
    largest first, as ``(2, 4)``. A line says that it passed. Takes seconds; two processes are started, so a script that
    calls it needs its ``if __name__ == "__main__":``.
    """
    case = Case(name, dict(method_kwargs or {}), batch_size, tuple(num_crops))
    _check_shapes(case)
    _check_reports(case)
    _check_gradients(case)
    _check_mixed_precision(case)
    _check_state(case)
    _check_two_processes(case)
    _check_training(case)
    print(f"{name} keeps all promises: shapes, reports, gradients, bfloat16, saving, two processes, training")


@dataclass(frozen=True)
class Case:
    """A method to check, its keywords, the batch of one process, and the crops of each size, the largest first."""

    name: str
    method_kwargs: dict[str, Any]
    batch_size: int
    num_crops: tuple[int, ...] = (2,)

    def config(self, batch_size: int) -> Config:
        return parse_config(
            {
                "method": self.name,
                "method_kwargs": self.method_kwargs,
                "backbone": {"name": "resnet8", "kwargs": {"width": 8}},
                "momentum": {"base_tau": 0.9},
                "augmentations": [
                    {**AUGMENTATION, "crop_size": LARGEST - 2 * i, "num_crops": count}
                    for i, count in enumerate(self.num_crops)
                ],
                "optimizer": {"batch_size": batch_size},
            }
        )


class TrainingLoop:
    """A plain training loop around the engine's module; everything in it is a function of the case and the step."""

    def __init__(self, case: Case, batch_size: int | None = None, *, steps: int = STEPS, seed: int = 0) -> None:
        config = case.config(batch_size or case.batch_size)
        images = load_splits(DataConfig(), seed=0).train
        torch.manual_seed(seed)
        self.module = Pretrainer(config, **image_statistics(images)).train()
        self.method, self.steps, self.images = self.module.method, steps, images.images
        self.progress = Progress(epoch=0, epochs=steps, step=0, steps=steps)
        self.parameters = [*self.module.backbone.parameters(), *self.method.parameters()]
        self.optimizer = torch.optim.Adam([p for p in self.parameters if p.requires_grad], lr=2e-3)

    def double(self) -> TrainingLoop:
        self.module.double()
        return self

    def crops(self, step: int, size: int) -> list[Tensor]:
        """Views of ``size`` digits."""
        generator = torch.Generator().manual_seed(step)
        chosen = torch.randperm(len(self.images), generator=generator)[:size]
        dtype = self.parameters[0].dtype
        return [view.to(dtype) for view in self.module.augment(self.images[chosen], generator)]

    def forward(self, step: int, crops: list[Tensor]) -> dict[str, Tensor]:
        """The parts of the loss; what the method draws is a function of the step."""
        torch.manual_seed(step)
        self.progress = Progress(epoch=step, epochs=self.steps, step=step, steps=self.steps)
        self.method.before_step(self.progress)
        return self.method.loss(self.module.views(crops, self.progress))

    def backward(self, loss: Tensor) -> list[Tensor]:
        """Gradients, averaged over processes as in data-parallel training."""
        self.optimizer.zero_grad()
        loss.backward()
        for p in self.parameters:
            if p.grad is not None:
                p.grad = sum_ranks(p.grad) / world_size()
        return [None if p.grad is None else p.grad.clone() for p in self.parameters]

    def update(self) -> None:
        self.method.after_backward(self.progress)
        self.optimizer.step()
        if self.module.teacher is not None:
            self.module.update_teacher((self.progress.step + 1) / self.steps)

    def train(self, step: int) -> float:
        parts = self.forward(step, self.crops(step, self.module.config.optimizer.batch_size))
        self.backward(parts["loss"])
        self.update()
        return parts["loss"].item()

    def names(self) -> list[str]:
        named = [*self.module.backbone.named_parameters("backbone"), *self.method.named_parameters("method")]
        return [name for name, _ in named]


def _check_shapes(case: Case) -> None:
    loop = TrainingLoop(case)
    method, n = loop.method, case.batch_size
    parts = loop.forward(0, loop.crops(0, n))
    assert isinstance(parts, dict), f"loss() gives a {type(parts).__name__}: must be a dict"
    codes = parts.pop("codes", None)
    if codes is not None:
        _check_codes("loss()", codes, method.codes_total)
    assert "loss" in parts, f"loss() gives {sorted(parts)}: 'loss' is missing"
    for name, value in parts.items():
        assert isinstance(value, Tensor), f"part {name!r} of the loss is a {type(value).__name__}: must be a tensor"
        assert value.ndim == 0, f"part {name!r} of the loss has shape {tuple(value.shape)}: must be a scalar"
        assert value.isfinite(), f"part {name!r} of the loss is {value.item()}"
    method.eval()
    with torch.no_grad():
        for size in (1, n, n + 1):
            feats = torch.randn(size, loop.module.backbone.num_features)
            shape = tuple(method.embed(feats).shape)
            assert len(shape) == 2 and shape[0] == size, f"embed() of {size} samples has shape {shape}: must be (n, f)"
            assert len(method(feats)) == size, f"forward() of {size} samples has {len(method(feats))} rows"
            codes = method.assign(feats)
            assert (codes is None) == (method.codes_total is None), "assign() and codes_total: give both or neither"
            if codes is not None:
                assert codes.shape == (size,), f"assign() of {size} samples has shape {tuple(codes.shape)}"
                _check_codes("assign()", codes, method.codes_total)
                sure, entropies = method.assign_with_confidence(feats)[1], method.code_entropies(feats)
                fits = sure.shape == (size,) and sure.min() >= 0 and sure.max() <= 1 + 1e-6
                assert fits, f"assign_with_confidence() of {size} samples does not give {size} probabilities"
                assert all(value.isfinite() for value in entropies), f"code_entropies() gives {entropies}"


def _check_codes(source: str, codes: Tensor, total: int | None) -> None:
    assert total is not None, f"{source} gives codes, and codes_total is None"
    fits = codes.ndim == 1 and codes.dtype == torch.int64
    assert fits, f"{source} gives codes of shape {tuple(codes.shape)} and {codes.dtype}: must be (n,) and torch.int64"
    assert codes.min() >= 0 and codes.max() < total, f"{source} gives a code out of range: must be 0 to {total - 1}"


def _check_reports(case: Case) -> None:
    loop = TrainingLoop(case)
    method = loop.method.eval()
    given, known = {**method_facts(case.name).defaults, **case.method_kwargs}, {c.measure for c in CRITERIA}
    for measure, remedies in method.advice.items():
        assert measure in known, f"advice for {measure!r}: must be for {', '.join(sorted(known))}"
        if isinstance(remedies, str):  # of 0.2.0
            continue
        fits = not isinstance(remedies, Remedy) and all(isinstance(remedy, Remedy) for remedy in remedies)
        assert fits, f"advice for {measure!r} is {remedies!r}: must be a tuple of Remedy"
        for remedy in remedies:
            with suppress(KeyError):  # of a base that has more keys
                remedy.value(given)
    feats = torch.randn(case.batch_size, loop.module.backbone.num_features)
    for row in method.report_measures():
        assert isinstance(row, ReportMeasure), f"report_measures() gives {row!r}: must be a ReportMeasure"
        with torch.no_grad(), suppress(InputError):
            value = row.compute(method.embed(feats), method.assign(feats), {})
            assert isinstance(value, (int, float)), f"row {row.title!r} of the report is {value!r}: must be a number"


def _check_gradients(case: Case) -> None:
    loop = TrainingLoop(case)
    for group in loop.method.param_groups():
        assert "params" in group, "a group of param_groups() has no 'params'"
    several = [id(p) for group in loop.method.param_groups() for p in group["params"]]
    grouped = set(several)
    assert len(several) == len(grouped), "a parameter is in two groups of param_groups()"
    grads = loop.backward(loop.forward(1, loop.crops(1, case.batch_size))["loss"])
    for name, p, grad in zip(loop.names(), loop.parameters, grads):
        if not p.requires_grad:
            continue
        assert grad is not None, f"no gradient reaches {name}"
        assert grad.isfinite().all(), f"the gradient of {name} is not finite"
        # biases before BatchNorm get none, and that is right
        assert p.ndim < 2 or grad.any(), f"the gradient of {name} is zero"
        assert name.startswith("backbone") or id(p) in grouped, f"{name} is in no group of param_groups()"


def _check_mixed_precision(case: Case) -> None:
    loop = TrainingLoop(case)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loop.forward(0, loop.crops(0, case.batch_size))["loss"]
    assert loss.isfinite(), f"in bfloat16 mixed precision the loss is {loss.item()}"
    for name, grad in zip(loop.names(), loop.backward(loss)):
        assert grad is None or grad.isfinite().all(), (
            f"the gradient of {name} in bfloat16 mixed precision is not finite"
        )


def _check_state(case: Case) -> None:
    loop, loaded = TrainingLoop(case), TrainingLoop(case, seed=1)
    for step in range(3):
        loop.train(step)
    file = io.BytesIO()
    torch.save([loop.module.state_dict(), loop.optimizer.state_dict()], file)
    file.seek(0)
    try:
        weights, moments = torch.load(file, weights_only=True)
        loaded.module.load_state_dict(weights)
    except (RuntimeError, pickle.UnpicklingError) as error:  # buffers of another shape, objects in the extra state
        reason = " ".join(str(error).split())
        raise AssertionError(f"what is saved after 3 steps cannot be loaded: {reason}") from error
    loaded.optimizer.load_state_dict(moments)
    try:
        copy.deepcopy(loop.method)
    except (RuntimeError, TypeError) as error:  # an attribute with a gradient's graph, or a generator
        raise AssertionError(f"after 3 steps the method cannot be copied, as what looks at it does: {error}") from error
    for step in (3, 4):
        ours, theirs = loop.train(step), loaded.train(step)
        assert ours == theirs, f"after saving and loading, step {step} has loss {theirs} instead of {ours}"


def _check_two_processes(case: Case) -> None:
    """Losses and gradients in float64, where order of summation does not matter."""
    half = case.batch_size
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
            for process in processes:  # which would wait for minutes for a folder that is gone
                process.terminate()
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
        # a bias before BatchNorm has no gradient but rounding
        rounding = 1e-6 * sum(grad.norm().item() for grad in one["grads"] if grad is not None)
        for name, a, b in zip(names, one["grads"], two["grads"]):
            if a is None or b is None:
                assert a is b, f"step {step}: {name} has a gradient only in one of one and two processes"
                continue
            error = (a - b).norm() / max(a.norm().item(), rounding)
            assert error <= 1e-5, f"step {step}: gradients of {name} on two processes are {error:.1e} off those on one"


def _one_of_two(index: int, case: Case, method: type[Method], folder: Path) -> None:
    """A process with its half of each batch; unpickling ``method`` has imported, so registered, it."""
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
    """Losses and gradients of three steps on both halves, or of one on the mean over them where each is on its own."""
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
    """Mean loss and gradients of shares that each see the method as it is now, whatever it remembers of the others."""
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


def _check_training(case: Case) -> None:
    """Against a twin that does not learn, since a loss may rise by itself, as with a queue that is filling."""
    loop, twin = TrainingLoop(case), TrainingLoop(case)
    pairs = []
    for step in range(STEPS):
        still = twin.forward(step, twin.crops(step, case.batch_size))["loss"].item()
        pairs.append((loop.train(step), still))
    trained, untrained = (sum(losses[-5:]) / 5 for losses in zip(*pairs))
    assert trained < untrained, f"after {STEPS} steps on digits the loss is {trained:g}, without training {untrained:g}"
