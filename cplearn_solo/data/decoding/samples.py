"""Images of more than 8 bits: their numbers as the file has them, and how these become 8 bits."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
from PIL import ImageFile

from cplearn_solo.core.errors import require
from cplearn_solo.data.decoding.source import Source, opened
from cplearn_solo.data.decoding.tiff import bits_and_sign, mend_byte_order, white_is_zero

Limits = tuple[float, float]
SIXTEEN_BITS: Limits = (0, 65535)
DARK = 2**14  # if no 16-bit value reaches it, they likely have only 12 or 14 bits


class Samples(NamedTuple):
    """The numbers of an image.

    ``values`` has shape (h, w) or (h, w, bands). ``limits`` are black and white by the format's definition, or ``None``
    without one; they are ``stated`` if the file itself names them. ``alpha`` is (h, w), from 0, transparent, to 1.
    """

    values: np.ndarray
    limits: Limits | None
    stated: bool = False
    alpha: np.ndarray | None = None
    white_is_zero: bool = False


def raw_mode(image: ImageFile.ImageFile) -> str:
    """Pillow's name for the pixels as the file has them, such as ``RGB;16B``; empty after loading, or where unknown."""
    tile = getattr(image, "tile", None)  # images that Pillow itself made have none
    arguments = tile[0].args if tile else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def has_samples(image: ImageFile.ImageFile) -> bool:
    """Whether an opened image has more than 8 bits, or negative numbers."""
    if image.mode.startswith(("I", "F")):
        return True
    wide_colour = image.format in ("PNG", "TIFF") and image.mode in ("RGB", "RGBA") and ";16" in raw_mode(image)
    return wide_colour or (image.format == "TIFF" and image.mode == "L" and bits_and_sign(image)[1])


def read_samples(image: ImageFile.ImageFile, source: Source) -> Samples:
    """The numbers of an image that was opened from ``source``; decodes it."""
    return _grey(image) if image.mode[0] in "IFL" else _colour(image, source)


def _grey(image: ImageFile.ImageFile) -> Samples:
    limits, stated = _limits(image)
    if image.format != "TIFF":
        image.load()
        values, transparent = np.asarray(image), image.info.get("transparency")
        return Samples(values, limits, stated, None if transparent is None else values != transparent)
    mend_byte_order(image)
    image.load()
    bits, signed = bits_and_sign(image)
    kind = {(8, True): np.int8, (32, False): np.uint32}.get((bits, signed))  # to Pillow these are uint8 and int32
    values = np.asarray(image)
    mistaken = kind is not None and image.mode != "F"
    return Samples(values.view(kind) if mistaken else values, limits, stated, None, white_is_zero(image))


def _limits(image: ImageFile.ImageFile) -> tuple[Limits | None, bool]:
    """Black and white of a grey image by its format, and whether the file names them."""
    tile = getattr(image, "tile", None)
    arguments = tile[0].args if tile else None
    if image.format == "PPM" and image.mode == "I":  # Pillow scales the maximum that the file names to 65535
        return SIXTEEN_BITS, isinstance(arguments, tuple) and arguments[-1] != 65535
    if image.format == "JPEG2000":  # Pillow scales the number of bits that the file names to 16
        return SIXTEEN_BITS, True
    if raw_mode(image) == "I;12":
        return (0, 4095), True
    sixteen = image.format == "PNG" or (image.format in ("TIFF", "IM") and image.mode.startswith("I;16"))
    return (SIXTEEN_BITS if sixteen else None), False


def _colour(image: ImageFile.ImageFile, source: Source) -> Samples:
    """Pillow keeps the upper bytes of 16-bit colours; read in the other byte order, it keeps the lower ones."""
    raw = raw_mode(image)
    if raw == "LA;16B":  # two bands of 16 bits, read as four bands of 8
        both = _load_as(image, "RGBA").view(">u2")
        return Samples(both[..., 0], SIXTEEN_BITS, alpha=both[..., 1] / np.float32(65535))
    premultiplied = raw.startswith("RGBa")
    bands, order = raw[:-1].replace("RGBa", "RGBA"), raw[-1].replace("N", sys.byteorder[0].upper())
    with opened(source) as again:
        lower = _load_as(again, bands + {"B": "L", "L": "B"}[order])
    values = _load_as(image, bands + order).astype(np.uint16) << 8 | lower
    alpha = None
    if values.shape[-1] == 4:
        values, alpha = values[..., :3], values[..., 3] / np.float32(65535)
        if premultiplied:
            values = values / np.maximum(alpha, 1 / 65535)[..., None]
    elif "transparency" in image.info:
        alpha = (values != image.info["transparency"]).any(-1)
    return Samples(values, SIXTEEN_BITS, alpha=alpha)


def _load_as(image: ImageFile.ImageFile, raw: str) -> np.ndarray:
    """The pixels (h, w, bands) of an opened image, read as if its raw mode were ``raw``."""
    image.tile = [
        tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:])) for tile in image.tile
    ]
    image.load()
    return np.asarray(image)


def to_8_bits(samples: Samples, limits: Limits | None, background: tuple[int, int, int], name: str) -> np.ndarray:
    """The numbers in 8 bits; with transparency they are put on the background, which makes them RGB.

    ``limits`` replace the format's unless the file states its own. Raises ``InputError`` if there are none, or if
    16-bit values seem to have fewer bits.
    """
    low, high = samples.limits if samples.stated else limits or _limits_of_format(samples, name)
    if samples.white_is_zero:
        low, high = high, low
    precise = np.float32 if samples.values.dtype.itemsize <= 2 else np.float64
    with np.errstate(all="ignore"):  # NaN becomes black, infinite values black or white
        scaled = (samples.values.astype(precise) - precise(low)) * precise(255 / (high - low))
    pixels = np.nan_to_num(scaled, nan=0).clip(0, 255)
    if samples.alpha is not None:
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        alpha = samples.alpha[..., None].astype(precise)
        pixels = pixels * alpha + np.asarray(background, precise) * (1 - alpha)
    return (pixels + 0.5).astype(np.uint8)


def _limits_of_format(samples: Samples, name: str) -> Limits:
    finite = samples.values[np.isfinite(samples.values)]
    least, most = (finite.min(), finite.max()) if finite.size else (0, 0)
    holds = f"[low, high] or auto, as {name} holds values from {least:g} to {most:g} and"
    require(samples.limits is not None, "data.range", None, f"{holds} does not say which are black and white")
    fewer = f"{holds} seems to have fewer bits than its 16; [0, 65535] takes it as it is"
    require(not 0 < most < DARK, "data.range", None, fewer)
    return samples.limits
