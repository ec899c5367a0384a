"""Jobs side by side: what comes of each, and what is left when the program that started them ends."""

import os
import time
from dataclasses import replace
from datetime import datetime
from multiprocessing import forkserver
from pathlib import Path

import job_programs as programs
import pytest

from cplearn_solo.core.errors import InputError
from cplearn_solo.jobs.job import Job, Running
from cplearn_solo.jobs.launch import _gpus, _groups, make_launcher
from cplearn_solo.jobs.progress import Board
from cplearn_solo.jobs.queue import _start, run_jobs


def job(folder, program, **more):
    return Job(key=folder.name, folder=folder, label=folder.name, program=program, **more)


@pytest.fixture(scope="module")
def launcher():
    yield make_launcher("local", 2, use_gpus=False)
    forkserver._forkserver._stop()  # other tests want other modules in it


@pytest.fixture
def run(launcher):
    """Function that runs jobs and returns the outcome of each by its key."""

    def outcomes(*jobs):
        found = {}
        with Board() as board:
            run_jobs(jobs, launcher, board, lambda job, outcome, seconds: found.update({job.key: outcome}))
        return found

    return outcomes


def test_each_job_has_an_outcome_and_a_failure_stops_nothing(run, tmp_path, capsys):
    found = run(
        job(tmp_path / "crash", programs.crash),
        job(tmp_path / "refuse", programs.refuse),
        job(tmp_path / "be_killed", programs.be_killed),
        job(tmp_path / "succeed", programs.succeed, files={"input.txt": "a\nb\n"}),
    )
    assert found["succeed"] == {"lines": 2, "argv": [programs.__file__, str(tmp_path / "succeed")]}
    assert found["refuse"] == {"failed": "size = 3: must be even", "log": str(tmp_path / "refuse/log.txt")}
    assert found["crash"]["failed"] == "RuntimeError: something broke"
    assert found["be_killed"]["failed"] == "killed by signal 9, perhaps for want of memory"
    assert "counted" in (tmp_path / "succeed/log.txt").read_text()
    out = capsys.readouterr().out
    assert "jobs to run: 4, 2 at a time" in out and "failed: size = 3: must be even" in out


def test_what_has_a_result_is_not_done_again(run, tmp_path):
    one = job(tmp_path / "one", programs.refuse)
    assert "failed" in run(one)["one"]
    (one.folder / "result.json").write_text('{"kept": 1}')
    assert run(one) == {"one": {"kept": 1}}


def test_a_full_disk_and_a_signal_that_asks_to_end_are_no_fault_of_the_work(run, tmp_path):
    full, asked, refused = (
        job(tmp_path / program.__name__, program)
        for program in (programs.find_the_disk_full, programs.be_asked_to_end, programs.refuse)
    )
    found = run(full, asked, refused)
    assert found["find_the_disk_full"].pop("failed") == "last.ckpt: could not be written: No space left on device"
    assert found["be_asked_to_end"].pop("failed") == "stopped"
    assert found["find_the_disk_full"]["interrupted"] and found["be_asked_to_end"]["interrupted"]
    assert "interrupted" not in found["refuse"]


def test_a_result_that_a_loss_of_power_has_emptied_is_made_again(run, tmp_path):
    one = job(tmp_path / "one", programs.succeed, files={"input.txt": "a\n"})
    one.folder.mkdir()
    (one.folder / "result.json").touch()
    assert run(one)["one"]["lines"] == 1


def test_a_clock_that_is_set_back_changes_no_duration(tmp_path, monkeypatch):
    class Nobody:
        def start(self, job, slot):
            return None

    running = _start(job(tmp_path / "one", None), 0, Nobody())
    earlier = time.time() - 3600
    monkeypatch.setattr("time.time", lambda: earlier)
    assert 0 <= running.seconds < 60


def test_running_jobs_end_with_the_queue(launcher, tmp_path):
    """As when a user presses Ctrl-C."""

    def interrupted(*_):
        raise KeyboardInterrupt

    jobs = [job(tmp_path / "sleep", programs.sleep), job(tmp_path / "stop", programs.stop_everything)]
    with pytest.raises(KeyboardInterrupt), Board() as board:
        run_jobs(jobs, launcher, board, interrupted)
    assert not inside(tmp_path / "sleep")


def inside(folder):
    """Processes whose output goes to ``folder``; none where the system does not tell."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            found += [link] if Path(os.readlink(link)).parent == folder else []
        except OSError:  # it has ended, or is not ours
            continue
    return found


@pytest.mark.slow
def test_a_job_that_slurms_time_limit_ends_is_submitted_again(tmp_path, monkeypatch):
    """On submitit's own cluster of this machine, with its signal half a minute before the limit."""
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", str(Path(programs.__file__).parent), prepend=os.pathsep)
    limited = {"cluster": "local", "timeout_min": 1}
    one = job(tmp_path / "one", programs.succeed_the_second_time)
    found = {}
    with Board() as board:
        launcher = make_launcher("slurm", 1, folder=tmp_path, slurm=limited)
        run_jobs([one], launcher, board, lambda job, outcome, seconds: found.update({job.key: outcome}))
    assert found == {"one": {"attempts": 2}}


def test_a_folder_that_cannot_be_made_is_told(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/below"):
        run(job(tmp_path / "file/below", programs.succeed))


@pytest.mark.parametrize(
    "name, workers, words",
    [("cloud", None, "choices are local, slurm"), ("local", 0, "workers = 0: must be at least 1")],
)
def test_a_launcher_that_cannot_be_is_told(name, workers, words):
    with pytest.raises(InputError, match=words):
        make_launcher(name, workers)


@pytest.mark.parametrize(("gigabytes", "workers"), [(3, 1), (9, 2), (100, 8)])
def test_as_many_jobs_run_at_a_time_as_cores_and_memory_allow(launcher, monkeypatch, gigabytes, workers):
    monkeypatch.setattr("cplearn_solo.jobs.launch.cores", lambda: 8)
    monkeypatch.setattr("cplearn_solo.jobs.launch.memory_there", lambda: gigabytes * 2**30)
    assert make_launcher("local", None, use_gpus=False).workers == workers


@pytest.mark.parametrize(
    "visible, there, gpus",
    [(None, 2, ["0", "1"]), ("5,GPU-a", 2, ["5", "GPU-a"]), ("-1", 0, []), ("", 0, []), ("3,-1", 1, ["3"])],
)
def test_gpus_are_those_that_can_be_seen(visible, there, gpus, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: there)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert _gpus() == gpus


def test_each_job_has_as_many_gpus_as_it_asks_for():
    gpus = list("01234")
    assert _groups(gpus, 1) == gpus and _groups([], 8) == []
    assert _groups(gpus, 2) == ["0,1", "2,3"]
    assert _groups(gpus, "auto") == _groups(gpus, [1, 3]) == _groups(gpus, "1,3") == ["0,1,2,3,4"]  # 1 and 3 of those
    with pytest.raises(InputError, match="devices = 8: must be from 1 to 5, the GPUs of this machine"):
        _groups(gpus, 8)


def test_the_board_tells_when_jobs_end(monkeypatch, tmp_path, capsys):
    """Steps of a running job tell how long its kind takes; a brief job tells nothing of other kinds."""
    now, steps = 1000.0, {"done": 0}
    monkeypatch.setattr("time.monotonic", lambda: now)
    brief = Running(job(tmp_path / "brief", None, kind="pixels", brief=True), None, 0, now)
    of_method = job(tmp_path / "long", None, kind="method", steps_done=lambda: (steps["done"], 4))
    long = Running(of_method, None, 0, now + 60)
    board = Board("cells")
    board.begin([brief.job, long.job, job(tmp_path / "other", None, kind="other")], workers=1)
    board.started(brief)
    now += 60
    board.ended(brief, None)
    board.started(long)
    now += 600
    steps["done"] = 1
    assert board._steps(long) == "1 of 4" and board._projected == {"method": 2400}
    hours = (datetime.strptime(board._end()[0][-5:], "%H:%M") - datetime.now()).seconds / 3600
    assert hours == pytest.approx((3 * 600 + 2400) / 3600, abs=0.05), "what is left of it, and the other as long as it"
    board.ended(long, "no memory")
    out = capsys.readouterr().out
    assert "cells to run: 3, 1 at a time" in out and "brief: 0:01:00  (1 of 3)\n" in out
    assert "long: failed: no memory  (2 of 3, ends about " in out


def test_the_board_counts_what_resumed_jobs_have_left(monkeypatch, tmp_path):
    now, steps = 1000.0, {"done": 3}
    monkeypatch.setattr("time.monotonic", lambda: now)
    resumed = [job(tmp_path / name, None, kind="a", steps_done=lambda: (steps["done"], 4)) for name in ("one", "two")]
    board = Board()
    board.begin([*resumed, job(tmp_path / "new", None, kind="a")], workers=1)
    board.started(first := Running(resumed[0], None, 0, now))
    now += 300
    assert board._steps(first) == "3 of 4" and board._end() == [], "nothing says yet how long a step takes"
    steps["done"] = 4
    assert board._steps(first) == "4 of 4" and board._projected == {"a": 1200}
    board.ended(first, None)
    assert board._measured == {"a": [1200]}
    hours = (datetime.strptime(board._end()[0][-5:], "%H:%M") - datetime.now()).seconds / 3600
    assert hours == pytest.approx((300 + 1200) / 3600, abs=0.05), "a quarter of the second, and all of the new one"


def test_jobs_are_called_what_they_are_on_a_terminal(tmp_path, capsys, monkeypatch):
    """Rich takes [old] for a style."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    one = Running(replace(job(tmp_path / "one", None), label="photos [old]"), None, 0, 0.0)
    board = Board()
    board.begin([one.job], workers=1)
    board.started(one)
    with board:
        board.show()
    assert "photos [old]" in capsys.readouterr().out


def test_lines_of_the_board_are_whole_in_a_log(tmp_path, capsys):
    board, one = Board(), Running(job(tmp_path / "one", None), None, 0, 0.0)
    board.begin([one.job], workers=1)
    board.started(one)
    board.ended(one, "why, " * 40 + "at last")
    assert "at last  (1 of 1, ends about" in capsys.readouterr().out
