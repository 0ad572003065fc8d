"""Drills over HTTP: ask for one, look how it goes, and what those of the past have shown."""

from __future__ import annotations

from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.agents.evidence import Evidence
from bot.incidents.drill import Drill
from bot.oncall.model import Book
from bot.ports import Drilling
from bot.settings import Http
from bot.web.request import actor_of, guarded, json_of


class Backend(Protocol):
    @property
    def drills(self) -> Drilling: ...

    @property
    def book(self) -> Book: ...


def routes(backend: Backend, settings: Http) -> list[BaseRoute]:
    paths = _Paths(backend)
    return [
        Route("/api/pager/agents/{agent}/drill", guarded(settings, paths.start), methods=["POST"]),
        Route("/api/pager/drills", guarded(settings, paths.all), methods=["GET"]),
        Route("/api/pager/drills/{id}", guarded(settings, paths.one), methods=["GET"]),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def start(self, request: Request) -> Response:
        body = await json_of(request)
        begun = await self._backend.drills.start(
            actor_of(body, self._backend.book),
            request.path_params["agent"],
            runbook=str(body.get("runbook") or ""),
            whole_ladder=body.get("ladder") is True,
        )
        shown = under_way(begun.drill) if begun.drill is not None else None
        return JSONResponse({"message": begun.message, "drill": shown}, 201)

    async def all(self, request: Request) -> Response:
        agent = request.query_params.get("agent") or None
        running = [one for one in await self._backend.drills.running() if agent in {None, one.agent}]
        past = await self._backend.drills.past(agent)
        return JSONResponse([*(under_way(one) for one in running), *(ended(one) for one in past)])

    async def one(self, request: Request) -> Response:
        found = await self._backend.drills.one(request.path_params["id"])
        return JSONResponse(under_way(found) if isinstance(found, Drill) else ended(found))


def under_way(drill: Drill) -> dict[str, Any]:
    return {
        "id": drill.id,
        "agent": drill.agent,
        "state": "running",
        "asked_by": drill.asked_by,
        "asked_at": drill.at.isoformat(),
        "incident": drill.incident,
        "ended_at": None,
        "person": None,
        "summary": "under way",
        "legs": {},
        "seconds": {},
    }


def ended(shown: Evidence) -> dict[str, Any]:
    detail = shown.detail
    return {
        "id": detail["drill"],
        "agent": shown.agent,
        "state": "passed" if shown.passed else "failed",
        "asked_by": detail["asked_by"],
        "asked_at": detail["asked_at"],
        "incident": detail["incident"],
        "ended_at": shown.at.isoformat(),
        "person": shown.person,
        "summary": shown.summary,
        "legs": detail["legs"],
        "seconds": detail["seconds"],
    }
