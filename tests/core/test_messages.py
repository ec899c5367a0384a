"""What other packages say while a program runs."""

import logging

from cplearn_solo.core.messages import LOG, keep_messages, messages_apart


def test_each_run_of_a_program_has_what_was_said_in_it(tmp_path, capsys):
    runs = [tmp_path / name for name in ("first", "second", "silent")]
    with messages_apart() as messages:
        for run in runs:
            run.mkdir()
            keep_messages(run)
            for _ in range(2 if run.name != "silent" else 0):
                logging.getLogger("theirs").warning("slow disk")
        messages.tell()
    assert [(run / LOG).read_text().count("slow disk") for run in runs] == [1, 1, 0]
    told = [f"warnings of other packages, 1 in all: {run / LOG}" for run in runs[:2]]
    assert capsys.readouterr().err.splitlines() == told


def test_a_mistake_of_those_who_log_ends_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's, whose reports cannot hold such letters
    with messages_apart():
        logging.getLogger("theirs").warning("no place for it", 1)
        logging.getLogger("theirs").warning("a name in other letters: \udce4")
        keep_messages(tmp_path)
    assert "other letters: \\udce4" in (tmp_path / LOG).read_text(encoding="utf-8")
