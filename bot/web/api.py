"""The HTTP server of the pager, put together: the table of all its paths, and what answers when there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from bot.errors import AgentpagerError, ConfigError
from bot.settings import ApiScope, Http
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
    incidents,
    openapi,
    prometheus,
    readiness,
    records,
    silences,
    steps,
)
from bot.web.door import Door, Open
from bot.web.operation import Call, Operation, mounted, told_as_fault, told_as_json
from bot.web.request import Nothing

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS = "application/openmetrics-text"


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
    incidents.Backend,
    prometheus.Backend,
    records.Backend,
    readiness.Backend,
    Protocol,
):
    """What the server shows."""

    async def readiness(self) -> dict[str, Any]:
        """`{"ready": bool, "checks": {name: "ok" or what is wrong}, "config": {...}}`."""

    async def reload(self) -> None:
        """Raises ConfigError when the files cannot be used; the running configuration stays."""

    async def metrics(self, *, openmetrics: bool = False) -> bytes: ...


def build(backend: Backend, settings: Callable[[], Http], slack_events: ASGIApp | None = None) -> Starlette:
    """`settings` are those of now: tokens and limits may change while it runs."""
    door = Door(settings, backend)
    routes: list[BaseRoute] = mounted(operations(backend), door)
    if slack_events is not None:
        routes.append(Route("/slack/events", slack_events, methods=["POST"]))  # signed by Slack
    return Starlette(routes=routes, exception_handlers={HTTPException: told_as_json, Exception: told_as_fault})


def operations(backend: Backend) -> Sequence[Operation]:
    """Every path but Slack's."""
    own = _Own(backend)
    return [
        Operation("GET", "/-/healthy", own.healthy, Open.HEALTH, raw=True),
        Operation("GET", "/-/ready", own.ready, Open.HEALTH, raw=True),
        Operation("POST", "/-/reload", own.reload, ApiScope.ADMIN, raw=True),
        Operation("PUT", "/-/reload", own.reload, ApiScope.ADMIN, raw=True),
        Operation("GET", "/metrics", own.metrics, ApiScope.METRICS, raw=True),
        *prometheus.operations(backend),
        *described(backend),
        *alertmanager.operations(backend),
        *ack_links.operations(backend),
        *bridges.operations(backend),
        *calendars.links(backend),
    ]


def described(backend: Backend) -> Sequence[Operation]:
    """Our own API: what the OpenAPI document is about."""
    return [
        *incidents.operations(backend),
        *steps.operations(backend),
        *silences.operations(backend),
        *records.operations(backend),
        *accounts.operations(backend),
        *readiness.operations(backend),
        *charts.operations(backend),
        *actions.operations(backend),
        *by_hand.operations(backend),
        *drills.operations(backend),
        *agents.operations(backend),
        *calendars.operations(backend),
        Operation("GET", "/api/pager/openapi.json", _described_by, ApiScope.READ, "This document."),
    ]


def document() -> dict[str, Any]:
    """The OpenAPI document. Nobody is asked anything for it, so it needs no backend."""
    nobody = cast("Backend", None)
    others = [one for one in operations(nobody) if not one.about]
    return openapi.document(described(nobody), others)


@cache
def document_text() -> str:
    """As it stands in docs/schema/openapi.json."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


async def _described_by(_call: Call[Nothing, None]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(await asyncio.to_thread(document_text))  # made once, and not while pages wait
    return told


class _Own:
    """Health, reload and own metrics."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def healthy(self, _call: Call[Nothing, None]) -> Response:
        return PlainTextResponse("agentpager is healthy\n")

    async def ready(self, _call: Call[Nothing, None]) -> Response:
        state = await self._backend.readiness()
        return JSONResponse(state, 200 if state["ready"] else 503)

    async def reload(self, _call: Call[Nothing, None]) -> Response:
        try:
            await self._backend.reload()
        except ConfigError as error:
            return PlainTextResponse(f"the running configuration stays:\n{error}\n", 400)
        except AgentpagerError as error:
            return PlainTextResponse(f"the running configuration stays: {error}\n", 500)
        return PlainTextResponse("reloaded\n")

    async def metrics(self, call: Call[Nothing, None]) -> Response:
        openmetrics = _OPENMETRICS in call.request.headers.get("accept", "")
        kind = f"{_OPENMETRICS}; version=1.0.0; charset=utf-8" if openmetrics else _METRICS_TYPE
        return Response(await self._backend.metrics(openmetrics=openmetrics), media_type=kind)
