"""The six agents as HTTP servers: each has its own port and registry, and a killed one really closes its port.

How the agents behave is simulation.py's; this module only runs them against the clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import start_http_server

from bot.demo.roster import FAILURE_TITLES, ROSTER, AgentSpec, Failure
from bot.demo.simulation import Simulation

STEP_SECONDS = 0.25


@dataclass
class Process:
    """One agent's process: a simulation and, while it lives, a listening server."""

    spec: AgentSpec
    port: int
    simulation: Simulation
    server: WSGIServer | None = None
    thread: Thread | None = None

    @property
    def alive(self) -> bool:
        return self.server is not None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"


class Fleet:
    """Start it, run it as a task, break and mend its agents by name, stop it."""

    def __init__(self, ports: Mapping[str, int], seed: int = 7, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._seed = seed
        self._births = 0
        now = clock()
        self.processes = {
            spec.id: Process(spec, ports[spec.id], Simulation(spec, seed, now)) for spec in ROSTER if spec.id in ports
        }

    async def start(self) -> None:
        for process in self.processes.values():
            await asyncio.to_thread(_listen, process)

    async def run(self) -> None:
        """Advances every living agent until cancelled."""
        while True:
            now = self._clock()
            for process in self.processes.values():
                if process.alive:
                    process.simulation.step(now)
            await asyncio.sleep(STEP_SECONDS)

    async def stop(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(_hang_up, process) for process in self.processes.values()))

    async def fail(self, agent: str, failure: Failure) -> None:
        """Breaks `agent`. KeyError when there is no such agent."""
        process = self.processes[agent]
        process.simulation.fail(failure, self._clock())
        if failure is Failure.PROCESS_KILLED:
            await asyncio.to_thread(_hang_up, process)

    async def mend(self, agent: str) -> None:
        """Makes `agent` healthy; a killed process starts anew and counts from zero."""
        process = self.processes[agent]
        if process.alive:
            process.simulation.mend(self._clock())
            return
        self._births += 1
        process.simulation = Simulation(process.spec, self._seed + self._births, self._clock())
        await asyncio.to_thread(_listen, process)

    def states(self) -> list[dict[str, Any]]:
        """What the demo's panel shows, as JSON values."""
        return [
            {
                "id": process.spec.id,
                "title": process.spec.title,
                "does": process.spec.does,
                "signature": process.spec.signature.value,
                "failures": sorted(failure.value for failure in process.simulation.failures),
                "alive": process.alive,
                "url": process.url,
            }
            for process in self.processes.values()
        ]


def failures() -> list[dict[str, str]]:
    return [{"id": failure.value, "title": title} for failure, title in FAILURE_TITLES.items()]


def _listen(process: Process) -> None:
    process.server, process.thread = start_http_server(
        process.port, addr="127.0.0.1", registry=process.simulation.registry
    )


def _hang_up(process: Process) -> None:
    server, thread = process.server, process.thread
    process.server = process.thread = None
    if server is not None and thread is not None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
