"""Tiles of the dictionary and of the logits, in memory that is allocated once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cplearn_solo.kernels.packed import PackedDictionary
from cplearn_solo.precision import full_precision

TILE_BYTES = 4 << 20  # of a tile of W: about the caches of a few cores
LOGITS_BYTES = 16 << 20  # of what is computed from a tile, at most, as long as the tile has
LEAST_WIDTH = 64  # codes; narrower ones spend their time between operations


class Tiles:
    """Logits H W / tau of all views, a tile of codes at a time.

    ``h``: embeddings ``(views, n, f)``. ``kept_bytes``: of logits that need not be multiplied out again. Where h is in
    half precision, products are, if the processor has units for it; everything else is in float32, or in float64 where
    h is.
    """

    def __init__(self, h: Tensor, dictionary: PackedDictionary, temperature: float, *, kept_bytes: int) -> None:
        full = full_precision(h)
        self.h = (full / temperature).to(h.dtype if has_units(h.device, h.dtype) else full.dtype)
        self.dictionary, self.dtype = dictionary, full.dtype
        views, n, _ = h.shape
        rows = 32 * len(dictionary.words)
        width = min(TILE_BYTES // (4 * rows), LOGITS_BYTES // (12 * views * n))
        width = min(max(width // 16 * 16, LEAST_WIDTH), dictionary.c)  # 16: a vector register
        self.bounds = [(k, min(k + width, dictionary.c)) for k in range(0, dictionary.c, width)]
        self._w = h.new_empty(rows * width, dtype=torch.float32)
        self._w_tile: tuple[int | None, Tensor] = (None, self._w)
        size = views * n * width
        self._scratch = [h.new_empty(size, dtype=self.dtype) for _ in range(2)]
        self._work = h.new_empty(n * width, dtype=self.dtype)
        kept = min(len(self.bounds), kept_bytes // (size * self.h.element_size()))
        self._known = [False] * kept
        # one more where not all are kept
        self._logits = h.new_empty(min(kept + 1, len(self.bounds)), size, dtype=self.h.dtype)

    def __len__(self) -> int:
        return len(self.bounds)

    def w(self, k: int) -> Tensor:
        """The k-th tile of W, ``(f, width)`` in the type of products; valid until another is asked for."""
        if self._w_tile[0] != k:
            self._w_tile = (k, self.dictionary.tile(*self.bounds[k], out=self._w).to(self.h.dtype))
        return self._w_tile[1]

    def logits(self, k: int) -> Tensor:
        """The k-th tile of logits, ``(views, n, width)`` in the type of products; valid until another is asked for."""
        z = self._shaped(self._logits[min(k, len(self._known))], k)
        if k >= len(self._known) or not self._known[k]:
            torch.mm(self.h.flatten(0, 1), self.w(k), out=z.flatten(0, 1))
            self._known[k : k + 1] = [True] * (k < len(self._known))
        return z

    def shifted(self, k: int, z: Tensor, top: Tensor) -> tuple[Tensor, Tensor]:
        """d = z - top and exp(d) of the k-th tile for ``top`` ``(views, n)``; valid until called again."""
        d, e = (self._shaped(memory, k) for memory in self._scratch)
        torch.sub(z, top[:, :, None], out=d)
        return d, torch.exp(d, out=e)

    def work(self, k: int) -> Tensor:
        """Memory ``(n, width)`` to compute in."""
        return self._shaped(self._work, k, views=1)[0]

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
