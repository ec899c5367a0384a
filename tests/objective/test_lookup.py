"""The sweeps of lookup.cpp against the equations, for each processor's vectors that this one has as well."""

from importlib import import_module

import pytest
import torch
from test_objective import (
    FOUR_VIEWS,
    TWO_VIEWS,
    C,
    F,
    N,
    check_float32,
    dictionary,
    embeddings,
    gradients,
    needs_lookup,
)

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.messages import Notice
from cplearn_solo.dictionary import temperature
from cplearn_solo.objective import objective
from cplearn_solo.objective.lookup import sweeps as lookup

SETTINGS = dict(temperature=temperature(F, N, C, 1e-8), beta=1.0)


@pytest.fixture
def vectors(request, monkeypatch):
    if request.param == "avx512" and torch.backends.cpu.get_cpu_capability() != "AVX512":
        pytest.skip("this processor has no AVX-512")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param.upper())
    lookup.library.cache_clear()
    yield
    lookup.library.cache_clear()


@pytest.fixture
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


# Every two values of two parameters meet in one case.
@needs_lookup
@pytest.mark.parametrize(
    "vectors, threads, prior_loss, pairs, uneven, scale, kept",
    [
        ("avx2", 1, "forward", FOUR_VIEWS, True, 40.0, 10),
        ("avx2", 1, "reverse", TWO_VIEWS, True, 1.0, 1),
        ("avx2", 3, "forward", TWO_VIEWS, False, 1.0, 0),
        ("avx512", 1, "reverse", FOUR_VIEWS, False, 1.0, 0),
        ("avx512", 3, "forward", FOUR_VIEWS, True, 1.0, 1),
        ("avx512", 3, "reverse", TWO_VIEWS, True, 40.0, 10),
    ],
    indirect=["vectors", "threads"],
)
def test_parts_and_gradients_are_the_equations(monkeypatch, vectors, threads, prior_loss, pairs, uneven, scale, kept):
    width = 16
    monkeypatch.setattr(lookup, "TILE", width)
    views = 1 + max(b for _, b in pairs)
    megabytes = kept * torch.get_num_threads() * 4 * views * lookup.LANES * width / 2**20
    shared = dict(prior_loss=prior_loss, uneven=uneven, scale=scale)
    check_float32(pairs, "cpu", **shared, impl="lookup", kept_logits_mb=megabytes)


@needs_lookup
@pytest.mark.parametrize("n, f, c", [(32, 32, 32), (33, 64, 33), (64, 31, 2080), (1, 512, 96)])
def test_sizes_that_fill_panels_words_and_tiles_or_do_not(n, f, c):
    views, settings = embeddings(n=n, f=f, dtype=torch.float32), SETTINGS | {"temperature": temperature(f, n, c, 1e-8)}
    exact = [view.detach().double().requires_grad_() for view in views]
    found = objective(views, dictionary(f, c), **settings, impl="lookup")
    expected = objective(exact, dictionary(f, c), **settings, impl="reference")
    torch.testing.assert_close([part.double() for part in found[:5]], list(expected[:5]), rtol=1e-5, atol=2e-6)
    gradient = gradients(expected.loss, exact)
    assert (gradients(found.loss, views) - gradient).norm() < 2e-6 * gradient.norm()
    assert torch.equal(found.codes, expected.codes)


@needs_lookup
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_what_a_cpu_gets(monkeypatch, dtype):
    calls = []
    monkeypatch.setattr(lookup.LookupSweeps, "run", lambda self: calls.append(1) or super(type(self), self).run())
    with torch.inference_mode():
        found = objective(embeddings(dtype=dtype), dictionary(), **SETTINGS)
    assert calls and found.loss.dtype == torch.float32 and found.loss.isfinite()
    objective(embeddings(), dictionary(), **SETTINGS)
    objective(embeddings(dtype=dtype), dictionary(), **SETTINGS, global_prior=True)
    assert len(calls) == 1, "float64 and several ranks are not for it"


@needs_lookup
def test_what_is_not_a_number_stays_so():
    views = embeddings(dtype=torch.float32)
    views[1].data[3, 5] = torch.nan
    assert objective(views, dictionary(), **SETTINGS, impl="lookup").loss.isnan()


def test_without_a_compiler_it_says_what_there_is(monkeypatch):
    monkeypatch.setattr(import_module("cplearn_solo.objective.interface"), "library", lambda: None)
    words = (
        "impl = 'lookup': must be auto or chunked here; lookup needs a processor with AVX2 or AVX-512, and a C.. comp"
    )
    with pytest.raises(InputError, match=words):
        objective(embeddings(dtype=torch.float32), dictionary(), **SETTINGS, impl="lookup")
    assert objective(embeddings(dtype=torch.float32), dictionary(), **SETTINGS).loss.isfinite()


@needs_lookup
def test_an_installation_without_compiler_is_told(monkeypatch):
    monkeypatch.setattr(lookup, "EXTENSION_SUFFIXES", [])
    with pytest.warns(Notice, match="no C.. compiler at the installation"):
        assert lookup.library.__wrapped__() is None
