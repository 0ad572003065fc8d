"""The six agents and their model gateway as HTTP servers: each has its own port and registry, and a killed one really
closes its port.

How they behave is in simulation.py and gateway.py; this module only runs them against the clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Any, Protocol
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from bot.demo.failures import OF_AGENTS, OF_GATEWAY, Failure
from bot.demo.gateway import GATEWAY, Gateway, Line
from bot.demo.roster import FAST, LARGE, ROSTER, AgentSpec
from bot.demo.simulation import Simulation

STEP_SECONDS = 0.25
TEAM_BUDGET_USD = 100_000.0
NAMES = (*(spec.id for spec in ROSTER), GATEWAY)


class Simulated(Protocol):
    failures: set[Failure]
    exposed: CollectorRegistry

    def step(self, now: float) -> None: ...

    def fail(self, failure: Failure, now: float) -> None: ...

    def mend(self, now: float) -> None: ...


@dataclass
class Process:
    """One process: what it simulates and, while it lives, a listening server. `born` makes its successor."""

    id: str
    title: str
    does: str
    signature: Failure
    port: int
    born: Callable[[int, float], Simulated]
    simulation: Simulated
    server: WSGIServer | None = None
    thread: Thread | None = None

    @property
    def alive(self) -> bool:
        return self.server is not None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"


class Fleet:
    """Start it, run it as a task, break and mend its processes by name, stop it. `host` is where it listens."""

    def __init__(
        self,
        ports: Mapping[str, int],
        seed: int = 7,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
    ) -> None:
        self._clock = clock
        self._host = host
        self._seed = seed
        self._births = 0
        self._line = Line()
        made = [self._gateway(ports), *(self._agent(spec, ports[spec.id]) for spec in ROSTER if spec.id in ports)]
        self.processes = {process.id: process for process in made[1:] + made[:1] if process.id in ports}

    def _agent(self, spec: AgentSpec, port: int) -> Process:
        def born(seed: int, now: float) -> Simulated:
            return Simulation(spec, seed, now, self._line)

        return Process(spec.id, spec.title, spec.does, spec.signature, port, born, born(self._seed, self._clock()))

    def _gateway(self, ports: Mapping[str, int]) -> Process:
        def born(seed: int, now: float) -> Simulated:
            teams = dict.fromkeys(spec.team for spec in ROSTER)
            self._line.gateway = Gateway((FAST, LARGE), teams, seed, now, TEAM_BUDGET_USD)
            return self._line.gateway

        does = "Passes every model call on and prices it"
        simulation = born(self._seed, self._clock())
        return Process(GATEWAY, "Model gateway", does, Failure.PROVIDER_OUT, ports.get(GATEWAY, 0), born, simulation)

    async def start(self) -> None:
        for process in self.processes.values():
            await asyncio.to_thread(_listen, process, self._host)

    async def run(self) -> None:
        """Advances every living process until cancelled."""
        while True:
            now = self._clock()
            for process in self.processes.values():
                if process.alive:
                    process.simulation.step(now)
            await asyncio.sleep(STEP_SECONDS)

    async def stop(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(_hang_up, process) for process in self.processes.values()))

    async def fail(self, name: str, failure: Failure) -> None:
        """Breaks the process. KeyError when there is none of that name, ValueError when it cannot fail so."""
        process = self.processes[name]
        if failure not in _titles_of(name):
            raise ValueError(f"{name} cannot fail by {failure}")
        process.simulation.fail(failure, self._clock())
        if failure is Failure.PROCESS_KILLED:
            if name == GATEWAY:
                self._line.gateway = None
            await asyncio.to_thread(_hang_up, process)

    async def mend(self, name: str) -> None:
        """Makes it healthy; a killed process starts anew and counts from zero."""
        process = self.processes[name]
        if process.alive:
            process.simulation.mend(self._clock())
            return
        self._births += 1
        process.simulation = process.born(self._seed + self._births, self._clock())
        await asyncio.to_thread(_listen, process, self._host)

    def states(self) -> list[dict[str, Any]]:
        """What the demo's panel shows, as JSON values."""
        return [
            {
                "id": process.id,
                "title": process.title,
                "does": process.does,
                "signature": process.signature.value,
                "failures": sorted(failure.value for failure in process.simulation.failures),
                "alive": process.alive,
                "url": process.url,
                "menu": "gateway" if process.id == GATEWAY else "agents",
            }
            for process in self.processes.values()
        ]


def menus() -> dict[str, list[dict[str, Any]]]:
    """What can be broken, by kind of process, under its headings."""
    kinds = {"agents": OF_AGENTS, "gateway": OF_GATEWAY}
    return {
        kind: [
            {
                "heading": heading,
                "failures": [{"id": failure.value, "title": title} for failure, title in failures.items()],
            }
            for heading, failures in groups.items()
        ]
        for kind, groups in kinds.items()
    }


def _titles_of(name: str) -> dict[Failure, str]:
    groups = OF_GATEWAY if name == GATEWAY else OF_AGENTS
    return {failure: title for group in groups.values() for failure, title in group.items()}


def _listen(process: Process, host: str) -> None:
    process.server, process.thread = start_http_server(process.port, addr=host, registry=process.simulation.exposed)


def _hang_up(process: Process) -> None:
    server, thread = process.server, process.thread
    process.server = process.thread = None
    if server is not None and thread is not None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
