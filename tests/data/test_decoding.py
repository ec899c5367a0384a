"""Every kind of image file is read right to one grey level, or refused in one line that names it."""

from __future__ import annotations

import io
import struct
import warnings
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
import pytest
import torch
from PIL import Image, features
from support.encoded import chunk, packed, png, tga, tiff

from cplearn_solo.core.errors import InputError
from cplearn_solo.data import DataConfig, FileSet, check_data, load_splits
from cplearn_solo.data.decoding import Decoding, EncodedImage, decode, header_of, is_image_name, measured_range
from cplearn_solo.data.decoding.image import STANDARD, decode_opened, numbers
from cplearn_solo.data.decoding.limit import pixel_limit
from cplearn_solo.data.file_loader import EvalDataset, FileLoader
from cplearn_solo.data.image_set import decoded_if_small
from cplearn_solo.data.notes import say_once
from cplearn_solo.data.tally import allowed

WHITE, BLUE = (255, 255, 255), (0, 0, 255)
BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 1, 2, 3, 5, 6, 8  # TIFF's photometric interpretations
SHAPE = (6, 10)


def grey(bits: int) -> np.ndarray:
    """Numbers (6, 10) from 0 to all of those bits."""
    return np.linspace(0, 2**bits - 1, 60).round().astype(np.int64).reshape(SHAPE)


def colour(bits: int) -> np.ndarray:
    """Numbers (6, 10, 3): a ramp, its mirror image, and a mixture."""
    one = grey(bits)
    return np.stack([one, one[::-1, ::-1], one[:, ::-1] // 2], -1)


def eight(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """What 8 bits show of numbers between black and white."""
    return ((values - low) / (high - low) * 255).clip(0, 255)


def over(values: np.ndarray, alpha: np.ndarray, background: tuple[int, int, int] = WHITE) -> np.ndarray:
    """Values from 0 to 255 with alpha from 0 to 1 before a background."""
    values = values if values.ndim == 3 else values[..., None]
    return values * alpha[..., None] + np.array(background) * (1 - alpha[..., None])


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pillow(array: np.ndarray, kind: str, **options: Any) -> bytes:
    return saved(Image.fromarray(array.astype(np.uint8)), kind, **options)


def grey_tiff(values: bytes, bits: int, order: str = "<", photometric: int = 1, kind: int = 1, **options: Any) -> bytes:
    tags = {258: [bits], 262: [photometric], 277: [1], 339: [kind]}
    return tiff([values], SHAPE[1], SHAPE[0], tags, order, **options)


def bands_tiff(
    values: np.ndarray, bits: int, photometric: int, order: str = "<", *, extra: Any = (), **o: Any
) -> bytes:
    count = values.shape[-1]
    tags = {
        258: [bits] * count,
        262: [photometric],
        277: [count],
        **({338: extra} if extra else {}),
        **o.pop("tags", {}),
    }
    return tiff([packed(values, bits, order)], SHAPE[1], SHAPE[0], tags, order, **o)


class Case(NamedTuple):
    """A file, and what it shows in 8 bits or why it is refused."""

    data: bytes
    shows: np.ndarray | str
    decoding: Decoding = Decoding()


NEEDS_RANGE = "data.range = None: must be .low, high. or auto, as {name} holds values from .* does not say"
SEEMS_FEWER = "data.range = None: must be .low, high. or auto, as {name} .* seems to have fewer bits"
UNREADABLE = "unreadable image {name}: "
ALPHA = np.linspace(0, 1, 60).reshape(SHAPE)
ALPHA8, ALPHA16 = (ALPHA * 255).round(), (ALPHA * 65535).round()
MANY = np.arange(60).reshape(SHAPE) * 4
PALETTE_RGB = np.stack([np.arange(256), 255 - np.arange(256), np.arange(256) // 2], -1)
PLTE = chunk(b"PLTE", PALETTE_RGB[:16].astype(np.uint8).tobytes())
SIGNED = np.linspace(-1000, 1000, 60).round().reshape(SHAPE)
HUGE = np.linspace(0, 2**32 - 1, 60).round().reshape(SHAPE)
UNIT = np.linspace(0, 1, 60).reshape(SHAPE)
BLOCKS = (
    np.array([[[40, 90, 200], [250, 128, 3]], [[0, 0, 0], [255, 255, 255]]]).repeat(16, 0).repeat(16, 1)
)  # for JPEG
NO_ALPHA_BITS = np.dstack([colour(8), np.zeros(SHAPE)])


def png_cases() -> dict[str, Case]:
    cases = {
        f"png grey {bits}": Case(png(grey(bits), bits, 0), eight(grey(bits), 0, 2**bits - 1))
        for bits in (1, 2, 4, 8, 16)
    }
    for bits, clear in ((1, 1), (2, 1), (4, 8), (8, int(grey(8)[3, 3])), (16, int(grey(16)[3, 3]))):
        shows = over(eight(grey(bits), 0, 2**bits - 1), 1.0 * (grey(bits) != clear), BLUE)
        data = png(grey(bits), bits, 0, chunk(b"tRNS", struct.pack(">H", clear)))
        cases[f"png grey {bits} with a transparent level"] = Case(data, shows, Decoding(background=BLUE))
    for bits in (8, 16):
        rgb, top = colour(bits), 2**bits - 1
        alpha = grey(bits)[::-1]
        clear = rgb[2, 4]
        cases |= {
            f"png rgb {bits}": Case(png(rgb, bits, 2), eight(rgb, 0, top)),
            f"png rgba {bits}": Case(png(np.dstack([rgb, alpha]), bits, 6), over(eight(rgb, 0, top), alpha / top)),
            f"png la {bits}": Case(
                png(np.dstack([grey(bits), alpha]), bits, 4), over(eight(grey(bits), 0, top), alpha / top)
            ),
            f"png rgb {bits} with a transparent colour": Case(
                png(rgb, bits, 2, chunk(b"tRNS", struct.pack(">HHH", *clear.tolist()))),
                over(eight(rgb, 0, top), 1.0 * (rgb != clear).any(-1)),
            ),
        }
    for bits in (1, 2, 4):
        index = grey(bits)
        alphas = np.append(np.array([0, 128, 255, 7]), np.full(12, 255))
        cases[f"png palette {bits}"] = Case(png(index, bits, 3, PLTE), PALETTE_RGB[index])
        cases[f"png palette {bits} with transparent colours"] = Case(
            png(index, bits, 3, PLTE, chunk(b"tRNS", alphas[:4].astype(np.uint8).tobytes())),
            over(PALETTE_RGB[index], alphas[index] / 255),
        )
    dark = grey(12)
    return cases | {
        "png 12 bits in 16": Case(png(dark, 16, 0), SEEMS_FEWER),
        "png 12 bits in 16 of colour": Case(png(colour(12), 16, 2), SEEMS_FEWER),
        "png 12 bits in 16 and a range": Case(png(dark, 16, 0), eight(dark, 0, 4095), Decoding((0, 4095))),
        "png 12 bits in 16 of colour and a range": Case(
            png(colour(12), 16, 2), eight(colour(12), 500, 3000), Decoding((500, 3000))
        ),
        "png 16 black": Case(png(0 * dark, 16, 0), 0 * dark),
        "png 8 and a range": Case(png(grey(8), 8, 0), grey(8), Decoding((0, 4095))),
    }


def tiff_cases() -> dict[str, Case]:
    cases = {}
    for order, word in (("<", "little"), (">", "big")):
        for deflate in (False, True):
            kind = f"{word} deflate" if deflate else word
            how = {"order": order, "deflate": deflate}
            cases |= {
                f"tiff grey 16 {kind}": Case(
                    grey_tiff(packed(grey(16), 16, order), 16, **how), eight(grey(16), 0, 65535)
                ),
                f"tiff rgb 16 {kind}": Case(bands_tiff(colour(16), 16, RGB, **how), eight(colour(16), 0, 65535)),
                f"tiff 12 bits in 16 of colour and a range {kind}": Case(
                    bands_tiff(colour(12), 16, RGB, **how), eight(colour(12), 0, 4095), Decoding((0, 4095))
                ),
                f"tiff rgba 16 {kind}": Case(
                    bands_tiff(np.dstack([colour(16), ALPHA16]).astype(int), 16, RGB, extra=[2], **how),
                    over(eight(colour(16), 0, 65535), ALPHA),
                ),
                f"tiff rgba 16 premultiplied {kind}": Case(
                    bands_tiff(
                        np.dstack([colour(16) * ALPHA[..., None], ALPHA16]).round().astype(int),
                        16,
                        RGB,
                        extra=[1],
                        **how,
                    ),
                    over(eight(colour(16), 0, 65535), ALPHA, BLUE),
                    Decoding(background=BLUE),
                ),
                f"tiff signed 16 {kind}": Case(
                    grey_tiff(SIGNED.astype(f"{order}i2").tobytes(), 16, kind=2, **how),
                    eight(SIGNED, -500, 1000),
                    Decoding((-500, 1000)),
                ),
                f"tiff signed 32 {kind}": Case(
                    grey_tiff(SIGNED.astype(f"{order}i4").tobytes(), 32, kind=2, **how),
                    eight(SIGNED, -1000, 1000),
                    Decoding((-1000, 1000)),
                ),
                f"tiff signed 8 {kind}": Case(
                    grey_tiff((SIGNED // 8).astype("i1").tobytes(), 8, kind=2, **how),
                    eight(SIGNED // 8, -125, 125),
                    Decoding((-125, 125)),
                ),
                f"tiff float {kind}": Case(
                    grey_tiff(UNIT.astype(f"{order}f4").tobytes(), 32, kind=3, **how),
                    eight(UNIT, 0, 1),
                    Decoding((0, 1)),
                ),
                f"tiff float without a range {kind}": Case(
                    grey_tiff(UNIT.astype(f"{order}f4").tobytes(), 32, kind=3, **how), NEEDS_RANGE
                ),
            }
    planes = [packed(colour(16)[..., i], 16, "<") for i in range(3)]
    planes8 = [packed(colour(8)[..., i], 8) for i in range(3)]
    ycc = np.full((*SHAPE, 3), (76, 85, 255))
    two = {258: [8] * 2, 262: [BLACK_IS_ZERO], 277: [2]}
    half = np.dstack([grey(8) * ALPHA, ALPHA8]).round().astype(int)
    rgb, subsampled = {258: [8] * 3, 262: [RGB], 277: [3]}, {258: [8] * 3, 262: [YCBCR], 277: [3], 530: [2, 2]}
    return cases | {
        "tiff grey 1": Case(grey_tiff(packed(grey(1), 1), 1), grey(1) * 255),
        "tiff grey 4": Case(grey_tiff(packed(grey(4), 4), 4), grey(4) * 17),
        "tiff grey 12": Case(grey_tiff(packed(grey(12), 12), 12), eight(grey(12), 0, 4095)),
        "tiff grey 12 and a range": Case(
            grey_tiff(packed(grey(12), 12), 12), eight(grey(12), 0, 4095), Decoding((0, 65535))
        ),
        "tiff 8 white is zero": Case(grey_tiff(packed(grey(8), 8), 8, photometric=0), 255 - grey(8)),
        "tiff 16 white is zero": Case(
            grey_tiff(packed(grey(16), 16, "<"), 16, photometric=0), eight(grey(16), 65535, 0)
        ),
        "tiff float white is zero": Case(
            grey_tiff(UNIT.astype("<f4").tobytes(), 32, photometric=0, kind=3), eight(UNIT, 1, 0), Decoding((0, 1))
        ),
        "tiff unsigned 32": Case(
            grey_tiff(HUGE.astype("<u4").tobytes(), 32), eight(HUGE, 0, 2**32), Decoding((0, 2**32))
        ),
        "tiff unsigned 32 without a range": Case(grey_tiff(HUGE.astype("<u4").tobytes(), 32), NEEDS_RANGE),
        "tiff signed 16 without a range": Case(grey_tiff(SIGNED.astype("<i2").tobytes(), 16, kind=2), NEEDS_RANGE),
        "tiff 12 bits in 16": Case(grey_tiff(packed(grey(12), 16, "<"), 16), SEEMS_FEWER),
        "tiff float 64": Case(
            grey_tiff(UNIT.tobytes(), 64, kind=3), UNREADABLE + "a TIFF that Pillow cannot read, 1 band of 64"
        ),
        "tiff rgb 16 in planes": Case(
            tiff(planes, SHAPE[1], SHAPE[0], {258: [16] * 3, 262: [RGB], 277: [3], 284: [2]}),
            UNREADABLE + "a TIFF of 16-bit",
        ),
        "tiff rgb 8 in planes": Case(tiff(planes8, SHAPE[1], SHAPE[0], {**rgb, 284: [2]}), colour(8)),
        "tiff rgb 8 in strips": Case(
            tiff([packed(colour(8)[i : i + 2], 8) for i in (0, 2, 4)], SHAPE[1], SHAPE[0], rgb), colour(8)
        ),
        "tiff 5 bands": Case(
            bands_tiff(np.dstack([colour(8)] * 2)[..., :5], 8, RGB, extra=[0, 0]), UNREADABLE + "has 5 bands"
        ),
        "tiff 2 bands": Case(
            tiff([packed(half, 8)], SHAPE[1], SHAPE[0], {**two, 338: [0]}), UNREADABLE + "has 2 bands"
        ),
        "tiff la premultiplied": Case(
            tiff([packed(half, 8)], SHAPE[1], SHAPE[0], {**two, 338: [1]}),
            half[..., 0] + 255 - ALPHA8,
        ),
        "tiff palette": Case(
            tiff(
                [packed(grey(8), 8)],
                SHAPE[1],
                SHAPE[0],
                {258: [8], 262: [PALETTE], 277: [1], 320: (PALETTE_RGB.T * 257).ravel().tolist()},
            ),
            PALETTE_RGB[grey(8)],
        ),
        "tiff cmyk": Case(bands_tiff(np.dstack([255 - colour(8), 0 * grey(8)]), 8, CMYK), colour(8)),
        "tiff ycbcr": Case(bands_tiff(ycc, 8, YCBCR, tags={530: [1, 1]}), np.full((*SHAPE, 3), (254, 0, 0))),
        "tiff ycbcr subsampled": Case(
            tiff([bytes([76, 76, 76, 76, 85, 255] * 15)], SHAPE[1], SHAPE[0], subsampled),
            UNREADABLE + "a TIFF of YCbCr",
        ),
        "tiff ycbcr subsampled deflate": Case(
            tiff([bytes([76, 76, 76, 76, 85, 255] * 15)], SHAPE[1], SHAPE[0], subsampled, deflate=True),
            np.full((*SHAPE, 3), (254, 0, 0)),
        ),
        "tiff lab": Case(bands_tiff(colour(8), 8, LAB), UNREADABLE + "Pillow does not read LAB colours exactly"),
    }


def other_cases() -> dict[str, Case]:
    rgb, gray, both = colour(8), grey(8), np.dstack([colour(8), ALPHA8])
    head = b"%d %d\n" % SHAPE[::-1]
    plain = b" ".join(b"%d" % value for value in grey(12).ravel())
    indexed = Image.fromarray((MANY // 16 % 16).astype(np.uint8), "L").convert("P")
    indexed.putpalette(PALETTE_RGB.astype(np.uint8).tobytes())
    deep = Image.fromarray(np.tile(grey(16), (6, 4)).astype(np.uint16))
    cases = {
        "jpeg": Case(pillow(BLOCKS, "JPEG", quality=100, subsampling=0), BLOCKS),
        "jpeg grey": Case(pillow(BLOCKS[..., 0], "JPEG", quality=100), BLOCKS[..., 0]),
        "jpeg cmyk": Case(
            saved(
                Image.fromarray(np.dstack([255 - BLOCKS, 0 * BLOCKS[..., :1]]).astype(np.uint8), "CMYK"),
                "JPEG",
                quality=100,
            ),
            BLOCKS,
        ),
        "pbm": Case(b"P4\n" + head + packed(grey(1), 1), 255 - grey(1) * 255),
        "pbm plain": Case(b"P1\n" + head + b" ".join(b"%d" % v for v in grey(1).ravel()), 255 - grey(1) * 255),
        "pgm 15": Case(b"P5\n" + head + b"15\n" + packed(grey(4), 8), grey(4) * 17),
        "pgm 1023": Case(b"P5\n" + head + b"1023\n" + packed(grey(10), 16), eight(grey(10), 0, 1023)),
        "pgm 1023 and a range": Case(
            b"P5\n" + head + b"1023\n" + packed(grey(10), 16), eight(grey(10), 0, 1023), Decoding((0, 9))
        ),
        "pgm 65535": Case(b"P5\n" + head + b"65535\n" + packed(grey(16), 16), eight(grey(16), 0, 65535)),
        "pgm 12 bits in 16": Case(b"P5\n" + head + b"65535\n" + packed(grey(12), 16), SEEMS_FEWER),
        "pgm plain 4095": Case(b"P2\n" + head + b"4095\n" + plain, eight(grey(12), 0, 4095)),
        "ppm": Case(b"P6\n" + head + b"255\n" + packed(rgb, 8), rgb),
        "ppm 1023": Case(b"P6\n" + head + b"1023\n" + packed(colour(10), 16), eight(colour(10), 0, 1023)),
        "ppm 65535": Case(b"P6\n" + head + b"65535\n" + packed(colour(16), 16), eight(colour(16), 0, 65535)),
        "pfm": Case(
            b"Pf\n" + head + b"-1.0\n" + UNIT[::-1].astype("<f4").tobytes(), eight(UNIT, 0, 1), Decoding((0, 1))
        ),
        "pfm without a range": Case(b"Pf\n" + head + b"-1.0\n" + UNIT.astype("<f4").tobytes(), NEEDS_RANGE),
        "gif": Case(saved(indexed, "GIF"), PALETTE_RGB[MANY // 16 % 16]),
        "gif with a transparent colour": Case(
            saved(indexed, "GIF", transparency=3), over(PALETTE_RGB[MANY // 16 % 16], 1.0 * (MANY // 16 % 16 != 3))
        ),
        "bmp": Case(pillow(rgb, "BMP"), rgb),
        "bmp grey": Case(pillow(gray, "BMP"), gray),
        "tga": Case(pillow(rgb, "TGA"), rgb),
        "tga rgba": Case(tga(both, 8), over(rgb, ALPHA)),
        "tga without alpha bits": Case(tga(NO_ALPHA_BITS, 0), rgb),
        "pcx": Case(pillow(rgb, "PCX"), rgb),
        "sgi": Case(pillow(rgb, "SGI"), rgb),
        "ico": Case(
            pillow(np.dstack([np.tile(rgb, (4, 4, 1))[:16, :16], np.full((16, 16), 255)]), "ICO", sizes=[(16, 16)]),
            np.tile(rgb, (4, 4, 1))[:16, :16],
        ),
        "xbm": Case(
            b"#define i_width 8\n#define i_height 1\nstatic char i_bits[] = {\n0x0f};\n", UNREADABLE + "XBM is not read"
        ),
        "eps": Case(saved(Image.new("RGB", (4, 4)), "EPS"), UNREADABLE + "EPS is not read"),
        "fits": Case(
            b"".join(
                card.ljust(80)
                for card in (b"SIMPLE  = T", b"BITPIX  = 16", b"NAXIS   = 2", b"NAXIS1  = 2", b"NAXIS2  = 2", b"END")
            ).ljust(2880)
            + bytes(2880),
            UNREADABLE + "FITS is not read",
        ),
        "empty": Case(b"", UNREADABLE + "the file is empty"),
        "lfs": Case(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", UNREADABLE + "a Git LFS pointer"
        ),
        "text": Case(b"label,file\n", UNREADABLE + "cannot identify image file"),
        "too large": Case(
            pillow(rgb, "PNG"), "data.max_pixels = 59: must be higher for {name}", Decoding(max_pixels=59)
        ),
        "just small enough": Case(pillow(rgb, "PNG"), rgb, Decoding(max_pixels=60)),
    }
    if features.check("webp"):
        cases["webp rgba"] = Case(pillow(both, "WEBP", lossless=True, exact=True), over(rgb, ALPHA))
    if features.check("jpg_2000"):
        cases["jpeg 2000"] = Case(
            pillow(np.tile(rgb, (6, 4, 1)), "JPEG2000", irreversible=False), np.tile(rgb, (6, 4, 1))
        )
        cases["jpeg 2000 16"] = Case(saved(deep, "JPEG2000", irreversible=False), eight(np.asarray(deep), 0, 65535))
    return cases


CASES = png_cases() | tiff_cases() | other_cases()
NEW = ("tiff 2 bands", "tiff la premultiplied", "tiff ycbcr")  # to Pillow 13; refused, or otherwise, before


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", CASES)
def test_kinds_of_files(name: str) -> None:
    if name in NEW and int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("older Pillows cannot read it")
    data, shows, decoding = CASES[name]
    source = EncodedImage(data, f"a {name}")
    if isinstance(shows, str):
        with pytest.raises(InputError, match=f"^{shows.format(name=source.name)}") as caught:
            decode(source, decoding)
        assert "\n" not in str(caught.value)
        return
    image = decode(source, decoding).image
    found = np.asarray(image).astype(float)
    assert (image.mode, found.shape[:2]) == ("RGB", shows.shape[:2])
    difference = np.abs(found - (shows if shows.ndim == 3 else shows[..., None]))
    assert difference.max() <= 1, f"{difference.max()} at {np.unravel_index(difference.argmax(), difference.shape)}"

    one = decode(source, replace(decoding, channels=1)).image
    luma = shows @ (0.299, 0.587, 0.114) if shows.ndim == 3 else shows  # ITU-R BT.601
    assert one.mode == "L" and np.abs(np.asarray(one) - luma).max() <= 1


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 60


# --- upright, the first of several, by name ----------------------------------------------------------------------

# By EXIF 2.3, 4.6.4 A: which side of the visual image the first row and the first column of the file are.
STORED = {
    1: lambda v: v,
    2: lambda v: v[:, ::-1],  # top, right
    3: lambda v: v[::-1, ::-1],  # bottom, right
    4: lambda v: v[::-1],  # bottom, left
    5: lambda v: v.swapaxes(0, 1),  # left, top
    6: lambda v: v[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda v: v[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda v: v[::-1].swapaxes(0, 1),  # left, bottom
}
VISUAL = np.array([[[200, 0, 0], [0, 200, 0], [0, 0, 200]], [[90, 90, 90], [250, 250, 250], [0, 90, 180]]])
LOSSY = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "PNG 16"])
def test_images_are_upright(kind: str, orientation: int) -> None:
    if kind in ("WEBP", "AVIF") and not features.check(kind.lower()):
        pytest.skip(f"this Pillow cannot write {kind}")
    stored = STORED[orientation](VISUAL).repeat(16, 0).repeat(16, 1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "PNG 16":
        data = png(stored * 257, 16, 2, chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    else:
        data = pillow(stored, kind, exif=exif, **LOSSY.get(kind, {}))
    found = np.asarray(decode(EncodedImage(data, "photo")).image).astype(int)
    shows = VISUAL.repeat(16, 0).repeat(16, 1)
    assert found.shape == shows.shape
    assert np.abs(found - shows).max() <= (3 if kind == "AVIF" else 1)
    as_stored = np.asarray(decode(EncodedImage(data, "photo"), upright=False).image).astype(int)
    assert as_stored.shape == stored.shape and np.abs(as_stored - stored).max() <= (3 if kind == "AVIF" else 1)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP", "MPO"])
def test_the_first_of_several_images_is_taken(kind: str, tmp_path: Path) -> None:
    first, *others = (Image.new("RGB", (16, 16), name) for name in ("red", "blue", "lime"))
    path = str(tmp_path / f"a.{kind.lower()}")
    first.save(path, kind, save_all=True, append_images=others)
    image, one_of_several, _ = decode(path)
    assert one_of_several
    assert np.abs(np.asarray(image).astype(int) - (255, 0, 0)).max() <= 2
    first.save(path, kind)
    assert not decode(path).one_of_several


def test_names_of_images() -> None:
    assert all(map(is_image_name, ("a.jpg", "b/c.JPEG", "a.jfif", "a.gif", "a.tga", "a.TIFF", "a.b.png")))
    no_images = (".a.jpg", "b/._c.png", "a.txt", "a.mov", "a.mpg", "a.h5", "a.eps", "a.fits", "a.xbm", "png", "a.")
    assert not any(map(is_image_name, no_images))


@pytest.mark.parametrize("at", [8, 20])
def test_tags_of_a_tiff_that_pillow_cannot_read_are_told_wherever_they_are(at: int) -> None:
    tags = [(256, 4), (257, 4), (258, 64), (277, 5), (339, 3)]
    directory = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    data = struct.pack("<4sI", b"II*\0", at) + bytes(at - 8) + struct.pack("<H", len(tags)) + directory + bytes(4)
    said = "a TIFF that Pillow cannot read, 5 bands of 64 bits; data.channels=5 takes them as they are"
    with pytest.raises(InputError, match=said):
        decode(EncodedImage(data, "x.tif"), Decoding())


# --- data.range, data.background ---------------------------------------------------------------------------------


def write_folder(folder: Path, files: dict[str, bytes]) -> str:
    (folder / "class").mkdir(parents=True)
    for name, data in files.items():
        (folder / "class" / name).write_bytes(data)
    return str(folder)


def test_range_measured_on_a_sample(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    say_once.cache_clear()
    random = np.random.default_rng(0)
    scans = [random.uniform(-1000, 1000, SHAPE) + 500 * (i == 3) for i in range(40)]
    files = {f"{i:02}.tif": grey_tiff(scan.astype("<i2").tobytes(), 16, kind=2) for i, scan in enumerate(scans)}
    files |= {"plain.png": png(grey(8), 8, 0), "stated.tif": grey_tiff(packed(grey(12), 12), 12), "no.png": b"no image"}
    path = write_folder(tmp_path, files)
    images = load_splits(DataConfig("custom", path, range="auto"), seed=0).train
    low, high = images.decoding.limits
    assert -1000 <= low < -985 and 985 < high < 1500
    said = capsys.readouterr().out
    assert said == f"data.range = auto: [{low:g}, {high:g}], percentiles (0.5, 99.5) of 40 images\n"
    again = load_splits(DataConfig("custom", path, range="auto"), seed=0).train
    assert again.decoding.limits == (low, high) and capsys.readouterr().out == ""
    shows = eight(np.trunc(scans[0]), low, high)
    assert np.abs(np.asarray(images.load(0))[..., 0] - shows).max() <= 1
    assert np.asarray(images.load(42))[..., 0].max() == 255  # which has a range of its own

    assert measured_range([str(tmp_path / "class/plain.png")], Decoding(), 0) is None
    assert capsys.readouterr().out == "data.range = auto: none of 1 images needs one\n"
    with pytest.raises(InputError, match=r"data.range = None: must be .* as .*00.tif holds values from -"):
        load_splits(DataConfig("custom", path, max_train_images=40), seed=0)
    fixed = load_splits(DataConfig("custom", path, range=[-2000, 2000]), seed=0).train
    assert np.abs(np.asarray(fixed.load(0))[..., 0] - eight(np.trunc(scans[0]), -2000, 2000)).max() <= 1


def test_range_is_that_of_ten_thousand_values_of_each_of_200_images(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a.tif").write_bytes(grey_tiff(grey(8).astype("<i2").tobytes(), 16, kind=2))
    asked, percentile = [], np.percentile
    monkeypatch.setattr(np, "percentile", lambda values, at: asked.append((len(values), at)) or percentile(values, at))
    measured_range([str(tmp_path / "a.tif")] * 201, Decoding(), 0)
    assert asked == [(200 * 10_000, (0.5, 99.5))]


def test_constant_images_have_a_range_too(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(grey_tiff(np.full(SHAPE, 7).astype("<i2").tobytes(), 16, kind=2))
    assert measured_range([str(path)], Decoding(), 0) == (7, 8)


@pytest.mark.parametrize("name", ["black", "#0000ff", "hsl(120, 100%, 50%)"])
def test_background(name: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path, {"a.png": png(np.dstack([colour(8), ALPHA8]).astype(int), 8, 6)})
    images = load_splits(DataConfig("custom", path, background=name), seed=0).train
    background = {"black": (0, 0, 0), "#0000ff": BLUE}.get(name, (0, 255, 0))
    assert np.abs(np.asarray(images.load(0)) - over(colour(8), ALPHA, background)).max() <= 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"range": [3]}, r"data.range = \[3\]: must be"),
        ({"range": [3, 3]}, r"data.range = \[3, 3\]: must be"),
        ({"range": "automatic"}, "data.range = 'automatic': must be"),
        ({"range": ["a", "b"]}, r"data.range = \['a', 'b'\]: must be"),
        ({"max_unreadable": 1.5}, "data.max_unreadable = 1.5: must be"),
        ({"max_pixels": 0}, "data.max_pixels = 0: must be"),
    ],
)
def test_bad_keys(config: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_data(DataConfig(**config))


@pytest.mark.parametrize("name", ["whiteish", "", "rgb(300, 0, 0)"])
def test_bad_background(name: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path, {"a.png": png(grey(8), 8, 0)})
    for given in (DataConfig("custom", path), DataConfig()):  # also digits, as other images may be embedded later
        with pytest.raises(InputError, match="^data.background = .*: must be the name of a colour, or '#rrggbb'$"):
            load_splits(replace(given, background=name), seed=0)


# --- what is said of files ---------------------------------------------------------------------------------------


def eval_files(images: FileSet, workers: int) -> list[torch.Tensor]:
    """All batches of an evaluation loader, whose workers may take a minute a batch."""
    settings = {"batch_size": 20, "num_workers": workers, "timeout": 60 if workers else 0}
    loader = FileLoader(EvalDataset(images, 8), sampler=range(len(images)), **settings)
    return [torch.cat(part) for part in zip(*loader)]


@pytest.mark.parametrize("workers", [0, 2])
def test_files_that_none_of_a_set_can_be_read(tmp_path: Path, workers: int) -> None:
    paths = [tmp_path / f"{i}.tif" for i in range(30)]
    for path in paths:
        path.write_bytes(grey_tiff(UNIT.astype("<f4").tobytes(), 32, kind=3))
    images = FileSet([str(path) for path in paths], torch.zeros(30, dtype=torch.int64), 1)
    with pytest.raises(InputError) as caught:
        eval_files(images, workers)
    assert str(caught.value).startswith(f"data.range = None: must be [low, high] or auto, as {paths[0]} holds")
    assert "\n" not in str(caught.value)


def test_files_with_several_images_are_counted_once(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (9, 9), name) for name in ("red", "blue")]
    for i in range(6):
        frames[0].save(tmp_path / f"{i}.gif", save_all=i < 4, append_images=frames[1:] if i < 4 else [])
    images = FileSet([str(tmp_path / f"{i}.gif") for i in range(6)], torch.zeros(6, dtype=torch.int64), 1)
    loader = FileLoader(EvalDataset(images, 8), batch_size=2, sampler=range(6))
    with pytest.warns(UserWarning, match=r"^4 of 6 files hold several images, .*: \S+0.gif, \S+1.gif, \S+2.gif, ...$"):
        labels = torch.cat([labels for _, _, labels in loader])
    assert (labels == 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(loader)


def test_how_many_files_may_be_unreadable() -> None:
    assert [allowed(0.01, count) for count in (3, 60, 300, 1000)] == [3, 3, 3, 10]
    assert (allowed(0.2, 60), allowed(0, 1000), allowed(1, 50)) == (12, 0, 50)


def test_small_images_in_a_table_may_be_damaged(tmp_path: Path) -> None:
    sources = [EncodedImage(pillow(np.full((4, 4, 3), i), "PNG"), f"row {i}") for i in range(60)]
    sources[7] = EncodedImage(b"", "row 7")
    images = FileSet(sources, torch.arange(60), 60)
    with pytest.warns(UserWarning, match="^1 of 60 images could not be read and are skipped: row 7$"):
        memory = decoded_if_small(images)
    assert (memory.images[7] == 8).all() and memory.labels.tolist() == [*range(7), -1, *range(8, 60)]
    assert images.labels[7] == 7


# --- damaged files -----------------------------------------------------------------------------------------------


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """Cut short, with flipped bits, with a stretch of zeros or of another part of itself, or with bytes left out."""
    content = np.frombuffer(data, np.uint8).copy()
    start = int(random.integers(min(len(content), 2000) if random.random() < 0.5 else len(content)))
    length = int(random.integers(1, 64))
    match random.integers(5):
        case 0:
            content = content[:start]
        case 1:
            places = random.integers(start, len(content), random.integers(1, 9))
            content[places] ^= 1 << random.integers(8, size=len(places)).astype(np.uint8)
        case 2:
            content[start : start + length] = 0
        case 3:
            part = content[random.integers(len(content)) :][:length]
            content[start : start + len(part)] = part[: len(content) - start]
        case 4:
            content = np.delete(content, slice(start, start + length))
    return content.tobytes()


def intact() -> list[bytes]:
    """Files of all kinds that are read."""
    random = np.random.default_rng(0)
    photo = Image.fromarray(random.integers(0, 256, (6, 8, 4)).astype(np.uint8)).resize((80, 60))
    kinds = ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF", "JPEG2000", "BMP", "TGA", "ICO", "MPO", "PPM", "DDS", "PCX")
    files = [case.data for case in CASES.values() if not isinstance(case.shows, str)]
    for kind in set(kinds) & set(Image.SAVE):
        image = photo if kind in ("PNG", "WEBP", "TGA", "ICO", "DDS") else photo.convert("RGB")
        files.append(saved(image, kind))
    files.append(saved(photo.convert("RGB"), "JPEG", progressive=True, exif=bytes_of_exif()))
    files.append(saved(photo.convert("RGB"), "GIF", save_all=True, append_images=[photo.convert("L")]))
    return files + [saved(photo, "TIFF", compression=name) for name in ("tiff_lzw", "packbits")]


def bytes_of_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")  # Pillow's own, about odd metadata
def test_damaged_files(count: int, tmp_path: Path) -> None:
    random, files = np.random.default_rng(count), intact()
    endings = (".jpg", ".png", ".tif", ".gif", ".webp", ".pgm")
    sources, readable = [], []
    for i in range(count):
        path = tmp_path / f"{i}{random.choice(endings)}"  # mostly a wrong one
        path.write_bytes(damaged(files[random.integers(len(files))], random))
        sources.append(str(path))
    images = FileSet(sources, torch.zeros(count, dtype=torch.int64), 1, max_unreadable=1.0)
    labels = eval_files(images, workers=2)[2]  # a worker that crashes or hangs ends this with an error
    for i in range(count):
        try:
            image = images.load(i)
            readable.append(True)
            assert image.mode == "RGB" and min(image.size) > 0
        except InputError as error:
            readable.append(False)
            assert sources[i] in str(error) and "\n" not in str(error)
    assert (labels >= 0).tolist() == readable
    assert 0.1 < np.mean(readable) < 0.9


def wrong_header(data: bytes, random: np.random.Generator) -> bytes:
    """Other bytes near the start, and perhaps cut short."""
    content = np.frombuffer(data, np.uint8).copy()
    places = random.exponential(80, random.choice((1, 3, 10))).astype(int)
    content[places.clip(max=len(content) - 1)] = random.integers(256, size=len(places))
    return content[: random.integers(1, len(content)) if random.random() < 0.3 else None].tobytes()


@pytest.mark.parametrize("count", [600, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")  # Pillow's own, about odd metadata
def test_headers_are_read_or_told(count: int) -> None:
    random, files = np.random.default_rng(0), intact()
    decoding, told = Decoding(max_pixels=100_000), 0
    for _ in range(count):
        source = EncodedImage(wrong_header(files[random.integers(len(files))], random), "row 7")
        try:
            header_of(source, decoding)
        except InputError as error:
            assert "row 7" in str(error) and "\n" not in str(error)
            told += 1
    assert 0.1 < told / count < 0.9


def test_pillows_limit_of_pixels_is_as_before_once_images_are_read(monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    source = EncodedImage(saved(Image.new("1", (40, 30)), "PNG"), "photo")
    assert header_of(source, STANDARD).size == decode(source).size == (40, 30)  # with a limit of ours, that is higher
    for read in (decode, header_of, numbers):
        with pytest.raises(InputError, match="^data.max_pixels = 1000: must be higher for photo"):
            read(source, Decoding(max_pixels=1000))
        assert Image.MAX_IMAGE_PIXELS == 50


def test_pillows_limit_of_pixels_stays_until_all_threads_are_done(monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(pixel_limit(1000))
        second.enter_context(pixel_limit(3000))
        assert Image.MAX_IMAGE_PIXELS == 1500
        first.close()
        assert Image.MAX_IMAGE_PIXELS == 1500
    assert Image.MAX_IMAGE_PIXELS is None


def test_an_image_without_a_file_has_a_name_in_messages() -> None:
    image = Image.new("F", (4, 4))
    with pytest.raises(InputError, match="as a PIL image holds"):
        decode_opened(image)
    image.filename = "scan"
    with pytest.raises(InputError, match="as a file .*scan holds|as scan holds"):
        decode_opened(image)
