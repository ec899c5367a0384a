"""``data.range: auto``: which values are black and white, measured on a sample of the images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.decoding.image import Decoding, numbers
from cplearn_solo.data.decoding.samples import Limits
from cplearn_solo.data.decoding.source import Source
from cplearn_solo.data.notes import say_once

PERCENTILES = (0.5, 99.5)
IMAGES = 200  # of a set
PIXELS = 10_000  # of an image


def measured_range(sources: Sequence[Source], decoding: Decoding, seed: int) -> Limits | None:
    """The 0.5 and 99.5 percentiles of the values of a seeded sample, to six digits; also prints them once.

    Only readable images that do not state their range are measured; ``None`` if there are none.
    """
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(sources))[:IMAGES]
    parts = [part for i in chosen if (part := _some_values(sources[i], decoding, random)) is not None]
    if not parts:
        say_once(f"data.range = auto: none of {len(chosen)} images needs one")
        return None
    low, high = (float(f"{value:.6g}") for value in np.percentile(np.concatenate(parts), PERCENTILES))
    high = high if high > low else low + 1
    say_once(f"data.range = auto: [{low:g}, {high:g}], percentiles {PERCENTILES} of {len(parts)} images")
    return low, high


def _some_values(source: Source, decoding: Decoding, random: np.random.Generator) -> np.ndarray | None:
    try:
        samples = numbers(source, decoding)
    except InputError:
        return None
    if samples is None or samples.stated:
        return None
    finite = samples.values[np.isfinite(samples.values)]
    return random.choice(finite, PIXELS).astype(np.float64) if finite.size else None
