"""Samples in four bytes: nothing is lost, and nobody notices when eight are needed after all."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.promql.cells import HOLE, STALE, fits, is_hole, is_marker, is_stale, narrowed, widened
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.store import SeriesStore

# The last is a NaN whose bits, cut to four bytes, are those of a hole there.
NANS = [float("nan"), struct.unpack("<d", struct.pack("<Q", 0x7FF8000060000000))[0]]


@pytest.mark.parametrize(
    ("value", "fit"),
    [
        (0.0, True),
        (2.0**24, True),
        (2.0**24 + 1, False),
        (0.5, True),
        (0.1, False),
        (float("inf"), True),
        (1e300, False),
        (1e-300, False),
        (-16777215.0, True),
        *((nan, True) for nan in NANS),
        (STALE, True),
    ],
)
def test_what_four_bytes_hold(value, fit):
    assert fits(np.array([value])).tolist() == [fit]


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_what_fits_comes_back_as_it_was(values):
    given_values = np.array(values, np.float64)
    back = widened(narrowed(given_values))
    np.testing.assert_array_equal(back, given_values)
    assert np.signbit(back).tolist() == np.signbit(given_values).tolist()


def test_markers_and_other_nans_stay_apart():
    values = np.array([HOLE, STALE, *NANS, 1.0])
    for cells in (values, narrowed(values), widened(narrowed(values))):
        assert is_hole(cells).tolist() == [True, False, False, False, False]
        assert is_marker(cells).tolist() == [True, True, False, False, False]
    assert is_stale(widened(narrowed(values))).tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("last", [4.0, 0.1, 2.0**24 + 1, 1e300])
def test_a_value_that_needs_more_room_leaves_the_older_ones_alone(last):
    store = SeriesStore(600)
    one, other = (store.intern({"__name__": "x", "n": n}) for n in "12")
    ids = np.array([one, other])
    store.append("w", 0, ids, np.array([1.0, 2.0]))
    store.append("w", 10, ids[:1], np.array([2.0]))
    store.append("w", 20, ids, np.array([STALE, float("nan")]))
    store.append("w", 30, ids, np.array([3.0, last]))
    found = Engine(store).instant(parse("x[5m]"), 30)
    samples = {series.labels["n"]: list(zip(series.times, series.values, strict=True)) for series in found}
    assert samples["1"] == [(0, 1), (10, 2), (30, 3)]
    assert samples["2"][0] == (0, 2)
    assert samples["2"][2] == (30, last)
    assert (samples["2"][1][0], np.isnan(samples["2"][1][1])) == (20, True)


def test_a_metric_with_many_series_is_answered_as_one():
    """More than one block has room for, from writers that come and go."""
    store = SeriesStore(600)
    ids = [
        np.array([store.intern({"__name__": "x", "w": str(w), "n": str(n)}) for n in range(100)]) for w in range(200)
    ]
    for t in range(0, 60, 10):
        for w, own in enumerate(ids):
            store.append(str(w), t + w / 1000, own, np.full(100, float(t + (0.1 if w == 150 and t > 30 else 0))))
    engine = Engine(store)
    assert len(store.blocks["x"]) > 1
    assert engine.instant(parse("count(x)"), 51).samples == [({}, 20000.0)]
    assert engine.instant(parse("count(rate(x[1m]) > 0.5)"), 51).samples == [({}, 20000.0)]
    assert engine.instant(parse("count(x == 50)"), 51).samples == [({}, 19900.0)]
    before = store.versions(["x"])
    for w in range(100):
        store.append(str(w), 700, ids[w], np.full(100, 700.0))
    store.forget(100)
    assert store.versions(["x"]) > before
    assert len(store) == 10000
    assert engine.instant(parse("count(x)"), 700).samples == [({}, 10000.0)]
