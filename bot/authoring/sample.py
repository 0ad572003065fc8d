"""An incident to show a runbook on: made up from what the runbook applies to, or read from a file."""

from __future__ import annotations

import json
import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from bot.agents.model import Agent
from bot.errors import TemplateError, UsageError
from bot.incidents import grouping
from bot.incidents.decision import World
from bot.incidents.model import Alert, AlertState, Incident
from bot.labels import Matcher, Op, fingerprint, parse_matchers
from bot.oncall.model import Book, Person, Policy, Step, Team
from bot.runbooks.lint import texts_of
from bot.runbooks.model import Runbook
from bot.runbooks.model import Step as RunbookStep
from bot.templating import SOME_KEY, parse

_AGE = timedelta(minutes=6)
_UNTIL_NEXT = timedelta(minutes=4)
_OPEN_END = re.compile(r"\.[*+]")
PERSON = Person(id="sample", name="Sam Sample", slack="U0SAMPLE")
_POLICY = Policy(id="sample", steps=(Step(notify=("person:sample",)),))


def book_of(owner: str) -> Book:
    """One person, who is the owner or all of it."""
    kind, _, name = owner.partition(":")
    people = {"sample": PERSON} | ({name: PERSON.model_copy(update={"id": name})} if kind == "person" else {})
    teams = {name: Team(id=name, members=("sample",))} if kind == "team" else {}
    return Book(people=people, teams=teams, escalation_policies={"sample": _POLICY}, fallback="person:sample")


class _Given(BaseModel):
    """Part of what `agentpager incidents -o json` prints; other keys may be there and are not used."""

    model_config = ConfigDict(extra="ignore")


class _GivenAlert(_Given):
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    value: float | None = None
    starts_at: AwareDatetime | None = None


class GivenIncident(_Given):
    id: str = "INC-1"
    owner: str | None = None
    alerts: Annotated[tuple[_GivenAlert, ...], Field(min_length=1, max_length=1000)]


def read_incident(text: str) -> GivenIncident:
    """One incident, or a list whose first one counts. Raises UsageError."""
    try:
        data = json.loads(text)
        return GivenIncident.model_validate(data[0] if isinstance(data, list) and data else data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the incident"
        hint = "an incident is what `agentpager incidents -o json` prints, and needs alerts with labels"
        raise UsageError(f"{where}: {first['msg']}; {hint}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"this is no JSON: {error}") from None


def incident_for(
    runbook: Runbook, given: GivenIncident | None, now: datetime, labels: Mapping[str, str] | None = None
) -> Incident:
    """As the server would open it, six minutes ago unless the file says when. `labels` are put over those of each
    alert."""
    told = given or GivenIncident(alerts=(_GivenAlert(labels=_labels(runbook), annotations=_annotations(runbook)),))
    alerts = [_alert(one, labels or {}, now) for one in told.alerts]
    name = alerts[0].labels.get("agent", "")
    agents = {name: Agent(id=name, owner=told.owner or runbook.owner or "team:sample", escalation="sample")}
    world = World(agents, book_of(agents[name].owner), "#agent-pages")
    opened = min(alert.starts_at for alert in alerts)
    decisions = grouping.observe("sample;sample", [_waking(alerts[0], name)], (), world, opened, count(1).__next__)
    incident = decisions[0].incident
    shown = {"id": told.id, "alerts": tuple(alerts), "observed_at": now, "next_at": now + _UNTIL_NEXT}
    return incident.model_copy(update=shown)


def agent_of(incident: Incident) -> Agent:
    name = incident.agent or ""
    return Agent(id=name, title=name, owner=incident.owner)


def _waking(alert: Alert, agent: str) -> Alert:
    """An alert of severity `none` opens no incident, and somebody previews its runbook all the same."""
    severity = alert.labels.get("severity", "critical")
    labels = {**alert.labels, "agent": agent, "severity": "info" if severity == "none" else severity}
    return alert.model_copy(update={"labels": labels})


def _alert(given: _GivenAlert, over: Mapping[str, str], now: datetime) -> Alert:
    labels = {**given.labels, **over}
    return Alert(
        fingerprint=fingerprint(labels),
        group="sample;sample",
        state=AlertState.FIRING,
        labels=labels,
        annotations=given.annotations,
        value=given.value if given.value is not None else float("nan"),
        starts_at=min(given.starts_at or now - _AGE, now),
    )


def _labels(runbook: Runbook) -> dict[str, str]:
    """What its templates read, then what its first line of matchers asks for."""
    labels = {"alertname": runbook.id, "severity": "critical", "agent": "sample-agent"}
    labels |= {name: f"sample-{name}" for name in _read(runbook, "labels") if name not in labels}
    for line in runbook.applies_to[:1]:
        try:
            labels |= {matcher.name: value for matcher in parse_matchers(line) if (value := _example(matcher))}
        except ValueError:  # told by lint
            continue
    return labels


def _annotations(runbook: Runbook) -> dict[str, str]:
    return {"summary": runbook.title} | {name: f"sample {name}" for name in _read(runbook, "annotations")}


def _example(matcher: Matcher) -> str:
    """A value that fits, if one is easily found."""
    if matcher.op is Op.EQUAL:
        return matcher.value
    if matcher.op is Op.REGEX:
        tried = _OPEN_END.sub("sample", matcher.value.strip("()^$").split("|")[0])
        return tried if matcher.matches_value(tried) else ""
    return ""


def _read(runbook: Runbook, kind: str) -> Iterator[str]:
    """The labels or annotations of the alert that some template needs."""
    texts = [runbook.summary, runbook.impact, *runbook.severity_hint.values()]
    texts += [text for step in runbook.steps for text in (step.title, step.text, step.query, step.run_on, step.url)]
    texts += [text for step in runbook.steps for text in _texts(step)]
    texts += [text for link in runbook.links for text in (link.title, link.url)]
    for text in texts:
        try:
            paths = parse(text).paths
        except TemplateError:  # told by lint
            continue
        read = (path[2] for path in paths if len(path) == 3 and path[:2] == ("alert", kind))
        yield from (name for name in read if name != SOME_KEY)


def _texts(step: RunbookStep) -> Iterator[str]:
    """What decisions, actions, escalations and hand-offs say."""
    yield step.to
    yield from (step.ask,) if isinstance(step.ask, str) else step.ask
    yield from (choice.label for choice in step.choose)
    for request in (step.call, step.undo):
        if request is not None:
            yield request.path
            yield from (text for _, text in texts_of(request.body, ()))
