"""CPLearn's prior over codes: uniform, a power law, given numbers, or learned in training.

The paper's theory holds for every prior. The paper studies the uniform one and leaves classes of unequal size to future
work.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cplearn_solo.core.distributed import gather, sum_ranks
from cplearn_solo.core.errors import require
from cplearn_solo.losses import check_prior

MEMORY = 0.99  # of the moving average of a learned prior: about a hundred steps


def fixed_prior(prior: str | list[float] | None, c: int, *, power: float | None, prior_loss: str) -> Tensor | None:
    """q over c codes ``(c,)``, or ``None`` for a uniform or learned one.

    ``power``: the exponent a of ``power_law``, q_j proportional to (j + 1)^-a, by default 1. Given numbers are not
    normalised. Raises ``InputError`` for a ``power`` without a power law, not above 0 or too large for float32, and for
    numbers that are not a distribution over c codes.
    """
    require(power is None or prior == "power_law", "method_kwargs.prior_power", power, "absent unless prior=power_law")
    if prior == "power_law":
        power = 1.0 if power is None else power
        require(power > 0, "method_kwargs.prior_power", power, "above 0")
        q = torch.softmax(-power * torch.arange(1, c + 1, dtype=torch.float64).log(), 0).float()
        wanted = f"lower with {c} codes, of which the last would have no probability left in float32"
        require(bool(q[-1] >= torch.finfo(q.dtype).tiny), "method_kwargs.prior_power", power, wanted)
        return q
    if prior is None or isinstance(prior, str):
        return None
    q = torch.tensor(prior, dtype=torch.float32)
    check_prior(q, c, prior_loss, key="method_kwargs.prior")
    return q


class LearnedPrior(nn.Module):
    """q_j = (1 + r m_j) / (c + r), with a slow moving average m of mean assignments: m counts as r of c + r samples.

    ``n``: samples per batch; r = sqrt(min(n, c)). It cannot collapse: q_j >= 1 / (c + r) for every code, so
    H(q) >= c / (c + r) log c by the concavity of entropy. A mean assignment that is even on only k codes costs
    KL(mean p || q) >= log((c + r) / (k + r)), however long it stays there; with the uniform prior it costs log(c / k).
    Between one code and r^2 codes, as many as a batch can use, this cost falls by log r, half as much as with the
    uniform prior. With a larger r, runs end on one or two codes, which then cost less than telling views of an image
    apart.

    The prior acts like a lower limit on the use of each code: the derivative of KL(p || q) by p_j is log(p_j / q_j) up
    to a constant. For p = m this is -log(r + 1 / m_j): nearly equal for all codes used more than 1 / r, and lower for
    others.
    """

    def __init__(self, c: int, n: int) -> None:
        super().__init__()
        self.weight = math.sqrt(min(n, c))  # r
        self.register_buffer("mean", torch.full((c,), 1 / c))
        self.register_buffer("seen", torch.zeros(c), persistent=False)  # sum of mean assignments since the last update

    def forward(self) -> Tensor:
        """q ``(c,)``, which stays the same until :meth:`update`."""
        return (1 + self.weight * self.mean) / (len(self.mean) + self.weight)

    @torch.no_grad()
    def see(self, mean_assignment: Tensor) -> None:
        """Adds the mean assignment of a batch, ``(c,)`` or this device's share of the codes."""
        shared = len(mean_assignment) < len(self.seen)
        self.seen += gather(mean_assignment) if shared else sum_ranks(mean_assignment)

    def update(self) -> None:
        """Moves the average towards the mean assignments seen by all devices."""
        self.mean.lerp_(self.seen / self.seen.sum(), 1 - MEMORY)
        self.seen.zero_()
