"""Drills: a page that is marked as one and takes the whole way of a real one, rule, owner, message, ack, first step of
the runbook, to show that the way holds. Pure.

A drill wakes the people of the first level only, unless the whole ladder is asked for. It ends by itself, hides
nothing, is hidden by nothing, and counts in no report. Real alerts of the agent go their own way meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import AwareDatetime

from bot.agents.model import Agent, Stage
from bot.complaints import did_you_mean
from bot.errors import ConflictError, UsageError
from bot.incidents import exercise
from bot.incidents.decision import SYSTEM, Decision, Say, Told, World, book_of
from bot.incidents.escalation import climb, next_rung, spoken
from bot.incidents.exercise import Target
from bot.incidents.model import BY_HAND, Alert, AlertState, Event, Incident, Severity, State, StepMark, ended_by_hand
from bot.incidents.settling import clear
from bot.labels import Labels
from bot.oncall.model import Policy
from bot.oncall.owners import Owner, Reached, owner_of, policy_of, reach
from bot.schema import Model

ALERT, SERIES = "AgentpagerDrill", "agentpager_drill"  # the rule in rules/builtin.yaml, and what it watches
RULE_GROUP = "builtin;builtin"
RUNBOOK = "AgentpagerDrill"  # the one that is always there
FIRES_WITHIN = timedelta(minutes=2)  # a watcher that has just been killed is back by then
ACK_WITHIN = timedelta(minutes=10)
STEP_WITHIN = timedelta(minutes=10)
_HARMLESS = {None, Event.ACKED, Event.RESOLVED, Event.NOTED, Event.STEPPED, Event.REPORTED, Event.CLEARED}
_BEGUN = {"done", "skipped", "failed", "asked", "running"}


class Drill(Model):
    """One that is under way. `incident` is set once its alert has arrived, which it must until `fires_by`."""

    id: str
    agent: str
    asked_by: str
    asked_by_name: str
    at: AwareDatetime
    fires_by: AwareDatetime
    whole_ladder: bool = False
    runbook: str = RUNBOOK
    incident: str | None = None

    @property
    def labels(self) -> Labels:
        """Of its series, and so of its alert."""
        return {"agent": self.agent, "drill": self.id}


class Drills(Model):
    """Those under way, and the number of the last one that was begun."""

    last: int = 0
    running: tuple[Drill, ...] = ()

    def of_agent(self, agent: str) -> Drill | None:
        return next((one for one in self.running if one.agent == agent), None)

    def of_incident(self, incident: str) -> Drill | None:
        return next((one for one in self.running if one.incident == incident), None)

    def named(self, drill: str) -> Drill | None:
        return next((one for one in self.running if one.id == drill), None)

    def changed(self, drill: Drill) -> Drills:
        return self.model_copy(update={"running": tuple(drill if one.id == drill.id else one for one in self.running)})

    def without(self, drill: Drill) -> Drills:
        return self.model_copy(update={"running": tuple(one for one in self.running if one.id != drill.id)})


def begun(
    drills: Drills,
    agent: str,
    actor: str,
    name: str,
    world: World,
    now: datetime,
    *,
    runbook: str = "",
    runbooks: Collection[str] = (),
    whole_ladder: bool = False,
) -> tuple[Drills, Drill]:
    """Raises UsageError when there is no such agent or nobody answers for it, ConflictError when one is under way."""
    known = agent_named(agent, world)
    if (other := drills.of_agent(known.id)) is not None:
        where = f" ({other.incident})" if other.incident else ""
        told = f"{other.id} of {known.id} is under way{where}, asked for by {other.asked_by_name}"
        raise ConflictError(f"{told}; it ends by itself, and then there can be another")
    if runbook and runbook not in {*runbooks, RUNBOOK}:
        raise UsageError(f'there is no runbook "{runbook}"; {did_you_mean(runbook, runbooks)}')
    first_level(known, world, now)
    number = drills.last + 1
    drill = Drill(
        id=f"DRILL-{number}",
        agent=known.id,
        asked_by=actor,
        asked_by_name=name,
        at=now,
        fires_by=now + FIRES_WITHIN,
        whole_ladder=whole_ladder,
        runbook=runbook or RUNBOOK,
    )
    return drills.model_copy(update={"last": number, "running": (*drills.running, drill)}), drill


def agent_named(name: str, world: World) -> Agent:
    wanted = name.strip().removeprefix("agent:")
    if wanted not in world.agents:
        raise UsageError(f'there is no agent "{wanted}"; {did_you_mean(wanted, world.agents)}')
    agent = world.agents[wanted]
    if agent.stage is Stage.RETIRED:
        raise UsageError(f"{agent.id} is retired: nobody is paged for it any more")
    return agent


@dataclass(frozen=True)
class Level:
    """The first level that reaches a person, as a real alert of the agent would meet it now."""

    owner: Owner
    policy_id: str
    policy: Policy
    number: int
    severity: Severity
    people: tuple[Reached, ...]


def first_level(agent: Agent, world: World, now: datetime) -> Level:
    """Raises UsageError when nobody answers for the agent, or nobody is on call for it."""
    labels = {"agent": agent.id}
    owner = owner_of(labels, world.agents, world.book)
    if not owner.known:
        raise UsageError(f"nobody answers for {agent.id}: {owner.why}. Correct its owner in agents/ first")
    policy_id, policy = policy_of(owner, labels, world.agents, world.book)
    severity = Severity.WARNING if agent.stage is Stage.CRAWL else Severity.CRITICAL
    empty: list[str] = []
    for number, step in enumerate(policy.steps):
        found = reach(step, world.book, now, severity)
        if found.people:
            return Level(owner, policy_id, policy, number, severity, found.people)
        empty += found.empty
    why = f" ({'; '.join(empty[:3])})" if empty else ""
    told = f'no level of the policy "{policy_id}" reaches a person for {agent.id} now{why}'
    raise UsageError(f"{told}; put somebody on call, for example by an override, and try again")


def belongs(alert: Alert, group: str) -> bool:
    """Whether an alert is one of drills: only the rule that is always there raises those."""
    return alert.name == ALERT and group == RULE_GROUP


def of_alert(alert: Alert, drills: Drills) -> Drill | None:
    """The drill under way that this alert is of. A series that somebody else writes has other labels."""
    drill = drills.named(alert.labels.get("drill", ""))
    if drill is None or alert.state is not AlertState.FIRING:
        return None
    mine = {name: value for name, value in alert.labels.items() if name not in {"alertname", "severity"}}
    return drill if mine == drill.labels else None


def late(drill: Drill, now: datetime) -> bool:
    """Whether its alert should be there by now. A clock that was set back makes nobody wait longer."""
    return now >= drill.fires_by or now < drill.at - FIRES_WITHIN


def opened(drill: Drill, fired: Alert, number: int, world: World, now: datetime) -> Decision:
    """Its alert has arrived: who answers is paged as for any other. Raises UsageError when that is nobody any more."""
    agent = agent_named(drill.agent, world)
    level = first_level(agent, world, now)
    alert = _as_ours(drill, fired, level.severity)
    step = level.policy.steps[level.number]
    first = Policy(id=level.policy_id, steps=(step.model_copy(update={"wait": ACK_WITHIN}),), repeat=0)
    policy = level.policy.model_copy(update={"repeat": 0}) if drill.whole_ladder else first
    incident = exercise.opened(number, alert, level.owner, level.policy_id, policy, world, now).model_copy(
        update={
            "key": f"drill=agent:{agent.id}",
            "revision": 1,
            "severity": level.severity,
            "agent": agent.id,
            "exercise": "drill",
            "channel": exercise.channel_of(Target("agent", agent.id), level.owner, world),
            "step": level.number if drill.whole_ladder else 0,
            "paged_at": now,
            "next_at": now + (step.wait if drill.whole_ladder else ACK_WITHIN),
            "announced": True,
        }
    )
    why = f"{drill.id}, a drill of {agent.id} asked for by {drill.asked_by_name}; {level.owner.why}"
    return Decision(incident, Event.FIRED, why, drill.asked_by, wake=level.people, say=(Say.CARD, Say.RUNBOOK))


def _as_ours(drill: Drill, fired: Alert, severity: Severity) -> Alert:
    """Nothing hides what is raised by hand, and it hides nothing; that holds for a drill too."""
    labels = {**fired.labels, "severity": severity.value}
    said = {
        **fired.annotations,
        "runbook": drill.runbook,
        "drill": drill.id,
        "asked_by": drill.asked_by,
        "asked_at": drill.at.isoformat(),
    }
    return fired.model_copy(update={"group": BY_HAND, "labels": labels, "annotations": said})


def checked(decision: Decision, before: Incident, woken: Collection[str | None]) -> Decision:
    """Raises ConflictError for what makes no sense in a drill: only whom it wakes can pass it, and nobody else is
    woken by it. The ack of a drill lasts until its first step must be done."""
    if decision.event not in _HARMLESS or decision.wake or decision.channels:
        told = f"{before.id} is a drill: acknowledge it and do the first step of its runbook, or resolve it"
        raise ConflictError(f"{told}; it ends by itself and wakes nobody else")
    showing = decision.event in {Event.ACKED, Event.STEPPED} and before.state is not State.RESOLVED
    if showing and decision.actor != SYSTEM and decision.actor.removeprefix("person:") not in woken:
        people = ", ".join(sorted(filter(None, woken))) or "nobody"
        raise ConflictError(f"{before.id} is a drill of the page to {people}: what somebody else does shows nothing")
    if decision.event is not Event.ACKED or decision.incident.acked_at is None:
        return decision
    until = decision.incident.acked_at + STEP_WITHIN
    held = decision.incident.model_copy(update={"ack_expires_at": until, "next_at": until})
    return replace(decision, incident=held)


def first_step(incident: Incident) -> StepMark | None:
    """The first mark that a person has made on a step of the runbook."""
    marks = [mark for mark in incident.progress if mark.by != SYSTEM and mark.state in _BEGUN]
    return min(marks, key=lambda mark: mark.at, default=None)


def shown(incident: Incident) -> bool:
    """Whether it has gone all the way and is to end now."""
    return incident.exercise == "drill" and incident.state is State.ACKED and first_step(incident) is not None


def next_level(incident: Incident, world: World, now: datetime) -> Decision | None:
    """Where the whole ladder is drilled: its next level. None when there is none, and the drill is over."""
    book = book_of(incident, world)
    rung = next_rung(incident, book, now, present=world.book.people, channel=world.channel)
    if incident.state is not State.OPEN or rung.exhausted or rung.round > incident.round:
        return None
    waited = f"no ack in {spoken(now - (incident.paged_at or incident.opened_at))}"
    return replace(climb(incident, Event.ESCALATED, waited, world, now), channels=())


def over(incident: Incident, result: str, now: datetime) -> Decision:
    """Its end: what it has shown is kept with its alert, told in the thread and to whoever asked for it."""
    ended = ended_by_hand(incident, now, result)
    decision = Decision(ended, None, result) if incident.state is State.RESOLVED else clear(ended, now, result)
    who = incident.acked_by or decision.actor
    return replace(decision, actor=who, tell=told_to(incident, result))


def told_to(incident: Incident, result: str) -> tuple[Told, ...]:
    asker = exercise.asked_by(incident)
    if not asker.startswith("person:"):
        return ()
    return (Told(asker.removeprefix("person:"), f"DRILL of {incident.agent} {result}"),)


def drill_id(incident: Incident) -> str:
    return next((alert.annotations.get("drill", "") for alert in incident.alerts), "")


def asked_at(incident: Incident) -> datetime:
    told = next((alert.annotations.get("asked_at", "") for alert in incident.alerts), "")
    return datetime.fromisoformat(told) if told else incident.opened_at
