from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.forecast.spans import common, length, rest, union

ZERO = datetime(2026, 11, 2, tzinfo=UTC)
HOURS = st.integers(0, 30).map(lambda hour: ZERO + timedelta(hours=hour))
SPANS = st.lists(st.tuples(HOURS, HOURS).map(lambda of: (min(of), max(of))), max_size=6)


def hours(spans) -> set[int]:
    return {hour for hour in range(31) if any(a <= ZERO + timedelta(hours=hour) < b for a, b in spans)}


@given(SPANS, SPANS)
def test_spans_are_sets_of_instants(one, other):
    assert hours(union(one)) == hours(one)
    assert hours(common(union(one), union(other))) == hours(one) & hours(other)
    assert hours(rest(union(one), union(other))) == hours(one) - hours(other)
    assert length(union(one)) == timedelta(hours=len(hours(one)))


@given(SPANS)
def test_a_union_is_sorted_and_its_spans_do_not_touch(spans):
    flat = [instant for span in union(spans) for instant in span]
    assert flat == sorted(set(flat))
