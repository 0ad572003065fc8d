"""Looks after the on-call itself before anything happens: calendars at an address, hours that nobody covers, people
whom a page would not reach, user groups that follow schedules. Decides nothing; what it finds becomes alerts of
agentpager's own, or a message where the owner reads it.

Each job runs beside the pager's ticks and is never waited for. One that fails is counted and tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot import feeds as edge
from bot import judge, pipeline, telemetry
from bot.errors import RemoteError
from bot.forecast import warnings
from bot.forecast.coverage import Gap
from bot.incidents.model import Alert
from bot.metrics.fetch import Client
from bot.oncall import feeds, reachability
from bot.oncall.feeds import Copy
from bot.oncall.reachability import Account, Trouble
from bot.oncall.usergroups import Wanted, wanted
from bot.pager import Pager
from bot.paging.attempt import CLIENT_REFUSALS
from bot.paging.model import Page, PageKind
from bot.ports import Clock
from bot.records.digest import channel_of
from bot.slack.directory import Directory
from bot.slack.usergroups import REFUSALS, UserGroups
from bot.store.database import Database

log = structlog.get_logger()

_DAILY, _HOURLY = timedelta(days=1), timedelta(hours=1)
_AGAIN = timedelta(minutes=10)  # after a job that failed
_STARTING = timedelta(seconds=20)  # the processor has better things to do
_SETTLING = timedelta(minutes=2)  # and so has Slack
_COVERAGE_SECONDS = 300.0
_BETWEEN_PEOPLE = 1.0  # seconds; users.info allows more, but it is nobody's hurry
_LONGEST_WAIT = 120.0
_FAILURES = 3  # of one round: then Slack has other troubles
_AT_ONCE = 4  # calendars
_AHEAD = timedelta(days=28)

Pause = Callable[[float], Awaitable[None]]


class Upkeep:
    """`doubt` is told of the members of Slack whom no page reaches, `learn` of what Slack said of each; `pause` is how
    it waits between two questions."""

    def __init__(
        self,
        pager: Pager,
        store: Database,
        clock: Clock,
        env: Mapping[str, str],
        doubt: Callable[[Collection[str]], None],
        pause: Pause = asyncio.sleep,
        learn: Callable[[Iterable[Account]], None] = lambda _: None,
    ) -> None:
        self._pager = pager
        self._store = store
        self._clock = clock
        self._env = env
        self._doubt = doubt
        self._pause = pause
        self._learn = learn
        self._running: dict[str, asyncio.Task[None]] = {}
        self._begun = clock.now()
        self.unreachable: dict[str, str] = {}  # people whom no page in Slack reaches, and why
        self._tried: dict[str, tuple[str, datetime, bool]] = {}  # job → what it looked at, when, whether it was done

    async def tick(self) -> None:
        """Starts what is due and returns. One process reads calendars, proves and changes things for all replicas; whom
        a page reaches each of them has to know."""
        config, now = self._pager.config, self._clock.now()
        leads = self._pager.leads
        self._start("feeds", self.read_feeds if leads else self.follow_feeds)
        begun = abs(now - self._begun)
        if leads and begun >= _STARTING and self._is_due("coverage", config.digest, _DAILY, now):
            self._start("coverage", self.prove_coverage)
        people = ",".join(f"{person.id}={person.slack}" for person in config.book.people.values())
        if begun >= _SETTLING and self._is_due("reachability", people, _HOURLY, now):
            self._start("reachability", self.look_after_people)

        groups = wanted(config.book, now)
        on_duty = ",".join(f"{one.group}={'+'.join(sorted(one.users))}" for one in groups)
        if leads and groups and begun >= _SETTLING and self._is_due("usergroups", on_duty, _DAILY, now):
            self._start("usergroups", self.follow_schedules)

    async def stop(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _is_due(self, job: str, subject: str, interval: timedelta, now: datetime) -> bool:
        """Never done, done of something else, too long ago, or failed a while ago."""
        if job in self._running and not self._running[job].done():
            return False
        before, at, done = self._tried.get(job, ("", now, False))
        pause = interval if done else _AGAIN
        due = before != subject or not timedelta() <= now - at < pause
        if due:
            self._tried[job] = (subject, now, False)
        return due

    def _start(self, name: str, job: Callable[[], Awaitable[bool]]) -> None:
        if name not in self._running or self._running[name].done():
            self._running[name] = asyncio.create_task(self._run(name, job), name=f"upkeep-{name}")

    async def _run(self, name: str, job: Callable[[], Awaitable[bool]]) -> None:
        try:
            done = await job()
        except Exception:
            telemetry.loop_errors.labels(name).inc()
            log.exception("upkeep.failed", job=name)
            return
        if done:
            telemetry.job_at.labels(name).set(self._clock.now().timestamp())
            subject, at, _ = self._tried.get(name, ("", self._clock.now(), True))
            self._tried[name] = (subject, at, True)

    async def read_feeds(self) -> bool:
        """Reads the calendars whose time has come. One that says something new takes the way of a changed file."""
        config = self._pager.config
        named = feeds.named_in(config.book)
        copies = {written: self._pager.copies.get(written, Copy()) for written in named}
        now, interval = self._clock.now(), config.settings.oncall.feed_interval
        due = {written: copy for written, copy in copies.items() if feeds.is_due(copy, interval, now)}
        if due:
            copies |= await self._asked(due)
            self._pager.copies = {**self._pager.copies, **copies}
            if any(copies[written].text != copy.text for written, copy in due.items()):
                await self._pager.poll_files()
        grace = config.settings.oncall.feed_grace
        told = [
            warnings.of_feed(written, named[written], copy)
            for written, copy in copies.items()
            if feeds.needs_somebody(copy, grace, self._clock.now())
        ]
        await self._pager.own_alerts(warnings.FEED_FAILED, told)
        failing = sum(copy.failing_since is not None for copy in copies.values())
        telemetry.feeds_failing.set(failing)
        return failing == 0

    async def follow_feeds(self) -> bool:
        """Takes over what the leader has read of calendars."""
        kept = feeds.kept(await self._store.feeds())
        before, self._pager.copies = self._pager.copies, kept
        if any(copy.text != before.get(written, Copy()).text for written, copy in kept.items()):
            await self._pager.poll_files()
        return True

    async def _asked(self, due: Mapping[str, Copy]) -> dict[str, Copy]:
        client, turn = Client(self._pager.config.base_dir), asyncio.Semaphore(_AT_ONCE)
        try:
            read = await asyncio.gather(*(self._ask(*one, client, turn) for one in due.items()))
        finally:
            await client.close()
        return dict(zip(due, read, strict=True))

    async def _ask(self, written: str, copy: Copy, client: Client, turn: asyncio.Semaphore) -> Copy:
        async with turn:
            after = await edge.read(written, copy, self._env, client, self._clock.now())
        async with self._store.leading.transaction() as tx:
            await tx.save_feed(written, after.model_dump_json())
        if after.error and after.error != copy.error:
            log.warning("feed.failed", calendar=feeds.shown(written), error=after.error)
        elif after.text != copy.text:
            log.info("feed.changed", calendar=feeds.shown(written), characters=len(after.text))
        return after

    async def prove_coverage(self) -> bool:
        """Computed in a child: the pager's own loop has no time for a month of every ladder."""
        config, sources = self._pager.config, self._pager.sources
        start = self._clock.now()
        end = start + timedelta(days=config.settings.oncall.coverage_days)
        question = {"ask": "gaps", "from": start.isoformat(), "until": end.isoformat(), "sources": sources.to_json()}
        found = [_gap(row) for row in await judge.ask(question, _COVERAGE_SECONDS)]
        told = warnings.of_gaps(found, config.agents, config.book, end)
        telemetry.coverage_gaps.set(len({(gap.kind, gap.id) for gap in found}))
        await self._pager.own_alerts(warnings.COVERAGE_GAP, told)
        return True

    async def look_after_people(self) -> bool:
        """Asks Slack about everybody who may be paged in the weeks ahead. No answer is no verdict: what was told of
        them before stays."""
        config, now = self._pager.config, self._clock.now()
        book = config.book
        turns = await asyncio.to_thread(reachability.first_turns, config.agents, book, now, now + _AHEAD)
        found, unasked = await self._accounts({person: book.people[person].slack for person in turns})
        second = config.settings.notify.email is not None or bool(config.settings.notify.webhooks)
        for person in turns:
            if lacking := reachability.no_second_way(book.people[person], second):
                found.setdefault(person, []).append(lacking)
        grave = {person for person, troubles in found.items() if any(trouble.grave for trouble in troubles)}
        told = [
            warnings.of_person(
                book.people[person],
                troubles,
                reachability.is_urgent(person, turns[person], book, now),
                reachability.who_mends(person, config.agents, book, grave, now),
            )
            for person, troubles in found.items()
            if person not in unasked
        ]
        telemetry.unreachable.set(len(grave))
        self.unreachable = {person: next(one.text for one in found[person] if one.grave) for person in grave}
        self._doubt({book.people[person].slack for person in grave})

        def held(alert: Alert) -> bool:
            return alert.labels.get("person") in unasked

        await self._pager.own_alerts(warnings.UNREACHABLE, told, held)
        return not unasked

    async def follow_schedules(self) -> bool:
        """Puts whoever is on duty into the user groups of their schedules, where they are not in them yet. While nobody
        is on duty, and where Slack refuses, a group keeps its members, and the owner's channel is told once."""
        done = True
        async with UserGroups(self._pager.config.settings.slack) as groups:
            for one in wanted(self._pager.config.book, self._clock.now()):
                done = await self._follow(groups, one) and done
        return done

    async def _follow(self, groups: UserGroups, one: Wanted) -> bool:
        names = " and ".join(one.schedules)
        if not one.users:
            until = f"until {one.until:%Y-%m-%d %H:%M} UTC" if one.until is not None else "from now on"
            told = (
                f"Nobody is on duty in {names}\nIts user group in Slack ({one.group}) keeps its members, as a group "
                f"cannot be empty: {until}, a mention of it reaches who was on duty before."
            )
            ending = f"{one.until:%Y%m%dT%H%M}" if one.until is not None else "open"
            await self._tell_owner(one, f"usergroup.{one.group}.empty.{ending}", told, "nobody for a user group")
            return True
        try:
            if await groups.members(one.group) != one.users:
                await groups.replace(one.group, one.users)
                log.info("usergroup.changed", group=one.group, schedules=one.schedules, members=len(one.users))
        except RemoteError as error:
            log.warning("usergroup.failed", group=one.group, schedules=one.schedules, error=str(error))
            if error.code not in REFUSALS:
                return False
            told = (
                f"The user group of {names} does not follow\nSlack refuses to change {one.group} ({error.code}): "
                f"{REFUSALS[error.code]}. Pages are not concerned by it."
            )
            await self._tell_owner(one, f"usergroup.{one.group}.{error.code}", told, "a user group cannot be changed")
        return True

    async def _tell_owner(self, one: Wanted, page_id: str, text: str, why: str) -> None:
        """A page id is used once: the same is not told again, not even after a restart."""
        config, now = self._pager.config, self._clock.now()
        channel = channel_of(one.schedules[0], config.book) or config.settings.slack.channel
        page = Page(id=page_id, incident=None, kind=PageKind.NOTICE, channel=channel, due_at=now, text=text, reason=why)
        await pipeline.announce(self._store.leading, page, now)
        self._pager.wake()

    async def _accounts(self, people: Mapping[str, str]) -> tuple[dict[str, list[Trouble]], set[str]]:
        """What is wrong with each, and of whom Slack did not say."""
        found: dict[str, list[Trouble]] = {}
        unasked = set(people)
        failures = 0
        try:
            async with Directory(self._pager.config.settings.slack) as directory:
                for person, slack in people.items():
                    try:
                        account = await self._account(directory, slack)
                        self._learn([account])
                        trouble = reachability.trouble(account)
                    except RemoteError as error:
                        failures += 1
                        if error.code in CLIENT_REFUSALS or failures >= _FAILURES:
                            raise
                    else:
                        unasked.discard(person)
                        found |= {person: [trouble]} if trouble else {}
                    await self._pause(_BETWEEN_PEOPLE)
        except RemoteError as error:
            log.warning("people.not_asked", error=str(error), people=len(unasked))
        return found, unasked

    async def _account(self, directory: Directory, slack: str) -> Account:
        try:
            return await directory.account(slack)
        except RemoteError as error:
            if error.retry_after_seconds is None:
                raise
            await self._pause(min(error.retry_after_seconds, _LONGEST_WAIT))
        return await directory.account(slack)


def _gap(row: dict[str, Any]) -> Gap:
    spans = tuple((datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in row["spans"])
    return Gap(row["kind"], row["id"], tuple(row["severities"]), tuple(row["agents"]), spans)
