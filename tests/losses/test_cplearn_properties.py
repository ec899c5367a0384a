"""No batch is better than the strict bound, whatever its assignments, prior and beta."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cplearn_solo.losses import cplearn_loss, strict_bound


@st.composite
def priors(draw, c, *, above_0):
    """A distribution over c codes, from even to nearly all on one code; or ``None``."""
    logits = draw(st.none() | st.lists(st.floats(-8, 8), min_size=c, max_size=c))
    if logits is None:
        return None
    q = torch.softmax(torch.tensor(logits, dtype=torch.float64), 0)
    if not above_0:
        q[1 + draw(st.integers(0, c - 1)) :] = 0
    return q / q.sum()


@st.composite
def logits_near_the_optimum(draw, n, c, q):
    """Logits ``(n, c)``: all samples like the prior, the most likely codes one by one, or a block of codes for each."""
    log_q = torch.zeros(c, dtype=torch.float64) if q is None else q.log().clamp(min=-700)
    place = log_q.argsort(descending=True, stable=True).argsort()
    mine = {
        "prior": torch.ones(n, c, dtype=torch.bool),
        "codes": place == torch.arange(n)[:, None] % c,
        "blocks": place % n == torch.arange(n)[:, None],
    }[draw(st.sampled_from(["prior", "codes", "blocks"]))]
    return torch.where(mine, log_q, log_q - draw(st.sampled_from([1.0, 1000.0])))


@st.composite
def views(draw, n, c, q):
    """Two views' logits ``(n, c)``, equal and near the optimum, or anywhere."""
    if draw(st.integers(0, 3)):
        return [draw(logits_near_the_optimum(n, c, q))] * 2
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    return 10 ** draw(st.floats(-1, 3)) * torch.randn(2, n, c, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
@given(st.integers(1, 5), st.integers(1, 16), st.floats(0, 3), st.data())
def test_no_batch_is_better_than_the_strict_bound(prior_loss, n, c, beta, data):
    q = data.draw(priors(c, above_0=prior_loss == "reverse"), "prior")
    loss = cplearn_loss(*data.draw(views(n, c, q), "views"), beta=beta, prior=q, prior_loss=prior_loss).loss.item()
    assert loss >= strict_bound(n, c, beta=beta, prior=q, prior_loss=prior_loss) - 1e-9
