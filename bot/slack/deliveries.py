"""What Slack has delivered in the last minutes: whatever comes again is carried out once, also after a restart.

Slack delivers again what it has had no answer for: an event under its old id, in HTTP mode with `X-Slack-Retry-Num`.
And whoever has caught a signed request can send its bytes again. Both meet the same memory. It is kept in the database
before Slack is answered, unless the database is so slow that Slack would give up.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from slack_bolt.response import BoltResponse

from bot.ports import Clock, DeliveryMemory

logger = logging.getLogger(__name__)

_KEPT = timedelta(minutes=10)  # a signature counts for five, and Slack repeats an event within about that time
_REMEMBERED = 10_000
_ANSWER_SECONDS = 2.5  # Slack waits three


class Deliveries:
    """`memory` is what survives a restart; without one a restart forgets."""

    def __init__(self, clock: Clock, memory: DeliveryMemory | None = None) -> None:
        self._clock = clock
        self._memory = memory
        self._at: OrderedDict[str, float] = OrderedDict()
        self._running: dict[str, asyncio.Task[BoltResponse]] = {}
        self._keeping: set[asyncio.Task[None]] = set()

    async def recall(self) -> None:
        """What was delivered before the start. A database that fails here fails everywhere; clicks go on."""
        if self._memory is None:
            return
        now = self._clock.now()
        try:
            for key in await self._memory.deliveries(now - _KEPT):
                self._note(key, now.timestamp())
        except Exception:
            logger.exception("slack: what was delivered before the start is not known")

    def knows(self, key: str) -> bool:
        """Carried out, or being so."""
        self._forget_old(self._clock.now().timestamp())
        return key in self._at or key in self._running

    async def once(
        self, keys: Sequence[str], work: Callable[[], Awaitable[BoltResponse]], lasting: Collection[str] = ()
    ) -> BoltResponse:
        """The answer of `work`, which is done at most once for any of the keys. A second delivery gets the first one's
        answer while that is being worked on, later an empty one. `lasting` are the keys to be known after a restart.
        Work that failed may be delivered again."""
        started = asyncio.get_running_loop().time()
        for key in keys:
            if key in self._running:
                return await asyncio.shield(self._running[key])
        if any(self.knows(key) for key in keys):
            return BoltResponse(status=200, body="")
        task = asyncio.ensure_future(_done(work))
        self._running |= dict.fromkeys(keys, task)
        try:
            answer = await asyncio.shield(task)
            if answer.status < 500:
                now = self._clock.now().timestamp()
                for key in keys:
                    self._note(key, now)
                left = _ANSWER_SECONDS - (asyncio.get_running_loop().time() - started)
                await self._keep(lasting, max(left, 0.0))
            return answer
        finally:
            for key in keys:
                self._running.pop(key, None)

    async def close(self) -> None:
        await asyncio.gather(*self._keeping, return_exceptions=True)

    def _note(self, key: str, now: float) -> None:
        self._at[key] = now
        self._forget_old(now)

    def _forget_old(self, now: float) -> None:
        oldest = now - _KEPT.total_seconds()
        while self._at and (len(self._at) > _REMEMBERED or next(iter(self._at.values())) <= oldest):
            self._at.popitem(last=False)

    async def _keep(self, keys: Collection[str], seconds: float) -> None:
        if self._memory is None or not keys:
            return
        task = asyncio.ensure_future(self._write(self._memory, keys))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)
        await asyncio.wait({task}, timeout=seconds)

    async def _write(self, memory: DeliveryMemory, keys: Collection[str]) -> None:
        try:
            await memory.remember_deliveries(keys, self._clock.now())
        except Exception:  # the change itself is committed; only its repetition after a restart is not known
            logger.exception("slack: a delivery could not be remembered")


async def _done(work: Callable[[], Awaitable[BoltResponse]]) -> BoltResponse:
    return await work()


def event_key(body: Mapping[str, Any]) -> str:
    """What an event is known by, however often it is delivered; empty for clicks, commands and windows, and for the
    echoes of messages, which change nothing."""
    event = body.get("event")
    if not isinstance(event, Mapping) or any(event.get(key) for key in ("bot_id", "subtype", "hidden")):
        return ""
    event_id = str(body.get("event_id") or "")
    return f"event|{event_id}"[:200] if event_id else ""
