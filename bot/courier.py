"""Delivers the pages that do not go to Slack: e-mail and webhooks. Apart from the outbox, so that neither Slack's pace
nor Slack's being down ever holds them up.

Holds no state that matters, like the outbox. One request at a time for each address. What has an unknown outcome is
sent again once it can no longer land: its id goes with it, so that a repeat can be known for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from bot import pipeline, telemetry
from bot.errors import RemoteError
from bot.incidents.decision import World
from bot.incidents.model import Incident
from bot.paging.attempt import Verdict, priority
from bot.paging.model import Page, PageState
from bot.ports import Channels, Clock, Posted
from bot.renderings import Renderings
from bot.runbooks.rendered import Rendered
from bot.store.database import Database

log = structlog.get_logger()

_AT_ONCE = 8  # requests in flight
_LONGEST_SLEEP = 5.0
_FIRST_SLEEP = 0.05
_SET_ASIDE = 5.0  # seconds until a page is tried again whose handling broke
_NOWHERE = Posted("", "")
_NOT_READ_BACK = RemoteError("what was sent there cannot be read back", permanent=True)
_TRIES_UNKNOWN = 2


class Courier:
    """`world` and `facts` look up the configuration as it is when they are called."""

    def __init__(
        self,
        store: Database,
        channels: Channels,
        renderings: Renderings,
        clock: Clock,
        world: Callable[[], World],
        facts: Callable[[Incident], dict[str, object]],
    ) -> None:
        self._store = store
        self._channels = channels
        self._renderings = renderings
        self._clock = clock
        self._world = world
        self._facts = facts
        self._event = asyncio.Event()
        self._busy: dict[str, str] = {}  # page → its channel
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        self._event.set()

    async def run(self) -> None:
        while True:
            self._event.clear()
            try:
                pause = await self._round()
            except Exception:
                telemetry.loop_errors.labels("courier").inc()
                log.exception("courier.failed")
                pause = 1.0
            try:
                await asyncio.wait_for(self._event.wait(), pause)
            except TimeoutError:
                continue

    async def stop(self, seconds: float = 10.0) -> None:
        """Lets what is in flight finish."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def _round(self) -> float:
        """Starts everything that may start now; returns the seconds until something else may."""
        now = self._clock.now()
        mine = [page for page in await self._store.on_their_way() if not page.by_slack and page.id not in self._busy]
        interrupted = [page for page in mine if page.state is PageState.SENDING]
        if interrupted:
            await pipeline.recover(self._store, interrupted, now)
        waiting = [page for page in mine if page.state is not PageState.SENDING]
        known = {incident.id: incident for incident in await self._store.unresolved()} if waiting else {}
        due = [page for page in waiting if page.due_at <= now]
        for page in sorted(due, key=lambda page: priority(page, known.get(page.incident or ""))):
            if page.channel not in self._busy.values() and len(self._busy) < _AT_ONCE:
                self._start(page)
        later = [(page.due_at - now).total_seconds() for page in waiting if page.due_at > now]
        return max(min([*later, _LONGEST_SLEEP]), _FIRST_SLEEP) if not interrupted else _FIRST_SLEEP

    def _start(self, page: Page) -> None:
        work = self._settle(page) if page.state is PageState.UNKNOWN else self._deliver(page)
        task = asyncio.create_task(work, name=page.id)
        self._busy[page.id] = page.channel
        self._tasks.add(task)

        def finished(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()):
                telemetry.loop_errors.labels("delivery").inc()
                log.error("delivery.failed", page=page.id, error=repr(error))
                asyncio.get_running_loop().call_later(_SET_ASIDE, self._busy.pop, page.id, None)
            else:
                self._busy.pop(page.id, None)
            self._event.set()

        task.add_done_callback(finished)

    async def _deliver(self, page: Page) -> None:
        rendered = None
        if page.incident is not None and (seen := await self._store.incident(page.incident)) is not None:
            rendered = await self._rendered(seen)
        claimed = await pipeline.claim(self._store, page.id, self._clock.now())
        if claimed is None:
            return
        page, incident = claimed
        try:
            await self._channels.send(page, incident, rendered)
        except RemoteError as error:
            await self._failed(page, _not_for_ever(page, error))
            return
        now = self._clock.now()
        await pipeline.sent(self._store, page, _NOWHERE, incident.revision if incident else 0, now)
        telemetry.attempts.labels(Verdict.SENT).inc()
        telemetry.delivery.labels(page.kind).observe(max((now - page.due_at).total_seconds(), 0))
        log.info("page.sent", page=page.id, person=page.person, channel=page.channel, attempt=page.attempt)

    async def _rendered(self, incident: Incident) -> Rendered | None:
        try:
            return await self._renderings.for_page(incident, self._facts(incident))
        except Exception:
            telemetry.loop_errors.labels("rendering").inc()
            log.exception("rendering.failed", incident=incident.id)
            return None  # the page goes out plain

    async def _failed(self, page: Page, error: RemoteError) -> None:
        verdict = await pipeline.failed(self._store, page, error, self._world(), self._clock.now())
        telemetry.attempts.labels(verdict).inc()
        log.warning("page.not_sent", page=page.id, verdict=verdict.value, error=str(error), code=error.code)

    async def _settle(self, page: Page) -> None:
        """The request can no longer land, and nobody can say whether it did."""
        verdict = await pipeline.searched(self._store, page, _NOT_READ_BACK, self._clock.now())
        telemetry.attempts.labels(verdict).inc()
        log.warning("page.settled", page=page.id, verdict=verdict.value)


def _not_for_ever(page: Page, error: RemoteError) -> RemoteError:
    """A second unknown outcome counts as a refusal: another copy would hardly tell more, another way may."""
    if error.unknown and page.attempt >= _TRIES_UNKNOWN:
        return RemoteError(f"{error}, {page.attempt} times; it may have arrived", code=error.code, permanent=True)
    return error
