"""A TCP proxy that passes bytes on until it is told to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Proxy:
    """`cut`: bytes vanish both ways and nothing is closed, as behind a broken switch. `swallow` is what, once a client
    has said it, is passed on for the last time: no answer comes back, and the connection ends."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._open = asyncio.Event()
        self._open.set()
        self._lines: set[asyncio.Task[None]] = set()
        self.swallow: bytes | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        self.reset()
        await asyncio.gather(*self._lines, return_exceptions=True)

    def cut(self) -> None:
        self._open.clear()

    def mend(self) -> None:
        """For new connections: those that were cut stay dead, as after a firewall has forgotten them."""
        self.reset()
        self._open.set()

    def reset(self) -> None:
        for line in self._lines:
            line.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        there: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            back, there = await asyncio.open_connection(self._host, self._port)
            gone = asyncio.Event()
            ways = (self._ask(reader, there, gone), self._answer(back, writer, gone))
            both = [asyncio.create_task(way) for way in ways]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in both:
                    way.cancel()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._lines.discard(task)
            for end in (writer, there):
                if end is not None:
                    end.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._open.wait()
                swallowed = self.swallow is not None and self.swallow in data
                if swallowed:
                    self.swallow = None
                    gone.set()
                writer.write(data)
                await writer.drain()
                if swallowed:
                    await asyncio.sleep(0.3)  # the server does what it was asked to
                    return

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._open.wait()
                if not gone.is_set():
                    writer.write(data)
                    await writer.drain()


@contextlib.asynccontextmanager
async def proxied(host: str, port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(host, port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
