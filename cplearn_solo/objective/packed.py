"""A dictionary at one bit per entry, and tiles of it as floats."""

from __future__ import annotations

import torch
from torch import Tensor

from cplearn_solo.core.errors import require


class PackedDictionary:
    """The dictionary W in {-1, +1}^(f x c) as the words of :func:`cplearn_solo.dictionary.pack_dictionary`.

    ``words``: int32 ``(ceil(f / 32), c)``. Raises ``InputError`` for words of another shape or type.
    """

    def __init__(self, words: Tensor, f: int) -> None:
        require(
            words.ndim == 2 and words.dtype == torch.int32 and len(words) == -(-f // 32),
            *("words", f"{words.dtype} {tuple(words.shape)}"),
            f"int32 ({-(-f // 32)}, c), one bit for each of f = {f} rows",
        )
        self.words, self.f, self.c = words, f, words.shape[1]
        self._shifts = torch.arange(31, -1, -1, dtype=torch.int32, device=words.device)[:, None]
        self._one = torch.ones((), device=words.device)

    def columns(self, start: int, stop: int) -> PackedDictionary:
        """The codes ``start`` to ``stop``, without a copy."""
        return PackedDictionary(self.words[:, start:stop], self.f)

    def tile(self, start: int, stop: int, out: Tensor | None = None) -> Tensor:
        """Entries of the codes ``start`` to ``stop`` as float32 ``(f, stop - start)``.

        ``out``: memory to write them to, float32 with at least 32 ceil(f / 32) (stop - start) elements.
        """
        words = self.words[:, None, start:stop].bitwise_not()  # the sign bit of a negative float is set
        shape = (len(words), 32, stop - start)
        out = torch.empty(shape, device=words.device) if out is None else out[: len(words) * 32 * shape[2]].view(shape)
        torch.bitwise_left_shift(words, self._shifts, out=out.view(torch.int32))  # the bit becomes float32's sign
        torch.copysign(self._one, out, out=out)
        return out.flatten(0, 1)[: self.f]
