"""What the outbox, the courier, the illustrator and the actuator share: rounds that go on whatever happens in one, and
what is under way as tasks; the first two also a runbook that keeps no page waiting. What is sent where, and when, is
theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from bot import telemetry
from bot.incidents.model import Incident
from bot.renderings import Renderings
from bot.runbooks.rendered import Rendered

log = structlog.get_logger()

_SET_ASIDE = 5.0  # seconds until a page is tried again whose handling broke


class Loop(ABC):
    """`name` stands in the log and in the metric of loops that failed."""

    def __init__(self, name: str) -> None:
        self.name, self._failed_event = name, f"{name}.failed"
        self._event = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def _round(self) -> float:
        """Starts everything that may start now; returns the seconds until something else may."""

    def wake(self) -> None:
        """Something has been written: the next round begins now."""
        self._event.set()

    async def run(self) -> None:
        while True:
            self._event.clear()
            try:
                pause = await self._round()
            except Exception:
                telemetry.loop_errors.labels(self.name).inc()
                log.exception(self._failed_event)
                pause = 1.0
            # Not asyncio.wait_for: when the event comes with a cancellation it forgets that it was cancelled.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._event.wait()

    async def stop(self, seconds: float = 10.0) -> None:
        """Lets what is in flight finish."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def abandon(self) -> None:
        """Breaks off what is in flight: another process does this now."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, name: str, work: Coroutine[Any, Any, None], free: Callable[[], None]) -> asyncio.Task[None]:
        """`free` lets its pages be taken up again: when it has ended, a while later when it broke."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)

        def finished(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()):
                telemetry.loop_errors.labels("delivery").inc()
                log.error("delivery.failed", page=name, error=repr(error))
                asyncio.get_running_loop().call_later(_SET_ASIDE, free)
            else:
                free()
            self._event.set()

        task.add_done_callback(finished)
        return task


class Sender(Loop):
    """`facts` looks up the configuration as it is when it is called."""

    def __init__(self, name: str, renderings: Renderings, facts: Callable[[Incident], dict[str, object]]) -> None:
        super().__init__(name)
        self._renderings = renderings
        self._facts = facts

    async def _rendered(self, incident: Incident) -> Rendered | None:
        try:
            return await self._renderings.for_page(incident, self._facts(incident))
        except Exception:
            telemetry.loop_errors.labels("rendering").inc()
            log.exception("rendering.failed", incident=incident.id)
            return None  # the page goes out plain
