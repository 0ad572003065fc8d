"""Drills over HTTP: ask for one, look how it goes, and what those of the past have shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from typing_extensions import TypedDict

from bot.agents.evidence import Evidence
from bot.incidents.drill import Drill
from bot.oncall.model import Book
from bot.ports import Drilling
from bot.settings import ApiScope
from bot.web.operation import Call, Operation
from bot.web.request import InstantText, Nothing, Query, Who


class Backend(Protocol):
    @property
    def drills(self) -> Drilling: ...

    @property
    def book(self) -> Book: ...


class OfAgent(Query):
    agent: str | None = None


class Wish(Who):
    """`ladder` wakes the next levels too; `runbook` is another one than that for drills."""

    ladder: bool = False
    runbook: str = ""


class DrillJson(TypedDict):
    id: str
    agent: str
    state: Literal["running", "passed", "failed"]
    asked_by: str
    asked_at: InstantText
    incident: str | None
    ended_at: InstantText | None
    person: str | None
    summary: str
    legs: dict[str, Any]
    seconds: dict[str, float]


class BegunJson(TypedDict):
    message: str
    drill: DrillJson | None


def operations(backend: Backend) -> Sequence[Operation]:
    paths = _Paths(backend)
    begin, every = "/api/pager/agents/{agent}/drill", "/api/pager/drills"
    return [
        Operation("POST", begin, paths.start, ApiScope.DRILL, "Begins a drill.", status=201),
        Operation("GET", every, paths.all, ApiScope.READ, "Drills under way, and those of the past."),
        Operation("GET", f"{every}/{{id}}", paths.one, ApiScope.READ, "One drill."),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def start(self, call: Call[Nothing, Wish]) -> BegunJson:
        body = call.body
        actor = call.actor(body, self._backend.book)
        begun = await self._backend.drills.start(
            actor, call.of_path("agent"), runbook=body.runbook, whole_ladder=body.ladder
        )
        return {"message": begun.message, "drill": under_way(begun.drill) if begun.drill is not None else None}

    async def all(self, call: Call[OfAgent, None]) -> list[DrillJson]:
        agent = call.query.agent or None
        running = [one for one in await self._backend.drills.running() if agent in {None, one.agent}]
        past = await self._backend.drills.past(agent)
        return [*(under_way(one) for one in running), *(ended(one) for one in past)]

    async def one(self, call: Call[Nothing, None]) -> DrillJson:
        found = await self._backend.drills.one(call.of_path("id"))
        return under_way(found) if isinstance(found, Drill) else ended(found)


def under_way(drill: Drill) -> DrillJson:
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


def ended(shown: Evidence) -> DrillJson:
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
