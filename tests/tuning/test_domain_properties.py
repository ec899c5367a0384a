"""What is drawn from a domain can be typed and is in the domain."""

from hypothesis import given
from hypothesis import strategies as st

from cplearn_solo.tuning.domains import Choice, Range
from cplearn_solo.tuning.sheet import text

PLACES = st.floats(0, 1, exclude_max=True)


@st.composite
def ranges(draw):
    whole, log = draw(st.booleans()), draw(st.booleans())
    numbers = st.integers(1 if log else -(10**9), 10**9) if whole else st.floats(1e-12 if log else -1e9, 1e9)
    low, high = sorted(draw(st.lists(numbers, min_size=2, max_size=2, unique=True)))
    return Range(low, high, log=log, whole=whole)


@given(ranges(), PLACES, PLACES)
def test_drawn_numbers_are_in_their_range_in_order_and_can_be_typed(domain, first, second):
    values = [domain.at(place) for place in sorted((first, second))]
    assert all(value in domain for value in values) and values == sorted(values)
    assert [type(values[0])(text(value)) for value in values] == values
    assert all(-1e-9 <= domain.place(value) <= 1 + 1e-9 for value in values)
    assert all(isinstance(value, int) for value in values) or not domain.whole


@given(st.lists(st.integers() | st.text("abc") | st.none(), min_size=2, unique=True), PLACES)
def test_each_choice_has_a_place_of_its_own(values, place):
    domain = Choice(tuple(values))
    assert domain.at(place) in domain
    assert [domain.at(domain.place(value)) for value in values] == values
