"""Hears from the server that another process has committed something.

Notices may be lost, while the connection is made anew for example: whoever relies on them looks now and then too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    import psycopg

log = structlog.get_logger()

CHANNEL = "agentpager"
_SILENCE = 20.0  # seconds after which the connection is tried
_ANSWER = 5.0
_AGAIN = 1.0


class Ear:
    """`connect` gives a connection of its own, `heard` is called for notices of others than `me`."""

    def __init__(
        self, connect: Callable[[], Awaitable[psycopg.AsyncConnection[Any]]], me: str, heard: Callable[[], None]
    ) -> None:
        self._connect, self._me, self._heard = connect, me, heard
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="notices")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - whatever it was, there is the other way
                log.info("notices.broken", error=str(error).strip() or type(error).__name__)
            await asyncio.sleep(_AGAIN)

    async def _listen(self) -> None:
        connection = await self._connect()
        try:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._heard()  # of what was committed before
            while True:
                async for notice in connection.notifies(timeout=_SILENCE):
                    if notice.payload != self._me:
                        self._heard()
                async with asyncio.timeout(_ANSWER):
                    await connection.execute("SELECT 1")
        finally:
            connection.pgconn.finish()  # without a word: nobody waits for the server here
