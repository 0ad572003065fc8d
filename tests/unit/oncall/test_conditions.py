"""Whom a step with a condition reaches. 2026-11-06 is a Friday; Madrid is UTC+1, New York UTC-5, Tokyo UTC+9."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from core_world import BOOK, WORLD, alert, observe, woken
from pydantic import ValidationError

from bot.incidents.decision import World
from bot.incidents.escalation import due
from bot.oncall.almanac import Almanac, Holidays
from bot.oncall.model import Policy, Schedule, Step
from bot.oncall.owners import reach
from bot.paging.model import PageKind
from bot.paging.plan import pages_for

OFFICE = {"days": ["Mon-Fri"], "hours": "09:00-17:00"}
ZONES = {"ana": "Europe/Madrid", "ben": "America/New_York", "cat": "Asia/Tokyo", "dan": "UTC"}
PEOPLE = {name: person.model_copy(update={"timezone": ZONES[name]}) for name, person in BOOK.people.items()}
ROTA = Schedule.model_validate(
    {"id": "primary", "timezone": "Europe/Madrid", "layers": [{"people": ["cat"], "start": "2026-01-05"}]}
)
CITY = BOOK.model_copy(
    update={
        "people": PEOPLE,
        "schedules": {"primary": ROTA},
        "almanac": Almanac(holidays={"es": Holidays({date(2026, 11, 9): "Almudena"})}),
    }
)


def step(*notify: str, **when: Any) -> Step:
    return Step.model_validate({"notify": notify, "when": when or None})


def reached(one: Step, at: str, severity: str = "critical") -> tuple[list[str], list[str], list[str]]:
    found = reach(one, CITY, datetime.fromisoformat(at).replace(tzinfo=UTC), severity)
    return [person.person for person in found.people], list(found.channels), list(found.empty)


@pytest.mark.parametrize(("severity", "people"), [("critical", ["ana"]), ("warning", [])])
def test_a_step_for_critical_only(severity, people):
    found = reached(step("person:ana", severity="critical"), "2026-11-06T12:00", severity)
    assert found == (people, [], [] if people else ["only for critical"])


@pytest.mark.parametrize(
    ("at", "people"),
    [
        ("2026-11-06T07:59", []),
        ("2026-11-06T08:00", ["ana"]),  # nine in Madrid
        ("2026-11-06T14:00", ["ana", "ben"]),  # nine in New York, three in Madrid
        ("2026-11-06T16:00", ["ben"]),  # five in Madrid
        ("2026-11-06T22:00", []),  # five in New York
        ("2026-11-07T14:00", []),  # Saturday
    ],
)
def test_each_member_of_a_team_is_asked_in_their_own_hours(at, people):
    assert reached(step("team:payments", during=[OFFICE]), at)[0] == people


@pytest.mark.parametrize(
    ("timezone", "open_at", "closed_at"),
    [
        (None, "2026-11-06T08:00", "2026-11-06T07:00"),  # the schedule's: Madrid
        ("person", "2026-11-06T00:00", "2026-11-06T08:00"),  # Cat's: Tokyo, where it is nine, and five
        ("America/New_York", "2026-11-06T14:00", "2026-11-06T08:00"),
    ],
)
def test_the_zone_of_the_hours_behind_a_schedule(timezone, open_at, closed_at):
    during = step("schedule:primary", during=[OFFICE], **({"timezone": timezone} if timezone else {}))
    assert reached(during, open_at)[0] == ["cat"]
    assert reached(during, closed_at)[0] == []


def test_a_closed_step_says_until_which_hours_and_in_which_zone():
    assert reached(step("schedule:primary", during=[OFFICE]), "2026-11-06T20:00")[2] == [
        "schedule:primary: only during Mon-Fri 09:00-17:00 (Europe/Madrid)"
    ]


def test_outside_takes_windows_out_and_holidays_count():
    # 2026-11-09 is a Monday and, in the calendar, a holiday: nobody is in the office.
    night = step("person:ana", outside=[OFFICE | {"not_on": "es"}])
    assert [reached(night, f"2026-11-{day:02}T12:00")[0] for day in (6, 7, 9, 10)] == [[], ["ana"], ["ana"], []]
    both = step("person:ana", during=[{"days": ["Mon-Fri"]}], outside=[OFFICE])
    assert [reached(both, f"2026-11-06T{hour}:00")[0] for hour in ("07", "12", "20")] == [["ana"], [], ["ana"]]


def test_a_channel_has_the_hours_of_utc_or_of_the_zone_that_is_named():
    office = step("channel:#payments", during=[OFFICE])
    assert reached(office, "2026-11-06T09:00") == ([], ["#payments"], [])
    assert reached(office, "2026-11-06T08:00") == ([], [], ["channel:#payments: only during Mon-Fri 09:00-17:00"])
    madrid = step("channel:#payments", during=[OFFICE], timezone="Europe/Madrid")
    assert reached(madrid, "2026-11-06T08:00")[1] == ["#payments"]


# In the ladder


def ladder(*steps: Step, repeat: int = 0) -> World:
    policy = Policy(id="payments", steps=steps, repeat=repeat)
    book = CITY.model_copy(update={"escalation_policies": {"payments": policy}})
    return World(WORLD.agents, book, WORLD.channel)


FRIDAY_NIGHT = datetime(2026, 11, 6, 23, 0, tzinfo=UTC)


def test_a_closed_step_is_passed_over_at_once_with_its_reason():
    around = ladder(step("person:ana", during=[OFFICE]), step("person:ben"))
    (decision,) = observe([alert()], now=FRIDAY_NIGHT, world=around)
    assert woken(decision) == ["ben"]
    assert "level 1 skipped (person:ana: only during Mon-Fri 09:00-17:00 (Europe/Madrid))" in decision.why


def test_a_ladder_that_is_all_closed_goes_to_the_fallback_and_says_each_reason_once():
    around = ladder(step("person:ana", severity="warning"), repeat=3)
    (decision,) = observe([alert()], now=FRIDAY_NIGHT, world=around)
    assert woken(decision) == ["dan"]
    assert decision.why.count("level 1 skipped (only for warning)") == 1


def test_a_channel_is_paged_beside_the_people():
    around = ladder(step("person:ana", "channel:#payments", "channel:#refunds-help"))
    (decision,) = observe([alert()], now=FRIDAY_NIGHT, world=around)
    pages = [page for page in pages_for(decision, around.book, FRIDAY_NIGHT) if page.kind is PageKind.PAGE]
    assert [(page.person, page.channel) for page in pages] == [
        ("ana", "U0ANA"),
        (None, "#payments"),
        (None, "#refunds-help"),
    ]
    assert len({page.id for page in pages}) == 3


def test_a_step_of_a_channel_alone_waits_and_then_a_person_is_woken():
    around = ladder(step("channel:#payments"), step("person:ben"))
    (decision,) = observe([alert()], now=FRIDAY_NIGHT, world=around)
    assert (woken(decision), decision.channels) == ([], ("#payments",))
    assert decision.incident.next_at is not None
    following = due(decision.incident, around, decision.incident.next_at)
    assert following is not None
    assert (woken(following), following.channels) == (["ben"], ())


@pytest.mark.parametrize(
    "bad",
    [
        {"notify": ["channel:payments"]},
        {"notify": ["channel:"]},
        {"notify": ["person:ana"], "when": {"severity": "info"}},
        {"notify": ["person:ana"], "when": {"timezone": "Mars/Olympus"}},
        {"notify": ["person:ana"], "when": {"during": [{"hours": "9-17"}]}},
        {"notify": ["person:ana"], "when": {"during": [{"days": ["Funday"]}]}},
    ],
)
def test_a_condition_that_means_nothing_is_refused(bad):
    with pytest.raises(ValidationError):
        Step.model_validate(bad)


def test_a_policy_of_an_older_release_is_read_as_it_was():
    """Open incidents carry theirs in the database."""
    old = '{"id":"p","steps":[{"notify":["person:ana"],"wait":"5m"}],"repeat":3,"ack_timeout":{},"fallback_wait":"15m"}'
    assert Policy.model_validate_json(old).steps[0].when is None
    policy = Policy(id="p", steps=(step("person:ana", during=[OFFICE], severity="critical"),))
    assert Policy.model_validate_json(policy.model_dump_json()) == policy
