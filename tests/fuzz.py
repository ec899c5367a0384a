"""Configurations, command lines and files with something wrong in them: ``python tests/fuzz.py 2000 500 1000`` makes so
many configurations, files and command lines.

A configuration, of any program, is a shipped one with one value changed, or a key misspelt; it is taken, or refused in
one line that names the key. A command line has one of its words changed; it is taken, or refused in one line. A file is
a checkpoint or a file of features with bytes changed, cut out or added; it is read, or refused in one line.
"""

from __future__ import annotations

import contextlib
import copy
import io
import os
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from support.configs import PRETRAIN, composed  # noqa: E402

from cplearn_solo.cli.main import COMMANDS  # noqa: E402
from cplearn_solo.cli.table import planned as planned_table  # noqa: E402
from cplearn_solo.cli.tune import planned as planned_search  # noqa: E402
from cplearn_solo.collapse.arrays import read_arrays  # noqa: E402
from cplearn_solo.config.evaluation import ClusteringConfig, KNNConfig, LinearConfig  # noqa: E402
from cplearn_solo.config.read_evaluation import parse_evaluation  # noqa: E402
from cplearn_solo.core.errors import InputError  # noqa: E402
from cplearn_solo.detection.schema import parse_detection  # noqa: E402
from cplearn_solo.engine.checkpoint import read_checkpoint  # noqa: E402
from cplearn_solo.interface.checked import checked  # noqa: E402

SECONDS = 3.0  # that a mistake may take to be told
VALUES = (
    *(-1, 0, 1, 2, -(2**31), 2**31, 2**63, 10**30, -0.5, 0.5, 1e-300, 1e308, float("nan"), float("inf"), True, False),
    *(None, "", " ", "x", "auto", "../..", "/", "a\nb", "${seed}", "${nowhere}", "1e5", "ä\u202e😀", "0" * 5000),
    *([], [1], [-1, 1], [[1]], ["x"], [None], {}, {"a": 1}, {"": 0}, {"a": {"b": []}}, [{"crop_size": 8}], [{}] * 50),
)
TEXTS = (
    *("-1", "0", "1", "2147483648", "1e5", "nan", "inf", "true", "null", "", " ", "x", "auto", "../..", "/", "a\nb"),
    *("${seed}", "${nowhere}", "ä\u202e😀", "0" * 5000, "[]", "{}", "[1", "{a", "a=b", "=", "a.b=", "a=[", "a={b", "'"),
)
OF_IMAGES = ["--batch-size=2", "--num-workers=1", "--accelerator=cpu", "--data=channels=3"]
HYDRA = ["--config-name=cplearn.yaml", "--cfg=job"]
COMMAND_LINES = {  # none of which has anything to work on
    "pretrain": [*HYDRA, "optimizer.lr=1", "data.fraction=0.5", "augmentations.0.crop_size=8", "seed=1"],
    "linear": [*HYDRA, "pretrained=nowhere", "optimizer.lr=1", "data.val_path=x"],
    "knn": [*HYDRA, "pretrained=nowhere", "k=1", "temperature=1"],
    "clustering": [*HYDRA, "pretrained=nowhere", "protocol=eval"],
    "detect": ["--config-name=mini.yaml", "--cfg=job", "pretrained=nowhere", "model.sizes=[64]", "optimizer.lr=1"],
    "table": ["--config-name=table1.yaml", "--cfg=job", "seeds=1", "rows=null", "scale=full"],
    "tune": [*HYDRA, "budget=2", "rungs=2", "score=rankme"],
    "check": ["nowhere", "--sheet=x.png", "data.channels=3"],
    "collapse": [
        "nowhere",
        "--images=10",
        "--max-components=10",
        "--protocol=standard",
        "--data=channels=3",
        "--seed=0",
    ],
    "embed": ["nowhere", "nowhere", "out.npz", "--space=bits", *OF_IMAGES],
    "predict": ["nowhere", "nowhere", "out.csv", *OF_IMAGES],
    "gallery": ["nowhere", "nowhere", "out.html", "--seed=1", *OF_IMAGES],
    "duplicates": ["nowhere", "nowhere", "--out=x.csv", *OF_IMAGES],
    "search": ["nowhere", "nowhere", "nowhere", "--top=1", "--out=x.csv", "--accelerator=cpu"],
    "export": ["nowhere", "out.pt"],
    "runs": [".", "--sort=age", "seed=1"],
}


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths of all values in nested mappings and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, one in items for place in [(*path, key), *places(one, (*path, key))]]


def mutated(plain: dict[str, Any], dice: random.Random) -> tuple[dict[str, Any], tuple, Any]:
    """A changed copy, where it was changed, and to what."""
    changed, value = copy.deepcopy(plain), copy.deepcopy(dice.choice(VALUES))
    *way, last = dice.choice(places(plain))
    place: Any = changed
    for key in way:
        place = place[key]
    if dice.random() < 0.1 and isinstance(last, str):  # a key that is misspelt
        place[wrong := f"{last}x"] = place.pop(last)
        return changed, (*way, wrong), value
    place[last] = value
    return changed, (*way, last), value


def refused(read: Any, *arguments: Any) -> str | None:
    """The line that refuses, or ``None``; ``AssertionError`` for anything else."""
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(*arguments)
        line = None
    except InputError as error:
        line = str(error)
        assert line.strip(), "an empty line"
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error
    assert time.process_time() - began < SECONDS, "it took too long"
    return line


def readers() -> list[tuple[str, Any, dict[str, Any]]]:
    """Programs, what reads a configuration of theirs, and one that it takes; half of them pretrain."""
    files = [path for folder in ("digits", "cifar", "custom") for path in sorted((PRETRAIN / folder).glob("*.yaml"))]
    found = [("pretrain", checked, OmegaConf.to_container(composed(file))) for file in files]
    of_run: dict[str, Any] = {
        "linear": partial(parse_evaluation, schema=LinearConfig),
        "knn": partial(parse_evaluation, schema=KNNConfig),
        "clustering": partial(parse_evaluation, schema=ClusteringConfig),
        "detection": parse_detection,
    }
    others = [
        (program, read, OmegaConf.to_container(OmegaConf.merge(composed(file), {"pretrained": "nowhere"})))
        for program, read in of_run.items()
        for file in sorted((PRETRAIN.parent / program).glob("[!cv]*.yaml" if program == "detection" else "*.yaml"))
    ]
    digits = {"data": {"dataset": "digits"}, "seeds": 1, "rows": None, "workers": 1}
    others += [
        ("table", planned_table, OmegaConf.to_container(composed(file)) | digits)
        for file in sorted((PRETRAIN.parent / "tables").glob("table[1-9].yaml"))
    ]
    search = {"budget": 2, "rungs": 2, "score": "linear_acc1", "generation": 4, "workers": None, "launcher": "local"}
    others.append(("tune", planned_search, OmegaConf.to_container(composed(PRETRAIN / "digits/cplearn.yaml")) | search))
    return found + [others[i % len(others)] for i in range(max(len(found), len(others)))]


def fuzz_command_lines(count: int, dice: random.Random) -> Counter[str]:
    """Each ends well, or with exit code 2 and a line."""
    found: Counter[str] = Counter()
    for _ in range(count):
        command = dice.choice(list(COMMAND_LINES))
        words = list(COMMAND_LINES[command])
        at = dice.randrange(len(words))
        name, equals, _ = words[at].partition("=")
        misspelt = equals and dice.random() < 0.2
        words[at] = f"{name}x{words[at][len(name) :]}" if misspelt else f"{name}{equals}{dice.choice(TEXTS)}"
        if not equals:
            words[at] = dice.choice(TEXTS)
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                COMMANDS[command](words)
            found["taken"] += 1
        except SystemExit as end:
            last = said.getvalue().splitlines()[-1:] or [""]
            fits = end.code == 2 and last[0].startswith(f"{command}: error: ")
            found["refused" if fits else "wrong"] += 1
            if not fits:
                print(f"{command} {words}: exit code {end.code}: {said.getvalue()[-300:]}", flush=True)
        except Exception as error:
            found["wrong"] += 1
            print(f"{command} {words}: {type(error).__name__}: {str(error)[:300]}", flush=True)
    return found


def fuzz_configurations(count: int, dice: random.Random) -> Counter[str]:
    """Each is taken, or refused in a line with the key."""
    known = readers()
    found: Counter[str] = Counter()
    for _ in range(count):
        program, read, plain = dice.choice(known)
        config, place, value = mutated(plain, dice)
        name = f"{program} {'.'.join(map(str, place))}"
        try:
            line = refused(read, config)
            names = {str(part).rstrip("xs") for part in place if not isinstance(part, int)}  # misspelt, of several
            assert line is None or any(part in line for part in names), f"does not name it: {line}"
            found["taken" if line is None else "refused"] += 1
        except AssertionError as error:
            found["wrong"] += 1
            print(f"{name} = {str(value)[:60]!r}: {str(error)[:300]}", flush=True)
    return found


def fuzz_files(count: int, dice: random.Random, folder: Path) -> Counter[str]:
    """Each is read, or refused in a line."""
    originals = {".ckpt": io.BytesIO(), ".npz": io.BytesIO(), ".npy": io.BytesIO(), ".pt": io.BytesIO()}
    features = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    torch.save({"state_dict": {"w": torch.ones(9)}, "cplearn_solo": {"config": {}}, "epoch": 3}, originals[".ckpt"])
    np.savez(originals[".npz"], features=features, codes=np.arange(20))
    np.save(originals[".npy"], features)
    torch.save({"features": torch.from_numpy(features)}, originals[".pt"])
    found: Counter[str] = Counter()
    for _ in range(count):
        ending = dice.choice(list(originals))
        data = bytearray(originals[ending].getvalue())
        for _ in range(dice.randint(1, 8)):
            where, how = dice.randrange(len(data)), dice.random()
            if how < 0.7:
                data[where] = dice.randrange(256)
            elif how < 0.85:
                del data[where : where + dice.randint(1, 64)]
            else:
                data[where:where] = dice.randbytes(dice.randint(1, 64))
        file = folder / f"a{ending}"
        file.write_bytes(data)
        try:
            line = refused(read_checkpoint if ending == ".ckpt" else read_arrays, file)
            assert line is None or str(file) in line, f"does not name it: {line}"
            found["taken" if line is None else "refused"] += 1
        except AssertionError as error:
            found["wrong"] += 1
            print(f"{file.name}: {str(error)[:300]}", flush=True)
    return found


def main(configurations: int = 2000, files: int = 500, lines: int = 1000, seed: int = 0) -> int:
    """Prints what is wrong, and how many of how many; returns the number that is wrong."""
    dice = random.Random(seed)
    of_configurations = fuzz_configurations(configurations, dice)
    with tempfile.TemporaryDirectory() as folder:
        of_files = fuzz_files(files, dice, Path(folder))
        os.chdir(folder)  # where there is nothing to work on
        of_lines = fuzz_command_lines(lines, dice)
        os.chdir(ROOT)
    of_all = {"configurations": of_configurations, "files": of_files, "command lines": of_lines}
    for what, found in of_all.items():
        print(f"{what}: {found['refused']} refused, {found['taken']} taken, {found['wrong']} wrong (seed {seed})")
    return sum(found["wrong"] for found in of_all.values())


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
