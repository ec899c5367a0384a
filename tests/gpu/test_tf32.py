"""What TF32 does to losses that multiply matrices, by products whose factors are rounded as a GPU rounds them."""

from contextlib import nullcontext

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from cplearn_solo.losses import coding_scale, matrix_ssl_loss, mec_loss
from cplearn_solo.methods.simclr import nt_xent
from cplearn_solo.methods.vicreg import covariance_loss
from cplearn_solo.methods.wmse import whiten

aten = torch.ops.aten
FACTORS = {aten.mm.default: 0, aten.bmm.default: 0, aten.mv.default: 0, aten.addmm.default: 1}  # index of the first one
N, D = 64, 32


def rounded(x):
    """float32 with 10 bits of its fraction, to the nearest, and to the even one where two are near."""
    if x.dtype != torch.float32:
        return x
    bits = x.contiguous().view(torch.int32)
    return (bits + 0xFFF + ((bits >> 13) & 1) & ~0x1FFF).view(torch.float32)


class TF32(TorchDispatchMode):
    """Matrix products as ``performance.matmul_precision=high`` allows them."""

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        if op in FACTORS:
            first = FACTORS[op]
            args = (*args[:first], *map(rounded, args[first : first + 2]), *args[first + 2 :])
        return op(*args, **(kwargs or {}))


def wmse(p, z):
    return -F.cosine_similarity(whiten(p[None]), whiten(z[None]), dim=2).mean()


LOSSES = {  # with the error of gradients that TF32 may cause; whitening is in float64, which it does not reach
    "simclr": (lambda p, z: nt_xent(p, z, temperature=0.2), 5e-3),
    "vicreg": (lambda p, z: covariance_loss(z), 5e-3),
    "mec": (lambda p, z: mec_loss(p, z, scale=coding_scale(N, D, eps=64.0)).loss, 5e-3),
    "matrix_ssl": (lambda p, z: matrix_ssl_loss(p, z).loss, 5e-3),
    "matrix_ssl, exact": (lambda p, z: matrix_ssl_loss(p, z, order=None).loss, 5e-3),
    "wmse": (wmse, 0),
}


@pytest.mark.parametrize("case", LOSSES)
def test_gradients_keep_their_leading_digits(case):
    loss, most = LOSSES[case]
    generator = torch.Generator().manual_seed(0)
    image, noise = torch.randn(N, D, generator=generator), torch.randn(2, N, D, generator=generator)
    found = []
    for mode in (nullcontext(), TF32()):
        p, z = image + 0.5 * noise
        with mode:
            found += torch.autograd.grad(loss(p, z.requires_grad_()), z)
    exact, rough = found
    error = (rough - exact).norm() / exact.norm()
    assert error <= most and (error > 1e-5 or case == "wmse")


def test_numbers_are_rounded_to_the_nearest():
    one, step = torch.tensor(1.0), 2.0**-10
    assert torch.equal(rounded(one + 0.4 * step), one) and torch.equal(rounded(one + 0.6 * step), one + step)
    assert torch.equal(rounded(one + 1.5 * step), one + 2 * step) and torch.equal(rounded(-one), -one)
