"""Sees when somebody sets the machine's clock, and moves what is counted on it: while we run, and between two runs.

The clock that everybody here is handed goes on as if nothing had happened until the stored deadlines have been moved;
so no deadline is ever counted half on the old time and half on the new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from bot import pipeline, telemetry
from bot.incidents.decision import World
from bot.scheduler import SteadyClock
from bot.store.database import Database

log = structlog.get_logger()

JUMP = timedelta(seconds=2)  # less is the clock being kept right
_MARK = "clock"  # the key under which the store keeps how our clock stood
_MARK_SECONDS = 60.0
_AGAIN_SECONDS = 5.0


class ClockWatch:
    def __init__(self, store: Database, clock: SteadyClock, world: Callable[[], World]) -> None:
        self._store = store
        self._clock = clock
        self._world = world
        self._marked = 0.0
        self._look_again: float | None = None

    async def begin(self) -> None:
        """After a start: the clock may have been set since the last run. What we cannot know, because the machine was
        started anew, is bounded: nothing waits longer than its whole wait."""
        async with self._store.transaction() as tx:
            before = await tx.key(_MARK, self._clock.mark())
        jump = self._clock.since(before)
        if jump is not None and abs(jump) > JUMP:
            await self._move(jump, "before this start")
        await self._bound()
        await self._keep()

    async def look(self) -> None:
        """Comes before anything that is due is done."""
        drift = self._clock.drift()
        if abs(drift) > JUMP:
            await self._move(drift, "while agentpager ran")
            self._look_again = time.monotonic() + _AGAIN_SECONDS
        self._clock.adopt()
        if self._look_again is not None and time.monotonic() > self._look_again:
            self._look_again = None
            await self._bound()  # what was decided on the old time and written after
        if time.monotonic() - self._marked > _MARK_SECONDS:
            await self._keep()

    async def _move(self, jump: timedelta, when: str) -> None:
        incidents, pages = await pipeline.clock_jumped(
            self._store, jump, when, self._clock.wall(), {_MARK: self._clock.mark(self._clock.wall())}
        )
        telemetry.clock_jumps.inc()
        seconds = round(jump.total_seconds(), 1)
        log.warning("clock.jumped", seconds=seconds, when=when, incidents=incidents, pages=pages)

    async def _bound(self) -> None:
        changed = await pipeline.bound_deadlines(self._store, self._world().rules.flapping.quiet, self._clock.now())
        if changed:
            log.warning("clock.bounded", deadlines=changed)

    async def _keep(self) -> None:
        async with self._store.transaction() as tx:
            await tx.replace_key(_MARK, self._clock.mark())
        self._marked = time.monotonic()
