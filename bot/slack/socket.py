"""The Socket Mode connection, kept alive by our own watchdog on a clock that never steps.

The SDK's client judges by the wall clock, closes the old connection before it has a new one, and can go on trying one
dead address for ever. So whenever it wants to reconnect, and whenever it shows no sign of life, a new client is made;
the old one goes when the new one stands.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.web import quiet_logger, redact

logger = logging.getLogger(__name__)

DEAF_SECONDS = 30.0
_PING_SECONDS = 5.0
_LOOK_SECONDS = 0.25
_CLOSE_SECONDS = 2.0
_HANDOVER_SECONDS = 10.0  # Slack closes the old connection about this long after it has asked for a new one
_LAST_ANSWERS_SECONDS = 3.0  # clicks that came by the old connection are answered by it


class _Line:
    """One client of the SDK, with its one connection."""

    def __init__(self, app: AsyncApp, app_token: str, web: AsyncWebClient, ping_seconds: float) -> None:
        self.handler = AsyncSocketModeHandler(
            app, app_token, logger=quiet_logger("bot.slack.socket_mode"), web_client=web, ping_interval=ping_seconds
        )
        self.handler.client.on_message_listeners.append(self._heard)
        self._frames = 0
        self._connecting: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._connecting = asyncio.create_task(self._connect(), name="slack-socket-connect")

    @property
    def up(self) -> bool:
        session = self.handler.client.current_session
        return session is not None and not session.closed

    def sign_of_life(self) -> tuple[object, ...]:
        """Differs from the last one when anything has come through: a frame, or the answer to a ping."""
        client = self.handler.client
        return id(client.current_session), client.last_ping_pong_time, self._frames

    async def close(self) -> None:
        """Without waiting for a peer that no longer answers."""
        client = self.handler.client
        client.closed = True
        client.auto_reconnect_enabled = False
        tasks = [self._connecting, client.message_processor, client.current_session_monitor, client.message_receiver]
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

    async def _connect(self) -> None:
        await self.handler.connect_async()  # type: ignore[no-untyped-call]

    async def _heard(self, _message: Any) -> None:
        self._frames += 1


class SocketLink:
    """`web` must carry the address of the API; the application token is given to apps.connections.open alone."""

    def __init__(self, app: AsyncApp, app_token: str, web: AsyncWebClient, deaf_seconds: float = DEAF_SECONDS) -> None:
        self._make = functools.partial(_Line, app, app_token, web, min(_PING_SECONDS, deaf_seconds / 4))
        self._deaf_seconds = deaf_seconds
        self._line: _Line | None = None
        self._watching: asyncio.Task[None] | None = None
        self._retiring: dict[asyncio.Task[None], _Line] = {}
        self._alive_at = 0.0
        self.renewed = 0

    async def start(self) -> None:
        """Returns at once; connecting goes on in the background for as long as it takes."""
        self._open()
        self._watching = asyncio.create_task(self._watch(), name="slack-socket-watchdog")

    async def stop(self) -> None:
        tasks = [*self._retiring, *([self._watching] if self._watching is not None else [])]
        lines = [*self._retiring.values(), *([self._line] if self._line is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for line in lines:
            await line.close()
        self._line = self._watching = None
        self._retiring.clear()

    def healthy(self) -> bool:
        if self._line is None or not self._line.up:
            return False
        return asyncio.get_running_loop().time() - self._alive_at < self._deaf_seconds

    def _open(self) -> _Line:
        line = self._make()

        async def renew(force: bool = False) -> None:
            self._renew(line)

        # The one place at which the SDK's client would reconnect by itself.
        line.handler.client.connect_to_new_endpoint = renew  # type: ignore[method-assign]
        self._line = line
        self._alive_at = asyncio.get_running_loop().time()
        line.open()
        return line

    def _renew(self, old: _Line) -> None:
        if self._line is not old:
            return
        self.renewed += 1
        new = self._open()
        task = asyncio.create_task(self._retire(old, new), name="slack-socket-handover")
        self._retiring[task] = old
        task.add_done_callback(lambda done: self._retiring.pop(done, None))

    async def _retire(self, old: _Line, new: _Line) -> None:
        for _ in range(round(_HANDOVER_SECONDS / _LOOK_SECONDS)):
            if new.up:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        if old.up:
            await asyncio.sleep(_LAST_ANSWERS_SECONDS)
        await old.close()

    async def _watch(self) -> None:
        last: tuple[object, ...] = ()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            assert self._line is not None
            sign = (id(self._line), *self._line.sign_of_life())
            now = asyncio.get_running_loop().time()
            if sign != last:
                last, self._alive_at = sign, now
            elif now - self._alive_at >= self._deaf_seconds:
                logger.warning("slack socket: no sign of life for %.0f s, connecting anew", now - self._alive_at)
                self._renew(self._line)
