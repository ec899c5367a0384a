"""Grey images and images of other bands: read by their definition, or refused by name; and what follows from it."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.encoded import chunk, packed, png, tiff
from support.images import smooth_image

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import Augmentation, BatchAugment, DataConfig, FileSet, MemorySet, check_data, load_splits
from cplearn_solo.data.checks import check_channels
from cplearn_solo.data.decoding import Decoding, EncodedImage, decode, measured_range
from cplearn_solo.data.image_set import in_channels
from cplearn_solo.data.schema import ColorJitter, GaussianNoise, Prob

HEIGHT, WIDTH = SHAPE = (6, 10)
LUMA = np.array([0.299, 0.587, 0.114])  # of ITU-R BT.601


def bands(count: int, bits: int = 8) -> np.ndarray:
    """Numbers (6, 10, count) of so many bits, other ones in every band."""
    return np.random.default_rng(count).integers(0, 2**bits, (*SHAPE, count))


def tiff_of(values: np.ndarray, bits: int, *, kind: int = 1, planes: bool = False, **tags: list[int]) -> bytes:
    """A TIFF of so many bands; ``kind``: of numbers, 1 unsigned, 3 float."""
    count = values.shape[-1]
    parts = [values[..., i : i + 1] for i in range(count)] if planes else [values]
    strips = [part.astype("<f4").tobytes() if kind == 3 else packed(part, bits, "<") for part in parts]
    said = {258: [bits] * count, 262: [1], 277: [count], 338: [0] * (count - 1), 339: [kind] * count}
    said |= {284: [2]} if planes else {}
    return tiff(strips, WIDTH, HEIGHT, said | {int(tag[1:]): value for tag, value in tags.items()})


def seen(data: bytes, channels: int, **decoding) -> np.ndarray:
    image = decode(EncodedImage(data, "a file"), Decoding(channels=channels, **decoding)).image
    found = np.asarray(image).astype(float)
    assert image.size == (found.shape[1], found.shape[0])
    return found


@pytest.fixture(params=[2, 4, 5])
def count(request: pytest.FixtureRequest) -> int:
    return request.param


# --- bands, each as the file has it ------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "colour"), [(2, 4), (4, 6)])
def test_bands_of_a_png_are_its_grey_or_colours_and_its_alpha(channels: int, colour: int) -> None:
    assert (seen(png(bands(channels), 8, colour), channels) == bands(channels)).all()
    deep = bands(channels, 16)
    assert np.abs(seen(png(deep, 16, colour), channels) - deep / 257).max() <= 1
    limits = (10_000, 50_000)
    shows = ((deep - 10_000) / 40_000 * 255).clip(0, 255)
    assert np.abs(seen(png(deep, 16, colour), channels, limits=limits) - shows).max() <= 1


def test_bands_of_a_tiff(count: int) -> None:
    pytest.importorskip("tifffile")
    for planes in (False, True):
        assert (seen(tiff_of(bands(count), 8, planes=planes), count) == bands(count)).all()
        deep = bands(count, 16)
        assert np.abs(seen(tiff_of(deep, 16, planes=planes), count) - deep / 257).max() <= 1
        unit = bands(count) / 255 - 0.5
        found = seen(tiff_of(unit, 32, kind=3, planes=planes), count, limits=(-0.5, 0.5))
        assert np.abs(found - bands(count)).max() <= 1


def test_bands_are_upright(count: int) -> None:
    """EXIF 2.3, 4.6.4 A: with 6 the first row of the file is the right side of the visual image, from top to bottom."""
    pytest.importorskip("tifffile")
    stored = bands(count)
    assert (seen(tiff_of(stored, 8, _274=[6]), count) == stored.swapaxes(0, 1)[:, ::-1]).all()
    exif = chunk(b"eXIf", b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0))
    turned = seen(png(bands(4), 8, 6, exif), 4)
    assert (turned == bands(4).swapaxes(0, 1)[:, ::-1]).all()


def test_range_of_bands_is_measured(tmp_path: Path) -> None:
    pytest.importorskip("tifffile")
    paths = [tmp_path / f"{i}.tif" for i in range(3)]
    for path in paths:
        path.write_bytes(tiff_of(bands(5) / 255, 32, kind=3))
    low, high = measured_range([str(path) for path in paths], Decoding(channels=5), 0)
    assert -0.01 < low < 0.03 and 0.97 < high < 1.01
    flat = EncodedImage(png(bands(4), 8, 6), "of 8 bits")
    assert measured_range([flat], Decoding(channels=4), 0) is None


@pytest.mark.parametrize(
    ("channels", "data", "words"),
    [
        (4, png(bands(3), 8, 2), r"3 band\(s\) \(RGB\) are not read as data.channels = 4"),
        (4, png(bands(2), 8, 4), r"2 band\(s\) \(LA\) are not read as data.channels = 4"),
        (2, png(bands(4), 8, 6), r"4 band\(s\) \(RGBA\) are not read as data.channels = 2"),
        (2, png(bands(1)[..., 0], 8, 0), r"1 band\(s\) \(L\) are not read as data.channels = 2"),
        (5, b"", "the file is empty"),
        (5, b"a text", "cannot identify image file"),
    ],
)
def test_other_bands_are_refused_by_name(channels: int, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=f"^unreadable image a file: {words}$"):
        seen(data, channels)


def test_other_tiffs_are_refused_by_name() -> None:
    pytest.importorskip("tifffile")
    refused = "unreadable image a file: "
    for data, words in (
        (tiff_of(bands(5), 8), refused + r"5 band\(s\) are not read as data.channels = 4"),
        (tiff_of(bands(4), 8, _262=[5]), refused + r"4 band\(s\) of inks \(CMYK\) are not read as data.channels = 4"),
        (tiff_of(bands(4, 12), 16), "data.range = None: must be .* as a file .* seems to have fewer bits"),
        (
            tiff_of(bands(4) / 255, 32, kind=3),
            "data.range = None: must be .* as a file .* does not say which are black",
        ),
        (tiff_of(bands(4), 8)[:-100], refused + "failed to read"),
    ):
        with pytest.raises(InputError, match=f"^{words}") as caught:
            seen(data, 4)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="^data.max_pixels = 59: must be higher for a file, or the file is no image$"):
        seen(tiff_of(bands(4), 8), 4, max_pixels=59)


def test_without_tifffile_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(InputError, match=r"^unreadable image a file: .* tifffile: pip install cplearn-solo\[bands\]$"):
        seen(tiff_of(bands(5), 8), 5)
    with pytest.raises(InputError, match="5 bands of 8 bits; data.channels=5 takes them as they are$"):
        seen(tiff_of(bands(5), 8), 3)


# --- sets ------------------------------------------------------------------------------------------------------------


def test_known_images_become_grey_by_their_luma() -> None:
    images = MemorySet(torch.from_numpy(bands(3)).permute(2, 0, 1)[None].byte(), torch.zeros(1), 1)
    grey = in_channels(images, DataConfig(channels=1)).images
    assert grey.dtype == torch.uint8 and np.abs(grey[0, 0].numpy() - bands(3) @ LUMA).max() <= 1
    pillow = np.asarray(Image.fromarray(bands(3).astype(np.uint8)).convert("L"))
    assert (grey[0, 0].numpy() == pillow).all()

    digits, as_colours = (load_splits(DataConfig(channels=channels), seed=0) for channels in (1, 3))
    for one, three in ((digits.train, as_colours.train), (digits.test, as_colours.test)):
        assert torch.equal(one.images, three.images[:, :1])
    assert digits.train.mean == as_colours.train.mean[:1] and digits.test.std == as_colours.test.std[:1]
    with pytest.raises(InputError, match="^data.channels = 4: must be 3 or 1 for digits$"):
        load_splits(DataConfig(channels=4), seed=0)


def test_files_of_other_channels_are_normalised_by_what_is_measured(tmp_path: Path) -> None:
    colours = np.stack([bands(3, 8) // (i + 1) for i in range(8)])
    (tmp_path / "class").mkdir()
    for i, each in enumerate(colours):
        Image.fromarray(each.astype(np.uint8)).save(tmp_path / f"class/{i}.png")
    images = load_splits(DataConfig("custom", str(tmp_path), channels=1), seed=0).train
    assert isinstance(images, FileSet) and images.load(0).mode == "L"
    luma = colours @ LUMA / 255
    assert images.mean == pytest.approx((luma.mean(),), abs=0.002)
    assert images.std == pytest.approx((luma.std(),), abs=0.002)


def test_limits_of_the_training_replace_measured_ones(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "class").mkdir()
    Image.fromarray(np.arange(60, dtype=np.int32).reshape(SHAPE) * 9, "I").save(tmp_path / "class/a.tif")
    cfg = DataConfig("custom", str(tmp_path), range="auto")
    assert load_splits(cfg, seed=0, limits=(-5.0, 900.0)).train.limits == (-5.0, 900.0)
    assert capsys.readouterr().out == ""
    assert load_splits(replace(cfg, range=[0, 1]), seed=0, limits=(-5.0, 900.0)).train.limits == (0, 1)


# --- augmentations -------------------------------------------------------------------------------------------------


def test_augmentations_of_colour_are_refused_with_what_to_set() -> None:
    plain = Augmentation(color_jitter=ColorJitter(0.8, saturation=0, hue=0), solarization=Prob(0.2))
    colours = Augmentation(color_jitter=ColorJitter(0.8), grayscale=Prob(0.2))
    check_channels([colours, Augmentation(color_jitter=ColorJitter(0))], 3)
    check_channels([plain, Augmentation()], 4)
    settings = "augmentations.1.color_jitter.saturation=0 augmentations.1.color_jitter.hue=0"
    wanted = f"3 for augmentations of colour; without them: {settings} augmentations.1.grayscale.prob=0"
    with pytest.raises(InputError) as caught:
        check_channels([plain, colours], 1)
    assert str(caught.value) == f"data.channels = 1: must be {wanted}"
    with pytest.raises(InputError, match=r"augmentations.std = \[1.0\]: must be as many numbers as .* says, 3"):
        check_channels([Augmentation(std=[1.0])], 3)
    with pytest.raises(InputError, match="data.channels = 0: must be"):
        check_data(DataConfig(channels=0))


@pytest.mark.parametrize(
    "change",
    [
        {"color_jitter": ColorJitter(1.0, 0.5, 0.5, 0, 0)},
        {"gaussian_blur": Prob(1.0)},
        {"solarization": Prob(0.5)},
        {"equalization": Prob(1.0)},
        {"horizontal_flip": Prob(0.5)},
    ],
)
def test_grey_views_are_those_of_grey_in_three_channels(change: dict) -> None:
    grey = torch.stack([smooth_image(24, 20, seed=i)[:1] for i in range(6)])
    views = [
        BatchAugment([Augmentation(crop_size=16, **change)], (0.0,) * channels, (1.0,) * channels)(
            grey.expand(-1, channels, -1, -1), torch.Generator().manual_seed(0)
        )[0]
        for channels in (1, 3)
    ]
    assert views[0].shape == (6, 1, 16, 16)
    assert (views[0] - views[1]).abs().max() < 2e-3  # the weights of grey add up to 0.9999


def test_bands_have_views_too() -> None:
    images = torch.randint(0, 256, (4, 5, 20, 20), dtype=torch.uint8)
    everything = Augmentation(
        color_jitter=ColorJitter(1.0, saturation=0, hue=0),
        gaussian_blur=Prob(0.5),
        solarization=Prob(0.5),
        equalization=Prob(0.5),
        gaussian_noise=GaussianNoise(0.1),
    )
    (view,) = BatchAugment([everything], (0.5,) * 5, (0.2,) * 5)(images)
    assert view.shape == (4, 5, 32, 32) and view.isfinite().all()
