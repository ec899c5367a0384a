"""CPLearn's priors over codes: what q is, that every implementation takes it, and the bound that is logged with it."""

import math

import pytest
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.losses import cplearn_loss, strict_bound
from cplearn_solo.methods import Progress, Views, build_method
from cplearn_solo.methods.code_prior import MEMORY, LearnedPrior
from cplearn_solo.objective.lookup.sweeps import library
from cplearn_solo.testing import check_method

N, D, C = 8, 16, 50
R = math.sqrt(N)  # how much a learned prior follows
NUMBERS = torch.softmax(torch.arange(C) / 10, 0).tolist()
IMPLEMENTATIONS = ["auto", "reference", "chunked", *(["lookup"] if library() else [])]


def make(prior, **kwargs):
    torch.manual_seed(0)
    given = {"proj_hidden_dim": 32, "proj_output_dim": C, "prior": prior, **kwargs}
    return build_method("cplearn", D, batch_size=N, method_kwargs=given)


def views(seed=0):
    x = torch.randn(3, N, D, generator=torch.Generator().manual_seed(seed))
    return Views([x[0] + x[1] / 3, x[0] + x[2] / 3], 2, Progress(0, 1, 0, 1))


def step(method, seed=0):
    parts = method.loss(views(seed))
    method.after_backward(Progress(0, 1, 0, 1))
    return parts


def test_a_power_law_falls_by_its_exponent():
    q = make("power_law", prior_power=1.5).prior
    assert q.sum().item() == pytest.approx(1) and (q[1:] < q[:-1]).all()
    assert (q[0] / q[7]).item() == pytest.approx(8**1.5, rel=1e-5)
    assert torch.equal(make("power_law").prior, make("power_law", prior_power=1.0).prior)


def test_uniform_is_what_there_is_without_a_prior():
    ours, without = step(make("uniform")), step(make(None))
    assert all(torch.equal(ours[key], without[key]) for key in without)


@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
@pytest.mark.parametrize("prior", ["power_law", "learned", NUMBERS], ids=["power law", "learned", "numbers"])
def test_all_implementations_agree(prior, prior_loss):
    found = []
    for impl in IMPLEMENTATIONS:
        method = make(prior, prior_loss=prior_loss, impl=impl)
        parts = [step(method, seed) for seed in range(3)][-1]
        found.append([parts[key] for key in ("loss", "invariance", "prior", "bound_gap")] + [method.prior.log().mean()])
    for other in found[1:]:
        torch.testing.assert_close(torch.stack(other), torch.stack(found[0]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "prior", [None, "power_law", "learned", NUMBERS], ids=["uniform", "power law", "learned", "own"]
)
@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
def test_the_gap_is_to_the_bound_of_the_prior_in_use(prior, prior_loss):
    method = make(prior, prior_loss=prior_loss, beta=0.5)
    for seed in range(3):
        q, bound = method.prior, method.bound
        expected = strict_bound(N, C, beta=0.5, prior=q, prior_loss=prior_loss)
        assert bound == pytest.approx(expected, rel=1e-5)
        given = views(seed)
        loss = cplearn_loss(*(method(feats) for feats in given.feats), beta=0.5, prior=q, prior_loss=prior_loss).loss
        gap = step(method, seed)["bound_gap"].item()
        assert gap == pytest.approx(loss.item() - expected, rel=1e-4) and gap > 0


def test_a_learned_prior_is_the_moving_average_of_mean_assignments():
    method, expected = make("learned"), torch.full((C,), 1 / C)
    for seed in range(3):
        given = views(seed)
        with torch.no_grad():
            mean = method(given.feats[0]).softmax(dim=1).mean(dim=0)
        step(method, seed)
        expected = MEMORY * expected + (1 - MEMORY) * mean
    torch.testing.assert_close(method.prior, (1 + R * expected) / (C + R))
    assert method.prior.sum().item() == pytest.approx(1)


def test_batches_of_one_step_count_together():
    one, two = LearnedPrior(4, N), LearnedPrior(4, N)
    batches = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    one.see(batches.mean(dim=0))
    for batch in batches:
        two.see(batch)
    for prior in (one, two):
        prior.update()
    assert torch.allclose(one.mean, two.mean) and not two.seen.any()


@pytest.mark.parametrize("n, c", [(8, 50), (64, 1024), (64, 64), (256, 16)])
def test_a_learned_prior_cannot_collapse(n, c):
    """However long all samples have the same k codes: every code keeps a floor, and to spread over as many codes as a
    batch can use pays half of what it does with the uniform prior."""

    def price(k):
        prior = LearnedPrior(c, n)
        for _ in range(4000):
            prior.see((torch.arange(c) < k) / k)
            prior.update()
        q = prior()
        assert q.min().item() == pytest.approx(1 / (c + r), rel=1e-3) or k == c
        assert torch.special.entr(q).sum().item() >= c / (c + r) * math.log(c)
        logits = torch.full((k, c), -100.0).scatter(1, torch.arange(k)[:, None], 100.0)
        found = cplearn_loss(logits, logits, beta=1.0, prior=q).loss.item()
        assert found == pytest.approx(math.log((c + r) / (k + r)), rel=1e-3, abs=1e-4)
        return found

    most = min(n, c)
    r = math.sqrt(most)
    assert price(1) - price(most) == pytest.approx(math.log(most) / 2, rel=1e-2)


def test_a_learned_prior_is_kept_in_checkpoints():
    method, other = make("learned"), make("learned")
    step(method)
    other.load_state_dict(method.state_dict())
    assert torch.equal(method.prior, other.prior)
    assert "learned_prior.mean" not in make(None).state_dict()


@pytest.mark.slow
def test_promises_with_a_learned_prior():
    check_method("cplearn", {"prior": "learned"})


@pytest.mark.parametrize(
    "prior, kwargs, words",
    [
        ([0.5, 0.5], {}, "shape of method_kwargs.prior = \\(2,\\): must be \\(50,\\)"),
        ([-0.02] + [1.02 / 49] * 49, {}, "least entry of method_kwargs.prior = -0.0.*: must be non-negative"),
        ([0.03] * 50, {}, "sum of method_kwargs.prior = 1.5: must be 1"),
        ([math.nan] * 50, {}, "least entry of method_kwargs.prior = nan: must be non-negative"),
        (
            [0.0] + [1 / 49] * 49,
            {},
            "least entry of method_kwargs.prior = 0.0: must be above 0 for prior_loss 'reverse'",
        ),
        (None, {"prior_power": 1.0}, "method_kwargs.prior_power = 1.0: must be absent unless prior=power_law"),
        ("learned", {"prior_power": 1.0}, "method_kwargs.prior_power = 1.0: must be absent unless prior=power_law"),
        ("power_law", {"prior_power": 0.0}, "method_kwargs.prior_power = 0.0: must be above 0"),
        ("power_law", {"prior_power": 23.0}, "method_kwargs.prior_power = 23.0: must be lower with 50 codes"),
        ("zipf", {}, "method_kwargs.prior = 'zipf': must be of type 'uniform' or 'power_law' or 'learned'"),
        ("learned", {"beta": "auto"}, "method_kwargs.beta = 'auto': must be a number, unless the prior is uniform"),
    ],
)
def test_bad_priors(prior, kwargs, words):
    with pytest.raises(InputError, match=words):
        make(prior, **kwargs)
