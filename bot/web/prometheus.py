"""Prometheus' HTTP API, answered by the watcher: its bytes are handed on as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bot.settings import ApiScope
from bot.web.operation import Call, Operation
from bot.web.request import BadRequestError, Nothing, body_of, refuse

_MAX_FIELDS = 1000
_PIECE = 1 << 20  # of a large answer, between looks at how far the client has read

Fields = list[tuple[str, str]]
# A form in the body may stand for long queries where Prometheus allows it.
ASKED_BY_FORM = ("query", "query_range", "query_exemplars", "format_query", "series", "labels")
ASKED = (
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


class Backend(Protocol):
    async def ask_prometheus(self, path: str, fields: Fields, *, pack: bool) -> tuple[dict[str, Any], bytes]:
        """`{"status": 200, "packed": false}` and the body of the answer. Raises RemoteError."""


def operations(backend: Backend) -> Sequence[Operation]:
    ask = _Paths(backend).ask
    both = [(path, method) for path in ASKED_BY_FORM for method in ("GET", "POST")]
    asked = [(path, "GET") for path in ASKED]
    found = [Operation(method, f"/api/v1/{path}", ask, ApiScope.READ, raw=True) for path, method in both + asked]
    rest = [Operation(method, "/api/v1/{path:path}", _rest, ApiScope.READ, raw=True) for method in ("GET", "OPTIONS")]
    return found + rest


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def ask(self, call: Call[Nothing, None]) -> Response:
        request = call.request
        path = request.scope["path"].removeprefix("/api/v1/")
        fields = await _fields(request)
        pack = "gzip" in request.headers.get("accept-encoding", "")
        answer = await _unless_gone(request, self._backend.ask_prometheus(path, fields, pack=pack))
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


async def _rest(call: Call[Nothing, None]) -> Response:
    if call.request.method == "OPTIONS":
        return Response(status_code=204)
    path = call.request.scope["path"]
    return refuse(404, "not_found", f"there is no {path} here; docs/api.md lists what there is")


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
