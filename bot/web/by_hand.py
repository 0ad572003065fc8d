"""What people ask for by hand over HTTP: pages, tests of a page, overrides and swaps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import Field
from typing_extensions import TypedDict

from bot.incidents.model import State
from bot.incidents.people import person_named
from bot.oncall import changes
from bot.oncall.changes import Plan, RotaChange
from bot.oncall.model import Book
from bot.oncall.moments import moment
from bot.ports import Clock, Outcome, Paging, Rotas
from bot.settings import ApiScope
from bot.web.operation import Call, Dumped, Operation
from bot.web.request import Nothing, Who


class Backend(Protocol):
    @property
    def paging(self) -> Paging: ...

    @property
    def rotas(self) -> Rotas: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def book(self) -> Book: ...


class Page(Who):
    """`target` is an agent, a team or a person, as people write them."""

    target: str = Field(min_length=1, examples=["team:payments"])
    why: str = ""


class Test(Who):
    target: str = Field("me", min_length=1)


class Change(Who):
    """One of `people` is put on duty, two take each other's turns. Times are as people write them: `09:00`, `2h`,
    `2026-12-24T09:00`."""

    schedule: str = Field(min_length=1)
    people: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]
    start: str | None = Field(None, alias="from")
    until: str = Field(min_length=1)
    why: str = ""


class OpenedJson(TypedDict):
    id: str
    state: State
    title: str


class PagedJson(TypedDict):
    message: str
    incident: OpenedJson | None


OverrideJson = Annotated[
    dict[str, Any],
    Dumped(RotaChange, "OverrideJson", start=(datetime, Field(serialization_alias="from"))),
]


class ChangedJson(TypedDict):
    message: str
    override: OverrideJson


def operations(backend: Backend) -> Sequence[Operation]:
    paths = _Paths(backend)
    every, rota = "/api/pager/overrides", ApiScope.ROTA
    return [
        Operation("POST", "/api/pager/pages", paths.page, ApiScope.PAGE, "Wakes whoever answers.", status=201),
        Operation("POST", "/api/pager/tests", paths.test, ApiScope.PAGE, "Sends a page that is a test.", status=201),
        Operation("GET", every, paths.all, ApiScope.READ, "Overrides and swaps that count now or later."),
        Operation("POST", every, paths.add, rota, "Makes an override or a swap.", status=201),
        Operation("POST", f"{every}/{{id}}/end", paths.end, rota, "Takes one back."),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def page(self, call: Call[Nothing, Page]) -> PagedJson:
        actor = call.actor(call.body, self._backend.book)
        return _opened(await self._backend.paging.page(actor, call.body.target, call.body.why))

    async def test(self, call: Call[Nothing, Test]) -> PagedJson:
        actor = call.actor(call.body, self._backend.book)
        return _opened(await self._backend.paging.test(actor, call.body.target))

    async def all(self, _call: Call[Nothing, None]) -> list[OverrideJson]:
        return [as_json(one) for one in await self._backend.rotas.changes()]

    async def add(self, call: Call[Nothing, Change]) -> ChangedJson:
        body, book = call.body, self._backend.book
        actor, now = call.actor(body, book), self._backend.clock.now()
        zone = actor.person.timezone if actor.person else "UTC"
        start = moment(body.start, now, zone) if body.start else now
        until = moment(body.until, start, zone)
        named = tuple(person_named(person, book) for person in body.people)
        plan = Plan("override" if len(named) == 1 else "swap", body.schedule, named, start, until, body.why)
        made = await self._backend.rotas.add(actor, plan)
        return {"message": changes.told(made, book, zone), "override": as_json(made)}

    async def end(self, call: Call[Nothing, Who]) -> ChangedJson:
        actor = call.actor(call.body, self._backend.book)
        ended = await self._backend.rotas.end(actor, call.of_path("id"))
        return {"message": f"{ended.id} is taken back.", "override": as_json(ended)}


def as_json(change: RotaChange) -> dict[str, Any]:
    shown = change.model_dump(mode="json")
    return {"from" if name == "start" else name: value for name, value in shown.items()}


def _opened(outcome: Outcome) -> PagedJson:
    found = outcome.incident
    incident: OpenedJson | None = None
    if found is not None:
        incident = {"id": found.id, "state": found.state, "title": found.title}
    return {"message": outcome.message, "incident": incident}
