"""Tiles of the dictionary and of the logits, in memory that is allocated once and reused for each tile."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.objective.packed import PackedDictionary

TILE_BYTES = 6 << 20  # of a tile of W; with smaller tiles, the overhead of operations matters
LOGITS_BYTES = 8 << 20  # of the results computed from a tile
GPU_FACTOR = 256  # both are larger by this factor on a GPU, which needs more work at once
LEAST_WIDTH = 64  # codes in a tile, whatever its bytes


class Tiles:
    """Logits H W / tau of all views, a tile of codes at a time.

    ``h``: embeddings ``(views, n, f)``. ``kept_bytes``: memory for logits that are kept instead of computed again.
    ``bounds``: first code of each tile, and one past its last code. Products are in half precision if h is and the
    processor has units for it; everything else is in float32, or in float64 if h is.
    """

    def __init__(self, h: Tensor, dictionary: PackedDictionary, temperature: float, *, kept_bytes: int) -> None:
        full = at_least_float32(h)
        self.h = (full / temperature).to(h.dtype if has_units(h.device, h.dtype) else full.dtype)
        self.dictionary, self.dtype = dictionary, full.dtype
        views, n, _ = h.shape
        factor = GPU_FACTOR if h.is_cuda else 1
        width = factor * min(TILE_BYTES // (128 * len(dictionary.words)), LOGITS_BYTES // (12 * views * n))
        self.width = width = min(max(width // 16 * 16, LEAST_WIDTH), dictionary.c)  # 16: a vector register
        self.bounds = [(k, min(k + width, dictionary.c)) for k in range(0, dictionary.c, width)]
        self._unpacked: tuple[int, Tensor] | None = None  # index and entries of the current tile of W
        self._buffers: dict[str, Tensor] = {}
        size = views * n * width
        self._kept = min(len(self.bounds), kept_bytes // (size * self.h.element_size()))
        self._computed: set[int] = set()  # kept tiles whose logits are there
        # if not all are kept, the others share the last slot
        self._logits = h.new_empty(min(self._kept + 1, len(self.bounds)), size, dtype=self.h.dtype)

    def logits(self, k: int) -> Tensor:
        """The k-th tile of logits, ``(views, n, width)`` in the dtype of products; valid until another is requested."""
        z = self._shaped(self._logits[min(k, self._kept)], k)
        if k not in self._computed:
            self._times_w(k, out=z.flatten(0, 1))
        if k < self._kept:
            self._computed.add(k)
        return z

    def times_transposed_w(self, k: int, dz: Tensor) -> Tensor:
        """``dz`` of the k-th tile, ``(views, n, width)``, times the tile's transposed W: ``(views * n, f)``."""
        return dz.flatten(0, 1) @ self._w(k).T

    def shifted(self, k: int, z: Tensor, top: Tensor) -> tuple[Tensor, Tensor]:
        """d = z - top and exp(d) of the k-th tile for ``top`` ``(views, n)``; valid until called again."""
        d, e = (self._shaped(self._memory(name, z.shape[0] * z.shape[1], self.dtype), k) for name in ("d", "e"))
        torch.sub(z, top[:, :, None], out=d)
        return d, torch.exp(d, out=e)

    def work(self, k: int) -> Tensor:
        """Memory ``(n, width)`` to compute in."""
        return self._shaped(self._memory("work", self.h.shape[1], self.dtype), k, views=1)[0]

    def _times_w(self, k: int, out: Tensor) -> None:
        torch.mm(self.h.flatten(0, 1), self._w(k), out=out)

    def _w(self, k: int) -> Tensor:
        """The k-th tile of W, ``(f, width)`` in the dtype of products; valid until another is requested."""
        if self._unpacked is None or self._unpacked[0] != k:
            memory = self._memory("w", 32 * len(self.dictionary.words), torch.float32)
            self._unpacked = (k, self.dictionary.tile(*self.bounds[k], out=memory).to(self.h.dtype))
        return self._unpacked[1]

    def _memory(self, name: str, rows: int, dtype: torch.dtype) -> Tensor:
        """``rows`` rows of the widest tile; the same memory for each call with this ``name``."""
        if name not in self._buffers:
            self._buffers[name] = self.h.new_empty(rows * self.width, dtype=dtype)
        return self._buffers[name]

    def _shaped(self, memory: Tensor, k: int, views: int | None = None) -> Tensor:
        start, stop = self.bounds[k]
        shape = (views or len(self.h), self.h.shape[1], stop - start)
        return memory[: math.prod(shape)].view(shape)


def has_units(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether products in ``dtype`` are no slower than in float32."""
    if device.type != "cpu" or dtype not in (torch.bfloat16, torch.float16):
        return True
    if dtype == torch.float16:
        return torch.cpu._is_amx_fp16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
