"""The verdict on features made to show each collapse, and on ones that show none."""

import math

import numpy as np
import pytest
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.words import NOT_LEARNED
from cplearn_solo.metrics.verdict import CRITERIA, collapse_verdict, verdict_of

RANDOM = np.random.default_rng(0)
CODES = np.arange(600) % 12
CENTRES = RANDOM.normal(size=(12, 16)) * 3
HEALTHY = CENTRES[CODES] + RANDOM.normal(size=(600, 16))


def test_healthy():
    verdict = collapse_verdict(HEALTHY, HEALTHY, CODES, codes_total=12)
    assert verdict.name == "healthy" and not verdict.collapsed and not verdict.advice
    assert verdict.measures["code_use"] == pytest.approx(1)
    assert set(verdict.measures) == {"spread", "stable_rank", "code_use", "told_apart", "within_code"}


@pytest.mark.parametrize(
    ("name", "embeddings", "codes"),
    [
        ("representation", HEALTHY + 200, CODES),
        ("representation", np.ones((600, 16)), CODES),
        ("representation", np.zeros((600, 16)), CODES),
        ("dimensional", np.outer(HEALTHY[:, 0], np.ones(16)) + 0.01 * HEALTHY, CODES),
        ("cluster", HEALTHY, np.zeros(600, dtype=int)),
        ("cluster", HEALTHY, (RANDOM.random(600) < 0.05).astype(int) * 7),
        ("intracluster", CENTRES[CODES] + 0.1 * RANDOM.normal(size=(600, 16)), CODES),
    ],
)
def test_each_collapse_is_named_with_its_number(name, embeddings, codes):
    verdict = collapse_verdict(HEALTHY, embeddings, codes, codes_total=12)
    assert verdict.name == name
    assert any(character.isdigit() for character in verdict.reason)
    assert verdict.message.startswith(f"{name} collapse: {verdict.reason}; {verdict.advice}")
    assert all(math.isfinite(value) for value in verdict.measures.values())


def test_soft_codes_that_tell_nothing_are_a_cluster_collapse():
    even = math.log(12)
    verdict = collapse_verdict(HEALTHY, HEALTHY, CODES, codes_total=12, entropies=(even, even - 0.1))
    assert verdict.name == "cluster" and "agreement of an image's views" in verdict.advice
    assert verdict.measures["told_apart"] == pytest.approx(math.exp(0.1)) and verdict.measures["code_use"] == 1


def test_codes_that_never_told_samples_apart_have_not_collapsed():
    measures = {"spread": 1.0, "stable_rank": 3.0, "code_use": 1.0, "told_apart": 1.1}
    assert verdict_of(measures).name == "cluster"
    verdict = verdict_of(measures, told_more=False)
    assert verdict.name == NOT_LEARNED and not verdict.collapsed and verdict.title == "no better than chance"
    assert verdict.reason == "codes tell 1.10 groups of samples apart: no sample prefers a code yet"
    assert verdict_of({**measures, "code_use": 0.1}, told_more=False).name == "cluster"
    assert verdict_of({**measures, "told_apart": 1.6}, told_more=False).name == "healthy"


@pytest.mark.parametrize(
    ("measure", "name", "limit"),
    [
        ("spread", "representation", 0.1),
        ("code_use", "cluster", 0.2),
        ("told_apart", "cluster", 1.5),
        ("stable_rank", "dimensional", 1.2),
        ("within_code", "intracluster", 0.05),
    ],
)
def test_limits_are_those_that_docs_collapse_has(measure, name, limit):
    """Kept verdicts were given by them, and docs/collapse.md says so."""
    fine = {"spread": 0.9, "code_use": 0.9, "told_apart": 9.0, "stable_rank": 3.0, "within_code": 0.5}
    assert verdict_of({**fine, measure: limit}).name == "healthy"
    below = verdict_of({**fine, measure: limit * (1 - 1e-9)})
    assert below.name == name and below.decided_by.measure == measure
    assert below.limits[measure] == {"value": limit * (1 - 1e-9), "limit": limit} and below.limits.keys() == fine.keys()


def test_general_advice_names_no_keys():
    for criterion in CRITERIA:
        assert not any(word in criterion.advice for word in ("beta", "CPLearn", "VICReg", "_weight", "_dim"))


def test_there_is_no_word_of_codes_without_codes():
    for features in (HEALTHY, HEALTHY + 200, np.outer(HEALTHY[:, 0], np.ones(16))):
        verdict = collapse_verdict(features)
        words = [verdict.message, *(text for criterion in verdict.criteria for text in criterion)]
        assert not any("code" in word for word in words if isinstance(word, str)), words
    assert [criterion.measure for criterion in verdict.criteria] == ["spread", "stable_rank"] == [*verdict.limits]


def test_one_code_is_a_collapse_whoever_counts():
    for code in (0, 1):
        assert collapse_verdict(HEALTHY, HEALTHY, np.full(600, code)).name == "cluster"


def test_what_cannot_be_told_is_absent():
    alone = collapse_verdict(torch.tensor(HEALTHY))
    assert alone.name == "healthy" and set(alone.measures) == {"spread", "stable_rank"}
    assert "features" in collapse_verdict(np.ones((5, 3))).reason
    each_its_own = collapse_verdict(HEALTHY, codes=np.arange(600), codes_total=1000)
    assert "within_code" not in each_its_own.measures
    assert each_its_own.measures["code_use"] == pytest.approx(1)  # no more than 600 codes could be in use
    assert "code_use" not in collapse_verdict(HEALTHY, codes=np.zeros(600, dtype=int), codes_total=1).measures


def test_bad_input():
    with pytest.raises(InputError, match="embeddings = nan: must be finite"):
        collapse_verdict(HEALTHY, np.full((600, 4), np.nan))
    with pytest.raises(InputError, match=r"codes.shape = \(5,\): must be \(600,\), one for each sample"):
        collapse_verdict(HEALTHY, codes=CODES[:5])
