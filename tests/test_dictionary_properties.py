"""Bits, tiles and columns are parts of one dictionary, whatever its shape."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cplearn_solo import dictionary
from cplearn_solo.dictionary import make_dictionary, pack_dictionary
from cplearn_solo.objective import PackedDictionary

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def dictionaries(draw):
    """f, c and the other arguments of :func:`make_dictionary`."""
    if draw(st.booleans()):
        return draw(st.integers(1, 100)), draw(st.integers(1, 100)), {"seed": draw(SEEDS)}
    f = 2 ** draw(st.integers(0, 7))
    return f, draw(st.integers(1, f)), {"kind": "hadamard", "seed": draw(SEEDS)}


@given(dictionaries(), st.data())
def test_bits_tiles_and_columns_are_parts_of_one_dictionary(made, data):
    f, c, arguments = made
    whole = make_dictionary(f, c, **arguments)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, c)] * 2), "columns"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dictionary, "_COLUMNS_AT_ONCE", data.draw(st.integers(1, 100), "columns at once"))
        words = pack_dictionary(f, c, **arguments)
        some = pack_dictionary(f, c, **arguments, columns=range(start, stop))
        assert torch.equal(make_dictionary(f, c, **arguments), whole)
    assert [[word >> i % 32 & 1 for word in words[i // 32].tolist()] for i in range(f)] == (whole > 0).int().tolist()
    packed, wanted = PackedDictionary(words, f), whole[:, start:stop].float()
    memory = torch.empty(32 * len(words) * (stop - start) + data.draw(st.integers(0, 3), "spare memory"))
    for tile in (
        packed.tile(start, stop),
        packed.tile(start, stop, out=memory),
        packed.columns(start, stop).tile(0, stop - start),
        PackedDictionary(some, f).tile(0, stop - start),
    ):
        assert torch.equal(tile, wanted)
