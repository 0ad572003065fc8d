"""Histories of alerts played against rotas: who would have been woken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from zoneinfo import ZoneInfo

import pytest
from core_world import AGENTS, BOOK, NOW, WORLD, after

from bot.agents.model import Agent
from bot.errors import UsageError
from bot.forecast.history import Firing, drawn, recorded
from bot.forecast.replay import Habits, replay, summary
from bot.incidents.decision import World
from bot.incidents.policy import IncidentRules
from bot.oncall.almanac import Almanac, Holidays
from bot.oncall.model import Book, Person, Policy, Schedule, Step

CRITICAL = {"alertname": "X", "agent": "refund-agent", "severity": "critical"}
MINUTE = timedelta(minutes=1)


def always(value: float):
    return lambda: value


NEVER = Habits(0.0, MINUTE, always(0.5))
AT_ONCE = Habits(1.0, MINUTE, always(0.5))


def woken(firings, habits, world=WORLD) -> list[tuple[int, str]]:
    return [(int((page.at - NOW) / MINUTE), page.person) for page in replay(firings, world, habits).pages]


def test_an_alert_that_nobody_answers_climbs_until_it_ends():
    assert woken([Firing(NOW, after(minutes=40), CRITICAL)], NEVER) == [
        (0, "ana"),
        (5, "ben"),
        (5, "cat"),
        (15, "ana"),
        (20, "ben"),
        (20, "cat"),
        (30, "dan"),
    ]


def test_a_mute_window_that_opens_and_closes_stops_the_ladder_and_begins_it_again():
    window = {"id": "w", "matchers": "severity=critical", "during": [{"hours": "02:07-02:30"}], "reason": "r"}
    rules = IncidentRules.model_validate({"mute_windows": {"w": window | {"max_severity": "critical"}}})
    muted = replace(WORLD, rules=rules)
    assert woken([Firing(NOW, after(minutes=36), CRITICAL)], NEVER, muted) == [
        (0, "ana"),
        (5, "ben"),
        (5, "cat"),
        (30, "ana"),
        (35, "ben"),
        (35, "cat"),
    ]
    later = Firing(after(days=3, minutes=20), after(days=3, minutes=40), CRITICAL)
    assert woken([Firing(NOW, after(minutes=1), CRITICAL), later], NEVER, muted) == [
        (0, "ana"),
        (3 * 1440 + 30, "ana"),
        (3 * 1440 + 35, "ben"),
        (3 * 1440 + 35, "cat"),
    ]


def test_an_answer_stops_the_ladder():
    course = replay([Firing(NOW, after(minutes=40), CRITICAL)], WORLD, AT_ONCE)
    assert [page.person for page in course.pages] == ["ana"]
    assert course.taken == {"INC-1": MINUTE}


def test_whoever_has_it_is_asked_again_and_keeps_it_while_it_lasts():
    # The ack holds an hour; after ten hours the alert ends. Nobody else is ever woken.
    assert woken([Firing(NOW, after(hours=10), CRITICAL)], AT_ONCE) == [(0, "ana")]


def test_an_answer_after_the_end_counts_for_nothing():
    course = replay([Firing(NOW, after(seconds=30), CRITICAL)], WORLD, AT_ONCE)
    assert (course.taken, course.ended_untaken) == ({}, {"INC-1"})


def test_alerts_at_the_same_time_are_one_incident_of_an_agent():
    firings = [Firing(after(minutes=n), after(minutes=30), CRITICAL | {"alertname": f"X{n}"}) for n in range(5)]
    course = replay(firings, WORLD, AT_ONCE)
    assert (course.alerts, len(course.incidents), len(course.pages)) == (5, 1, 1)


def test_what_comes_back_within_five_minutes_is_the_same_incident_and_wakes_again():
    firings = [Firing(NOW, after(minutes=2), CRITICAL), Firing(after(minutes=6), after(minutes=9), CRITICAL)]
    course = replay(firings, WORLD, AT_ONCE)
    assert [(page.incident, page.at) for page in course.pages] == [("INC-1", NOW), ("INC-1", after(minutes=6))]
    later = [firings[0], Firing(after(minutes=8), after(minutes=9), CRITICAL)]
    assert len(replay(later, WORLD, AT_ONCE).incidents) == 2


def test_whoever_takes_it_after_it_came_back_has_taken_it():
    firings = [Firing(NOW, after(seconds=30), CRITICAL), Firing(after(minutes=1), after(minutes=9), CRITICAL)]
    course = replay(firings, WORLD, AT_ONCE)
    assert (course.taken, course.ended_untaken) == ({"INC-1": 2 * MINUTE}, set())


def test_an_info_alert_wakes_nobody():
    assert woken([Firing(NOW, after(minutes=40), CRITICAL | {"severity": "info"})], NEVER) == []


def test_the_summary_counts_by_person_and_agent():
    firings = [Firing(NOW, after(minutes=7), CRITICAL), Firing(after(hours=10), after(hours=11), CRITICAL)]
    told = summary(replay(firings, WORLD, NEVER), WORLD)
    # The first, at two at night: Ana, then Ben and Cat. The second, at noon: all rounds, the fallback, and its team.
    assert {key: told[key] for key in ("alerts", "incidents", "pages", "night_pages", "taken", "ended_untaken")} == {
        "alerts": 2,
        "incidents": 2,
        "pages": 3 + 10,
        "night_pages": 3,
        "taken": 0,
        "ended_untaken": 2,
    }
    assert told["people"][0] == {
        "person": "ana",
        "pages": 4,
        "incidents": 2,
        "night_pages": 1,
        "nights": 1,
        "weekend_pages": 0,
    }
    assert told["agents"] == [
        {
            "agent": "refund-agent",
            "incidents": 2,
            "pages": 13,
            "night_pages": 3,
            "escalated": 2,
            "to_fallback": 1,
        }
    ]
    assert told["ack_seconds"] is None


# A year


MADRID = ZoneInfo("Europe/Madrid")
HOLIDAYS = {date(2026, 12, 25), date(2027, 1, 6), date(2027, 4, 2), date(2027, 8, 16)}
YEAR = Schedule.model_validate(
    {
        "id": "primary",
        "timezone": "Europe/Madrid",
        "layers": [
            {"people": ["ana", "ben", "cat"], "every": "1w", "handoff": "Mon 09:00", "start": "2026-01-05"},
            {
                "people": ["dan"],
                "start": "2026-01-05",
                "restrictions": [{"days": ["Mon-Fri"], "hours": "09:00-17:00", "not_on": "es"}],
            },
        ],
        "overrides": [
            {"person": "cat", "from": "2026-12-24T18:00", "until": "2026-12-26T09:00"},
            {"person": "ana", "from": "2027-08-01T00:00", "until": "2027-08-15T00:00"},
        ],
    }
)


def on_the_wall_calendar(instant: datetime) -> str:
    """The oracle: the wall clock of Madrid and a calendar sheet."""
    wall = instant.astimezone(MADRID).replace(tzinfo=None)
    if datetime(2026, 12, 24, 18) <= wall < datetime(2026, 12, 26, 9):
        return "cat"
    if datetime(2027, 8, 1) <= wall < datetime(2027, 8, 15):
        return "ana"
    if wall.weekday() < 5 and 9 <= wall.hour < 17 and wall.date() not in HOLIDAYS:
        return "dan"
    return ("ana", "ben", "cat")[(wall - datetime(2026, 1, 5, 9)) // timedelta(weeks=1) % 3]


def year_book() -> Book:
    policy = Policy(id="p", steps=(Step(notify=("schedule:primary",)), Step(notify=("person:eve",))), repeat=1)
    people = {
        name: Person(id=name, name=name.title(), slack=f"U0{name.upper()}", timezone=zone)
        for name, zone in (
            ("ana", "Europe/Madrid"),
            ("ben", "Europe/Madrid"),
            ("cat", "America/New_York"),
            ("dan", "Europe/Madrid"),
            ("eve", "Asia/Tokyo"),
        )
    }
    return Book(
        people=people,
        schedules={"primary": YEAR},
        escalation_policies={"p": policy},
        fallback="person:eve",
        almanac=Almanac(holidays={"es": Holidays(dict.fromkeys(HOLIDAYS, "x"))}),
    )


@dataclass
class Sheet:
    """The oracle of the year: what happens to incidents of one alert each, worked out page by page with pen and paper's
    means. Knows the policy by heart: whoever has the rota, Eve after five minutes, both once more, Eve for ever."""

    draw: Callable[[], float]
    coming: list = field(default_factory=list)
    pages: list = field(default_factory=list)  # instant, person, incident, agent, number of the page
    taken: dict = field(default_factory=dict)

    def play(self, alerts) -> None:
        for incident, (start, end, agent) in enumerate(alerts):
            heappush(self.coming, (start, incident, 0, start, end, agent))
        while self.coming:
            now, incident, number, start, end, agent = heappop(self.coming)
            person = on_the_wall_calendar(now) if number in {0, 2} else "eve"
            self.pages.append((now, person, incident, agent, number))
            if self.draw() < 0.7 and now + 4 * MINUTE < end:
                self.taken[incident] = now + 4 * MINUTE - start
            elif now + (following := 15 if number >= 4 else 5) * MINUTE < end:
                heappush(self.coming, (now + following * MINUTE, incident, number + 1, start, end, agent))


def alerts_of_a_year(start: datetime, agents: int, count: int):
    """Of each agent one after the other and more than five minutes apart, so that none joins or re-opens another. No
    two pages fall on the same second: the seconds of each agent are its own, every wait is a multiple of five minutes,
    and no alert lasts as long as one."""
    random = Random(4)
    alerts = []
    for agent in range(agents):
        slots = sorted(random.sample(range(365 * 24), count))
        for slot in slots:
            begins = start + timedelta(hours=slot, seconds=29 * agent + 1 + 300 * random.randrange(3))
            minutes = random.randrange(2, 18) if random.random() < 0.8 else random.randrange(18, 38)
            alerts.append((begins, begins + timedelta(minutes=minutes, seconds=30), f"agent-{agent}"))
    return sorted(alerts)


def night_began(at: datetime) -> date:
    return at.date() if at.hour >= 22 else at.date() - timedelta(days=1)


def test_the_report_of_a_year_is_what_the_wall_calendar_gives():
    """From 2026-11 to 2027-11: 10,000 incidents, clocks change on 2027-03-28 and 2027-10-31 (and where Cat lives on
    other days), four holidays, two overrides. Every figure of the report is worked out a second time, by the sheet."""
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    alerts = alerts_of_a_year(begin, 10, 1000)
    sheet = Sheet(Random(5).random)
    sheet.play(alerts)

    agents = {f"agent-{n}": Agent(id=f"agent-{n}", owner="person:ana", escalation="p") for n in range(10)}
    world = World(agents, year_book(), "#pages")
    labels = {"alertname": "X", "severity": "critical"}
    firings = [Firing(start, end, labels | {"agent": agent}) for start, end, agent in alerts]
    course = replay(firings, world, Habits(0.7, 4 * MINUTE, Random(5).random))
    told = summary(course, world)

    assert [(page.at, page.person, page.agent) for page in course.pages] == [
        (at, person, agent) for at, person, _, agent, _ in sheet.pages
    ]
    escalated = {incident for _, _, incident, _, number in sheet.pages if number > 0}
    waits = [wait.total_seconds() for wait in sheet.taken.values()]
    zones = {"cat": ZoneInfo("America/New_York"), "eve": ZoneInfo("Asia/Tokyo")}
    local = [
        (person, at.astimezone(zones.get(person, MADRID)), incident, agent, number)
        for at, person, incident, agent, number in sheet.pages
    ]
    at_night = [page for page in local if page[1].hour >= 22 or page[1].hour < 7]
    assert {key: told[key] for key in told if key not in {"people", "agents"}} == {
        "alerts": 10_000,
        "incidents": 10_000,
        "pages": len(sheet.pages),
        "night_pages": len(at_night),
        "taken": len(sheet.taken),
        "ended_untaken": 10_000 - len(sheet.taken),
        "ack_seconds": {"mean": round(sum(waits) / len(waits), 1), "longest": max(waits)},
        "escalated_share": round(len(escalated) / 10_000, 4),
    }
    assert {row.pop("person"): row for row in told["people"]} == {
        person: {
            "pages": len([page for page in local if page[0] == person]),
            "incidents": len({page[2] for page in local if page[0] == person}),
            "night_pages": len([page for page in at_night if page[0] == person]),
            "nights": len({night_began(page[1]) for page in at_night if page[0] == person}),
            "weekend_pages": len([page for page in local if page[0] == person and page[1].strftime("%a") in WEEKEND]),
        }
        for person in ("ana", "ben", "cat", "dan", "eve")
    }
    assert {row.pop("agent"): row for row in told["agents"]} == {
        agent: {
            "incidents": 1000,
            "pages": len([page for page in local if page[3] == agent]),
            "night_pages": len([page for page in at_night if page[3] == agent]),
            "escalated": len({page[2] for page in local if page[3] == agent and page[4] > 0}),
            "to_fallback": len({page[2] for page in local if page[3] == agent and page[4] >= 4}),
        }
        for agent in agents
    }
    # The year has what it was made for: long ladders, unanswered ones, office hours without a night.
    assert max(page[4] for page in sheet.pages) >= 5
    assert len(escalated) > 2000
    assert not [page for page in at_night if page[0] == "dan"]


WEEKEND = {"Sat", "Sun"}


def test_the_same_seed_gives_the_same_year():
    start = datetime(2026, 11, 1, tzinfo=UTC)
    one, other = (list(drawn(AGENTS, 1, start, start + timedelta(days=9), Random(7).random)) for _ in range(2))
    assert one == other
    assert 150 < len(one) < 280  # 216 are expected
    assert all(start <= firing.start < start + timedelta(days=9) for firing in one)


# Recorded


def test_a_recorded_history_is_read_line_by_line():
    text = (
        '{"starts_at": "2026-11-02T09:00:00Z", "ends_at": "2026-11-02T09:30:00Z", "labels": {"alertname": "X"}}\n\n'
        '{"starts_at": "2026-11-02T10:00:00+01:00", "labels": {"agent": "a"}}\n'
    )
    assert recorded(text, "h.jsonl") == [
        Firing(datetime(2026, 11, 2, 9, tzinfo=UTC), datetime(2026, 11, 2, 9, 30, tzinfo=UTC), {"alertname": "X"}),
        Firing(datetime(2026, 11, 2, 9, tzinfo=UTC), None, {"agent": "a"}),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "h.jsonl:2: "),
        ("[]", "h.jsonl:2: "),
        ('{"labels": {}}', 'h.jsonl:2: "starts_at" is missing'),
        ('{"starts_at": "yesterday", "labels": {}}', "h.jsonl:2: Invalid isoformat string"),
        (
            '{"starts_at": "2026-11-02T09:00Z", "ends_at": "2026-11-02T09:00Z", "labels": {}}',
            "h.jsonl:2: ends_at is not after starts_at",
        ),
    ],
)
def test_a_line_that_is_none_is_refused_with_its_place(line, words):
    with pytest.raises(UsageError) as refused:
        recorded('{"starts_at": "2026-11-02T09:00Z", "labels": {}}\n' + line, "h.jsonl")
    assert words in str(refused.value)


def test_an_alert_whose_end_is_not_known_is_watched_for_a_week():
    course = replay([Firing(NOW, None, CRITICAL)], World(AGENTS, BOOK, "#c"), NEVER)
    assert NOW + timedelta(days=6, hours=23) < course.pages[-1].at < NOW + timedelta(days=7)
