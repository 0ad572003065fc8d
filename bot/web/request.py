"""What all paths of the HTTP server share: who may ask, how a body is read, how a refusal looks, who acts."""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.errors import ConflictError, UsageError
from bot.oncall.model import Book
from bot.ports import Actor
from bot.settings import Http

_MAX_BODY = 1 << 20
# A proxy on this machine makes everybody look local.
_PROXIED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}

Handler = Callable[[Request], Awaitable[Response]]


def guarded(settings: Http, handler: Handler) -> Handler:
    async def asked(request: Request) -> Response:
        try:
            return _refusal(settings, request) or await handler(request)
        except BadRequestError as error:
            return refuse(error.status, "bad_data", str(error))
        except UsageError as error:
            return refuse(404, "not_found", str(error))
        except ConflictError as error:
            return refuse(409, "conflict", str(error))

    return asked


class BadRequestError(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def _refusal(settings: Http, request: Request) -> Response | None:
    if settings.token is not None:
        given = request.headers.get("authorization", "")
        if hmac.compare_digest(given.encode(), f"Bearer {settings.token.get_secret_value()}".encode()):
            return None
        return refuse(401, "unauthorized", "send Authorization: Bearer <http.token>")
    if any(header in request.headers for header in _PROXIED):
        return refuse(403, "forbidden", "set http.token in agentpager.yaml to be asked through a proxy")
    if request.client is None or not _is_loopback(request.client.host):
        return refuse(403, "forbidden", "set http.token in agentpager.yaml to allow other machines")
    host = _hostname(f"//{request.headers.get('host', '')}")
    if host not in _LOCAL_NAMES | _own_names(settings):
        return refuse(403, "forbidden", f'unknown host name "{host}"; set http.token to be asked under another name')
    origin = request.headers.get("origin")
    if request.method != "GET" and origin is not None and _hostname(origin) != host:
        return refuse(403, "forbidden", "requests from other sites are refused")
    return None


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _own_names(settings: Http) -> set[str]:
    return {_hostname(f"//{settings.listen}")} - {""}


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # a bracket too many
        return ""


def refuse(status: int, kind: str, message: str) -> JSONResponse:
    return JSONResponse({"status": "error", "errorType": kind, "error": message}, status)


async def body_of(request: Request, limit: int = _MAX_BODY) -> bytes:
    """Counted as it comes in: one sent in chunks does not say how long it is."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BadRequestError(413, f"the request is larger than {limit >> 20} MiB")
    return bytes(body)


async def json_of(request: Request) -> dict[str, Any]:
    return object_of(await body_of(request))


def object_of(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        raise BadRequestError(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequestError(400, "the body is not a JSON object")
    return body


def instant_of(request: Request, name: str) -> datetime | None:
    """A parameter of the URL; None when it is not given. Raises BadRequestError."""
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise BadRequestError(400, f"{name}: add an offset, for example 2026-12-24T18:00:00Z")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequestError(400, f"{name}: write an instant such as 2026-12-24T18:00:00Z") from None


def actor_of(body: dict[str, Any], book: Book) -> Actor:
    """`{"person": "ana"}` acts for somebody in the book, `{"by": "name"}` for an operator outside it."""
    person_id = body.get("person")
    if person_id is None:
        name = str(body.get("by") or "api")[:64]
        return Actor(f"cli:{name}", name, "api")
    person = book.people.get(str(person_id))
    if person is None:
        raise UsageError(f'there is no person "{person_id}" in oncall/')
    return Actor(f"person:{person.id}", person.name, "api", person)
