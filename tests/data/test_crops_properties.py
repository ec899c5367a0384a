"""Crops are inside of the image, whatever its size."""

from random import Random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cplearn_solo.data import Augmentation
from cplearn_solo.data.centre import middle
from cplearn_solo.data.crops import cut, draw_crops
from cplearn_solo.data.decoding import Decoded
from cplearn_solo.data.geometry import central_box, random_box, random_boxes, random_resized_crop, resize_and_crop
from cplearn_solo.data.random_source import RandomSource
from cplearn_solo.data.schema import RRC, Prob, RandomCrop

SEEDS = st.integers(0, 2**32 - 1)


def source(seed):
    return RandomSource(torch.Generator().manual_seed(seed), torch.device("cpu"))


@st.composite
def scales(draw):
    """Shares of an image's area, (low, high)."""
    return tuple(sorted(draw(st.tuples(*[st.floats(1e-6, 1)] * 2))))


@given(st.integers(1, 100_000), st.integers(1, 100_000), scales(), SEEDS)
def test_boxes_are_inside_of_any_image(height, width, scale, seed):
    boxes = [central_box(height, width), middle(height, width)]
    boxes += [
        random_box(height, width, scale, Random(seed)),
        *zip(*random_boxes(4, height, width, scale, source(seed))),
    ]
    for top, left, h, w in boxes:
        assert 0 <= top <= height - h and 0 <= left <= width - w and min(h, w) >= 1
        assert all(side == int(side) for side in (top, left, h, w))


@st.composite
def augmentations(draw):
    """Any geometry of a view."""
    size, (low, high) = draw(st.integers(1, 20)), draw(scales())
    kind, mode = (
        draw(st.sampled_from(["rrc", "padded", "centre"])),
        draw(st.sampled_from(["reflect", "constant", "edge"])),
    )
    padding = RandomCrop(kind == "padded", draw(st.integers(0, size - 1)), mode)
    return Augmentation(RRC(kind == "rrc", low, high), padding, horizontal_flip=Prob(0.5), crop_size=size)


@given(augmentations(), st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 2, 4, 8]), SEEDS)
def test_views_of_one_colour_have_that_colour(aug, height, width, smaller, seed):
    """Nothing outside of the image is seen but black padding; files may be decoded at a part of their size."""
    colour, size, pad = (10, 128, 250), aug.crop_size, aug.random_crop
    pixels = np.full((-(-height // smaller), -(-width // smaller), 3), colour, np.uint8)
    (view,) = cut(Decoded(Image.fromarray(pixels), False, (width, height)), draw_crops([aug], width, height, seed))
    images = torch.tensor(colour).div(255)[None, :, None, None].expand(1, 3, height, width)
    scale, flip = (aug.rrc.crop_min_scale, aug.rrc.crop_max_scale), aug.horizontal_flip.prob
    if aug.rrc.enabled:
        (batch,) = random_resized_crop(images, source(seed), size, scale, flip)
    else:
        padding = pad.padding if pad.enabled else None
        (batch,) = resize_and_crop(images, source(seed), size, padding, pad.padding_mode, flip)
    for found in (view.float(), 255 * batch):
        assert found.shape == (3, size, size)
        there = {tuple(pixel) for pixel in found.round().flatten(1).T.tolist()}
        assert there <= {colour, (0, 0, 0)} if pad.enabled and pad.padding_mode == "constant" else there == {colour}
