"""What somebody is told of their shift, and when."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from core_world import AGENTS, BOOK, alert, opened

from bot.incidents.decision import World
from bot.oncall.model import Policy, Schedule, Step
from bot.oncall.stints import Stint
from bot.records.digest import Digest, Present
from bot.records.shift import Turn, occasion, told, turns
from bot.records.usage import usages
from bot.runbooks.model import Runbook


def utc(*at: int) -> datetime:
    return datetime(*at, tzinfo=UTC)


BEGIN, END = utc(2026, 11, 9, 8), utc(2026, 11, 16, 8)
DAY = timedelta(days=1)
ROTA = {"id": "primary", "layers": [{"people": ["ana", "ben"], "start": "2026-10-05"}]}
PLACES = BOOK.model_copy(
    update={
        "people": {**BOOK.people, "ben": BOOK.people["ben"].model_copy(update={"timezone": "Europe/Madrid"})},
        "schedules": {"primary": Schedule.model_validate(ROTA)},
        "escalation_policies": {"payments": Policy(id="payments", steps=(Step(notify=("schedule:primary",)),))},
    }
)


def stint(schedule: str = "primary", person: str = "ben", until: datetime | None = END, **changes) -> Stint:
    return Stint(person, schedule, BEGIN, until, ("ana",), ("ana",), **changes)


def turn(*stints: Stint) -> Turn:
    return Turn("ben", BEGIN, stints or (stint(),))


def words(what="begins", *unresolved, one=None, rest=None, runbooks=()) -> Digest:
    known = usages(runbooks, (), date(2026, 11, 9))
    return told(one or turn(), what, Present(BEGIN, unresolved, ()), known, rest, PLACES)


def sections(digest: Digest) -> dict[str, tuple[str, ...]]:
    return {section.heading: section.lines for section in digest.sections}


# When


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (BEGIN - timedelta(hours=24, seconds=1), None),
        (BEGIN - timedelta(hours=24), "ahead"),
        (BEGIN - timedelta(minutes=16), "ahead"),
        (BEGIN - timedelta(minutes=15), None),  # so near that its beginning is word enough
        (BEGIN, "begins"),
        (BEGIN + timedelta(minutes=119), "begins"),
        (BEGIN + timedelta(hours=2), None),
    ],
)
def test_a_shift_is_told_before_it_begins_and_when_it_does(now, what):
    assert occasion(turn(), now, DAY) == what


def test_a_short_shift_is_not_told_once_it_is_over():
    short = turn(stint(until=BEGIN + timedelta(hours=1)))
    assert occasion(short, BEGIN + timedelta(minutes=59), DAY) == "begins"
    assert occasion(short, BEGIN + timedelta(hours=1), DAY) is None


def test_what_one_takes_over_at_once_is_one_turn():
    found = turns([stint("secondary"), stint("primary"), stint("primary", "ana")])
    assert [(one.person, [each.schedule for each in one.stints]) for one in found] == [
        ("ana", ["primary"]),
        ("ben", ["primary", "secondary"]),
    ]


def test_a_turn_ends_with_the_last_of_its_schedules():
    later = END + DAY
    assert turn(stint(), stint("secondary", until=later)).until == later
    assert turn(stint(), stint("secondary", until=None)).until is None


# What


def test_a_shift_that_begins_says_until_when_and_who_has_it_before_and_after():
    said = words()
    assert said.title == "You are on call for primary until Mon 16 Nov 09:00 CET"
    assert [(one.name, one.value) for one in said.figures] == [
        ("Before you", "Ana"),
        ("After you", "Ana"),
    ]


def test_a_shift_that_comes_says_from_when():
    both = turn(stint(), stint("secondary", until=None))
    said = words("ahead", one=both)
    assert said.title == "You will be on call for primary and secondary from Mon 9 Nov 09:00 CET"
    assert [(one.name, one.value) for one in said.figures[:2]] == [
        ("primary", "until Mon 16 Nov 09:00 CET"),
        ("secondary", "until further notice"),
    ]


def test_what_is_open_for_the_schedule_is_named_and_what_is_not_is_left_out():
    mine = opened(world=World(AGENTS, PLACES, "#c"))
    other = opened(alert("Other", labels={"agent": None, "owner": "dan"}), world=World(AGENTS, PLACES, "#c"))
    (line,) = sections(words("begins", mine, other))["Open now"]
    assert line.startswith("INC-1 critical ErrorsHigh of refund-agent, nobody has it")
    assert sections(words())["Open now"] == ("nothing",)


def test_runbooks_whose_review_is_overdue_are_named_where_they_concern_the_person():
    step = {"id": "look", "kind": "manual", "title": "Look", "text": "look"}

    def book(name: str, owner: str, reviewed: str) -> Runbook:
        plain = {"schema": "runbook/v1", "id": name, "title": name, "steps": [step]}
        return Runbook.model_validate(plain | {"owner": owner, "reviewed_on": reviewed})

    books = [
        book("late", "team:payments", "2026-05-01"),
        book("later", "person:ben", "2026-04-01"),
        book("fresh", "team:payments", "2026-11-01"),
        book("other", "team:sales", "2026-01-01"),
    ]
    assert sections(words(runbooks=books))["Runbooks to read through: their review is overdue"] == (
        "later: last reviewed on 2026-04-01, due every 90 d, owner person:ben",
        "late: last reviewed on 2026-05-01, due every 90 d, owner team:payments",
    )


def test_a_pause_of_notifications_is_a_warning_on_the_persons_own_clock():
    said = words(rest=(utc(2026, 11, 9, 21), utc(2026, 11, 10, 7)))
    first = said.sections[0]
    assert first.heading == "⚠ Your phone will stay silent"
    assert first.lines[0] == "Slack pauses your notifications from 22:00 to 08:00, and no page makes a sound then"


@pytest.mark.parametrize(
    ("hours", "rest", "warned"),
    [
        ((8, 16), (21, 31), False),  # the night after the shift, and every other night
        ((8, 16), (15, 17), True),
        ((8, 16), (16, 30), False),  # begins when it ends; the night before ends at 6
        ((8, 16), (-5, 9), True),  # goes on
        ((20, 28), (-3, 6), True),  # of the night before: it comes again
        ((8, 32), (40, 41), True),  # a whole day has every hour
    ],
)
def test_a_pause_comes_every_day(hours, rest, warned):
    midnight = utc(2026, 11, 9)

    def at(hour: int) -> datetime:
        return midnight + timedelta(hours=hour)

    one = Turn("ben", at(hours[0]), (Stint("ben", "primary", at(hours[0]), at(hours[1]), (), ()),))
    assert ("⚠ Your phone will stay silent" in sections(words(one=one, rest=(at(rest[0]), at(rest[1]))))) is warned


def test_who_left_the_book_is_told_in_utc():
    gone = Turn("gone", BEGIN, (stint(person="gone"),))
    assert words(one=gone).title.endswith("until Mon 16 Nov 08:00 UTC")
