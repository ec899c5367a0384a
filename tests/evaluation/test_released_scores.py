"""NMI of the released scripts' codes, beside that of a method's own."""

import pytest
import torch
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from cplearn_solo.evaluation.scores import cluster_scores
from cplearn_solo.inference.features import Features

GENERATOR = torch.Generator().manual_seed(0)
Y, CODES, RELEASED = torch.randint(0, 5, (3, 200), generator=GENERATOR)
X = torch.randn(200, 4, generator=GENERATOR)


@pytest.mark.parametrize("codes", [None, CODES])
def test_they_have_a_chance_and_an_ami_of_their_own(codes):
    found = cluster_scores(Features(X, Y, codes, RELEASED), codes_total=5)
    assert found["released_nmi"] == pytest.approx(normalized_mutual_info_score(Y, RELEASED))
    assert found["released_ami"] == pytest.approx(adjusted_mutual_info_score(Y, RELEASED))
    assert 0 < found["released_nmi_chance"] < 0.2
    assert ("nmi" in found) == (codes is not None) and found.get("nmi") != found["released_nmi"]


def test_only_rows_with_a_label_count():
    known = Y.clone()
    known[:50] = -1
    found = cluster_scores(Features(X, known, CODES, RELEASED), codes_total=5)
    assert found["released_nmi"] == pytest.approx(normalized_mutual_info_score(Y[50:], RELEASED[50:]))
    assert found["nmi"] == pytest.approx(normalized_mutual_info_score(Y[50:], CODES[50:]))


def test_without_a_method_there_are_none():
    assert not [key for key in cluster_scores(Features(X, Y, None), codes_total=None) if "nmi" in key]
