"""The one place that decodes: a file, or encoded bytes, to an upright 8-bit image, or an error that names it.

``image`` has the steps, ``samples`` reads more than 8 bits, ``bands`` other bands than grey or RGB, ``header`` what a
file says before it is decoded, ``formats`` lists what is read at all, ``value_range`` measures ``data.range: auto``.
docs/data.md says how each kind is decoded.
"""

from typing import TYPE_CHECKING

from cplearn_solo.core.lazy import lazy_imports

if TYPE_CHECKING:
    from cplearn_solo.data.decoding.bands import Bands
    from cplearn_solo.data.decoding.formats import is_image_name
    from cplearn_solo.data.decoding.header import Header, header_of
    from cplearn_solo.data.decoding.image import Decoded, Decoding, Picture, Shrink, decode, decode_opened
    from cplearn_solo.data.decoding.source import EncodedImage, source_name
    from cplearn_solo.data.decoding.value_range import measured_range

__getattr__, __all__ = lazy_imports(__file__)
