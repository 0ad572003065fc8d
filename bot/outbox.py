"""Delivers what the pipeline has written: sends due pages, settles unknown ones, redraws messages that are out of date.

Holds no state that matters: after a crash everything is found again in the rows. One request at a time for each
channel, paced as Slack asks; pages go before cards, cards before the rest, edits that a person waits for before others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from bot import pipeline, telemetry
from bot.errors import RemoteError
from bot.incidents.decision import World
from bot.incidents.model import Incident
from bot.paging.attempt import CLIENT_REFUSALS, UNREACHABLE, Verdict, priority
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Clock, Messenger, Posted
from bot.renderings import Renderings
from bot.runbooks.rendered import Rendered
from bot.slack.pace import Pace
from bot.store.database import Database

log = structlog.get_logger()

_THREADED = {PageKind.RUNBOOK, PageKind.ESCALATED, PageKind.RESOLVED}
_AT_ONCE = 16  # requests in flight
_LONGEST_SLEEP = 5.0
_LONGEST_QUIET = 8.0  # seconds between two tries while Slack cannot be reached
_FIRST_SLEEP = 0.05
_EDIT_LANE = "edit "
_EDITS_AT_ONCE = 8  # of them: the rest is always left to pages
_SET_ASIDE = 5.0  # seconds until a page is tried again whose handling broke


class Outbox:
    """`world` and `facts` look up the configuration as it is when they are called."""

    def __init__(
        self,
        store: Database,
        messenger: Messenger,
        renderings: Renderings,
        clock: Clock,
        world: Callable[[], World],
        facts: Callable[[Incident], dict[str, object]],
    ) -> None:
        self._store = store
        self._messenger = messenger
        self._renderings = renderings
        self._clock = clock
        self._world = world
        self._facts = facts
        self._pace = Pace()
        self._event = asyncio.Event()
        self._busy: set[str] = set()
        self._lanes: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hurried: set[str] = set()
        self._edit_failures: dict[str, int] = {}
        self.refused_since: float | None = None  # the whole client is refused: a token is wrong
        self._unreachable = 0  # failed connections in a row
        self._quiet_until = 0.0
        self.channel_refused = ""  # why Slack refuses messages to the default channel for good

    def wake(self, hurried: str | None = None) -> None:
        """Something has been written; `hurried` is an incident whose messages a person is looking at."""
        if hurried is not None:
            self._hurried.add(hurried)
        self._event.set()

    async def run(self) -> None:
        while True:
            self._event.clear()
            try:
                pause = await self._round()
            except Exception:
                telemetry.loop_errors.labels("outbox").inc()
                log.exception("outbox.failed")
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
        await self._recover()
        pauses = [await self._start_sends(), await self._start_edits()]
        next_due = await self._store.next_due()
        if next_due is not None:
            pauses.append((next_due - self._clock.now()).total_seconds())
        later = [pause for pause in pauses if pause > 0]
        return max(min([*later, _LONGEST_SLEEP]), _FIRST_SLEEP)

    async def _recover(self) -> None:
        """Pages in `sending` that nobody sends: we were killed, or could not write down what became of them."""
        interrupted = await self._store.interrupted()
        stranded = [page for page in interrupted if page.by_slack and page.id not in self._busy]
        if stranded:
            await pipeline.recover(self._store, stranded, self._clock.now())

    async def _start_sends(self) -> float:
        waiting = [page for page in await self._store.waiting(self._clock.now()) if page.by_slack]
        if not waiting:
            return _LONGEST_SLEEP
        if (quiet := self._quiet()) > 0:
            return quiet
        known = {incident.id: incident for incident in await self._store.unresolved()}
        pause = _LONGEST_SLEEP
        for page in sorted(waiting, key=lambda page: priority(page, known.get(page.incident or ""))):
            if page.id in self._busy or page.channel in self._lanes or len(self._tasks) >= self._at_once:
                continue
            if page.state is PageState.UNKNOWN:
                self._spawn(page.id, page.channel, self._settle(page))
                continue
            ready, thread = await self._thread_for(page)
            if not ready:
                continue
            wait = self._pace.ready_at("chat.postMessage", page.channel, time.monotonic()) - time.monotonic()
            if wait > 0:
                pause = min(pause, wait)
            else:
                self._spawn(page.id, page.channel, self._deliver(page, thread))
        return pause

    def _quiet(self) -> float:
        """Seconds until Slack may be tried again, after a connection failed."""
        return self._quiet_until - time.monotonic()

    @property
    def _at_once(self) -> int:
        """While Slack cannot be reached one request at a time finds out whether it can."""
        return 1 if self._unreachable else _AT_ONCE

    def _heard_from(self, error: RemoteError | None) -> None:
        if error is None or error.code != UNREACHABLE:
            self._unreachable, self._quiet_until = 0, 0.0
            return
        self._unreachable += 1
        self._quiet_until = time.monotonic() + min(0.5 * 2**self._unreachable, _LONGEST_QUIET)

    async def _thread_for(self, page: Page) -> tuple[bool, Posted | None]:
        """Thread replies wait for the card; without a card they stand in the channel."""
        if page.kind not in _THREADED or page.incident is None:
            return True, None
        card = await self._store.card_of(page.incident)
        if card is None:
            return True, None
        if card.ts is None or card.slack_channel is None:
            return False, None
        return True, Posted(card.slack_channel, card.ts)

    def _spawn(self, name: str, lane: str, work: object) -> None:
        self._busy.add(name)
        self._lanes.add(lane)
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)  # type: ignore[arg-type]
        self._tasks.add(task)

        def finished(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._lanes.discard(lane)
            if not task.cancelled() and (error := task.exception()):
                telemetry.loop_errors.labels("delivery").inc()
                log.error("delivery.failed", page=name, error=repr(error))
                asyncio.get_running_loop().call_later(_SET_ASIDE, self._busy.discard, name)
            else:
                self._busy.discard(name)
            self._event.set()

        task.add_done_callback(finished)

    async def _deliver(self, page: Page, thread: Posted | None) -> None:
        rendered = None
        if page.incident is not None and (seen := await self._store.incident(page.incident)) is not None:
            rendered = await self._rendered(seen)
        claimed = await pipeline.claim(self._store, page.id, self._clock.now())
        if claimed is None:
            return
        page, incident = claimed
        self._pace.sent("chat.postMessage", page.channel, time.monotonic())
        try:
            posted = await self._messenger.post(page, incident, rendered, thread)
        except RemoteError as error:
            await self._failed(page, error)
            return
        await self._sent(page, posted, incident)

    async def _rendered(self, incident: Incident) -> Rendered | None:
        try:
            return await self._renderings.for_page(incident, self._facts(incident))
        except Exception:
            telemetry.loop_errors.labels("rendering").inc()
            log.exception("rendering.failed", incident=incident.id)
            return None  # the page goes out plain

    async def _sent(self, page: Page, posted: Posted, incident: Incident | None) -> None:
        now = self._clock.now()
        self._heard_from(None)
        await pipeline.sent(self._store, page, posted, incident.revision if incident else 0, now)
        self.refused_since = None
        if page.channel == self._world().channel:
            self.channel_refused = ""
        telemetry.attempts.labels(Verdict.SENT).inc()
        telemetry.delivery.labels(page.kind).observe(max((now - page.due_at).total_seconds(), 0))
        log.info("page.sent", page=page.id, person=page.person, channel=page.channel, attempt=page.attempt)

    async def _failed(self, page: Page, error: RemoteError) -> None:
        self._heard_from(error)
        if error.retry_after_seconds is not None:
            self._pace.told_to_wait("chat.postMessage", page.channel, error.retry_after_seconds, time.monotonic())
        verdict = await pipeline.failed(self._store, page, error, self._world(), self._clock.now())
        if verdict is Verdict.CLIENT_REFUSED:
            self.refused_since = self.refused_since or time.monotonic()
        if verdict is Verdict.REFUSED and page.channel == self._world().channel:
            self.channel_refused = error.code or str(error)
        telemetry.attempts.labels(verdict).inc()
        log.warning("page.not_sent", page=page.id, verdict=verdict.value, error=str(error), code=error.code)

    async def _settle(self, page: Page) -> None:
        """The request can no longer land: the channel's history says whether it did."""
        error: RemoteError | None = None
        try:
            _, thread = await self._thread_for(page)
            posted = await self._messenger.find(page, thread)
            if posted is not None:
                await self._sent(page, posted, None)  # what it shows is not known, so it is drawn anew
                return
        except RemoteError as raised:
            error = raised
        verdict = await pipeline.searched(self._store, page, error, self._clock.now())
        telemetry.attempts.labels(verdict).inc()
        log.warning("page.settled", page=page.id, verdict=verdict.value, error=str(error or ""))

    async def _start_edits(self) -> float:
        pause = _LONGEST_SLEEP
        if (quiet := self._quiet()) > 0:
            return quiet
        outdated = await self._store.outdated()
        failures = {page.id: self._edit_failures.get(page.id, 0) for page, _ in outdated}
        self._edit_failures = {name: count for name, count in failures.items() if count}
        outdated.sort(key=lambda owed: (owed[1].id not in self._hurried, failures[owed[0].id]))
        for page, incident in outdated:
            channel = page.slack_channel or page.channel
            if page.id in self._busy or len(self._tasks) >= self._at_once or self._editing >= _EDITS_AT_ONCE:
                continue
            wait = self._edit_wait(page, channel, hurried=incident.id in self._hurried)
            if wait > 0:
                pause = min(pause, wait)
            else:
                self._spawn(page.id, _EDIT_LANE + page.id, self._edit(page, incident))
        self._hurried &= {incident.id for _, incident in outdated}
        return pause

    @property
    def _editing(self) -> int:
        return sum(lane.startswith(_EDIT_LANE) for lane in self._lanes)

    def _edit_wait(self, page: Page, channel: str, *, hurried: bool) -> float:
        now = time.monotonic()
        return self._pace.ready_at("chat.update", channel, now, message=page.ts or "", human=hurried) - now

    async def _edit(self, page: Page, incident: Incident) -> None:
        channel = page.slack_channel or page.channel
        rendered = await self._store.rendering(incident.id)
        self._pace.sent("chat.update", channel, time.monotonic(), message=page.ts or "")
        try:
            await self._messenger.update(page, incident, rendered)
        except RemoteError as error:
            self._heard_from(error)
            telemetry.edits.labels("failed").inc()
            log.warning("edit.failed", page=page.id, error=str(error), code=error.code)
            if not error.permanent or error.code in CLIENT_REFUSALS:
                self._edit_failures[page.id] = self._edit_failures.get(page.id, 0) + 1
                wait = error.retry_after_seconds or 5.0
                self._pace.told_to_wait("chat.update", channel, wait, time.monotonic())
                return
        else:
            telemetry.edits.labels("shown").inc()
        await pipeline.shown(self._store, page, incident.revision)
