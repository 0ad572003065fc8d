"""When nobody but the fallback would be paged. 2026-11-02 is a Monday."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.agents.model import Agent, Stage
from bot.forecast.coverage import Gap, gaps
from bot.incidents import grouping
from bot.incidents.decision import World
from bot.incidents.model import Alert, AlertState
from bot.oncall.almanac import Almanac, Holidays
from bot.oncall.model import Book, Override, Person, Policy, Schedule, Team
from bot.oncall.owners import last_resort, people_of

START = datetime(2026, 11, 2, tzinfo=UTC)
ZONES = {"ana": "Europe/Madrid", "ben": "America/New_York", "cat": "Asia/Tokyo", "dan": "UTC"}
PEOPLE = {name: Person(id=name, name=name.title(), slack=f"U0{name.upper()}", timezone=ZONES[name]) for name in ZONES}
CREW = {"crew": Team(id="crew", members=("ana", "ben"))}
OFFICE = {"days": ["Mon-Fri"], "hours": "09:00-17:00"}
ALMANAC = Almanac(holidays={"es": Holidays({date(2026, 11, 9): "Almudena"})})


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


def book(schedules: dict[str, Any], steps: list[dict[str, Any]], **more: Any) -> Book:
    return Book(
        people=PEOPLE,
        schedules={name: Schedule.model_validate({"id": name} | text) for name, text in schedules.items()},
        escalation_policies={"p": Policy.model_validate({"id": "p", "steps": steps})},
        **({"fallback": "person:dan", "almanac": ALMANAC, "teams": CREW} | more),
    )


def rota(*people: str, **more: Any) -> dict[str, Any]:
    return {"layers": [{"people": people, "start": "2026-01-05"} | more]}


AGENTS = {name: Agent(id=name, owner="person:ana", escalation="p") for name in ("refund", "search")}
ONCE = [{"notify": ["schedule:s"]}]


def test_a_rota_without_holes_has_no_gap():
    assert gaps(AGENTS, book({"s": rota("ana", "ben")}, ONCE), START, START + timedelta(days=28)) == []


def test_office_hours_leave_the_nights_and_the_weekend_and_the_holiday():
    only_office = book({"s": rota("ana", restrictions=[OFFICE | {"not_on": "es"}])}, ONCE)
    (gap,) = gaps(AGENTS, only_office, at("11-05T00:00"), at("11-10T12:00"))
    assert gap == Gap(
        "schedules",
        "s",
        ("critical", "warning"),
        ("refund", "search"),
        (
            (at("11-05T00:00"), at("11-05T09:00")),
            (at("11-05T17:00"), at("11-06T09:00")),
            (at("11-06T17:00"), at("11-10T09:00")),  # the weekend and Monday the 9th, a holiday
        ),
    )


def test_a_later_step_that_always_reaches_somebody_closes_every_gap():
    covered = book({"s": rota("ana", restrictions=[OFFICE])}, [*ONCE, {"notify": ["team:crew"]}])
    assert gaps(AGENTS, covered, START, START + timedelta(days=28)) == []


def test_a_step_for_critical_only_leaves_warnings_uncovered():
    one = book({"s": rota("ana")}, [{"notify": ["schedule:s"], "when": {"severity": "critical"}}])
    (gap,) = gaps(AGENTS, one, START, START + timedelta(days=1))
    assert (gap.severities, gap.spans) == (("warning",), ((START, START + timedelta(days=1)),))


def test_the_hours_of_two_people_in_two_zones_are_added_up():
    # Office hours: Tokyo 00-08 UTC, Madrid 08-16, New York 14-22; from 22 to 24 nobody.
    steps = [{"notify": ["person:ana", "person:ben", "person:cat"], "when": {"during": [OFFICE]}}]
    (gap,) = gaps(AGENTS, book({}, steps), at("11-03T00:00"), at("11-05T00:00"))
    assert (gap.kind, gap.id) == ("escalation_policies", "p")
    assert gap.spans == ((at("11-03T22:00"), at("11-04T00:00")), (at("11-04T22:00"), at("11-05T00:00")))


def test_an_override_by_none_and_one_by_a_stranger_are_gaps():
    schedule = Schedule.model_validate({"id": "s"} | rota("ana"))
    holes = tuple(
        Override.model_validate({"person": person, "from": f"2026-11-0{day}T06:00Z", "until": f"2026-11-0{day}T08:00Z"})
        for day, person in ((3, "none"), (4, "somebody-who-left"))
    )
    patched = book({}, ONCE).model_copy(update={"schedules": {"s": schedule.model_copy(update={"overrides": holes})}})
    (gap,) = gaps(AGENTS, patched, START, START + timedelta(days=7))
    assert gap.spans == tuple((at(f"11-0{day}T06:00"), at(f"11-0{day}T08:00")) for day in (3, 4))


def test_a_channel_is_not_somebody():
    (gap,) = gaps(AGENTS, book({}, [{"notify": ["channel:#payments"]}]), START, START + timedelta(hours=1))
    assert gap.spans == ((START, START + timedelta(hours=1)),)


def test_an_agent_without_a_policy_has_the_step_to_its_owner():
    agents = {"refund": Agent(id="refund", owner="person:ana")}
    assert gaps(agents, book({}, ONCE), START, START + timedelta(days=1)) == []


def test_a_route_needs_somebody_and_a_tool_has_the_agents_owner_behind_it():
    hours = {"s": rota("ana", restrictions=[OFFICE])}
    crew = {"crew": Team(id="crew", members=("ana", "ben"), escalation="p")}
    agents = {
        "refund": Agent.model_validate(
            {"id": "refund", "owner": "person:ben", "tools": {"search": {"owner": "team:crew"}}}
        )
    }
    routed = book(hours, ONCE, teams=crew, routes={"platform": "team:crew"})
    (gap,) = gaps(agents, routed, at("11-05T00:00"), at("11-05T12:00"))
    assert (gap.agents, gap.spans) == (("route platform",), ((at("11-05T00:00"), at("11-05T09:00")),))
    assert gaps(agents, book(hours, ONCE, teams=crew), at("11-05T00:00"), at("11-05T12:00")) == []


def test_a_retired_agent_needs_nobody():
    agents = {"refund": Agent(id="refund", owner="person:ana", escalation="p", stage=Stage.RETIRED)}
    assert (
        gaps(agents, book({"s": {"layers": [{"people": ["ana"], "start": "2030-01-01"}]}}, ONCE), START, at("11-03"))
        == []
    )


def test_a_fallback_that_is_a_schedule_is_proven_too():
    one = book(
        {"s": rota("ana"), "f": rota("ben", restrictions=[{"hours": "00:00-12:00"}])}, ONCE, fallback="schedule:f"
    )
    (gap,) = gaps(AGENTS, one, at("11-03T00:00"), at("11-04T00:00"))
    assert gap == Gap("fallback", "schedule:f", ("critical", "warning"), (), ((at("11-03T12:00"), at("11-04T00:00")),))


# Against the engine: at any instant an incident's first page goes to the fallback exactly when there is a gap.

WINDOWS = st.builds(
    lambda days, hours, holiday: {"days": days, "hours": hours} | ({"not_on": "es"} if holiday else {}),
    st.lists(st.sampled_from(["Mon-Fri", "Sat", "Sun", "Wed"]), max_size=2, unique=True),
    st.sampled_from(["00:00-24:00", "09:00-17:00", "22:00-06:00", "12:00-12:30"]),
    st.booleans(),
)
LAYERS = st.builds(
    lambda people, every, windows: {"people": people, "every": every, "start": "2026-01-05", "restrictions": windows},
    st.lists(st.sampled_from(["ana", "ben", "none", "ghost"]), min_size=1, max_size=3),
    st.sampled_from(["1d", "1w", "8h", "1mo"]),
    st.lists(WINDOWS, max_size=2),
)
WHEN = st.none() | st.builds(
    lambda severity, during, outside, zone: {"severity": severity, "during": during, "outside": outside} | zone,
    st.sampled_from([[], ["critical"], ["warning"]]),
    st.lists(WINDOWS, max_size=1),
    st.lists(WINDOWS, max_size=1),
    st.sampled_from([{}, {"timezone": "person"}, {"timezone": "America/New_York"}]),
)
TARGETS = ["schedule:s", "schedule:t", "person:cat", "team:crew", "person:gone"]
STEPS = st.builds(
    lambda notify, when: {"notify": notify, "when": when},
    st.lists(st.sampled_from(TARGETS), min_size=1, max_size=2),
    WHEN,
)


@settings(max_examples=150, deadline=None)
@given(
    layers=st.lists(LAYERS, min_size=2, max_size=3),
    steps=st.lists(STEPS, min_size=1, max_size=2),
    minutes=st.lists(st.integers(0, 14 * 1440 - 1), min_size=5, max_size=5),
)
def test_the_proof_says_what_the_engine_does(layers, steps, minutes):
    schedules = {"s": {"timezone": "Europe/Madrid", "layers": layers[:-1]}, "t": {"layers": layers[-1:]}}
    around = book(schedules, steps)
    found = gaps(AGENTS, around, START, START + timedelta(days=14))
    for minute in minutes:
        now = START + timedelta(minutes=minute)
        for severity in ("critical", "warning"):
            labels = {"alertname": "X", "agent": "refund", "severity": severity}
            one = Alert(
                fingerprint="x",
                group="g",
                state=AlertState.FIRING,
                labels=labels,
                annotations={},
                value=1,
                starts_at=now,
            )
            (decision,) = grouping.observe("g", [one], [], World(AGENTS, around, "#c"), now, lambda: 1)
            uncovered = any(severity in gap.severities and any(a <= now < b for a, b in gap.spans) for gap in found)
            assert decision.incident.exhausted is uncovered
            if uncovered:
                fallback = last_resort("person:dan", around, now)
                assert [one.person for one in decision.wake] == [one.person for one in fallback]
                assert people_of(["person:dan"], around, now)[0]
