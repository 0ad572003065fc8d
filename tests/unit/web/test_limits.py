"""A bucket of five that fills by two a second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.web.limits import Limits

NOW = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)


def take(limits: Limits, seconds: float, name: str = "ci") -> int:
    return limits.take(name, 2, 5, NOW + timedelta(seconds=seconds))


def test_as_many_at_once_as_the_bucket_holds_and_then_none():
    limits = Limits()
    assert [take(limits, 0) for _ in range(7)] == [0, 0, 0, 0, 0, 1, 1]


def test_it_fills_again_and_never_over_its_brim():
    limits = Limits()
    for _ in range(5):
        take(limits, 0)
    assert [take(limits, 1) for _ in range(3)] == [0, 0, 1]  # two a second
    assert [take(limits, 3601) for _ in range(6)] == [0, 0, 0, 0, 0, 1]  # an hour later it holds five, not 7,200


def test_one_does_not_use_up_what_is_anothers():
    limits = Limits()
    for _ in range(6):
        take(limits, 0, "loud")
    assert take(limits, 0, "quiet") == 0


def test_who_is_refused_is_told_when_to_come_again():
    limits = Limits()
    assert limits.take("slow", 0.1, 1, NOW) == 0
    assert limits.take("slow", 0.1, 1, NOW) == 10
    assert limits.take("slow", 0.1, 1, NOW + timedelta(seconds=7)) == 3
    assert limits.take("slow", 0.1, 1, NOW + timedelta(seconds=10)) == 0


def test_being_refused_costs_nothing():
    limits = Limits()
    for _ in range(5):
        take(limits, 0)
    for _ in range(100):
        take(limits, 0)
    assert take(limits, 0.5) == 0


def test_a_clock_that_was_set_back_takes_nothing_away():
    limits = Limits()
    assert take(limits, 0) == 0
    assert [take(limits, -3600) for _ in range(5)] == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("asking", [10, 1000])
def test_however_many_ask_no_more_than_so_many_are_remembered(asking):
    limits = Limits(kept=8)
    for number in range(asking):
        take(limits, 0, f"address {number}")
    assert len(limits) == 8
    for _ in range(5):
        take(limits, 0, f"address {asking - 1}")
    assert take(limits, 0, f"address {asking - 1}") == 1  # who asked last is still known
