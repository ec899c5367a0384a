"""Sets of images: what takes the place of an unreadable one, and which are decoded at once."""

import numpy as np
import pytest
import torch
from support.images import noise_images, pil

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DataConfig, FileSet, MemorySet
from cplearn_solo.data.image_set import decoded_if_small, in_channels
from cplearn_solo.data.tally import Note


def files(paths):
    return FileSet([str(path) for path in paths], torch.arange(len(paths)), len(paths))


@pytest.mark.parametrize(("after", "found"), [(1, True), (99, True), (100, False)])
def test_one_of_the_99_behind_an_unreadable_image_takes_its_place(tmp_path, after, found):
    pil(noise_images(1, 5, 4)[0]).save(tmp_path / "good.png")
    paths = [tmp_path / "none.png"] * 150
    paths[(149 + after) % 150] = tmp_path / "good.png"  # behind the last comes the first
    if found:
        image, note = files(paths).read(149)
        assert image.size == (4, 5) and note == Note.UNREADABLE
    else:
        with pytest.raises(InputError, match="none.png"):
            files(paths).read(149)


@pytest.mark.parametrize(("height", "width", "held"), [(64, 64, True), (65, 64, False), (64, 65, False)])
def test_images_of_up_to_64_pixels_a_side_are_held_in_memory(tmp_path, height, width, held):
    images = noise_images(2, height, width)
    for i, image in enumerate(images):
        pil(image).save(tmp_path / f"{i}.png")
    found = decoded_if_small(files([tmp_path / "0.png", tmp_path / "1.png"]))
    assert isinstance(found, MemorySet) == held
    if held:
        assert torch.equal(found.images, images) and found.labels.tolist() == [0, 1]


def test_images_of_several_sizes_stay_files(tmp_path):
    for i, side in enumerate((8, 8, 9)):
        pil(noise_images(1, side, 8)[0]).save(tmp_path / f"{i}.png")
    assert isinstance(decoded_if_small(files([tmp_path / f"{i}.png" for i in range(3)])), FileSet)


def test_grey_of_images_in_memory_is_pillows_luma():
    images = noise_images(3, 16, 16)
    found = in_channels(MemorySet(images, torch.zeros(3), 1), DataConfig(channels=1))
    for grey, image in zip(found.images, images):
        assert grey[0].tolist() == np.asarray(pil(image).convert("L")).tolist()
