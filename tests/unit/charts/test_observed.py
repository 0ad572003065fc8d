from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from bot.charts.observed import history, observed
from bot.promql.parse import parse
from bot.promql.value import Matrix, Series

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("expr", "query", "comparison", "threshold"),
    [
        ("rate(x[5m]) > 0.05", "rate(x[5m])", ">", 0.05),
        ("0.05 < rate(x[5m])", "rate(x[5m])", ">", 0.05),
        ("10 >= x", "x", "<=", 10.0),
        ("x == 0", "x", "==", 0.0),
        ("x < -5", "x", "<", -5.0),
        ("(x > 5) and on (agent) (y > 10)", "x", ">", 5.0),
        ("x == 0 unless on (agent) deploying", "x", "==", 0.0),
        ("x > 3 or y > 5", "x", ">", 3.0),
        ("x > y", "x", ">", None),
        ("absent(x)", "absent(x)", "", None),
        ("x / y", "x / y", "", None),
    ],
)
def test_what_an_alert_watches_and_its_limit(expr, query, comparison, threshold):
    seen = observed(parse(expr).node)
    assert parse(seen.query).canonical == parse(query).canonical
    assert (seen.comparison, seen.threshold) == (comparison, threshold)


def series(labels: dict[str, str], **values: float) -> Series:
    at = [float(name.removeprefix("t")) for name in values]
    return Series(labels, np.array(at), np.array(list(values.values())))


SEEN = observed(parse("x > 5").node)
ALERT = {"alertname": "X", "agent": "refund", "tool": "crm", "severity": "critical"}


def told(*found: Series):
    return history(SEEN, Matrix(list(found)), ALERT, [0.0, 60.0, 120.0], MINUTE)


def test_the_series_of_the_alert_is_found_by_its_labels_and_gaps_stay_gaps():
    mine = series({"__name__": "x", "agent": "refund", "tool": "crm"}, t0=1.0, t120=7.0)
    got = told(series({"agent": "search", "tool": "crm"}, t0=9.0), mine)
    assert got.points == (1.0, None, 7.0)
    assert (got.step, got.threshold, got.comparison) == (MINUTE, 5.0, ">")


def test_of_several_that_fit_the_most_particular_one_counts():
    got = told(series({"agent": "refund"}, t0=1.0), series({"agent": "refund", "tool": "crm"}, t0=2.0))
    assert got.points == (2.0, None, None)


@pytest.mark.parametrize(
    "found",
    [
        (),
        (series({"agent": "search"}, t0=1.0),),
        (series({"agent": "refund"}, t0=1.0), series({"tool": "crm"}, t0=2.0)),
        (series({"agent": "refund"}, t0=float("nan"), t60=float("inf")),),
    ],
    ids=["nothing", "somebody else's", "two that could be meant", "no number"],
)
def test_what_cannot_be_told_is_not_shown(found):
    assert told(*found) is None


@pytest.mark.parametrize(("first", "kept"), [(0, 61), (20, 41), (50, 11), (51, 10), (60, 10)])
def test_the_time_before_the_agent_was_watched_is_left_out_but_a_course_has_ten_points(first, kept):
    times = [60.0 * number for number in range(61)]
    mine = Series({"agent": "refund"}, np.array(times[first:]), np.arange(61.0 - first))
    got = history(SEEN, Matrix([mine]), ALERT, times, MINUTE)
    assert len(got.points) == kept
    assert got.points[-1] == 60.0 - first
