"""Triton's kernels against the equations, in its interpreter where there is no GPU."""

import math

import pytest
import torch
from test_objective import FOUR_VIEWS, TWO_VIEWS, N, check_float32, dictionary, embeddings, few_codes_at_once

from cplearn_solo.core.errors import InputError
from cplearn_solo.dictionary import make_dictionary, pack_dictionary
from cplearn_solo.objective import PackedDictionary, objective, tiles
from cplearn_solo.objective.spec import LossSpec

pytest.importorskip("triton", reason="Triton is not installed")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
@pytest.mark.parametrize(
    "uneven, scale, kept, share",
    [
        pytest.param(False, 1.0, 0, 1024, marks=pytest.mark.slow),
        pytest.param(True, 1.0, 3, 16, marks=pytest.mark.slow),
        (True, 40.0, 3, 16),
    ],
)
@pytest.mark.parametrize("pairs", [TWO_VIEWS, pytest.param(FOUR_VIEWS, marks=pytest.mark.slow)], ids=["two", "four"])
def test_parts_and_gradients_are_the_equations(monkeypatch, prior_loss, uneven, scale, kept, share, pairs):
    """Also where several programs share the codes of a row."""
    from cplearn_solo.objective.triton import kernels  # only where Triton is

    monkeypatch.setattr(kernels, "CODES", share)
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
def test_products_with_terms_are_those_with_the_dictionary(monkeypatch, dtype, precision, bits, rows, f, c):
    """Up to what is left out of a float32 factor, relative to the sum of all absolute values."""
    from cplearn_solo.objective.triton import products  # only where Triton is

    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: precision)
    w, words = make_dictionary(f, c).double(), pack_dictionary(f, c).to(DEVICE)
    x = torch.randn(rows, f, generator=torch.Generator().manual_seed(1)).to(DEVICE, dtype)
    split = products.Precision(dtype)
    entries = products.entries(words, f, torch.empty(split.terms * f, c, dtype=split.half, device=DEVICE))
    assert torch.equal(entries.cpu().double(), w.repeat(split.terms, 1))
    found = products.product(split.split(x), entries, torch.empty(rows, c, device=DEVICE))
    error = (found.cpu().double() - x.cpu().double() @ w).abs() / x.cpu().double().abs().sum(1, keepdim=True)
    assert error.max() < 2.0**-bits and (bits > 15 or error.max() > 2.0 ** -(bits + 9))


@pytest.mark.skipif(DEVICE == "cuda", reason="there is a GPU")
def test_without_a_gpu_it_says_what_there_is(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(
        InputError, match="impl = 'triton': must be auto or chunked for embeddings on cpu, not on a GPU"
    ):
        objective(embeddings(), dictionary(), temperature=1.0, beta=1.0, impl="triton")


class Launches:
    """Stands for a kernel and counts the programs of its launches."""

    def __init__(self, found):
        self.found = found

    def __getitem__(self, grid):
        self.found.append(math.prod(grid))
        return lambda *_, **__: None


@pytest.mark.parametrize("n", [64, 128, 256])
@pytest.mark.parametrize("f, c", [(128, 16_384), (512, 131_072)])
def test_small_batches_give_each_processor_of_a_gpu_work(monkeypatch, n, f, c):
    """132 of them; with tiles as wide as on a GPU, of which the last may be a narrow one."""
    from cplearn_solo.objective.triton import kernels, products, sweeps  # only where Triton is

    programs = {}
    for module in (kernels, products):
        for name in [name for name, kernel in vars(module).items() if hasattr(kernel, "fn")]:
            monkeypatch.setattr(module, name, Launches(programs.setdefault(name, [])))
    for size in ("TILE_BYTES", "LOGITS_BYTES"):
        monkeypatch.setattr(tiles, size, tiles.GPU_FACTOR * getattr(tiles, size))
    words = PackedDictionary(torch.empty(f // 32, c, dtype=torch.int32, device="meta"), f)
    spec = LossSpec(words, 1.0, 1.0, -1.0, "reverse", [(0, 1)], n, needs_grad=True, kept_bytes=0, samples_shared=False)
    sweeps.triton(torch.empty(2, n, f, device="meta"), spec)
    assert {name for name, found in programs.items() if found} == programs.keys() - {"_joined"}
    assert all(found[0] >= 132 for found in programs.values() if found), programs
