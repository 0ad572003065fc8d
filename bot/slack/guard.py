"""POST /slack/events: what stands between the internet and Bolt. Size, age, signature and replay, in this order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from bot import telemetry
from bot.ports import Clock
from bot.slack.deliveries import Deliveries, event_key

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY = 1024 * 1024
_WINDOW_SECONDS = 300


class Guard:
    """An ASGI application. `counts` says how many requests were let in and refused, by reason."""

    def __init__(self, app: AsyncApp, signing_secret: str, clock: Clock, deliveries: Deliveries) -> None:
        self._app = app
        self._clock = clock
        self._verifier = SignatureVerifier(signing_secret, _ClockOf(clock))
        self._deliveries = deliveries
        self.counts: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"POST /slack/events cannot serve {scope['type']}")
        if scope["method"] != "POST":
            await self._refuse(send, 405, "method")
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _read(receive, headers)
        if body is None:
            await self._refuse(send, 413, "too_big")
            return
        signature = headers.get("x-slack-signature", "")
        timestamp = headers.get("x-slack-request-timestamp", "")
        now = self._clock.now().timestamp()
        if not _recent(timestamp, now):
            await self._refuse(send, 401, "old")
        elif not signature.isascii() or not self._verifier.is_valid(body, timestamp, signature):
            await self._refuse(send, 401, "signature")
        else:
            await self._pass(headers, body, f"signature|{signature}", send)

    async def _pass(self, headers: dict[str, str], body: str, key: str, send: Send) -> None:
        """The same bytes again are refused, unless Slack says that it repeats itself: then they change nothing, and
        are answered as it wants, or it would go on and in the end give us up."""
        known = self._deliveries.knows(key)
        if known and "x-slack-retry-num" not in headers:
            await self._refuse(send, 401, "replay")
            return
        try:
            request = AsyncBoltRequest(body=body, headers={name: [value] for name, value in headers.items()})
        except ValueError:
            await self._refuse(send, 400, "unreadable")
            return
        event = event_key(request.body)
        known = known or bool(event and self._deliveries.knows(event))
        keys = [key, *([event] if event else [])]
        done = False
        try:
            response = await self._deliveries.once(keys, lambda: self._app.async_dispatch(request), keys)
            done = response.status < 500
        finally:
            self._count("failed" if not done else "repeated" if known else "ok")
        await _answer(send, response.status, response.first_headers(), (response.body or "").encode())

    async def _refuse(self, send: Send, status: int, reason: str) -> None:
        self._count(reason)
        await _answer(send, status, {"content-type": "text/plain"}, b"refused\n")

    def _count(self, reason: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1
        telemetry.slack_deliveries.labels(reason).inc()


def _recent(timestamp: str, now: float) -> bool:
    plausible = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
    return plausible and abs(now - int(timestamp)) <= _WINDOW_SECONDS


class _ClockOf(SignatureClock):
    """Lets the SDK's verifier, which compares in constant time, judge age by our clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now().timestamp()


async def _read(receive: Receive, headers: dict[str, str]) -> str | None:
    """The body, or None as soon as it is known to be too big. Bytes that are no UTF-8 cannot match a signature."""
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY:
        return None
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            return None
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks).decode("utf-8", "replace")


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    raw = [(name.encode("latin-1"), str(value).encode("latin-1")) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
