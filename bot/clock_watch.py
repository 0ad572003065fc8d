"""Sees when somebody sets the machine's clock, and moves what is counted on it: while we run, and between two runs.

The clock that everybody here is handed goes on as if nothing had happened until the stored deadlines have been moved;
so no deadline is ever counted half on the old time and half on the new one. It also sees when we were asleep.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import structlog

from bot import pipeline, telemetry
from bot.clock import SteadyClock, said_at
from bot.incidents.decision import World
from bot.store.database import Database

log = structlog.get_logger()

JUMP = timedelta(seconds=2)  # less is the clock being kept right
ASLEEP = 60.0  # seconds without a look
SETTLING = 20.0  # seconds after a sleep: a fresh scrape may end what would wake somebody now
_MARK = "clock"  # the key under which the store keeps how our clock stood
_MARK_SECONDS = 60.0
_AGAIN_SECONDS = 5.0


class ClockWatch:
    def __init__(self, store: Database, clock: SteadyClock, world: Callable[[], World]) -> None:
        self._store = store
        self._clock = clock
        self._world = world
        self._marked = clock.seconds()
        self._looked = clock.seconds()
        self._settled = 0.0
        self._look_again: float | None = None

    @property
    def settling(self) -> bool:
        """We were asleep or down until a moment ago: what is overdue waits for fresh numbers."""
        return self._clock.seconds() < self._settled

    async def begin(self, *, watched: bool = False) -> None:
        """After a start: the clock may have been set since the last run. What we cannot know, because the machine was
        started anew, or because it was another machine, is bounded: nothing waits longer than its whole wait. `watched`
        says that our numbers are fresh: we were there all along, and another one led."""
        fresh = self._clock.mark()
        async with self._store.leading.transaction() as tx:
            before = await tx.key(_MARK, fresh)
        known = self._clock.since(before)
        if known is not None and abs(known[0]) > JUMP:
            await self._move(known[0], "before this start")
        away = known[1] if known is not None else None
        if watched and away is None:  # the clocks of two machines are about the same
            away = self._clock.now() - said_at(before)
        if before != fresh and (away is None or abs(away.total_seconds()) > ASLEEP + _MARK_SECONDS):
            self._wake("down")
        await self._bound()
        await self._keep()
        self._looked = self._clock.seconds()

    async def look(self) -> None:
        """Comes before anything that is due is done."""
        now, before, self._looked = self._clock.seconds(), self._looked, self._clock.seconds()
        if now - before > ASLEEP:
            self._wake("asleep")
        drift = self._clock.drift()
        if abs(drift) > JUMP:
            await self._move(drift, "while agentpager ran")
            self._look_again = now + _AGAIN_SECONDS
        self._clock.adopt()
        if self._look_again is not None and now > self._look_again:
            self._look_again = None
            await self._bound()  # what was decided on the old time and written after
        if now - self._marked > _MARK_SECONDS:
            await self._keep()

    def _wake(self, how: str) -> None:
        self._settled = self._clock.seconds() + SETTLING
        log.warning("pager.woke", after=how, settling_seconds=SETTLING)

    async def _move(self, jump: timedelta, when: str) -> None:
        now = self._clock.wall()
        keys = {_MARK: self._clock.mark(now)}
        await pipeline.clock_jumped(self._store.leading, jump, when, now, keys)
        telemetry.clock_jumps.inc()

    async def _bound(self) -> None:
        await pipeline.bound_deadlines(self._store.leading, self._world().rules.flapping.quiet, self._clock.now())

    async def _keep(self) -> None:
        async with self._store.leading.transaction() as tx:
            await tx.replace_key(_MARK, self._clock.mark())
        self._marked = self._clock.seconds()
