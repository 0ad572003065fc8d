"""A time as people write it, as an instant."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import UsageError
from bot.oncall.moments import moment

NOW = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)  # 03:00 in Madrid


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2h", "UTC", "2026-11-04T04:00"),
        ("1h30m", "Europe/Madrid", "2026-11-04T03:30"),
        ("09:00", "UTC", "2026-11-04T09:00"),
        ("9:00", "Europe/Madrid", "2026-11-04T08:00"),
        ("02:30", "Europe/Madrid", "2026-11-05T01:30"),  # half past two has been: the next one
        ("02:00", "UTC", "2026-11-05T02:00"),
        ("2026-12-24T09:00", "Europe/Madrid", "2026-12-24T08:00"),
        ("2026-12-24 09:00", "UTC", "2026-12-24T09:00"),
        ("2026-12-24T09:00:00Z", "Europe/Madrid", "2026-12-24T09:00"),
        ("2026-12-24T09:00+05:30", "UTC", "2026-12-24T03:30"),
    ],
)
def test_understood(text, zone, expected):
    assert moment(text, NOW, zone) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_time_of_day_on_the_night_clocks_change_is_on_the_wall_clock():
    saturday = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)  # midnight in Madrid; clocks go back at three
    assert moment("09:00", saturday, "Europe/Madrid") - saturday == timedelta(hours=10)


@pytest.mark.parametrize("text", ["", "tomorrow", "25:00", "09:60", "2026-13-01", "7", "-2h", "0001-01-01T00:00+23:00"])
def test_anything_else_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="write for example 2h, 30m, 09:00, or 2026-12-24T09:00"):
        moment(text, NOW, "Pacific/Kiritimati")


@given(st.text(max_size=30))
def test_whatever_is_typed_is_an_instant_or_refused(text):
    with contextlib.suppress(UsageError):
        assert moment(text, NOW, "Europe/Madrid").tzinfo is not None
