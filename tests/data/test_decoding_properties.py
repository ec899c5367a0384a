"""Numbers of any type become 8 bits in their order, from black to white."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, from_dtype

from cplearn_solo.data.decoding.samples import Samples, to_8_bits

TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64"]
LARGEST = 1e300  # the distance of two larger numbers may be infinite


@st.composite
def numbers(draw):
    """Values of an image of one row, and the different finite numbers that are black and white."""
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    finite = from_dtype(dtype, allow_nan=False, allow_infinity=False).filter(lambda x: abs(float(x)) < LARGEST)
    low, high = sorted(draw(st.lists(finite, min_size=2, max_size=2, unique=True)))
    values = draw(arrays(dtype, st.tuples(st.just(1), st.integers(1, 20)), elements=from_dtype(dtype)))
    return np.append(values, [[low, high]], axis=1).astype(dtype), (float(low), float(high))


@given(numbers(), st.booleans())
def test_numbers_keep_their_order_from_black_to_white(given, white_is_zero):
    values, (low, high) = given
    pixels = to_8_bits(Samples(values, None, white_is_zero=white_is_zero), (low, high), (9, 9, 9), "an image")
    assert pixels.dtype == np.uint8 and pixels.shape == values.shape
    assert not pixels[np.isnan(values)].any()
    there = ~np.isnan(values)
    pixels, values = (255 - pixels if white_is_zero else pixels)[there], values[there]
    assert (pixels[values <= low] == 0).all() and (pixels[values >= high] == 255).all()
    assert (np.diff(pixels[np.argsort(values)].astype(int)) >= 0).all()


@given(numbers(), st.tuples(*[st.integers(0, 255)] * 3), st.data())
def test_transparent_pixels_are_the_background_and_opaque_ones_themselves(given, background, data):
    values, limits = given
    alpha = data.draw(arrays("float32", values.shape, elements=st.floats(0, 1, width=32)), "alpha")
    plain = to_8_bits(Samples(values, None), limits, background, "an image")[..., None]
    found = to_8_bits(Samples(values, None, alpha=alpha), limits, background, "an image")
    assert found.dtype == np.uint8 and found.shape == (*values.shape, 3)
    ends = [np.broadcast_to(end, found.shape).astype(int) for end in (plain, background)]
    assert (np.minimum(*ends) - 1 <= found).all() and (found <= np.maximum(*ends) + 1).all()
    assert (found[alpha == 1] == ends[0][alpha == 1]).all() and (found[alpha == 0] == background).all()
