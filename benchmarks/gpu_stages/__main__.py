"""``python -m gpu_stages STAGE OPTIONS``, where ``OPTIONS`` is JSON: how ``gpu.py`` starts a stage."""

import json
import signal
import sys
from importlib import import_module
from pathlib import Path

from gpu_stages.options import Options
from gpu_stages.report import Report

signal.signal(signal.SIGTERM, lambda *_: sys.exit("out of time"))  # so that a stage's processes are ended
stage, options = sys.argv[1], Options(**json.loads(sys.argv[2]))
import_module(f"gpu_stages.{stage}").run(Report(Path(options.out), stage), options)
