"""All implementations of the objective agree, whatever the sizes, views, prior and beta."""

import math
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_objective import dictionary, embeddings, few_codes_at_once, gradients, needs_lookup

from cplearn_solo.dictionary import temperature
from cplearn_solo.objective import objective, streamed
from cplearn_solo.objective.streamed import StreamedLogits


@st.composite
def problems(draw):
    """Float64 views and settings of :func:`objective`; tiles have 16 or 32 codes, some of which are kept."""
    n, f, c, count = (draw(st.integers(1, most)) for most in (9, 70, 100, 4))
    count = max(count, 2)
    seed, prior_loss = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from(["reverse", "forward"]))
    views = embeddings(count, n=n, f=f, scale=10 ** draw(st.floats(-2, 1.5)), seed=seed)
    prior = None
    if draw(st.booleans()):
        logits = torch.randn(c, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        if prior_loss == "forward":
            logits[: draw(st.integers(0, c - 1))] = -torch.inf  # codes that no sample should use
        prior = torch.softmax(logits, 0)
    possible = [(a, b) for b in range(count) for a in range(b)]
    pairs = {(draw(st.integers(0, b - 1)), b) for b in range(1, count)} | draw(st.sets(st.sampled_from(possible)))
    settings = {"temperature": temperature(f, n, c, 1e-8), "beta": draw(st.floats(0, 3)), "pairs": sorted(pairs)}
    tiles = {"kept": draw(st.integers(0, 4)), "width": draw(st.sampled_from([16, 32])), "rows": n * count, "f": f}
    return views, dictionary(f, c, seed), {**settings, "prior": prior, "prior_loss": prior_loss}, tiles


def check(problem, impl, dtype, *, loss_error, gradient_error):
    """Errors are relative to the largest number that is added up, ``gradient_error`` as a share of a norm."""
    views, packed, settings, tiles = problem
    expected = objective(views, packed, **settings, impl="reference")
    given = [view.detach().to(dtype).requires_grad_() for view in views]
    with pytest.MonkeyPatch.context() as patch:
        found = objective(given, packed, **settings, impl=impl, **few_codes_at_once(patch, **tiles))
    size = 1 + max(part.abs().item() for part in expected[:5])
    assert max((a.double() - b).abs().item() for a, b in zip(found[:5], expected[:5])) < loss_error * size
    torch.testing.assert_close(found.mean_assignment.double(), expected.mean_assignment, rtol=0, atol=loss_error)
    logits = views[0].detach() @ packed.tile(0, packed.c).double()
    chosen = logits.gather(1, found.codes[:, None])[:, 0]  # codes may be equal
    torch.testing.assert_close(chosen, logits.amax(1), rtol=0, atol=loss_error * logits.abs().max().item())
    exact, ours = gradients(expected.loss, views), gradients(found.loss, given).double()
    unit = size * math.sqrt(packed.f / len(views[0])) / settings["temperature"]
    assert (ours - exact).norm() < gradient_error * (exact.norm() + unit)


@given(problems())
def test_tiles_change_nothing(problem):
    check(problem, "chunked", torch.float64, loss_error=1e-12, gradient_error=1e-12)


@given(problems())
def test_chunked_errs_as_float32_does(problem):
    check(problem, "chunked", torch.float32, loss_error=1e-5, gradient_error=1e-5)


@needs_lookup
@given(problems())
def test_lookup_errs_as_float32_does(problem):
    check(problem, "lookup", torch.float32, loss_error=1e-5, gradient_error=1e-5)


@given(problems(), st.integers(1, 2**12))
def test_streamed_assignments_are_the_softmax_of_all_logits(problem, at_once):
    (h, *_), packed, settings, _ = problem
    with mock.patch.object(streamed, "_LOGITS_AT_ONCE", at_once), torch.no_grad():
        found = StreamedLogits(h, packed, settings["temperature"])
        (codes, best, log_sum), entropies = found.largest(), torch.stack(found.entropies())
        logits = h @ packed.tile(0, packed.c).double() / settings["temperature"]
        p = logits.softmax(1)
        expected = torch.special.entr(p.mean(0)).sum(), torch.special.entr(p).sum(1).mean()
    torch.testing.assert_close(logits.gather(1, codes[:, None])[:, 0], logits.amax(1))
    torch.testing.assert_close(best, logits.amax(1))
    torch.testing.assert_close(log_sum, logits.logsumexp(1))
    torch.testing.assert_close(entropies, torch.stack(expected), rtol=1e-9, atol=1e-12)
