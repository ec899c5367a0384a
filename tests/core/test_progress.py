"""Nothing is silent for long: lines where there is no terminal."""

import re
import sys
import time

from cplearn_solo.cli.image_options import progress_bar
from cplearn_solo.core import progress
from cplearn_solo.core.progress import patience, shown, tracked


def test_steps_pass_through_and_a_log_has_lines_with_the_time_left(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SILENCE", 0.0)
    assert list(tracked("abc", "features", total=3)) == ["a", "b", "c"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == [f"features: {done}/3" for done in (1, 2, 3)]
    assert all(line.endswith(" left") for line in lines)


def test_a_log_says_how_far_images_are_beside_what_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SILENCE", 0.0)
    with progress_bar(9) as show:
        for step, done in (("images", 3), ("images", 9), ("pairs", 9)):
            show(step, done, 9)
    shown = capsys.readouterr()
    assert shown.err.splitlines() == ["images: 3/9", "images: 9/9, 0 s left", "pairs: 9/9"] and shown.out == ""
    monkeypatch.setattr(progress, "SILENCE", 30.0)
    with progress_bar(9) as show:
        show("images", 3, 9)
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar_once_some_seconds_have_passed(monkeypatch, capsys):
    for delay, bars in ((0.0, True), (60.0, False)):
        monkeypatch.setattr(progress, "SHORT", delay)
        for terminal in (True, False):
            monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
            with shown("kNN") as show:
                for done in (3, 9):
                    time.sleep(0.11)  # a bar is drawn ten times a second at most
                    show(done, 9)
            assert ("kNN: 100%" in capsys.readouterr().err) == (bars and terminal)


def test_short_work_has_no_lines(capsys):
    assert list(tracked(range(3), "features", total=3)) == [0, 1, 2]
    with patience("evaluation"):
        pass
    assert capsys.readouterr().out == ""


def test_what_takes_long_says_that_it_goes_on_until_it_ends(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SILENCE", 0.01)
    out = ""
    with patience("evaluation") as call:
        for title in ("evaluation", "t-SNE"):
            call(title)
            while out.count(f"{title}: ") < 2:
                time.sleep(0.01)
                out += capsys.readouterr().out
    assert all(re.fullmatch("(evaluation|t-SNE): 0 s so far", line) for line in out.splitlines())
    capsys.readouterr()
    time.sleep(0.05)
    assert capsys.readouterr().out == ""
