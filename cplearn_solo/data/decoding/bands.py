"""Images of other bands than grey or RGB: each band as the file has it, without colours, backgrounds or palettes."""

from __future__ import annotations

import logging
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from cplearn_solo.core.errors import require
from cplearn_solo.data.decoding.samples import SIXTEEN_BITS, Limits, Samples, has_samples, raw_mode, read_samples
from cplearn_solo.data.decoding.source import EncodedImage, Source, opened, source_name, start_of
from cplearn_solo.data.decoding.tiff import ORIENTATION

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it says much about damaged files

TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # first bytes, also of BigTIFF
INKS = 5  # photometric interpretation of CMYK
PILLOWS = {"LA": 2, "RGBA": 4}  # bands of the modes of Pillow that are read as they are


class FileBands(NamedTuple):
    """What a file holds: ``samples`` (h, w, n), whether there are more images, and how the first is turned (EXIF)."""

    samples: Samples
    several: bool
    orientation: int


class Bands:
    """An image of any number of bands: ``pixels``, uint8 (h, w, n), with the methods used of Pillow's images."""

    mode = "bands"

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width, _ = self.pixels.shape
        return width, height

    def transpose(self, method: Image.Transpose) -> Bands:
        """Flipped or rotated."""
        bands = (Image.fromarray(np.ascontiguousarray(self.pixels[..., i])) for i in range(self.pixels.shape[2]))
        return Bands(np.stack([np.asarray(band.transpose(method)) for band in bands], -1))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.pixels, dtype, copy=True) if copy else np.asarray(self.pixels, dtype)


def read_bands(source: Source, channels: int, max_pixels: int) -> FileBands:
    """The first image of a file; ``ValueError`` unless it has exactly ``channels`` bands.

    TIFF files of any data type are read by ``tifffile``, all others by Pillow.
    """
    if start_of(source, 4) in TIFFS:
        return _of_tiff(source, channels, max_pixels)
    with opened(source) as image:
        deep_grey = raw_mode(image) == "LA;16B"  # which Pillow calls RGBA
        if (2 if deep_grey else PILLOWS.get(image.mode)) != channels:
            found = f"{len(image.getbands())} band(s) ({image.mode})"
            raise ValueError(f"{found} are not read as data.channels = {channels}")
        if has_samples(image):  # asked before anything loads the image
            of_colours = read_samples(image, source)
            alpha = (of_colours.alpha * SIXTEEN_BITS[1]).round()
            samples = Samples(np.dstack([of_colours.values, alpha]), SIXTEEN_BITS)
        else:
            samples = _eight_bits(np.asarray(image))
        return FileBands(samples, getattr(image, "is_animated", False), image.getexif().get(ORIENTATION, 1))


def _of_tiff(source: Source, channels: int, max_pixels: int) -> FileBands:
    try:
        from tifffile import TiffFile
    except ModuleNotFoundError:
        raise ValueError("bands of a TIFF are read with tifffile: pip install cplearn-solo[bands]") from None
    with TiffFile(BytesIO(source.data) if isinstance(source, EncodedImage) else source) as file:
        page, several = file.pages.first, len(file.pages) > 1
        bands, name = page.samplesperpixel, source_name(source)
        if bands != channels or page.photometric == INKS:
            of_inks = " of inks (CMYK)" if page.photometric == INKS else ""
            raise ValueError(f"{bands} band(s){of_inks} are not read as data.channels = {channels}")
        shape = (page.imagelength, page.imagewidth, bands)
        fits = shape[0] * shape[1] <= max_pixels
        require(fits, "data.max_pixels", max_pixels, f"higher for {name}, or the file is no image")
        values = page.asarray()
        values = np.moveaxis(values, 0, -1) if page.axes[0] == "S" else values  # bands in planes
        if values.shape != shape:
            raise ValueError(f"a TIFF of {shape} numbers, of which {values.shape} are there")
        orientation = page.tags.valueof(ORIENTATION, 1)
        if values.dtype == np.uint8 and page.bitspersample == 8:
            return FileBands(_eight_bits(values), several, orientation)
        limits, stated = _limits(values.dtype, page.bitspersample)
        return FileBands(Samples(values, limits, stated), several, orientation)


def _eight_bits(values: np.ndarray) -> Samples:
    return Samples(values, (0, 255), stated=True)


def _limits(kind: np.dtype, bits: int) -> tuple[Limits | None, bool]:
    """Black and white by the type of the numbers, and whether the file itself names them."""
    if kind.kind != "u" or bits > 16:
        return None, False
    return (0, 2**bits - 1), bits < 16
