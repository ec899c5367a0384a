"""TIFF: what Pillow would read wrongly."""

from __future__ import annotations

from PIL.TiffImagePlugin import TiffImageFile

BITS, PHOTOMETRIC, SAMPLES, PLANAR, EXTRA, FORMAT, SUBSAMPLING = 258, 262, 277, 284, 338, 339, 530  # tags
ORIENTATION = 274  # the tag in TIFF and EXIF, from 1, upright, to 8
WHITE_IS_ZERO, YCBCR = 0, 6
SIGNED = 2


def check_tiff(image: TiffImageFile) -> None:
    """Raises ``ValueError`` for files that Pillow would read wrongly without an error."""
    tags, by_libtiff = image.tag_v2, image.tile[0].codec_name == "libtiff"
    bands, wide = tags.get(SAMPLES, 1), max(tags.get(BITS, (1,))) > 8
    if bands > 4 or (bands == 2 and tags.get(EXTRA) == (0,)):
        raise ValueError(
            f"has {bands} bands, and only 1, 3 and 4 are read; data.channels={bands} takes all as they are"
        )
    if bands > 1 and wide and tags.get(PLANAR) == 2:
        raise ValueError("a TIFF of 16-bit colours in separate planes is not read")
    if tags.get(PHOTOMETRIC) == YCBCR and tags.get(SUBSAMPLING, (2, 2)) != (1, 1) and not by_libtiff:
        raise ValueError("a TIFF of YCbCr with fewer colours than pixels is read only where it is compressed")


def bits_and_sign(image: TiffImageFile) -> tuple[int, bool]:
    """Bits per sample, and whether samples are signed integers."""
    return image.tag_v2.get(BITS, (1,))[0], image.tag_v2.get(FORMAT, (1,))[0] == SIGNED


def white_is_zero(image: TiffImageFile) -> bool:
    """Whether the lowest number is white; Pillow respects this only in images of up to 8 bits."""
    return image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO


def turned_by_pillow(image: TiffImageFile) -> int | None:
    """The orientation by which Pillow will turn the image upright while it loads it, as it does with TIFFs alone."""
    return image.tag_v2.get(ORIENTATION)


def mend_byte_order(image: TiffImageFile) -> None:
    """libtiff gives numbers in the machine's byte order, but Pillow reads signed and float ones in the file's."""
    native = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
    tile = image.tile[0]
    if tile.codec_name == "libtiff" and tile.args[0] in native:
        image.tile = [tile._replace(args=(native[tile.args[0]], *tile.args[1:]))]
