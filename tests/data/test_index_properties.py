"""An index of several parts, and a selection from it, is the list that it stands for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cplearn_solo.data.index import Files, Names, Selected, joined

NAMES = st.binary(max_size=8).filter(lambda name: b"\0" not in name and not name.startswith(b"/"))


@given(st.lists(st.lists(NAMES, max_size=5), min_size=1, max_size=4), st.data())
def test_several_parts_and_some_of_them_are_lists(parts, data):
    places = [f"/images/{number}" for number in range(len(parts))]
    flat = [(place, name) for place, names in zip(places, parts) for name in names]
    sizes = data.draw(st.lists(st.integers(0, 2**40), min_size=len(flat), max_size=len(flat)), "sizes")
    left = iter(sizes)
    index = joined([Files(p, Names.of(n), np.array([next(left) for _ in n], int)) for p, n in zip(places, parts)])
    for name in ("first choice", "choice of these"):
        assert len(index) == len(flat) and index.sizes.tolist() == sizes
        assert [index.key(i) for i in range(len(flat))] == [name for _, name in flat]
        assert [index[i].startswith(place) for i, (place, _) in enumerate(flat)] == [True] * len(flat)
        if not flat:
            break
        rows = data.draw(st.lists(st.integers(0, len(flat) - 1), max_size=8), name)
        index, flat, sizes = Selected(index, np.array(rows, int)), [flat[i] for i in rows], [sizes[i] for i in rows]
    with pytest.raises(IndexError):
        index[len(index)]
