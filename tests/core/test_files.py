"""Files are whole or not there, and what a full disk refuses is told with the file's name."""

import errno
import os

import pytest
from safetensors import SafetensorError
from support.processes import python

from cplearn_solo.core.errors import InputError, NotWritten
from cplearn_solo.core.files import append_line, clear_partial, whole_file, write_csv, write_file, written


def test_a_file_that_does_not_fit_leaves_the_old_one(tmp_path, small_files):
    file = write_file(tmp_path / "a.txt", "old")
    with pytest.raises(NotWritten, match=r"a\.txt: could not be written: File too large"):
        write_file(file, "x" * 2000)
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_a_line_that_does_not_fit_leaves_no_part(tmp_path, small_files):
    file = append_line(tmp_path / "a.jsonl", "one")
    with pytest.raises(NotWritten, match="File too large"):
        append_line(file, "x" * 2000)
    assert append_line(file, "two").read_text() == "one\ntwo\n"


def test_rows_have_names_in_any_letters_in_any_country(tmp_path, monkeypatch):
    monkeypatch.setattr("locale.getpreferredencoding", lambda *_: "ascii")
    file = write_csv(tmp_path / "a.csv", [("group", "file"), (1, "写真, 1.jpg"), (2, "of bytes \udce4.jpg")])
    assert file.read_bytes().decode().splitlines() == ["group,file", '1,"写真, 1.jpg"', r"2,of bytes \udce4.jpg"]


def test_two_at_once_never_make_one_file(tmp_path):
    """The second is told; what a killed process left is nobody's."""
    file = tmp_path / "a.txt"
    with whole_file(file) as partial:
        partial.write_text("of one")
        with pytest.raises(NotWritten, match="another process is writing it"):
            write_file(file, "of the other")
    assert file.read_text() == "of one" and os.listdir(tmp_path) == ["a.txt"]
    partial.write_text("left behind by a killed process")
    assert write_file(file, "new").read_text() == "new" and os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_that_is_gone_is_told(tmp_path):
    with pytest.raises(NotWritten, match=r"gone/a\.txt: could not be written: No such file or directory"):
        write_file(tmp_path / "gone/a.txt", "words")


@pytest.mark.parametrize(
    "error",
    [
        *(OSError(number, "?") for number in (errno.ENOSPC, errno.EROFS, errno.ENOTCONN)),
        SafetensorError("I/O error (os error 28)"),
    ],
)
def test_what_a_file_system_says_is_bad_luck_and_no_bug(error, tmp_path):
    with pytest.raises(NotWritten, match="No space left|Read-only|not connected"), whole_file(tmp_path / "a"):
        raise error


@pytest.mark.parametrize("error", [ValueError("(os error?)"), OSError(errno.EINVAL, "?"), InputError("a key")])
def test_other_errors_stay_what_they_are(error, tmp_path):
    with pytest.raises(type(error)) as raised, written(tmp_path / "a"):
        raise error
    assert raised.value is error


def test_what_a_killed_process_had_half_written_goes(tmp_path):
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "a") as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    (tmp_path / "deep").mkdir()
    for name in (partial.name, f"deep/{partial.name}", "a"):
        (tmp_path / name).write_text("kept")
    clear_partial(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "deep"]


def test_systems_without_these_locks_and_signals_write_files_and_tell_errors(tmp_path):
    """Windows has none of them."""
    program = """
import signal, sys
sys.modules["fcntl"] = None
for name in ("SIGUSR1", "SIGCHLD", "SIGPIPE", "SIGKILL", "pthread_sigmask"):
    delattr(signal, name)
from pathlib import Path
from cplearn_solo.core.errors import InputError
from cplearn_solo.core.files import write_file
from cplearn_solo.core.stops import held_back
from cplearn_solo.core.user_errors import user_errors
with user_errors("it"), held_back():
    write_file(Path("a.txt"), "whole")
    raise InputError("seed = -1: must be at least 0")
"""
    done = python("-c", program, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr) == (2, "it: error: seed = -1: must be at least 0\n")
    assert (tmp_path / "a.txt").read_text() == "whole" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]
