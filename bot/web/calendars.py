"""Calendars over HTTP: for calendar programs, which know nothing but an address with its secret in it; and for people,
who ask for such an address or take it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from typing_extensions import TypedDict

from bot.oncall.model import Book
from bot.ports import Actor
from bot.settings import ApiScope
from bot.web.door import Open
from bot.web.operation import Call, Operation
from bot.web.request import Nothing, Who

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


class UrlJson(TypedDict):
    url: str


def operations(backend: Backend) -> Sequence[Operation]:
    """An address reads a rota for as long as it lasts: whoever may only read does not get one."""
    paths = _Paths(backend)
    one = "/api/pager/calendars/{target:path}"
    return [
        Operation("GET", one, paths.url, ApiScope.ROTA, "The address of a calendar."),
        Operation("DELETE", one, paths.revoke, ApiScope.ROTA, "Makes an address invalid; answers the new one."),
    ]


def links(backend: Backend) -> Sequence[Operation]:
    return [Operation("GET", "/calendar/{token}/{kind}/{file:path}", _Paths(backend).calendar, Open.LINK, raw=True)]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def calendar(self, call: Call[Nothing, None]) -> Response:
        """Whether an id exists is nobody's business who does not know its token: all refusals are the same."""
        token, kind, file = (call.of_path(name) for name in ("token", "kind", "file"))
        name = file.removesuffix(_SUFFIX)
        text = await self._backend.calendars.text(kind, name, token) if file.endswith(_SUFFIX) else None
        if text is None:
            return PlainTextResponse("there is no such calendar; ask for its address anew\n", 404)
        body = text.encode()
        tag = f'"{sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": _FRESH, "X-Content-Type-Options": "nosniff"}
        if tag in _tags(call.request):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=_TYPE)

    async def url(self, call: Call[Nothing, None]) -> UrlJson:
        return {"url": await self._backend.calendars.url(call.of_path("target"))}

    async def revoke(self, call: Call[Nothing, Who]) -> UrlJson:
        actor = call.actor(call.body, self._backend.book)
        return {"url": await self._backend.calendars.revoke(call.of_path("target"), actor)}


def _tags(request: Request) -> set[str]:
    """Compared weakly: a proxy that packs the answer makes the tag a weak one."""
    return {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
