"""Factors of the colour jitter are drawn from the ranges that its keys say, each as often as any other."""

import pytest
import torch

from cplearn_solo.data import colour
from cplearn_solo.data.random_source import RandomSource
from cplearn_solo.data.schema import ColorJitter

GREYS = torch.tensor([0.4, 0.6]).expand(3, 1, 2)
PALE = torch.tensor([0.6, 0.5, 0.4]).view(3, 1, 1)
RED = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
FACTOR_OF = {  # an image, and a number in what becomes of it that is the factor itself
    "brightness": (PALE, lambda x: x[:, 1, 0, 0] / 0.5),
    "contrast": (GREYS, lambda x: (x[:, 0, 0, 1] - x[:, 0, 0, 0]) / 0.2),
    "saturation": (PALE, lambda x: (x[:, 0, 0, 0] - x[:, 2, 0, 0]) / 0.2),
    "hue": (RED, lambda x: (x[:, 1, 0, 0] - x[:, 2, 0, 0]) / 6),
}


def factors(name, strength, n=4000):
    image, factor_of = FACTOR_OF[name]
    random = RandomSource(torch.Generator().manual_seed(0), torch.device("cpu"))
    nothing = dict.fromkeys(FACTOR_OF, 0.0)
    jitter = colour.draw_jitter((n, *image.shape), random, ColorJitter(1.0, **{**nothing, name: strength}))
    return factor_of(jitter(image.repeat(n, 1, 1, 1), slice(0, n)))


@pytest.mark.parametrize(
    ("name", "strength", "low", "high"),
    [
        ("brightness", 0.4, 0.6, 1.4),
        ("contrast", 0.3, 0.7, 1.3),
        ("saturation", 0.2, 0.8, 1.2),
        ("hue", 0.1, -0.1, 0.1),
        ("saturation", 1.0, 0.0, 2.0),
        ("saturation", 1.5, 0.0, 2.5),  # nothing is blended with its opposite
    ],
)
def test_factors_are_even_in_their_range(name, strength, low, high):
    found, reach = factors(name, strength), high - low
    assert low - 1e-5 <= found.min() < low + 0.01 * reach and high - 0.01 * reach < found.max() <= high + 1e-5
    assert found.mean().item() == pytest.approx((low + high) / 2, abs=0.02 * reach)
    assert found.std().item() == pytest.approx(reach / 12**0.5, rel=0.03)


def test_a_strength_of_0_changes_nothing():
    assert factors("contrast", 0.0).tolist() == pytest.approx([1] * 4000)


def test_other_numbers_of_channels_are_grey_in_their_mean():
    x = torch.rand(2, 4, 3, 3)
    torch.testing.assert_close(colour.gray(x), x.mean(1, keepdim=True))
    assert colour.gray(RED[None]).item() == pytest.approx(0.2989)


def test_noise_is_of_the_deviation_that_was_asked_for():
    random = RandomSource(torch.Generator().manual_seed(0), torch.device("cpu"))
    x = torch.full((50, 3, 8, 8), 0.5)
    noisy = torch.cat([colour.draw_noise(x.shape, random, 0.1)(x[:20].clone(), slice(0, 20)), x[20:]])
    assert (noisy[:20] - 0.5).std().item() == pytest.approx(0.1, rel=0.03) and (noisy[20:] == 0.5).all()
