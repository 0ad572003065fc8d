"""The agents of the benchmarks: a gauge each, and the time of the first scrape that saw it crossed."""

from __future__ import annotations

import time
from dataclasses import dataclass

from aiohttp import web

THRESHOLD = 5
BELOW, ABOVE = 0, 38


@dataclass
class Agent:
    """All times are unix seconds; `seen` is when the first scrape arrived that got the crossed value."""

    name: str
    path: str
    crossed: float | None = None
    seen: float | None = None
    scraped: float = 0.0

    def cross(self) -> None:
        self.crossed = time.time()

    def page(self) -> str:
        """What a scrape gets; taken at once, so it saw the crossing exactly when it came after it."""
        self.scraped = time.time()
        if self.crossed is not None and self.seen is None:
            self.seen = self.scraped
        value = BELOW if self.crossed is None else ABOVE
        return f"# TYPE agent_tool_errors gauge\nagent_tool_errors {value}\n"


class Agents:
    """Serves `/<system>/<number>/metrics`, one gauge per system and trial."""

    def __init__(self, systems: tuple[str, ...], count: int) -> None:
        self.of = {
            system: [Agent(f"{system}-{n}", f"/{system}/{n}/metrics") for n in range(count)] for system in systems
        }
        self._paths = {agent.path: agent for agents in self.of.values() for agent in agents}
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/{system}/{number}/metrics", self._metrics)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self._paths[request.path].page().encode(), headers=headers)
