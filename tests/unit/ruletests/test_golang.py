"""Go's and Prometheus' spelling."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from bot.ruletests.golang import go_duration, labels_text, prometheus_duration, value_text


@pytest.mark.parametrize(
    ("seconds", "go", "prometheus"),
    [
        (0, "0s", "0s"),
        (0.25, "250ms", "250ms"),
        (1.5, "1.5s", "1s500ms"),
        (90, "1m30s", "1m30s"),
        (300, "5m0s", "5m"),
        (3600, "1h0m0s", "1h"),
        (5415, "1h30m15s", "1h30m15s"),
        (86400, "24h0m0s", "1d"),
        (14 * 86400, "336h0m0s", "2w"),
        (15 * 86400, "360h0m0s", "15d"),
        (365 * 86400, "8760h0m0s", "1y"),
        (366 * 86400, "8784h0m0s", "366d"),
    ],
)
def test_durations(seconds, go, prometheus):
    assert go_duration(timedelta(seconds=seconds)) == go
    assert prometheus_duration(timedelta(seconds=seconds)) == prometheus


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0E+00"),
        (1, "1E+00"),
        (-2.5, "-2.5E+00"),
        (2.9999999999999996, "2.9999999999999996E+00"),
        (1e-300, "1E-300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_values_have_every_digit(value, text):
    assert value_text(value) == text


def test_labels_are_sorted_and_quoted_where_needed():
    assert labels_text({"b": 'x"\n', "a": "é", "c.d": "1"}) == r'{a="é", b="x\"\n", "c.d"="1"}'
    assert labels_text({}) == "{}"
