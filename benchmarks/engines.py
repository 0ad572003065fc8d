"""The systems that the rules and the scrape benchmarks compare: each scrapes the fleet and evaluates one rule file.

All are given the same targets and the same rules, and are left as their makers ship them in every other respect.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import yaml

from benchmarks.fleet import groups
from benchmarks.inside import write_configuration
from benchmarks.processes import binary, cpu_seconds, die_with_parent, end, fetch, spawn, text, until
from bot.joint import Update
from bot.sources import read_sources
from bot.supervisor import WatcherProcess
from tests.ports import free_port

RELOAD_SECONDS = 60.0
Alerts = frozenset[tuple[frozenset[tuple[str, str]], str]]  # labels and state


class Engine(Protocol):
    """`last_round` is a mark that each finished round changes, and what that round took; `processes` are ids."""

    name: str
    version: str

    async def start(self, targets: Path, scrape_seconds: float) -> None: ...
    async def load(self, rules: list[dict[str, Any]], interval: float) -> None: ...
    async def unload(self) -> None: ...
    async def stop(self) -> None: ...
    async def targets_up(self) -> int: ...
    async def last_round(self) -> tuple[float, float]: ...
    async def alerts(self) -> Alerts: ...
    @property
    def processes(self) -> list[int]: ...


class FleetProcess:
    """Serves the pages, and writes the list of targets that all engines read."""

    def __init__(self, directory: Path, agents: int) -> None:
        self.targets = directory / "targets.json"
        self.port = 0
        self._agents = agents
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.pages", "--agents", str(self._agents),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, preexec_fn=die_with_parent,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.port = int(await self._process.stdout.readline())
        self.targets.write_text(json.dumps([self._target(number) for number in range(self._agents)]))

    async def stop(self) -> None:
        await end(self._process)

    def _target(self, number: int) -> dict[str, Any]:
        labels = {"agent": f"agent-{number}", "instance": f"agent-{number}", "__metrics_path__": f"/{number}/metrics"}
        return {"targets": [f"127.0.0.1:{self.port}"], "labels": labels}


class Prometheus:
    name = "Prometheus"

    def __init__(self, directory: Path) -> None:
        self.version = ""
        self._directory = directory
        self._url = ""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, targets: Path, scrape_seconds: float) -> None:
        config = prometheus_config(targets, scrape_seconds) | {"rule_files": [str(self._directory / "rules.yml")]}
        (self._directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        write_rules(self._directory / "rules.yml", [], 60)
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        command = (
            binary("prometheus", "PROMETHEUS"), f"--config.file={self._directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._directory / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-lifecycle", "--log.level=warn",
        )  # fmt: skip
        self._process = await spawn(command, self._directory / "prometheus.log")
        await until(self._ready, "Prometheus is ready")
        self.version = (await fetch(f"{self._url}/api/v1/status/buildinfo"))["data"]["version"].partition("+")[0]

    async def stop(self) -> None:
        await end(self._process)

    async def load(self, rules: list[dict[str, Any]], interval: float) -> None:
        write_rules(self._directory / "rules.yml", rules, interval)
        await text(f"{self._url}/-/reload", "POST")

    async def unload(self) -> None:
        await self.load([], 60)

    async def targets_up(self) -> int:
        answer = await fetch(f"{self._url}/api/v1/query?query=count(up==1)")
        found = answer["data"]["result"] if answer and answer.get("status") == "success" else []
        return int(found[0]["value"][1]) if found else 0

    async def last_round(self) -> tuple[float, float]:
        return group_metrics(await text(f"{self._url}/metrics"), "prometheus")

    async def alerts(self) -> Alerts:
        return alerts_of((await fetch(f"{self._url}/api/v1/alerts"))["data"])

    @property
    def processes(self) -> list[int]:
        return [self._process.pid] if self._process is not None else []

    async def _ready(self) -> bool:
        return bool(await text(f"{self._url}/-/ready"))


class VictoriaMetrics:
    """VictoriaMetrics in one process, scraping; vmalert is there only while there are rules."""

    name = "VictoriaMetrics + vmalert"

    def __init__(self, directory: Path, notifier_port: int) -> None:
        # Debian's builds do not say their version.
        self.version = os.environ.get("VICTORIA_METRICS_VERSION", "")
        self._directory = directory
        self._notifier = f"http://127.0.0.1:{notifier_port}"
        self._url = self._alerter_url = ""
        self._process: asyncio.subprocess.Process | None = None
        self._alerter: asyncio.subprocess.Process | None = None
        self._seen = (0.0, 0.0)
        self._last = 0.0

    async def start(self, targets: Path, scrape_seconds: float) -> None:
        (self._directory / "victoria.yml").write_text(yaml.safe_dump(prometheus_config(targets, scrape_seconds)))
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        command = (
            binary("victoria-metrics", "VICTORIA_METRICS"),
            f"-promscrape.config={self._directory / 'victoria.yml'}",
            f"-storageDataPath={self._directory / 'victoria'}", f"-httpListenAddr=127.0.0.1:{port}",
            "-loggerLevel=ERROR",
        )  # fmt: skip
        self._process = await spawn(command, self._directory / "victoria.log")
        await until(self._ready, "VictoriaMetrics is ready")

    async def stop(self) -> None:
        await self.unload()
        await end(self._process)

    async def load(self, rules: list[dict[str, Any]], interval: float) -> None:
        write_rules(self._directory / "vmalert.yml", rules, interval)
        port = free_port()
        self._alerter_url = f"http://127.0.0.1:{port}"
        self._seen = (0.0, 0.0)
        command = (
            binary("vmalert", "VMALERT"), f"-rule={self._directory / 'vmalert.yml'}",
            f"-datasource.url={self._url}", f"-remoteWrite.url={self._url}", f"-remoteRead.url={self._url}",
            f"-notifier.url={self._notifier}", f"-httpListenAddr=127.0.0.1:{port}", "-disableAlertgroupLabel",
            "-loggerLevel=ERROR",
        )  # fmt: skip
        self._alerter = await spawn(command, self._directory / "vmalert.log")

    async def unload(self) -> None:
        await end(self._alerter)
        self._alerter = None

    async def targets_up(self) -> int:
        page = await text(f"{self._url}/metrics")
        return int(metric(page, "vm_promscrape_targets", 'status="up"'))

    async def last_round(self) -> tuple[float, float]:
        page = await text(f"{self._alerter_url}/metrics")
        name = "vmalert_iteration_duration_seconds"
        now = metric(page, f"{name}_count", '"bench"'), metric(page, f"{name}_sum", '"bench"')
        if now[0] > self._seen[0]:
            self._last = (now[1] - self._seen[1]) / (now[0] - self._seen[0])
            self._seen = now
        return now[0], self._last

    async def alerts(self) -> Alerts:
        return alerts_of((await fetch(f"{self._alerter_url}/api/v1/alerts"))["data"])

    @property
    def processes(self) -> list[int]:
        return [process.pid for process in (self._process, self._alerter) if process is not None]

    async def _ready(self) -> bool:
        return bool(await text(f"{self._url}/health"))


class Ours:
    """The watcher as the pager runs it, over the joint; this process takes the pager's place and reads its updates."""

    name = "agentpager"

    def __init__(self, directory: Path) -> None:
        self.version = version("agentpager")
        self.first_seconds = 0.0  # from the order to reload to the first update that the new rules made
        self.longest_pause = 0.0  # of its event loop since the rules were loaded
        self.rule_seconds = 0.0  # of all evaluations since it was started, those between rounds too
        self._directory = directory
        self._scrape: dict[str, Any] = {}
        self._watcher = WatcherProcess(self._configuration, self._on_update)
        self._updated = asyncio.Event()

    async def start(self, targets: Path, scrape_seconds: float) -> None:
        every = f"{round(scrape_seconds * 1000)}ms"
        self._scrape = {"interval": every, "timeout": every, "file_sd": [str(targets)]}
        write_configuration(self._directory, [], 60, self._scrape)
        self._watcher.start()
        await until(self._ready, "the watcher is ready")

    async def stop(self) -> None:
        await self._watcher.stop()

    async def load(self, rules: list[dict[str, Any]], interval: float) -> None:
        write_configuration(self._directory, rules, interval, self._scrape)
        self._updated.clear()
        self.longest_pause = 0.0
        begun = time.monotonic()
        await self._watcher.reconfigure()
        if rules:
            await asyncio.wait_for(self._updated.wait(), RELOAD_SECONDS)
        self.first_seconds = time.monotonic() - begun

    async def unload(self) -> None:
        await self.load([], 60)

    async def targets_up(self) -> int:
        return int(metric(await self._metrics(), "agentpager_targets", 'health="up"'))

    async def last_round(self) -> tuple[float, float]:
        page = await self._metrics()
        self.rule_seconds = metric(page, "agentpager_rule_group_duration_seconds_sum")
        self.longest_pause = max(self.longest_pause, metric(page, "agentpager_watcher_loop_lag_seconds"))
        return group_metrics(page, "agentpager")

    async def alerts(self) -> Alerts:
        asked = {"path": "alerts", "fields": [], "pack": False}
        for _ in range(5):
            _, body = await self._watcher.ask("api", asked, RELOAD_SECONDS)
            answer = json.loads(body)
            if answer["status"] == "success":
                return alerts_of(answer["data"])
            await asyncio.sleep(2)
        raise SystemExit(f"the watcher does not list its alerts: {body[:300]!r}")

    @property
    def processes(self) -> list[int]:
        process = self._watcher._process
        return [process.pid] if process is not None else []

    async def _configuration(self) -> dict[str, Any]:
        return {"sources": read_sources(self._directory, {}).for_watcher().to_json(), "states": {}}

    async def _on_update(self, update: Update) -> None:
        if update.group.endswith(";bench"):
            self._updated.set()

    async def _metrics(self) -> str:
        return str(await self._watcher.ask("metrics", {}, RELOAD_SECONDS))

    async def _ready(self) -> bool:
        return self._watcher.ready


def made(names: Sequence[str], directory: Path, notifier_port: int) -> list[Engine]:
    """Each with a directory of its own."""
    engines: dict[str, Callable[[Path], Engine]] = {
        "prometheus": Prometheus,
        "victoria": lambda own: VictoriaMetrics(own, notifier_port),
        "ours": Ours,
    }
    places = [directory / name for name in names]
    for place in places:
        place.mkdir()
    return [engines[place.name](place) for place in places]


def used(engine: Engine) -> float:
    """Processor seconds of its processes."""
    return sum(cpu_seconds(pid) for pid in engine.processes)


def prometheus_config(targets: Path, scrape_seconds: float) -> dict[str, Any]:
    every = f"{round(scrape_seconds * 1000)}ms"
    job = {"job_name": "agents", "file_sd_configs": [{"files": [str(targets)]}]}
    return {"global": {"scrape_interval": every, "scrape_timeout": every}, "scrape_configs": [job]}


def write_rules(path: Path, rules: list[dict[str, Any]], interval: float) -> None:
    path.write_text(json.dumps(groups(rules, interval) if rules else {"groups": []}))


def metric(page: str, name: str, part: str = "") -> float:
    """The sum of the metric's samples whose labels contain `part`."""
    lines = re.findall(rf"^{re.escape(name)}(\{{.*\}})? (\S+)$", page, re.MULTILINE)
    return sum(float(value) for labels, value in lines if part in labels)


def group_metrics(page: str, prefix: str) -> tuple[float, float]:
    names = ("last_evaluation_timestamp_seconds", "last_duration_seconds")
    stamp, seconds = (metric(page, f"{prefix}_rule_group_{name}", ";bench") for name in names)
    return stamp, seconds


def alerts_of(data: dict[str, Any]) -> Alerts:
    """Of the benchmark's own rules only."""
    return frozenset(
        (frozenset(alert["labels"].items()), alert["state"]) for alert in data["alerts"] if "kind" in alert["labels"]
    )
