"""Alertmanager's API, version 2, for what is made for it: Prometheus, vmalert and Grafana post alerts, amtool and karma
ask and silence. Errors are a JSON text, as there."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.alertmanager import outgoing, silencing
from bot.alertmanager.incoming import PostedError
from bot.errors import ConflictError, UsageError
from bot.oncall.model import Book
from bot.ports import Actor, Clock, Pushing, Silencing
from bot.schema import format_duration
from bot.settings import ApiScope
from bot.web.operation import Call, Operation, actor_of
from bot.web.request import BadRequestError, Nothing, body_of

_MAX_BODY = 8 << 20  # ten thousand alerts


class Backend(Protocol):
    @property
    def pushing(self) -> Pushing: ...

    @property
    def silencing(self) -> Silencing: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def book(self) -> Book: ...

    @property
    def started(self) -> datetime: ...

    @property
    def resolve_timeout(self) -> timedelta: ...


def operations(backend: Backend) -> Sequence[Operation]:
    paths = _Paths(backend)
    read = ApiScope.READ

    def operation(method: str, path: str, handler: _Handler, needs: ApiScope = read) -> Operation:
        return Operation(method, f"/api/v2/{path}", _as_there(handler), needs, raw=True)

    return [
        operation("GET", "status", paths.status),
        operation("GET", "receivers", paths.receivers),
        operation("GET", "alerts", paths.alerts),
        operation("POST", "alerts", paths.post, ApiScope.INGEST),
        operation("GET", "alerts/groups", paths.groups),
        operation("GET", "silences", paths.silences),
        operation("POST", "silences", paths.silence, ApiScope.SILENCE),
        operation("GET", "silence/{id}", paths.one_silence),
        operation("DELETE", "silence/{id}", paths.expire, ApiScope.SILENCE),
    ]


_Handler = Callable[[Call[Nothing, None]], Awaitable[Response]]


def _as_there(handler: _Handler) -> _Handler:
    async def asked(call: Call[Nothing, None]) -> Response:
        try:
            return await handler(call)
        except (PostedError, ConflictError, ValueError) as error:
            return JSONResponse(str(error), 400)
        except BadRequestError as error:
            return JSONResponse(str(error), error.status)
        except UsageError as error:
            return JSONResponse(str(error), 404 if "there is no" in str(error) else 400)

    return asked


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def status(self, _call: Call[Nothing, None]) -> Response:
        ours = {"version": version("agentpager"), "revision": "", "branch": "", "buildUser": "", "buildDate": ""}
        return JSONResponse(
            {
                "cluster": {"name": "agentpager", "status": "ready", "peers": []},
                "config": {"original": self._config()},
                "uptime": outgoing.instant(self._backend.started),
                "versionInfo": ours | {"goVersion": ""},
            }
        )

    def _config(self) -> str:
        """What of ours can be said in its words: policies as receivers. The rest stands in agentpager.yaml."""
        book = self._backend.book
        names = [*book.escalation_policies, "owner"]
        said = {
            "global": {"resolve_timeout": format_duration(self._backend.resolve_timeout)},
            "route": {"receiver": "owner"},
            "receivers": list(outgoing.receivers(names)),
        }
        return json.dumps(said, indent=2)  # JSON is YAML

    async def receivers(self, _call: Call[Nothing, None]) -> Response:
        return JSONResponse(list(outgoing.receivers([*self._backend.book.escalation_policies, "owner"])))

    async def alerts(self, call: Call[Nothing, None]) -> Response:
        incidents = await self._backend.pushing.incidents()
        return JSONResponse(outgoing.alerts(incidents, _wanted(call.request), self._backend.clock.now()))

    async def groups(self, call: Call[Nothing, None]) -> Response:
        incidents = await self._backend.pushing.incidents()
        return JSONResponse(outgoing.groups(incidents, _wanted(call.request), self._backend.clock.now()))

    async def post(self, call: Call[Nothing, None]) -> Response:
        """Answered once they are written down."""
        await self._backend.pushing.take(_json(await body_of(call.request, _MAX_BODY)))
        return Response(status_code=200)

    async def silences(self, call: Call[Nothing, None]) -> Response:
        known = await self._backend.silencing.silences(ended=True)
        return JSONResponse(outgoing.silences(known, _filters(call.request), self._backend.clock.now()))

    async def one_silence(self, call: Call[Nothing, None]) -> Response:
        wanted = call.of_path("id").upper()
        for one in await self._backend.silencing.silences(ended=True):
            if one.id == wanted:
                return JSONResponse(outgoing.silence(one, self._backend.clock.now()))
        return JSONResponse("silence not found", 404)

    async def silence(self, call: Call[Nothing, None]) -> Response:
        """One that replaces another has a new id, as one with other matchers has there."""
        replaced, author, draft = silencing.read(_json(await body_of(call.request)))
        actor = _actor(call, author, self._backend.book)
        if replaced:
            now = self._backend.clock.now()
            known = {one.id: one for one in await self._backend.silencing.silences(ended=True)}
            if replaced.upper() not in known:
                return JSONResponse("silence not found", 404)
            await self._backend.silencing.preview(actor, draft)  # refuses what makes no sense before the old one ends
            if known[replaced.upper()].ends_at > now:
                await self._backend.silencing.expire(actor, replaced.upper())
        made, _ = await self._backend.silencing.add(actor, draft)
        return JSONResponse({"silenceID": made.id})

    async def expire(self, call: Call[Nothing, None]) -> Response:
        wanted = call.of_path("id").upper()
        if all(one.id != wanted for one in await self._backend.silencing.silences(ended=True)):
            return JSONResponse("silence not found", 404)
        await self._backend.silencing.expire(_actor(call, "", self._backend.book), wanted)
        return Response(status_code=200)


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise BadRequestError(400, "the body is not JSON") from None


def _wanted(request: Request) -> outgoing.Wanted:
    return outgoing.wanted(request.query_params, _filters(request))


def _filters(request: Request) -> Sequence[str]:
    return request.query_params.getlist("filter")


def _actor(call: Call[Nothing, None], name: str, book: Book) -> Actor:
    """Somebody of the book by id, name or address; else whoever they say they are. One whom the token may not act for
    is no more than a name."""
    for person in book.people.values():
        names = {person.id.casefold(), person.name.casefold(), (person.email or "").casefold()} - {""}
        if name.casefold() in names and (call.caller.anybody or person.id == call.caller.person):
            return actor_of(call.caller, person.id, None, book)
    return actor_of(call.caller, None, name, book)
