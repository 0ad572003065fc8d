"""Layers on top of each other: restrictions, blank turns, swaps, overrides. 2026-11-02 is a Monday."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.oncall.almanac import Almanac, Holidays
from bot.oncall.duty import on_duty, shifts
from bot.oncall.model import Schedule
from bot.oncall.windows import Window, spans, within

MADRID = ZoneInfo("Europe/Madrid")
START = "2026-11-02"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CHRISTMAS = Almanac(holidays={"es": Holidays({date(2026, 12, 25): "Navidad"}, {(1, 6): "Reyes"})})


def rota(*layers, **more) -> Schedule:
    return Schedule.model_validate({"id": "primary", "timezone": "Europe/Madrid", "layers": layers} | more)


def one(person: str, **more) -> dict:
    return {"people": [person], "start": START} | more


def line(schedule: Schedule, start: str, end: str, almanac: Almanac = CHRISTMAS) -> list[str]:
    """Who takes over when, on the wall clock of Madrid."""
    first, last = (datetime.fromisoformat(text).replace(tzinfo=MADRID).astimezone(UTC) for text in (start, end))
    found = list(shifts(schedule, first, last, almanac))
    return [
        f"{shift.start.astimezone(MADRID):%a %m-%d %H:%M} {'+'.join(shift.people) or 'nobody'}"
        for shift in found
    ]  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=MADRID).astimezone(UTC)


def test_outside_its_hours_a_layer_lets_the_one_below_show():
    schedule = rota(one("night"), one("day", restrictions=[{"days": ["Mon-Fri"], "hours": "09:00-17:00"}]))
    assert line(schedule, "2026-11-05T12:00", "2026-11-09T12:00") == [
        "Thu 11-05 12:00 day",
        "Thu 11-05 17:00 night",
        "Fri 11-06 09:00 day",
        "Fri 11-06 17:00 night",
        "Mon 11-09 09:00 day",
    ]


def test_with_nothing_below_the_rest_of_the_week_is_empty():
    schedule = rota(one("day", restrictions=[{"days": ["Mon-Fri"], "hours": "09:00-17:00"}]))
    duty = on_duty(schedule, at("2026-11-06T18:00"))
    assert (duty.people, duty.until, duty.why) == ((), at("2026-11-09T09:00"), "nobody in primary")


def test_one_day_or_calendar_needs_no_brackets():
    assert Window.model_validate({"days": "Mon-Fri", "not_on": "es"}) == Window(days=("Mon-Fri",), not_on=("es",))


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on():
    schedule = rota(one("night", restrictions=[{"days": ["Fri"], "hours": "22:00-06:00"}]))
    assert line(schedule, "2026-11-06T00:00", "2026-11-08T00:00") == [
        "Fri 11-06 00:00 nobody",
        "Fri 11-06 22:00 night",
        "Sat 11-07 06:00 nobody",
    ]


def test_several_windows_are_added_up():
    windows = [{"days": ["Fri"], "hours": "18:00-24:00"}, {"days": ["Sat", "Sun"]}, {"hours": "00:00-08:00"}]
    schedule = rota(one("day"), one("off", restrictions=windows))
    assert line(schedule, "2026-11-05T12:00", "2026-11-09T12:00") == [
        "Thu 11-05 12:00 day",
        "Fri 11-06 00:00 off",
        "Fri 11-06 08:00 day",
        "Fri 11-06 18:00 off",
        "Mon 11-09 08:00 day",
    ]


def test_days_may_run_over_the_end_of_the_week():
    window = Window(days=("Sat-Mon",))
    open_days = [day for day in range(7) if within([window], MADRID, at(f"2026-11-0{day + 2}T12:00"), CHRISTMAS)]
    assert [DAYS[day] for day in open_days] == ["Mon", "Sat", "Sun"]


def test_a_layer_that_does_not_work_on_holidays():
    schedule = rota(one("rota"), one("ana", restrictions=[{"hours": "09:00-17:00", "not_on": "es"}]))
    assert line(schedule, "2026-12-24T12:00", "2026-12-26T12:00") == [
        "Thu 12-24 12:00 ana",
        "Thu 12-24 17:00 rota",
        "Sat 12-26 09:00 ana",
    ]


def test_a_layer_for_holidays_only_which_come_every_year():
    schedule = rota(one("rota"), one("extra", restrictions=[{"only_on": ["es"]}]))
    assert line(schedule, "2026-12-20T00:00", "2028-01-10T00:00") == [
        "Sun 12-20 00:00 rota",
        "Fri 12-25 00:00 extra",
        "Sat 12-26 00:00 rota",
        "Wed 01-06 00:00 extra",
        "Thu 01-07 00:00 rota",
        "Thu 01-06 00:00 extra",
        "Fri 01-07 00:00 rota",
    ]


def test_the_next_holiday_is_found_months_ahead():
    schedule = rota(one("rota"), one("extra", restrictions=[{"only_on": ["es"]}]))
    assert on_duty(schedule, at("2027-01-07T12:00"), CHRISTMAS).until == at("2028-01-06T00:00")


def test_a_window_in_the_hour_that_is_lost_is_an_hour_late_and_in_the_repeated_one_opens_once():
    # Clocks go forward on 2027-03-28 at 02:00, back on 2027-10-31 at 03:00.
    schedule = rota(one("x", restrictions=[{"hours": "02:15-02:45"}]))
    lost = list(shifts(schedule, at("2027-03-28T00:00"), at("2027-03-29T00:00")))
    assert [(shift.start, shift.end) for shift in lost if shift.people] == [
        (datetime(2027, 3, 28, 1, 15, tzinfo=UTC), datetime(2027, 3, 28, 1, 45, tzinfo=UTC))
    ]
    repeated = list(shifts(schedule, at("2027-10-31T00:00"), at("2027-11-01T00:00")))
    assert [(shift.start, shift.end) for shift in repeated if shift.people] == [
        (datetime(2027, 10, 31, 0, 15, tzinfo=UTC), datetime(2027, 10, 31, 0, 45, tzinfo=UTC))
    ]


def test_windows_that_meet_inside_the_lost_hour_leave_no_gap():
    schedule = rota(one("x", restrictions=[{"hours": "00:00-02:30"}, {"hours": "02:30-24:00"}]))
    assert line(schedule, "2027-03-27T12:00", "2027-03-29T12:00") == ["Sat 03-27 12:00 x"]


def test_a_blank_turn_lets_the_layer_below_show():
    schedule = rota(one("ben"), {"people": ["ana", "none"], "start": START, "handoff": "Mon 09:00"})
    assert line(schedule, "2026-11-02T12:00", "2026-11-20T00:00") == [
        "Mon 11-02 12:00 ana",
        "Mon 11-09 09:00 ben",
        "Mon 11-16 09:00 ana",
    ]


def test_a_layer_ends_at_midnight_of_its_last_date():
    schedule = rota(one("ben"), one("ana", until="2026-11-10"))
    assert line(schedule, "2026-11-09T00:00", "2026-11-12T00:00") == ["Mon 11-09 00:00 ana", "Tue 11-10 00:00 ben"]


def test_a_schedule_whose_layers_are_all_over_says_so():
    duty = on_duty(rota(one("ana", until="2026-11-10")), at("2026-11-11T00:00"))
    assert (duty.people, duty.until, duty.why) == ((), None, "primary has ended")


def test_a_swap_exchanges_two_people_and_leaves_the_third_alone():
    schedule = rota(
        {"people": ["ana", "ben", "cat"], "start": START, "every": "1d", "handoff": "00:00"},
        swaps=[{"people": ["ana", "ben"], "from": "2026-11-02T12:00", "until": "2026-11-06T00:00"}],
    )
    assert line(schedule, "2026-11-02T00:00", "2026-11-08T00:00") == [
        "Mon 11-02 00:00 ana",
        "Mon 11-02 12:00 ben",
        "Tue 11-03 00:00 ana",
        "Wed 11-04 00:00 cat",
        "Thu 11-05 00:00 ben",
        # Friday is Ben's own day, after the swap.
        "Sat 11-07 00:00 cat",
    ]
    assert on_duty(schedule, at("2026-11-03T12:00")).why == "swap of ana and ben in primary"
    assert on_duty(schedule, at("2026-11-04T12:00")).why == "on call in primary"


def test_two_swaps_are_done_one_after_the_other():
    span = {"from": "2026-11-02T00:00", "until": "2026-11-03T00:00"}
    schedule = rota(one("ana"), swaps=[{"people": ["ana", "ben"], **span}, {"people": ["ben", "cat"], **span}])
    assert on_duty(schedule, at("2026-11-02T12:00")).people == ("cat",)


def test_an_override_beats_a_swap():
    span = {"from": "2026-11-02T00:00", "until": "2026-11-03T00:00"}
    schedule = rota(one("ana"), swaps=[{"people": ["ana", "ben"], **span}], overrides=[{"person": "dan", **span}])
    assert on_duty(schedule, at("2026-11-02T12:00")).people == ("dan",)


def test_an_override_by_none_leaves_the_time_empty():
    schedule = rota(one("ana"), overrides=[{"person": "none", "from": "2026-11-03T00:00", "until": "2026-11-03T06:00"}])
    assert line(schedule, "2026-11-02T12:00", "2026-11-04T00:00") == [
        "Mon 11-02 12:00 ana",
        "Tue 11-03 00:00 nobody",
        "Tue 11-03 06:00 ana",
    ]
    assert on_duty(schedule, at("2026-11-03T01:00")).why == "override in primary leaves it empty"


def test_layers_of_one_person_that_never_show_a_change_have_no_end():
    schedule = rota(one("ana"), one("ana", restrictions=[{"hours": "09:00-17:00"}]))
    assert on_duty(schedule, at("2026-11-03T00:00")).until is None


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"people": ["ana"]}, 'missing key "start"'),
        ({"start": START}, 'missing key "people"'),
        ({"people": ["ana"], "start": START, "ical": "x.ics"}, "not from both"),
    ],
)
def test_a_layer_says_who_in_one_way(layer, words):
    with pytest.raises(ValidationError, match=words):
        rota(layer)


CLOCKS = st.sampled_from(["00:00", "06:00", "09:30", "13:00", "17:00", "22:00"])
WINDOWS = st.builds(
    lambda days, start, end, holidays: Window(
        days=tuple(days), hours=f"{start}-{end}", not_on=("es",) if holidays else ()
    ),
    st.lists(st.sampled_from(DAYS), max_size=4, unique=True),
    CLOCKS,
    CLOCKS,
    st.booleans(),
)


STACKED = st.tuples(st.sampled_from(["a", "b", "none"]), st.lists(WINDOWS, max_size=2))


def open_by_the_clock(window: Window, wall: datetime) -> bool:
    """The oracle: looks at a wall clock and a calendar sheet."""
    begin, end = ((int(text[:2]) * 60 + int(text[3:])) for text in window.hours.split("-"))
    length = (end - begin) % 1440 or 1440
    for back in (0, 1):
        day = wall.date() - timedelta(days=back)
        minutes = wall.hour * 60 + wall.minute + 1440 * back
        wanted = not window.days or DAYS[day.weekday()] in window.days
        holiday = (day.month, day.day) in {(12, 25), (1, 6)} and bool(window.not_on)
        if wanted and not holiday and begin <= minutes < begin + length:
            return True
    return False


@settings(max_examples=200, deadline=None)
@given(st.lists(WINDOWS, min_size=1, max_size=3), st.integers(0, 20), st.integers(0, 24 * 4 - 1))
def test_windows_are_open_when_the_clock_on_the_wall_says_so(windows, days, quarter):
    """Away from the nights when clocks change, over Christmas and Epiphany."""
    wall = datetime(2026, 12, 20) + timedelta(days=days, minutes=15 * quarter)
    instant = wall.replace(tzinfo=MADRID).astimezone(UTC)
    expected = any(open_by_the_clock(window, wall) for window in windows)
    assert within(windows, MADRID, instant, CHRISTMAS) is expected
    start, end = at("2026-12-19T00:00"), at("2027-01-12T00:00")
    assert any(a <= instant < b for a, b in spans(windows, MADRID, start, end, CHRISTMAS)) is expected


@settings(max_examples=100, deadline=None)
@given(
    layers=st.lists(STACKED, min_size=1, max_size=4),
    minutes=st.integers(0, 10 * 1440),
)
def test_the_topmost_open_layer_that_names_somebody_is_in_force(layers, minutes):
    schedule = rota(*(one(person, restrictions=[w.model_dump() for w in windows]) for person, windows in layers))
    wall = datetime(2026, 12, 20) + timedelta(minutes=minutes)
    instant = wall.replace(tzinfo=MADRID).astimezone(UTC)
    expected: tuple[str, ...] = ()
    for person, windows in layers:
        if person != "none" and (not windows or any(open_by_the_clock(window, wall) for window in windows)):
            expected = (person,)
    duty = on_duty(schedule, instant, CHRISTMAS)
    assert duty.people == expected
    if duty.until is not None:
        assert on_duty(schedule, duty.until - timedelta(microseconds=1), CHRISTMAS).people == expected
        assert on_duty(schedule, duty.until, CHRISTMAS).people != expected
