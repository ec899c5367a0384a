"""Long runs of tiny steps, and many resumes: ``python -m tests.soak 3000 1000 50`` trains 3,000 steps in memory, 1,000
from files, and one run that is ended and resumed 50 times.

Memory must be flat once a run is warm: within ``FLAT`` of what the first quarter of its epochs had taken. The weights
of the resumed run must be those of a run that nothing has ended, to the bit.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from lightning import Callback, Trainer  # noqa: E402
from support.configs import tiny  # noqa: E402
from support.images import write_images  # noqa: E402

from cplearn_solo.config import parse_config  # noqa: E402
from cplearn_solo.core.messages import messages_apart  # noqa: E402
from cplearn_solo.engine import train  # noqa: E402

FLAT = 20.0  # MB
STEPS = 10  # of an epoch
SMALLEST = {"backbone": {"kwargs": {"width": 2}}, "on_collapse": "warn", "checkpoint": {"frequency": 50}}


class Memory(Callback):
    """MB that this process and its workers hold at the end of each epoch, what they share counted once.

    Pages of libraries do not count: how many of them are this process's own depends on what else runs.
    """

    def __init__(self) -> None:
        self.held: list[float] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.held.append(sum(_held(pid) for pid in (os.getpid(), *_children())))

    @property
    def growth(self) -> float:
        """By how much the last quarter of the epochs holds more than the first at its end."""
        quarter = len(self.held) // 4
        return max(self.held[-quarter:]) - max(self.held[:quarter])


def _held(pid: int) -> float:
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:"))) / 1000
    return 0.0


def _children() -> list[int]:
    text = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in text.split()]


def trained(config: dict[str, Any], memory: Memory | None = None, until: int | None = None) -> dict[str, torch.Tensor]:
    """Weights after a training that says nothing."""
    build = train.build_trainer

    def with_memory(*args: Any) -> Trainer:
        trainer = build(*args)
        trainer.callbacks += [memory] if memory else []
        return trainer

    train.build_trainer = with_memory
    try:
        with contextlib.redirect_stdout(io.StringIO()), messages_apart():
            done = train.pretrain(parse_config(config), until=until)
    finally:
        train.build_trainer = build
    done.run.close()
    return done.module.state_dict()


def soak(folder: Path, steps: int, **data: Any) -> Memory:
    """So many steps of eight images."""
    memory = Memory()
    data = {"max_train_images": STEPS * 8, "max_val_images": 8, **data}
    trained(tiny(folder, batch_size=8, max_epochs=steps // STEPS, data=data, **SMALLEST), memory)
    return memory


def resumed(folder: Path, times: int) -> bool:
    """Whether a run that is ended after every epoch has the weights of one that is not."""
    config = {"batch_size": 8, "max_epochs": times + 1, "data": {"max_train_images": 24, "max_val_images": 8}}
    config |= {**SMALLEST, "checkpoint": {}}
    whole = trained(tiny(folder / "whole", **config))
    for epoch in range(1, times + 2):
        ours = trained(tiny(folder / "resumed", **config), until=epoch)
    assert len(list((folder / "resumed").glob("*/*/config.yaml"))) == 1, "not resumed"
    return all(torch.equal(value, ours[name]) for name, value in whole.items() if torch.is_tensor(value))


def main(in_memory: int = 20_000, from_files: int = 5_000, resumes: int = 50) -> int:
    """Prints what was measured; exit code 1 if memory grew or weights differ."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_images(folder / "images", [f"{i % 2}/{i}.png" for i in range(STEPS * 8)])
        files = {"dataset": "custom", "train_path": str(folder / "images"), "val_path": None, "num_workers": 1}
        grown = []
        for where, steps, data in (("memory", in_memory, {}), ("files", from_files, files)):
            memory = soak(folder / where, steps, **data)
            grown.append(memory.growth)
            held = f"{memory.held[-1]:.0f} MB at the end, {memory.growth:+.1f} MB since it was warm"
            print(f"{steps} steps, images in {where}: {held}", flush=True)
        same = resumed(folder, resumes)
        print(f"{resumes} resumes: weights are {'those' if same else 'NOT those'} of one run")
    return int(not same or max(grown) > FLAT)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
