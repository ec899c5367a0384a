"""What one process can check of a method: shapes, reports, gradients, half precision, saving, training."""

from __future__ import annotations

import copy
import io
import math
import pickle
from contextlib import suppress

import torch
from torch import Tensor

from cplearn_solo.core.errors import InputError
from cplearn_solo.methods import ReportMeasure, method_facts
from cplearn_solo.methods.parts import checked_parts
from cplearn_solo.methods.remedy import Remedy
from cplearn_solo.metrics.verdict import CRITERIA
from cplearn_solo.testing.loop import STEPS, Case, TrainingLoop


def check_shapes(case: Case) -> None:
    loop = TrainingLoop(case)
    method, n = loop.method, case.batch_size
    try:
        parts = checked_parts(case.name, loop.forward(0, loop.crops(0, n)))
    except InputError as error:
        raise AssertionError(str(error)) from error
    codes = parts.pop("codes", None)
    if codes is not None:
        _check_codes("loss()", codes, method.codes_total)
    for name, value in parts.items():
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


def check_reports(case: Case) -> None:
    loop = TrainingLoop(case)
    method = loop.method.eval()
    given, known = {**method_facts(case.name).defaults, **case.method_kwargs}, {c.measure for c in CRITERIA}
    for measure, remedies in method.advice.items():
        assert measure in known, f"advice for {measure!r}: must be for {', '.join(sorted(known))}"
        if isinstance(remedies, str):  # the form of 0.2.0
            continue
        fits = not isinstance(remedies, Remedy) and all(isinstance(remedy, Remedy) for remedy in remedies)
        assert fits, f"advice for {measure!r} is {remedies!r}: must be a tuple of Remedy"
        for remedy in remedies:
            with suppress(KeyError):  # the remedy of a base class with more keys
                remedy.value(given)
    feats = torch.randn(case.batch_size, loop.module.backbone.num_features)
    for row in method.report_measures():
        assert isinstance(row, ReportMeasure), f"report_measures() gives {row!r}: must be a ReportMeasure"
        with torch.no_grad(), suppress(InputError):
            value = row.compute(method.embed(feats), method.assign(feats), {})
            assert isinstance(value, (int, float)), f"row {row.title!r} of the report is {value!r}: must be a number"


def check_gradients(case: Case) -> None:
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
        # biases before BatchNorm rightly have a gradient of zero
        assert p.ndim < 2 or grad.any(), f"the gradient of {name} is zero"
        assert name.startswith("backbone") or id(p) in grouped, f"{name} is in no group of param_groups()"


def check_mixed_precision(case: Case) -> None:
    loop = TrainingLoop(case)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loop.forward(0, loop.crops(0, case.batch_size))["loss"]
    assert loss.isfinite(), f"in bfloat16 mixed precision the loss is {loss.item()}"
    for name, grad in zip(loop.names(), loop.backward(loss)):
        assert grad is None or grad.isfinite().all(), (
            f"the gradient of {name} in bfloat16 mixed precision is not finite"
        )


def check_state(case: Case) -> None:
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
        assert math.isfinite(ours), f"at step {step} the loss is {ours}"
        assert ours == theirs, f"after saving and loading, step {step} has loss {theirs} instead of {ours}"


def check_training(case: Case) -> None:
    """Compares with a twin that is not trained, because a loss may rise by itself, for example while a queue fills."""
    loop, twin = TrainingLoop(case), TrainingLoop(case)
    pairs = []
    for step in range(STEPS):
        still = twin.forward(step, twin.crops(step, case.batch_size))["loss"].item()
        pairs.append((loop.train(step), still))
        assert math.isfinite(pairs[-1][0]), f"at step {step} the loss is {pairs[-1][0]}"
    trained, untrained = (sum(losses[-5:]) / 5 for losses in zip(*pairs))
    assert trained < untrained, f"after {STEPS} steps on digits the loss is {trained:g}, without training {untrained:g}"
