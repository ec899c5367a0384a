"""Crops of an image in a file: where they are, what is in them, and JPEGs that are decoded at a part of their size."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from support.images import noise_images, pil, smooth_image

from cplearn_solo.data import Augmentation
from cplearn_solo.data.crops import Crop, cut, draw_crops, spare_pixels
from cplearn_solo.data.decoding import Decoded, EncodedImage, decode
from cplearn_solo.data.schema import RRC, Prob, RandomCrop


def jpeg(image: Image.Image, orientation: int = 1, **options: object) -> EncodedImage:
    file, exif = BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    image.save(file, options.pop("format", "JPEG"), quality=95, exif=exif, **options)
    return EncodedImage(file.getvalue(), "a photograph")


def photograph(width: int = 640, height: int = 424) -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg")).crop((0, 0, width, height))


def plain(box: tuple[int, ...], size: int, flip: bool = False) -> Crop:
    return Crop(box, (size, size), 0, "reflect", (0, 0), size, flip)


@pytest.mark.parametrize("box", [(0, 0, 40, 48), (3, 5, 32, 32), (7, 1, 9, 40), (12, 13, 1, 2)])
@pytest.mark.parametrize("size", [8, 32, 57])
@pytest.mark.parametrize("flip", [False, True])
def test_crops_are_those_of_pillow(box: tuple[int, ...], size: int, flip: bool) -> None:
    top, left, height, width = box
    for image in (smooth_image(40, 48), noise_images(1, 40, 48)[0]):
        wanted = pil(image).crop((left, top, left + width, top + height)).resize((size, size), Image.BICUBIC)
        wanted = torch.from_numpy(np.array(wanted)).permute(2, 0, 1)
        (ours,) = cut(Decoded(pil(image), False, (48, 40)), [plain(box, size, flip)])
        assert (ours.int() - (wanted.flip(2) if flip else wanted).int()).abs().max() <= 1


@pytest.mark.parametrize("mode", ["reflect", "constant", "edge"])
def test_windows_of_a_padded_image(mode: str) -> None:
    aug = Augmentation(RRC(False), RandomCrop(True, 3, mode), crop_size=12, num_crops=300, horizontal_flip=Prob(0.5))
    image = noise_images(1, 12, 12)[0]
    crops = draw_crops([aug], 12, 12, seed=0)
    padded = np.pad(image.numpy(), [(0, 0), (3, 3), (3, 3)], mode)
    for crop, view in zip(crops, cut(Decoded(pil(image), False, (12, 12)), crops), strict=True):
        top, left = crop.window
        window = torch.from_numpy(padded[:, top : top + 12, left : left + 12].copy())
        assert torch.equal(view, window.flip(2) if crop.flip else window)
    windows = [tuple(crop.window) for crop in crops]
    assert set(windows) <= {(i, j) for i in range(7) for j in range(7)} and len(set(windows)) > 40
    assert 100 < sum(crop.flip for crop in crops) < 200


def test_crops_depend_on_the_seed_and_the_size_only() -> None:
    augs = [Augmentation(num_crops=2), Augmentation(RRC(False), RandomCrop(True, 4), crop_size=16)]
    one, again, other = (draw_crops(augs, 60, 40, seed) for seed in (0, 0, 1))
    assert one == again != other
    assert [crop.size for crop in one] == [32, 32, 16]


def test_without_a_random_crop_the_centre_is_cut() -> None:
    (crop,) = draw_crops([Augmentation(RRC(False), crop_size=16)], 70, 40, seed=0)  # 40 x 70 pixels become 16 x 28
    assert (crop.box, crop.resized, crop.padding, list(crop.window)) == ((0, 0, 40, 70), (16, 28), 0, [0, 6])


def test_of_a_line_only_the_middle_is_resized() -> None:
    augs = [Augmentation(RRC(False), RandomCrop(enabled), crop_size=16, num_crops=50) for enabled in (False, True)]
    for width, height in ((100_000, 2), (2, 100_000)):
        crops = draw_crops(augs, width, height, seed=0)
        assert {tuple(sorted(crop.resized)) for crop in crops} == {(16, 128)}
        assert {max(crop.box[:2]) for crop in crops} == {(100_000 - 16) // 2}
    views = cut(Decoded(pil(noise_images(1, 1, 3000)[0]), False, (3000, 1)), draw_crops(augs, 3000, 1, seed=0))
    assert {tuple(view.shape) for view in views} == {(3, 16, 16)}


def test_how_much_smaller_an_image_may_be() -> None:
    crops = [plain((0, 0, 400, 300), 100), plain((0, 0, 90, 300), 30), plain((5, 5, 500, 500), 20)]
    assert spare_pixels(crops) == 3
    (whole,) = draw_crops([Augmentation(RRC(False), crop_size=50)], 400, 200, seed=0)
    assert spare_pixels([whole]) == 4


@pytest.mark.parametrize(("factor", "scale"), [(0.3, 1), (1.99, 1), (2, 2), (3.9, 2), (7.9, 4), (8, 8), (50, 8)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_scale_of_a_jpeg(factor: float, scale: int, orientation: int) -> None:
    image, asked = photograph(203, 117), []
    source = jpeg(image, orientation)
    small = decode(source, shrink=lambda *size: asked.append(size) or factor)
    whole = decode(source)
    width, height = (203, 117) if orientation < 5 else (117, 203)
    assert asked == [(width, height)] and small.size == whole.size == whole.image.size == (width, height)
    assert small.image.size == (-(-width // scale), -(-height // scale))
    # the same way up: nearer to the whole one than to any other turn of it
    turns = [whole.image, *map(whole.image.transpose, (Image.FLIP_LEFT_RIGHT, Image.FLIP_TOP_BOTTOM, Image.ROTATE_180))]
    errors = [
        np.subtract(turn.resize((16, 16), Image.BOX), small.image.resize((16, 16), Image.BOX), dtype=float)
        for turn in turns
    ]
    assert np.argmin([np.abs(error).mean() for error in errors]) == 0


def two_steps(whole: Decoded, scale: int) -> Decoded:
    """Averages of as many pixels, in the place of a smaller scale."""
    return whole._replace(image=whole.image.reduce(scale))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_crops_of_a_smaller_scale_are_those_of_resizing_in_two_steps(name: str, orientation: int) -> None:
    """To less than a grey level on average, over both photographs, their crops, and all scales."""
    image = Image.fromarray(load_sample_image(name)).crop((0, 0, 640, 424))  # eighths have no part of a pixel
    source = jpeg(image, orientation)
    whole, scales = decode(source), set()
    for seed in range(30):
        augs = [Augmentation(RRC(True, 0.3, 1.0), crop_size=size, num_crops=2) for size in (24, 48, 96)[: 1 + seed % 3]]
        crops = draw_crops(augs, *whole.size, seed)
        factor = spare_pixels(crops)
        small = decode(source, shrink=lambda *_, factor=factor: factor)
        scale = whole.size[0] // small.image.size[0]
        scales.add(scale)
        assert min(small.image.size) * scale == min(whole.size)
        for ours, theirs in zip(cut(small, crops), cut(two_steps(whole, scale), crops), strict=True):
            assert (ours.float() - theirs.float()).abs().mean() < 1
    assert scales == {2, 4, 8}


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_grey_and_printers_jpegs_take_the_same_way(mode: str) -> None:
    source = jpeg(photograph().convert(mode))
    small = decode(source, shrink=lambda *_: 4)
    assert small.image.mode == "RGB" and small.image.size == (160, 106)
    box = np.asarray(decode(source).image.reduce(4), dtype=float)
    assert np.abs(np.asarray(small.image, dtype=float) - box).mean() < 1


def test_the_first_image_of_a_camera_is_scaled() -> None:
    small = decode(
        jpeg(photograph(), format="MPO", save_all=True, append_images=[photograph(64, 64)]), shrink=lambda *_: 2
    )
    assert small.one_of_several and small.image.size == (320, 212) and small.size == (640, 424)


@pytest.mark.parametrize("depth", [8, 16])
def test_other_formats_are_decoded_whole(depth: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (40, 60)).astype(np.uint16)
    file = BytesIO()
    Image.fromarray(pixels if depth == 16 else (pixels >> 8).astype(np.uint8)).save(file, "PNG")
    source = EncodedImage(file.getvalue(), "a scan")
    small = decode(source, shrink=lambda *_: 8)
    assert small == decode(source) and small.size == small.image.size == (60, 40)
    (view,) = cut(small, [plain((0, 0, 40, 60), 10)])
    assert view.shape == (3, 10, 10) and view.dtype == torch.uint8
