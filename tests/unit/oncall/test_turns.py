"""Turns of any length: expected instants are read off a calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.oncall.duty import on_duty, shifts
from bot.oncall.model import Layer, Schedule
from bot.oncall.turns import read_every

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
PEOPLE = ("ana", "ben", "cat")


def rota(zone: str = "Europe/Madrid", people=PEOPLE, **layer) -> Schedule:
    layer = {"start": "2026-11-02"} | layer
    return Schedule(id="primary", timezone=zone, layers=(Layer.model_validate({"people": people} | layer),))


def changes(schedule: Schedule, start: str, end: str) -> list[tuple[str, str]]:
    """(wall clock, who takes over) of each hand-off between two wall-clock times of the schedule's zone."""
    zone = ZoneInfo(schedule.timezone)
    first, last = (datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC) for text in (start, end))
    found = list(shifts(schedule, first, last))[1:]
    return [(f"{shift.start.astimezone(zone):%Y-%m-%d %H:%M}", "+".join(shift.people)) for shift in found]


def test_a_month_hands_over_on_its_first_monday_of_the_default_hand_off():
    assert changes(rota(every="1mo"), "2026-11-02", "2027-03-05") == [
        ("2026-12-07 09:00", "ben"),
        ("2027-01-04 09:00", "cat"),
        ("2027-02-01 09:00", "ana"),
        ("2027-03-01 09:00", "ben"),
    ]


@pytest.mark.parametrize(
    ("handoff", "days"),
    [
        ("1 08:00", ["2026-12-01 08:00", "2027-01-01 08:00", "2027-02-01 08:00", "2027-03-01 08:00"]),
        # A month without a 31st hands over on its last day.
        ("31 08:00", ["2026-11-30 08:00", "2026-12-31 08:00", "2027-01-31 08:00", "2027-02-28 08:00"]),
        ("first Wed 08:00", ["2026-11-04 08:00", "2026-12-02 08:00", "2027-01-06 08:00", "2027-02-03 08:00"]),
        ("third Thu 08:00", ["2026-11-19 08:00", "2026-12-17 08:00", "2027-01-21 08:00", "2027-02-18 08:00"]),
        ("last Fri 17:30", ["2026-11-27 17:30", "2026-12-25 17:30", "2027-01-29 17:30", "2027-02-26 17:30"]),
        # Without a day it is that of the start.
        ("08:00", ["2026-12-02 08:00", "2027-01-02 08:00", "2027-02-02 08:00", "2027-03-02 08:00"]),
    ],
)
def test_months_of_the_calendar(handoff, days):
    found = changes(rota(every="1mo", handoff=handoff), "2026-11-02T12:00", "2027-03-10")
    assert [day for day, _ in found][:4] == days
    assert [person for _, person in found][:4] == ["ben", "cat", "ana", "ben"]


def test_quarters_count_from_the_month_of_the_start():
    assert changes(rota(every="3mo", handoff="1 00:00", start="2026-11-01"), "2026-11-01", "2027-09-01") == [
        ("2027-02-01 00:00", "ben"),
        ("2027-05-01 00:00", "cat"),
        ("2027-08-01 00:00", "ana"),
    ]


def test_the_29th_of_february():
    found = changes(rota(every="1mo", handoff="29 09:00", start="2028-01-29"), "2028-01-29T10:00", "2028-04-01")
    assert found == [("2028-02-29 09:00", "ben"), ("2028-03-29 09:00", "cat")]


def test_two_weeks_without_a_weekday_begin_on_that_of_the_start():
    # 2026-11-05 is a Thursday.
    assert changes(rota(every="2w", handoff="10:00", start="2026-11-05"), "2026-11-06", "2026-12-20") == [
        ("2026-11-19 10:00", "ben"),
        ("2026-12-03 10:00", "cat"),
        ("2026-12-17 10:00", "ana"),
    ]


def test_a_blank_turn_is_nobodys():
    every_other = rota(people=("ana", "none"))
    assert changes(every_other, "2026-11-02T10:00", "2026-11-24") == [
        ("2026-11-09 09:00", ""),
        ("2026-11-16 09:00", "ana"),
        ("2026-11-23 09:00", ""),
    ]
    assert on_duty(every_other, datetime(2026, 11, 10, tzinfo=UTC)).why == "nobody in primary"


@pytest.mark.parametrize(
    ("text", "words"),
    [("0mo", "1mo to 1200mo"), ("1201mo", "1mo to 1200mo"), ("0", "1d, 1w or 1mo"), ("1mon", "or 1mo for a month")],
)
def test_a_length_that_is_none_is_refused_with_the_way_out(text, words):
    with pytest.raises(ValueError, match=words):
        read_every(text)


@pytest.mark.parametrize("text", ["1d", "2w", "8h", "1w3d12h", "1mo", "18mo"])
def test_a_length_is_written_as_it_was_read(text):
    layer = rota(every=text).layers[0]
    assert str(layer.every) == text
    assert Layer.model_validate_json(layer.model_dump_json()) == layer


@pytest.mark.parametrize("handoff", ["15 09:00", "last Fri 09:00"])
def test_a_day_of_the_month_needs_turns_of_months(handoff):
    with pytest.raises(ValidationError, match="write every: 1mo"):
        rota(every="1w", handoff=handoff)


# The nights when clocks change


def test_a_hand_off_in_the_lost_half_hour_of_lord_howe():
    # On 2026-10-04 clocks go from 02:00 (+10:30) to 02:30 (+11): 02:15 is half an hour late.
    turns = rota("Australia/Lord_Howe", every="1d", handoff="02:15", start="2026-10-01")
    assert changes(turns, "2026-10-03", "2026-10-06") == [
        ("2026-10-03 02:15", "cat"),
        ("2026-10-04 02:45", "ana"),
        ("2026-10-05 02:15", "ben"),
    ]


def test_a_hand_off_in_the_repeated_half_hour_of_lord_howe_happens_once():
    # On 2026-04-05 clocks go from 02:00 (+11) back to 01:30 (+10:30): 01:45 passes twice, the first time at 14:45 UTC.
    turns = rota("Australia/Lord_Howe", every="1d", handoff="01:45", start="2026-04-03")
    found = list(shifts(turns, datetime(2026, 4, 4, tzinfo=UTC), datetime(2026, 4, 6, tzinfo=UTC)))
    assert [shift.start for shift in found[1:]] == [
        datetime(2026, 4, 4, 14, 45, tzinfo=UTC),
        datetime(2026, 4, 5, 15, 15, tzinfo=UTC),
    ]


def test_the_day_that_apia_skipped_has_no_turn():
    # After Thursday 2011-12-29 came Saturday the 31st.
    turns = rota("Pacific/Apia", every="1d", handoff="09:00", start="2011-12-28")
    assert changes(turns, "2011-12-28T10:00", "2012-01-02T10:00") == [
        ("2011-12-29 09:00", "ben"),
        ("2011-12-31 09:00", "ana"),  # the 30th would have been Cat's
        ("2012-01-01 09:00", "ben"),
        ("2012-01-02 09:00", "cat"),
    ]


def test_quarter_hours_over_the_lost_hour_of_madrid():
    turns = rota(every="15m", handoff="00:00", start="2027-03-28", people=("ana", "ben", "cat", "dan"))
    assert changes(turns, "2027-03-28T01:40", "2027-03-28T03:20") == [
        ("2027-03-28 01:45", "dan"),
        ("2027-03-28 03:00", "ana"),  # four turns, one of each, lie in the hour that is not
        ("2027-03-28 03:15", "ben"),
    ]


def test_turns_that_begin_inside_the_lost_hour_and_last_longer_than_its_rest():
    # 50 minutes from midnight: 00:00 00:50 01:40 02:30 03:20. 02:30 would be 03:30, but then the turn of 03:20 holds.
    turns = rota(every="50m", handoff="00:00", start="2027-03-28", people=("ana", "ben", "cat", "dan", "eve"))
    assert changes(turns, "2027-03-28T01:30", "2027-03-28T04:30") == [
        ("2027-03-28 01:40", "cat"),
        ("2027-03-28 03:20", "eve"),
        ("2027-03-28 04:10", "ana"),
    ]


def test_quarter_hours_over_the_repeated_hour_of_madrid():
    turns = rota(every="15m", handoff="00:00", start="2027-10-31", people=("ana", "ben", "cat", "dan"))
    zone = ZoneInfo("Europe/Madrid")
    start = datetime(2027, 10, 31, 2, 20, tzinfo=zone).astimezone(UTC)
    found = list(shifts(turns, start, start + timedelta(hours=2)))
    assert [(shift.people, shift.start.strftime("%H:%M")) for shift in found[1:3]] == [
        (("cat",), "00:30"),
        (("dan",), "00:45"),  # 02:45 summer time
    ]
    assert found[3].start == datetime(2027, 10, 31, 2, 0, tzinfo=UTC)  # 03:00 winter time, 75 minutes later


def clock_changes(zone: ZoneInfo) -> list[datetime]:
    """The instants in 2026 and 2027 at which the zone's offset changes, to the minute."""
    found = []
    day = datetime(2026, 1, 1, tzinfo=UTC)
    while day.year < 2028:
        low, high = day, day + timedelta(days=1)
        if low.astimezone(zone).utcoffset() != high.astimezone(zone).utcoffset():
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) // 2
                same = middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high.replace(second=0, microsecond=0))
        day += timedelta(days=1)
    return found


def assert_daily(zone: ZoneInfo, clock: time, first: date) -> None:
    """Seven days of daily turns: each begins once, in the order of the list, at its time of the wall clock."""
    turns = rota(zone.key, every="1d", handoff=f"{clock:%H:%M}", start=str(first))
    wall = [datetime.combine(first + timedelta(days=day), clock, zone).astimezone(UTC) for day in range(8)]
    found = list(shifts(turns, wall[0], wall[7]))
    assert [shift.start for shift in found] == wall[:7]
    assert [shift.end for shift in found] == wall[1:]
    assert [shift.people[0] for shift in found] == [PEOPLE[day % 3] for day in range(7)]


def test_in_every_zone_each_hand_off_around_each_change_of_clocks_happens_exactly_once():
    """Before, in and after the hour that is lost or repeated, in 2026 and 2027."""
    tried = 0
    for name in ZONES:
        zone = ZoneInfo(name)
        for change in clock_changes(zone) or [datetime(2026, 6, 1, tzinfo=UTC)]:
            local = change.astimezone(zone)
            for minutes in (-75, -45, -15, 0, 15, 45):
                wall = local.replace(tzinfo=None) + timedelta(minutes=minutes)
                assert_daily(zone, wall.time(), wall.date() - timedelta(days=3))
                tried += 1
    assert len(ZONES) > 400
    assert tried > 400 * 6


@settings(max_examples=300, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    every=st.sampled_from(["1d", "3d", "1w", "2w", "1mo", "2mo", "8h", "90m", "36h"]),
    handoff=st.tuples(st.sampled_from(["", "Mon ", "Sun "]), st.times()).map(lambda of: f"{of[0]}{of[1]:%H:%M}"),
    start=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    days=st.integers(0, 500),
)
def test_in_every_zone_turns_follow_each_other_without_gap_or_double(zone, every, handoff, start, days):
    schedule = rota(zone, every=every, handoff=handoff, start=str(start))
    begin = datetime(start.year, start.month, start.day, tzinfo=ZoneInfo(zone)).astimezone(UTC) + timedelta(days=days)
    end = begin + timedelta(days=70 if every.endswith("mo") else 10)
    found = list(shifts(schedule, begin, end))
    assert (found[0].start, found[-1].end) == (begin, end)
    for before, after in pairwise(found):
        assert before.end == after.start
        assert before.people != after.people
    for shift in found:
        for inside in (shift.start, shift.start + (shift.end - shift.start) / 2, shift.end - timedelta(microseconds=1)):
            duty = on_duty(schedule, inside)
            assert duty.people == shift.people
            assert shift.end in {duty.until, end}
    if every.endswith(("d", "w", "mo")):  # whole days: nobody is ever left out
        for before, after in pairwise(found):
            assert PEOPLE.index(after.people[0]) == (PEOPLE.index(before.people[0]) + 1) % 3
