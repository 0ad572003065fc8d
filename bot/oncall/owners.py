"""Who answers for an alert, which escalation policy applies, and whom a target of a step means at an instant.

Every answer carries its reason in words: "why was I paged?" is asked at night.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.agents.model import Agent, Dataset, Stage, Tool
from bot.labels import Labels, Op, matches_all, parse_matchers
from bot.oncall.duty import at_duty
from bot.oncall.model import Book, Condition, Policy, Step
from bot.oncall.windows import within

_DEFAULT_WAIT = timedelta(minutes=5)


@dataclass(frozen=True)
class Owner:
    """`id` is `team:<id>`, `person:<id>` or `schedule:<id>`; `known` is False when only the fallback was left.

    `accountable` is the owner of the agent where an alert is routed to somebody else: asked when those do not answer.
    """

    id: str
    why: str
    known: bool = True
    routed: bool = False
    accountable: str = ""


OF_AGENT, OF_TOOL, OF_DATA = "owner", "tool-owner", "data-owner"
BUILTIN_ROUTES = (OF_AGENT, OF_TOOL, OF_DATA)


def owner_of(labels: Labels, agents: Mapping[str, Agent], book: Book) -> Owner:
    """The `owner` label, else whom the `route` label means, else the agent's owner, else the first entry of `routing`
    whose matchers hold, else the fallback."""
    named = labels.get("owner")
    if named and (owner := _resolve(named, book)):
        return Owner(owner, f"label owner={named}")
    unknown = f'owner "{named}" is unknown' if named else ""
    agent = agents.get(labels.get("agent", ""))
    mine = _resolve(agent.owner, book) if agent is not None else None
    routed, why = _routed(labels, agent, book)
    if routed:
        return Owner(routed, why, routed=True, accountable=mine or "")
    if agent is not None and mine:
        lost = f"{unknown}; " if unknown else ""
        return Owner(mine, f"{lost}{why}owner of agent {agent.id}")
    if (entry := _matching(labels, book)) is not None:
        found, by = entry
        lost = f"{unknown}; " if unknown else ""
        return Owner(found, f"{lost}{why}{by}")
    missing = unknown or why.removesuffix("; ") or _unowned(labels.get("agent"), agent)
    return Owner(book.fallback, f"{missing}, so the fallback has it", known=False)


def _matching(labels: Labels, book: Book) -> tuple[str, str] | None:
    """Whom the first entry of `routing` means that matches and leads to somebody, and its matchers in words."""
    for entry in book.routing:
        matchers = [matcher for text in entry.matchers for matcher in parse_matchers(text)]
        if matches_all(matchers, labels) and (found := _resolve(entry.owner, book)):
            return found, f"routing {' '.join(entry.matchers) or 'of everything else'}"
    return None


def every_way(agents: Mapping[str, Agent], book: Book) -> Iterator[Labels]:
    """One alert for each way that alerts may take: of each agent, of what it uses that others answer for, and of each
    route for alerts without an agent. Retired agents have none."""
    for agent in agents.values():
        if agent.stage is Stage.RETIRED:
            continue
        yield {"agent": agent.id}
        for tool, one in agent.tools.items():
            if one.owner is not None:
                yield {"agent": agent.id, "route": OF_TOOL, "tool": tool}
        for dataset, other in agent.datasets.items():
            if other.owner is not None:
                yield {"agent": agent.id, "route": OF_DATA, "dataset": dataset}
    yield from ({"route": route} for route in book.routes)
    for entry in book.routing:
        matchers = [matcher for text in entry.matchers for matcher in parse_matchers(text)]
        if all(matcher.op is Op.EQUAL for matcher in matchers):
            yield {matcher.name: matcher.value for matcher in matchers}


def _routed(labels: Labels, agent: Agent | None, book: Book) -> tuple[str | None, str]:
    """Whom the `route` label means, and why; where that is nobody, why not."""
    route = labels.get("route", OF_AGENT)
    if route in {"", OF_AGENT}:
        return None, ""
    if route == OF_TOOL:
        return _part_owner("tool", _tool_of(labels, agent), agent, book)
    if route == OF_DATA:
        return _part_owner("dataset", labels.get("dataset", ""), agent, book)
    if route not in book.routes:
        return None, f'route "{route}" is not in oncall/; '
    found = _resolve(book.routes[route], book)
    return (found, f"route {route}") if found else (None, f'route "{route}" leads to nobody known; ')


def _tool_of(labels: Labels, agent: Agent | None) -> str:
    """The tool that the alert names, else the first one that uses the credential it names and has an owner."""
    if labels.get("tool") or agent is None:
        return labels.get("tool", "")
    credential = labels.get("credential")
    using = [name for name, tool in agent.tools.items() if credential and tool.credential == credential]
    return next((name for name in using if agent.tools[name].owner), using[0] if using else "")


def _part_owner(kind: str, name: str, agent: Agent | None, book: Book) -> tuple[str | None, str]:
    if agent is None or not name:
        return None, ""
    parts: Mapping[str, Tool | Dataset] = agent.tools if kind == "tool" else agent.datasets
    owner = parts[name].owner if name in parts else None
    if found := _resolve(owner, book) if owner else None:
        return found, f"owner of {kind} {name} of {agent.id}"
    return None, f"{kind} {name} has no owner in agents/; "


def _unowned(name: str | None, agent: Agent | None) -> str:
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
    step to the owner. An alert that is routed to somebody else follows their policy, and after it the agent's owner is
    woken too, who stays accountable."""
    agent = agents.get(labels.get("agent", "")) if not owner.routed else None
    name, policy = _policy_of(owner, agent, book)
    if owner.accountable and owner.accountable != owner.id:
        accountable = Step(notify=(owner.accountable,), wait=_DEFAULT_WAIT)
        policy = policy.model_copy(update={"steps": (*policy.steps, accountable)})
    return name, policy


def _policy_of(owner: Owner, agent: Agent | None, book: Book) -> tuple[str, Policy]:
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


@dataclass(frozen=True)
class Reach:
    """Who and which channels a step reaches; `empty` says of each target behind which nobody stands why."""

    people: tuple[Reached, ...]
    channels: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


def reach(step: Step, book: Book, at: datetime, severity: str) -> Reach:
    """Everybody behind the step's targets whom its condition lets through."""
    if step.when is not None and step.when.severity and severity not in step.when.severity:
        return Reach((), (), (f"only for {' and '.join(step.when.severity)}",))
    channels = tuple(t.removeprefix("channel:") for t in step.notify if t.startswith(("channel:", "webhook:")))
    targets = [target for target in step.notify if not target.startswith(("channel:", "webhook:"))]
    if step.when is None or not (step.when.during or step.when.outside):
        people, empty = people_of(targets, book, at)
        return Reach(tuple(people), channels, tuple(empty))
    return _reach_in_hours(step.when, targets, channels, book, at)


def _reach_in_hours(
    when: Condition, targets: Sequence[str], channels: tuple[str, ...], book: Book, at: datetime
) -> Reach:
    """Each target in its own hours: of a schedule, of each person; of a channel in UTC unless a zone is named."""
    found: dict[str, Reached] = {}
    empty: list[str] = []
    for target in targets:
        people, lines = people_of([target], book, at)
        zones = {one.person: zone_of(when, target, one.person, book) for one in people}
        let_through = [one for one in people if is_open(when, zones[one.person], at, book)]
        if people and not let_through:
            lines = [f"{target}: {closed_words(when)} ({', '.join(sorted(set(zones.values())))})"]
        empty += lines if not let_through else []
        for one in let_through:
            found.setdefault(one.person, one)
    open_channels = channels if is_open(when, zone_of(when, "channel:", "", book), at, book) else ()
    closed = [name if name.startswith("webhook:") else f"channel:{name}" for name in channels if not open_channels]
    empty += [f"{name}: {closed_words(when)}" for name in closed]
    return Reach(tuple(found.values()), open_channels, tuple(empty))


def zone_of(when: Condition, target: str, person: str, book: Book) -> str:
    """The zone in which the condition's hours are meant for this person behind this target."""
    if when.timezone not in {None, "person"}:
        return str(when.timezone)
    schedule = book.schedules.get(target.removeprefix("schedule:")) if target.startswith("schedule:") else None
    if schedule is not None and when.timezone is None:
        return schedule.timezone
    return book.people[person].timezone if person in book.people else "UTC"


def is_open(when: Condition, zone: str, at: datetime, book: Book) -> bool:
    known = ZoneInfo(zone)
    closed = bool(when.outside) and within(when.outside, known, at, book.almanac)
    return within(when.during, known, at, book.almanac) and not closed


def closed_words(when: Condition) -> str:
    parts = [f"only during {' or '.join(map(str, when.during))}"] if when.during else []
    parts += [f"only outside {' or '.join(map(str, when.outside))}"] if when.outside else []
    return " and ".join(parts)


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
    people, why = at_duty(schedule, at, book.almanac)
    return list(people), why


def last_resort(fallback: str, book: Book, at: datetime, declined: Collection[str] = ()) -> list[Reached]:
    """The fallback, else the one that the book names now; were even that empty, everybody in the book: no page is
    ever without a person. Those who have just said that they cannot take it come last."""
    for target in (fallback, book.fallback):
        if reached := [one for one in people_of([target], book, at)[0] if one.person not in declined]:
            return reached
    willing = [person for person in book.people if person not in declined]
    return [Reached(person, "nobody else is left") for person in willing or book.people]
