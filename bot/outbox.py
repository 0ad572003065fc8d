"""Delivers what the pipeline has written: sends due pages, settles unknown ones, redraws messages that are out of date.

Holds no state that matters: after a crash everything is found again in the rows. One request at a time for each
channel, paced as Slack asks; pages go before cards, cards before the rest, edits that a person waits for before others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

import structlog

from bot import delivery, telemetry
from bot.batched import Batched
from bot.errors import RemoteError
from bot.incidents.decision import World
from bot.incidents.model import Incident, Severity
from bot.paging import merge
from bot.paging.attempt import CLIENT_REFUSALS, Verdict, priority, wanted
from bot.paging.budget import Budget
from bot.paging.health import Health
from bot.paging.lanes import Board, Lane, message_of
from bot.paging.merge import Parcel, Recent
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Clock, Messenger, Posted
from bot.renderings import Renderings
from bot.sender import Sender
from bot.slack.pace import Pace
from bot.store.database import Database

log = structlog.get_logger()

_AT_ONCE = 16  # requests in flight
_LONGEST_SLEEP = 5.0
_FIRST_SLEEP = 0.05
_EDIT_LANE = "edit "
_EDITS_AT_ONCE = 8  # of them: the rest is always left to pages
# Somebody deleted the message: no edit will ever reach it. Any other refusal (a channel archived, the bot taken out of
# it) may be mended, so the edit is tried again, ever more rarely.
_MESSAGE_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_EDIT_AGAIN, _EDIT_AGAIN_CAP = 30.0, 600.0
_EDIT_TRIES = 150  # about a day
# While a report of thousands of alerts is being worked in, for so long messages wait for the rest of it.
_HOLD_PAGES, _HOLD_OTHERS = 1.5, 8.0
_STORM = 50  # messages that wait at the start
_PAGES_GO = 3.0  # seconds that the report then waits for pages in its turn


class Outbox(Sender):
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
        super().__init__("outbox", renderings, facts)
        self._store = store
        self._messenger = messenger
        self._clock = clock
        self._world = world
        self._pace = Pace()
        self._budget = Budget()
        self._claims = Batched(self._claim)
        self._landings = Batched(self._land)
        self._busy: set[str] = set()
        self._lanes: set[str] = set()
        self._hurried: set[str] = set()
        self._edit_failures: dict[str, int] = {}
        self._edit_refused: dict[str, tuple[int, float]] = {}  # at which revision; not before when
        self.refused_since: float | None = None  # the whole client is refused: a token is wrong
        self._health = Health()
        self._holding_since: float | None = None
        self._board = Board(self._urgency)
        self._recent: dict[tuple[str, PageKind], Recent] = {}
        self._begun = False
        self.channel_refused = ""  # why Slack refuses messages to the default channel for good

    def wake(self, hurried: str | None = None) -> None:
        """Something has been written; `hurried` is an incident whose messages a person is looking at."""
        if hurried is not None:
            self._hurried.add(hurried)
        super().wake()

    def hold(self) -> None:
        """A report of very many alerts is being worked in: what it brings goes out together, or soon in any case."""
        self._holding_since = time.monotonic()

    def release(self) -> None:
        self._holding_since = None
        self.wake()

    async def let_pages_go(self) -> None:
        """Between two parts of a report: once pages have waited for long enough, those who have not been told anything
        yet are told before more is written down."""
        since = self._holding_since
        if since is None or time.monotonic() < since + _HOLD_PAGES:
            return
        end = time.monotonic() + _PAGES_GO
        while time.monotonic() < end and await self._untold():
            self.wake()
            await asyncio.sleep(0.02)

    async def _untold(self) -> bool:
        """Whether a page is due to somebody who has had no message lately, and Slack can be asked to take it."""
        waiting, now = (await self._store.live()).owed, self._clock.now()
        places = [place for place in waiting.places() if (place, PageKind.PAGE) not in self._recent]
        found = (page for place in places for page in waiting.of(place) if page.kind is PageKind.PAGE and page.by_slack)
        return not self._health.doubtful and any(page.due_at <= now for page in found)

    async def _round(self) -> float:
        if not self._begun:
            await self._recall()
            self._begun = True
        await self._recover()
        pauses = [await self._start_sends(), await self._start_edits()]
        return max(min([pause for pause in pauses if pause > 0], default=_LONGEST_SLEEP), _FIRST_SLEEP)

    async def _recall(self) -> None:
        """What was going on before this one began."""
        for page in await self._store.storm_messages(self._clock.now() - merge.COOL_DOWN):
            self._remember(page, page.sent_at or page.due_at, merged=True)
        if len((await self._store.live()).owed) > _STORM:
            # Killed in a storm: pages go at once, cards wait for what the watcher is about to report again.
            self._holding_since = time.monotonic() - _HOLD_PAGES

    async def _recover(self) -> None:
        """Pages in `sending` that nobody sends: we were killed, or could not write down what became of them."""
        interrupted = [page for page in await self._store.interrupted() if page.by_slack]
        stranded = [page for page in interrupted if not {page.id, message_of(page)} & self._busy]
        if stranded:
            await delivery.recover(self._store.leading, stranded, self._clock.now())

    async def _start_sends(self) -> float:
        """Starts what each place may have now, the most urgent first."""
        now = self._clock.now()
        lanes = self._board.lanes((await self._store.live()).owed, now)
        free = [place for place in lanes if not {place, _EDIT_LANE + place} & self._lanes]
        due = {place: lanes[place] for place in free if lanes[place].due}
        due = {place: lane for place, lane in due.items() if lane.due[0].by_slack}
        pause = min([_LONGEST_SLEEP, *(_until(lane.next_due, now) for lane in lanes.values())])
        if not due:
            return pause
        if (quiet := self._health.quiet(time.monotonic())) > 0:
            return min(pause, quiet)
        due, held = self._not_held(due)
        pause = min(pause, held)
        if self._health.doubtful and not await self._answers():
            return self._health.quiet(time.monotonic())
        for place, lane in sorted(due.items(), key=lambda one: self._urgency(one[1].due[0])):
            if len(self._tasks) >= self._at_once:
                break
            pause = min(pause, await self._start_one(place, lane))
        return pause

    def _not_held(self, due: dict[str, Lane]) -> tuple[dict[str, Lane], float]:
        """What need not wait any more, and the seconds until more need not."""
        if self._holding_since is None:
            return due, _LONGEST_SLEEP
        for_pages, for_others = (self._holding_since + hold - time.monotonic() for hold in (_HOLD_PAGES, _HOLD_OTHERS))
        if for_others <= 0:
            return due, _LONGEST_SLEEP
        if for_pages > 0:
            return {}, for_pages
        return {place: lane for place, lane in due.items() if lane.due[0].kind is PageKind.PAGE}, for_others

    async def _start_one(self, place: str, lane: Lane) -> float:
        """Starts the most urgent of what this place may have; returns the seconds until it may have more."""
        now, seconds = self._clock.now(), _LONGEST_SLEEP
        for number, page in enumerate(lane.due):
            if page.id in self._busy or (page.state is PageState.UNKNOWN and page.lead not in {None, page.id}):
                continue
            if page.state is PageState.UNKNOWN:
                self._spawn(page.id, place, self._settle(page))
                return seconds
            ready, thread = await self._thread_for(page)
            if not ready:
                continue
            due = [one for one in lane.due[number:] if one.state is PageState.DUE and one.id not in self._busy]
            parcel = merge.parcel(due, self._is_critical, self._recent.get((place, page.kind)), now)
            if parcel.into is not None:
                return self._start_join(place, parcel)
            wait = self._pace.ready_at("chat.postMessage", place, time.monotonic()) - time.monotonic()
            if wait <= 0:
                work = self._deliver_merged(parcel) if parcel.merged else self._deliver(page, thread)
                self._spawn(page.id, place, work)
            return max(wait, _FIRST_SLEEP)
        return seconds

    def _start_join(self, place: str, parcel: Parcel) -> float:
        """What belongs to a message that stands there already is shown by redrawing it."""
        assert parcel.into is not None
        # Somebody who has been woken already can wait for a count; the card shows it to everybody meanwhile.
        patient, now = parcel.lead.kind is PageKind.PAGE, time.monotonic()
        wait = self._pace.ready_at("chat.update", place, now, message=parcel.into, patient=patient) - now
        if parcel.into in self._busy or self._editing >= _EDITS_AT_ONCE:
            return _FIRST_SLEEP
        if wait <= 0:
            self._spawn(parcel.into, _EDIT_LANE + place, self._join(parcel))
        return max(wait, _FIRST_SLEEP)

    async def _answers(self) -> bool:
        """After failures that nothing can be told from: one question that changes nothing, before pages are risked."""
        try:
            await self._messenger.probe()
        except RemoteError as error:
            self._health.heard(error, time.monotonic())
            return False
        return True

    def _urgency(self, page: Page) -> tuple[object, ...]:
        return priority(page, self._known(page))

    def _known(self, page: Page) -> Incident | None:
        return self._store.known(page.incident) if page.incident else None

    def _is_critical(self, page: Page) -> bool:
        incident = self._known(page)
        return incident is not None and incident.severity is Severity.CRITICAL

    @property
    def _at_once(self) -> int:
        """While Slack is not well one request at a time finds out whether it is."""
        return 1 if self._health.doubtful else _AT_ONCE

    def _heard_from(self, error: RemoteError | None) -> None:
        self._health.heard(error, time.monotonic())

    async def _thread_for(self, page: Page) -> tuple[bool, Posted | None]:
        """Thread replies wait for the card; without a card they stand in the channel."""
        if page.kind not in merge.REPLIES or page.incident is None:
            return True, None
        card = await self._store.card_of(page.incident)
        if card is None:
            return True, None
        if card.ts is None or card.slack_channel is None:
            return False, None
        return True, Posted(card.slack_channel, card.ts)

    def _spawn(self, name: str, lane: str, work: Coroutine[Any, Any, None]) -> None:
        self._busy.add(name)
        self._lanes.add(lane)
        task = self._begin(name, work, lambda: self._busy.discard(name))
        task.add_done_callback(lambda _: self._lanes.discard(lane))

    async def _deliver(self, page: Page, thread: Posted | None) -> None:
        rendered = None
        if page.incident is not None and (seen := await self._store.incident(page.incident)) is not None:
            rendered = await self._rendered(seen)
        claimed = await delivery.claim(self._store.leading, page.id, self._clock.now())
        if claimed is None or not self._store.leads:  # stopped in between: whoever leads now settles it
            return
        page, incident = claimed
        self._pace.sent("chat.postMessage", page.channel, time.monotonic())
        try:
            posted = await self._messenger.post(page, incident, rendered, thread)
        except RemoteError as error:
            await self._failed(page, error)
            return
        await self._sent(page, posted, incident)

    async def _claim(self, messages: Sequence[Sequence[str]]) -> Sequence[list[tuple[Page, Incident]]]:
        return await delivery.claim_together(self._store.leading, messages, self._clock.now())

    async def _land(self, messages: Sequence[tuple[Sequence[tuple[Page, int]], Posted]]) -> Sequence[None]:
        await delivery.sent_together(self._store.leading, messages, self._clock.now())
        return [None] * len(messages)

    async def _deliver_merged(self, parcel: Parcel) -> None:
        """Several pages as one message; their runbooks are a tap away."""
        taken = await self._claims([page.id for page in parcel.pages])
        if not taken or not self._store.leads:
            return
        lead = taken[0][0]
        self._pace.sent("chat.postMessage", lead.channel, time.monotonic())
        try:
            if len(taken) == 1:  # the others were taken back meanwhile
                posted = await self._messenger.post(
                    lead, taken[0][1], await self._store.rendering(taken[0][1].id), None
                )
            else:
                posted = await self._messenger.post_storm(lead, [incident for _, incident in taken])
        except RemoteError as error:
            await self._not_sent([page for page, _ in taken], error)
            return
        await self._landed([(page, incident.revision) for page, incident in taken], posted)

    async def _join(self, parcel: Parcel) -> None:
        """Redraws a message so that it shows these pages too. Should that fail they are still due."""
        into = parcel.into or ""
        lead = await self._store.page(into)
        if lead is None or lead.slack_channel is None or lead.ts is None:
            self._recent.pop((parcel.lead.channel, parcel.lead.kind), None)
            return
        fresh = [(page, await self._store.incident(page.incident or "")) for page in parcel.pages]
        told = [(page, incident) for page, incident in fresh if incident is not None and wanted(page, incident)]
        shown = await self._members(lead)
        if lead.kind is PageKind.PAGE and merge.answered(lead, [incident for _, incident in shown]):
            self._recent.pop((parcel.lead.channel, parcel.lead.kind), None)  # an edit would wake nobody
            return
        incidents = {incident.id: incident for _, incident in (*shown, *told)}
        self._pace.sent("chat.update", lead.slack_channel, time.monotonic(), message=into)
        try:
            await self._messenger.update_storm(lead, list(incidents.values()))
        except RemoteError as error:
            self._edit_failed(lead, error)
            if error.permanent and error.code not in CLIENT_REFUSALS:  # deleted, say: they get a message anew
                self._recent.pop((parcel.lead.channel, parcel.lead.kind), None)
            return
        telemetry.edits.labels("shown").inc()
        now = self._clock.now()
        await delivery.joined(self._store.leading, lead, [(page, incident.revision) for page, incident in told], now)
        behind = [(page.id, incident.revision) for page, incident in shown if page.shown_revision < incident.revision]
        if behind:
            await delivery.shown_together(self._store.leading, behind)
        self._remember(lead, lead.sent_at or now, merged=True)
        telemetry.merged.labels(lead.kind).inc(len(told))

    async def _members(self, lead: Page) -> list[tuple[Page, Incident]]:
        """Everything that the message of this page shows."""
        pages = await self._store.pages_led_by(lead.id) if lead.lead else [lead]
        found = [(page, await self._store.incident(page.incident or "")) for page in pages]
        return [(page, incident) for page, incident in found if incident is not None]

    def _remember(self, page: Page, at: datetime, *, merged: bool) -> None:
        if merge.mergeable(page):
            self._recent[page.channel, page.kind] = Recent(page.id, at, merged)

    async def _sent(self, page: Page, posted: Posted, incident: Incident | None) -> None:
        await self._landed([(page, incident.revision if incident else 0)], posted)

    async def _landed(self, shown: Sequence[tuple[Page, int]], posted: Posted) -> None:
        """Slack has the message that shows these pages, each at this revision of its incident."""
        now, lead = self._clock.now(), shown[0][0]
        self._heard_from(None)
        await self._landings((shown, posted))
        self.refused_since = None
        if lead.channel == self._world().channel:
            self.channel_refused = ""
        self._remember(lead, now, merged=len(shown) > 1)
        self._count(lead, now)
        telemetry.attempts.labels(Verdict.SENT).inc()
        for page, _ in shown:
            telemetry.delivered(page, (now - page.due_at).total_seconds())
        if len(shown) > 1:
            telemetry.merged.labels(lead.kind).inc(len(shown))

    def _count(self, lead: Page, now: datetime) -> None:
        """Messages that wake a person, against what a night may hold."""
        if lead.kind is PageKind.PAGE and lead.person and not lead.alone and self._budget.exceeded(lead.person, now):
            telemetry.budget_exceeded.inc()
            log.warning("page.budget_exceeded", person=lead.person)

    async def _failed(self, page: Page, error: RemoteError) -> None:
        await self._not_sent([page], error)

    async def _not_sent(self, pages: Sequence[Page], error: RemoteError) -> None:
        self._heard_from(error)
        lead = pages[0]
        if error.retry_after_seconds is not None:
            self._pace.told_to_wait("chat.postMessage", lead.channel, error.retry_after_seconds, time.monotonic())
        verdict = await delivery.failed_together(self._store.leading, pages, error, self._world(), self._clock.now())
        if verdict is Verdict.CLIENT_REFUSED:
            self.refused_since = self.refused_since or time.monotonic()
        if verdict is Verdict.REFUSED and lead.channel == self._world().channel:
            self.channel_refused = error.code or str(error)
        telemetry.attempts.labels(verdict).inc()

    async def _settle(self, page: Page) -> None:
        """The request can no longer land: the channel's history says whether it did, for all that it showed."""
        error: RemoteError | None = None
        pages = await self._store.pages_led_by(page.id) if page.lead else [page]
        unknown = [one for one in pages if one.state is PageState.UNKNOWN]
        try:
            _, thread = await self._thread_for(page)
            posted = await self._messenger.find(page, thread)
            if posted is not None:  # what it shows is not known, so it is drawn anew
                await self._landed([(one, 0) for one in unknown], posted)
                return
        except RemoteError as raised:
            error = raised
            self._heard_from(error)
        verdict = await delivery.searched_together(self._store.leading, unknown, error, self._clock.now())
        telemetry.attempts.labels(verdict).inc()

    async def _start_edits(self) -> float:
        """Redraws messages that are out of date, those that a person waits for first; the latest state counts."""
        pause = _LONGEST_SLEEP
        if (quiet := self._health.quiet(time.monotonic())) > 0:
            return quiet
        live = await self._store.live()
        owed = {message: list(live.stale.of(message)) for message in live.stale.places()}
        self._edit_failures = {name: count for name, count in self._edit_failures.items() if name in owed}
        self._edit_refused = {name: refused for name, refused in self._edit_refused.items() if name in owed}
        hurried = {name for name, pages in owed.items() if any(page.incident in self._hurried for page in pages)}
        for name in sorted(owed, key=lambda name: (name not in hurried, self._edit_failures.get(name, 0))):
            if name in self._busy or len(self._tasks) >= self._at_once or self._editing >= _EDITS_AT_ONCE:
                continue
            page = owed[name][0]
            wait = self._edit_wait(page, page.slack_channel or page.channel, hurried=name in hurried)
            if wait > 0:
                pause = min(pause, wait)
            else:
                self._spawn(name, _EDIT_LANE + name, self._redraw(name, page))
        self._hurried &= {page.incident for pages in owed.values() for page in pages}
        return pause

    @property
    def _editing(self) -> int:
        return sum(lane.startswith(_EDIT_LANE) for lane in self._lanes)

    def _edit_wait(self, page: Page, channel: str, *, hurried: bool) -> float:
        now, message = time.monotonic(), message_of(page)
        revision, not_before = self._edit_refused.get(message, (-1, 0.0))
        if revision < self._revision(page):  # something new to show is tried at once
            not_before = 0.0
        patient = page.lead is not None or not_before > 0
        ready = self._pace.ready_at("chat.update", channel, now, message=message, human=hurried, patient=patient)
        return max(ready, not_before) - now

    def _revision(self, page: Page) -> int:
        incident = self._known(page)
        return incident.revision if incident else 0

    async def _redraw(self, message: str, page: Page) -> None:
        lead = page if page.lead is None else await self._store.page(message)
        if lead is None:
            return
        shown = await self._members(lead)
        self._pace.sent("chat.update", lead.slack_channel or lead.channel, time.monotonic(), message=message)
        try:
            if lead.lead is not None:
                await self._messenger.update_storm(lead, [incident for _, incident in shown])
            elif shown:
                incident = shown[0][1]
                await self._messenger.update(lead, incident, await self._store.rendering(incident.id))
        except RemoteError as error:
            self._edit_failed(lead, error)
            if error.code not in _MESSAGE_GONE and self._edit_failures.get(message, 0) < _EDIT_TRIES:
                return
        else:
            telemetry.edits.labels("shown").inc()
            self._edit_refused.pop(message, None)
        await delivery.shown_together(self._store.leading, [(one.id, incident.revision) for one, incident in shown])

    def _edit_failed(self, lead: Page, error: RemoteError) -> None:
        self._heard_from(error)
        telemetry.edits.labels("failed").inc()
        log.warning("edit.failed", page=lead.id, error=str(error), code=error.code)
        failures = self._edit_failures[lead.id] = self._edit_failures.get(lead.id, 0) + 1
        if error.permanent and error.code not in CLIENT_REFUSALS:
            again = min(_EDIT_AGAIN * 2 ** min(failures - 1, 10), _EDIT_AGAIN_CAP)
            self._edit_refused[lead.id] = (self._revision(lead), time.monotonic() + again)
        else:
            wait = error.retry_after_seconds or 5.0
            self._pace.told_to_wait("chat.update", lead.slack_channel or lead.channel, wait, time.monotonic())


def _until(moment: datetime | None, now: datetime) -> float:
    return _LONGEST_SLEEP if moment is None else max((moment - now).total_seconds(), _FIRST_SLEEP)
