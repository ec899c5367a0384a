"""Kills of each program of ``tests/chaos.py``, and the mistakes of ``tests/fuzz.py``."""

import subprocess
import sys
from pathlib import Path

import fuzz
import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", ["memory", "image files", "two processes", "embedding", "gallery", "linear", "table"]
)
def test_killed_programs_leave_what_undisturbed_ones_do(program):
    command = [sys.executable, str(Path(__file__).with_name("chaos.py")), "2", "0", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mistakes_are_told_in_a_line():
    assert fuzz.main(2000, 500) == 0
