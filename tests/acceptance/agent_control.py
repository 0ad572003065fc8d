"""The reference control plane of examples/ as a process of its own, and a door before it that can misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web
from world import World, free_port

SERVER = Path(__file__).parents[2] / "examples" / "agent-control" / "server.py"
TOKEN = "a-token-of-the-control-plane"
RUNBOOK = """
schema: runbook/v1
id: tool-errors
title: Tool errors
owner: team:payments
applies_to: ['alertname="ToolErrors"']
reviewed_on: 2026-11-08
summary: A tool fails.
impact: "{{ agent.title }} cannot finish its tasks."
steps:
  - id: pause
    kind: action
    title: Pause the agent
    call: {webhook: agent-control, path: "/agents/{{ agent.id }}/pause", body: {reason: "{{ incident.id }}"}}
    approve: {by: [oncall], min: 1, ttl: PAUSE_TTL}
    undo: {path: "/agents/{{ agent.id }}/resume"}
  - id: lower
    kind: action
    title: Lower its autonomy
    call: {webhook: agent-control, method: PUT, path: "/agents/{{ agent.id }}/autonomy", body: {level: suggest}}
    approve: {by: ["role:lead"], min: 1, self: false, ttl: TTL}
    undo: {method: DELETE, path: "/agents/{{ agent.id }}/autonomy"}
  - id: model
    kind: action
    title: Route to the second model
    call: {webhook: agent-control, method: PUT, path: "/agents/{{ agent.id }}/model", body: {model: secondary}}
    approve: {by: ["team:payments"], min: 2, self: true, ttl: TTL}
    undo: {method: DELETE, path: "/agents/{{ agent.id }}/model"}
  - id: revoke
    kind: action
    title: Revoke the token of the CRM
    call: {webhook: agent-control, path: "/agents/{{ agent.id }}/credentials/crm/revoke"}
    approve: {by: ["person:ana"], ttl: TTL}
    undo: {path: "/agents/{{ agent.id }}/credentials/crm/reinstate"}
"""
SETTINGS = """
actions:
  webhooks:
    agent-control:
      url: "URL"
      bearer_token: "TOKEN"
      allow_private: true
      timeout: 2s
      allow:
        - {path: "/agents/*/pause"}
        - {path: "/agents/*/resume"}
        - {path: "/agents/*/autonomy", methods: [PUT, DELETE]}
        - {path: "/agents/*/model", methods: [PUT, DELETE]}
        - {path: "/agents/*/credentials/*/revoke"}
        - {path: "/agents/*/credentials/*/reinstate"}
"""


class Control:
    """`faults` are what the door does to the next requests, first one first: a status to answer without asking the
    server, `silent` (never answers), `lost` (the server does it, nobody hears of it), `held` (until `release` is set).
    """

    def __init__(self, directory: Path) -> None:
        self.port, self._inner = free_port(), free_port()
        self.seen: list[tuple[str, str, str]] = []  # key, method, path
        self.faults: list[int | str] = []
        self.release = asyncio.Event()
        self._database = directory / "agent-control.db"
        self._process: asyncio.subprocess.Process | None = None
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Control:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(SERVER), "--listen", f"127.0.0.1:{self._inner}", "--database", str(self._database),
            env=os.environ | {"AGENT_CONTROL_TOKEN": TOKEN}, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._door)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    await self._ask("GET", "/-/healthy")
                    return self
                await asyncio.sleep(0.05)

    async def __aexit__(self, *_: object) -> None:
        self.release.set()
        assert self._runner is not None
        await self._runner.cleanup()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def state(self, agent: str = "refund-agent") -> dict[str, Any]:
        found: dict[str, Any] = (await self._ask("GET", f"/agents/{agent}"))[1]
        return found

    async def changes(self, agent: str = "refund-agent") -> list[str]:
        """What has been done, the first first."""
        rows: Any = (await self._ask("GET", f"/agents/{agent}/changes"))[1]
        return [row["what"] for row in rows]

    @property
    def keys(self) -> list[str]:
        return [key for key, _, _ in self.seen]

    async def _ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {TOKEN}"} | more.pop("headers", {})
        url = f"http://127.0.0.1:{self._inner}{path}"
        async with ClientSession() as session, session.request(method, url, headers=headers, **more) as answer:
            return answer.status, await answer.json(content_type=None)

    async def _door(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.headers.get("Idempotency-Key", ""), request.method, request.path))
        fault = self.faults.pop(0) if self.faults else ""
        if isinstance(fault, int):
            return web.json_response({"error": "not now"}, status=fault, headers={"Retry-After": "1"})
        if fault == "silent":
            await asyncio.sleep(3600)
        kept = dict(request.headers)
        for name in ("Host", "Content-Length"):
            kept.pop(name, None)
        status, body = await self._ask(request.method, request.path, headers=kept, data=await request.read())
        if fault == "lost":
            assert request.transport is not None
            request.transport.abort()
        if fault == "held":
            await self.release.wait()
        return web.json_response(body, status=status)


def equip(world: World, control: Control, *, ttl: str = "15m") -> None:
    """Gives the bot the runbook and the right to ask; before its start."""
    text = RUNBOOK.replace("PAUSE_TTL", "15m").replace("TTL", ttl)
    (world.directory / "runbooks" / "tool-errors.yaml").write_text(text)
    settings = SETTINGS.replace("URL", f"http://127.0.0.1:{control.port}").replace("TOKEN", TOKEN)
    with (world.directory / "agentpager.yaml").open("a") as file:
        file.write(settings)
