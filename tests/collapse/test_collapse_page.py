"""The opening of the collapse report's page: verdicts, and their measures beside their limits."""

import pytest
import torch

from cplearn_solo.collapse.limits import LIMIT, PLAIN, bars
from cplearn_solo.metrics.verdict import CRITERIA, collapse_verdict

GENERATOR = torch.Generator().manual_seed(0)
H, CODES = torch.randn(90, 4, generator=GENERATOR), torch.arange(90) % 3


def test_every_criterion_has_a_bar_whose_end_tells_the_verdict():
    assert PLAIN.keys() == {criterion.measure for criterion in CRITERIA}
    assert not any(bar.collapsed for bar in bars(collapse_verdict(H, H, CODES)))
    for codes in (CODES, 0 * CODES):
        found = bars(collapse_verdict(H, H, codes))
        assert [bar.measure for bar in found] == [criterion.measure for criterion in CRITERIA]
        assert all((bar.percent < LIMIT) == bar.collapsed and 1 <= bar.percent <= 100 for bar in found)
    assert {bar.measure for bar in found if bar.collapsed} == {"code_use", "told_apart"}


def test_a_bar_has_a_logarithmic_scale():
    (spread, *_) = bars(collapse_verdict(H))
    assert spread.percent == pytest.approx(LIMIT + 100 / 3 * torch.tensor(spread.value / 0.1).log10().item(), rel=1e-5)


def test_what_was_not_measured_has_no_bar():
    found = {bar.measure: bar for bar in bars(collapse_verdict(H))}
    assert [name for name, bar in found.items() if bar.value is None] == ["code_use", "told_apart", "within_code"]
    assert not any(bar.collapsed or bar.percent for bar in found.values() if bar.value is None)
