"""CPLearn against its equations, and what is refused."""

import math
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.dictionary import make_dictionary, temperature
from cplearn_solo.losses import cplearn_loss
from cplearn_solo.methods import Progress, Views, build_method, cplearn
from cplearn_solo.objective import interface, objective, streamed

N, D = 16, 24
SMALL = {"proj_hidden_dim": 32, "proj_output_dim": 50}


def make(**kwargs):
    torch.manual_seed(0)
    return build_method("cplearn", D, batch_size=N, method_kwargs={**SMALL, **kwargs})


def views(crops=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    feats = [torch.randn(N, D, generator=generator, requires_grad=True) for _ in range(crops)]
    return Views(feats, 2, Progress(0, 1, 0, 1))


@pytest.mark.parametrize("activation", ["l2", "tanh"])
@pytest.mark.parametrize("scale", ["paper", "released"])
def test_cplearn_projector_is_equation_1(activation, scale):
    method = make(activation=activation, scale=scale)
    feats = torch.randn(N, D)
    f, c = 32, 50
    linear = feats @ method.projector[0].weight.T + method.projector[0].bias
    h = (linear - linear.mean(0)) / (linear.var(0, unbiased=False) + 1e-5).sqrt()
    h = math.sqrt(f) * h / h.norm(dim=1, keepdim=True) if activation == "l2" else h.tanh()
    h = h / math.sqrt(N) if scale == "paper" else h
    expected = h @ make_dictionary(f, c).float() / temperature(f, N, c, 1e-8)
    torch.testing.assert_close(method(feats), expected, rtol=1e-4, atol=1e-4)


def test_without_linear_layer_and_batch_norm_embeddings_are_of_the_features_themselves():
    """Fig. 7, top."""
    method = make(linear_bn=False, proj_hidden_dim=D, activation="tanh", scale="released")
    feats = torch.randn(N, D)
    assert not list(method.parameters())
    torch.testing.assert_close(method.embed(feats), feats.tanh())
    expected = feats.tanh() @ make_dictionary(D, 50).float() / temperature(D, N, 50, 1e-8)
    torch.testing.assert_close(method(feats), expected, rtol=1e-4, atol=1e-4)
    assert method.loss(views())["loss"].isfinite()


def test_cplearn_codes_and_logits_do_not_depend_on_the_evaluation_batch():
    method = make().eval()
    feats = torch.randn(33, D)
    one_by_one = torch.cat([method(row[None]) for row in feats])
    torch.testing.assert_close(method(feats), one_by_one, rtol=1e-4, atol=1e-5)
    assert torch.equal(method.assign(feats), method(feats).argmax(dim=1))


def test_cplearn_assign_streams_over_blocks_of_codes(monkeypatch):
    monkeypatch.setattr(streamed, "_LOGITS_AT_ONCE", 35)
    method = make().eval()
    feats = torch.randn(5, D)
    assert torch.equal(method.assign(feats), method(feats).argmax(dim=1))


@pytest.mark.parametrize("at_once", [1 << 24, 35])
def test_cplearn_confidence_is_the_probability_of_the_code(monkeypatch, at_once):
    monkeypatch.setattr(streamed, "_LOGITS_AT_ONCE", at_once)
    method = make().eval()
    feats = torch.randn(5, D)
    codes, confidence = method.assign_with_confidence(feats)
    p = torch.softmax(method(feats).double(), dim=1).max(dim=1)
    assert torch.equal(codes, p.indices)
    torch.testing.assert_close(confidence.double(), p.values, rtol=1e-4, atol=0)


@pytest.mark.parametrize("at_once", [1 << 24, 140])
def test_cplearn_code_entropies_are_those_of_soft_assignments(monkeypatch, at_once):
    monkeypatch.setattr(streamed, "_LOGITS_AT_ONCE", at_once)
    method = make().eval()
    feats = 3 * torch.randn(20, D)
    p = torch.softmax(method(feats).double(), dim=1)
    of_mean, mean = method.code_entropies(feats)
    assert of_mean.item() == pytest.approx(torch.special.entr(p.mean(0)).sum().item(), rel=1e-4)
    assert mean.item() == pytest.approx(torch.special.entr(p).sum(1).mean().item(), rel=1e-4)


def test_code_entropies_of_hard_codes():
    method = build_method("swav", D, batch_size=N, method_kwargs={"num_prototypes": 7}).eval()
    feats = torch.randn(40, D)
    share = method.assign(feats).bincount().double() / 40
    of_mean, mean = method.code_entropies(feats)
    assert of_mean.item() == pytest.approx(-torch.xlogy(share, share).sum().item(), rel=1e-5) and mean == 0
    assert build_method("vicreg", D, batch_size=N, method_kwargs={}).code_entropies(feats) is None


def test_cplearn_logs_gap_entropy_and_codes():
    method = make(beta=0.5)
    given = views()
    parts = method.loss(given)
    z1, z2 = (method(feats) for feats in given.feats)
    expected = cplearn_loss(z1, z2, beta=0.5)
    assert parts["loss"].item() == pytest.approx(expected.loss.item(), rel=1e-5)
    assert parts["bound_gap"].item() == pytest.approx(expected.loss.item() - 0.5 * math.log(50 / N), rel=1e-5)
    p = torch.softmax(z1, 1)
    assert parts["assignment_entropy"].item() == pytest.approx(-(p * p.log()).sum(1).mean().item(), rel=1e-5)
    assert torch.equal(parts["codes"], z1.argmax(1))


def test_auto_beta_is_one_until_codes_are_lost_and_remembers():
    method = make(beta="auto")
    parts = method.loss(views())
    assert parts["beta"] == 1 and parts["bound_gap"].item() == pytest.approx(
        (parts["loss"] - math.log(50 / N)).item(), rel=1e-5
    )
    for _ in range(40):
        method.auto_beta.update(torch.tensor(0.25 * math.log(N)))
    assert method.auto_beta(N).item() == pytest.approx(0.5, abs=0.05)
    again = make(beta="auto")
    again.load_state_dict(method.state_dict())
    parts = again.loss(views())
    assert parts["beta"].item() == method.auto_beta(N).item()
    gap = parts["invariance"] * parts["beta"] + parts["prior"] - parts["beta"] * math.log(50 / N)
    assert parts["bound_gap"].item() == pytest.approx(gap.item(), rel=1e-4)


def test_cplearn_with_small_crops_averages_pairs_with_a_large_one():
    method = make()
    given = views(crops=4)
    z = [method(feats) for feats in given.feats]
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    expected = torch.stack([cplearn_loss(z[i], z[j], beta=1.0).loss for i, j in pairs]).mean()
    assert method.loss(given)["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("kwargs", [{}, {"beta": "auto"}, {"prior_loss": "forward", "activation": "tanh"}])
@pytest.mark.parametrize("crops", [2, 4])
def test_large_dictionaries_give_what_small_ones_do(monkeypatch, kwargs, crops):
    small = make(**kwargs)
    monkeypatch.setattr(cplearn, "_DENSE_FLOATS", 0)
    large = make(**kwargs)
    assert small.w is not None and large.w is None
    for _ in range(2):
        (parts, grads), (expected, expected_grads) = (_parts_and_grads(method, crops) for method in (large, small))
        assert parts.keys() == expected.keys()
        assert torch.equal(parts.pop("codes"), expected.pop("codes"))
        for name, value in expected.items():
            torch.testing.assert_close(parts[name], value, rtol=1e-5, atol=1e-6, msg=name)
        torch.testing.assert_close(grads, expected_grads, rtol=1e-4, atol=1e-6)
    feats = torch.randn(9, D)
    torch.testing.assert_close(large.eval()(feats), small.eval()(feats), rtol=1e-5, atol=1e-5)
    assert torch.equal(large.packed_dictionary, small.packed_dictionary)


def _parts_and_grads(method, crops):
    given = views(crops)
    parts = method.loss(given)
    return parts, torch.cat(torch.autograd.grad(parts["loss"], given.feats))


def test_training_with_another_batch_has_its_own_n():
    kwargs = {"proj_hidden_dim": 16, "proj_output_dim": 32, "scale": "released"}
    saved, method = (build_method("cplearn", 6, batch_size=n, method_kwargs=kwargs) for n in (4, 8))
    own = (method.temperature, method.bound)
    method.load_state_dict(saved.state_dict())
    assert (method.temperature, method.bound) == (saved.temperature, saved.bound) and int(method.n) == 4
    found = method.loss(Views([torch.randn(8, 6), torch.randn(8, 6)], 2, Progress(0, 1, 0, 1)))
    assert (method.temperature, method.bound) == own and int(method.n) == 8 and found["bound_gap"] > 0


@pytest.mark.parametrize(
    "impl, device, wanted", [("lookup", "cuda:1", "on cuda:1, not on a CPU"), ("triton", "cpu", "on cpu, not on a GPU")]
)
def test_an_implementation_of_another_device_is_one_line(monkeypatch, impl, device, wanted):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(InputError, match=f"impl = '{impl}': must be auto or chunked for embeddings {wanted}"):
        make(impl=impl).check_device(torch.device(device))
    make().check_device(torch.device(device))


@pytest.mark.parametrize("capability, fastest", [((7, 5), "chunked"), ((8, 0), "triton")])
def test_triton_is_for_gpus_that_it_takes(capability, fastest, monkeypatch):
    """Its compiler refuses bfloat16 for others, of which float32's products are made."""
    pytest.importorskip("triton", reason="Triton is not installed")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    gpu = torch.device("cuda", 0)
    assert interface._fastest(SimpleNamespace(device=gpu, dtype=torch.float32)) == fastest
    line = "^impl = 'triton': must be auto or chunked on cuda:0, whose compute capability is below 8.0$"
    with nullcontext() if fastest == "triton" else pytest.raises(InputError, match=line):
        make(impl="triton").check_device(gpu)


def test_cplearn_checkpoint_holds_a_seed_not_the_dictionary():
    method = make(proj_output_dim=4096, dictionary_seed=9)
    state = method.state_dict()
    assert state["_extra_state"] == {"kind": "rademacher", "seed": 9, "f": 32, "c": 4096}
    assert sum(v.numel() for v in state.values() if torch.is_tensor(v)) < 2000
    with pytest.raises(InputError, match="dictionary's seed of this run = 0: must be 9, the checkpoint's"):
        make(proj_output_dim=4096).load_state_dict(state)


@pytest.mark.parametrize("impl", ["reference", "chunked", "triton"])
def test_cplearn_computes_its_loss_as_it_is_told(monkeypatch, impl):
    calls = []
    monkeypatch.setattr(
        cplearn, "objective", lambda *args, **kwargs: calls.append(kwargs) or objective(*args, **kwargs)
    )
    (parts, grads), (expected, expected_grads) = (_parts_and_grads(make(**kw), 2) for kw in ({"impl": impl}, {}))
    assert [call["impl"] for call in calls] == [impl]
    torch.testing.assert_close(parts["loss"], expected["loss"])
    torch.testing.assert_close(grads, expected_grads, rtol=1e-4, atol=1e-6)


def test_cplearn_uses_the_prior_it_is_given():
    prior = torch.softmax(torch.arange(50) / 10, 0).tolist()
    method = make(prior=prior)
    given = views()
    expected = cplearn_loss(*(method(f) for f in given.feats), beta=1.0, prior=torch.tensor(prior))
    assert method.loss(given)["loss"].item() == pytest.approx(expected.loss.item(), rel=1e-5)


@pytest.mark.parametrize(
    "name, kwargs, words",
    [
        ("cplern", {}, "did you mean 'cplearn'"),
        ("cplearn", {"bta": 1.0}, "did you mean 'beta'"),
        ("cplearn", {"beta": "high"}, "method_kwargs.beta = 'high': must be of type float or 'auto'"),
        (
            "cplearn",
            {"beta": "auto", "prior": [0.02] * 50},
            "method_kwargs.beta = 'auto': must be a number, unless the prior is uniform",
        ),
        (
            "cplearn",
            {"linear_bn": False},
            "method_kwargs.proj_hidden_dim = 128: must be 24, the width of the features, with linear_bn=false",
        ),
        ("cplearn", {"proj_output_dim": 1.5}, "must be of type int"),
        ("cplearn", {"proj_output_dim": True}, "must be of type int"),
        ("cplearn", {"beta": -1.0}, "beta = -1"),
        ("cplearn", {"activation": "tanhh"}, "did you mean 'tanh'"),
        ("cplearn", {"impl": "tritn"}, "did you mean 'triton'"),
        ("cplearn", {"impl": "lookup", "global_prior": True}, "impl = 'lookup': must be auto, chunked or triton with"),
        ("cplearn", {"eps": 0.5}, "below 1/c"),
        ("cplearn", {"proj_output_dim": 0}, "at least 1"),
        ("cplearn", {"proj_hidden_dim": 0}, "at least 1"),
        ("cplearn", {"dictionary": "hadamard", "proj_hidden_dim": 32, "proj_output_dim": 64}, "no more codes"),
        ("cplearn", {"dictionary": "hadamard", "proj_hidden_dim": 33, "proj_output_dim": 3}, "power of two"),
        ("cplearn", {"prior": [0.5, 0.6], "proj_output_dim": 2}, "sum of method_kwargs.prior = "),
        ("swav", {"queue_size": 100}, "queue_size = 100: must be a multiple of the whole batch, 16"),
        ("mocov2plus", {"queue_size": 8}, "queue_size = 8"),
        ("wmse", {"whitening_size": 12}, "whitening_size = 12: must be a divisor of the batch, 16"),
        ("wmse", {"whitening_size": 16, "proj_output_dim": 9}, "at least twice proj_output_dim"),
        ("vicreg", {"var_loss_weight": -1.0}, "var_loss_weight = -1.0: must be at least 0"),
        ("vicreg", {f"{t}_loss_weight": 0.0 for t in ("sim", "var", "cov")}, "sim_loss_weight = 0.0: must be above 0"),
        ("gedi_nogen", {"temperature": 0.0}, "temperature = 0.0: must be above 0"),
        ("gedi", {"replay_size": 8}, "replay_size = 8: must be at least the batch, 16"),
        ("cplearn", {"kept_logits_mb": -1.0}, "method_kwargs.kept_logits_mb = -1.0: must be at least 0"),
        ("gedi", {"reinit_prob": 1.5}, "reinit_prob = 1.5: must be a number from 0 to 1"),
        ("mocov2plus", {"temperature": 0.0}, "temperature = 0.0: must be above 0"),
        ("swav", {"temperature": -0.1}, "temperature = -0.1: must be above 0"),
        ("swav", {"sk_epsilon": 0.01}, "sk_epsilon = 0.01: must be at least 0.0145, for exponentials"),
        ("swav", {"num_prototypes": 0}, "num_prototypes = 0: must be at least 1"),
        ("dino", {"student_temperature": 0.0}, "student_temperature = 0.0: must be above 0"),
        ("dino", {"teacher_temperature": 0.0}, "method_kwargs.teacher_temperature = 0.0: must be above 0"),
        ("dino", {"warmup_teacher_temperature": -1.0}, "warmup_teacher_temperature = -1.0: must be above 0"),
        ("self_classifier", {"tau_row": 0.0}, "tau_row = 0.0: must be above 0"),
        ("self_classifier", {"tau_col": 0.0}, "tau_col = 0.0: must be above 0"),
        ("wmse", {"whitening_size": 16, "proj_output_dim": 8, "whitening_iters": 0}, "whitening_iters = 0"),
        ("wmse", {"whitening_size": 16, "proj_output_dim": 8, "whitening_eps": 2.0}, "whitening_eps = 2.0: must be a"),
        ("matrix_ssl", {"mu": 2.0}, "mu = 2"),
    ],
)
def test_bad_input(name, kwargs, words):
    with pytest.raises(InputError, match=words):
        build_method(name, D, batch_size=N, method_kwargs=kwargs)


@pytest.mark.parametrize(
    "name, kwargs, words",
    [
        ("gedi", {"replay_size": 16}, "replay_size = 16: must be at least the batch, 32 on all devices"),
        ("mocov2plus", {"queue_size": 48}, "queue_size = 48: must be a multiple of the whole batch, 32"),
        ("swav", {"queue_size": 48, "num_prototypes": 9}, "queue_size = 48: must be a multiple of the whole batch, 32"),
        ("swav", {"queue_size": 0, "num_prototypes": 9, "sk_epsilon": 0.0121}, "sk_epsilon = 0.0121: must be at least"),
    ],
)
def test_what_is_too_small_for_the_batch_of_all_devices_is_told_before_a_step(name, kwargs, words):
    method = build_method(name, D, batch_size=N, method_kwargs=kwargs)
    method.check_ranks(1)
    with pytest.raises(InputError, match=words):
        method.check_ranks(2)


def test_sinkhorn_is_finite_at_the_least_epsilon_that_is_taken():
    kwargs = {"proj_hidden_dim": 8, "proj_output_dim": 8, "num_prototypes": 9, "queue_size": 0, "sk_epsilon": 0.013}
    method = build_method("swav", D, batch_size=N, method_kwargs=kwargs)
    method.before_step(Progress(0, 1, 0, 1))
    with torch.no_grad():  # each prototype is an embedding, so that a cosine is 1
        method.prototypes.weight.copy_(method.embed(feats := torch.randn(N, D))[:9])
    assert method.loss(Views([feats, feats.clone()], 2, Progress(0, 1, 0, 1)))["loss"].isfinite()


def test_a_batch_of_one_is_refused():
    with pytest.raises(InputError, match="batch_size = 1"):
        build_method("cplearn", D, batch_size=1, method_kwargs={})
