"""MEC and Matrix-SSL: which views meet which, the warm-up of lambda, and what is refused."""

import pytest
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.losses import coding_scale, matrix_ssl_loss, mec_loss
from cplearn_solo.methods import Progress, Views, build_method

N, D = 16, 24
HEADS = {"proj_hidden_dim": 32, "proj_output_dim": 20, "pred_hidden_dim": 32}


def make(name, **kwargs):
    torch.manual_seed(0)
    return build_method(name, D, batch_size=N, method_kwargs={**HEADS, **kwargs}).double()


def views(crops=2):
    generator = torch.Generator().manual_seed(0)
    feats = [torch.randn(N, D, generator=generator).double() for _ in range(crops)]
    teacher = [torch.randn(N, 20, generator=generator).double() for _ in range(2)]
    return Views(feats, 2, Progress(20, 40, 200, 400), teacher=teacher)


def online(method, given):
    return [method.predictor(method.projector(feats)) for feats in given.feats]


def test_mec_is_the_mean_of_both_directions():
    method, given = make("mec", eps=30.0), views()
    (z1, z2), (t1, t2) = online(method, given), given.teacher
    scale = coding_scale(N, 20, eps=30.0)
    expected = (mec_loss(t1, z2, scale=scale).loss + mec_loss(t2, z1, scale=scale).loss) / 2
    parts = method.loss(given)
    assert parts["loss"].item() == pytest.approx(expected.item(), rel=1e-12)
    assert parts["loss"].dtype == torch.float64


def test_mec_warms_up_by_epochs_of_the_run():
    method = make("mec", warmup_epochs=10.0)
    full = coding_scale(N, 20, eps=64.0)
    for step, share in ((0, 0.0), (25, 0.25), (100, 1.0), (399, 1.0)):
        expected = full / (8 - 7 * share)
        assert method.scale(N, 20, Progress(step // 10, 40, step, 400)) == pytest.approx(expected)
    assert make("mec", warmup_epochs=0.0).scale(N, 20, Progress(0, 40, 0, 400)) == full


@pytest.mark.parametrize("order", [1, 4, 7])
def test_mec_refuses_what_float32_does_not_hold(order):
    least = 20 * torch.finfo(torch.float32).max ** (-1 / order)
    with pytest.raises(InputError, match=f"method_kwargs.eps = .*: must be at least {least:.2g}: powers of lambda C"):
        make("mec", eps=least / 2, order=order)
    method = make("mec", eps=max(1.01 * least, 1e-37), order=order, warmup_epochs=0.0).float()
    feats = [torch.ones(N, D, requires_grad=True) for _ in range(2)]  # all alike, which makes the powers largest
    given = Views(feats, 2, Progress(20, 40, 200, 400), teacher=[torch.ones(N, 20)] * 2)
    method.loss(given)["loss"].backward()
    assert all(parameter.grad.isfinite().all() for parameter in method.parameters())


@pytest.mark.parametrize("form", [{}, {"divergence": "mkl", "trace_term": True}, {"order": None, "mu": 1.0}])
def test_matrix_ssl_is_the_mean_of_both_directions(form):
    method, given = make("matrix_ssl", lamb=0.7, **form), views()
    (z1, z2), (t1, t2) = online(method, given), given.teacher
    losses = [matrix_ssl_loss(t, z, lamb=0.7, **form) for t, z in ((t1, z2), (t2, z1))]
    parts = method.loss(given)
    for name in ("loss", "uniformity", "alignment", "taylor_norm"):
        expected = sum(getattr(loss, name) for loss in losses) / 2
        assert parts[name].item() == pytest.approx(expected.item(), rel=1e-12)


def test_small_crops_meet_the_teachers_large_ones():
    method, given = make("matrix_ssl"), views(crops=4)
    z, pairs = online(method, given), [(0, 1), (0, 2), (0, 3), (1, 0), (1, 2), (1, 3)]
    expected = sum(matrix_ssl_loss(given.teacher[i], z[j]).loss for i, j in pairs) / 6
    assert method.loss(given)["loss"].item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize(
    "name, kwargs, words",
    [
        ("matrix_ssl", {"mu": 1.5}, "mu = 1.5: .* converges: above 0 and at most 1"),
        ("matrix_ssl", {"order": 0}, "order = 0"),
        ("matrix_ssl", {"divergence": "kl"}, "did you mean 'mkl'"),
        ("mec", {"eps": 0.0}, "eps = 0"),
        ("mec", {"order": 0}, "order = 0"),
        ("mec", {"warmup_epochs": -1.0}, "warmup_epochs = -1"),
    ],
)
def test_bad_input(name, kwargs, words):
    with pytest.raises(InputError, match=words):
        make(name, **kwargs)
