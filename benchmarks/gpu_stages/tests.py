"""``pytest -m cuda``: tests that need a GPU."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from gpu_stages.options import Options
from gpu_stages.report import Report

ROOT = Path(__file__).parents[2]
PROCESSES = 8  # most of the time goes into compiling kernels
OUTCOMES = "PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS"
OUTCOME = re.compile(rf"(?:\[gw\d+\].* (?P<first>{OUTCOMES}) )?(?P<test>tests/\S+::.*?)(?: (?P<last>{OUTCOMES})\b.*)?$")
REASON = re.compile(r"(FAILED|ERROR|XFAIL) (tests/.*)")  # lines of the summary at the end


def run(report: Report, options: Options) -> None:
    files = sorted(path for path in (ROOT / "tests").rglob("test_*.py") if "mark.cuda" in path.read_text())
    # not one process per core, as in the project's own options, because they share the GPU
    flags = ["-o", "addopts=--strict-markers", "-v", "--tb=short", "-rfEx"]
    flags += ["-p", "no:cacheprovider", "--continue-on-collection-errors"]
    flags += ["-W", "default"]  # not errors, as in the project's own options: a GPU's libraries give other warnings
    flags += ["-n", str(PROCESSES)] if importlib.util.find_spec("xdist") else []
    command = [sys.executable, "-m", "pytest", "-m", "cuda", *flags, *map(str, files)]
    pytest = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    counts: Counter[str] = Counter()
    notable: dict[str, str] = {}  # test -> outcome, with the reason from the summary
    try:
        for line in pytest.stdout:
            print(line, end="", flush=True)
            seen = OUTCOME.match(line.rstrip())
            if seen and (outcome := seen["first"] or seen["last"]):
                counts[outcome] += 1
                if outcome in ("FAILED", "ERROR"):
                    notable[seen["test"]] = outcome
            elif reason := REASON.match(line):
                test, _, why = reason[2].strip().partition(" - ")
                notable[test] = f"{reason[1]} {why}"
        if (code := pytest.wait()) not in (0, 1):  # neither all tests passed nor some failed
            sys.exit(f"pytest ended with {code} before its tests did, see log.txt")
    finally:
        pytest.kill()
        pytest.stdout.close()
        for outcome, count in counts.items():
            report.add(outcome=outcome.lower(), tests=count)
        report.say(*(f"{test}: {outcome}" for test, outcome in notable.items()))
