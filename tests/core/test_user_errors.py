"""What ends a program, in a line."""

import errno
import gc
import multiprocessing
import os
import signal
import sys
import time

import numpy as np
import pytest
import torch

from cplearn_solo.core.errors import InputError
from cplearn_solo.core.stops import PATIENCE, REPEAT, asked, at_stop, postpone, stops
from cplearn_solo.core.user_errors import user_errors


@pytest.mark.parametrize(
    "error, code, line",
    [
        (InputError("seed = -1: must be\n\n  at least 0"), 2, "it: error: seed = -1: must be at least 0"),
        (InputError("unreadable: at  10.00\u202fAM.png"), 2, "it: error: unreadable: at  10.00\u202fAM.png"),
        (KeyboardInterrupt(), 130, "it: stopped"),
        (KeyboardInterrupt("stopped; the same command goes on"), 130, "it: stopped; the same command goes on"),
        (OSError(errno.ENOSPC, "?", "a.csv"), 2, "it: error: a.csv: No space left on device"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.\nmore"),
            2,
            "it: error: DataLoader worker (pid 7) is killed by signal: Killed, perhaps for want of memory",
        ),
        (OSError(errno.EDQUOT, "?"), 2, "it: error: standard output: Disk quota exceeded"),
    ],
)
def test_what_ends_a_program_is_a_line_and_an_exit_code(error, code, line, capsys):
    with pytest.raises(SystemExit) as end, user_errors("it"):
        raise error
    assert end.value.code == code and capsys.readouterr().err == f"{line}\n"


@pytest.mark.parametrize(
    "need, words",
    [
        (lambda: torch.empty(1 << 60, dtype=torch.uint8), "allocate memory: you tried to allocate 1152921504606846976"),
        (lambda: np.empty(1 << 60, np.uint8), "Unable to allocate 1.00 EiB for an array"),
        (lambda: _raise(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")), "2.00 GiB."),
        (lambda: _raise(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `it`")), "calling `it`"),
        (lambda: _raise(RuntimeError("can't start new thread")), "can't start new thread"),
        (lambda: _raise(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))), "Cannot allocate memory"),  # as of a fork
        (lambda: _raise(MemoryError()), "MemoryError"),
    ],
)
def test_memory_that_runs_out_is_a_line(need, words, capsys):
    with pytest.raises(SystemExit) as end, user_errors("it"):
        need()
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("it: error: memory ran out: ")
    assert words in error and len(error.splitlines()) == 1


def _raise(error):
    raise error


def test_an_error_of_the_program_itself_keeps_its_traceback():
    with pytest.raises(OSError, match="bug"), user_errors("it"):
        raise OSError(errno.EINVAL, "bug")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_line_and_its_number(number, capsys):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as end, user_errors("it"), at_stop("stopped; go on"):
        os.kill(os.getpid(), number)
    assert end.value.code == 128 + number and capsys.readouterr().err == "it: stopped; go on\n"
    assert signal.getsignal(number) == before and asked() is None


def test_a_signal_is_not_lost_where_python_drops_exceptions(capsys):
    class Destroyed:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as end, user_errors("it"):
        Destroyed()
        time.sleep(20)
    assert end.value.code == 143 and capsys.readouterr().err == "it: stopped\n"


def test_only_the_first_process_of_a_run_tells_of_a_signal(capsys, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(SystemExit) as end, user_errors("it"):
        os.kill(os.getpid(), signal.SIGTERM)
    assert end.value.code == 0 and capsys.readouterr().err == ""


def test_work_may_take_the_time_to_end_unless_it_is_asked_again(monkeypatch):
    patience = []
    with stops():
        postpone(lambda seconds: patience.append(seconds) or True)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as a trainer's handler would stand there
        postpone(lambda seconds: patience.append(seconds) or True)
        for _ in range(2):  # the same request twice, as timeout(1) sends it
            os.kill(os.getpid(), signal.SIGTERM)
        assert patience == [PATIENCE[signal.SIGTERM]] and asked() == signal.SIGTERM
        monkeypatch.setattr("cplearn_solo.core.stops._asked_at", -REPEAT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        postpone(None)


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stops():
            os.kill(os.getpid(), signal.SIGTERM)
            assert asked() is None
    finally:
        signal.signal(signal.SIGTERM, before)


def test_slurm_starts_a_job_anew_after_its_signal(monkeypatch, tmp_path, capsys):
    """``scontrol`` of this test notes what it is asked; outside of SLURM the signal is nobody's."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with stops():
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with pytest.raises(SystemExit) as end, user_errors("it"):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert end.value.code == 128 + signal.SIGUSR1 and (tmp_path / "asked").read_text() == "requeue 17\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_nothing_left_to_print_to_is_one_line(monkeypatch, capsys):
    with open("/dev/full", "w") as full, pytest.raises(SystemExit) as end:
        monkeypatch.setattr(sys, "stdout", full)
        with user_errors("it"):
            print("words")
    assert end.value.code == 2
    assert capsys.readouterr().err == "it: error: standard output: No space left on device\n"


class Complains:
    """Something that is cut off in the midst of its work, as a loader that has not yet all of its workers."""

    def __del__(self):
        raise AttributeError("'DataLoader' object has no attribute '_workers_status'")


def work_of(number):
    complaining = Complains()
    os.kill(os.getpid(), number)
    return complaining


def dead_worker():
    complaining = Complains()
    if complaining:
        raise RuntimeError("DataLoader worker is killed")


def lost_worker():
    try:
        dead_worker()
    except RuntimeError as error:
        raise InputError("data.num_workers = 2: must be lower") from error


@pytest.mark.parametrize(
    ("work", "code", "line"),
    [
        (lambda: work_of(signal.SIGTERM), 143, "embed: stopped"),
        (lost_worker, 2, "embed: error: data.num_workers = 2: must be lower"),
    ],
)
def test_what_an_end_cuts_off_says_nothing_of_its_own(work, code, line, capsys):
    with pytest.raises(SystemExit) as end, user_errors("embed"):
        work()
    assert end.value.code == code
    del end
    gc.collect()
    assert capsys.readouterr().err == f"{line}\n"


def stumbled():
    try:
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    except RuntimeError:
        raise AttributeError("no loader any more")  # noqa: B904 - as libraries do


def test_a_lost_worker_is_told_though_libraries_stumble_over_it(capsys):
    with pytest.raises(SystemExit) as end, user_errors("it"):
        stumbled()
    line = "it: error: DataLoader worker (pid 7) is killed by signal: Killed, perhaps for want of memory\n"
    assert end.value.code == 2 and capsys.readouterr().err == line


def test_helpers_do_not_outlive_a_mistake_of_the_program():
    helper = multiprocessing.get_context("fork").Process(target=deaf, daemon=True)
    helper.start()
    with pytest.raises(ZeroDivisionError), user_errors("it"):
        1 / 0  # noqa: B018
    helper.join(timeout=20)
    assert helper.exitcode == -signal.SIGKILL


def deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
