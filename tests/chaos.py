"""Programs that are killed at random moments and started again until they end: ``python tests/chaos.py 40`` kills 40.

Killed by SIGKILL, by SIGTERM (the program, or all of its processes), by a disk with room for so many bytes a file, or
by the death of one of its helpers. What is there at the end must be what an undisturbed program leaves: the same
weights to the bit, the same rows and scores, the same files; no traceback on the way, and no process left behind.

Programs are forked from this process, which has imported what they need: to start Python takes longer than they do.
"""

from __future__ import annotations

import json
import multiprocessing.util
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from support.images import write_images  # noqa: E402

import cplearn_solo.evaluation.programs  # noqa: E402, F401
import cplearn_solo.gallery.write  # noqa: E402, F401
import cplearn_solo.interface.training  # noqa: E402, F401
from cplearn_solo.cli.main import COMMANDS  # noqa: E402

SUMMARY = "runs/*/*/summary.json"
ENDS = ("SIGKILL", "SIGTERM", "full disk", "dead helper")
PATIENCE = 20.0  # seconds until the last helper of a program must have ended
VARYING = ("seconds", "waiting", "date", "images_per_second", "git_sha", "wall_seconds", "run", "command", "config")
DIGITS = ["data.max_train_images=160", "data.max_val_images=100", "max_epochs=3", "accelerator=cpu"]


@dataclass
class Program:
    """A command, run in an empty folder, and how what it leaves there is read."""

    command: str
    arguments: list[str]
    result: Callable[[Path], Any]
    prepare: Callable[[Path], None] = lambda folder: None
    ends: tuple[str, ...] = ENDS
    weight: int = 1  # how often it is chosen
    last: str | None = None  # what it writes last: where that is there, the same command would begin anew, or refuse
    seconds: float = 0.0  # that an undisturbed one takes
    wanted: Any = None
    sizes: list[int] = field(default_factory=list)  # of the files that it writes


def start(program: Program, folder: Path, log: Path, room: int | None = None) -> int:
    """The id of a new process, the first of its session, which writes no file larger than ``room`` bytes."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(out, 1)
        os.dup2(out, 2)
        if room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        sys.modules["__main__"].__spec__ = None  # Lightning starts other ranks by it
        sys.argv = [str(ROOT / f"main_{program.command}.py"), *program.arguments]
        COMMANDS[program.command](program.arguments)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        multiprocessing.util._exit_function()  # what Python does at its end, but for what is this process's
        sys.stdout.flush()
        os._exit(code)


def helpers(session: int) -> list[int]:
    """Living processes of a session but for its first."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            state, _, _, sid = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(sid) == session and state != "Z" and int(entry.name) != session:
            found.append(int(entry.name))
    return found


def wait(pid: int) -> int:
    """Exit code of a process, negative for a signal; all of its helpers must end, too."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    end = time.monotonic() + PATIENCE
    while left := helpers(pid):
        assert time.monotonic() < end, f"processes {left} were left behind"
        time.sleep(0.1)
    return code


def disturb(program: Program, folder: Path, log: Path, how: str, dice: random.Random) -> bool:
    """Runs ``program`` and ends it as ``how`` says; whether it was ended before it had done its work."""
    room = dice.randint(1, max(program.sizes)) if how == "full disk" else None
    pid = start(program, folder, log, room)
    moment = time.monotonic() + dice.uniform(0, program.seconds)
    while time.monotonic() < moment and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.01)
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    if how == "SIGKILL" and not ended:
        os.kill(pid, signal.SIGKILL)
    elif how == "SIGTERM" and not ended:
        (os.killpg if dice.random() < 0.5 else os.kill)(pid, signal.SIGTERM)
    elif how == "dead helper":
        while not (there := helpers(pid)) and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.01)
        if there:
            with suppress(ProcessLookupError):  # it ended by itself
                os.kill(dice.choice(there), signal.SIGKILL)
    code = wait(pid)
    allowed = {"SIGKILL": (-9,), "SIGTERM": (143, -15), "full disk": (2,), "dead helper": (2, -9, 1)}[how]
    said = log.read_text(errors="replace")
    assert code in (0, *allowed), f"exit code {code}:\n{said}"
    assert "Traceback" not in said, said
    return code != 0


# ---- what programs leave


def run_result(folder: Path) -> dict[str, Any]:
    """Weights, optimizer, rows, scores and files of the one run in ``folder``."""
    (run,) = (path.parent for path in folder.glob("runs/*/*/config.yaml"))
    checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    rows = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    steady = [i for i, name in enumerate(rows[0]) if not name.endswith(VARYING)]
    return {
        "weights": {key: value for key, value in checkpoint["state_dict"].items() if torch.is_tensor(value)},
        "optimizer": _tensors(checkpoint["optimizer_states"]),
        "rows": [[row[i] for i in steady] for row in rows],
        "summary": _steady(json.loads((run / "summary.json").read_text())),
        "files": files(run),
    }


def file_result(folder: Path) -> dict[str, Any]:
    """The bytes of what was written beside the run."""
    return {"files": files(folder), "out": [path.read_bytes() for path in sorted((folder / "out").iterdir())]}


def probe_result(folder: Path) -> dict[str, Any]:
    """The latest scores of a probe; one that was killed once it had told them has told them twice."""
    (record,) = folder.glob("run/evaluation.jsonl")
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert all(_steady(line) == _steady(lines[-1]) for line in lines)
    return {"scores": _steady(lines[-1]), "files": files(folder)}


def table_result(folder: Path) -> dict[str, Any]:
    """Rows of the results, by cell, and files of the table."""
    lines = (folder / "results/cells.jsonl").read_text().splitlines()
    done = [line for line in map(json.loads, lines) if "summary" in line]
    cells = {f"{row['column']} {row['row']} {row['seed']}": _steady(row["summary"]) for row in done}
    assert len(cells) == len(done), "a cell was recorded twice"
    return {"cells": cells, "files": files(folder / "results")}


def files(folder: Path) -> list[str]:
    """Names of all files below ``folder`` but for locks, without times in them."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", "lock"))
    return sorted(str(path.relative_to(folder)) for path in paths if path.name != "log")


def _steady(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.endswith(VARYING)}


def _tensors(value: Any) -> list[torch.Tensor]:
    if torch.is_tensor(value):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [tensor for one in inner for tensor in _tensors(one)]


def _difference(part: str, a: Any, b: Any) -> str:
    return f"{part} differ: {set(map(str, a)) ^ set(map(str, b)) if part in ('files', 'rows') else (a, b)}"


def same(a: Any, b: Any) -> bool:
    """Whether all is equal, tensors to the bit."""
    if torch.is_tensor(a):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


# ---- the programs


def programs(shared: Path) -> dict[str, Program]:
    """What is killed. ``shared`` has a finished run and images for those that need them."""
    digits = ["--config-path", str(ROOT / "scripts/pretrain/digits"), "--config-name", "cplearn.yaml", *DIGITS]
    of_files = ["data.dataset=custom", f"data.train_path={shared / 'images'}", "data.val_split=0.2"]
    of_files += ["data.max_train_images=null", "data.max_val_images=null", "data.num_workers=2"]
    of_files += ["optimizer.batch_size=16"]

    def with_run(folder: Path) -> None:
        shutil.copytree(shared / "run", folder / "run")
        (folder / "out").mkdir()

    over_images = ["run", str(shared / "images")]
    in_memory, of_two = digits, [*digits, "devices=2"]
    vectors, page = ([*over_images, out, "--num-workers", "1"] for out in ("out/e.npz", "out/g.html"))
    table = ("SIGKILL", "SIGTERM")  # of whose cells the others are told as failures
    return {
        "pretraining, images in memory": Program("pretrain", in_memory, run_result, last=SUMMARY, weight=3),
        "pretraining, image files": Program("pretrain", [*digits, *of_files], run_result, last=SUMMARY, weight=3),
        "pretraining, two processes": Program("pretrain", of_two, run_result, last=SUMMARY),
        "embedding": Program("embed", vectors, file_result, with_run, last="out/e.npz", weight=2),
        "gallery": Program("gallery", page, file_result, with_run, last="out/g.html"),
        "linear probe": Program("linear", ["pretrained=run"], probe_result, with_run, ends=ENDS[:3], weight=2),
        "table": Program("table", table_arguments(), table_result, ends=table),
    }


def table_arguments() -> list[str]:
    """One row of a small table."""
    tiny = ["max_epochs=1", "data.max_train_images=96", "data.max_val_images=96", "accelerator=cpu", "workers=1"]
    return [f"table={ROOT / 'tests/tables/tiny.yaml'}", "results=results", *tiny]


def prepare(shared: Path) -> None:
    """Images, and a finished run."""
    write_images(shared / "images", [f"{i % 2}/{i}.png" for i in range(48)])
    pretraining = programs(shared)["pretraining, images in memory"]
    assert wait(start(pretraining, shared, shared / "log")) == 0, (shared / "log").read_text()
    (run,) = (path.parent for path in shared.glob("runs/*/*/summary.json"))
    run.rename(shared / "run")


def undisturbed(program: Program, folder: Path) -> None:
    """Notes what ``program`` leaves and how long it takes."""
    folder.mkdir()
    program.prepare(folder)
    began = time.monotonic()
    code = wait(start(program, folder, folder / "log"))
    assert code == 0, (folder / "log").read_text()
    program.seconds, program.wanted = time.monotonic() - began, program.result(folder)
    program.sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.stat().st_size]


def trial(program: Program, folder: Path, dice: random.Random) -> Counter[str]:
    """Kills ``program`` once to three times and lets it end; how often in which way."""
    folder.mkdir()
    program.prepare(folder)
    kills: Counter[str] = Counter()
    for attempt in range(dice.randint(1, 3)):
        how = dice.choice(program.ends)
        if not disturb(program, folder, folder.with_name(f"{folder.name}-{attempt}.log"), how, dice):
            break
        kills[how] += 1
        if program.last and any(folder.glob(program.last)):
            break
    log = folder.with_name(f"{folder.name}.log")
    if not (program.last and any(folder.glob(program.last))):
        code = wait(start(program, folder, log))
        assert code == 0, f"exit code {code}:\n{log.read_text()}"
    found = program.result(folder)
    for part in program.wanted:
        assert same(program.wanted[part], found[part]), _difference(part, program.wanted[part], found[part])
    return kills


def main(kills: int, seed: int = 0, only: str = "") -> None:
    """Prints a line a trial, and what did not survive; exit code 1 if anything did not."""
    dice, done, failed = random.Random(seed), Counter(), 0
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "shared").mkdir()
        prepare(root / "shared")
        known = {name: program for name, program in programs(root / "shared").items() if only in name}
        for number, (name, program) in enumerate(known.items()):
            undisturbed(program, root / f"whole-{number}")
            print(f"{name}: {program.seconds:.0f} s undisturbed", flush=True)
        number = 0
        while sum(done.values()) < kills and failed < 5:
            (name,) = dice.choices(list(known), [program.weight for program in known.values()])
            folder, number = root / f"trial-{number}", number + 1
            try:
                survived = trial(known[name], folder, dice)
            except (AssertionError, OSError, ValueError) as error:
                failed += 1
                print(f"{name}: FAILED: {error!r}; there are {files(folder)}", flush=True)
                continue
            done.update({f"{name}, {how}": times for how, times in survived.items()})
            print(f"{name}: survived {', '.join(survived.elements()) or 'nothing, it was faster'}", flush=True)
            shutil.rmtree(folder)
    print(f"{sum(done.values())} kills survived, {failed} trials failed (seed {seed})")
    for what, times in sorted(done.items()):
        print(f"  {times:3d}  {what}")
    sys.exit(int(failed > 0))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]), *sys.argv[3:])
