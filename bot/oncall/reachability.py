"""Whether a page to somebody would arrive: what Slack says of the account, what the book says of other ways to them,
and how soon it may be their turn. Pure: slack/directory.py asks, upkeep.py raises the alerts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.agents.model import Agent
from bot.oncall.duty import shifts
from bot.oncall.model import Book, Person
from bot.oncall.owners import Owner, every_way, owner_of, people_of, policy_of, reach

SOON = timedelta(hours=24)


@dataclass(frozen=True)
class Account:
    """What Slack says of a member id. `foreign` names the workspace it belongs to, where that is not ours."""

    slack: str
    found: bool = True
    active: bool = True
    human: bool = True
    guest: bool = False
    foreign: str = ""
    email: str = ""


@dataclass(frozen=True)
class Trouble:
    """`grave`: no page in Slack reaches them, or none of their clicks counts. `hint` is the way out."""

    text: str
    hint: str
    grave: bool


def trouble(account: Account) -> Trouble | None:
    """The worst that keeps a page or its answer from arriving."""
    slack = account.slack
    if not account.found:
        hint = "in Slack: profile › ⋮ › Copy member ID, and write it as slack: under people"
        return Trouble(f"there is no Slack user {slack}", hint, True)
    if not account.active:
        return Trouble(f"{slack} is deactivated", "take them out of the schedules, or reactivate", True)
    if not account.human:
        return Trouble(f"{slack} is a bot", "name a human", True)
    if account.foreign:
        return Trouble(f"{slack} belongs to another workspace ({account.foreign})", "their clicks are refused", True)
    if account.guest:
        hint = "make them a full member of the workspace, or name somebody else"
        return Trouble(f"{slack} is a guest, whose clicks are refused", hint, True)
    return None


def another_address(person: Person, account: Account) -> Trouble | None:
    """No hindrance to a page; but it may be somebody else's account."""
    slack = account.slack
    if person.email and account.email and account.email.lower() != person.email.lower():
        return Trouble(f"{slack} has the address {account.email}, not {person.email}", "is it the same one?", False)
    return None


def no_second_way(person: Person, second_channels: bool) -> Trouble | None:
    """Asked for only where there are second channels at all."""
    ways = [rule.by for rules in person.notification_rules.values() for rule in rules]
    if not second_channels or any(by != "slack" and (by != "email" or person.email) for by in ways):
        return None
    hint = "give them an email, a phone or contacts under people, for the hour in which Slack is down"
    return Trouble("there is no way to them besides Slack", hint, False)


def first_turns(agents: Mapping[str, Agent], book: Book, start: datetime, end: datetime) -> dict[str, datetime]:
    """Everybody who may be paged from `start` to `end` → from when on. Who stands on a path at any time has `start`;
    who has a turn in a schedule, its beginning."""
    found: dict[str, datetime] = {}
    for person, since in _turns(agents, book, start, end):
        if person in book.people and (person not in found or since < found[person]):
            found[person] = since
    return found


def _turns(agents: Mapping[str, Agent], book: Book, start: datetime, end: datetime) -> Iterator[tuple[str, datetime]]:
    targets = [book.fallback]
    for policy in book.escalation_policies.values():
        targets += [target for step in policy.steps for target in step.notify]
    targets += [owner_of(labels, agents, book).id for labels in every_way(agents, book)]
    targets += [f"team:{team}" for team in book.teams]
    for target in dict.fromkeys(targets):
        kind, _, name = target.partition(":")
        if kind == "person":
            yield name, start
        elif kind == "team" and name in book.teams:
            yield from ((member, start) for member in book.teams[name].members)
    for schedule in book.schedules.values():
        for shift in shifts(schedule, start, end, book.almanac):
            yield from ((person, shift.start) for person in shift.people)


def is_urgent(person: str, first_turn: datetime, book: Book, now: datetime) -> bool:
    """On a path within a day, or behind the fallback: a page may be lost on them before anybody has mended it."""
    behind = [one.person for one in people_of([book.fallback], book, now)[0]]
    return first_turn - now < SOON or person in behind


def who_mends(person: str, agents: Mapping[str, Agent], book: Book, unreachable: Collection[str], now: datetime) -> str:
    """Who is told: the person's team where its ladder reaches somebody else first, else the fallback, else anybody
    who can be reached. Never the person."""
    candidates = [f"team:{team.id}" for team in book.teams.values() if person in team.members]
    for owner in (*candidates, book.fallback):
        if _reaches_others(owner, agents, book, {person, *unreachable}, now):
            return owner
    others = [other for other in book.people if other not in unreachable and other != person]
    return f"person:{others[0]}" if others else book.fallback


def _reaches_others(
    owner: str, agents: Mapping[str, Agent], book: Book, unreachable: Collection[str], now: datetime
) -> bool:
    """Whether the first level with somebody on it has somebody who can be reached."""
    _, policy = policy_of(Owner(owner, ""), {}, agents, book)
    for step in policy.steps:
        if people := reach(step, book, now, "critical").people:
            return any(one.person not in unreachable for one in people)
    return False
