"""Processes that read files: how many, how far ahead, and what is waited for."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.images import write_images

from cplearn_solo.config.read import parse_config
from cplearn_solo.core.errors import InputError
from cplearn_solo.data import (
    Augmentation,
    DataConfig,
    FileSet,
    eval_loader,
    file_loader,
    load_splits,
    train_loader,
    workers,
)
from cplearn_solo.data.file_loader import EvalDataset, FileLoader, lost_workers_told
from cplearn_solo.data.workers import AHEAD, worker_number, worker_settings
from cplearn_solo.engine.prepare import Loaders


@pytest.fixture
def files(tmp_path: Path) -> FileSet:
    paths = [str(tmp_path / f"{i}.png") for i in range(12)]
    write_images(tmp_path, [f"{i}.png" for i in range(12)])
    return FileSet(paths, torch.arange(12) % 2, 2)


@pytest.mark.parametrize(
    ("there", "colour", "processes", "number"),
    [(8, True, 1, 8), (8, True, 2, 4), (96, True, 1, 96), (96, False, 1, 16), (96, False, 8, 12), (2, True, 8, 1)],
)
def test_auto_shares_the_cores(monkeypatch, there: int, colour: bool, processes: int, number: int) -> None:
    monkeypatch.setattr(workers, "cores", lambda: there)
    assert worker_number("auto", colour=colour, processes=processes) == number
    assert [worker_number(asked, colour=colour, processes=processes) for asked in (0, 3, 200)] == [0, 3, 200]


def test_cores_are_those_that_the_process_may_use(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert workers.cores() == 1


@pytest.mark.parametrize("number", [1, 2, 16, 96])
@pytest.mark.parametrize("megabytes", [0.1, 33, 134, 900])
def test_batches_ahead_are_bounded_in_bytes(number: int, megabytes: float) -> None:
    size = int(megabytes * 1e6)
    ahead = worker_settings(number, size)["prefetch_factor"]
    assert ahead == 1 or ahead * number * size <= AHEAD
    assert ahead == 8 or (ahead + 1) * number * size > AHEAD


def test_loaders_count_the_bytes_of_their_batches(files: FileSet) -> None:
    views = [Augmentation(crop_size=64, num_crops=2), Augmentation(crop_size=32, num_crops=4)]
    train = train_loader(files, views, batch_size=4, num_workers=1, seed=0)
    assert train.prefetch_factor == 8
    large = [Augmentation(crop_size=1024, num_crops=2)]  # 101 MB a batch
    assert train_loader(files, large, batch_size=4, num_workers=2, seed=0).prefetch_factor == 5
    assert train_loader(files, views, batch_size=4, num_workers=0, seed=0).prefetch_factor is None


def test_memory_is_pinned_for_the_gpu_that_batches_go_to(files: FileSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # also beside a training on the CPU
    how, views = {"batch_size": 4, "num_workers": 1}, [Augmentation(crop_size=8)]
    for device, pinned in (("cpu", False), ("mps", False), ("cuda", True), (torch.device("cuda", 1), True)):
        assert train_loader(files, views, seed=0, device=device, **how).pin_memory is pinned
        assert eval_loader(files, crop_size=8, device=device, **how).pin_memory is pinned
    keys = {"optimizer": {"batch_size": 4}, "augmentations": [{"num_crops": 2}]}
    config = parse_config({"data": {"num_workers": 0}, **keys})
    loaders = Loaders(SimpleNamespace(train=files, test=files), config)
    for device in ("cpu", "cuda"):
        loaders.trainer = SimpleNamespace(num_devices=1, strategy=SimpleNamespace(root_device=torch.device(device)))
        found = loaders.train_dataloader(), loaders.val_dataloader()
        assert [loader.pin_memory for loader in found] == [device == "cuda"] * 2


@pytest.mark.parametrize("value", [-1, 2.5, True, "many", None, [2]])
def test_bad_numbers(value: object) -> None:
    with pytest.raises(InputError, match=r"^data.num_workers = .*: must be auto or an integer from 0 up$"):
        load_splits(DataConfig(num_workers=value), seed=0)


def test_no_library_warns_of_the_number(files: FileSet) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = eval_loader(files, crop_size=8, batch_size=4, num_workers=len(os.sched_getaffinity(0)) + 1)
        assert sum(len(index) for index, _, _ in loader) == len(files)


def test_what_is_waited_for_is_the_next_batch_only(files: FileSet, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(file_loader, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    class Slow(EvalDataset):
        def _view(self, index: int):
            now[0] += 10
            return super()._view(index)

    loader = FileLoader(Slow(files, 8), sampler=range(12), batch_size=5)
    assert loader.waited == 0
    for _ in range(2):  # each epoch counts by itself
        for _ in loader:
            now[0] += 1000
        assert loader.waited == 10 * len(files)


def test_a_batch_that_shared_memory_has_no_room_for_is_told(files: FileSet) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    loader = eval_loader(files, crop_size=64, batch_size=len(files), num_workers=1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # of files in shared memory, too
    try:
        with pytest.raises(InputError, match=r"^data.num_workers = 1: .* exited unexpectedly"), lost_workers_told(1):
            list(loader)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


WITHIN_AN_EPOCH = """
import sys
from cplearn_solo.data import DataConfig, eval_loader, load_splits
images = load_splits(DataConfig("custom", sys.argv[1], no_labels=True), seed=0).train
kept = iter(eval_loader(images, crop_size=8, batch_size=1, num_workers=1))
next(kept)
sys.kept = kept  # as sys.last_exc keeps what an error has come from
"""


@pytest.mark.integration
def test_a_program_may_end_within_an_epoch(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{i}.png" for i in range(9)])
    command = [sys.executable, "-c", WITHIN_AN_EPOCH, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
