"""Ticking. The one door to APScheduler.

APScheduler only ticks here: no job store, no deadline lives in it. It counts on the wall clock, so a clock set back
would silence it for as long; a monotonic watchdog beside it runs whatever is overdue by that clock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.clock import SystemClock

log = structlog.get_logger()
# It warns of every turn that a job still under way misses; whoever runs the job says so once, and when it is over.
logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)


@dataclass
class _Job:
    interval: float
    last_run: float
    runs: int = 0
    errors: int = 0
    running: bool = False


class Ticker:
    """Runs named coroutines at intervals; one that fails is counted, logged and run again at its next turn."""

    def __init__(self, on_error: Callable[[str], None] | None = None) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        self._jobs: dict[str, _Job] = {}
        self._on_error = on_error or (lambda name: None)
        self._watchdog: asyncio.Task[None] | None = None
        self._stopped = False

    def every(
        self, interval: timedelta, name: str, call: Callable[[], Awaitable[None]], first: datetime | None = None
    ) -> None:
        """Replaces a job of the same name. The first run is one interval from now, unless that is said."""
        self._jobs[name] = _Job(interval.total_seconds(), time.monotonic())
        trigger = IntervalTrigger(seconds=interval.total_seconds(), start_date=first, timezone=UTC)
        self._scheduler.add_job(self._run, trigger, args=(name, call), id=name, replace_existing=True)

    def at_once(self, name: str) -> None:
        """Its next run is now, the ones after it each an interval later."""
        self._scheduler.modify_job(name, next_run_time=SystemClock().now())

    def forget(self, name: str) -> None:
        if self._jobs.pop(name, None) is not None:
            self._scheduler.remove_job(name)

    def start(self) -> None:
        self._scheduler.start()
        self._watchdog = asyncio.create_task(self._watch(), name="tick-watchdog")

    async def stop(self) -> None:
        """Breaks off what is running, without a word."""
        self._stopped = True
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._scheduler.running:  # what was to be stopped may have failed before it was started
            self._scheduler.shutdown(wait=False)

    def lateness(self) -> float:
        """Seconds by which the most overdue job is late on the monotonic clock; 0 when all are on time."""
        now = time.monotonic()
        return max((now - job.last_run - job.interval for job in self._jobs.values()), default=0.0)

    async def _run(self, name: str, call: Callable[[], Awaitable[None]]) -> None:
        job = self._jobs.get(name)
        if job is None:
            return
        job.last_run = time.monotonic()
        try:
            await call()
            job.runs += 1
        except asyncio.CancelledError:
            if not self._stopped:
                raise
        except Exception:
            job.errors += 1
            self._on_error(name)
            log.exception("tick.failed", job=name)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for name, job in list(self._jobs.items()):
                if now - job.last_run > 2 * job.interval + 2:
                    log.warning("tick.overdue", job=name, seconds=round(now - job.last_run, 1))
                    self._scheduler.modify_job(name, next_run_time=SystemClock().now())
