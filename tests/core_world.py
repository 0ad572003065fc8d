"""People, rules and alerts for the tests of the pager's core: plain values, no clock, no disk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bot.agents.model import Agent
from bot.incidents import grouping
from bot.incidents.decision import Decision, World
from bot.incidents.model import Alert, AlertState, Incident
from bot.labels import fingerprint
from bot.oncall.model import Book, Person, Policy, Step, Team

NOW = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)
GROUP = "alerts/agents.yaml;agents"
CHANNEL = "#agent-pages"

PEOPLE = {name: Person(id=name, name=name.title(), slack=f"U0{name.upper()}") for name in ("ana", "ben", "cat", "dan")}
# Ana, then Ben and Cat; once more; then Dan for ever.
POLICY = Policy(
    id="payments",
    steps=(
        Step(notify=("person:ana",), wait=timedelta(minutes=5)),
        Step(notify=("person:ben", "person:cat"), wait=timedelta(minutes=10)),
    ),
    repeat=1,
    ack_timeout={"critical": timedelta(hours=1), "warning": timedelta(hours=4)},
    fallback_wait=timedelta(minutes=15),
)
BOOK = Book(
    people=PEOPLE,
    teams={"payments": Team(id="payments", members=("ana", "ben"), channel="#payments-agents")},
    escalation_policies={"payments": POLICY},
    fallback="person:dan",
)
AGENTS = {"refund-agent": Agent(id="refund-agent", owner="team:payments", channel="#refunds")}
WORLD = World(AGENTS, BOOK, CHANNEL)


def after(**span: float) -> datetime:
    return NOW + timedelta(**span)


def alert(name: str = "ErrorsHigh", **changes) -> Alert:
    labels = {"alertname": name, "severity": "critical", "agent": "refund-agent"} | changes.pop("labels", {})
    labels = {key: value for key, value in labels.items() if value}
    fields = {
        "fingerprint": fingerprint(labels),
        "group": GROUP,
        "state": AlertState.FIRING,
        "labels": labels,
        "annotations": {"summary": f"{name} of refund-agent"},
        "value": 0.38,
        "starts_at": NOW,
    }
    return Alert(**fields | changes)


def ended(one: Alert, at: datetime) -> Alert:
    return one.model_copy(update={"state": AlertState.RESOLVED, "ends_at": at})


def no_data(one: Alert) -> Alert:
    return one.model_copy(update={"state": AlertState.NO_DATA})


def numbers(start: int = 1) -> Callable[[], int]:
    following = iter(range(start, 1_000_000))
    return lambda: next(following)


def observe(alerts, incidents=(), now=NOW, *, world=WORLD, group=GROUP, rules=None) -> list[Decision]:
    number = 1 + max((int(incident.id.removeprefix("INC-")) for incident in incidents), default=0)
    return grouping.observe(group, alerts, incidents, world, now, numbers(number), rules)


def opened(*alerts: Alert, now: datetime = NOW, world: World = WORLD) -> Incident:
    """The one incident that these alerts open."""
    (decision,) = observe(alerts or (alert(),), now=now, world=world)
    return decision.incident


def woken(decision: Decision) -> list[str]:
    return [reached.person for reached in decision.wake]
