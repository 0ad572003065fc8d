"""Addresses of calendars: whose they are, and that a revoked one is nobody's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from core_world import BOOK
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import UsageError
from bot.oncall.subscription import epoch_key, is_token, parse, path_of, token_of, window


def test_a_target_names_a_person_or_a_schedule():
    assert parse("person:ana", BOOK) == ("person", "ana")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("person:eve", 'there is no person "eve"'),
        ("schedule:x", 'there is no schedule "x"'),
        ("team:payments", "write person:ID or schedule:ID"),
        ("ana", "write person:ID or schedule:ID"),
    ],
)
def test_what_has_no_calendar(target, words):
    with pytest.raises(UsageError, match=words):
        parse(target, BOOK)


def test_a_token_opens_what_it_was_made_for_and_nothing_else():
    token = token_of("key", "person", "ana", "1")
    assert is_token(token, "key", "person", "ana", "1")
    assert len(token) == 32
    for key, kind, name, epoch in (
        ("other", "person", "ana", "1"),
        ("key", "schedule", "ana", "1"),
        ("key", "person", "ben", "1"),
        ("key", "person", "ana", "2"),
    ):
        assert not is_token(token, key, kind, name, epoch)


@pytest.mark.parametrize("given_token", ["", "é", "x" * 10_000])
def test_any_text_may_be_asked_with(given_token):
    assert not is_token(given_token, "key", "person", "ana", "1")


def test_the_path_of_an_odd_id_stays_one_part():
    assert path_of("T", "schedule", "a/b c") == "/calendar/T/schedule/a%2Fb%20c.ics"


def test_the_name_of_an_epoch_fits_the_store_whatever_the_id():
    assert len(epoch_key("schedule", "x" * 500)) <= 64
    assert epoch_key("person", "ana") != epoch_key("schedule", "ana")


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))
def test_the_window_has_thirty_days_back_and_ninety_ahead_in_whole_months(now):
    start, end = window(now)
    assert start <= now - timedelta(days=30) < start + timedelta(days=31)
    assert end - timedelta(days=63) < now + timedelta(days=90) < end
    for edge in (start, end):
        assert (edge.day, edge.hour, edge.minute, edge.second, edge.microsecond) == (1, 0, 0, 0, 0)


def test_the_window_stays_for_the_month():
    first, last = datetime(2026, 11, 1, 0, 0, tzinfo=UTC), datetime(2026, 11, 2, 23, 0, tzinfo=UTC)
    assert window(first) == window(last)
