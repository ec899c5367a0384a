"""Folders of images listed, and looked at by a worker: python benchmarks/listing.py [FOLDER OF CLASS FOLDERS]

Without a folder, 100,000 files in 100 class folders are made, all but one empty. The reference is torchvision's
``ImageFolder``, which stores no sizes. Times are processor time of the second listing, each kind in a separate process;
memory is the peak of that process, minus its memory after the imports. The worker's memory is the memory that it stops
sharing in an epoch: a forked process reads the place and the label of every image in a random order, and counts the
pages that it shares with no other process.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from history import record
from PIL import Image
from shared import own_process, run
from torchvision.datasets import ImageFolder

from cplearn_solo.core.memory import held_alone
from cplearn_solo.data import DataConfig, load_splits

FILES, CLASSES = 100_000, 100


def listed(way: str, root: str) -> tuple[int, Callable[[int], tuple[object, int]]]:
    """The number of images, and a function that returns the place and the label of one."""
    if way == "ours":
        images = load_splits(DataConfig(dataset="custom", train_path=root), seed=0).train
        return len(images), lambda i: (images.sources[i], int(images.labels[i]))
    folder = ImageFolder(root)
    return len(folder), lambda i: folder.samples[i]


def grown_in_an_epoch(count: int, look: Callable[[int], object]) -> float:
    """Megabytes that a forked process stops sharing while it looks at every image."""
    order = np.random.default_rng(0).permutation(count)
    read, write = os.pipe()
    if os.fork() == 0:
        look(0)
        before = held_alone(os.getpid())
        for i in order:
            look(int(i))
        os.write(write, str((held_alone(os.getpid()) - before) / 1e6).encode())
        os._exit(0)
    os.wait()
    return float(os.read(read, 100))


def measure(way: str, root: str) -> None:
    """Prints the seconds of the second listing, and the megabytes of a worker."""
    listed(way, root)
    start = time.process_time()
    count, look = listed(way, root)
    print(time.process_time() - start, grown_in_an_epoch(count, look))


def make(root: str) -> None:
    for i in range(FILES):
        folder = Path(root, f"n{i % CLASSES:08d}")
        folder.mkdir(exist_ok=True)
        (folder / f"n{i % CLASSES:08d}_{i}.JPEG").touch()
    Image.new("RGB", (8, 8)).save(Path(root, "n00000000/n00000000_0.JPEG"))  # the first file is read


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        root = sys.argv[1] if len(sys.argv) == 2 else made
        if root == made:
            make(root)
        theirs, ours = (np.array(own_process(__file__, way, root)[:3]) for way in ("ImageFolder", "ours"))
    print(f"{'':12}{'seconds':>10}{'a worker, MB':>15}{'listing, MB':>15}")
    for way, numbers in (("ImageFolder", theirs), ("ours", ours)):
        print(f"{way:12}{numbers[0]:10.2f}{numbers[1]:15.1f}{numbers[2]:15.1f}")
    record(__file__, dict(zip(("time", "memory of a worker", "memory"), (ours / theirs).tolist())))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        main()
    else:
        run(main, measure)
