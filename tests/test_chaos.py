"""A few of the kills of ``tests/chaos.py``, each of its programs among them."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", ["memory", "image files", "two processes", "embedding", "gallery", "linear", "table"]
)
def test_killed_programs_leave_what_undisturbed_ones_do(program):
    command = [sys.executable, str(Path(__file__).with_name("chaos.py")), "2", "0", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
