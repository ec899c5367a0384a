"""Triton's kernels against the equations, in its interpreter where there is no GPU."""

import pytest
import torch
from test_objective import FOUR_VIEWS, TWO_VIEWS, N, check_float32, dictionary, embeddings, few_codes_at_once

from cplearn_solo.core.errors import InputError
from cplearn_solo.dictionary import make_dictionary, pack_dictionary
from cplearn_solo.objective import objective

pytest.importorskip("triton", reason="Triton is not installed")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
@pytest.mark.parametrize("uneven, scale, kept", [(False, 1.0, 0), (True, 1.0, 3), (True, 40.0, 3)])
@pytest.mark.parametrize("pairs", [TWO_VIEWS, pytest.param(FOUR_VIEWS, marks=pytest.mark.slow)], ids=["two", "four"])
def test_parts_and_gradients_are_the_equations(monkeypatch, prior_loss, uneven, scale, kept, pairs):
    few = few_codes_at_once(monkeypatch, kept=kept, width=48, rows=N * (1 + max(b for _, b in pairs)))
    check_float32(pairs, DEVICE, prior_loss=prior_loss, uneven=uneven, scale=scale, impl="triton", **few)


@pytest.mark.parametrize(
    "dtype, precision, bits",
    [
        (torch.float32, "highest", 22),
        (torch.float32, "high", 15),
        (torch.float32, "medium", 7),
        (torch.bfloat16, "highest", 22),
        (torch.float16, "highest", 22),
    ],
)
@pytest.mark.parametrize("rows, f, c", [(7, 37, 101), (70, 64, 33)])
def test_products_with_the_bits_are_those_with_the_dictionary(monkeypatch, dtype, precision, bits, rows, f, c):
    """Up to what is left out of a float32 factor, relative to the sum of all absolute values."""
    from cplearn_solo.objective.triton import products  # only where Triton is

    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: precision)
    w, words = make_dictionary(f, c).double(), pack_dictionary(f, c).to(DEVICE)
    for inner, product in (
        (f, lambda x: (products.times_dictionary(x, words, x.new_empty(rows, c, dtype=torch.float32)), w)),
        (c, lambda x: (products.times_transposed(x, words, f), w.T)),
    ):
        x = torch.randn(rows, inner, generator=torch.Generator().manual_seed(1)).to(DEVICE, dtype)
        found, factor = product(x)
        error = (found.cpu().double() - x.cpu().double() @ factor).abs() / x.cpu().double().abs().sum(1, keepdim=True)
        assert error.max() < 2.0**-bits and (bits > 15 or error.max() > 2.0 ** -(bits + 9))


@pytest.mark.skipif(DEVICE == "cuda", reason="there is a GPU")
def test_without_a_gpu_it_says_what_there_is(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(
        InputError, match="impl = 'triton': must be auto or chunked for embeddings on cpu, not on a GPU"
    ):
        objective(embeddings(), dictionary(), temperature=1.0, beta=1.0, impl="triton")
