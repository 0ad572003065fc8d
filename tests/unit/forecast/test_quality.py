"""Hours are counted on a calendar: 2026-11-02 is a Monday, all of it winter time in Madrid (UTC+1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.forecast.quality import Double, Load, report
from bot.oncall.model import Book, Person, Schedule

PEOPLE = {
    name: Person(id=name, name=name.title(), slack=f"U0{name.upper()}", timezone=zone)
    for name, zone in (("ana", "Europe/Madrid"), ("ben", "Europe/Madrid"), ("cat", "Asia/Tokyo"))
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}:00+01:00").astimezone(UTC)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def book(**schedules: Any) -> Book:
    made = {
        name: Schedule.model_validate({"id": name, "timezone": "Europe/Madrid"} | text)
        for name, text in schedules.items()
    }
    return Book(people=PEOPLE, schedules=made, fallback="person:ana")


def layer(*people: str, **more: Any) -> dict[str, Any]:
    return {"people": people, "start": "2026-01-05"} | more


def test_a_week_each_is_the_same_for_both():
    rota = book(s={"layers": [layer("ana", "ben", handoff="Mon 00:00")]})
    (found,) = report(rota, at("11-02T00:00"), at("11-16T00:00")).schedules
    # Seven nights of nine hours; Saturday and Sunday.
    assert found.loads == (
        Load("ana", 1, hours(168), hours(63), hours(48)),
        Load("ben", 1, hours(168), hours(63), hours(48)),
    )
    assert (found.gaps, found.covered, found.night_fairness, found.weekend_fairness) == ((), 1.0, 1.0, 1.0)


def test_who_has_office_hours_has_no_nights():
    office = {"days": ["Mon-Fri"], "hours": "09:00-17:00"}
    rota = book(s={"layers": [layer("ana"), layer("ben", restrictions=[office])]})
    (found,) = report(rota, at("11-02T00:00"), at("11-09T00:00")).schedules
    assert found.loads == (
        Load("ana", 6, hours(128), hours(63), hours(48)),
        Load("ben", 5, hours(40), hours(0), hours(0)),
    )
    assert (found.night_fairness, found.weekend_fairness) == (1.0, 1.0)  # among those who have nights: Ana alone


def test_fairness_is_the_least_as_a_share_of_the_most():
    # Two weeks of Ana, then two of Ben; looked at for three. 2026-11-16 is the beginning of Ana's.
    rota = book(s={"layers": [layer("ana", "ben", every="2w", handoff="Mon 00:00", start="2026-11-16")]})
    (found,) = report(rota, at("11-16T00:00"), at("12-07T00:00")).schedules
    assert (found.night_fairness, found.weekend_fairness) == (0.5, 0.5)


def test_the_night_is_where_the_person_lives():
    # 22:00 to 07:00 in Tokyo is 14:00 to 23:00 in Madrid.
    rota = book(s={"layers": [layer("cat", restrictions=[{"hours": "09:00-17:00"}])]})
    (found,) = report(rota, at("11-03T00:00"), at("11-04T00:00")).schedules
    assert found.loads == (Load("cat", 1, hours(8), hours(3), hours(0)),)


def test_gaps_and_what_a_stranger_has_count_as_gaps():
    rota = book(
        s={
            "layers": [layer("ana", restrictions=[{"hours": "00:00-12:00"}])],
            "overrides": [{"person": "ghost", "from": "2026-11-03T06:00", "until": "2026-11-03T08:00"}],
        }
    )
    (found,) = report(rota, at("11-03T00:00"), at("11-04T00:00")).schedules
    assert found.gaps == ((at("11-03T06:00"), at("11-03T08:00")), (at("11-03T12:00"), at("11-04T00:00")))
    assert found.covered == pytest.approx(10 / 24)


def test_somebody_in_the_list_who_never_has_a_turn_is_told_too():
    rota = book(s={"layers": [layer("ana", "ben", every="4w", handoff="Mon 00:00")]})
    (found,) = report(rota, at("11-02T00:00"), at("11-09T00:00")).schedules
    # 43 weeks have gone by since 2026-01-05, ten whole turns: it is Ana's.
    assert [(load.person, load.total) for load in found.loads] == [("ana", hours(168)), ("ben", hours(0))]
    assert found.night_fairness == 0.0


def test_two_duties_at_once_are_told_with_their_times():
    found = report(
        book(
            one={"layers": [layer("ana", restrictions=[{"hours": "08:00-16:00"}])]},
            two={"layers": [layer("ana", restrictions=[{"hours": "12:00-20:00"}])]},
            three={"layers": [layer("ben")]},
        ),
        at("11-03T00:00"),
        at("11-05T00:00"),
    )
    twelve_to_four = tuple((at(f"11-0{day}T12:00"), at(f"11-0{day}T16:00")) for day in (3, 4))
    assert found.doubles == (Double("ana", ("one", "two"), twelve_to_four),)
