"""Calendars over HTTP: for calendar programs, which know nothing but an address with its secret in it; and for people,
who ask for such an address or take it back.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.oncall.model import Book
from bot.ports import Actor
from bot.settings import Http
from bot.web.request import actor_of, guarded, json_of

_SUFFIX = ".ics"
_TYPE = "text/calendar; charset=utf-8"
_FRESH = "private, max-age=900"


class Calendars(Protocol):
    """Raises UsageError for what has no calendar."""

    async def url(self, target: str) -> str: ...

    async def revoke(self, target: str, actor: Actor) -> str: ...

    async def text(self, kind: str, name: str, token: str) -> str | None: ...


class Backend(Protocol):
    @property
    def calendars(self) -> Calendars: ...

    @property
    def book(self) -> Book: ...


def routes(backend: Backend, settings: Http) -> list[BaseRoute]:
    paths = _Paths(backend)
    return [
        Route("/calendar/{token}/{kind}/{file:path}", paths.calendar),
        Route("/api/pager/calendars/{target:path}", guarded(settings, paths.url), methods=["GET"]),
        Route("/api/pager/calendars/{target:path}", guarded(settings, paths.revoke), methods=["DELETE"]),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def calendar(self, request: Request) -> Response:
        """Whether an id exists is nobody's business who does not know its token: all refusals are the same."""
        token, kind, file = (request.path_params[name] for name in ("token", "kind", "file"))
        name = file.removesuffix(_SUFFIX)
        text = await self._backend.calendars.text(kind, name, token) if file.endswith(_SUFFIX) else None
        if text is None:
            return PlainTextResponse("there is no such calendar; ask for its address anew\n", 404)
        body = text.encode()
        tag = f'"{sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": _FRESH, "X-Content-Type-Options": "nosniff"}
        if tag in _tags(request):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=_TYPE)

    async def url(self, request: Request) -> Response:
        return JSONResponse({"url": await self._backend.calendars.url(request.path_params["target"])})

    async def revoke(self, request: Request) -> Response:
        actor = actor_of(await json_of(request), self._backend.book)
        return JSONResponse({"url": await self._backend.calendars.revoke(request.path_params["target"], actor)})


def _tags(request: Request) -> set[str]:
    """Compared weakly: a proxy that packs the answer makes the tag a weak one."""
    return {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
