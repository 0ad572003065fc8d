"""Records over the stored rows: timelines, reports and how runbooks age on demand; promises, hand-overs and digests as
time goes by.

Never in the way of a page: long answers are read piece by piece, and what is heavy is computed on a thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date, datetime, timedelta

import structlog

from bot import pipeline, telemetry
from bot.audit.model import Entry
from bot.errors import UsageError
from bot.forecast.coverage import Gap, gaps
from bot.incidents.decision import World
from bot.incidents.model import Incident
from bot.incidents.policy import IncidentRules
from bot.incidents.promises import Standing, next_look, unnoticed
from bot.oncall.duty import at_duty
from bot.paging.model import Page, PageKind
from bot.ports import Accounts, Actor, Clock
from bot.records import digest
from bot.records.digest import Digest, Present, Shelf
from bot.records.report import By, Case, ReportJson, case, report
from bot.records.timeline import Story, plain, span, story
from bot.records.usage import Usage, Use, usages
from bot.runbooks.model import Runbook
from bot.settings import Digest as DigestSettings
from bot.store.database import Database

log = structlog.get_logger()

MOST = 50_000  # incidents in one report
MOST_CHARACTERS = 2000  # of notes on a hand-over
MOST_DAYS = 730  # of a look at the runbooks
_AHEAD = timedelta(days=7)
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_SHELF = timedelta(days=90)  # what a digest knows of the runbooks
_HANDOVER_GRACE = timedelta(hours=2)  # a hand-over that fell into a stop is told this much later at most
_WEEKLY_GRACE = timedelta(hours=12)
_DAILY_GRACE = timedelta(hours=2)
_LOOKS_AT_ONCE = 50  # incidents that are read at once
_MOST_LOOKS = 500  # in one round, of which there is one every few seconds
# An incident is looked at so long before its first promise ends: one that then ends between two rounds is known, and
# looked at once more. After a longer pause between rounds, or a stop, those that ended meanwhile are asked for.
_AHEAD_OF_TIME = timedelta(minutes=1)
_LATELY = timedelta(hours=1)
_LONGEST = timedelta(days=7)

Incidents = Callable[[str], Awaitable[Incident]]


class Bookkeeper:
    """Implements ports.Records. `incident` finds one by what people call it; `wake` hurries the outbox. Tests and
    drills count in no report."""

    def __init__(
        self,
        store: Database,
        clock: Clock,
        world: Callable[[], World],
        runbooks: Callable[[], Sequence[Runbook]],
        settings: Callable[[], DigestSettings],
        incident: Incidents,
        wake: Callable[[], None],
    ) -> None:
        self.accounts: Accounts | None = None  # error budgets and money, for the digests
        self._store = store
        self._clock = clock
        self._world = world
        self._runbooks = runbooks
        self._settings = settings
        self._incident = incident
        self._wake = wake
        self._looks: dict[str, tuple[int, datetime | None]] = {}  # incident → version seen, next instant of interest
        self._looked_at: datetime | None = None
        self._on_duty: dict[str, tuple[str, ...]] = {}
        self._done: dict[str, datetime] = {}  # the day, the week → when it was last told
        self._head_day: date | None = None

    # Told on demand

    async def timeline(self, reference: str) -> Story:
        """Raises UsageError when there is no such incident."""
        incident = await self._incident(reference)
        entries = await self._store.history.audit_of(incident.id)
        pages = await self._store.pages_of(incident.id)
        return story(incident, entries, pages, self._world().book, self._clock.now())

    async def report(self, start: datetime, end: datetime, by: By | None = None) -> ReportJson:
        """Raises UsageError when it would be over too many incidents."""
        count = await self._store.history.count_opened(start, end)
        if count > MOST:
            raise UsageError(f"that report is over {count} incidents, {MOST} at most; choose a shorter time")
        return await asyncio.to_thread(report, await self._cases(start, end), start, end, by)

    async def handover(self, schedule: str) -> Digest:
        """The latest hand-over of a schedule, as it looks now. Raises UsageError when there is none."""
        book, now = self._world().book, self._clock.now()
        known = book.schedules.get(schedule)
        if known is None:
            names = ", ".join(sorted(book.schedules)[:8]) or "none is there"
            raise UsageError(f'there is no schedule "{schedule}"; known: {names}')
        change = await asyncio.to_thread(digest.last_handover, known, book.almanac, now)
        if change is None:
            raise UsageError(f'"{schedule}" has not been handed over lately: nobody or always the same people have it')
        return await self._handover(schedule, change)

    async def _handover(self, schedule: str, change: digest.Handover) -> Digest:
        cases = await self._cases(change.since, change.at, lambda incident: digest.concerns(incident, schedule))
        present, book = await self._present(), self._world().book
        return await asyncio.to_thread(digest.handover, schedule, change, present, cases, book)

    async def hand_on(self, actor: Actor, handover: str, text: str, *, event_key: str | None = None) -> None:
        """Posts notes on a hand-over, by the id of its page, where the hand-over stands. Raises UsageError when there
        is no such hand-over, or nothing is written."""
        written, now = plain(text, lines=True), self._clock.now()
        if not written:
            raise UsageError("nothing is written; say what the next one has to know")
        if len(written) > MOST_CHARACTERS:
            raise UsageError(f"the notes have {len(written)} characters, {MOST_CHARACTERS} at most")
        async with self._store.transaction() as tx:
            before = await tx.page(handover)
            if before is None or before.kind is not PageKind.HANDOVER:
                raise UsageError("that hand-over is not known any more; write the notes into its channel")
            if event_key is not None and not await tx.first_time(event_key, now):
                return
            page_id = digest.note_id(handover, f"{round(now.timestamp() * 1000)}.{actor.id.rpartition(':')[2]}")
            title = f"{plain(actor.name)}, notes on: {before.text.partition(chr(10))[0]}"
            page = Page(
                id=page_id[:160],
                incident=None,
                kind=PageKind.HANDOVER,
                channel=before.channel,
                due_at=now,
                text=f"{title}\n{written}",
                reason="notes for the next shift",
            )
            entry = Entry(at=now, actor=actor.id, action="handover.noted", subject=handover, why=written)
            await tx.add_pages([page])
            await tx.append_audit([entry])
        self._wake()

    async def weekly(self) -> Digest:
        """The digest of the seven days until now."""
        return await self._told_until_now(_WEEK, digest.weekly)

    async def daily(self) -> Digest:
        """The digest of the 24 hours until now."""
        return await self._told_until_now(_DAY, digest.daily)

    async def _told_until_now(self, length: timedelta, told: Callable[..., Digest]) -> Digest:
        now = self._clock.now()
        cases = await self._cases(now - length, now)
        present, shelf = await self._present(), await self._shelf(now - length, now)
        return await asyncio.to_thread(told, now - length, now, present, cases, self._world().book, shelf)

    async def runbooks(self, days: int) -> Sequence[Usage]:
        """How each runbook has been used in these days. Raises UsageError when they are none, or too many."""
        if not 1 <= days <= MOST_DAYS:
            raise UsageError(f"days: {days} is not from 1 to {MOST_DAYS}")
        now = self._clock.now()
        uses = await self._uses(now - timedelta(days=days), now)
        return await asyncio.to_thread(usages, self._runbooks(), uses, now.date())

    async def _shelf(self, start: datetime, now: datetime) -> Shelf:
        uses, books = await self._uses(now - _SHELF, now), self._runbooks()
        lately = [one for one in uses if one.at >= start]

        def counted() -> Shelf:
            return Shelf(usages(books, lately, now.date()), usages(books, uses, now.date()))

        return await asyncio.to_thread(counted)

    async def _uses(self, start: datetime, end: datetime) -> list[Use]:
        return [one async for piece in self._store.history.runbook_uses(start, end) for one in piece]

    async def _cases(
        self, start: datetime, end: datetime, wanted: Callable[[Incident], bool] = lambda _: True
    ) -> list[Case]:
        book, now = self._world().book, self._clock.now()
        found: list[Case] = []
        async for piece in self._store.history.opened(start, end):
            real = ((incident, pages) for incident, pages in piece if not incident.exercise)
            found += [case(incident, pages, book, now) for incident, pages in real if wanted(incident)]
        return found

    async def _present(self) -> Present:
        now = self._clock.now()
        return Present(
            now=now,
            unresolved=await self._store.unresolved(),
            silences=await self._store.silences(now),
            gaps=await asyncio.to_thread(self._gaps, now),
            head=await self._store.history.audit_head(),
            agents=self._world().agents,
            budgets=await self.accounts.budgets() if self.accounts is not None else (),
            spending=await self.accounts.spending() if self.accounts is not None else (),
        )

    def _gaps(self, now: datetime) -> Sequence[Gap]:
        world = self._world()
        return gaps(world.agents, world.book, now, now + _AHEAD)

    # As time goes by

    async def keep_promises(self) -> None:
        """Writes down each promise that was not kept, once: the incident remembers it. A few at a time: in a storm
        pages come first, and a promise is as broken some seconds later."""
        shortest = _shortest(self._world().rules)
        if shortest is None:
            return
        now = self._clock.now()
        versions = await self._store.history.unresolved_versions(now - shortest + _AHEAD_OF_TIME)
        over = [name for name in self._looks if name not in versions]
        if self._looked_at is None or now - self._looked_at > _AHEAD_OF_TIME / 2:
            over += await self._store.history.ended_lately((self._looked_at or now) - _LATELY, now - _LONGEST)
        changed = [name for name, version in versions.items() if self._is_due(name, version, now)]
        for names in _pieces([*over, *changed][:_MOST_LOOKS]):
            await self._look_at(names, versions, now)
            await asyncio.sleep(0)
        self._looked_at = now

    def _is_due(self, name: str, version: int, now: datetime) -> bool:
        seen, coming = self._looks.get(name, (-1, None))
        return version != seen or (coming is not None and coming < now)

    async def _look_at(self, names: Sequence[str], versions: dict[str, int], now: datetime) -> None:
        """Reads first and writes only where something is to be written: most looks find nothing."""
        broken = []
        for incident in await self._store.history.incidents(names):
            if not incident.exercise and unnoticed(incident, now):
                broken.append(incident.id)
            if incident.id in versions:
                self._looks[incident.id] = (versions[incident.id], next_look(incident, now))
        if broken:
            await self._write_down(broken, now)
        for name in names:
            if name not in versions:
                self._looks.pop(name, None)

    async def _write_down(self, names: Sequence[str], now: datetime) -> None:
        found: list[tuple[Incident, Standing]] = []
        async with self._store.leading.transaction() as tx:
            for name in names:
                incident = await tx.incident(name)
                broken = unnoticed(incident, now) if incident is not None else []
                if incident is not None and broken:
                    breached = (*incident.breached, *(one.what for one in broken))
                    await tx.save_incident(incident.model_copy(update={"breached": breached}))
                    found += [(incident, one) for one in broken]
            await tx.append_audit([_breach(incident, one, now) for incident, one in found])
        for incident, one in found:
            telemetry.sla_breaches.labels(incident.severity.value, one.what).inc()

    async def post_digests(self) -> None:
        """Hand-overs and digests whose time has come, and the head of the audit log once a day."""
        await self._publish_head()
        settings, now = self._settings(), self._clock.now()
        if settings.handover:
            await self._post_handovers()
        if settings.weekly is not None:
            due = digest.weekly_due(settings.weekly, settings.timezone, now)
            await self._post_of_all(
                "weekly digest", f"notice.digest.{round(due.timestamp())}", due, _WEEKLY_GRACE, self.weekly
            )
        if settings.daily is not None:
            due = digest.daily_due(settings.daily, settings.timezone, now)
            page_id = f"digest.daily.{round(due.timestamp())}"
            await self._post_of_all("daily digest", page_id, due, _DAILY_GRACE, self.daily)

    async def _publish_head(self) -> None:
        """To the log, which is kept elsewhere: whoever cuts rows off the database cannot change it there."""
        today = self._clock.now().date()
        if self._head_day != today and (head := await self._store.history.audit_head()) is not None:
            log.info("audit.head", sequence=head.sequence, hash=head.hash)
            self._head_day = today

    async def _post_handovers(self) -> None:
        book, now = self._world().book, self._clock.now()
        for name, schedule in book.schedules.items():
            channel = digest.channel_of(name, book)
            people, _ = at_duty(schedule, now, book.almanac)
            if channel is None or self._on_duty.get(name) == people:
                continue
            change = await asyncio.to_thread(digest.last_handover, schedule, book.almanac, now)
            if change is not None and now - change.at <= _HANDOVER_GRACE:
                page_id = f"notice.handover.{name}.{round(change.at.timestamp())}"
                if not await self._store.history.page_known(page_id):
                    told = await self._handover(name, change)
                    await self._post(page_id, PageKind.HANDOVER, channel, told, "hand-over of a shift")
            self._on_duty[name] = people

    async def _post_of_all(
        self, what: str, page_id: str, due: datetime, grace: timedelta, told: Callable[[], Awaitable[Digest]]
    ) -> None:
        if self._done.get(what) == due or self._clock.now() - due > grace:
            return
        if not await self._store.history.page_known(page_id):
            await self._post(page_id, PageKind.DIGEST, self._world().channel, await told(), what)
        self._done[what] = due

    async def _post(self, page_id: str, kind: PageKind, channel: str, told: Digest, why: str) -> None:
        """The id names the occasion, so that it is told once, also over restarts."""
        now = self._clock.now()
        text = digest.as_text(told)
        page = Page(id=page_id, incident=None, kind=kind, channel=channel, due_at=now, text=text, reason=why)
        await pipeline.announce(self._store.leading, page, now)
        self._wake()


def _shortest(rules: IncidentRules) -> timedelta | None:
    promises = [time for promise in rules.sla.values() for time in (promise.ack, promise.resolve) if time is not None]
    return min(promises, default=None)


def _pieces(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _LOOKS_AT_ONCE):
        yield names[start : start + _LOOKS_AT_ONCE]


def _breach(incident: Incident, one: Standing, now: datetime) -> Entry:
    promised = span(one.promised.total_seconds())
    took = f"took {span(one.took.total_seconds())}" if one.took is not None else "not yet"
    detail = {"what": one.what, "severity": incident.severity.value, "promised": promised}
    why = f"{one.what} was promised within {promised}: {took}"
    return Entry(at=now, actor="agentpager", action="sla.breached", subject=incident.id, why=why, detail=detail)
