"""What one replica alone does, the one that holds the lease: deadlines, sending, and everything that happens by the
clock. Built anew each time that a replica comes to lead, so that nothing of an earlier time counts.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import structlog

from bot import telemetry
from bot.actuator import Actuator
from bot.channels.action import ActionDoor
from bot.clock import SteadyClock
from bot.clock_watch import ClockWatch
from bot.courier import Courier
from bot.duty import Duty
from bot.front import Front
from bot.illustrator import Illustrator
from bot.ledger import Ledger
from bot.outbox import Outbox
from bot.pager import Pager
from bot.scheduler import Ticker
from bot.slack.upload import Uploader
from bot.store.database import Database

log = structlog.get_logger()

_TICK = timedelta(milliseconds=500)
_PAGES_LOOK = timedelta(seconds=1)
_WATCHER_LOOK = timedelta(seconds=5)
_HOUSEKEEPING = timedelta(hours=6)
_PROMISES = timedelta(seconds=5)
_DIGESTS = timedelta(seconds=30)
_TRACK_RECORD = timedelta(minutes=1)


class Leading:
    """`start` begins, `stop` ends it; what is written down survives both."""

    def __init__(self, front: Front, pager: Pager, store: Database, clock: SteadyClock) -> None:
        config = pager.config
        self._front, self._pager, self._store, self._clock = front, pager, store, clock
        self._ticker = Ticker(on_error=lambda name: telemetry.loop_errors.labels(name).inc())
        self._clock_watch = ClockWatch(store, clock, pager.world)
        self._uploader = Uploader(config.settings.slack)
        self._door = ActionDoor()
        self.outbox = Outbox(store, front.messenger, front.renderings, clock, pager.world, pager.facts)
        self.courier = Courier(store, front.channels, front.renderings, clock, pager.world, pager.facts)
        self._illustrator = Illustrator(store, self._uploader, front.renderings, clock, pager.world)
        self.actuator = Actuator(
            store, self._door, clock, pager.world, lambda: pager.config.settings.actions, pager.wake
        )
        self._duty = Duty(
            store,
            clock,
            pager.world,
            lambda: pager.config.runbooks,
            lambda: pager.config.settings.shifts,
            pager.wake,
            front.pauses,
        )
        self._ledger = Ledger(store, pager.watcher, clock, lambda: pager.config)
        self.tasks: set[asyncio.Task[Any]] = set()

    async def start(self, *, watched: bool) -> None:
        """`watched`: this process has been watching all along, so its numbers are fresh."""
        for channel, slack_channel in (await self._store.addresses()).items():
            self._front.messenger.remember(channel, slack_channel)
        await self._clock_watch.begin(watched=watched)
        await self._pager.books.look(self._pager.config.book_id)
        self._front.bridging.begin()
        self._pager.begin_to_lead(self.outbox, self.courier, self.actuator)
        loops = (self.outbox, self.courier, self._illustrator, self.actuator)
        self.tasks = {asyncio.create_task(one.run(), name=one.name) for one in loops}
        self._schedule()

    def lateness(self) -> float:
        """Seconds by which the most overdue tick is late."""
        return self._ticker.lateness()

    def _schedule(self) -> None:
        ticker, pager, front = self._ticker, self._pager, self._front
        ticker.every(_TICK, "escalation", self._tick)
        ticker.every(_PAGES_LOOK, "pages", pager.look_after_pages)
        ticker.every(_PAGES_LOOK, "drills", front.drills.end)
        ticker.every(_WATCHER_LOOK, "replicas", pager.look_after_replicas)
        ticker.every(_WATCHER_LOOK, "bridges", front.bridging.tick)
        ticker.every(_PROMISES, "promises", front.records.keep_promises)
        ticker.every(_DIGESTS, "digests", front.records.post_digests)
        ticker.every(_DIGESTS, "shifts", self._duty.tick)
        ticker.every(_TRACK_RECORD, "track record", self._ledger.tick)
        ticker.every(_HOUSEKEEPING, "housekeeping", pager.housekeep)
        ticker.every(front.tracing.every, "traces", front.tracing.tick)
        if (heartbeat := pager.config.settings.heartbeat) is not None:
            ticker.every(heartbeat.interval, "heartbeat", lambda: pager.heartbeat(ticker.lateness()))
        ticker.start()

    async def _tick(self) -> None:
        """Nothing is due by a clock that has just been set, or before fresh numbers after a sleep."""
        await self._clock_watch.look()
        if not self._clock_watch.settling:
            await self._pager.tick()

    async def stop(self, *, leads: bool) -> None:
        """What is being sent may finish while we lead. Once another one does it must not land any more: it will look
        for it after a while, and send again what it does not find."""
        self._pager.end_leading()
        await self._ticker.stop()
        self._front.tracing.stop()
        for task in self.tasks:
            task.cancel()
        loops = (self.outbox, self.courier, self._illustrator, self.actuator)
        if leads:
            await asyncio.gather(*(one.stop() for one in loops))
        else:
            await asyncio.gather(*(one.abandon() for one in loops))
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=5)
        await self._uploader.close()
        self._door.close()
