"""Which series, label names and label values there are, by matchers and time."""

from __future__ import annotations

import numpy as np
import pytest

from bot.promql import lookup
from bot.promql.engine import Engine
from bot.promql.lookup import Period
from bot.promql.parameters import selector_of
from bot.promql.store import SeriesStore

EVER = Period()
SERIES = [
    {"__name__": "up", "job": "a", "zone": "eu"},
    {"__name__": "up", "job": "b"},
    {"__name__": "runs", "job": "a", "tool": "search"},
]


@pytest.fixture
def engine() -> Engine:
    """`up` of job b ends at 20; the others are there from 10 to 40."""
    store = SeriesStore(600)
    ids = np.array([store.intern(labels) for labels in SERIES])
    store.append("w", 10.0, ids, np.array([1.0, 1.0, 5.0]))
    store.append("w", 20.0, ids, np.array([1.0, float("nan"), 5.0]))
    store.append("w", 30.0, ids[[0, 2]], np.array([1.0, 5.0]))
    store.mark_stale(30.0, ids[1:2])
    store.append("w", 40.0, ids[[0, 2]], np.array([1.0, 5.0]))
    return Engine(store)


def series(engine: Engine, *selectors: str, period: Period = EVER) -> list[dict[str, str]]:
    found = lookup.series(engine.selector, [selector_of(text) for text in selectors], period)
    return [one.space.labels(row) for one in found for row in one.rows.tolist()]


def test_series_by_matchers(engine):
    assert series(engine, "up") == SERIES[:2]
    assert series(engine, '{job="a"}', 'up{zone=""}') == [SERIES[0], SERIES[2], SERIES[1]]
    assert series(engine, "down") == []


@pytest.mark.parametrize(
    ("start", "end", "jobs"),
    [
        (None, None, ["a", "b"]),
        (10, 10, ["a", "b"]),
        (15, 25, ["a", "b"]),
        (15, 45, ["a", "b"]),  # it ended within the period
        (21, 45, ["a"]),
        (None, 9, []),
        (41, None, []),
        (20, None, ["a", "b"]),  # a value that is NaN is a sample
    ],
)
def test_series_by_time(engine, start, end, jobs):
    period = Period(None if start is None else start * 1000, None if end is None else end * 1000)
    assert [labels["job"] for labels in series(engine, "up", period=period)] == jobs


def test_names_and_values_of_everything(engine):
    def everything(period: Period = EVER):
        return lookup.everything(engine.store, period)

    assert lookup.label_names(everything()) == ["__name__", "job", "tool", "zone"]
    assert lookup.label_values(everything(), "__name__") == ["runs", "up"]
    assert lookup.label_values(everything(), "job") == ["a", "b"]
    assert lookup.label_values(everything(), "nope") == []
    assert lookup.label_values(everything(Period(21_000, 45_000)), "job") == ["a"]
    assert lookup.label_names(everything(Period(0, 9_000))) == []


def test_names_and_values_by_matchers(engine):
    def found(text: str):
        return lookup.series(engine.selector, [selector_of(text)], Period())

    assert lookup.label_names(found('up{job="b"}')) == ["__name__", "job"]
    assert lookup.label_values(found("up"), "zone") == ["eu"]


def test_cardinality(engine):
    found = lookup.cardinality(engine.store, 2)
    assert (found.series, found.pairs, found.first_ms, found.last_ms) == (3, 6, 10_000, 40_000)
    assert found.by_metric == [("up", 2), ("runs", 1)]
    assert found.values_by_label == [("__name__", 2), ("job", 2)]
    assert found.bytes_by_label == [("__name__", 6), ("tool", 6)]
    assert found.by_pair == [("__name__=up", 2), ("job=a", 2)]


def test_an_empty_store():
    store = SeriesStore(600)
    assert list(lookup.everything(store, Period())) == []
    assert lookup.cardinality(store, 5).series == 0
