"""Incidents and duty over HTTP: what there is, and what people do about it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from bot.incidents.exercise import result_of
from bot.incidents.model import Alert, AlertState, Incident, Severity, State, Suppression
from bot.incidents.people import short
from bot.ports import Actor, AgentStatus, Clock, Commands, Outcome
from bot.records.accounts import VitalsJson, vitals_json
from bot.records.timeline import Promised, promised
from bot.settings import ApiScope
from bot.web.operation import Call, Operation
from bot.web.request import BadRequestError, Instant, InstantText, Nothing, Query, Who, one_of
from bot.web.steps import MarkJson, marks_json


class Backend(Protocol):
    @property
    def commands(self) -> Commands: ...

    @property
    def clock(self) -> Clock: ...


class Which(Query):
    state: Literal["open", "all"] = "open"


class At(Query):
    at: Instant | None = None


class Snooze(Who):
    """Either `until`, such as `09:00`, or `for`, such as `2h`."""

    model_config = one_of("until", "for")

    until: str | None = Field(None, min_length=1, examples=["09:00"])
    lasts: str | None = Field(None, min_length=1, alias="for", examples=["2h"])

    @model_validator(mode="after")
    def _one_end(self) -> Snooze:
        if (self.until is None) == (self.lasts is None):
            raise ValueError('give "until" or "for"' + (", not both" if self.until is not None else ""))
        return self


class Hand(Who):
    to: str = Field(min_length=1, description="Who has it from now on: id or name of a person.")


class Note(Who):
    text: str = Field(min_length=1)


class Mark(Who):
    """Was it right to wake somebody?"""

    mark: Literal["right", "noise"]


class AlertJson(TypedDict):
    name: str
    state: AlertState
    severity: Severity
    labels: dict[str, str]
    value: float | None
    starts_at: InstantText
    suppressed: tuple[Suppression, ...]


class IncidentJson(TypedDict):
    id: str
    state: State
    severity: Severity
    agent: str | None
    title: str
    owner: str
    opened_at: InstantText
    acked_by: str | None
    acked_at: InstantText | None
    resolved_at: InstantText | None
    level: int
    round: int
    sla: list[Promised]
    notes: int
    mark: str | None
    progress: list[MarkJson]
    next_at: InstantText | None
    suppressed: tuple[Suppression, ...]
    flapping: bool
    exercise: str | None
    result: str | None
    alerts: list[AlertJson]


class OutcomeJson(TypedDict):
    message: str
    incident: IncidentJson | None


class DutyJson(TypedDict):
    schedule: str
    people: list[str]
    until: InstantText | None


class RosterJson(TypedDict):
    at: InstantText
    schedules: list[DutyJson]


class _Status(TypedDict):
    agent: str
    title: str
    health: Literal["ok", "firing", "acked", "no_data", "hidden"]
    owner: str
    oncall: tuple[str, ...]
    incidents: tuple[str, ...]


class StatusJson(_Status, total=False):
    vitals: VitalsJson


def operations(backend: Backend) -> Sequence[Operation]:
    paths = _Paths(backend)
    one = "/api/pager/incidents/{id}"
    act = ApiScope.ACT
    return [
        Operation("GET", "/api/pager/incidents", paths.incidents, ApiScope.READ, "Incidents that are not resolved."),
        Operation("GET", one, paths.incident, ApiScope.READ, "One incident."),
        Operation("POST", f"{one}/ack", paths.ack, act, "Takes an incident: its escalation stops."),
        Operation("POST", f"{one}/take", paths.take, act, "Takes an incident over from whoever has it."),
        Operation("POST", f"{one}/decline", paths.decline, act, "Says no: the next level is paged now."),
        Operation("POST", f"{one}/escalate", paths.escalate, act, "Pages the next level now."),
        Operation("POST", f"{one}/release", paths.release, act, "Gives an incident back: it pages again."),
        Operation("POST", f"{one}/resolve", paths.resolve, act, "Closes an incident."),
        Operation("POST", f"{one}/snooze", paths.snooze, act, "Has an incident and hears nothing until a time."),
        Operation("POST", f"{one}/hand", paths.hand, act, "Gives an incident to somebody, who is paged now."),
        Operation("POST", f"{one}/note", paths.note, act, "Writes something down about an incident."),
        Operation("POST", f"{one}/mark", paths.mark, act, "Says whether it was right to wake somebody."),
        Operation("GET", "/api/pager/oncall", paths.oncall, ApiScope.READ, "Who is on duty, and until when."),
        Operation("GET", "/api/pager/status", paths.status, ApiScope.READ, "How each agent is doing."),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def incidents(self, call: Call[Which, None]) -> list[IncidentJson]:
        found = await self._backend.commands.incidents(only_open=call.query.state == "open")
        now = self._backend.clock.now()
        return [incident_json(incident, now) for incident in found]

    async def incident(self, call: Call[Nothing, None]) -> IncidentJson:
        incident = await self._backend.commands.incident(call.of_path("id"))
        return incident_json(incident, self._backend.clock.now())

    async def ack(self, call: Call[Nothing, Who]) -> OutcomeJson:
        return await self._act(call, self._backend.commands.ack)

    async def take(self, call: Call[Nothing, Who]) -> OutcomeJson:
        return await self._act(call, self._backend.commands.take)

    async def decline(self, call: Call[Nothing, Who]) -> OutcomeJson:
        return await self._act(call, self._backend.commands.decline)

    async def escalate(self, call: Call[Nothing, Who]) -> OutcomeJson:
        return await self._act(call, self._backend.commands.escalate)

    async def release(self, call: Call[Nothing, Who]) -> OutcomeJson:
        return await self._act(call, self._backend.commands.release)

    async def resolve(self, call: Call[Nothing, Who]) -> OutcomeJson:
        return await self._act(call, self._backend.commands.resolve)

    async def snooze(self, call: Call[Nothing, Snooze]) -> OutcomeJson:
        until = call.body.until or call.body.lasts or ""
        return await self._act(call, lambda actor, which: self._backend.commands.snooze(actor, which, until))

    async def hand(self, call: Call[Nothing, Hand]) -> OutcomeJson:
        return await self._act(call, lambda actor, which: self._backend.commands.hand(actor, which, call.body.to))

    async def note(self, call: Call[Nothing, Note]) -> OutcomeJson:
        return await self._act(call, lambda actor, which: self._backend.commands.note(actor, which, call.body.text))

    async def mark(self, call: Call[Nothing, Mark]) -> OutcomeJson:
        return await self._act(call, lambda actor, which: self._backend.commands.mark(actor, which, call.body.mark))

    async def _act(self, call: Call[Nothing, Who], say: Callable[[Actor, str], Awaitable[Outcome]]) -> OutcomeJson:
        actor = call.actor(call.body, self._backend.commands.book)
        outcome = await say(actor, call.of_path("id"))
        now = self._backend.clock.now()
        incident = incident_json(outcome.incident, now) if outcome.incident else None
        return {"message": outcome.message, "incident": incident}

    async def oncall(self, call: Call[At, None]) -> RosterJson:
        try:
            told: RosterJson = self._backend.commands.oncall(call.query.at)  # type: ignore[assignment]
            return told
        except OverflowError:
            raise BadRequestError(400, "at: that instant is outside the calendar") from None

    async def status(self, _call: Call[Nothing, None]) -> list[StatusJson]:
        return [_status(row) for row in await self._backend.commands.status()]


def _status(row: AgentStatus) -> StatusJson:
    """With how it is doing, where that is known."""
    told: StatusJson = {
        "agent": row.agent,
        "title": row.title,
        "health": row.health,  # type: ignore[typeddict-item]
        "owner": row.owner,
        "oncall": row.oncall,
        "incidents": row.incidents,
    }
    return told if row.vitals is None else {**told, "vitals": vitals_json(row.vitals)}


def incident_json(incident: Incident, now: datetime) -> IncidentJson:
    return {
        "id": incident.id,
        "state": incident.state,
        "severity": incident.severity,
        "agent": incident.agent,
        "title": incident.title,
        "owner": incident.owner,
        "opened_at": incident.opened_at.isoformat(),
        "acked_by": short(incident.acked_by) if incident.acked_by else None,
        "acked_at": incident.acked_at.isoformat() if incident.acked_at else None,
        "resolved_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
        "level": incident.step + 1,
        "round": incident.round + 1,
        "sla": promised(incident, now),
        "notes": len(incident.notes),
        "mark": incident.mark or None,
        "progress": marks_json(incident),
        "next_at": incident.next_at.isoformat() if incident.next_at else None,
        "suppressed": incident.suppressed,
        "flapping": incident.flapping,
        "exercise": incident.exercise or None,
        "result": result_of(incident) or None,
        "alerts": [_alert(alert) for alert in incident.alerts],
    }


def _alert(alert: Alert) -> AlertJson:
    return {
        "name": alert.name,
        "state": alert.state,
        "severity": alert.severity,
        "labels": alert.labels,
        "value": alert.value if math.isfinite(alert.value) else None,  # JSON knows no NaN and no Inf
        "starts_at": alert.starts_at.isoformat(),
        "suppressed": alert.suppressed,
    }
