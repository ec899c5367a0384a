"""Configurations and files with something wrong in them: ``python tests/fuzz.py 2000 500`` makes so many of each.

A configuration is a shipped one with one value changed, or a key misspelt; it is taken, or refused in one line that
names the key. A file is a checkpoint or a file of features with bytes changed, cut out or added; it is read, or refused
in one line.
"""

from __future__ import annotations

import copy
import io
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from support.configs import PRETRAIN, composed  # noqa: E402

from cplearn_solo.collapse.arrays import read_arrays  # noqa: E402
from cplearn_solo.core.errors import InputError  # noqa: E402
from cplearn_solo.engine.checkpoint import read_checkpoint  # noqa: E402
from cplearn_solo.interface.checked import checked  # noqa: E402

SECONDS = 3.0  # that a mistake may take to be told
VALUES = (
    *(-1, 0, 1, 2, -(2**31), 2**31, 2**63, 10**30, -0.5, 0.5, 1e-300, 1e308, float("nan"), float("inf"), True, False),
    *(None, "", " ", "x", "auto", "../..", "/", "a\nb", "${seed}", "${nowhere}", "1e5", "ä\u202e😀", "0" * 5000),
    *([], [1], [-1, 1], [[1]], ["x"], [None], {}, {"a": 1}, {"": 0}, {"a": {"b": []}}, [{"crop_size": 8}], [{}] * 50),
)


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


def fuzz_configurations(count: int, dice: random.Random) -> Counter[str]:
    """Each is taken, or refused in a line with the key."""
    files = [path for folder in ("digits", "cifar", "custom") for path in sorted((PRETRAIN / folder).glob("*.yaml"))]
    plain = [OmegaConf.to_container(composed(file)) for file in files]
    found: Counter[str] = Counter()
    for _ in range(count):
        config, place, value = mutated(dice.choice(plain), dice)
        name = ".".join(map(str, place))
        try:
            line = refused(checked, config)
            names = {str(part) for part in place if not isinstance(part, int)}
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


def main(configurations: int = 2000, files: int = 500, seed: int = 0) -> int:
    """Prints what is wrong, and how many of how many; returns the number that is wrong."""
    dice = random.Random(seed)
    of_configurations = fuzz_configurations(configurations, dice)
    with tempfile.TemporaryDirectory() as folder:
        of_files = fuzz_files(files, dice, Path(folder))
    for what, found in (("configurations", of_configurations), ("files", of_files)):
        print(f"{what}: {found['refused']} refused, {found['taken']} taken, {found['wrong']} wrong (seed {seed})")
    return of_configurations["wrong"] + of_files["wrong"]


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
