"""Order and randomness of batches are functions of seed, epoch and index, whatever else happens."""

from __future__ import annotations

import os
import pickle
import signal
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.images import noise_images, pil
from torch.utils.data import get_worker_info

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import (
    Augmentation,
    BatchAugment,
    EpochSampler,
    FileSet,
    MemorySet,
    eval_loader,
    step_generator,
    train_loader,
)
from cplearn_solo.data.file_loader import Batch, lost_workers_told
from cplearn_solo.data.order import hash_seed
from cplearn_solo.data.schema import ColorJitter, GaussianNoise, Prob

SIZE = 23
AUG = Augmentation(crop_size=8, num_crops=2, color_jitter=ColorJitter(0.8), gaussian_noise=GaussianNoise(0.1))


@pytest.fixture
def memory() -> MemorySet:
    return MemorySet(noise_images(SIZE, 10, 12), torch.arange(SIZE) % 4, 4)


@pytest.fixture
def files(memory: MemorySet, tmp_path: Path) -> FileSet:
    paths = [str(tmp_path / f"{i}.png") for i in range(SIZE)]
    for path, image in zip(paths, memory.images):
        pil(image).save(path)
    return FileSet(paths, memory.labels, 4)


def epoch_of(sampler: EpochSampler, epoch: int) -> list[list[int]]:
    sampler.set_epoch(epoch)
    return [batch.indices for batch in sampler]


def test_order_depends_on_seed_and_epoch_only() -> None:
    sampler = EpochSampler(SIZE, seed=1, batch_size=5)
    epochs = [epoch_of(sampler, epoch) for epoch in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert epoch_of(EpochSampler(SIZE, seed=1, batch_size=5), 2) == epochs[2]
    assert epoch_of(sampler, 0) == epochs[0]
    assert epoch_of(EpochSampler(SIZE, seed=2, batch_size=5), 0) != epochs[0]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_share_an_epoch(world: int) -> None:
    samplers = [EpochSampler(SIZE, seed=0, rank=r, world=world, batch_size=3) for r in range(world)]
    batches = [batch for sampler in samplers for batch in epoch_of(sampler, 4)]
    seen = [index for batch in batches for index in batch]
    assert {len(batch) for batch in batches} == {3}
    assert len(batches) == sum(map(len, samplers)) == SIZE // world // 3 * world
    assert len(set(seen)) == len(seen)


def test_too_few_images_for_a_batch() -> None:
    with pytest.raises(InputError, match="optimizer.batch_size = 24: must be from 1 to 23, as"):
        EpochSampler(SIZE, seed=0, batch_size=24)
    with pytest.raises(
        InputError, match="optimizer.batch_size = 12: must be from 1 to 11 on each of 2 devices, as .* 23"
    ):
        EpochSampler(SIZE, seed=0, batch_size=12, world=2)
    with pytest.raises(InputError, match="optimizer.batch_size = 0: must be from 1 to 23, as"):
        EpochSampler(SIZE, seed=0, batch_size=0)
    assert (
        len(EpochSampler(SIZE, seed=0, batch_size=11, world=2)) == len(EpochSampler(SIZE, seed=0, batch_size=23)) == 1
    )


def test_orders_are_what_they_were_for_runs_that_were_begun_before() -> None:
    assert hash_seed(0, 1, 2) == 3545498880833913751
    assert EpochSampler(7, seed=3, batch_size=3).batches().tolist() == [[6, 5, 1], [2, 4, 0]]


def test_memory_batches(memory: MemorySet) -> None:
    loader = train_loader(memory, [AUG], batch_size=5, num_workers=4, seed=0)
    loader.batch_sampler.set_epoch(3)
    batches = list(loader)
    assert len(loader) == len(batches) == 4
    for index, images, labels in batches:
        assert index.dtype == torch.int64
        assert torch.equal(images, memory.images[index])
        assert torch.equal(labels, memory.labels[index])


def test_batches_are_where_the_images_are(memory: MemorySet) -> None:
    loader = train_loader(memory, [AUG], batch_size=5, num_workers=0, seed=0)
    loader.to("meta")
    assert {part.device.type for part in next(iter(loader))} == {"meta"}
    assert memory.images.device.type == "cpu"


def views_by_index(loader, epoch: int) -> dict[int, torch.Tensor]:
    loader.batch_sampler.set_epoch(epoch)
    return {int(i): torch.stack([c[k] for c in crops]) for index, crops, _ in loader for k, i in enumerate(index)}


def test_views_of_a_file_depend_on_seed_epoch_and_index_only(files: FileSet) -> None:
    """Where they are cut; the rest is of a whole batch."""

    def loader(seed: int = 0, workers: int = 0, batch_size: int = 5):
        return train_loader(files, [AUG], batch_size=batch_size, num_workers=workers, seed=seed, colour=False)

    with_workers = loader(workers=2)
    history = [views_by_index(with_workers, epoch) for epoch in (0, 1)]
    before = torch.get_rng_state()
    fresh = views_by_index(loader(batch_size=4), 1)
    assert torch.equal(before, torch.get_rng_state())  # the training process keeps its own random numbers
    common = fresh.keys() & history[1].keys()
    assert len(common) > 10
    assert all(torch.equal(fresh[i], history[1][i]) for i in common)
    assert not any(torch.equal(history[0][i], history[1][i]) for i in history[0].keys() & history[1].keys())
    other = views_by_index(loader(seed=1), 1)
    assert not any(torch.equal(other[i], fresh[i]) for i in other.keys() & fresh.keys())


@pytest.mark.parametrize("rank", [0, 1])
def test_colour_is_the_same_in_workers_and_in_the_training_process(files: FileSet, rank: int) -> None:
    """Views are functions of (seed, epoch, step, rank), wherever and after whatever else they are made."""
    every = Augmentation(**vars(AUG) | {name: Prob(0.5) for name in ("grayscale", "gaussian_blur", "solarization")})
    small = Augmentation(crop_size=6, num_crops=2, color_jitter=ColorJitter(0.5), horizontal_flip=Prob(0.5))
    settings = {"batch_size": 5, "seed": 3, "rank": rank, "world": 2}
    inside = train_loader(files, [every, small], num_workers=2, **settings)
    for epoch in (0, 1):
        inside.batch_sampler.set_epoch(epoch)
        batches = list(inside)
    outside = train_loader(files, [every, small], num_workers=0, colour=False, **settings)
    outside.batch_sampler.set_epoch(1)
    augment = BatchAugment([every, small], files.mean, files.std)
    for step, (index, crops, labels) in enumerate(outside):
        assert {crop.dtype for crop in crops} == {torch.uint8}
        assert torch.equal(index, batches[step][0]) and torch.equal(labels, batches[step][2])
        views = augment(crops, step_generator(3, 1, step, rank))
        assert [view.shape[-1] for view in views] == [8, 8, 6, 6]
        assert all(torch.equal(*both) for both in zip(views, batches[step][1], strict=True))
    assert step == 1 and not torch.equal(batches[0][1][0], batches[1][1][0])


def test_file_batches(files: FileSet) -> None:
    index, crops, labels = next(iter(train_loader(files, [AUG, AUG], batch_size=5, num_workers=0, seed=0)))
    assert index.dtype == labels.dtype == torch.int64
    assert torch.equal(labels, files.labels[index])
    assert [tuple(crop.shape) for crop in crops] == [(5, 3, 8, 8)] * 4
    assert not torch.equal(crops[0], crops[1])


def test_file_pipelines_reach_spawned_workers(files: FileSet) -> None:
    dataset = train_loader(files, [AUG], batch_size=5, num_workers=0, seed=0).dataset
    first, second = (one.__getitems__(Batch(0, 0, 0, [7]))[1] for one in (dataset, pickle.loads(pickle.dumps(dataset))))
    assert all(torch.equal(*both) for both in zip(first, second, strict=True))


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("kind", ["memory", "files"])
def test_eval_sees_every_image_once(kind: str, world: int, request: pytest.FixtureRequest) -> None:
    images = request.getfixturevalue(kind)
    loaders = [eval_loader(images, crop_size=8, batch_size=5, num_workers=0, rank=r, world=world) for r in range(world)]
    batches = [list(loader) for loader in loaders]
    assert [len(loader) for loader in loaders] == [len(part) for part in batches]
    side = 10 if kind == "memory" else 8  # images in memory are not shrunk
    for rank, part in enumerate(batches):
        assert torch.cat([index for index, _, _ in part]).tolist() == list(range(rank, SIZE, world))
        for index, views, labels in part:
            assert views.dtype == torch.uint8 and views.shape == (len(index), 3, side, side)
            assert torch.equal(labels, images.labels[index])


def test_a_rank_without_an_image_has_no_batch(memory: MemorySet) -> None:
    few = memory.subset(torch.arange(3))
    loader = eval_loader(few, crop_size=8, batch_size=2, num_workers=0, rank=3, world=4)
    assert len(loader) == 0 and list(loader) == []


def test_eval_of_both_kinds_agrees(memory: MemorySet, files: FileSet) -> None:
    either = [next(iter(eval_loader(s, crop_size=10, batch_size=SIZE, num_workers=0))) for s in (memory, files)]
    torch.testing.assert_close(either[0][1], either[1][1])


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_files_are_skipped_counted_and_named(files: FileSet, workers: int) -> None:
    many = files.subset(torch.arange(SIZE).repeat(10))
    Path(many.sources[7]).write_bytes(b"no image")  # ten of 230
    sources = list(many.sources)
    rare = replace(many, sources=[*sources[:8], *sources[:8], *sources[:7] * 40])
    rare = replace(rare, labels=torch.zeros(len(rare.sources), dtype=torch.int64))  # two of 296
    loader = eval_loader(rare, crop_size=8, batch_size=50, num_workers=workers)
    with pytest.warns(UserWarning, match=r"^2 of 296 images could not be read and are skipped: .*7.png, .*7.png$"):
        index, images, labels = (torch.cat(part) for part in zip(*loader))
    assert torch.equal(index, torch.arange(296)) and (labels < 0).nonzero().flatten().tolist() == [7, 15]
    assert torch.equal(images[7], images[8]) and not torch.equal(images[6], images[7])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(loader)  # told once
    train = train_loader(rare, [AUG], batch_size=37, num_workers=workers, seed=0)
    with pytest.warns(UserWarning, match="^2 of 296 images"):
        assert sum((labels < 0).sum().item() for _, _, labels in train) == 2
    with pytest.raises(InputError, match="unreadable image .*7.png: cannot identify"):
        list(eval_loader(many, crop_size=8, batch_size=50, num_workers=workers))


def dies_in_a_worker(*_: object) -> None:
    assert get_worker_info() is not None
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_is_told(files: FileSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileSet, "read", dies_in_a_worker)
    loader = train_loader(files, [AUG], batch_size=5, num_workers=1, seed=0)
    told = r"^data.num_workers = 1: must be lower if memory ran out: DataLoader worker \(pid.*(Killed|unexpectedly)$"
    with pytest.raises(InputError, match=told), lost_workers_told(1):
        list(loader)
    with pytest.raises(RuntimeError, match="of another kind"), lost_workers_told(1):
        raise RuntimeError("of another kind")


def test_step_generator() -> None:
    def draw(*args: int) -> list[float]:
        return torch.rand(2, generator=step_generator(*args)).tolist()

    assert draw(0, 1, 2, 3) == draw(0, 1, 2, 3)
    arguments = [(s, e, t, r) for s in range(3) for e in range(3) for t in range(3) for r in range(3)]
    assert len({tuple(draw(*a)) for a in arguments}) == 81
