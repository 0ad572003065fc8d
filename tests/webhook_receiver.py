"""An HTTP end that keeps what it is asked, for the tests of what goes out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web


class Receiver:
    """Keeps what is posted; `answer` says what comes back."""

    def __init__(self) -> None:
        self.requests: list[tuple[web.BaseRequest, bytes]] = []
        self.answer: Callable[[], Awaitable[web.StreamResponse] | web.StreamResponse] = web.Response
        self.port = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append((request, await request.read()))
        answer = self.answer()
        return await answer if isinstance(answer, Awaitable) else answer


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    runner = web.ServerRunner(web.Server(one.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.port = runner.addresses[0][1]
    try:
        yield one
    finally:
        await runner.cleanup()
