"""Delivers the pages that do not go to Slack: e-mail and webhooks. Apart from the outbox, so that neither Slack's pace
nor Slack's being down ever holds them up.

Holds no state that matters, like the outbox. One message at a time to each person by each channel, and a short rest
after it: what falls due meanwhile goes out as one. What has an unknown outcome is sent again once it can no longer
land: its id goes with it, so that a repeat can be known for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from bot import delivery, telemetry
from bot.errors import RemoteError
from bot.incidents.decision import World
from bot.incidents.model import Incident
from bot.paging.attempt import Verdict, priority
from bot.paging.merge import MERGE_FROM, MOST
from bot.paging.model import RECEIVER, Page, PageKind, PageState
from bot.paging.statuses import GIVEN_UP
from bot.ports import Channels, Clock, Posted
from bot.renderings import Renderings
from bot.sender import Sender
from bot.store.database import Database

_AT_ONCE = 8  # requests in flight
_RECEIVERS_AT_ONCE = 4  # of them to other systems: those that hang must leave room for people
_LONGEST_SLEEP = 5.0
_FIRST_SLEEP = 0.05
_NOWHERE = Posted("", "")
_NOT_READ_BACK = RemoteError("what was sent there cannot be read back", permanent=True)
_TRIES_UNKNOWN = 2
_REST = timedelta(seconds=10)

Place = tuple[str, str | None]  # channel and person


class Courier(Sender):
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
        super().__init__("courier", renderings, facts)
        self._store = store
        self._channels = channels
        self._clock = clock
        self._world = world
        self._busy: dict[str, Place] = {}  # page → where it goes
        self._rests: dict[Place, datetime] = {}

    async def _round(self) -> float:
        now = self._clock.now()
        every = [page for page in await self._store.on_their_way() if page.kind is not PageKind.CHART]
        mine = [page for page in every if not page.by_slack and page.id not in self._busy]
        if interrupted := [page for page in mine if page.state is PageState.SENDING]:
            await delivery.recover(self._store.leading, interrupted, now)
            return _FIRST_SLEEP
        self._rests = {place: until for place, until in self._rests.items() if until > now}
        due = [page for page in mine if page.due_at <= now]
        known = {incident.id: incident for incident in await self._store.unresolved()} if due else {}
        for place, pages in _by_place(sorted(due, key=lambda page: priority(page, known.get(page.incident or "")))):
            if place not in self._busy.values() and place not in self._rests and self._has_room(place):
                self._start(place, pages)
        later = [*(page.due_at for page in mine if page.due_at > now), *self._rests.values()]
        return max(min([*((at - now).total_seconds() for at in later), _LONGEST_SLEEP]), _FIRST_SLEEP)

    def _has_room(self, place: Place) -> bool:
        receivers = sum(map(_is_receiver, set(self._busy.values()))) if _is_receiver(place) else 0
        return len(self._tasks) < _AT_ONCE and receivers < _RECEIVERS_AT_ONCE

    def _start(self, place: Place, pages: Sequence[Page]) -> None:
        unknown = [page for page in pages if page.state is PageState.UNKNOWN]
        together = unknown or together_of(pages)
        work = self._settle(unknown) if unknown else self._deliver(place, together)
        self._busy |= dict.fromkeys((page.id for page in together), place)
        self._begin(together[0].id, work, lambda: self._free(together))

    def _free(self, pages: Sequence[Page]) -> None:
        for page in pages:
            self._busy.pop(page.id, None)

    async def _deliver(self, place: Place, pages: Sequence[Page]) -> None:
        first = pages[0]
        rendered = None
        if (
            first.incident is not None
            and first.kind is not PageKind.STATUS
            and (seen := await self._store.incident(first.incident)) is not None
        ):
            rendered = await self._rendered(seen) if len(pages) == 1 else None
        claimed = await self._claim(pages)
        if not claimed or not self._store.leads:  # stopped in between: whoever leads now settles it
            return
        (lead, incident), others = claimed[0], [(page, one) for page, one in claimed[1:] if one is not None]
        to_people = lead.kind is not PageKind.STATUS
        if to_people:
            self._rests[place] = self._clock.now() + _REST
        try:
            await self._channels.send(lead, incident, rendered, others)
        except RemoteError as error:
            self._rests[place] = self._clock.now() + _REST
            await self._failed([page for page, _ in claimed], _not_for_ever(lead, error, self._clock.now()))
            return
        await self._sent(claimed)

    async def _claim(self, pages: Sequence[Page]) -> Sequence[tuple[Page, Incident | None]]:
        now = self._clock.now()
        if len(pages) > 1:
            return (await delivery.claim_together(self._store.leading, [[page.id for page in pages]], now))[0]
        claimed = await delivery.claim(self._store.leading, pages[0].id, now)
        return [claimed] if claimed is not None else []

    async def _sent(self, claimed: Sequence[tuple[Page, Incident | None]]) -> None:
        now = self._clock.now()
        shown = [(page, incident.revision if incident else 0) for page, incident in claimed]
        await delivery.sent_together(self._store.leading, [(shown, _NOWHERE)], now)
        telemetry.attempts.labels(Verdict.SENT).inc()
        for page, _ in claimed:
            telemetry.delivered(page, (now - page.due_at).total_seconds())

    async def _failed(self, pages: Sequence[Page], error: RemoteError) -> None:
        verdict = await delivery.failed_together(self._store.leading, pages, error, self._world(), self._clock.now())
        telemetry.attempts.labels(verdict).inc()

    async def _settle(self, pages: Sequence[Page]) -> None:
        """The request can no longer land, and nobody can say whether it did."""
        verdict = await delivery.searched_together(self._store.leading, pages, _NOT_READ_BACK, self._clock.now())
        telemetry.attempts.labels(verdict).inc()


def _is_receiver(place: Place) -> bool:
    return place[0].startswith(RECEIVER)


def _by_place(pages: Sequence[Page]) -> Iterable[tuple[Place, list[Page]]]:
    """The places in the order of their most urgent page."""
    places: dict[Place, list[Page]] = {}
    for page in pages:
        places.setdefault((page.channel, page.person), []).append(page)
    return places.items()


def together_of(pages: Sequence[Page]) -> Sequence[Page]:
    """What goes out as one message: everything that is due for this place if it is much, else the first."""
    alike = [page for page in pages if page.kind is PageKind.PAGE and page.incident is not None and not page.alone]
    return alike[:MOST] if len(alike) >= MERGE_FROM and not pages[0].alone else pages[:1]


def _not_for_ever(lead: Page, error: RemoteError, now: datetime) -> RemoteError:
    """A second unknown outcome counts as a refusal: another copy would hardly tell more, another way may. Another
    system is not told what has become old."""
    if lead.kind is PageKind.STATUS:
        old = now - (lead.planned_at or lead.due_at) > GIVEN_UP
        return RemoteError(f"{error}; given up after a day", code=error.code, permanent=True) if old else error
    if error.unknown and lead.attempt >= _TRIES_UNKNOWN:
        return RemoteError(f"{error}, {lead.attempt} times; it may have arrived", code=error.code, permanent=True)
    return error
