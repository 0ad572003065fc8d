"""Incidents that people open by hand: a page that asks for somebody, and a test of somebody's page. Pure.

A test takes the true way, row, message, ack, and no other: it wakes nobody but whom it tests, ends by itself when it is
acknowledged or when its time is over, and counts in no report.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.complaints import did_you_mean
from bot.errors import ConflictError, UsageError
from bot.incidents.decision import Decision, Told, World
from bot.incidents.escalation import climb
from bot.incidents.model import (
    BY_HAND,
    Alert,
    AlertState,
    Event,
    Incident,
    Severity,
    State,
    ended_by_hand,
    next_state,
)
from bot.incidents.people import person_named
from bot.incidents.settling import clear
from bot.labels import fingerprint
from bot.oncall.model import Policy, Step
from bot.oncall.owners import Owner, Reached, owner_of, policy_of, reach

TEST_LASTS = timedelta(minutes=10)  # longer than anybody needs who waits for it, and the phone is silent by then
MANUAL, TEST = "ManualPage", "TestPage"
LONGEST_WHY = 500
_TITLE = 120
# What may happen to a test: everything else would wake somebody for nothing.
_HARMLESS = {Event.ACKED, Event.RESOLVED, Event.NOTED, Event.CLEARED}


@dataclass(frozen=True)
class Target:
    """Whom somebody means: `kind` is agent, team or person."""

    kind: str
    id: str

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.id}"


def target_of(text: str, world: World) -> Target:
    """What people write: an agent, a team or a person, with or without saying which; a name or a mention of a person.
    Raises UsageError with the nearest, or when a word means several things."""
    kind, colon, name = text.strip().partition(":")
    known = {"agent": world.agents, "team": world.book.teams, "person": world.book.people}
    if colon and kind in known:
        if name not in known[kind]:
            raise UsageError(f'there is no {kind} "{name}"; {did_you_mean(name, known[kind])}')
        return Target(kind, name)
    wanted = text.strip()
    if wanted.startswith(("@", "<@")):
        return Target("person", person_named(wanted, world.book))
    found = [Target(one, wanted) for one, names in known.items() if wanted in names]
    if len(found) > 1:
        raise UsageError(f'"{wanted}" is several things; write {" or ".join(one.name for one in found)}')
    if found:
        return found[0]
    try:
        return Target("person", person_named(wanted, world.book))
    except UsageError:
        names = {*world.agents, *world.book.teams, *world.book.people}
        hint = did_you_mean(wanted, names)
        raise UsageError(f'there is no agent, team or person "{wanted}"; {hint}') from None


def manual(target: Target, why: str, actor: str, name: str, number: int, world: World, now: datetime) -> Decision:
    """Pages whoever answers for the target, by its own policy, until somebody has it. `name` is the actor's, for
    people to read."""
    told = " ".join(why.split())
    if len(told) > LONGEST_WHY:
        raise UsageError(f"the reason has {len(told)} characters, {LONGEST_WHY} at most")
    owner = _owner(target, name, world)
    labels = {"agent": target.id} if target.kind == "agent" else {}
    policy_id, policy = policy_of(owner, labels, world.agents, world.book)
    title = told or f"{name} asks for you"
    impact = f"{name} pages by hand" + (f": {told}" if len(title) > _TITLE else "")
    said = {"summary": title, "impact": impact, "now": f"asked by {name}"}
    alert = _alert(MANUAL, number, labels | {"owner": owner.id}, said, now)
    fresh = opened(number, alert, owner, policy_id, policy, world, now)
    incident = fresh.model_copy(
        update={"title": _cut(title), "agent": labels.get("agent"), "channel": channel_of(target, owner, world)}
    )
    return climb(incident, Event.FIRED, f"paged by hand by {name}" + (f": {told}" if told else ""), world, now, actor)


def test(target: Target, actor: str, name: str, number: int, world: World, now: datetime) -> Decision:
    """Pages one person, or whoever the first level of a team or agent reaches now. Raises UsageError when that is
    nobody."""
    people = _tested(target, world, now)
    who = tuple(replace(one, why=f"a test asked for by {name}") for one in people)
    targets = tuple(f"person:{one.person}" for one in people)
    policy = Policy(id="test", steps=(Step(notify=targets, wait=TEST_LASTS),), repeat=0)
    owner = Owner(targets[0], f"a test asked for by {name}")
    said = {"summary": "Test page: nothing is wrong", "asked_by": actor}
    alert = _alert(TEST, number, {"owner": owner.id}, said, now)
    incident = opened(number, alert, owner, "test", policy, world, now).model_copy(
        update={
            "key": test_key(target),
            "revision": 1,
            "exercise": "test",
            "step": 0,
            "paged_at": now,
            "next_at": now + TEST_LASTS,
            "announced": True,
        }
    )
    return Decision(incident, Event.FIRED, f"a test of {target.name}, asked for by {name}", actor, wake=who)


def test_key(target: Target) -> str:
    """There is one test of the same people at a time."""
    return f"test={target.name}"


def checked(decision: Decision, before: Incident, tested: Collection[str | None]) -> Decision:
    """Raises ConflictError for what makes no sense in a test: only whom it tests can pass it, and nobody else is
    woken. `tested` are the people it pages."""
    if before.exercise != "test":
        return decision
    if decision.event not in _HARMLESS:
        raise ConflictError(f"{before.id} is a test: acknowledge it, or leave it; it ends by itself and wakes nobody")
    if decision.event is Event.ACKED and decision.actor.removeprefix("person:") not in tested:
        people = ", ".join(sorted(filter(None, tested))) or "nobody"
        raise ConflictError(f"{before.id} is a test of the page to {people}: an ack by somebody else proves nothing")
    return decision


def answered(decision: Decision) -> bool:
    """Whether a test has just been acknowledged: then it is over."""
    return decision.incident.exercise == "test" and decision.event is Event.ACKED


def over(incident: Incident, result: str, now: datetime) -> Decision:
    """The end of a test, answered or not; what it has shown is kept with its alert, and told to whoever asked for it.
    Nobody else is woken."""
    decision = clear(ended_by_hand(incident, now, result), now, result)
    asker = asked_by(incident)
    tell: tuple[Told, ...] = ()
    if asker.startswith("person:") and asker not in incident.policy.steps[0].notify:
        tell = (Told(asker.removeprefix("person:"), f"Your test {incident.id} {result}"),)
    return replace(decision, actor=incident.acked_by or decision.actor, say=(), tell=tell)


def result_of(incident: Incident) -> str:
    """What a test has shown; empty while it is under way."""
    return next((alert.annotations["result"] for alert in incident.alerts if "result" in alert.annotations), "")


def asked_by(incident: Incident) -> str:
    """The actor who asked for the test."""
    return next((alert.annotations.get("asked_by", "") for alert in incident.alerts), "")


def _owner(target: Target, name: str, world: World) -> Owner:
    if target.kind == "agent":
        found = owner_of({"agent": target.id}, world.agents, world.book)
        return replace(found, why=f"{found.why}; paged by hand by {name}")
    return Owner(target.name, f"paged by hand by {name}")


def channel_of(target: Target, owner: Owner, world: World) -> str:
    agent = world.agents.get(target.id) if target.kind == "agent" else None
    team = world.book.teams.get(owner.id.removeprefix("team:")) if owner.id.startswith("team:") else None
    return (agent and agent.channel) or (team and team.channel) or world.channel


def _tested(target: Target, world: World, now: datetime) -> tuple[Reached, ...]:
    """The people of the first level that reaches anybody."""
    if target.kind == "person":
        return (Reached(target.id, "a test"),)
    owner = _owner(target, "a test", world)
    labels = {"agent": target.id} if target.kind == "agent" else {}
    _, policy = policy_of(owner, labels, world.agents, world.book)
    for step in policy.steps:
        if people := reach(step, world.book, now, Severity.CRITICAL).people:
            return people
    raise UsageError(f"no level of {target.name} reaches a person now; `explain` says why")


def _alert(name: str, number: int, labels: dict[str, str], said: dict[str, str], now: datetime) -> Alert:
    named = {"alertname": name, "severity": Severity.CRITICAL.value, **labels}
    return Alert(
        fingerprint=fingerprint(named | {"number": str(number)}),
        group=BY_HAND,
        state=AlertState.FIRING,
        labels=named,
        annotations=said,
        value=1.0,
        starts_at=now,
    )


def opened(
    number: int, alert: Alert, owner: Owner, policy_id: str, policy: Policy, world: World, now: datetime
) -> Incident:
    return Incident(
        id=f"INC-{number}",
        key=f"by_hand={number}",
        revision=0,
        state=next_state(State.OPEN, Event.FIRED),
        severity=Severity.CRITICAL,
        agent=None,
        title=alert.annotations["summary"],
        owner=owner.id,
        owner_why=owner.why,
        channel=world.channel,
        policy=policy,
        policy_id=policy_id,
        fallback=world.book.fallback,
        book_id=world.book_id,
        opened_at=now,
        observed_at=now,
        announced=False,
        alerts=(alert,),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _TITLE else text[: _TITLE - 1] + "…"
