"""How many small mistakes the tests notice: python benchmarks/mutants.py 300 [--seed 0] [--again] [PART ...]

Mutants (``mutations.py``) are drawn evenly from the modules whose path has a PART in it. Each is tested in a forked
process that imports it instead of the original file. It is noticed if a test fails. Tests of the same module come
first, then others that call the changed function, the quickest first; for a change outside of functions, the tests of
the same package. Outcomes are kept in ``runs/mutants.jsonl``, so that the same command resumes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import itertools
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest
from mutations import Mutant, mutants

ROOT = Path(__file__).parents[1]
PACKAGE, RECORD = ROOT / "cplearn_solo", ROOT / "runs/mutants.jsonl"
ROOMS = "losses metrics objective dictionary.py code_algebra.py evaluation data engine/optim*.py"
TESTS = "losses metrics objective test_dictionary.py test_code_algebra.py evaluation data engine/test_optim.py"
QUICK = "not slow and not integration and not distributed and not cuda"
# other packages, imported before a process forks
HEAVY = "torch lightning torchvision.transforms.v2 torchmetrics timm sklearn.cluster sklearn.neighbors scipy.optimize "
HEAVY += "sklearn.linear_model sklearn.manifold sklearn.mixture pyarrow.parquet hydra omegaconf PIL.Image"
TESTS_SECONDS, PROCESS_SECONDS = 6.0, 30  # limits of a mutant's tests, and of its process


class Finder(PathFinder):
    """Imports a mutant instead of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self.path, self.code = str(mutant.path), compile(mutant.tree, mutant.path, "exec")

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin != self.path:
            return None
        spec.loader.get_code = lambda _: self.code
        return spec


class Watch:
    """A plugin of pytest: seconds of each passed test, and the functions that it calls, as ``file:function``."""

    def __init__(self) -> None:
        self.passed: dict[str, dict[str, Any]] = {}
        self._called: set[Any] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        self._called, start = set(), time.process_time()
        sys.setprofile(lambda frame, event, _: event == "call" and self._called.add(frame.f_code))
        done = yield
        sys.setprofile(None)
        if item.nodeid in self.passed:
            ours = (code for code in self._called if code.co_filename.startswith(str(PACKAGE)))
            calls = {f"{os.path.relpath(code.co_filename, PACKAGE)}:{code.co_name}" for code in ours}
            self.passed[item.nodeid] = {"seconds": time.process_time() - start, "calls": sorted(calls)}
        return done

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" and report.outcome == "passed":
            self.passed[report.nodeid] = {}


class Chosen:
    """A plugin of pytest: runs ``tests`` in this order and stores the first that fails."""

    def __init__(self, tests: list[str]) -> None:
        self.rank, self.failed = {test: rank for rank, test in enumerate(tests)}, ""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.rank), key=lambda i: self.rank[i.nodeid])

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


class Record:
    """Outcomes by name, a line each in :data:`RECORD`; later lines replace earlier ones."""

    def __init__(self) -> None:
        RECORD.parent.mkdir(exist_ok=True)
        lines = map(json.loads, RECORD.read_text().splitlines() if RECORD.exists() else [])
        self.kept = {line["name"]: line["found"] for line in lines}

    def add(self, name: str, found: Any) -> None:
        self.kept[name] = found
        with RECORD.open("a") as file:
            file.write(json.dumps({"name": name, "found": found}) + "\n")


def ran(files: Iterable[str], plugin: Any, *more: str) -> int:
    """Runs pytest and returns its exit code."""
    without = ["-p", "no:cacheprovider", "-p", "no:unraisableexception"]  # the latter raises when pytest ends
    options = ["-q", *more, "-o", "addopts=", *without, "-m", QUICK, "--rootdir", str(ROOT)]
    return int(pytest.main([*options, *files], plugins=[plugin]))


def forked(work: Callable[[], Any], seconds: int = 600) -> Any:
    """The result of ``work`` in a silent child process; ``None`` if it is killed or takes too long."""
    with tempfile.TemporaryFile("w+") as told:
        if not (child := os.fork()):
            code = 1
            try:
                os.setsid()
                resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
                for stream in (0, 1, 2):
                    os.dup2(os.open(os.devnull, os.O_RDWR), stream)
                json.dump(work(), told)
                told.flush()
                code = 0
            finally:
                os._exit(code)
        end = time.monotonic() + 6 * seconds
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > end:
                os.killpg(child, signal.SIGKILL)
            time.sleep(0.02)
        if os.WIFEXITED(ended[1]) and os.WEXITSTATUS(ended[1]):
            raise RuntimeError("pytest could not be run")
        told.seek(0)
        return json.loads(told.read() or "null")


def files_of(names: str, top: Path, pattern: str) -> list[Path]:
    """Files that ``names`` match, and files of matching folders."""
    found = (path for name in names.split() for path in top.glob(name))
    return sorted(file for path in found for file in ([path] if path.is_file() else path.rglob(pattern)))


def watched(record: Record) -> dict[str, dict[str, Any]]:
    """Every quick test with its seconds and calls; only new and changed files are run."""
    tests: dict[str, dict[str, Any]] = {}
    for file in files_of(TESTS, ROOT / "tests", "test_*.py"):
        key = f"{file.relative_to(ROOT)} {hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"

        def work(file: Path = file) -> dict[str, Any]:
            ran([str(file)], watch := Watch())
            return watch.passed

        if key not in record.kept:
            record.add(key, forked(work) or {})
        tests |= record.kept[key]
    return tests


def tests_of(mutant: Mutant, tests: dict[str, dict[str, Any]]) -> list[str]:
    """The tests to try, file by file, because fixtures of a file may be expensive."""
    module, file = str(mutant.path.relative_to(PACKAGE)), {name: name.split("::")[0] for name in tests}
    at = f"{module}:{mutant.function}"
    calls = {n for n, t in tests.items() if any(c == at if mutant.function else c.startswith(at) for c in t["calls"])}
    own = {name for name in tests if file[name].endswith(f"/test_{mutant.path.stem}.py")}
    tried = own | {name for name in tests if file[name] in {file[name] for name in calls}}
    if not calls or not mutant.function:
        room = f"tests/{module.removesuffix('.py').split('/')[0]}/"
        tried |= {name for name in tests if name.startswith(room)}
    order = sorted(tried, key=lambda name: (name not in own, name not in calls, tests[name]["seconds"]))
    until = itertools.accumulate(tests[name]["seconds"] for name in order)
    chosen = [name for name, seconds in zip(order, until) if seconds < TESTS_SECONDS]
    files = list(dict.fromkeys(file[name] for name in chosen))
    return sorted(chosen, key=lambda name: files.index(file[name]))


def outcome(mutant: Mutant, tests: list[str]) -> str:
    """The test that notices ``mutant``, or another end of its process; empty if nothing notices it."""

    def work() -> str:
        sys.meta_path.insert(0, Finder(mutant))
        code = ran(dict.fromkeys(str(ROOT / name.split("::")[0]) for name in tests), chosen := Chosen(tests), "-x")
        return chosen.failed or ("" if code == 0 else f"pytest ended with {code}")

    found = forked(work, PROCESS_SECONDS) if tests else ""
    return "no end" if found is None else found


def drawn(files: list[Path], count: int, seed: int) -> list[tuple[Path, str]]:
    """``count`` mutants by file and name, drawn from the files in turn; a larger ``count`` only adds mutants."""

    def rank(of: tuple[Path, str]) -> bytes:
        return hashlib.sha256(f"{seed} {of[1]}".encode()).digest()

    columns = [sorted(((file, mutant.name) for mutant in mutants(file, PACKAGE)), key=rank) for file in files]
    turns = itertools.zip_longest(*sorted(columns, key=lambda column: rank(column[0]) if column else b""))
    return list(itertools.islice(filter(None, itertools.chain(*turns)), count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("parts", nargs="*", metavar="PART", default=[""])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="those that nothing has noticed are tried again")
    asked = parser.parse_intermixed_args()
    files = [file for file in files_of(ROOMS, PACKAGE, "*.py") if any(part in str(file) for part in asked.parts)]
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for package in HEAVY.split():
        with suppress(ImportError):
            importlib.import_module(package)
    record = Record()
    tests, table, left = watched(record), defaultdict(Counter), []
    for file, name in drawn(files, asked.count, asked.seed):
        mutant = next(mutant for mutant in mutants(file, PACKAGE) if mutant.name == name)
        if name not in record.kept or asked.again and not record.kept[name]:
            record.add(name, outcome(mutant, tests_of(mutant, tests)))
            print(f"{record.kept[name] or 'NOT NOTICED'} <- {name}", flush=True)
        table[file.relative_to(PACKAGE)][bool(record.kept[name])] += 1
        if not record.kept[name]:
            left.append(f"{file.relative_to(ROOT)}:{mutant.line}: {mutant.change}")
    for module, counts in sorted(table.items()):
        print(f"{str(module):32} {counts[True]:3} of {counts.total():3}")
    noticed = sum(counts[True] for counts in table.values())
    print(f"{noticed} of {noticed + len(left)} noticed; not:", *sorted(left), sep="\n")


if __name__ == "__main__":
    main()
