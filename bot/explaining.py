"""Why somebody is paged, or would be, and why an alert is silent: in words, from what runs now. Implements
ports.Explaining."""

from __future__ import annotations

import json
import re  # noqa: TID251 - fixed pattern, matched against one word
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.agents.model import Agent
from bot.errors import RemoteError, UsageError
from bot.forecast.ladder import ladder
from bot.forecast.question import Question, ask
from bot.incidents.decision import World
from bot.incidents.model import Incident, Severity, State
from bot.oncall.model import Book
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Clock, Explained, Rung, Watcher
from bot.rules.load import with_builtin
from bot.rules.model import Group
from bot.store.database import Database

_INCIDENT = re.compile(r"(?i)inc-\d+|\d+")
_ASK_SECONDS = 1.5
_LISTED = 5
_LEVELS = 6


class Explainer:
    """`groups` are the rules that run, `watcher` knows how they stand."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        world: Callable[[], World],
        groups: Callable[[], Sequence[Group]],
        watcher: Watcher,
        external_url: Callable[[], str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._world = world
        self._groups = groups
        self._watcher = watcher
        self._external_url = external_url

    @property
    def external_url(self) -> str:
        return self._external_url()

    async def explain(self, words: Sequence[str]) -> Explained:
        if not words:
            raise UsageError("say what to explain: an agent, the name of an alert, or an incident such as INC-7")
        name = words[0]
        if _INCIDENT.fullmatch(name):
            incident = await self._store.incident(f"INC-{name.upper().removeprefix('INC-')}")
            if incident is None:
                raise UsageError(f'there is no incident "{name}"; `incidents` lists them')
            return await self._of_incident(incident)
        world = replace(self._world(), silences=tuple(await self._store.silences(self._clock.now())))
        groups = with_builtin(tuple(self._groups()))
        is_rule = any(rule.alert == name for group in groups for rule in group.rules)
        facts = await (self._of_rule(name) if is_rule else self._of_agent(name, world.agents))
        try:
            question = ask(name, words[1] if len(words) > 1 else None, None, world.agents, groups)
        except UsageError as error:
            if not is_rule or len(words) > 1:
                raise
            told = str(error).replace("--agent: ", f"explain {name} …: ")
            return Explained(f"{name}: why, and who would be paged", (*facts, told), ())
        return self._would_page(question, facts, world)

    def _would_page(self, question: Question, facts: Sequence[str], world: World) -> Explained:
        if question.severity is Severity.NONE:
            told = "Its severity is none: it is never shown and wakes nobody."
            return Explained(f"{question.name} wakes nobody", (*facts, told), ())
        found = ladder(question.labels, question.annotations, world, self._clock.now())
        incident = found.incident
        owned = f"Owner {incident.owner}: {incident.owner_why}. Policy {incident.policy_id}."
        hidden = [f"Hidden now: {one.why}" for one in incident.suppressed]
        levels = tuple(
            Rung(level.at, tuple(_reached(level.people, world.book)) or level.paged, _whys(level.people) or level.why)
            for level in found.levels[:_LEVELS]
            if level.people or level.paged
        )
        end = "If nobody answers it goes on until everybody is asked." if levels else "It wakes nobody."
        agent = question.labels.get("agent")
        of = f" of {agent}" if agent and agent != question.name else ""
        title = f"If a {question.severity.value} {question.name}{of} began now"
        if question.name == agent:
            title = f"If a {question.severity.value} alert of {agent} began now"
        return Explained(title, (*facts, owned, *hidden, end), levels)

    async def _of_incident(self, incident: Incident) -> Explained:
        book = self._world().book
        rules = ", ".join(dict.fromkeys(alert.name for alert in incident.alerts))
        facts = [f"{incident.id} is {incident.state.value}, {incident.severity.value}: {incident.title}."]
        facts.append(f"It opened for {rules}. Owner {incident.owner}: {incident.owner_why}.")
        facts.append(f"Policy {incident.policy_id}, as it was when the incident opened.")
        facts += [f"Hidden now: {one.why}" for one in incident.suppressed]
        if incident.acked_by and incident.state is State.ACKED:
            facts.append(f"{_name(incident.acked_by, book)} has it, so nobody else is paged.")
        if incident.state is State.OPEN and not incident.severity.wakes:
            facts.append(f"Severity {incident.severity.value} is shown and wakes nobody.")
        pages = [page for page in await self._store.pages_of(incident.id) if page.kind is PageKind.PAGE]
        told = tuple(_told(page, book) for page in sorted(pages, key=lambda page: page.due_at)[-_LEVELS:])
        return Explained(f"Why {incident.id} pages whom it pages", tuple(facts), told)

    async def _of_agent(self, name: str, agents: Mapping[str, Agent]) -> list[str]:
        if name not in agents:
            return []
        mine = [one for one in await self._store.unresolved() if one.agent == name]
        facts = [f"Open: {', '.join(f'{one.id} ({one.title})' for one in mine[:_LISTED])}."] if mine else []
        answer = await self._asked("alerts")
        if answer is None:
            return [*facts, "Which alerts fire cannot be said: the watcher does not answer."]
        alerts = [one for one in answer.get("alerts", ()) if one.get("labels", {}).get("agent") == name]
        listed = [f"{one['labels'].get('alertname', '')} ({one.get('state', '')})" for one in alerts[:_LISTED]]
        return [*facts, f"Alerts now: {', '.join(listed)}." if listed else "No alert of it fires or is pending now."]

    async def _of_rule(self, name: str) -> list[str]:
        answer = await self._asked("rules", [("rule_name[]", name)])
        if answer is None:
            return ["How its rule stands cannot be said: the watcher does not answer."]
        rules = [rule for group in answer.get("groups", ()) for rule in group.get("rules", ())]
        return [line for rule in rules[:_LISTED] for line in _rule_lines(rule)]

    async def _asked(self, path: str, fields: Sequence[tuple[str, str]] = ()) -> dict[str, Any] | None:
        params = {"path": path, "fields": [list(field) for field in fields], "pack": False}
        try:
            _, body = await self._watcher.ask("api", params, _ASK_SECONDS)
            data = json.loads(body)["data"]
        except (RemoteError, ValueError, KeyError, TypeError):
            return None
        return data if isinstance(data, dict) else None


def _rule_lines(rule: Mapping[str, Any]) -> list[str]:
    """Why it fires or does not: its state, its expression, how its last evaluation went."""
    severity = rule.get("labels", {}).get("severity", "critical")
    if rule.get("health") == "err":
        return [f"The {severity} rule cannot be evaluated: {rule.get('lastError', '')}. It cannot fire until it can."]
    alerts = list(rule.get("alerts", ()))
    query = str(rule.get("query", ""))
    if not alerts:
        return [f"The {severity} rule does not fire: nothing meets {query} now."]
    wait = float(rule.get("duration", 0))
    lines = []
    for alert in alerts[:_LISTED]:
        who = alert.get("labels", {}).get("agent", "no agent")
        value, since = alert.get("value", ""), str(alert.get("activeAt", ""))[:19].replace("T", " ")
        state = "no data any more, held" if alert.get("noData") else str(alert.get("state", ""))
        if state == "pending":
            state = f"pending: it has to hold for {round(wait)} s before it fires"
        lines.append(f"{who}: {state}, since {since} UTC, value {value}.")
    more = [f"+{len(alerts) - _LISTED} more"] if len(alerts) > _LISTED else []
    return [f"The {severity} rule asks {query}", *lines, *more]


def _reached(people: Sequence[Any], book: Book) -> list[str]:
    return [_name(f"person:{one.person}", book) for one in people]


def _whys(people: Sequence[Any]) -> str:
    return "; ".join(dict.fromkeys(one.why for one in people))


def _name(actor: str, book: Book) -> str:
    person = book.people.get(actor.removeprefix("person:"))
    return person.name if person is not None else actor


def _told(page: Page, book: Book) -> Rung:
    """One page of an incident: when, to whom, and why it is not there yet, if it is not."""
    at: datetime = page.sent_at or page.due_at
    who = _name(f"person:{page.person}", book) if page.person else page.channel
    way = "" if page.by_slack else f" by {page.channel.partition(':')[0]}"
    state = {PageState.SENT: "", PageState.CANCELLED: ", taken back", PageState.FAILED: f", failed: {page.error}"}
    left = state.get(page.state, f", {page.state.value}")
    return Rung(at, (f"{who}{way}{left}",), page.reason)
