"""Terminals that lack most letters, as those of code page 437 or ASCII."""

import sys
from io import BytesIO, TextIOWrapper

import pytest

from cplearn_solo.cli.report import NOTES, print_scores, print_verdict
from cplearn_solo.core.user_errors import user_errors
from cplearn_solo.metrics.verdict import Verdict, verdict_of


@pytest.mark.parametrize("encoding", ["ascii", "cp437"])
def test_letters_that_a_terminal_lacks_do_not_end_the_program(encoding, monkeypatch):
    bytes_written = BytesIO()
    terminal = TextIOWrapper(bytes_written, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    with user_errors("pretrain"):
        print_scores("runs/写真", {"linear_acc1": 0.5})
        print("0.5 ± 0.1 – β")
    terminal.flush()
    text = bytes_written.getvalue().decode(encoding)
    assert "runs/??" in text and "0.5" in text
    assert set(text.splitlines()[2]) <= set("-+|= "), text  # the line below the headings of the table
    assert terminal.errors == "strict"


def test_scores_stand_beside_chance_and_a_random_backbone_at_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    beside = {"random_backbone": {"knn_acc1": 0.25}, "chance": {"knn_acc1": 0.1, "paper_linear_balanced_acc1": 0.2}}
    print_scores("run", {"method": "byol", "knn_acc1": 0.9, "paper_linear_balanced_acc1": 0.8, **beside})
    lines = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert ["method", "byol"] in lines
    assert ["knn_acc1", "0.9", "0.25", "0.1"] in [line[:4] for line in lines]
    assert ["paper_linear_balanced_acc1", "0.8", "0.2"] in [line[:3] for line in lines]


def test_numbers_have_four_digits_or_all_before_the_point(capsys):
    print_scores("run", {"wall_seconds": 123456.78, "images_per_second": 9876.54, "knn_acc1": 0.123456})
    words = capsys.readouterr().out.split()
    assert {"123457", "9877", "0.1235"} <= set(words)
    print_verdict(Verdict("healthy", "", "", {"code_use": 0.98765, "told_apart": 12345.6}))
    assert {"12346", "0.988"} <= set(capsys.readouterr().out.split())


def test_names_are_whole_at_80_columns(capsys, monkeypatch):
    """A long sentence does not squeeze them: it stands below the table."""
    monkeypatch.setenv("COLUMNS", "80")
    sentence = "features had a standard deviation of 0.175 in the first epoch and of 3.25 in the last one"
    print_scores("run", {**dict.fromkeys(NOTES, 0.12345), "git_sha": "0123456789ab+", "scale_note": sentence})
    lines = capsys.readouterr().out.splitlines()
    assert set(NOTES) <= {line.split()[0] for line in lines if line}
    assert max(map(len, lines[:-1])) <= 80 and lines[-1] == f"scale_note: {sentence}"


def test_a_score_is_one_line_at_80_columns(capsys, monkeypatch):
    """Also beside those of a random backbone and chance; a log of a batch system has as little room."""
    monkeypatch.setenv("COLUMNS", "80")
    names = [name for name in NOTES if len(name) <= len("kmeans_standardised_ami")]
    scores = dict.fromkeys(names, 0.12345)
    print_scores("run", {**scores, "random_backbone": scores, "chance": scores})
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.split()]
    assert [line for line in lines if line in NOTES] == names
    assert len(lines) == len(names) + 6  # two headings and the lines below them, the title, and what the columns are


def test_a_verdict_has_its_measures_beside_their_limits(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    print_verdict(verdict_of({"spread": 0.05, "stable_rank": 3.0}))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[3][:3] == ["spread", "0.05", "0.1"] and lines[4][:3] == ["stable_rank", "3", "1.2"]
    assert lines[5][:2] == ["representation", "collapse:"] and len(lines) == 6
