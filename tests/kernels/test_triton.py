"""Triton's kernels against the equations, in its interpreter where there is no GPU."""

import pytest
import torch
from test_objective import C, F, N, dictionary, embeddings, few_codes_at_once, gradients, problem

from cplearn_solo.dictionary import make_dictionary, pack_dictionary
from cplearn_solo.kernels import PackedDictionary, objective
from cplearn_solo.registry import InputError

pytest.importorskip("triton", reason="Triton is not installed")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def on_device(views):
    return [view.detach().to(DEVICE).requires_grad_() for view in views]


@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
@pytest.mark.parametrize("uneven, scale, kept", [(False, 1.0, 0), (True, 1.0, 3), (True, 40.0, 3)])
@pytest.mark.parametrize(
    "pairs", [[(0, 1)], pytest.param([(0, 1), (0, 2), (1, 2), (0, 3)], marks=pytest.mark.slow)], ids=["two", "four"]
)
def test_parts_and_gradients_are_the_equations(monkeypatch, prior_loss, uneven, scale, kept, pairs):
    views, expected, settings = problem(pairs, prior_loss=prior_loss, uneven=uneven, scale=scale)
    settings |= few_codes_at_once(monkeypatch, kept=kept, width=48, rows=N * len(views))
    settings["prior"] = settings["prior"].to(DEVICE) if uneven else None
    given = on_device([view.float() for view in views])
    words = PackedDictionary(pack_dictionary(F, C).to(DEVICE), F)
    found = objective(given, words, impl="triton", **settings)
    torch.testing.assert_close(torch.stack(found[:5]).cpu().double(), torch.stack(expected), rtol=1e-5, atol=1e-5)
    exact = gradients(expected[0], views)
    error = (gradients(found.loss, given).cpu() - exact).norm() / exact.norm()
    assert error < 2e-6 * max(1, scale)
    assert torch.equal(found.codes.cpu(), (views[0] @ make_dictionary(F, C).double()).argmax(1))


@pytest.mark.skipif(DEVICE == "cuda", reason="there is a GPU")
def test_without_a_gpu_it_says_what_there_is(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(InputError, match="impl = 'triton': needs a GPU, the embeddings are on cpu; choices are auto, "):
        objective(embeddings(), dictionary(), temperature=1.0, beta=1.0, impl="triton")
