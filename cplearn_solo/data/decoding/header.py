"""What a file says of its image before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ImageFile

from cplearn_solo.data.decoding.bands import read_bands
from cplearn_solo.data.decoding.image import UPRIGHT, Decoding, errors_told
from cplearn_solo.data.decoding.samples import raw_mode
from cplearn_solo.data.decoding.source import Source, opened
from cplearn_solo.data.decoding.tiff import BITS, ORIENTATION


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its image: ``size`` is (width, height) in pixels before it is ``turned`` upright."""

    format: str
    mode: str
    bits: int
    size: tuple[int, int]
    turned: bool


def header_of(source: Source, decoding: Decoding) -> Header:
    """The header of an image; raises ``InputError`` naming the file, or the row, that has none."""
    with errors_told(source, decoding):
        try:
            with opened(source) as image:
                turned = image.getexif().get(ORIENTATION) in UPRIGHT
                return Header(image.format or "", image.mode, _bits(image), image.size, turned)
        except ValueError:  # a TIFF whose bands Pillow does not know
            samples, _, orientation = read_bands(source, decoding.channels, decoding.max_pixels)
            height, width, bands = samples.values.shape
            bits = 8 * samples.values.itemsize
            return Header("TIFF", f"{bands} bands", bits, (width, height), orientation in UPRIGHT)


def _bits(image: ImageFile.ImageFile) -> int:
    """Bits per sample in the file, as far as Pillow tells."""
    if image.format == "TIFF":
        return max(image.tag_v2.get(BITS, (1,)))
    if ";16" in image.mode + raw_mode(image) or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return 16
    return {"1": 1, "I": 32, "F": 32}.get(image.mode, 8)
