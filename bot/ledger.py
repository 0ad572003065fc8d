"""Keeps the track record: asks the watcher each minute what the agents did, and adds it to their hours.

Nothing else waits for it. What could not be asked or written is tried again with the next minute, as long as the
watcher still has the samples; hours older than `store.retention.track_record` are forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from bot.agents import record
from bot.agents.record import Minute
from bot.config import Config
from bot.errors import QueryError, RemoteError
from bot.ports import Clock, Watcher
from bot.store.database import Database

log = structlog.get_logger()

_ASK_SECONDS = 20.0


class Ledger:
    def __init__(self, store: Database, watcher: Watcher, clock: Clock, config: Callable[[], Config]) -> None:
        self._store = store
        self._watcher = watcher
        self._clock = clock
        self._config = config
        self._counted: datetime | None = None
        self._tidied: datetime | None = None

    async def tick(self) -> None:
        now = self._clock.now()
        if self._counted is None or self._counted > now:  # the clock was ahead, perhaps by years, and was set right
            self._counted = await self._store.counted_until(now)
        if ends := record.ends(self._counted, now):
            await self._count(ends)
        await self._tidy(now)

    async def _count(self, ends: list[datetime]) -> None:
        try:
            found = await self._watcher.ask("minutes", {"ends": [end.timestamp() for end in ends]}, _ASK_SECONDS)
        except (RemoteError, QueryError) as error:
            log.info("track_record.not_asked", why=str(error), since=str(self._counted))
            return
        minutes = [Minute.model_validate(one) for one in found]
        known = self._config().agents
        async with self._store.leading.transaction() as tx:
            for one in minutes:
                mine = {agent: figures for agent, figures in one.agents.items() if agent in known}
                await tx.add_minute(one.model_copy(update={"agents": mine}))
        self._counted = ends[-1]

    async def _tidy(self, now: datetime) -> None:
        """Once an hour, a few rows at a time."""
        if self._tidied is not None and now - self._tidied < record.HOUR:
            return
        before = now - self._config().settings.store.retention.track_record
        gone = most = 1000
        while gone == most:
            async with self._store.leading.transaction() as tx:
                gone = await tx.forget_agent_hours(before, most)
        self._tidied = now
