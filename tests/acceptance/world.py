"""A whole installation for one test: agents with real `/metrics`, a Slack that can misbehave, `agentpager serve`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web
from click.testing import CliRunner
from fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from ports import free_port

from bot.cli.main import cli

CHANNEL = "#agent-pages"
ANA, BEN, CHRIS = "U0ANA", "U0BEN", "U0CHRIS"
_ONE_HERE = threading.Lock()  # a command in this process has its standard output and its folder
PATIENCE = 60.0  # a busy machine; a condition that holds costs nothing

RULES = """
groups:
  - name: tools
    rules:
      - alert: ToolErrors
        expr: agent_tool_errors > 5
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.agent }}: {{ $value }} tool errors", runbook: tool-errors}
      - alert: SlowRuns
        expr: agent_latency_seconds > 10
        for: 3s
        labels: {severity: warning}
        annotations: {summary: "{{ $labels.agent }} is slow"}
"""
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
  - id: errors
    kind: check
    title: Tool answers
    query: 'agent_tool_errors{agent="{{ agent.id }}"}'
    expect: "< 5"
    unit: count
    on_fail: rotate
  - id: rotate
    kind: command
    title: Rotate the token
    run_on: your laptop
    text: "agentctl rotate --agent {{ agent.id }}"
"""
ONCALL = """
people:
  ana: {name: Ana Ruiz, slack: U0ANA, timezone: Europe/Madrid}
  ben: {name: Ben Cole, slack: U0BEN}
  chris: {name: Chris Lee, slack: U0CHRIS}
teams:
  payments: {members: [ana, ben], lead: ben}
schedules:
  primary:
    timezone: UTC
    layers: [{people: [ana], every: 1w, handoff: "Mon 09:00", start: 2026-01-05}]
escalation_policies:
  payments:
    steps:
      - {notify: ["schedule:primary"], wait: WAIT}
      - {notify: ["person:ben"], wait: WAIT}
    repeat: 1
    fallback_wait: WAIT
fallback: "person:chris"
"""


class Agent:
    """One `/metrics`, whose values a test sets; `down` closes its port."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()
        self.values: dict[str, float] = {"agent_tool_errors": 0, "agent_latency_seconds": 1}
        self.body: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        self._runner: web.AppRunner | None = None

    async def up(self) -> None:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        if self.body is not None:
            return await self.body(request)
        text = "".join(f"# TYPE {name} gauge\n{name} {value}\n" for name, value in self.values.items())
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})


class World:
    """`wait` is the wait of each step of the escalation policy."""

    def __init__(self, directory: Path, *, wait: str = "60s", agents: tuple[str, ...] = ("refund-agent",)) -> None:
        self.directory = directory
        self.agents = {name: Agent(name) for name in agents}
        self.slack = FakeSlack()
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None
        self.headers: dict[str, str] = {}  # of every request: a token, where the configuration has some
        self._wait = wait
        self._log = directory / "serve.log"

    async def __aenter__(self) -> World:
        await self.slack.__aenter__()
        for agent in self.agents.values():
            await agent.up()
        self._write_files()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        for agent in self.agents.values():
            await agent.down()
        await self.slack.__aexit__(None, None, None)

    def _write_files(self) -> None:
        for folder in ("alerts", "runbooks", "agents", "oncall"):
            (self.directory / folder).mkdir(exist_ok=True)
        (self.directory / "alerts" / "tools.yaml").write_text(RULES)
        (self.directory / "runbooks" / "tool-errors.yaml").write_text(RUNBOOK)
        (self.directory / "oncall" / "payments.yaml").write_text(ONCALL.replace("WAIT", self._wait))
        registry = "".join(
            f"  {name}: {{title: {name.title()}, owner: 'team:payments', stage: walk}}\n" for name in self.agents
        )
        (self.directory / "agents" / "agents.yaml").write_text("agents:\n" + registry)
        targets = "".join(
            f"      - {{url: 'http://127.0.0.1:{agent.port}/metrics', labels: {{agent: {name}, env: prod}}}}\n"
            for name, agent in self.agents.items()
        )
        (self.directory / "agentpager.yaml").write_text(
            textwrap.dedent(
                f"""\
                metrics:
                  scrape:
                    interval: 1s
                    timeout: 1s
                    targets:
                TARGETS
                rules: {{interval: 1s}}
                slack:
                  bot_token: "{BOT_TOKEN}"
                  app_token: "{APP_TOKEN}"
                  channel: "{CHANNEL}"
                  api_url: "{self.slack.api_url}"
                http: {{listen: "127.0.0.1:{self.port}"}}
                """
            ).replace("TARGETS\n", targets)
        )

    async def start(self, *, deaf_log: bool = False, env: dict[str, str] | None = None) -> None:
        """Starts the bot and waits until it is ready; `deaf_log` gives it a pipe that nobody reads any more, `env` adds
        to its environment."""
        surroundings = os.environ | (env or {})
        command = (sys.executable, "-m", "bot", "serve", "--config", str(self.directory))
        if deaf_log:
            reader, writer = os.pipe()
            os.close(reader)
            self.process = await asyncio.create_subprocess_exec(
                *command, stderr=writer, stdout=writer, env=surroundings
            )
            os.close(writer)
        else:
            with self._log.open("ab") as log:
                self.process = await asyncio.create_subprocess_exec(*command, stderr=log, stdout=log, env=surroundings)
        await self.until(self.is_ready, "ready")
        await self.until(self._scraped, "first scrape")

    async def is_ready(self) -> bool:
        return bool((await self.get("/-/ready", quiet=True) or {}).get("ready"))

    async def _scraped(self) -> bool:
        targets = (await self.get("/api/v1/targets"))["data"]["activeTargets"]
        return all(target["health"] != "unknown" for target in targets)

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        await self.process.wait()

    def watcher_pid(self) -> int:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in children:
            if b"bot.watcher" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        raise AssertionError("no watcher runs")

    async def get(self, path: str, *, quiet: bool = False) -> Any:
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            async with ClientSession(headers=self.headers) as session, session.get(url) as answer:
                return await answer.json()
        except OSError:
            if quiet:
                return None
            raise

    async def post(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with ClientSession(headers=self.headers) as session, session.post(url, json=body) as answer:
            return answer.status, await answer.text()

    async def cli(self, *args: str) -> tuple[int, str]:
        """Exit code and output of a command. Loading takes a process a second, so one command at a time runs in this
        process; one that waits or serves, or a second one beside it, runs in its own."""
        if args[0] == "serve" or "--wait" in args or not _ONE_HERE.acquire(blocking=False):
            return await self._cli_process(args)
        try:
            return await asyncio.to_thread(self._cli_here, args)
        finally:
            _ONE_HERE.release()

    def _cli_here(self, args: Sequence[str]) -> tuple[int, str]:
        with contextlib.chdir(self.directory):
            result = CliRunner().invoke(cli, args, prog_name="agentpager")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    async def _cli_process(self, args: Sequence[str]) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *args,
            cwd=self.directory, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def incidents(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.get("/api/pager/incidents?state=all")
        return found

    def pages_to(self, user: str) -> list[dict[str, Any]]:
        return self.slack.posted(user)

    def cards(self) -> list[dict[str, Any]]:
        return [message for message in self.slack.posted(CHANNEL) if "thread_ts" not in message]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.directory / "agentpager.db")) as connection:
            return connection.execute(query).fetchall()

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """Polls until the condition holds; fails with the bot's last lines of log."""
        end = time.monotonic() + seconds
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            if self.process is not None and self.process.returncode is not None:
                raise AssertionError(f"the bot ended while waiting for {what}:\n{self.log()[-4000:]}")
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s for {what}:\n{self.log()[-4000:]}")
            await asyncio.sleep(0.05)

    async def never(self, condition: Callable[[], Any], what: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert not condition(), what
            await asyncio.sleep(0.05)
