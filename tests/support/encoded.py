"""Image files byte by byte, of kinds that Pillow cannot write: from the formats' definitions."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

LETTERS = {1: "B", 3: "H", 4: "I"}  # by type of a TIFF tag: byte, short, long


def packed(values: np.ndarray, bits: int, order: str = ">") -> bytes:
    """Unsigned numbers (h, w) or (h, w, bands) of 1, 2, 4, 8, 12 or 16 bits, each row from a new byte on."""
    rows = values.reshape(len(values), -1)
    if bits == 16:
        return rows.astype(f"{order}u2").tobytes()
    places = np.arange(bits)[::-1]
    return np.packbits((rows[..., None] >> places & 1).astype(np.uint8).reshape(len(rows), -1), axis=1).tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values: np.ndarray, bits: int, colour: int, *chunks: bytes) -> bytes:
    """A PNG of that colour type without filters; ``chunks`` come before the pixels."""
    height, width = values.shape[:2]
    rows = packed(values, bits)
    size = len(rows) // height
    lines = b"".join(b"\0" + rows[i * size : (i + 1) * size] for i in range(height))
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(
    strips: Sequence[bytes],
    width: int,
    height: int,
    tags: Mapping[int, Sequence[int]],
    order: str = "<",
    deflate: bool = False,
) -> bytes:
    """A TIFF; ``tags`` need not say size and place of the strips, nor the compression. Their numbers are shorts."""
    strips = [zlib.compress(strip) for strip in strips] if deflate else list(strips)
    rows = -(-height // len(strips)) if tags.get(284) != [2] else height
    every: dict[int, tuple[int, Sequence[int]]] = {tag: (3, values) for tag, values in tags.items()}
    every |= {256: (4, [width]), 257: (4, [height]), 259: (3, [8 if deflate else 1]), 278: (4, [rows])}
    every |= {273: (4, [0] * len(strips)), 279: (4, [len(strip) for strip in strips])}
    data = {tag: struct.pack(order + LETTERS[kind] * len(v), *v) for tag, (kind, v) in every.items()}
    place = 8 + 2 + 12 * len(every) + 4
    places = {}
    for tag in sorted(data):
        if len(data[tag]) > 4:
            places[tag], place = place, place + len(data[tag])
    offsets = [place + sum(map(len, strips[:i])) for i in range(len(strips))]
    data[273] = struct.pack(order + "I" * len(strips), *offsets)
    out = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(every))
    for tag in sorted(every):
        kind, values = every[tag]
        field = struct.pack(order + "I", places[tag]) if tag in places else data[tag].ljust(4, b"\0")
        out += struct.pack(order + "HHI", tag, kind, len(values)) + field
    out += struct.pack(order + "I", 0)
    return out + b"".join(data[tag] for tag in sorted(places)) + b"".join(strips)


def tga(pixels: np.ndarray, alpha_bits: int) -> bytes:
    """A TGA of 32 bits, from the top, of RGBA values (h, w, 4)."""
    height, width = pixels.shape[:2]
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, width, height, 32, 0x20 | alpha_bits)
    return header + pixels[..., [2, 1, 0, 3]].astype(np.uint8).tobytes()
