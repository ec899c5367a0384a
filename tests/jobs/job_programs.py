"""Programs that the jobs of the tests run, at the top of a module as a program must be."""

import os
import signal
import sys
import time

from cplearn_solo.core.errors import InputError, NotWritten


def succeed(folder):
    print("counted")
    return {"lines": len((folder / "input.txt").read_text().splitlines()), "argv": sys.argv}


def refuse(folder):
    raise InputError("size = 3: must be even")


def crash(folder):
    raise RuntimeError("something broke")


def be_killed(folder):
    os.kill(os.getpid(), signal.SIGKILL)


def find_the_disk_full(folder):
    raise NotWritten("last.ckpt: could not be written: No space left on device")


def be_asked_to_end(folder):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)


def sleep(folder):
    (folder / "started").touch()
    time.sleep(600)


def stop_everything(folder):
    while not (folder.parent / "sleep" / "started").exists():
        time.sleep(0.05)
    return {}


def succeed_the_second_time(folder):
    attempts = folder / "attempts"
    attempts.write_text(attempts.read_text() + "x" if attempts.exists() else "x")
    if len(attempts.read_text()) < 2:
        time.sleep(60)
    return {"attempts": len(attempts.read_text())}
