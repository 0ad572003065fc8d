"""The whole demo: agents, workspace and the real bot as a child process, started in order and stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp

from bot.config import Config, load
from bot.demo.cast import scene
from bot.demo.configuration import Addresses, claimed, write
from bot.demo.failures import Failure
from bot.demo.fleet import NAMES, Fleet, menus
from bot.demo.gateway import GATEWAY
from bot.demo.workspace import Workspace
from bot.oncall.model import Policy
from bot.schema import format_duration
from bot.sources import read_sources

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
FIRST_AGENT_PORT = 9101
PAGER_PORT = 9095
LOG_LINES = 15

SlackMode = Literal["socket", "http"]


class ShowError(Exception):
    """Something of the demo did not start or has died; the message says what, and shows the end of its log."""


@dataclass(frozen=True)
class Options:
    port: int
    directory: Path
    slack_mode: SlackMode = "socket"


class Show:
    """`perform` is the demo from start to end; `start` and `stop` are its halves, for tests."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self._options = options
        self._say = say
        self._bot: asyncio.subprocess.Process | None = None
        self._log = options.directory / "bot.log"
        self._stepping: asyncio.Task[None] | None = None
        self._directory = contextlib.ExitStack()
        self.fleet: Fleet | None = None
        self.workspace: Workspace | None = None

    async def start(self) -> str:
        self._directory.enter_context(claimed(self._options.directory))
        turn = await asyncio.to_thread(_take_turn)
        try:
            return await self._start()
        finally:
            turn.close()

    async def _start(self) -> str:
        began = time.monotonic()
        ports = free_ports([FIRST_AGENT_PORT + index for index in range(len(NAMES))] + [PAGER_PORT, self._options.port])
        agent_ports = dict(zip(NAMES, ports, strict=False))
        pager_port, page_port = ports[-2:]
        self.fleet = Fleet(agent_ports)
        await self.fleet.start()
        self._stepping = asyncio.create_task(self.fleet.run())
        listening = ", ".join(str(port) for port in agent_ports.values())
        self._say(f"six agents and their model gateway serve /metrics on ports {listening}")
        await self._open_workspace(self.fleet, pager_port, page_port, agent_ports)
        assert self.workspace is not None
        self._say("the bot is starting")
        await self._start_bot()
        await self._until_ready(f"http://127.0.0.1:{pager_port}/-/ready", began + READY_SECONDS)
        self._say(f"the bot watches the agents and is connected, {time.monotonic() - began:.1f} s after the start")
        return self.workspace.url

    async def _open_workspace(self, fleet: Fleet, pager_port: int, page_port: int, agents: dict[str, int]) -> None:
        panel = FleetPanel(fleet)
        mode = self._options.slack_mode
        request_url = f"http://127.0.0.1:{pager_port}/slack/events" if mode == "http" else ""
        self.workspace = Workspace(scene(), panel=panel, request_url=request_url)
        await self.workspace.start(page_port)
        addresses = Addresses(self.workspace.url, pager_port, agents)
        config_path = write(self._options.directory, addresses, self.workspace.world.app, mode)
        self._say(f"a Slack-like workspace listens on {self.workspace.url}")
        config = load(read_sources(config_path, {}))
        panel.describe(config)
        self._say(f"the bot's configuration is in {self._options.directory}/ ({len(config.groups)} rule groups)")

    async def _start_bot(self) -> None:
        config = self._options.directory / "agentpager.yaml"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SLACK_")}
        environment["PYTHONSAFEPATH"] = "1"  # a folder named "bot" where the visitor stands is not ours
        with self._log.open("wb") as log:
            self._bot = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bot", "serve", "--config", str(config),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip

    async def _until_ready(self, url: str, deadline: float) -> None:
        assert self._bot is not None
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while time.monotonic() < deadline:
                if self._bot.returncode is not None:
                    raise ShowError(self._died())
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(url) as response:
                        if response.status == 200 and self._connected:
                            return
                await asyncio.sleep(0.2)
        raise ShowError(f"the bot was not ready after {READY_SECONDS:.0f} s. {self._end_of_log()}")

    @property
    def _connected(self) -> bool:
        assert self.workspace is not None
        return self._options.slack_mode == "http" or self.workspace.sockets.connected

    def _died(self) -> str:
        assert self._bot is not None
        return f"the bot ended with exit code {self._bot.returncode}. {self._end_of_log()}"

    def _end_of_log(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-LOG_LINES:] if self._log.exists() else []
        return f"The end of {self._log}:\n" + "\n".join(f"  {line}" for line in lines)

    async def perform(self, ready: Callable[[str], None]) -> None:
        """Starts, calls `ready` with the page's address, runs until SIGINT, SIGTERM or SIGHUP, and stops everything.

        ShowError when something does not start, or the bot or the simulation dies meanwhile.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        stopped = asyncio.create_task(stop.wait())
        try:
            starting = asyncio.create_task(self.start())
            if stopped in (await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED))[0]:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                return
            ready(await starting)
            await self._until_stopped(stopped)
            self._say("stopping")
        finally:
            stopped.cancel()
            await self.stop()

    async def _until_stopped(self, stopped: asyncio.Task[Any]) -> None:
        assert self._bot is not None
        assert self._stepping is not None
        bot = asyncio.create_task(self._bot.wait())
        done, _ = await asyncio.wait({bot, stopped, self._stepping}, return_when=asyncio.FIRST_COMPLETED)
        if stopped in done:
            return
        if bot in done:
            raise ShowError(self._died())
        raise ShowError(f"the simulated agents stopped: {self._stepping.exception()!r}")

    async def stop(self) -> None:
        """Everything this demo started, the bot first so that it can finish what it is sending."""
        if self._bot is not None:
            await _end(self._bot)
        if self.workspace is not None:
            await self.workspace.stop()
        if self._stepping is not None:
            self._stepping.cancel()
            await asyncio.gather(self._stepping, return_exceptions=True)
        if self.fleet is not None:
            await self.fleet.stop()
        self._directory.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Asks, waits, then ends the whole group: the bot has a child of its own."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def agents_alone(host: str, say: Callable[[str], None]) -> None:
    """The agents and their gateway until SIGINT or SIGTERM, on ports that are always the same, for a bot elsewhere."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    fleet = Fleet({name: FIRST_AGENT_PORT + index for index, name in enumerate(NAMES)}, host=host)
    try:
        await fleet.start()
        for process in fleet.processes.values():
            say(f"{process.id} serves /metrics on port {process.port}")
        running = asyncio.create_task(fleet.run())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        stopped.cancel()
    finally:
        await fleet.stop()


def _take_turn() -> contextlib.ExitStack:
    """Waits while another demo on this machine starts: between choosing a free port and taking it, it may be gone."""
    turn = contextlib.ExitStack()
    with contextlib.suppress(OSError):  # somebody else's lock file: the race is unlikely enough
        file = turn.enter_context((Path(tempfile.gettempdir()) / "agentpager-demo.lock").open("a"))
        fcntl.flock(file, fcntl.LOCK_EX)
    return turn


def free_ports(wanted: Iterable[int]) -> list[int]:
    """Each wanted port, or a free one in its place when it is taken."""
    held: list[socket.socket] = []
    try:
        held.extend(_hold(port) for port in wanted)
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _hold(port: int) -> socket.socket:
    for candidate in (port, 0):
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", candidate))
        except OSError:
            one.close()
        else:
            return one
    raise ShowError("this machine has no free port on 127.0.0.1")


class FleetPanel:
    """The agents as the page's panel: what each does, who owns it, and buttons that break and mend it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._owners: dict[str, str] = {}
        self._notes: list[str] = []

    def describe(self, config: Config) -> None:
        """Takes owners and waits from the configuration, so that the page says what is really in force."""
        self._owners = {agent.id: agent.owner.partition(":")[2] for agent in config.agents.values()}
        self._owners[GATEWAY] = "platform"
        scrape = format_duration(config.settings.metrics.scrape.interval)
        self._notes = [
            *_waits(config.book.escalation_policies.values()),
            f"Metrics are read every {scrape} (usually 15s). An agent is down after 5s (usually 1m).",
            "What is on a button pages within seconds. What is under Other… may take as long as its rule looks back: "
            "from a minute to hours.",
            "Mended, a page clears in one or two minutes.",
        ]

    def state(self) -> dict[str, Any]:
        agents = [{**state, "owner": self._owners.get(state["id"], "")} for state in self._fleet.states()]
        return {
            "intro": "Break one, and its owner is paged within seconds. Acknowledge, or wait and watch it escalate.",
            "agents": agents,
            "menus": menus(),
            "notes": self._notes,
        }

    async def act(self, target: str, action: str) -> None:
        if action == "mend":
            await self._fleet.mend(target)
        else:
            await self._fleet.fail(target, Failure(action))


def _waits(policies: Iterable[Policy]) -> list[str]:
    """One line per different set of waits, so that equal policies are told once."""
    lines = []
    for policy in policies:
        waits = ", then ".join(format_duration(step.wait) for step in policy.steps)
        fallback = format_duration(policy.fallback_wait)
        lines.append(
            f"No ack pages the next person after {waits}, {policy.repeat + 1} times over; "
            f"then the fallback every {fallback} (usually 5m, 10m, 15m)."
        )
    return list(dict.fromkeys(lines))
