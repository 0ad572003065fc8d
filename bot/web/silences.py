"""Silences over HTTP: list, preview, add, expire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from bot.incidents.model import Severity
from bot.incidents.silences import Draft, Silence
from bot.oncall.model import Book
from bot.ports import Actor, Clock, Hidden, Silencing
from bot.settings import ApiScope
from bot.web.operation import Call, Dumped, Operation
from bot.web.request import Instant, Lasting, Nothing, Query, Who, one_of


class Backend(Protocol):
    @property
    def silencing(self) -> Silencing: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def book(self) -> Book: ...


class Wish(Who):
    """What is to be silent. Either `for` or `ends_at` says when it ends."""

    model_config = one_of("for", "ends_at")

    matchers: tuple[str, ...] = Field(min_length=1, examples=[['agent="refund-agent"']])
    reason: str = Field(min_length=1, examples=["a new model"])
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    lasts: Lasting | None = Field(None, alias="for", examples=["2h"])
    max_severity: Severity | None = None
    until_resolved: bool = False

    @model_validator(mode="after")
    def _one_end(self) -> Wish:
        if (self.ends_at is None) == (self.lasts is None):
            raise ValueError('a silence has an end: give "for" (2h) or "ends_at", not both')
        return self

    def draft(self, now: datetime) -> Draft:
        end = self.ends_at or (self.starts_at or now) + (self.lasts or now - now)
        return Draft(self.matchers, end, self.reason, self.starts_at, self.max_severity, self.until_resolved)


class Which(Query):
    state: Literal["open", "all"] = "open"


State = Literal["active", "pending", "expired"]
SilenceJson = Annotated[dict[str, Any], Dumped(Silence, "SilenceJson", state=(State, ...))]
PreviewJson = Annotated[dict[str, Any], Dumped(Silence, "PreviewJson", state=(State, ...), id=(None, ...))]


class HiddenJson(TypedDict):
    incident: str
    alert: str
    severity: Severity


class AddedJson(TypedDict):
    silence: SilenceJson
    hides: list[HiddenJson]
    too_severe: list[HiddenJson]


class PreviewedJson(TypedDict):
    silence: PreviewJson
    hides: list[HiddenJson]
    too_severe: list[HiddenJson]


class EndedJson(TypedDict):
    silence: SilenceJson


def operations(backend: Backend) -> Sequence[Operation]:
    paths = _Paths(backend)
    every, change = "/api/pager/silences", ApiScope.SILENCE
    return [
        Operation("GET", every, paths.all, ApiScope.READ, "Silences that are active or will be."),
        Operation("POST", every, paths.add, change, "Makes a silence.", status=201),
        Operation("POST", f"{every}/preview", paths.preview, ApiScope.READ, "What a silence would hide."),
        Operation("POST", f"{every}/{{id}}/expire", paths.expire, change, "Ends a silence now."),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def all(self, call: Call[Which, None]) -> list[SilenceJson]:
        now = self._backend.clock.now()
        known = await self._backend.silencing.silences(ended=call.query.state == "all")
        return [as_json(one, now) for one in known]

    async def add(self, call: Call[Nothing, Wish]) -> AddedJson:
        actor, draft = self._wish(call)
        made, hidden = await self._backend.silencing.add(actor, draft)
        hides, too_severe = _rows(hidden)
        return {"silence": as_json(made, self._backend.clock.now()), "hides": hides, "too_severe": too_severe}

    async def preview(self, call: Call[Nothing, Wish]) -> PreviewedJson:
        actor, draft = self._wish(call)
        made, hidden = await self._backend.silencing.preview(actor, draft)
        hides, too_severe = _rows(hidden)
        shown = as_json(made, self._backend.clock.now()) | {"id": None}
        return {"silence": shown, "hides": hides, "too_severe": too_severe}

    async def expire(self, call: Call[Nothing, Who]) -> EndedJson:
        actor = call.actor(call.body, self._backend.book)
        ended = await self._backend.silencing.expire(actor, call.of_path("id"))
        return {"silence": as_json(ended, self._backend.clock.now())}

    def _wish(self, call: Call[Nothing, Wish]) -> tuple[Actor, Draft]:
        return call.actor(call.body, self._backend.book), call.body.draft(self._backend.clock.now())


def as_json(silence: Silence, now: datetime) -> dict[str, Any]:
    state = "active" if silence.active(now) else "pending" if silence.pending(now) else "expired"
    return silence.model_dump(mode="json") | {"state": state}


def _rows(hidden: Hidden) -> tuple[list[HiddenJson], list[HiddenJson]]:
    """What is hidden, and what is too severe for that."""
    hides: list[HiddenJson] = [_row(incident.id, alert.name, alert.severity) for incident, alert in hidden.alerts]
    return hides, [_row(incident.id, alert.name, alert.severity) for incident, alert in hidden.too_severe]


def _row(incident: str, alert: str, severity: Severity) -> HiddenJson:
    return {"incident": incident, "alert": alert, "severity": severity}
