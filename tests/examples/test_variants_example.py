"""The variants of CPLearn in examples/variants: without a change they are CPLearn, with one the loss is as written."""

import math
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from cplearn_solo.methods import Progress, Views
from cplearn_solo.methods.cplearn import CPLearn

FILE = Path(__file__).parents[2] / "examples/variants/cplearn_variants.py"
SIZES = {"batch_size": 8, "proj_hidden_dim": 16, "proj_output_dim": 32}


@pytest.fixture(scope="module")
def variant():
    spec = spec_from_file_location("cplearn_variants", FILE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CPLearnVariant


def views(step=0, epoch=0, seed=0):
    torch.manual_seed(seed)
    return Views([torch.randn(8, 6, requires_grad=True) for _ in range(2)], 2, Progress(epoch, 4, step, 100))


def test_without_a_change_it_is_cplearn(variant):
    torch.manual_seed(1)
    plain, same = CPLearn(6, beta=0.7, **SIZES), variant(6, beta=0.7, **SIZES)
    same.projector.load_state_dict(plain.projector.state_dict())
    grads = []
    for method in (plain, same):
        given = views()
        found = method.loss(given)
        found["loss"].backward()
        grads.append([feats.grad for feats in given.feats])
        parts = {key: found[key] for key in ("loss", "invariance", "prior", "assignment_entropy", "codes")}
        if method is plain:
            expected = parts
    torch.testing.assert_close(parts, expected)
    torch.testing.assert_close(grads[1], grads[0])
    feats = torch.randn(5, 6)
    torch.testing.assert_close(same.embed(feats), plain.embed(feats))
    assert torch.equal(same.assign(feats), plain.assign(feats))


def assigned(method, given, tau, head=0):
    """p of both views, ``(n, c)`` each, from the equations."""
    f, w = 16, method.dictionary.tile(0, 32)
    h = [method.projector(feats)[:, head * f : (head + 1) * f] for feats in given.feats]
    return [F.softmax(math.sqrt(f / 8) * F.normalize(x, dim=1) @ w / tau, dim=1) for x in h]


def kl(m):
    return (m * (m * 32).log()).sum()


def test_a_change_is_what_it_says(variant):
    def tau(eps):
        return 16 / (math.sqrt(8) * math.log((1 - eps * 31) / eps))

    heads, given = variant(6, heads=2, **SIZES), views()
    expected = 0
    for head in range(2):
        p, q = assigned(heads, given, tau(1e-8), head)
        cross = -((p * q.log()).sum() + (q * p.log()).sum()) / 16
        expected += (cross + (kl(p.mean(0)) + kl(q.mean(0))) / 2) / 2
    torch.testing.assert_close(heads.loss(given)["loss"], expected)

    sharp = variant(6, sharpen=0.5, **SIZES)
    p, q = assigned(sharp, given, tau(1e-8))
    squares = [x.square() / x.square().sum(1, keepdim=True) for x in (p, q)]
    expected = -((squares[0] * q.log()).sum() + (squares[1] * p.log()).sum()) / 16
    torch.testing.assert_close(sharp.loss(given)["invariance"], expected)

    moving = variant(6, eps=1e-4, last_eps=1e-8, **SIZES)
    p, q = assigned(moving, views(step=50), tau(1e-6))
    expected = -((p * q.log()).sum() + (q * p.log()).sum()) / 16
    torch.testing.assert_close(moving.loss(views(step=50))["invariance"], expected)
    loaded = variant(6, eps=1e-4, last_eps=1e-8, **SIZES)
    loaded.load_state_dict(moving.state_dict())
    for method in (moving.eval(), loaded.eval()):  # what is reported has the eps of that step, too
        p = assigned(method, views(), tau(1e-6))[0]
        torch.testing.assert_close(method.assign_with_confidence(views().feats[0])[1], p.max(dim=1).values)


def test_the_mean_assignment_remembers_batches_of_which_the_latest_has_the_gradient(variant):
    method = variant(6, memory=3, **SIZES)
    means, uniform = [], torch.full((32,), 1 / 32)
    for seed in range(4):
        given = views(seed=seed)
        p = assigned(method, given, method.temperature)
        means.append([x.mean(0) for x in p])
        found = method.loss(given)
        last = ([[uniform] * 2] * 2 + means)[-3:]
        over_time = [torch.stack([pair[view] for pair in last]).mean(0).detach() for view in range(2)]
        torch.testing.assert_close(found["prior"], sum(kl(m) for m in over_time) / 2)
        (gradient,) = torch.autograd.grad(found["prior"], given.feats[:1], retain_graph=True)
        (expected,) = torch.autograd.grad((means[-1][0] * (over_time[0].log() + 1)).sum() / 2, given.feats[:1])
        torch.testing.assert_close(gradient, expected)


def test_every_epoch_may_have_a_dictionary_of_its_own(variant):
    method = variant(6, redraw=True, **SIZES)
    method.loss(views(epoch=0))
    first = method.dictionary.tile(0, 32)
    method.loss(views(epoch=1))
    last = method.dictionary.tile(0, 32)
    assert not torch.equal(last, first)
    loaded = variant(6, redraw=True, **SIZES)
    loaded.load_state_dict(method.state_dict())
    assert torch.equal(loaded.dictionary.tile(0, 32), last)  # whose codes are then looked at
