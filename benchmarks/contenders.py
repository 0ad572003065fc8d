"""The two systems the latency benchmark compares, each with a Slack of its own: ours, and Prometheus with Alertmanager.

A contender is started with a list of agents and then only asked when a message about one of them had arrived.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import yaml
from aiohttp import web

from benchmarks.agents import THRESHOLD, Agent
from benchmarks.processes import end, fetch, spawn, until
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from tests.ports import free_port

EXPRESSION = f"agent_tool_errors > {THRESHOLD}"
BINARIES = ("prometheus", "prometheus-alertmanager")


class Contender(Protocol):
    name: str
    agents: list[Agent]

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def posted(self, agent: Agent) -> float | None: ...


class Ours:
    """`python -m bot serve`. Each agent has an owner and a channel of its own, so each page is the first one of its
    direct message and of its channel, and Slack's pace of one message per second and channel never holds it back."""

    name = "agentpager"

    def __init__(self, directory: Path, agents: list[Agent], port: int, answer_seconds: float) -> None:
        self.agents = agents
        self._directory = directory
        self._agents_port = port
        self._port = free_port()
        self._slack = FakeSlack()
        self._process: asyncio.subprocess.Process | None = None
        if answer_seconds:
            self._slack.mode("slow", seconds=answer_seconds)

    async def start(self) -> None:
        await self._slack.__aenter__()
        self._write_files()
        command = (sys.executable, "-m", "bot", "serve", "--config", str(self._directory))
        self._process = await spawn(command, self._directory / "serve.log")
        await until(self._ready, "agentpager is ready")

    async def stop(self) -> None:
        await end(self._process)
        await self._slack.__aexit__(None, None, None)

    def posted(self, agent: Agent) -> float | None:
        """The direct message to the owner."""
        return self._arrived(_user(agent))

    def card(self, agent: Agent) -> float | None:
        """The card in the agent's channel."""
        return self._arrived(_channel(agent))

    def _arrived(self, place: str) -> float | None:
        wanted = self._slack.channel_id(place)
        for call in self._slack.calls("chat.postMessage"):
            if call["answer"].get("ok") and call["answer"]["channel"] == wanted:
                return float(call["at"])
        return None

    async def _ready(self) -> bool:
        ready = await fetch(f"http://127.0.0.1:{self._port}/-/ready")
        if not ready or not ready.get("ready"):
            return False
        targets = await fetch(f"http://127.0.0.1:{self._port}/api/v1/targets")
        active = targets["data"]["activeTargets"] if targets else []
        return len(active) == len(self.agents) and all(target["health"] == "up" for target in active)

    def _write_files(self) -> None:
        targets = [
            {"url": f"http://127.0.0.1:{self._agents_port}{agent.path}", "labels": {"agent": agent.name}}
            for agent in self.agents
        ]
        settings = {
            "metrics": {"scrape": {"interval": "1s", "timeout": "1s", "targets": targets}},
            "rules": {"interval": "1s"},
            "slack": {"bot_token": BOT_TOKEN, "app_token": APP_TOKEN, "api_url": self._slack.api_url},
            "http": {"listen": f"127.0.0.1:{self._port}"},
        }
        rule = {
            "alert": "ToolErrors",
            "expr": EXPRESSION,
            "labels": {"severity": "critical"},
            "annotations": {"summary": "{{ $labels.agent }}: {{ $value }} tool errors"},
        }
        query = 'agent_tool_errors{agent="{{ agent.id }}"}'
        runbook = {
            "schema": "runbook/v1",
            "id": "tool-errors",
            "title": "Tool errors",
            "owner": f"team:{self.agents[0].name}",
            "applies_to": ['alertname="ToolErrors"'],
            "reviewed_on": "2026-11-08",
            "summary": "A tool fails.",
            "steps": [{"id": "errors", "kind": "check", "title": "Tool answers", "query": query, "expect": "< 5"}],
        }
        names = [agent.name for agent in self.agents]
        oncall = {
            "people": {agent.name: {"name": agent.name, "slack": _user(agent)} for agent in self.agents},
            "teams": {name: {"members": [name], "lead": name} for name in names},
            "escalation_policies": {
                name: {"steps": [{"notify": [f"person:{name}"], "wait": "1h"}], "fallback_wait": "1h"} for name in names
            },
            "fallback": f"person:{names[0]}",
        }
        registry = {
            agent.name: {
                "title": agent.name,
                "owner": f"team:{agent.name}",
                "stage": "walk",
                "channel": _channel(agent),
                "escalation": agent.name,
            }
            for agent in self.agents
        }
        files = {
            "agentpager.yaml": settings,
            "alerts/tools.yaml": {"groups": [{"name": "tools", "rules": [rule]}]},
            "runbooks/tool-errors.yaml": runbook,
            "oncall/all.yaml": oncall,
            "agents/all.yaml": {"agents": registry},
        }
        write(self._directory, files)


class Reference:
    """Debian's Prometheus and Alertmanager, the latter posting to a Slack incoming webhook."""

    name = "Prometheus + Alertmanager"

    def __init__(self, directory: Path, agents: list[Agent], port: int, answer_seconds: float) -> None:
        self.agents = agents
        self._directory = directory
        self._agents_port = port
        self._ports = (free_port(), free_port())
        self._answer_seconds = answer_seconds
        self._arrivals: list[tuple[float, str]] = []
        self._runner: web.AppRunner | None = None
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/services/T0HOME/B0HOOK/secret", self._webhook)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._write_files(self._runner.addresses[0][1])
        prometheus, alertmanager = (str(shutil.which(name)) for name in BINARIES)
        commands = {
            "alertmanager": (
                alertmanager, f"--config.file={self._directory / 'alertmanager.yml'}",
                f"--storage.path={self._directory / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{self._ports[1]}", "--cluster.listen-address=",
            ),
            "prometheus": (
                prometheus, f"--config.file={self._directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._directory / 'tsdb'}", f"--web.listen-address=127.0.0.1:{self._ports[0]}",
            ),
        }  # fmt: skip
        for name, command in commands.items():
            self._processes.append(await spawn(command, self._directory / f"{name}.log"))
        await until(self._ready, "Prometheus and Alertmanager are ready")

    async def stop(self) -> None:
        for process in self._processes:
            await end(process)
        if self._runner is not None:
            await self._runner.cleanup()

    def posted(self, agent: Agent) -> float | None:
        return next((at for at, name in self._arrivals if name == agent.name), None)

    async def _webhook(self, request: web.Request) -> web.Response:
        at = time.time()
        message = await request.json()
        self._arrivals.append((at, message["attachments"][0]["title"]))
        await asyncio.sleep(self._answer_seconds)
        return web.Response(text="ok")

    async def _ready(self) -> bool:
        url = f"http://127.0.0.1:{self._ports[0]}/api/v1"
        targets, managers = await fetch(f"{url}/targets"), await fetch(f"{url}/alertmanagers")
        if not targets or not managers or not managers["data"]["activeAlertmanagers"]:
            return False
        active = targets["data"]["activeTargets"]
        return len(active) == len(self.agents) and all(target["health"] == "up" for target in active)

    def _write_files(self, slack_port: int) -> None:
        static = [
            {
                "targets": [f"127.0.0.1:{self._agents_port}"],
                "labels": {"__metrics_path__": agent.path, "agent": agent.name},
            }
            for agent in self.agents
        ]
        manager = {"static_configs": [{"targets": [f"127.0.0.1:{self._ports[1]}"]}]}
        prometheus = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(self._directory / "rules.yml")],
            "alerting": {"alertmanagers": [manager]},
            "scrape_configs": [{"job_name": "agents", "static_configs": static}],
        }
        rule = {
            "alert": "ToolErrors",
            "expr": EXPRESSION,
            "labels": {"severity": "critical"},
            "annotations": {"summary": "{{ $labels.agent }}: {{ $value }} tool errors"},
        }
        message = {
            "api_url": f"http://127.0.0.1:{slack_port}/services/T0HOME/B0HOOK/secret",
            "channel": "#agent-pages",
            "title": "{{ .CommonLabels.agent }}",
            "text": "{{ .CommonAnnotations.summary }}",
        }
        alertmanager = {
            "route": {"receiver": "slack", "group_by": ["agent", "alertname"], "group_wait": "0s"},
            "receivers": [{"name": "slack", "slack_configs": [message]}],
        }
        files = {
            "prometheus.yml": prometheus,
            "rules.yml": {"groups": [{"name": "tools", "rules": [rule]}]},
            "alertmanager.yml": alertmanager,
        }
        write(self._directory, files)


def _user(agent: Agent) -> str:
    return "U0" + agent.name.replace("-", "").upper()


def _channel(agent: Agent) -> str:
    return f"#{agent.name}"


def write(directory: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
