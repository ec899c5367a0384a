"""What this project does on a GPU, within some minutes: python benchmarks/gpu.py --minutes 8 --out FOLDER

Stages run one after the other, each in a process of its own with a limit of its own, in the order of their worth:
ceilings of the machine, ``pytest -m cuda``, the objective, training steps, and with ``--rows`` cells of Table 1. Each
writes what it finds at once to ``FOLDER/gpu.json`` and ``FOLDER/gpu.txt``, so that a crash or the end of time loses one
stage; ``FOLDER/log.txt`` has what they print. ``docs/devices.md`` says what each of them shows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from gpu_stages.options import Options
from gpu_stages.report import read, write
from gpu_stages.rows import LAST_ROW, ROWS
from gpu_stages.wheels import HOW, Refused, missing, unpacked

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[1]
# largest share of the minutes that a stage may take
SHARES = {"ceilings": 0.1, "tests": 0.4, "objective": 0.25, "steps": 0.45, "rows": 1.0}
MACHINE_SECONDS, CLOSING_SECONDS, GRACE_SECONDS = 90, 10, 20
LEAST_SECONDS = 30  # least time of a stage; with less, it is left out


def main() -> int:
    options = parsed()
    deadline = time.monotonic() + 60 * options.minutes - CLOSING_SECONDS
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    try:
        environment = prepared(options)
        places = {"out": str(out), "work": str(options.work), "data": options.data}
        told = Options(device=options.device, seconds=MACHINE_SECONDS, **places)
        told.rows, told.workers, told.keep_mb = options.rows or [], options.workers, options.keep_mb
        if ended := stage("machine", told, environment):
            raise Refused(ended)
    except Refused as reason:
        print(f"gpu: error: {reason}", file=sys.stderr)
        return 2
    for name in options.stages:
        left = deadline - time.monotonic()
        told.seconds = min(max(SHARES[name] * 60 * options.minutes, LEAST_SECONDS), left)
        if left > LEAST_SECONDS:
            stage(name, told, environment)
        else:
            print(f"{name}: left out, no time is left", flush=True)
    print("\n" + (out / "gpu.txt").read_text())
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8, help="all stages together (default: %(default)s)")
    parser.add_argument(
        "--out", required=True, metavar="FOLDER", help="results; of an earlier call: goes on from there"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal at tiny sizes")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="packages that are missing here")
    parser.add_argument("--stages", metavar="A,B", help=f"of {', '.join(SHARES)}; default: all, rows with --rows only")
    parser.add_argument("--rows", nargs="*", metavar="ROW", choices=[*ROWS, LAST_ROW], help="of Table 1; default: all")
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        help="for --rows: CIFAR-10 as train.parquet and test.parquet, as seen from the checkout",
    )
    parser.add_argument("--work", type=Path, default=ROOT / "runs/gpu", metavar="FOLDER", help="what need not be kept")
    parser.add_argument("--workers", type=int, help="cells at a time (default: half the cores, at most 8)")
    parser.add_argument(
        "--keep-mb", type=int, default=45, help="of checkpoints, for the next call (default: %(default)s)"
    )
    options = parser.parse_args()
    options.out, options.work = Path(options.out).resolve(), options.work.resolve()
    default = [name for name in SHARES if name != "rows" or options.rows is not None]
    options.stages = options.stages.split(",") if options.stages else default
    for name in options.stages:
        if name not in SHARES:
            parser.error(f"stages = {name}: must be of {', '.join(SHARES)}")
    return options


def prepared(options: argparse.Namespace) -> dict[str, str]:
    """The environment variables of the stages; :class:`Refused` if something that they need is missing."""
    path = [str(ROOT), str(HERE)]
    if options.wheels:
        shutil.rmtree(options.work / "site", ignore_errors=True)
        path.append(str(unpacked(options.wheels, options.work / "site")))
    sys.path += path
    if lacking := missing():
        raise Refused(f"not installed here: {', '.join(lacking)}; --wheels FOLDER adds them; {HOW}")
    if "rows" in options.stages:
        files = [Path(options.data or ".", name) for name in ("train.parquet", "test.parquet")]
        if not options.data or not all((ROOT / file).is_file() for file in files):
            raise Refused(f"data = {options.data}: must be a folder with train.parquet and test.parquet")
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*path, *inherited])}


def stage(name: str, options: Options, environment: dict[str, str]) -> str | None:
    """Runs a stage and records how it ended; returns the reason if it failed."""
    out, started = Path(options.out), time.monotonic()
    command = [sys.executable, "-m", "gpu_stages", name, json.dumps(asdict(options))]
    log = out / "log.txt"
    with log.open("a") as file:
        print(f"\n=== {name}", file=file, flush=True)
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, env=environment, start_new_session=True
        )
        try:
            code = process.wait(options.seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            close(process)
    seconds = time.monotonic() - started
    last = log.read_text(errors="replace").strip().splitlines()[-1]
    failed = f"stopped after {seconds:.0f} s" if code is None else last if code else None
    stages = read(out)
    part = stages.get(name, {"rows": [], "lines": []})
    stages[name] = {**part, "ended": f"{seconds:.0f} s" if failed is None else f"failed, {failed}"}
    write(out, stages)
    print(f"{name}: {stages[name]['ended']}", flush=True)
    return failed


def close(process: subprocess.Popen) -> None:
    """Asks a stage to end, and later kills it with all processes that it has started."""
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
