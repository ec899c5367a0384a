"""The loss against loops written from Eqs. 1 and 2, and the paper's statements about its minima."""

import itertools
import math

import numpy as np
import pytest
import torch
from differences import finite_differences

from cplearn_solo.core.errors import InputError
from cplearn_solo.dictionary import make_dictionary, temperature
from cplearn_solo.losses import assignments, cplearn_loss, strict_bound
from cplearn_solo.losses.cplearn import check_prior

UNEVEN = [0.4, 0.3, 0.2, 0.06, 0.04]


def loop_loss(z1, z2, beta, q, prior_loss):
    """Eq. 2 (forward) and Appendix N (reverse) for nested lists of logits, both directions averaged."""

    def softmax(row):
        top = max(row)
        weights = [math.exp(v - top) for v in row]
        return [w / sum(weights) for w in weights]

    n, c = len(z1), len(z1[0])
    total = 0.0
    for left, right in ((z1, z2), (z2, z1)):
        p, p_other = [softmax(row) for row in left], [softmax(row) for row in right]
        invariance = prior = 0.0
        for i in range(n):
            for j in range(c):
                invariance -= p[i][j] * math.log(p_other[i][j]) / n
        for j in range(c):
            mean = 0.0
            for i in range(n):
                mean += p[i][j] / n
            prior += mean * math.log(mean / q[j]) if prior_loss == "reverse" else -q[j] * math.log(mean)
        total += (beta * invariance + prior) / 2
    return total


@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
@pytest.mark.parametrize("q", [None, UNEVEN])
@pytest.mark.parametrize("beta", [0.3, 1.0, 2.5])
def test_values_and_gradients_are_the_loops(prior_loss, q, beta):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64).mul(3).requires_grad_()
    prior = None if q is None else torch.tensor(q, dtype=torch.float64)
    loss = cplearn_loss(*z, beta=beta, prior=prior, prior_loss=prior_loss)
    arguments = (beta, q or [0.2] * 5, prior_loss)
    assert loss.loss.item() == pytest.approx(loop_loss(*z.tolist(), *arguments), rel=1e-12)
    assert loss.loss.item() == pytest.approx(beta * loss.invariance.item() + loss.prior.item(), rel=1e-12)

    loss.loss.backward()
    expected = finite_differences(lambda moved: loop_loss(*moved.tolist(), *arguments), z.detach().numpy())
    np.testing.assert_allclose(z.grad.numpy(), expected, rtol=0, atol=1e-8)


def test_saturated_logits_stay_finite():
    """Unscaled tanh on codes themselves: logits are sqrt(n) times Eq. 1's, assignments are one-hot in float32."""
    n, f, c = 64, 2048, 512
    w = make_dictionary(f, c).float()
    h = w[:, :n].T.clone().requires_grad_()
    z = h @ w / temperature(f, n, c, 1e-8)
    assert torch.isinf(torch.softmax(z, 1).mean(0).log()).any()  # what the log domain is for
    loss = cplearn_loss(z, z, beta=1.0)
    loss.loss.backward()
    assert loss.loss.isfinite() and h.grad.isfinite().all()
    assert loss.prior.item() == pytest.approx(math.log(c / n), rel=1e-5)
    assert loss.invariance.item() == pytest.approx(0, abs=1e-6)


def test_autocast_changes_nothing():
    z1, z2 = torch.randn(2, 8, 20, generator=torch.Generator().manual_seed(1)).mul(30)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = cplearn_loss(z1, z2, beta=0.5)
    assert inside.loss.dtype == torch.float32
    assert inside.loss.item() == cplearn_loss(z1, z2, beta=0.5).loss.item()


def test_equation_3_and_corollaries_2_and_3_hold_on_the_codes():
    """Hadamard codes, n/c embeddings on each: Eq. 3 with equality, H^T H = I, H H^T block-diagonal with ones of n/c."""
    f = c = 16
    n, eps, beta = 64, 1e-8, 0.7
    w = make_dictionary(f, c, kind="hadamard", seed=2).double()
    codes = torch.arange(n) // (n // c)
    h = w[:, codes].T / math.sqrt(n)
    z = h @ w / temperature(f, n, c, eps)
    top = 1 - eps * (c - 1)
    entropy_term = -beta * top * math.log(top) - beta * eps * (c - 1) * math.log(eps)
    loss = cplearn_loss(z, z, beta=beta, prior_loss="forward")
    assert loss.loss.item() == pytest.approx(entropy_term + math.log(c), rel=1e-12)
    torch.testing.assert_close(h.T @ h, torch.eye(f, dtype=torch.float64), rtol=0, atol=0)
    blocks = (codes[:, None] == codes).double() * f / n
    torch.testing.assert_close(h @ h.T, blocks, rtol=0, atol=0)


@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
@pytest.mark.parametrize("n, c", [(4, 16), (16, 16), (16, 4)])
def test_strict_bound_holds_for_random_embeddings(prior_loss, n, c):
    """1,000 random pairs each, from soft to saturated, views from equal to nearly independent."""
    generator = torch.Generator().manual_seed(n * c)
    skewed = torch.softmax(torch.randn(c, generator=generator, dtype=torch.float64), 0)
    w, tau = make_dictionary(32, c).double(), temperature(32, n, c, 1e-8)
    settings = list(itertools.product((0.25, 1.0), (None, skewed)))
    bounds = [strict_bound(n, c, beta=beta, prior=prior, prior_loss=prior_loss) for beta, prior in settings]
    for trial in range(250):
        sharpness = 10 ** (2 * trial / 249 - 1)
        h1, noise = torch.randn(2, n, 32, generator=generator, dtype=torch.float64)
        h2 = h1 + noise * (trial % 3)
        z1, z2 = (torch.nn.functional.normalize(h, dim=1) * math.sqrt(32 / n) * sharpness @ w / tau for h in (h1, h2))
        for (beta, prior), bound in zip(settings, bounds):
            loss = cplearn_loss(z1, z2, beta=beta, prior=prior, prior_loss=prior_loss).loss.item()
            assert loss >= bound - 1e-9


def test_strict_bound_of_a_uniform_prior():
    assert strict_bound(64, 1024, beta=0.5) == pytest.approx(0.5 * math.log(16))
    assert strict_bound(64, 1024, beta=3.0) == pytest.approx(math.log(16))
    assert strict_bound(64, 32, beta=1.0) == 0
    assert strict_bound(64, 1024, beta=1.0, prior_loss="forward") == pytest.approx(math.log(1024))


def test_strict_bound_of_an_uneven_prior():
    """Among the bounds of all b the largest; none if as many nats as the prior has fit into the batch."""
    q = 1 / torch.arange(1, 101, dtype=torch.float64)
    q = q / q.sum()
    values = []
    for b in [step / 1000 for step in range(1000)]:
        values.append(-(1 - b) * torch.logsumexp(q.log() / (1 - b), 0).item() - b * math.log(8))
    assert 0.99 * max(values) <= strict_bound(8, 100, beta=1.0, prior=q) <= max(values) + 1e-9
    entropy = torch.special.entr(q).sum().item()
    assert strict_bound(math.ceil(math.exp(entropy)), 100, beta=1.0, prior=q) == 0
    assert strict_bound(8, 100, beta=1.0, prior=q, prior_loss="forward") == pytest.approx(entropy)
    even = torch.full((100,), 0.01, dtype=torch.float64)
    assert strict_bound(8, 100, beta=0.3, prior=even) == pytest.approx(strict_bound(8, 100, beta=0.3))


def test_strict_bound_is_the_largest_of_sixteen():
    """b = beta k / 16 for k = 1 ... 16; with b = 1, the limit is the most likely code's."""
    q = torch.tensor(UNEVEN, dtype=torch.float64)
    for n, beta in ((1, 0.9), (2, 0.9), (2, 0.4), (2, 1.0), (1, 1.0), (2, 7.0)):
        values = []
        for share in range(1, 17):
            b = min(beta, 1.0) * share / 16
            sharp = math.log(0.4) if b == 1 else (1 - b) * math.log(sum(v ** (1 / (1 - b)) for v in UNEVEN))
            values.append(-sharp - b * math.log(n))
        assert strict_bound(n, 5, beta=beta, prior=q) == pytest.approx(max(0.0, *values), rel=1e-12), (n, beta)


def test_logged_entropies_are_sums_of_p_log_p():
    """Also of assignments so hard that float32 has none but zeros and ones."""
    z = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = torch.softmax(z, dim=1).numpy()
    found = assignments(z)
    assert found.entropy.item() == pytest.approx(-(p * np.log(p)).sum(axis=1).mean(), rel=1e-12)
    assert found.mean_entropy.item() == pytest.approx(-(p.mean(0) * np.log(p.mean(0))).sum(), rel=1e-12)
    np.testing.assert_allclose(found.mean.numpy(), p.mean(axis=0), rtol=1e-12)
    assert found.codes.tolist() == p.argmax(axis=1).tolist()
    hard = assignments(1e4 * torch.eye(4)[:2])
    assert hard.entropy.item() == 0 and hard.mean_entropy.item() == pytest.approx(math.log(2))


def descend(n, f, c, *, beta, prior_loss, steps=300):
    """Free embeddings, both views the same, by Adam from a random start: first and last gap to the bound, codes."""
    generator = torch.Generator().manual_seed(0)
    w, tau = make_dictionary(f, c).float(), temperature(f, n, c, 1e-8)
    h = torch.randn(n, f, generator=generator, requires_grad=True)
    optimizer = torch.optim.Adam([h], lr=0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for _ in range(steps):
        z = torch.nn.functional.normalize(h, dim=1) * math.sqrt(f / n) @ w / tau
        loss = cplearn_loss(z, z, beta=beta, prior_loss=prior_loss).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    bound = strict_bound(n, c, beta=beta, prior_loss=prior_loss)
    return losses[0] - bound, losses[-1] - bound, z.argmax(dim=1).unique().numel()


@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
def test_free_optimisation_approaches_the_bound_with_every_code_in_use(prior_loss):
    """A small beta: larger ones commit samples to codes before the codes are evened out, and stay a little above."""
    first, last, used = descend(64, 128, 16, beta=0.1, prior_loss=prior_loss)
    assert 0 <= last < 0.05 * first
    assert used == 16


def test_more_codes_than_samples_end_soft_below_beta_1():
    """For beta < 1 and c > n the bound is beta log(c/n) > 0: each sample spreads over c/n codes."""
    first, last, _ = descend(16, 128, 64, beta=0.1, prior_loss="reverse")
    assert 0 <= last < 0.05 * first


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(z2=torch.zeros(4, 3)), "shapes"),
        (dict(prior_loss="backward"), "unknown prior_loss 'backward'"),
        (dict(prior=torch.full((4,), 0.25)), "must be \\(5,\\)"),
        (dict(prior=torch.full((5,), 0.3)), "sum of prior = 1.5: must be 1"),
        (dict(prior=torch.tensor([1.5, -0.5, 0, 0, 0])), "non-negative"),
        (dict(prior=torch.tensor([0.5, 0.5, 0, 0, 0])), "above 0 for prior_loss 'reverse'"),
    ],
)
def test_bad_input(arguments, words):
    with pytest.raises(InputError, match=words):
        cplearn_loss(**{"z1": torch.zeros(4, 5), "z2": torch.zeros(4, 5), "beta": 1.0, **arguments})


def test_a_prior_sums_to_1_within_a_ten_thousandth():
    check_prior(torch.tensor([0.5, 0.5001]), 2, "reverse")
    with pytest.raises(InputError, match="sum of prior = 1.00011: must be 1"):
        check_prior(torch.tensor([0.5, 0.50011]), 2, "reverse")
    with pytest.raises(InputError, match="sum of prior = 0.9998: must be 1"):
        check_prior(torch.tensor([0.5, 0.4998]), 2, "forward")


def test_forward_prior_with_a_zero_entry():
    """-q log p with q = 0 is 0, however small p is."""
    z = torch.tensor([[0.0, -1e4]]).requires_grad_()
    loss = cplearn_loss(z, z, beta=0.0, prior=torch.tensor([1.0, 0.0]), prior_loss="forward")
    loss.loss.backward()
    assert loss.prior.item() == 0 and z.grad.isfinite().all()


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_near_the_state_without_preferences_only_beta_above_1_lets_a_shared_code_pay(beta):
    """What docs/collapse.md says of ``beta=auto``: to second order in small logits of standard deviation s."""
    n, c, s = 2000, 64, 0.02
    generator = torch.Generator().manual_seed(0)
    start = beta * math.log(c)
    own = s * torch.randn(n, c, generator=generator, dtype=torch.float64)
    shared = own[:1].expand(n, c)
    for logits, falls_by in ((own, beta), (shared, beta - 1)):
        fall = start - cplearn_loss(logits, logits, beta=beta).loss.item()
        variance = logits.var(dim=1, correction=0).mean().item()
        assert fall == pytest.approx(falls_by * variance / 2, abs=0.02 * variance)
