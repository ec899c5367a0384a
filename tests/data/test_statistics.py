"""What images are normalised with: customary numbers, those of ImageNet for files in RGB, else measured ones."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from support.images import noise_images, pil

from cplearn_solo.data import FileSet, statistics
from cplearn_solo.data.decoding import Decoding
from cplearn_solo.data.image_set import MemorySet


def test_customary_numbers_are_those_of_kept_runs():
    """As solo-learn has them; CIFAR's are the training images' own, to four digits."""
    assert statistics.NORMALISATION == {
        "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
        "stl10": ((0.4914, 0.4823, 0.4466), (0.2470, 0.2430, 0.2610)),
        "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    }
    imagenet = SimpleNamespace(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    files = FileSet(["a.png"], torch.zeros(1, dtype=torch.int64), 1)
    assert statistics.channel_statistics(files, 0) == (files.mean, files.std) == (imagenet.mean, imagenet.std)


def test_images_in_memory_are_measured_channel_by_channel():
    images = noise_images(5, 7, 9)
    images[:, 2] = 51  # which does not vary: one level, so that nothing is divided by 0
    mean, std = statistics.channel_statistics(MemorySet(images, torch.zeros(5), 1), 0)
    pixels = images.numpy().transpose(1, 0, 2, 3).reshape(3, -1) / 255
    assert mean == pytest.approx(pixels.mean(axis=1)) and std[:2] == pytest.approx(pixels[:2].std(axis=1))
    assert mean[2] == pytest.approx(0.2) and std[2] == pytest.approx(1 / 255)


def test_of_other_files_a_seeded_sample_is_measured(tmp_path, monkeypatch):
    assert statistics.IMAGES == 200
    monkeypatch.setattr(statistics, "IMAGES", 3)
    values = [10, 50, 90, 130, 170]
    for value in values:
        Image.new("L", (4, 3), value).save(tmp_path / f"{value}.png")
    paths = [str(tmp_path / f"{value}.png") for value in values]
    files = FileSet(paths, torch.zeros(5, dtype=torch.int64), 1, decoding=Decoding(channels=1))
    for seed in (0, 1):
        chosen = np.array(values)[np.random.default_rng(seed).permutation(5)[:3]] / 255
        (mean,), (std,) = statistics.channel_statistics(files, seed)
        assert mean == pytest.approx(chosen.mean()) and std == pytest.approx(chosen.std())


def test_deviations_of_an_image_are_those_of_its_levels() -> None:
    for image in (pil(noise_images(1, 7, 9)[0]), pil(noise_images(1, 7, 9)[0]).convert("L")):
        wanted = np.atleast_3d(np.asarray(image)).reshape(63, -1).std(0) / 255
        np.testing.assert_allclose(statistics.deviations(image), wanted)
