"""The HTTP server of the pager: health, own metrics, Prometheus' query paths, incidents, and Slack's events in HTTP
mode.

Without a token only this machine may ask, and only under a name of this machine: a page in somebody's browser must not
be able to acknowledge anything.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.errors import AgentpagerError, ConfigError, RemoteError
from bot.incidents.exercise import result_of
from bot.incidents.model import Incident
from bot.incidents.people import short
from bot.ports import Actor, AgentStatus, Commands, Outcome
from bot.records.accounts import vitals_json
from bot.records.timeline import promised
from bot.settings import Http
from bot.web import (
    accounts,
    ack_links,
    actions,
    agents,
    alertmanager,
    bridges,
    by_hand,
    calendars,
    charts,
    drills,
    readiness,
    records,
    silences,
    steps,
)
from bot.web.request import BadRequestError, actor_of, body_of, guarded, instant_of, json_of, refuse

_MAX_FIELDS = 1000
_PIECE = 1 << 20  # of a large answer, between looks at how far the client has read
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Backend(
    accounts.Backend,
    ack_links.Backend,
    charts.Backend,
    actions.Backend,
    alertmanager.Backend,
    bridges.Backend,
    by_hand.Backend,
    drills.Backend,
    agents.Backend,
    silences.Backend,
    calendars.Backend,
    records.Backend,
    readiness.Backend,
    Protocol,
):
    """What the server shows."""

    @property
    def commands(self) -> Commands: ...

    async def ask_prometheus(self, path: str, fields: Fields, *, pack: bool) -> tuple[dict[str, Any], bytes]:
        """`{"status": 200, "packed": false}` and the body of the answer. Raises RemoteError."""

    async def readiness(self) -> dict[str, Any]:
        """`{"ready": bool, "checks": {name: "ok" or what is wrong}, "config": {...}}`."""

    async def reload(self) -> None:
        """Raises ConfigError when the files cannot be used; the running configuration stays."""

    async def metrics(self) -> bytes: ...


def build(backend: Backend, settings: Http, slack_events: ASGIApp | None = None) -> Starlette:
    routes: list[BaseRoute] = [
        Route("/-/healthy", _healthy),
        Route("/-/ready", _Ready(backend).get),
        Route("/-/reload", guarded(settings, _Reload(backend).post), methods=["POST", "PUT"]),
        Route("/metrics", _Metrics(backend).get),
    ]
    if slack_events is not None:
        routes.append(Route("/slack/events", slack_events, methods=["POST"]))
    prometheus = guarded(settings, _Prometheus(backend).ask)
    routes += [Route(f"/api/v1/{path}", prometheus, methods=["GET", "POST"]) for path in _ASKED_BY_FORM]
    routes += [Route(f"/api/v1/{path}", prometheus, methods=["GET"]) for path in _ASKED]
    routes.append(Route("/api/v1/{path:path}", guarded(settings, _rest), methods=["GET", "OPTIONS"]))
    pager = _Pager(backend)
    routes += [
        Route("/api/pager/incidents", guarded(settings, pager.incidents)),
        Route("/api/pager/incidents/{id}", guarded(settings, pager.incident)),
        Route("/api/pager/incidents/{id}/{verb}", guarded(settings, pager.act), methods=["POST"]),
        *steps.routes(backend, settings),
        Route("/api/pager/oncall", guarded(settings, pager.oncall)),
        Route("/api/pager/status", guarded(settings, pager.status)),
    ]
    routes += silences.routes(backend, settings)
    routes += records.routes(backend, settings)
    routes += accounts.routes(backend, settings)
    routes += readiness.routes(backend, settings)
    routes += charts.routes(backend, settings)
    routes += actions.routes(backend, settings)
    routes += by_hand.routes(backend, settings)
    routes += drills.routes(backend, settings)
    routes += agents.routes(backend, settings)
    routes += ack_links.routes(backend)
    routes += bridges.routes(backend)
    routes += alertmanager.routes(backend, settings)
    routes += calendars.routes(backend, settings)
    return Starlette(routes=routes)


Fields = list[tuple[str, str]]
# Prometheus' paths. A form in the body may stand for long queries where Prometheus allows it.
_ASKED_BY_FORM = ("query", "query_range", "query_exemplars", "format_query", "series", "labels")
_ASKED = (
    "label/{name}/values",
    "rules",
    "alerts",
    "alertmanagers",
    "targets",
    "targets/metadata",
    "scrape_pools",
    "metadata",
    "status/buildinfo",
    "status/runtimeinfo",
    "status/flags",
    "status/tsdb",
)


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("agentpager is healthy\n")


class _Ready:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def get(self, _request: Request) -> Response:
        state = await self._backend.readiness()
        return JSONResponse(state, 200 if state["ready"] else 503)


class _Reload:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def post(self, _request: Request) -> Response:
        try:
            await self._backend.reload()
        except ConfigError as error:
            return PlainTextResponse(f"the running configuration stays:\n{error}\n", 400)
        except AgentpagerError as error:
            return PlainTextResponse(f"the running configuration stays: {error}\n", 500)
        return PlainTextResponse("reloaded\n")


class _Metrics:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def get(self, _request: Request) -> Response:
        return Response(await self._backend.metrics(), media_type=_METRICS_TYPE)


class _Prometheus:
    """Prometheus' HTTP API, answered by the watcher: its bytes are handed on as they come."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def ask(self, request: Request) -> Response:
        path = request.scope["path"].removeprefix("/api/v1/")
        fields = await _fields(request)
        pack = "gzip" in request.headers.get("accept-encoding", "")
        try:
            answer = await _unless_gone(request, self._backend.ask_prometheus(path, fields, pack=pack))
        except RemoteError as error:
            return refuse(503, "unavailable", str(error))
        if answer is None:
            return Response(status_code=499)  # nobody reads it
        about, body = answer
        return _Bytes(body, about["status"], {"Content-Encoding": "gzip"} if about["packed"] else {})


class _Bytes(Response):
    """JSON made elsewhere, sent in pieces: uvicorn waits for a slow client between them."""

    def __init__(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        super().__init__(None, status, {**headers, **_PLAIN_JSON}, "application/json")
        self._bytes = memoryview(body)
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        self.raw_headers.append((b"content-length", str(len(body)).encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`receive` is not asked: the client is there or the pieces go nowhere."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for begin in range(0, len(self._bytes), _PIECE):
            piece = bytes(self._bytes[begin : begin + _PIECE])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


# Labels are somebody else's text: no browser may take an answer for a page.
_PLAIN_JSON = {"X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}

T = TypeVar("T")


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` returns, or None when the client went away before: then the work is given up."""
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, watching):
            task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _rest(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204)
    return refuse(404, "not_found", f"there is no {request.scope['path']} here; docs/api.md lists what there is")


async def _fields(request: Request) -> Fields:
    """Of a form body and, behind them, of the URL: the first of a name counts, as in Prometheus."""
    texts = [request.scope["query_string"].decode("latin-1")]
    if request.method == "POST":
        texts.insert(0, (await body_of(request)).decode(errors="replace"))
    fields: Fields = []
    for text in texts:
        try:
            fields += parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        except ValueError:
            raise BadRequestError(400, f"the form has more than {_MAX_FIELDS} fields") from None
    return fields


class _Pager:
    """Incidents and duty, as JSON."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def incidents(self, request: Request) -> Response:
        only_open = request.query_params.get("state", "open") != "all"
        found = await self._backend.commands.incidents(only_open=only_open)
        now = self._backend.clock.now()
        return JSONResponse([incident_json(incident, now) for incident in found])

    async def incident(self, request: Request) -> Response:
        incident = await self._backend.commands.incident(request.path_params["id"])
        return JSONResponse(incident_json(incident, self._backend.clock.now()))

    async def act(self, request: Request) -> Response:
        commands = self._backend.commands
        verbs: dict[str, Callable[[Actor, str | None], Awaitable[Outcome]]] = {
            "ack": commands.ack,
            "resolve": commands.resolve,
            "release": commands.release,
            "decline": commands.decline,
            "take": commands.take,
            "escalate": commands.escalate,
        }
        more: dict[str, tuple[Callable[[Actor, str | None, str], Awaitable[Outcome]], tuple[str, ...]]]
        more = {"snooze": (commands.snooze, ("until", "for")), "hand": (commands.hand, ("to",))}
        more |= {"note": (commands.note, ("text",)), "mark": (commands.mark, ("mark",))}
        name, reference, body = request.path_params["verb"], request.path_params["id"], await json_of(request)
        actor = actor_of(body, commands.book)
        if name in more:
            say, keys = more[name]
            outcome = await say(actor, reference, _said(body, keys))
        elif name in verbs:
            outcome = await verbs[name](actor, reference)
        else:
            return refuse(404, "not_found", f"unknown verb; one of {', '.join([*verbs, *more])}")
        now = self._backend.clock.now()
        incident = incident_json(outcome.incident, now) if outcome.incident else None
        return JSONResponse({"message": outcome.message, "incident": incident})

    async def oncall(self, request: Request) -> Response:
        at = instant_of(request, "at")
        try:
            return JSONResponse(self._backend.commands.oncall(at))
        except OverflowError:
            return refuse(400, "bad_data", "at: that instant is outside the calendar")

    async def status(self, _request: Request) -> Response:
        rows = await self._backend.commands.status()
        return JSONResponse([_status(row) for row in rows])


def _status(row: AgentStatus) -> dict[str, Any]:
    """With how it is doing, where that is known."""
    told = {name: value for name, value in vars(row).items() if name != "vitals"}
    return told | ({"vitals": vitals_json(row.vitals)} if row.vitals is not None else {})


def _said(body: dict[str, Any], keys: tuple[str, ...]) -> str:
    """The one of the keys that the body has. Raises BadRequestError."""
    given = [str(body[key]) for key in keys if body.get(key) not in {None, ""}]
    if len(given) != 1:
        wanted = " or ".join(f'"{key}"' for key in keys)
        raise BadRequestError(400, f"the body has {wanted}" + (", not both" if len(keys) > 1 else ""))
    return given[0]


def incident_json(incident: Incident, now: datetime) -> dict[str, Any]:
    return {
        "id": incident.id,
        "state": incident.state.value,
        "severity": incident.severity.value,
        "agent": incident.agent,
        "title": incident.title,
        "owner": incident.owner,
        "opened_at": incident.opened_at.isoformat(),
        "acked_by": short(incident.acked_by) if incident.acked_by else None,
        "acked_at": incident.acked_at.isoformat() if incident.acked_at else None,
        "resolved_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
        "level": incident.step + 1,
        "round": incident.round + 1,
        "sla": [one.model_dump(mode="json") for one in promised(incident, now)],
        "notes": len(incident.notes),
        "mark": incident.mark or None,
        "progress": steps.marks_json(incident),
        "next_at": incident.next_at.isoformat() if incident.next_at else None,
        "suppressed": [one.model_dump(mode="json") for one in incident.suppressed],
        "flapping": incident.flapping,
        "exercise": incident.exercise or None,
        "result": result_of(incident) or None,
        "alerts": [
            {
                "name": alert.name,
                "state": alert.state.value,
                "severity": alert.severity.value,
                "labels": alert.labels,
                "value": alert.value if math.isfinite(alert.value) else None,  # JSON knows no NaN and no Inf
                "starts_at": alert.starts_at.isoformat(),
                "suppressed": [one.model_dump(mode="json") for one in alert.suppressed],
            }
            for alert in incident.alerts
        ],
    }
