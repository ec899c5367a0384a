"""What the collapse report's page opens with: measures of the verdict beside their limits, codes, the map."""

from pathlib import Path

import pytest
import torch

from cplearn_solo.collapse.comparison import Comparison
from cplearn_solo.collapse.curves import code_usage
from cplearn_solo.collapse.limits import LIMIT, bars
from cplearn_solo.collapse.page import _word, colour
from cplearn_solo.collapse.subject import Subject
from cplearn_solo.collapse.tsne import map_of
from cplearn_solo.core.words import NOT_LEARNED, TOO_EARLY
from cplearn_solo.metrics.verdict import CRITERIA, Verdict, collapse_verdict

GENERATOR = torch.Generator().manual_seed(0)
H, CODES = torch.randn(90, 4, generator=GENERATOR), torch.arange(90) % 3


def test_every_criterion_has_a_bar_whose_end_tells_the_verdict():
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
    each_its_own = collapse_verdict(H, codes=torch.arange(90), codes_total=1000)
    found = {bar.measure: bar for bar in bars(each_its_own)}
    assert [name for name, bar in found.items() if bar.value is None] == ["within_code"]
    assert not found["within_code"].collapsed and not found["within_code"].percent
    assert [bar.measure for bar in bars(collapse_verdict(H))] == ["spread", "stable_rank"]  # no codes, no word of them


def test_a_group_has_the_colour_of_its_worst_run():
    names = {"healthy": "good", TOO_EARLY: "open", NOT_LEARNED: "bad", "cluster": "bad"}
    verdicts = {name: Verdict(name, "", "", {}) for name in names}
    assert {name: colour(verdict) for name, verdict in verdicts.items()} == names
    assert _word([verdicts["healthy"], verdicts[TOO_EARLY]]) == ("1 healthy, 1 too early to tell", "open")
    assert _word(list(verdicts.values()))[1] == "bad"


def test_without_labels_the_map_is_of_the_largest_codes():
    codes = torch.arange(120) % 12
    codes[codes == 3] = 0  # none has 3, and 11 is the smallest but for that
    codes[11] = 0
    x = torch.randn(120, 4, generator=GENERATOR)
    found = map_of(Subject(("x",), Path("x"), "", x, codes=codes), seed=0)
    assert found.of_codes and set(found.labels.tolist()) == {0, 1, 2, 4, 5, 6, 7, 8, 9, 10}
    labelled = map_of(Subject(("x",), Path("x"), "", x, codes=codes, labels=torch.arange(120) % 2), seed=0)
    assert not labelled.of_codes and set(labelled.labels.tolist()) == {0, 1}


def test_codes_of_one_subject_are_sorted_bars(monkeypatch):
    codes = torch.tensor([7] * 6 + [2] * 3 + [5])
    subject = Subject(("x",), Path("x"), "", torch.zeros(10, 2), codes=codes, codes_total=8)
    comparison = Comparison([subject], ["x"], [], [], [], {}, [], None, 0)
    monkeypatch.setattr(Comparison, "members", [[subject]])
    monkeypatch.setattr(Comparison, "group_names", ["x"])
    (ax,) = code_usage(comparison).axes
    (bars,) = ax.patches
    assert bars.get_data().values.tolist() == [60, 30, 10] and ax.get_title() == "x\n3 of 8 codes in use"
    assert ax.lines[0].get_ydata() == pytest.approx([12.5, 12.5])
