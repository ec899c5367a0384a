"""On a GPU, which is pretended here, no operation of a step's augmentation makes the program wait."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from support.configs import composed
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cplearn_solo.data import Augmentation, BatchAugment, EpochSampler, MemoryLoader, MemorySet, eval_loader
from cplearn_solo.data.random_source import RandomSource
from cplearn_solo.data.schema import RRC, ColorJitter, GaussianNoise, Prob, RandomCrop

pytestmark = pytest.mark.skipif(
    torch.__version__.startswith("2.6.") and not torch.cuda.is_available(),
    reason="PyTorch 2.6 looks for the GPU that is pretended",
)

SHIPPED = Path(__file__).parents[2] / "scripts/pretrain"
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)


def shipped() -> dict[str, list[Augmentation]]:
    """The augmentations of the shipped configurations by the first file that has them, and all operations at once."""
    found: dict[str, str] = {}
    for file in sorted(SHIPPED.glob("*/*.yaml")):
        written = OmegaConf.to_container(composed(file))["augmentations"]
        found.setdefault(json.dumps(written), f"{file.parent.name}/{file.stem}")
    schema = OmegaConf.structured(Augmentation)
    found = {written.replace('"auto"', "32"): name for written, name in found.items()}  # the size of crops
    parsed = {
        name: [OmegaConf.to_object(OmegaConf.merge(schema, one)) for one in json.loads(written)]
        for written, name in found.items()
    }
    half = Prob(0.5)
    colour = {"grayscale": half, "gaussian_blur": half, "solarization": half, "equalization": half}
    cut = {"rrc": RRC(enabled=False), "random_crop": RandomCrop(True, 4, "constant"), "horizontal_flip": half}
    every = Augmentation(**cut, **colour, color_jitter=ColorJitter(0.5), gaussian_noise=GaussianNoise(0.1))
    return {**parsed, "every operation": [every]}


class OnlyOnGPU(TorchDispatchMode):
    """Fails for tensors elsewhere, whose copies are waited for, and for double precision."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
        assert {tensor.device.type for tensor in tensors} <= {"cuda"}, func
        assert torch.float64 not in {tensor.dtype for tensor in tensors}, func
        return result


@pytest.fixture
def pretended():
    with FakeTensorMode():
        yield


def gpu_images(n: int, size: int) -> torch.Tensor:
    return torch.empty(n, 3, size, size, dtype=torch.uint8, device="cuda")


@pytest.mark.filterwarnings("ignore:User provided device_type")
def test_crops_of_files_are_coloured_on_the_gpu_without_waiting(pretended: None) -> None:
    (every,) = shipped()["every operation"]
    augment = BatchAugment([every, replace(every, crop_size=70, num_crops=2)], MEAN, STD)
    crops = [gpu_images(4, side) for side in (every.crop_size, 70, 70)]
    augment(crops)  # takes the constants along
    with OnlyOnGPU():
        views = augment(crops)
    assert [view.shape for view in views] == [crop.shape for crop in crops]
    assert {view.dtype for view in views} == {torch.float32}


@pytest.mark.filterwarnings("ignore:User provided device_type")
@pytest.mark.parametrize("name", SHIPPED_VIEWS := shipped())
def test_augmentation_never_waits(name: str, pretended: None) -> None:
    augmentations, images = SHIPPED_VIEWS[name], gpu_images(4, 32)
    augment = BatchAugment(augmentations, MEAN, STD)
    augment(images)  # takes the constants along
    with OnlyOnGPU():
        views = augment(images)
    assert [view.shape[-1] for view in views] == [aug.crop_size for aug in augmentations for _ in range(aug.num_crops)]


def test_evaluation_batches_are_made_on_the_gpu(pretended: None) -> None:
    images = MemorySet(gpu_images(10, 24), torch.zeros(10, dtype=torch.int64, device="cuda"), 10, MEAN, STD)
    loader = eval_loader(images, crop_size=32, batch_size=4, num_workers=0)
    batches = iter(loader)
    next(batches)  # takes the constants and the order along
    with OnlyOnGPU():
        index, views, labels = next(batches)
    assert views.shape == (4, 3, 32, 32) and views.device.type == index.device.type == labels.device.type == "cuda"


def test_an_epochs_order_is_moved_once(pretended: None) -> None:
    images = MemorySet(gpu_images(10, 24), torch.zeros(10, dtype=torch.int64, device="cuda"), 10)
    batches = iter(MemoryLoader(images, EpochSampler(10, seed=0, batch_size=4)))
    next(batches)
    with OnlyOnGPU():
        index, _, _ = next(batches)
    assert index.shape == (4,)


def test_waiting_would_be_seen(pretended: None) -> None:
    with pytest.raises(DataDependentOutputException):
        gpu_images(1, 4).sum().item()
    with pytest.raises(AssertionError), OnlyOnGPU():
        torch.zeros(3).to("cuda")


def test_order_on_a_gpu_depends_on_the_generators_state() -> None:
    def order(seed: int, offset: int) -> list[int]:
        state = {"initial_seed": lambda: seed, "get_offset": lambda: offset, "device": torch.device("cuda")}
        return RandomSource(SimpleNamespace(**state), torch.device("cuda")).order(4)

    assert order(3, 8) == order(3, 8)
    orders = [tuple(order(seed, offset)) for seed in range(40) for offset in range(0, 40, 4)]
    assert len(set(orders)) == 24
    assert max(orders.count(one) for one in orders) < 40  # of 400, 17 each if they are equally frequent
