"""Silences over HTTP: list, preview, add, expire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import AwareDatetime, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.incidents.model import Severity
from bot.incidents.silences import Draft, Silence
from bot.oncall.model import Book
from bot.ports import Actor, Clock, Hidden, Silencing
from bot.schema import Model, Positive
from bot.settings import Http
from bot.web.request import BadRequestError, actor_of, guarded, json_of


class Backend(Protocol):
    @property
    def silencing(self) -> Silencing: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def book(self) -> Book: ...


class Wish(Model):
    """The body of a request. Either `for` or `ends_at` says when it ends."""

    matchers: tuple[str, ...] = Field(min_length=1)
    reason: str
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    lasts: Positive | None = Field(None, alias="for")
    max_severity: Severity | None = None
    until_resolved: bool = False
    person: str | None = None
    by: str | None = None

    def draft(self, now: datetime) -> Draft:
        """Raises BadRequestError when it says no end, or two."""
        if (self.ends_at is None) == (self.lasts is None):
            raise BadRequestError(400, 'a silence has an end: give "for" (2h) or "ends_at", not both')
        start = self.starts_at.astimezone(UTC) if self.starts_at else None
        assert self.lasts is not None or self.ends_at is not None
        end = self.ends_at.astimezone(UTC) if self.ends_at else (start or now) + (self.lasts or now - now)
        return Draft(self.matchers, end, self.reason, start, self.max_severity, self.until_resolved)


def routes(backend: Backend, settings: Http) -> list[BaseRoute]:
    paths = _Paths(backend)
    return [
        Route("/api/pager/silences", guarded(settings, paths.all), methods=["GET"]),
        Route("/api/pager/silences", guarded(settings, paths.add), methods=["POST"]),
        Route("/api/pager/silences/preview", guarded(settings, paths.preview), methods=["POST"]),
        Route("/api/pager/silences/{id}/expire", guarded(settings, paths.expire), methods=["POST"]),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def all(self, request: Request) -> Response:
        ended = request.query_params.get("state") == "all"
        now = self._backend.clock.now()
        return JSONResponse([as_json(one, now) for one in await self._backend.silencing.silences(ended=ended)])

    async def add(self, request: Request) -> Response:
        actor, draft = await self._wish(request)
        made, hidden = await self._backend.silencing.add(actor, draft)
        return JSONResponse({"silence": as_json(made, self._backend.clock.now())} | _hidden(hidden), 201)

    async def preview(self, request: Request) -> Response:
        actor, draft = await self._wish(request)
        made, hidden = await self._backend.silencing.preview(actor, draft)
        return JSONResponse({"silence": as_json(made, self._backend.clock.now()) | {"id": None}} | _hidden(hidden))

    async def expire(self, request: Request) -> Response:
        actor = actor_of(await json_of(request), self._backend.book)
        ended = await self._backend.silencing.expire(actor, request.path_params["id"])
        return JSONResponse({"silence": as_json(ended, self._backend.clock.now())})

    async def _wish(self, request: Request) -> tuple[Actor, Draft]:
        body = await json_of(request)
        try:
            wish = Wish.model_validate(body)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "body"
            raise BadRequestError(400, f"{place}: {first['msg'].removeprefix('Value error, ')}") from None
        return actor_of(body, self._backend.book), wish.draft(self._backend.clock.now())


def as_json(silence: Silence, now: datetime) -> dict[str, Any]:
    state = "active" if silence.active(now) else "pending" if silence.pending(now) else "expired"
    return silence.model_dump(mode="json") | {"state": state}


def _hidden(hidden: Hidden) -> dict[str, Any]:
    return {
        "hides": [_row(incident.id, alert.name, alert.severity) for incident, alert in hidden.alerts],
        "too_severe": [_row(incident.id, alert.name, alert.severity) for incident, alert in hidden.too_severe],
    }


def _row(incident: str, alert: str, severity: Severity) -> dict[str, str]:
    return {"incident": incident, "alert": alert, "severity": severity.value}
