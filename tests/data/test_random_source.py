"""Random numbers of views come from one generator, in their ranges."""

import torch

from cplearn_solo.data.random_source import RandomSource


def source(seed=0):
    return RandomSource(torch.Generator().manual_seed(seed), torch.device("cpu"))


def test_uniform_numbers_are_from_0_to_1_unless_said():
    x = source().uniform(4000)
    assert 0 <= x.min() < 0.01 and 0.99 < x.max() < 1
    x = source().uniform(4000, 1, low=-3.0, high=-1.0)
    assert x.shape == (4000, 1) and -3 <= x.min() < -2.98 and -1.02 < x.max() < -1


def test_orders_are_permutations_and_the_seed_rules_all():
    drawn = [(s.order(7), s.uniform(3).tolist(), s.normal((2, 2)).tolist()) for s in map(source, (0, 0, 1))]
    assert drawn[0] == drawn[1] != drawn[2] and sorted(drawn[0][0]) == list(range(7))


def test_without_a_generator_numbers_are_the_global_ones():
    torch.manual_seed(3)
    wanted = torch.rand(5)
    torch.manual_seed(3)
    assert torch.equal(RandomSource(None, torch.device("cpu")).uniform(5), wanted)
