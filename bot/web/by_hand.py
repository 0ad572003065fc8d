"""What people ask for by hand over HTTP: pages, tests of a page, overrides and swaps."""

from __future__ import annotations

from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.incidents.people import person_named
from bot.oncall import changes
from bot.oncall.changes import Plan, RotaChange
from bot.oncall.model import Book
from bot.oncall.moments import moment
from bot.ports import Clock, Outcome, Paging, Rotas
from bot.settings import Http
from bot.web.request import BadRequestError, actor_of, guarded, json_of


class Backend(Protocol):
    @property
    def paging(self) -> Paging: ...

    @property
    def rotas(self) -> Rotas: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def book(self) -> Book: ...


def routes(backend: Backend, settings: Http) -> list[BaseRoute]:
    paths = _Paths(backend)
    return [
        Route("/api/pager/pages", guarded(settings, paths.page), methods=["POST"]),
        Route("/api/pager/tests", guarded(settings, paths.test), methods=["POST"]),
        Route("/api/pager/overrides", guarded(settings, paths.all), methods=["GET"]),
        Route("/api/pager/overrides", guarded(settings, paths.add), methods=["POST"]),
        Route("/api/pager/overrides/{id}/end", guarded(settings, paths.end), methods=["POST"]),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def page(self, request: Request) -> Response:
        body = await json_of(request)
        actor = actor_of(body, self._backend.book)
        return _opened(await self._backend.paging.page(actor, _given(body, "target"), str(body.get("why") or "")))

    async def test(self, request: Request) -> Response:
        body = await json_of(request)
        actor = actor_of(body, self._backend.book)
        return _opened(await self._backend.paging.test(actor, str(body.get("target") or "me")))

    async def all(self, _request: Request) -> Response:
        return JSONResponse([as_json(one) for one in await self._backend.rotas.changes()])

    async def add(self, request: Request) -> Response:
        body = await json_of(request)
        actor, now = actor_of(body, self._backend.book), self._backend.clock.now()
        zone = actor.person.timezone if actor.person else "UTC"
        people = body.get("people")
        if not isinstance(people, list) or not 1 <= len(people) <= 2:
            raise BadRequestError(400, '"people" is a list: one who is put on duty, or two who swap')
        start = moment(str(body["from"]), now, zone) if body.get("from") else now
        until = moment(_given(body, "until"), start, zone)
        schedule, why = _given(body, "schedule"), str(body.get("why") or "")
        named = tuple(person_named(str(person), self._backend.book) for person in people)
        plan = Plan("override" if len(named) == 1 else "swap", schedule, named, start, until, why)
        made = await self._backend.rotas.add(actor, plan)
        return JSONResponse({"message": changes.told(made, self._backend.book, zone), "override": as_json(made)}, 201)

    async def end(self, request: Request) -> Response:
        actor = actor_of(await json_of(request), self._backend.book)
        ended = await self._backend.rotas.end(actor, request.path_params["id"])
        return JSONResponse({"message": f"{ended.id} is taken back.", "override": as_json(ended)})


def as_json(change: RotaChange) -> dict[str, Any]:
    shown = change.model_dump(mode="json")
    return {"from" if name == "start" else name: value for name, value in shown.items()}


def _opened(outcome: Outcome) -> Response:
    found = outcome.incident
    incident = {"id": found.id, "state": found.state.value, "title": found.title} if found is not None else None
    return JSONResponse({"message": outcome.message, "incident": incident}, 201)


def _given(body: dict[str, Any], key: str) -> str:
    text = str(body.get(key) or "").strip()
    if not text:
        raise BadRequestError(400, f'the body has "{key}"')
    return text
