"""The objective from packed bits against softmax, logarithm and sum over all logits in float64."""

import math
import statistics
from dataclasses import replace

import pytest
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.dictionary import make_dictionary, pack_dictionary, temperature
from cplearn_solo.losses import cplearn_loss
from cplearn_solo.objective import PackedDictionary, objective, tiles
from cplearn_solo.objective.chunked import chunked
from cplearn_solo.objective.lookup import sweeps as lookup
from cplearn_solo.objective.spec import LossSpec

N, F, C = 7, 37, 101
TWO_VIEWS, FOUR_VIEWS = [(0, 1)], [(0, 1), (0, 2), (1, 2), (0, 3)]  # the pairs to compare
needs_lookup = pytest.mark.skipif(not lookup.library(), reason="lookup.cpp was not built for this processor")


def dictionary(f=F, c=C, seed=0):
    return PackedDictionary(pack_dictionary(f, c, seed=seed), f)


def embeddings(count=2, *, n=N, f=F, scale=1.0, seed=0, dtype=torch.float64):
    """Views that resemble each other, of Eq. 1's length times ``scale``."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, f, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, n, f, generator=generator, dtype=torch.float64)
    h = torch.nn.functional.normalize(x + noise, dim=2) * math.sqrt(f / n) * scale
    return [view.to(dtype).requires_grad_() for view in h]


def equations(views, w, tau, *, beta, q, prior_loss, pairs):
    """Eq. 2 (forward) and Appendix N (reverse), both directions, averaged over pairs; and of the first view the mean
    entropy and the entropy of the mean."""
    log_p = [h @ w / tau - torch.logsumexp(h @ w / tau, 1, keepdim=True) for h in views]
    invariance = prior = 0
    for a, b in pairs:
        for x, y in ((log_p[a], log_p[b]), (log_p[b], log_p[a])):
            invariance = invariance - (x.exp() * y).sum(1).mean() / (2 * len(pairs))
            log_mean = torch.logsumexp(x, 0) - math.log(len(x))
            term = (log_mean.exp() * (log_mean - q.log())).sum() if prior_loss == "reverse" else -(q * log_mean).sum()
            prior = prior + term / (2 * len(pairs))
    p = log_p[0].exp()
    entropies = torch.special.entr(p).sum(1).mean(), torch.special.entr(p.mean(0)).sum()
    return beta * invariance + prior, invariance, prior, *entropies


def problem(pairs, *, prior_loss, uneven, scale):
    """Float64 views, what the equations say of them, and the settings of :func:`objective` that say the same."""
    views, tau = embeddings(1 + max(b for _, b in pairs), scale=scale), temperature(F, N, C, 1e-8)
    q = torch.softmax(torch.arange(C, dtype=torch.float64) / 20, 0) if uneven else None
    even = torch.full((C,), 1 / C, dtype=torch.float64)
    shared = {"beta": 0.7, "prior_loss": prior_loss, "pairs": pairs}
    expected = equations(views, make_dictionary(F, C).double(), tau, q=even if q is None else q, **shared)
    return views, expected, {"temperature": tau, "prior": q, **shared}


def gradients(loss, views):
    return torch.cat(torch.autograd.grad(loss, views))


def check_float32(pairs, device, *, prior_loss, uneven, scale, **settings):
    """What :func:`objective` says in float32 is what the equations say, but for rounding."""
    views, expected, shared = problem(pairs, prior_loss=prior_loss, uneven=uneven, scale=scale)
    shared["prior"] = shared["prior"].to(device) if uneven else None
    given = [view.detach().float().to(device).requires_grad_() for view in views]
    found = objective(given, PackedDictionary(pack_dictionary(F, C).to(device), F), **shared, **settings)
    torch.testing.assert_close(torch.stack(found[:5]).cpu().double(), torch.stack(expected), rtol=1e-5, atol=1e-5)
    exact = gradients(expected[0], views)
    error = (gradients(found.loss, given).cpu() - exact).norm() / exact.norm()
    assert error < 2e-6 * max(1, scale)
    assert torch.equal(found.codes.cpu(), (views[0] @ make_dictionary(F, C).double()).argmax(1))


def few_codes_at_once(monkeypatch, *, kept, width=16, rows=2 * N, f=F):
    """Tiles of ``width`` codes; gives the megabytes in which the logits of ``kept`` tiles fit."""
    monkeypatch.setattr(tiles, "TILE_BYTES", 4 * width * 32 * -(-f // 32))
    monkeypatch.setattr(tiles, "LEAST_WIDTH", 1)
    monkeypatch.setattr(lookup, "TILE", width)
    return {"kept_logits_mb": kept * 8 * width * rows / 2**20}


def test_tiles_are_columns_of_the_dictionary():
    w = make_dictionary(F, C, seed=5).float()
    packed = dictionary(seed=5)
    assert torch.equal(packed.tile(0, C), w) and torch.equal(packed.tile(33, 70), w[:, 33:70])
    columns = PackedDictionary(pack_dictionary(F, C, seed=5, columns=range(40, 80)), F)
    assert torch.equal(columns.tile(0, 40), w[:, 40:80])
    hadamard = PackedDictionary(pack_dictionary(64, 50, kind="hadamard"), 64)
    assert torch.equal(hadamard.tile(0, 50), make_dictionary(64, 50, kind="hadamard").float())


# Every two values of two parameters meet in one case. A scale of 40 is so hard that most mean assignments vanish in
# float32; the reference keeps no tiles.
@pytest.mark.parametrize(
    "impl, prior_loss, uneven, scale, pairs, kept",
    [
        ("chunked", "forward", False, 1.0, FOUR_VIEWS, 0),
        ("chunked", "forward", True, 1.0, TWO_VIEWS, 100),
        ("chunked", "forward", True, 40.0, FOUR_VIEWS, 3),
        ("chunked", "reverse", False, 1.0, TWO_VIEWS, 3),
        ("chunked", "reverse", False, 40.0, FOUR_VIEWS, 100),
        ("chunked", "reverse", True, 40.0, TWO_VIEWS, 0),
        ("reference", "forward", False, 1.0, FOUR_VIEWS, 0),
        ("reference", "forward", False, 40.0, TWO_VIEWS, 0),
        ("reference", "forward", True, 1.0, TWO_VIEWS, 0),
        ("reference", "reverse", False, 40.0, FOUR_VIEWS, 0),
        ("reference", "reverse", True, 1.0, FOUR_VIEWS, 0),
        ("reference", "reverse", True, 40.0, TWO_VIEWS, 0),
    ],
)
def test_parts_and_gradients_are_the_equations(monkeypatch, impl, prior_loss, uneven, scale, pairs, kept):
    views, expected, settings = problem(pairs, prior_loss=prior_loss, uneven=uneven, scale=scale)
    settings |= {"impl": impl, **few_codes_at_once(monkeypatch, kept=kept, rows=N * len(views))}
    found = objective(views, dictionary(), **settings)
    torch.testing.assert_close(torch.stack(found[:5]), torch.stack(expected), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(gradients(found.loss, views), gradients(expected[0], views), rtol=1e-8, atol=1e-12)
    logits = views[0] @ make_dictionary(F, C).double()
    assert torch.equal(found.codes, logits.argmax(1))
    mean = torch.softmax(logits / settings["temperature"], 1).mean(0)
    torch.testing.assert_close(found.mean_assignment, mean.detach(), rtol=1e-9, atol=1e-12)
    with torch.no_grad():
        assert objective(views, dictionary(), **settings).loss == found.loss


@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
def test_products_in_half_precision(monkeypatch, prior_loss):
    """Sums stay in float32, so that only the products err, here those of a processor said to have units for them."""
    monkeypatch.setattr(tiles, "has_units", lambda *_: True)
    views = embeddings(n=16, dtype=torch.bfloat16)
    settings = dict(temperature=temperature(F, 16, C, 1e-8), beta=1.0, prior_loss=prior_loss)
    settings |= few_codes_at_once(monkeypatch, kept=3, rows=32)
    found = objective(views, dictionary(), **settings, impl="chunked")
    exact = [view.detach().double().requires_grad_() for view in views]
    expected = objective(exact, dictionary(), **settings, impl="reference")
    assert found.loss.dtype == torch.float32
    torch.testing.assert_close(found.loss.double(), expected.loss, rtol=1e-2, atol=0)
    gradient = gradients(expected.loss, exact)
    assert (gradients(found.loss, views) - gradient).norm() < 0.03 * gradient.norm()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_reference_forms_its_gradient_in_float32(dtype):
    """Numbers of dloss / dz are about 1 / (n c), which float16 rounds to multiples of 6e-8."""
    n, f, c = 64, 32, 20_000
    views = embeddings(n=n, f=f, dtype=dtype)
    exact = [view.detach().double().requires_grad_() for view in views]
    settings = dict(temperature=temperature(f, n, c, 1e-8), beta=1.0, impl="reference")
    loss, truth = (objective(h, dictionary(f, c), **settings).loss for h in (views, exact))
    gradient = gradients(truth, exact)
    error = (gradients(loss, views) - gradient).norm() / gradient.norm()
    assert error < 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
def test_beta_may_be_a_tensor_on_the_device(prior_loss):
    """As it is with beta "auto" on a GPU, here on a CPU."""
    pairs = FOUR_VIEWS
    h = torch.stack(embeddings(4)).detach()
    spec = LossSpec(
        dictionary(), 1.0, 0.7, -math.log(C), prior_loss, pairs, N, needs_grad=True, kept_bytes=0, samples_shared=False
    )
    expected, found = (chunked(h, replace(spec, beta=beta)) for beta in (0.7, torch.tensor(0.7, dtype=torch.float64)))
    torch.testing.assert_close(found.grad, expected.grad)


@pytest.mark.parametrize("impl", ["chunked", pytest.param("lookup", marks=needs_lookup)])
@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
def test_saturated_float32_stays_finite(impl, prior_loss):
    views = embeddings(scale=300.0, dtype=torch.float32)
    settings = dict(temperature=temperature(F, N, C, 1e-8), beta=1.0, prior_loss=prior_loss)
    found, expected = (objective(views, dictionary(), **settings, impl=name) for name in (impl, "reference"))
    torch.testing.assert_close(found.loss, expected.loss, rtol=1e-5, atol=0)
    torch.testing.assert_close(gradients(found.loss, views), gradients(expected.loss, views), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "impl, dtype", [("chunked", torch.float64), pytest.param("lookup", torch.float32, marks=needs_lookup)]
)
def test_prior_with_an_unused_code(impl, dtype):
    q = torch.ones(C, dtype=torch.float64) / (C - 1)
    q[3] = 0
    views = embeddings(dtype=dtype)
    settings = dict(temperature=1.0, beta=1.0, prior=q, prior_loss="forward")
    found, expected = (objective(views, dictionary(), **settings, impl=name) for name in (impl, "reference"))
    torch.testing.assert_close(found.loss, expected.loss)
    torch.testing.assert_close(gradients(found.loss, views), gradients(expected.loss, views))


@pytest.mark.parametrize(
    "impl, width",
    [
        ("chunked", 112),
        pytest.param("lookup", 128, marks=needs_lookup),
        pytest.param("triton", 512, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("prior_loss", ["reverse", "forward"])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_float32_errs_no_more_than_the_plain_path(monkeypatch, impl, width, prior_loss, scale):
    """Against float64, at most 1.1 times the error of all logits in float32; medians of ten seeds."""
    n, f, c = 63, 130, 1001
    memory = few_codes_at_once(monkeypatch, kept=1, width=width, rows=2 * n, f=f)
    tau, errors = temperature(f, n, c, 1e-8), []
    device = "cuda" if impl == "triton" and torch.cuda.is_available() else "cpu"
    for seed in range(10):
        w = make_dictionary(f, c, seed=seed, device=device)
        packed = PackedDictionary(pack_dictionary(f, c, seed=seed, device=device), f)
        views = embeddings(n=n, f=f, scale=scale, seed=seed, dtype=torch.float32)
        views = [h.detach().to(device).requires_grad_() for h in views]
        truth = [h.detach().double().requires_grad_() for h in views]
        exact = cplearn_loss(*(h @ w.double() / tau for h in truth), beta=1.0, prior_loss=prior_loss).loss
        plain = cplearn_loss(*(h @ w.float() / tau for h in views), beta=1.0, prior_loss=prior_loss).loss
        ours = objective(views, packed, temperature=tau, beta=1.0, prior_loss=prior_loss, impl=impl, **memory).loss
        gradient = gradients(exact, truth)
        for loss, given in ((plain, views), (ours, views)):
            value = abs(loss.item() - exact.item()) / exact.item()
            errors.append((value, ((gradients(loss, given) - gradient).norm() / gradient.norm()).item()))
    (loss, gradient), (our_loss, our_gradient) = (
        [statistics.median(values) for values in zip(*errors[start::2])] for start in (0, 1)
    )
    # a number that is as exact as float32 can hold errs by half a unit in the last place at most
    assert our_loss <= max(1.1 * loss, torch.finfo(torch.float32).eps / 2)
    assert our_gradient <= 1.1 * gradient


@pytest.mark.parametrize(
    "change, words",
    [
        ({"impl": "triton2"}, "unknown impl 'triton2': "),
        ({"prior_loss": "revers"}, "did you mean 'reverse'"),
        ({"prior": torch.ones(C)}, "sum of prior = "),
        ({"prior": torch.ones(3) / 3}, r"must be \(101,\)"),
        ({"pairs": []}, r"pairs = \[\]: must be such that each of 2 views"),
        ({"kept_logits_mb": -1}, "kept_logits_mb = -1"),
        ({"dictionary_parallel": True}, "dictionary_parallel = True: must be False on one process"),
        (
            {"global_prior": True, "impl": "reference"},
            "must be auto, chunked or triton with dictionary_parallel or global_prior",
        ),
        (
            {"global_prior": True, "impl": "lookup"},
            "must be auto, chunked or triton with dictionary_parallel or global_prior",
        ),
        ({"pairs": [(0, 2)]}, "0 <= a < b < 2"),
        ({"pairs": [(1, 0)]}, "0 <= a < b < 2"),
    ],
)
def test_bad_settings(change, words):
    with pytest.raises(InputError, match=words):
        objective(embeddings(), dictionary(), **{"temperature": 1.0, "beta": 1.0, **change})


def test_bad_tensors():
    views = embeddings()
    with pytest.raises(InputError, match="f of the embeddings = 37: must be 64, the rows"):
        objective(views, dictionary(f=64), temperature=1.0, beta=1.0)
    with pytest.raises(InputError, match="at least two of the same"):
        objective([views[0], views[1][:3]], dictionary(), temperature=1.0, beta=1.0)
    with pytest.raises(InputError, match=r"must be int32 \(3, c\)"):
        PackedDictionary(pack_dictionary(F, C), 64 + 1)


@pytest.mark.parametrize("impl, words", [("chunked", "set kept_logits_mb below 64"), ("reference", "impl='chunked'")])
def test_out_of_memory_says_what_to_set(monkeypatch, impl, words):
    def allocate(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(PackedDictionary, "tile", allocate)
    with pytest.raises(InputError, match=f"out of memory with n = 7, f = 37, c = 101: .*{words}"):
        objective(embeddings(), dictionary(), temperature=1.0, beta=1.0, impl=impl)
