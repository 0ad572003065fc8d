"""How the workspace reaches the app: Socket Mode, or signed HTTP requests. Both answer with the app's acknowledgement.

docs.slack.dev/apis/events-api/using-socket-mode and /authentication/verifying-requests-from-slack.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from typing import Any, Literal, Protocol
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

Kind = Literal["interactive", "slash_commands", "events_api"]

ACK_SECONDS = 3.0
MAX_CONNECTIONS = 10
CONNECTION_SECONDS = 18_060
WARNING_SECONDS = 10
PING_SECONDS = 10.0


class NotAcknowledgedError(Exception):
    """`code` is the word Slack shows to the person who clicked."""

    def __init__(self, code: Literal["dispatch_failed", "operation_timeout"]) -> None:
        self.code = code
        super().__init__(code)


class Delivery(Protocol):
    @property
    def connected(self) -> bool: ...

    async def deliver(self, kind: Kind, payload: dict[str, Any], retry: int = 0) -> dict[str, Any]:
        """The payload of the app's acknowledgement; NotAcknowledgedError after three seconds or without an app."""


class SocketMode:
    """The websocket connections of the app; envelopes go to them in turn."""

    def __init__(self, app_id: str) -> None:
        self._app_id = app_id
        self._tickets: set[str] = set()
        self._connections: list[web.WebSocketResponse] = []
        self._turn = 0
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}

    @property
    def connected(self) -> bool:
        return bool(self._connections)

    def new_ticket(self) -> str:
        """Part of the address that apps.connections.open gives out; good for one connection."""
        ticket = secrets.token_urlsafe(24)
        self._tickets.add(ticket)
        return ticket

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The websocket endpoint."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=408, text="unknown or used ticket")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(heartbeat=PING_SECONDS, max_msg_size=1 << 20)
        await socket.prepare(request)
        if len(self._connections) >= MAX_CONNECTIONS:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets", "debug_info": _debug()})
            await socket.close()
            return socket
        self._connections.append(socket)
        try:
            await socket.send_json(self._hello())
            async with asyncio.timeout(CONNECTION_SECONDS):
                await self._listen(socket)
        except TimeoutError:
            await self._retire(socket, "refresh_requested")
        except ConnectionError:
            pass
        finally:
            if socket in self._connections:
                self._connections.remove(socket)
        return socket

    def _hello(self) -> dict[str, Any]:
        return {
            "type": "hello",
            "num_connections": len(self._connections),
            "connection_info": {"app_id": self._app_id},
            "debug_info": {**_debug(), "approximate_connection_time": CONNECTION_SECONDS},
        }

    async def _listen(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                body = json.loads(message.data)
            except ValueError:
                continue
            envelope = body.get("envelope_id") if isinstance(body, dict) else None
            waiting = self._waiting.get(envelope) if isinstance(envelope, str) else None
            if waiting is not None and not waiting.done():
                payload = body.get("payload")
                waiting.set_result(payload if isinstance(payload, dict) else {})

    async def _retire(self, socket: web.WebSocketResponse, reason: str) -> None:
        await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": _debug()})
        await socket.close()

    async def refresh(self) -> None:
        """Asks every connection to come again, as Slack does when it moves its backend: a warning, then the end."""
        sockets = list(self._connections)
        for socket in sockets:
            await socket.send_json({"type": "disconnect", "reason": "warning", "debug_info": _debug()})
        await asyncio.sleep(WARNING_SECONDS)
        for socket in sockets:
            if not socket.closed:
                await self._retire(socket, "refresh_requested")

    async def close(self) -> None:
        for socket in list(self._connections):
            await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

    async def deliver(self, kind: Kind, payload: dict[str, Any], retry: int = 0) -> dict[str, Any]:
        if not self._connections:
            raise NotAcknowledgedError("dispatch_failed")
        self._turn = (self._turn + 1) % len(self._connections)
        envelope = f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(6)}"
        frame: dict[str, Any] = {
            "envelope_id": envelope,
            "type": kind,
            "accepts_response_payload": kind != "events_api",
            "payload": payload,
        }
        if kind == "events_api":
            frame |= {"retry_attempt": retry, "retry_reason": "timeout" if retry else ""}
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[envelope] = waiting
        try:
            await self._connections[self._turn].send_json(frame)
            return await asyncio.wait_for(waiting, ACK_SECONDS)
        except TimeoutError:
            raise NotAcknowledgedError("operation_timeout") from None
        except ConnectionError:
            raise NotAcknowledgedError("dispatch_failed") from None
        finally:
            del self._waiting[envelope]


def _debug() -> dict[str, Any]:
    return {"host": "applink-local", "build_number": 1}


def sign(secret: str, timestamp: str, body: str) -> str:
    """The value of X-Slack-Signature."""
    base = f"v0:{timestamp}:{body}"
    return "v0=" + hmac.new(secret.encode(), base.encode(), hashlib.sha256).hexdigest()


class SignedHttp:
    """Posts to the app's request URL, as Slack does without Socket Mode."""

    def __init__(
        self, url: str, signing_secret: str, session: aiohttp.ClientSession, clock: Callable[[], float]
    ) -> None:
        self._url = url
        self._secret = signing_secret
        self._session = session
        self._clock = clock

    @property
    def connected(self) -> bool:
        return True

    async def deliver(self, kind: Kind, payload: dict[str, Any], retry: int = 0) -> dict[str, Any]:
        body, content_type = _encode(kind, payload)
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": sign(self._secret, timestamp, body),
        }
        if retry:
            headers |= {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"}
        try:
            timeout = aiohttp.ClientTimeout(total=ACK_SECONDS)
            async with self._session.post(self._url, data=body.encode(), headers=headers, timeout=timeout) as response:
                if response.status != 200:
                    raise NotAcknowledgedError("dispatch_failed")
                return _decode(await response.text())
        except TimeoutError:
            raise NotAcknowledgedError("operation_timeout") from None
        except aiohttp.ClientError:
            raise NotAcknowledgedError("dispatch_failed") from None


def _encode(kind: Kind, payload: dict[str, Any]) -> tuple[str, str]:
    if kind == "events_api":
        return json.dumps(payload), "application/json"
    form = {"payload": json.dumps(payload)} if kind == "interactive" else payload
    return urlencode(form), "application/x-www-form-urlencoded"


def _decode(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        body = json.loads(text)
    except ValueError:
        return {"text": text}
    return body if isinstance(body, dict) else {}
