"""Ticking. The one door to APScheduler, and one of the few places that read a clock.

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
from pathlib import Path

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

log = structlog.get_logger()
# It warns of every turn that a job still under way misses; whoever runs the job says so once, and when it is over.
logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)


class SystemClock:
    """Implements ports.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this is the clock that everybody else is handed


class SteadyClock:
    """Wall-clock time that does not jump. Implements ports.Clock.

    Between two calls of `adopt` it counts on a clock that nobody sets and that goes on while the machine is suspended,
    where there is one. `wall` and `steady` give seconds.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] | None = None, boot: str | None = None
    ) -> None:
        self._wall = wall
        self._steady = steady or _through_suspend
        self._boot = _boot_id() if boot is None else boot
        self._offset = wall() - self._steady()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._offset + self._steady(), UTC)

    def wall(self) -> datetime:
        """What the machine's clock says."""
        return datetime.fromtimestamp(self._wall(), UTC)

    def drift(self) -> timedelta:
        """How far the machine's clock is ahead of this one."""
        return timedelta(seconds=self._wall() - self._steady() - self._offset)

    def adopt(self) -> None:
        self._offset = self._wall() - self._steady()

    def seconds(self) -> float:
        """What it counts on: differences of it are time that has passed, asleep or not."""
        return self._steady()

    def mark(self, now: datetime | None = None) -> str:
        """How this clock stands, for `since` in a later run; `now` is what it will say soon."""
        offset = self._offset if now is None else now.timestamp() - self._steady()
        return f"{self._boot or '-'} {offset:.3f} {self._steady():.3f}"

    def since(self, mark: str) -> tuple[timedelta, timedelta] | None:
        """By how much the machine's clock was set since, and how long ago that is; None when it was started anew."""
        boot, offset, then = mark.split(" ")
        if boot in {"-", ""} or boot != self._boot:
            return None
        now = self._steady()
        return timedelta(seconds=self._wall() - now - float(offset)), timedelta(seconds=now - float(then))


def _through_suspend() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


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

    def every(self, interval: timedelta, name: str, call: Callable[[], Awaitable[None]]) -> None:
        """Replaces a job of the same name. The first run is one interval from now."""
        self._jobs[name] = _Job(interval.total_seconds(), time.monotonic())
        trigger = IntervalTrigger(seconds=interval.total_seconds(), timezone=UTC)
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
        if self._watchdog is not None:
            self._watchdog.cancel()
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
