"""A simulated year of on-call on virtual time: two changes of clocks, holidays, overrides, 10,000 incidents.

    python -m benchmarks.year [--incidents 10000]

Some ten seconds. tests/unit/forecast/test_replay.py checks the report of such a year figure by figure.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime, timedelta
from random import Random

from benchmarks.report import Report, add_option
from bot.agents.model import Agent
from bot.forecast.history import drawn
from bot.forecast.replay import Habits, replay, summary
from bot.incidents.decision import World
from bot.oncall.almanac import Almanac, Holidays
from bot.oncall.model import Book, Calendar, Person, Policy, Schedule, Step

BEGIN, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 11, 1, tzinfo=UTC)
AGENTS = 10
# What is drawn overlaps a little, and overlapping alerts of one agent are one incident.
ALERTS_FOR_AN_INCIDENT = 1.09


def book() -> Book:
    zones = {"ana": "Europe/Madrid", "ben": "Europe/Madrid", "cat": "America/New_York", "dan": "Europe/Madrid"}
    office = {"days": ["Mon-Fri"], "hours": "09:00-17:00", "not_on": "es"}
    rota = Schedule.model_validate(
        {
            "id": "primary",
            "timezone": "Europe/Madrid",
            "layers": [
                {"people": ["ana", "ben", "cat"], "every": "1w", "handoff": "Mon 09:00", "start": "2026-01-05"},
                {"people": ["dan"], "start": "2026-01-05", "restrictions": [office]},
            ],
            "overrides": [
                {"person": "cat", "from": "2026-12-24T18:00", "until": "2026-12-26T09:00"},
                {"person": "ana", "from": "2027-08-01T00:00", "until": "2027-08-15T00:00"},
            ],
        }
    )
    steps = (Step(notify=("schedule:primary",)), Step(notify=("person:ben",)))
    return Book(
        people={name: _person(name, zone) for name, zone in zones.items()},
        schedules={"primary": rota},
        escalation_policies={"p": Policy(id="p", steps=steps)},
        holidays={"es": Calendar(dates={"12-25": "Navidad", "01-06": "Reyes", "08-16": "fiesta"})},
        fallback="person:ana",
        almanac=Almanac(holidays={"es": Holidays(yearly={(12, 25): "Navidad", (1, 6): "Reyes", (8, 16): "fiesta"})}),
    )


def _person(name: str, zone: str) -> Person:
    return Person(id=name, name=name.title(), slack=f"U0{name.upper()}", timezone=zone)


def run(incidents: int) -> str:
    agents = {f"agent-{n}": Agent(id=f"agent-{n}", owner="person:ana", escalation="p") for n in range(AGENTS)}
    world = World(agents, book(), "#pages")
    per_hour = incidents * ALERTS_FOR_AN_INCIDENT / AGENTS / ((END - BEGIN) / timedelta(hours=1))
    firings = list(drawn(agents, per_hour, BEGIN, END, Random(4).random))
    begun = time.perf_counter()
    told = summary(replay(firings, world, Habits(0.9, timedelta(minutes=4), Random(5).random)), world)
    seconds = time.perf_counter() - begun
    rows = (
        f"{told['alerts']:,}",
        f"{told['incidents']:,}",
        f"{told['pages']:,}",
        f"{told['night_pages']:,}",
        f"{seconds:.1f} s",
    )
    columns = ("alerts", "incidents", "pages", "at night", "a year takes")
    return f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|\n| {' | '.join(rows)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="A simulated year of on-call on virtual time.")
    parser.add_argument("--incidents", type=int, default=10_000)
    add_option(parser)
    options = parser.parse_args()
    report = Report("year", 0.3)
    report.give_out(run(options.incidents), options)


if __name__ == "__main__":
    main()
