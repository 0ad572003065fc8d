"""Who takes over when, and until when."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.oncall.almanac import NOTHING
from bot.oncall.model import Schedule
from bot.oncall.stints import Stint, stints


def utc(*at: int) -> datetime:
    return datetime(*at, tzinfo=UTC)


def schedule(*people: str, layer: dict | None = None, **changes) -> Schedule:
    turns = {"people": list(people), "every": "1w", "handoff": "Mon 09:00", "start": "2026-10-05"} | (layer or {})
    return Schedule.model_validate({"id": "primary", "timezone": "Europe/Madrid", "layers": [turns]} | changes)


def begun(one: Schedule, start: datetime, end: datetime) -> list[Stint]:
    return stints(one, NOTHING, start, end)


def test_a_turn_begins_and_ends_at_the_hand_over():
    assert begun(schedule("ana", "ben"), utc(2026, 11, 9), utc(2026, 11, 20)) == [
        Stint("ben", "primary", utc(2026, 11, 9, 8), utc(2026, 11, 16, 8), ("ana",), ("ana",)),
        Stint("ana", "primary", utc(2026, 11, 16, 8), utc(2026, 11, 23, 8), ("ben",), ("ben",)),
    ]


def test_the_first_instant_counts_and_the_last_does_not():
    rota, handover = schedule("ana", "ben"), utc(2026, 11, 9, 8)
    assert [one.person for one in begun(rota, handover, handover.replace(hour=9))] == ["ben"]
    assert begun(rota, utc(2026, 11, 9), handover) == []


def test_whoever_always_has_it_never_takes_over():
    assert begun(schedule("ana"), utc(2026, 11, 1), utc(2026, 11, 30)) == []


def test_a_week_of_office_hours_is_one_turn():
    office = schedule("ana", "ben", layer={"restrictions": [{"days": ["Mon-Fri"], "hours": "09:00-17:00"}]})
    (mine,) = begun(office, utc(2026, 11, 9), utc(2026, 11, 16))
    assert (mine.person, mine.start, mine.until) == ("ben", utc(2026, 11, 9, 8), utc(2026, 11, 13, 16))


def test_an_override_begins_and_so_does_what_comes_behind_it():
    changed = schedule(
        "ana", "ben", overrides=[{"person": "cat", "from": "2026-11-11T18:00", "until": "2026-11-12T09:00"}]
    )
    found = begun(changed, utc(2026, 11, 10), utc(2026, 11, 15))
    assert [(one.person, one.start, one.until, one.before) for one in found] == [
        ("cat", utc(2026, 11, 11, 17), utc(2026, 11, 12, 8), ("ben",)),
        ("ben", utc(2026, 11, 12, 8), utc(2026, 11, 16, 8), ("cat",)),
    ]


def test_a_schedule_that_begins_is_taken_over_from_nobody_and_one_without_another_turn_has_no_end():
    fresh = schedule("ana", layer={"start": "2026-11-10"})
    (mine,) = begun(fresh, utc(2026, 11, 1), utc(2026, 11, 30))
    assert (mine.start, mine.until, mine.before, mine.after) == (utc(2026, 11, 9, 23), None, (), ())
