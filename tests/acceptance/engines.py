"""Engines beside a whole agentpager: real ones from Debian, and one that misbehaves on request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web
from programs import program
from world import World, free_port


def scrape_config(world: World) -> dict[str, Any]:
    """What agentpager.yaml of the world says, in Prometheus' words; and agentpager itself, for the registry."""
    agents = [
        {"targets": [f"127.0.0.1:{agent.port}"], "labels": {"agent": name, "env": "prod"}}
        for name, agent in world.agents.items()
    ]
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {"job_name": "agents", "static_configs": agents},
            {
                "job_name": "agentpager",
                "honor_labels": True,
                "static_configs": [{"targets": [f"127.0.0.1:{world.port}"]}],
            },
        ],
    }


@contextlib.asynccontextmanager
async def running(*command: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def prometheus(
    world: World, port: int, rules: tuple[Path, ...] = (), *, alertmanager: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    home = world.directory / "prometheus"
    home.mkdir(exist_ok=True)
    config = scrape_config(world) | {"rule_files": [str(path) for path in rules]}
    config["global"]["evaluation_interval"] = "1s"
    if alertmanager is not None:
        targets = [{"targets": [f"127.0.0.1:{alertmanager}"]}]
        config["alerting"] = {"alertmanagers": [{"static_configs": targets}]}
    (home / "prometheus.yml").write_text(json.dumps(config))
    async with running(
        program("prometheus"), f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ) as process:  # fmt: skip
        await answering(world, port)
        yield process


@contextlib.asynccontextmanager
async def victoria_metrics(world: World, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    home = world.directory / "victoria"
    home.mkdir(exist_ok=True)
    (home / "scrape.yml").write_text(json.dumps(scrape_config(world)))
    async with running(
        program("victoria-metrics"), f"-storageDataPath={home / 'data'}", f"-promscrape.config={home / 'scrape.yml'}",
        f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=ERROR",
    ) as process:  # fmt: skip
        await answering(world, port)
        yield process


async def answering(world: World, port: int) -> None:
    """Until it has the agents' series."""

    async def there() -> bool:
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{port}/api/v1/query"
            async with ClientSession() as session, session.get(url, params={"query": "up{agent!=''}"}) as answer:
                return answer.status == 200 and len((await answer.json())["data"]["result"]) == len(world.agents)
        return False

    await world.until(there, "the engine's first scrape")


def query_mode(world: World, port: int, more: str = "") -> None:
    """The rules are asked of the engine on that port; the files of rules, runbooks and people stay as they are."""
    path = world.directory / "agentpager.yaml"
    text = path.read_text()
    begin, end = text.index("metrics:"), text.index("rules:")
    engine = f"metrics:\n  prometheus: {{url: 'http://127.0.0.1:{port}', timeout: 900ms{more}}}\n"
    path.write_text(text[:begin] + engine + text[end:])


def push_mode(world: World) -> None:
    """Nothing is scraped, and no rule evaluated here."""
    path = world.directory / "agentpager.yaml"
    text = path.read_text()
    begin, end = text.index("metrics:"), text.index("slack:")
    path.write_text(text[:begin] + "rules: {files: []}\n" + text[end:])


class Between:
    """In front of an engine: hands questions on, or misbehaves as `says` does."""

    def __init__(self, engine: int) -> None:
        self.port = free_port()
        self.says: Any = None
        self.asked: list[dict[str, str]] = []
        self._engine = engine

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Between]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        async with ClientSession() as self._session:
            yield self
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        form = dict(await request.post())
        self.asked.append({**request.query, **form})
        if self.says is not None:
            found = await self.says(request, self)
            if found is not None:
                return found
        return await self.pass_on(request, form)

    async def pass_on(self, request: web.Request, form: dict[str, Any]) -> web.Response:
        url = f"http://127.0.0.1:{self._engine}{request.path_qs}"
        async with self._session.request(request.method, url, data=form or None) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")
