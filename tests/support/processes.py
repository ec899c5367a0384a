"""Programs in processes of their own, with this repository's package."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAIN = ("-c", "from cplearn_solo.cli import main; main()")  # cplearn


def python(*arguments, cwd, timeout=500):
    """What Python has done with these arguments, in ``cwd`` and with one thread."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)
