"""The Socket Mode connection, kept alive by our own watchdog on a clock that never steps.

The SDK reconnects by itself in most cases, but it judges by the wall clock and can go on trying one dead address for
ever. So a connection without a sign of life is thrown away whole, and a new one made.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.web import quiet_logger, redact

logger = logging.getLogger(__name__)

DEAF_SECONDS = 30.0
_PING_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_CLOSE_SECONDS = 2.0


class SocketLink:
    """`web` must carry the address of the API; the application token is given to apps.connections.open alone."""

    def __init__(self, app: AsyncApp, app_token: str, web: AsyncWebClient, deaf_seconds: float = DEAF_SECONDS) -> None:
        self._app = app
        self._app_token = app_token
        self._web = web
        self._deaf_seconds = deaf_seconds
        self._handler: AsyncSocketModeHandler | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._frames = 0
        self._alive_at = 0.0
        self.rebuilt = 0

    async def start(self) -> None:
        """Returns at once; connecting goes on in the background for as long as it takes."""
        self._build()
        self._watching = asyncio.create_task(self._watch(), name="slack-socket-watchdog")

    async def stop(self) -> None:
        for task in (self._watching, self._connecting):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._watching = self._connecting = None
        if self._handler is not None:
            await _discard(self._handler)
            self._handler = None

    def healthy(self) -> bool:
        session = self._handler.client.current_session if self._handler is not None else None
        if session is None or session.closed:
            return False
        return asyncio.get_running_loop().time() - self._alive_at < self._deaf_seconds

    def _build(self) -> None:
        self._handler = AsyncSocketModeHandler(
            self._app,
            self._app_token,
            logger=quiet_logger("bot.slack.socket_mode"),
            web_client=self._web,
            ping_interval=min(_PING_SECONDS, self._deaf_seconds / 4),
        )
        self._handler.client.on_message_listeners.append(self._heard)
        self._alive_at = asyncio.get_running_loop().time()
        self._connecting = asyncio.create_task(_connect(self._handler), name="slack-socket-connect")

    async def _heard(self, _message: Any) -> None:
        self._frames += 1

    async def _watch(self) -> None:
        last: tuple[object, ...] = ()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            assert self._handler is not None
            client = self._handler.client
            sign = (id(client.current_session), client.last_ping_pong_time, self._frames)
            now = asyncio.get_running_loop().time()
            if sign != last:
                last, self._alive_at = sign, now
            elif now - self._alive_at >= self._deaf_seconds:
                logger.warning("slack socket: no sign of life for %.0f s, connecting anew", now - self._alive_at)
                await self._rebuild()

    async def _rebuild(self) -> None:
        old, connecting = self._handler, self._connecting
        self.rebuilt += 1
        self._build()
        if connecting is not None:
            connecting.cancel()
        if old is not None:
            await _discard(old)


async def _connect(handler: AsyncSocketModeHandler) -> None:
    await handler.connect_async()  # type: ignore[no-untyped-call]


async def _discard(handler: AsyncSocketModeHandler) -> None:
    """Closes without waiting for a peer that no longer answers."""
    client = handler.client
    client.closed = True
    client.auto_reconnect_enabled = False
    tasks = [client.message_processor, client.current_session_monitor, client.message_receiver]
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            if client.current_session is not None:
                await client.current_session.close()
    except (TimeoutError, OSError) as error:
        logger.info("slack socket: closed without goodbye: %s", redact(str(error)))
    await client.aiohttp_client_session.close()
