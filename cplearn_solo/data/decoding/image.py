"""From the file to an image of 8 bits: opened, refused or decoded, put on its background, turned upright."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from cplearn_solo.core.errors import InputError, reason_of, require
from cplearn_solo.data.decoding.background import background_of
from cplearn_solo.data.decoding.bands import Bands, read_bands
from cplearn_solo.data.decoding.limit import pixel_limit
from cplearn_solo.data.decoding.samples import Limits, Samples, has_samples, raw_mode, read_samples, to_8_bits
from cplearn_solo.data.decoding.source import EncodedImage, Source, opened, source_name
from cplearn_solo.data.decoding.tiff import ORIENTATION, check_tiff, turned_by_pillow
from cplearn_solo.data.schema import DataConfig

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # data.max_pixels decides

COLOURS = {1: "L", 3: "RGB"}  # Pillow's modes by channels
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)
BACK = {6: 8, 8: 6}  # the orientation by which an upright image is again as stored, where it is another one


@dataclass(frozen=True)
class Decoding:
    """What decoding depends on besides the file.

    ``limits`` are the values that become black and white if an image has more than 8 bits, ``background`` is the RGB
    colour behind transparent pixels. ``channels``: 3 for RGB (grey is repeated), 1 for grey (colours become their
    luma), and any other number for images of exactly so many bands, each as the file has it.
    """

    limits: tuple[float, float] | None = None
    background: tuple[int, int, int] = (255, 255, 255)
    max_pixels: int = DataConfig.max_pixels
    channels: int = DataConfig.channels

    @classmethod
    def of(cls, cfg: DataConfig, measured: Limits | None = None) -> Decoding:
        """From the keys under ``data:``; ``range: auto`` is ``measured``. ``InputError`` for an unknown colour."""
        limits = measured if cfg.range == "auto" else cfg.range and tuple(cfg.range)
        return cls(limits, background_of(cfg.background), cfg.max_pixels, cfg.channels)

    @classmethod
    def of_plain(cls, values: dict[str, Any]) -> Decoding:
        """From ``values`` that :meth:`plain` has returned."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})

    def plain(self) -> dict[str, Any]:
        """Its values in JSON's types."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


Picture = Image.Image | Bands  # in RGB, grey, or bands


class Decoded(NamedTuple):
    """An image, whether it was the first of several in its file, and ``size``, its full width and height.

    ``image`` is smaller than ``size`` if a JPEG was decoded at a reduced scale.
    """

    image: Picture
    one_of_several: bool
    size: tuple[int, int]


STANDARD = Decoding()
SCALES = (8, 4, 2, 1)  # factors by which libjpeg, as Pillow uses it, can reduce while decoding
Shrink = Callable[[int, int], float]


def decode(
    source: Source, decoding: Decoding = STANDARD, shrink: Shrink | None = None, *, upright: bool = True
) -> Decoded:
    """Decodes an image; raises ``InputError`` naming the file, or the row, that cannot be read correctly.

    ``shrink`` takes width and height of the image and returns how many times smaller it may be. JPEGs are then decoded
    at the smallest sufficient scale, which saves most of the work. It is called before decoding. If not ``upright``,
    the image stays as it is stored, whatever orientation its metadata says.
    """
    with errors_told(source, decoding):
        size: tuple[int, int] | None = None
        picture: Picture
        if decoding.channels in COLOURS:
            with _opened(source) as image:
                size = _scaled(image, shrink, upright) if shrink and isinstance(image, JpegImageFile) else None
                turned = turned_by_pillow(image) if image.format == "TIFF" else None
                several = getattr(image, "is_animated", False) and image.format != "PSD"  # its layers are one image
                picture = _in_colours(image, source, decoding)
                orientation = image.getexif().get(ORIENTATION)
        else:
            samples, several, orientation = read_bands(source, decoding.channels, decoding.max_pixels)
            picture, turned = Bands(_in_8_bits(samples, source, decoding)), None
        picture = _upright(picture, orientation if upright else BACK.get(turned, turned))
        return Decoded(picture, several, size or picture.size)


def decode_opened(image: Image.Image, decoding: Decoding = STANDARD) -> Picture:
    """Converts an image that Pillow has opened or made as :func:`decode` would; JPEGs are decoded at full scale."""
    name = getattr(image, "filename", "") or "a PIL image"
    with errors_told(name, decoding):
        picture: Picture
        if decoding.channels in COLOURS:
            if image.format == "TIFF":
                check_tiff(image)
            picture = _in_colours(image, _where(image, name), decoding)
        else:
            bands = len(image.getbands())
            if bands != decoding.channels or image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
                raise ValueError(f"its mode is {image.mode}; data.channels is {decoding.channels}")
            picture = Bands(np.asarray(image))
        return _upright(picture, image.getexif().get(ORIENTATION))


def _where(image: Image.Image, name: str) -> Source:
    """A source to open an opened image again, as 16-bit colours need it: its file name, or all of its bytes."""
    file = getattr(image, "fp", None)
    if file is None or getattr(image, "filename", "") or not has_samples(image):
        return name
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    return EncodedImage(content, name)


def _upright(picture: Picture, orientation: int | None) -> Picture:
    turn = UPRIGHT.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def numbers(source: Source, decoding: Decoding = STANDARD) -> Samples | None:
    """The numbers of an image of more than 8 bits, ``None`` for others; raises as :func:`decode`."""
    with errors_told(source, decoding):
        if decoding.channels not in COLOURS:
            return read_bands(source, decoding.channels, decoding.max_pixels).samples
        with _opened(source) as image:
            return read_samples(image, source) if has_samples(image) else None


def _in_colours(image: Image.Image, source: Source, decoding: Decoding) -> Image.Image:
    """An opened image in RGB or grey."""
    if has_samples(image):
        picture = Image.fromarray(_in_8_bits(read_samples(image, source), source, decoding))
    else:
        picture = _on_background(image, decoding.background)
    mode = COLOURS[decoding.channels]
    return picture if picture.mode == mode else picture.convert(mode)


def _in_8_bits(samples: Samples, source: Source, decoding: Decoding) -> np.ndarray:
    return to_8_bits(samples, decoding.limits, decoding.background, source_name(source))


@contextmanager
def _opened(source: Source) -> Iterator[ImageFile.ImageFile]:
    """Opens it with Pillow; ``ValueError`` for files that Pillow would read wrongly."""
    with opened(source) as image:
        if image.format == "TIFF":
            check_tiff(image)
        yield image


@contextmanager
def errors_told(source: Source, decoding: Decoding) -> Iterator[None]:
    """Turns every error with the image in the block, also of too many pixels, into an ``InputError`` of one line."""
    name = source_name(source)
    try:
        with pixel_limit(decoding.max_pixels):
            yield
    except InputError:
        raise
    except Image.DecompressionBombError:
        require(False, "data.max_pixels", decoding.max_pixels, f"higher for {name}, or the file is no image")
    except Exception as error:  # Pillow raises nearly anything for damaged files
        raise InputError(f"unreadable image {name}: {reason_of(error)}") from error


def _scaled(image: JpegImageFile, shrink: Shrink, upright: bool) -> tuple[int, int]:
    """Sets the scale of a JPEG as ``shrink`` allows; returns width and height of the whole image, perhaps upright."""
    width, height = image.size
    whole = (height, width) if upright and image.getexif().get(ORIENTATION) in SIDEWAYS else (width, height)
    factor = shrink(*whole)
    scale = next(scale for scale in SCALES if scale <= max(factor, 1))
    image.draft(None, (width // scale, height // scale))
    return whole


def _on_background(image: ImageFile.ImageFile, background: tuple[int, int, int]) -> Image.Image:
    """An image of up to 8 bits, in grey or RGB."""
    if image.mode == "LAB":
        raise ValueError("Pillow does not read LAB colours exactly")
    grey_step = {"1": 255, "L;2": 85, "L;4": 17}.get(raw_mode(image))
    if image.format == "TGA" and not _alpha_bits(image):
        return image.convert("RGB")
    image.load()
    if grey_step and 0 < image.info.get("transparency", 0) < grey_step:
        image.info["transparency"] *= grey_step  # Pillow scales the pixels only
    if not image.has_transparency_data:
        return image if image.mode in COLOURS.values() else image.convert("RGB")
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    flat = Image.new("RGB", rgba.size, background)
    flat.paste(rgba, mask=rgba)
    return flat


def _alpha_bits(image: ImageFile.ImageFile) -> int:
    """Bits of alpha in a TGA, whose fourth channel may have no meaning."""
    image.fp.seek(17)
    return image.fp.read(1)[0] & 15
