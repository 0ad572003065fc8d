from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.oncall.almanac import Almanac
from bot.oncall.duty import Duty, ahead, on_duty
from bot.oncall.model import Book, Layer, Override, Person, Schedule

MADRID = "Europe/Madrid"
ZONES = sorted(available_timezones() - {"localtime", "Factory"})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def schedule(*layers: Layer, zone: str = MADRID, overrides=()) -> Schedule:
    return Schedule(id="primary", timezone=zone, layers=layers, overrides=overrides)


def layer(*people: str, every: str = "1w", handoff: str = "Mon 09:00", start: str = "2026-11-02") -> Layer:
    return Layer(people=people, every=every, handoff=handoff, start=date.fromisoformat(start))


def override(person: str, start: str, until: str) -> Override:
    return Override.model_validate({"person": person, "from": start, "until": until})


# The schedule of DESIGN §4.
PAYMENTS = schedule(layer("ana", "ben"), overrides=(override("ben", "2026-12-24T18:00", "2026-12-26T09:00"),))


@pytest.mark.parametrize(
    ("instant", "person", "until"),
    [
        ("2026-11-01T23:59:59+01:00", None, "2026-11-02T00:00+01:00"),
        ("2026-11-02T00:00+01:00", "ana", "2026-11-09T09:00+01:00"),  # before the first hand-off too
        ("2026-11-02T09:00+01:00", "ana", "2026-11-09T09:00+01:00"),
        ("2026-11-09T08:59:59.999999+01:00", "ana", "2026-11-09T09:00+01:00"),
        ("2026-11-09T09:00+01:00", "ben", "2026-11-16T09:00+01:00"),
        ("2026-11-16T09:00+01:00", "ana", "2026-11-23T09:00+01:00"),
        # Ben's own week: his override changes nothing.
        ("2026-12-23T12:00+01:00", "ben", "2026-12-28T09:00+01:00"),
        ("2026-12-25T12:00+01:00", "ben", "2026-12-28T09:00+01:00"),
        # Clocks go forward on 2027-03-28: the hand-off stays at nine in Madrid.
        ("2027-03-27T12:00+01:00", "ana", "2027-03-29T09:00+02:00"),
        ("2027-03-29T08:59+02:00", "ana", "2027-03-29T09:00+02:00"),
        ("2027-03-29T09:00+02:00", "ben", "2027-04-05T09:00+02:00"),
        # and back on 2027-10-31.
        ("2027-10-30T12:00+02:00", "ben", "2027-11-01T09:00+01:00"),
        ("2027-11-01T09:00+01:00", "ana", "2027-11-08T09:00+01:00"),
    ],
)
def test_the_weekly_rotation_of_the_documentation(instant, person, until):
    duty = on_duty(PAYMENTS, at(instant))
    assert (duty.people, duty.until) == ((person,) if person else (), at(until))


def test_an_override_replaces_the_layers_from_its_first_instant_until_its_last():
    rota = schedule(layer("ana", "ben"), overrides=(override("cat", "2026-11-04T18:00", "2026-11-05T09:00"),))
    assert on_duty(rota, at("2026-11-04T17:59+01:00")).until == at("2026-11-04T18:00+01:00")
    assert on_duty(rota, at("2026-11-04T18:00+01:00")) == Duty(
        ("cat",), at("2026-11-05T09:00+01:00"), "override in primary"
    )
    assert on_duty(rota, at("2026-11-05T09:00+01:00")) == Duty(
        ("ana",), at("2026-11-09T09:00+01:00"), "on call in primary"
    )


def test_a_later_override_wins_over_an_earlier_one():
    rota = schedule(
        layer("ana"),
        overrides=(
            override("ben", "2026-11-04T00:00", "2026-11-06T00:00"),
            override("cat", "2026-11-05T00:00", "2026-11-05T12:00"),
        ),
    )
    assert on_duty(rota, at("2026-11-04T12:00+01:00")).until == at("2026-11-05T00:00+01:00")
    assert on_duty(rota, at("2026-11-05T06:00+01:00")).people == ("cat",)
    assert on_duty(rota, at("2026-11-05T12:00+01:00")).people == ("ben",)
    assert on_duty(rota, at("2026-11-06T00:00+01:00")) == Duty(("ana",), None, "on call in primary")


def test_an_override_with_an_offset_is_taken_at_its_word():
    rota = schedule(layer("ana"), overrides=(override("ben", "2026-11-04T18:00+00:00", "2026-11-04T20:00Z"),))
    assert on_duty(rota, at("2026-11-04T17:59+00:00")).people == ("ana",)
    assert on_duty(rota, at("2026-11-04T18:00+00:00")).people == ("ben",)
    assert on_duty(rota, at("2026-11-04T20:00+00:00")).people == ("ana",)


def test_an_override_before_the_first_layer_counts():
    rota = schedule(layer("ana"), overrides=(override("ben", "2026-10-01T00:00", "2026-10-02T00:00"),))
    assert on_duty(rota, at("2026-10-01T12:00+02:00")).people == ("ben",)
    assert on_duty(rota, at("2026-10-02T12:00+02:00")).people == ()


def test_the_last_layer_that_has_begun_wins():
    rota = schedule(layer("ana"), layer("ben", start="2026-12-01"))
    assert on_duty(rota, at("2026-11-15T00:00+01:00")) == Duty(
        ("ana",), at("2026-12-01T00:00+01:00"), "on call in primary"
    )
    assert on_duty(rota, at("2026-12-01T00:00+01:00")) == Duty(("ben",), None, "on call in primary")


def test_one_person_for_ever_has_no_end():
    assert on_duty(schedule(layer("ana")), at("2026-11-15T00:00+01:00")).until is None


def test_two_turns_of_the_same_person_are_one():
    rota = schedule(layer("ana", "ana", "ben"))
    assert on_duty(rota, at("2026-11-03T00:00+01:00")).until == at("2026-11-16T09:00+01:00")


def test_a_change_far_away_behind_many_turns_of_one_person_is_found():
    rota = schedule(
        layer("ana", every="1h", handoff="Mon 00:00"),
        overrides=(override("ben", "2027-06-01T00:00", "2027-06-02T00:00"),),
    )
    assert on_duty(rota, at("2026-11-03T00:00+01:00")).until == at("2027-06-01T00:00+02:00")


def test_the_end_of_a_long_override_over_short_turns_is_found():
    rota = schedule(
        layer("ana", "ben", every="1h", handoff="Mon 00:00"),
        overrides=(override("cat", "2026-11-10T00:00", "2026-12-10T00:00"),),
    )
    assert on_duty(rota, at("2026-11-10T00:00+01:00")).until == at("2026-12-10T00:00+01:00")


@pytest.mark.parametrize(
    ("start", "first_handoff"),
    [("2026-11-02", "2026-11-09T09:00+01:00"), ("2026-11-04", "2026-11-09T09:00+01:00")],
)
def test_a_week_that_starts_in_its_middle_ends_at_the_hand_off(start, first_handoff):
    rota = schedule(layer("ana", "ben", start=start))
    assert on_duty(rota, at(f"{start}T00:00+01:00")) == Duty(("ana",), at(first_handoff), "on call in primary")


def test_daily_turns_hand_over_at_the_clock_time_whatever_the_weekday():
    rota = schedule(layer("ana", "ben", every="1d", handoff="Mon 09:00", start="2026-11-04"))
    assert on_duty(rota, at("2026-11-04T03:00+01:00")).people == ("ana",)
    assert on_duty(rota, at("2026-11-05T08:59+01:00")).people == ("ana",)
    assert on_duty(rota, at("2026-11-05T09:00+01:00")).people == ("ben",)
    assert on_duty(rota, at("2026-11-06T09:00+01:00")).people == ("ana",)


def test_follow_the_sun_in_eight_hours():
    rota = schedule(layer("ana", "ben", "cat", every="8h", handoff="Mon 06:00"), zone="UTC")
    people = [on_duty(rota, at(f"2026-11-02T{hour:02}:00Z")).people[0] for hour in (6, 13, 14, 21, 22)]
    assert people == ["ana", "ana", "ben", "ben", "cat"]


def test_a_hand_off_inside_the_lost_hour_happens_once():
    rota = schedule(layer("ana", "ben", every="1d", handoff="Mon 02:30", start="2027-03-20"))
    lost = at("2027-03-28T03:30+02:00")  # 02:30 does not exist; the same instant after the change
    before, after = on_duty(rota, lost - timedelta(seconds=1)), on_duty(rota, lost)
    assert (before.people, before.until) == (("ben",), lost)
    assert (after.people, after.until) == (("ana",), at("2027-03-29T02:30+02:00"))


def test_a_hand_off_inside_the_repeated_hour_happens_at_its_first_passing_only():
    rota = schedule(layer("ana", "ben", every="1d", handoff="Mon 02:30", start="2027-10-20"))
    first = at("2027-10-31T02:30+02:00")
    assert on_duty(rota, first - timedelta(seconds=1)).until == first
    assert on_duty(rota, first).until == at("2027-11-01T02:30+01:00")
    assert on_duty(rota, first).people == on_duty(rota, at("2027-10-31T02:30+01:00")).people


@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    every=st.sampled_from(["1d", "2d", "1w", "2w"]),
    handoff=st.tuples(st.sampled_from(["Mon", "Thu", "Sun"]), st.times()).map(lambda of: f"{of[0]} {of[1]:%H:%M}"),
    start=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    days=st.integers(0, 400),
)
def test_in_every_zone_each_hand_off_happens_once_without_gap_or_double(zone, every, handoff, start, days):
    """Ten duties in a row: each begins where the last ended, in the order of the list, at the wall clock's time."""
    people = ("ana", "ben", "cat")
    rota = schedule(Layer(people=people, every=every, handoff=handoff, start=start), zone=zone)
    instant = datetime(start.year, start.month, start.day, tzinfo=ZoneInfo(zone)).astimezone(UTC) + timedelta(days=days)
    for _ in range(10):
        duty = on_duty(rota, instant)
        assert duty.people
        assert duty.until is not None
        assert duty.until > instant
        assert on_duty(rota, duty.until - timedelta(microseconds=1)).people == duty.people
        following = people[(people.index(duty.people[0]) + 1) % 3]
        assert on_duty(rota, duty.until).people == (following,)
        wall = duty.until.astimezone(ZoneInfo(zone))
        asked = datetime.combine(wall.date(), datetime.strptime(handoff.split()[1], "%H:%M").time(), ZoneInfo(zone))
        assert asked.astimezone(UTC) == duty.until
        instant = duty.until


@settings(max_examples=100, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    every=st.sampled_from(["15m", "1h", "8h", "12h", "36h", "10d"]),
    instant=st.datetimes(datetime(2026, 3, 1), datetime(2037, 12, 31)),
)
def test_with_turns_of_any_length_somebody_is_on_duty_and_until_is_the_next_change(zone, every, instant):
    rota = schedule(layer("ana", "ben", "cat", every=every, start="2026-01-01"), zone=zone)
    now = instant.replace(tzinfo=UTC)
    duty = on_duty(rota, now)
    assert duty.people
    assert duty.until is not None
    assert duty.until > now
    assert on_duty(rota, duty.until - timedelta(microseconds=1)).people == duty.people
    assert on_duty(rota, duty.until).people not in {(), duty.people}


def test_calendars_write_out_this_month_and_the_next_one_asked_about():
    asked = []

    def rota(zone, year, month):
        asked.append((zone.key, year, month))
        return ()

    layers = (Layer(ical="x.ics"), Layer(people=("ana",), start=date(2026, 1, 5)))
    book = Book(
        people={"ana": Person(id="ana", name="Ana", slack="U0ANA")},
        schedules={"s": Schedule(id="s", timezone="Europe/Madrid", layers=layers)},
        fallback="person:ana",
        almanac=Almanac(rotas={"x.ics": rota}),
    )
    ahead(book, datetime(2026, 12, 21, 2, 0, tzinfo=UTC))
    assert asked == [("Europe/Madrid", 2026, 12), ("Europe/Madrid", 2027, 1)]
