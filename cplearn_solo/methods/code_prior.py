"""CPLearn's prior over codes: uniform, a power law, given numbers, or learned along the way.

The paper holds for every prior and studies the uniform one, as classes of unequal size are left to future work.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cplearn_solo.core.distributed import gather, sum_ranks
from cplearn_solo.core.errors import require
from cplearn_solo.losses import check_prior

MEMORY = 0.99  # of the moving average of a learned prior, a hundred steps


def fixed_prior(prior: str | list[float] | None, c: int, *, power: float | None, prior_loss: str) -> Tensor | None:
    """q over c codes ``(c,)``, or ``None`` for a uniform or learned one.

    ``power``: a of ``power_law``, q_j proportional to (j + 1)^-a, 1 unless given. Numbers are not normalised. Raises
    ``InputError`` for a ``power`` without a power law or too steep for numbers, and for numbers that are no
    distribution over c codes.
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
    """q_j = (1 + r m_j) / (c + r): a slow moving average m of mean assignments, as r of c + r samples that it counts.

    ``n``: samples of a batch; r = sqrt(min(n, c)). It cannot collapse: q_j >= 1 / (c + r) for every code, so that H(q)
    >= c / (c + r) log c by the concavity of entropy, and a mean assignment that is even on k codes alone costs
    KL(mean p || q) >= log((c + r) / (k + r)), however long it stays there; the uniform prior has log(c / k). From one
    code to as many as a batch can use, r^2, that falls by log r, half of what it does with the uniform prior. With more
    of m, runs end on one or two codes, which cost less then than telling views of an image apart.

    Matching q is matching a floor: by p_j, KL(p || q) has the gradient log(p_j / q_j) but for a constant, which for
    p = m is -log(r + 1 / m_j): nearly alike for all codes that are used more than 1 / r, and falling for others.
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
        """Remembers that of a batch, ``(c,)``, or of this device's share of the codes."""
        shared = len(mean_assignment) < len(self.seen)
        self.seen += gather(mean_assignment) if shared else sum_ranks(mean_assignment)

    def update(self) -> None:
        """Moves the average towards what was seen, by all devices."""
        self.mean.lerp_(self.seen / self.seen.sum(), 1 - MEMORY)
        self.seen.zero_()
