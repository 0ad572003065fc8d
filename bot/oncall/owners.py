"""Who answers for an alert, which escalation policy applies, and whom a target of a step means at an instant.

Every answer carries its reason in words: "why was I paged?" is asked at night.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.agents.model import Agent
from bot.labels import Labels
from bot.oncall.duty import on_duty
from bot.oncall.model import Book, Policy, Step

_DEFAULT_WAIT = timedelta(minutes=5)


@dataclass(frozen=True)
class Owner:
    """`id` is `team:<id>`, `person:<id>` or `schedule:<id>`; `known` is False when only the fallback was left."""

    id: str
    why: str
    known: bool = True


def owner_of(labels: Labels, agents: Mapping[str, Agent], book: Book) -> Owner:
    """The `owner` label, else the agent's owner, else the fallback."""
    named = labels.get("owner")
    if named and (owner := _resolve(named, book)):
        return Owner(owner, f"label owner={named}")
    agent = agents.get(labels.get("agent", ""))
    if agent is not None and (owner := _resolve(agent.owner, book)):
        return Owner(owner, f"owner of agent {agent.id}")
    missing = f'owner "{named}" is unknown' if named else _why_unowned(labels.get("agent"), agent)
    return Owner(book.fallback, f"{missing}, so the fallback has it", known=False)


def _why_unowned(name: str | None, agent: Agent | None) -> str:
    if agent is not None:
        return f'owner "{agent.owner}" of agent {agent.id} is unknown'
    return f"agent {name} is not registered" if name else "the alert names neither owner nor agent"


def _resolve(name: str, book: Book) -> str | None:
    """A bare id means a team first, then a person."""
    kind, _, rest = name.rpartition(":")
    for prefix, known in (("team", book.teams), ("person", book.people)):
        if kind in {prefix, ""} and rest in known:
            return f"{prefix}:{rest}"
    return None


def policy_of(owner: Owner, labels: Labels, agents: Mapping[str, Agent], book: Book) -> tuple[str, Policy]:
    """The agent's policy, else the owner team's (its `escalation`, else the policy of the same name), else one
    step to the owner."""
    agent = agents.get(labels.get("agent", ""))
    team = owner.id.removeprefix("team:") if owner.id.startswith("team:") else ""
    names = [agent.escalation if agent else None, book.teams[team].escalation if team in book.teams else None, team]
    for name in names:
        if name and name in book.escalation_policies:
            return name, book.escalation_policies[name]
    return "owner", Policy(id="owner", steps=(Step(notify=(owner.id,), wait=_DEFAULT_WAIT),))


@dataclass(frozen=True)
class Reached:
    person: str
    why: str


def people_of(targets: Sequence[str], book: Book, at: datetime) -> tuple[list[Reached], list[str]]:
    """The people behind the targets, each once, and a line for each target behind which nobody stands."""
    found: dict[str, Reached] = {}
    empty: list[str] = []
    for target in targets:
        people, why = _behind(target, book, at)
        reached = [person for person in people if person in book.people]
        if not reached:
            empty.append(f"{target}: {why}")
        for person in reached:
            found.setdefault(person, Reached(person, why))
    return list(found.values()), empty


def _behind(target: str, book: Book, at: datetime) -> tuple[list[str], str]:
    kind, _, name = target.partition(":")
    if kind == "person":
        return ([name], "named in the policy") if name in book.people else ([], "no such person")
    if kind == "team":
        team = book.teams.get(name)
        return (list(team.members), f"member of {name}") if team else ([], "no such team")
    schedule = book.schedules.get(name)
    if schedule is None:
        return [], "no such schedule"
    duty = on_duty(schedule, at)
    return ([duty.person] if duty.person else []), duty.why


def last_resort(fallback: str, book: Book, at: datetime, declined: Collection[str] = ()) -> list[Reached]:
    """The fallback, else the one that the book names now; were even that empty, everybody in the book: no page is
    ever without a person. Those who have just said that they cannot take it come last."""
    for target in (fallback, book.fallback):
        if reached := [one for one in people_of([target], book, at)[0] if one.person not in declined]:
            return reached
    willing = [person for person in book.people if person not in declined]
    return [Reached(person, "nobody else is left") for person in willing or book.people]
