"""Computes how ready the agents are, every few minutes and when somebody asks: the files are read by a child process,
the watcher answers for the series, the database for what was done and tried.

Never in the way of a page. What changed since the last look is kept as evidence and in the audit log, and goes to the
watcher as series.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot import judge
from bot.agents.evidence import Evidence
from bot.agents.model import Stage
from bot.agents.readiness import Domain, Status, readiness_series
from bot.agents.record import by_agent, track
from bot.audit.model import Entry
from bot.complaints import did_you_mean
from bot.errors import QueryError, RemoteError, UsageError
from bot.labels import Labels
from bot.pager import Pager
from bot.ports import Clock, Records
from bot.readiness import live as asking
from bot.readiness.answers import understood
from bot.readiness.model import Answer, Dossier, Drill, Facts, Live, TrackRecord, Verdict
from bot.readiness.verdict import verdicts
from bot.readiness.words import headline
from bot.store.database import Database

log = structlog.get_logger()

KIND = "readiness"  # of evidence
_DRILL = "drill"
_EVERY = timedelta(minutes=2)
_FRESH = timedelta(seconds=10)  # whoever asks again so soon gets the same
_RECORDS_FOR = timedelta(minutes=15)  # sums over weeks are not made anew more often
_FIRST_RECORDS_FOR = timedelta(minutes=1)  # when there is little to sum up, and somebody waits for the first runs
_ANSWER_SECONDS = 5.0
_ROUND = timedelta(seconds=20)  # what has not been asked by then is not asked
_MOST_DRILLS = 5000
_LOOKS = 3
_WAVERING = (
    Domain.ALERT_ERRORS,
    Domain.ALERT_LATENCY,
    Domain.ALERT_COST,
    Domain.ALERT_QUALITY,
    Domain.ACCEPTANCE,
    Domain.AUDIT,
)
_AT_ONCE = 50  # agents in one transaction
_CHILD_SECONDS = 120.0


class Gatekeeper:
    """Implements ports.Gate. `unreachable` are people whom no page in Slack reaches, with the reason."""

    def __init__(
        self,
        pager: Pager,
        store: Database,
        clock: Clock,
        records: Records,
        unreachable: Callable[[], Mapping[str, str]],
    ) -> None:
        self._pager = pager
        self._store = store
        self._clock = clock
        self._records = records
        self._unreachable = unreachable
        self._turn = asyncio.Lock()
        self._dossiers: list[Dossier] = []
        self._read: object = None  # which files they are of
        self._live: Live | None = None
        self._ticked_at: datetime | None = None
        self._tracks: dict[str, TrackRecord] = {}
        self._tracked_at: datetime | None = None
        self._known: dict[str, dict[Domain, Status]] | None = None  # as last recorded
        self._seen: dict[tuple[str, Domain], tuple[Status, int]] = {}  # a new status, and by how many looks in a row
        self._told: dict[str, tuple[Stage, dict[Domain, Status]]] = {}  # as the watcher has it

    async def tick(self) -> None:
        """Asks, records what has changed, and hands the series on; not before the watcher is ready."""
        now = self._clock.now()
        lately = self._ticked_at is not None and timedelta() <= now - self._ticked_at < _EVERY
        if lately or not self._pager.watcher.ready:
            return
        self._ticked_at = now
        async with self._turn:
            await self._look()
            if not self._store.leads:
                self._known = None  # the leader records; what it has recorded is read anew
            known = await self._recorded()
            found = await asyncio.to_thread(self._judged, None)
            if self._store.leads:
                await self._record(found, known)
            await self._tell(found)

    async def verdicts(self, agent: str | None = None, stage: Stage | None = None) -> Sequence[Verdict]:
        """Of all agents that are not retired, or of one. Raises UsageError when there is no such agent."""
        known = self._pager.config.agents
        if agent is not None and agent not in known:
            raise UsageError(f'there is no agent "{agent}"; {did_you_mean(agent, known) or "none is there"}')
        async with self._turn:
            if self._live is None or not timedelta() <= self._clock.now() - self._live.at < _FRESH:
                await self._look()
                await self._recorded()
            found = await asyncio.to_thread(self._judged, stage)
        return [
            one for one in found if one.agent == agent or (agent is None and one.claimed_stage is not Stage.RETIRED)
        ]

    def _judged(self, stage: Stage | None) -> list[Verdict]:
        agents = self._pager.config.agents
        return verdicts(self._dossiers, agents, self._live, self._clock.now(), stage, self._known)

    async def _look(self) -> None:
        await self._read_files()
        now = self._clock.now()
        answers = await self._answers(asking.questions(self._dossiers, self._pager.config.agents.values()), now)
        since = await self._watched_since(now)
        await self._track(now, since, answers)
        drills = await self._drills()
        lost = dict(self._unreachable())
        facts = {
            agent: Facts(watched_since=since, record=self._tracks.get(agent), drill=drills.get(agent), unreachable=lost)
            for agent in self._pager.config.agents
        }
        self._live = Live(now, answers, facts)

    async def _read_files(self) -> None:
        """Days pass by without a change of the files, so they are read anew each hour."""
        sources, now = self._pager.sources, self._clock.now()
        which = (sources.digest, sources.changes, now.replace(minute=0, second=0, microsecond=0))
        if which == self._read:
            return
        question = {"ask": "dossiers", "sources": sources.to_json(), "at": now.isoformat()}
        try:
            rows = await judge.ask(question, _CHILD_SECONDS)
        except RemoteError as error:
            log.warning("readiness.files_not_read", error=str(error))
            return
        self._dossiers = [Dossier.model_validate(row) for row in rows]
        self._read = which

    async def _answers(self, questions: Sequence[str], now: datetime) -> dict[str, Answer]:
        """One after the other: the watcher has other things to do."""
        found: dict[str, Answer] = {}
        for question in questions:
            if self._clock.now() - now > _ROUND:
                found[question] = "there was no time to ask"
                continue
            try:
                found[question] = understood(await self._ask("query", [["query", question]]))
            except RemoteError as error:
                found |= dict.fromkeys((one for one in questions if one not in found), str(error))
                break
            except QueryError as error:
                found[question] = str(error)
        return found

    async def _ask(self, path: str, fields: list[list[str]]) -> bytes:
        params = {"path": path, "fields": fields, "pack": False}
        _, body = await self._pager.watcher.ask("api", params, _ANSWER_SECONDS)
        return bytes(body)

    async def _watched_since(self, now: datetime) -> datetime:
        """A watcher that has just started has no series yet, which says nothing of the agents."""
        try:
            told: dict[str, Any] = json.loads(await self._ask("status/runtimeinfo", []))
            return datetime.fromisoformat(str(told["data"]["startTime"]))
        except (RemoteError, QueryError, ValueError, KeyError, TypeError):
            return now

    async def _track(self, now: datetime, since: datetime, answers: Mapping[str, Answer]) -> None:
        lasts = _RECORDS_FOR if now - since > _RECORDS_FOR else _FIRST_RECORDS_FOR
        if self._tracked_at is not None and timedelta() <= now - self._tracked_at < lasts:
            return
        start = now - timedelta(days=asking.RECORD_DAYS)
        rows = await self._incident_rows(start, now)
        pass8 = _by_suite(answers.get(asking.PASS8, ""))
        found: dict[str, TrackRecord] = {}
        for agent in self._pager.config.agents:
            hours = await self._store.agent_hours(start, now, agent)
            sums = track(by_agent(hours).get(agent, []))
            found[agent] = TrackRecord(
                days=asking.RECORD_DAYS,
                since=sums.since,
                runs=sums.runs,
                success=sums.success,
                cost_usd=sums.cost_usd,
                cost_per_run_usd=sums.cost_per_run,
                pass8=pass8.get(agent, {}),
                **_of_incidents(rows, agent),
            )
        self._tracks, self._tracked_at = found, now

    async def _incident_rows(self, start: datetime, end: datetime) -> dict[str, dict[str, Any]] | None:
        try:
            told = await self._records.report(start, end, "agent")
        except UsageError as error:
            log.info("readiness.no_report", why=str(error))
            return None
        return {row["agent"]: row for row in told["rows"]}

    async def _drills(self) -> dict[str, Drill]:
        found: dict[str, Drill] = {}
        for one in await self._store.evidence(kind=_DRILL, limit=_MOST_DRILLS):  # the newest first
            passed_at = one.at if one.passed else None
            before = found.get(one.agent)
            if before is None:
                found[one.agent] = Drill(at=one.at, passed=one.passed, summary=one.summary, passed_at=passed_at)
            elif before.passed_at is None and one.passed:
                found[one.agent] = before.model_copy(update={"passed_at": passed_at})
        return found

    # What follows from it

    async def _record(self, found: Sequence[Verdict], known: dict[str, dict[Domain, Status]]) -> None:
        """An audit row for each domain whose status has changed, and the whole as evidence for the next start."""
        now = self._clock.now()
        there = [one for one in found if one.claimed_stage is not Stage.RETIRED]
        settled = {one.agent: self._settled(one, known.get(one.agent)) for one in there}
        changed = [one for one in there if known.get(one.agent) != settled[one.agent]]
        for start in range(0, len(changed), _AT_ONCE):
            part = changed[start : start + _AT_ONCE]
            async with self._store.leading.transaction() as tx:
                for one in part:
                    await tx.add_evidence(_evidence(one, settled[one.agent], now))
                    await tx.append_audit(_entries(one, settled[one.agent], known.get(one.agent), now))
            known |= {one.agent: settled[one.agent] for one in part}

    def _settled(self, one: Verdict, before: Mapping[Domain, Status] | None) -> dict[Domain, Status]:
        """What depends on a series that comes and goes has changed once several looks in a row have seen it."""
        found = _statuses_of(one)
        for domain in _WAVERING:
            place = (one.agent, domain)
            if before is None or before.get(domain) == found[domain]:
                self._seen.pop(place, None)
                continue
            status, looks = self._seen.get(place, (found[domain], 0))
            self._seen[place] = (found[domain], looks + 1 if status is found[domain] else 1)
            if domain in before and self._seen[place][1] < _LOOKS:
                found[domain] = before[domain]
            else:
                del self._seen[place]
        return found

    async def _recorded(self) -> dict[str, dict[Domain, Status]]:
        if self._known is None:
            found = {}
            for agent in self._pager.config.agents:
                last = await self._store.latest_evidence(agent, KIND)
                if last is not None:
                    found[agent] = _statuses(last.detail)
            self._known = found
        return self._known

    async def _tell(self, found: Sequence[Verdict]) -> None:
        """The watcher writes them on until it is given others. One that starts anew has them with its configuration."""
        there = [one for one in found if one.claimed_stage is not Stage.RETIRED]
        told = {one.agent: (one.claimed_stage, _statuses_of(one)) for one in there}
        if told == self._told:
            return
        series = await asyncio.to_thread(_series, there)
        self._pager.readiness_series = series
        try:
            await self._pager.watcher.ask("readiness", {"series": series}, _ANSWER_SECONDS)
        except RemoteError as error:
            log.info("readiness.not_told", error=str(error))
            return
        self._told = told


def _statuses_of(one: Verdict) -> dict[Domain, Status]:
    return {row.domain: row.status for row in one.domains}


def _evidence(one: Verdict, statuses: Mapping[Domain, Status], now: datetime) -> Evidence:
    detail = {domain.value: status.value for domain, status in statuses.items()}
    return Evidence(kind=KIND, agent=one.agent, at=now, passed=one.ready, summary=headline(one), detail=detail)


def _series(found: Sequence[Verdict]) -> list[tuple[Labels, float]]:
    return [
        one
        for verdict in found
        for one in readiness_series(
            verdict.agent, verdict.claimed_stage, [(row.domain, row.status) for row in verdict.domains]
        )
    ]


def _entries(
    one: Verdict, statuses: Mapping[Domain, Status], before: Mapping[Domain, Status] | None, now: datetime
) -> list[Entry]:
    subject = f"agent:{one.agent}"[:160]
    if before is None:
        entry = Entry(at=now, actor="agentpager", action="readiness.first", subject=subject, why=headline(one))
        return [entry]
    return [
        Entry(
            at=now,
            actor="agentpager",
            action="readiness.changed",
            subject=subject,
            why=row.evidence,
            detail={"domain": row.domain.value, "from": before.get(row.domain, ""), "to": statuses[row.domain].value},
        )
        for row in one.domains
        if before.get(row.domain) != statuses[row.domain]
    ]


def _statuses(detail: Mapping[str, Any]) -> dict[Domain, Status]:
    """What an older release knew by other names is not known."""
    domains, statuses = set(Domain), set(Status)
    return {Domain(key): Status(value) for key, value in detail.items() if key in domains and value in statuses}


def _by_suite(answer: Answer) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for labels, value in answer if not isinstance(answer, str) else []:
        found.setdefault(labels.get("agent", ""), {})[labels.get("suite", "")] = value
    return found


def _of_incidents(rows: Mapping[str, Mapping[str, Any]] | None, agent: str) -> dict[str, Any]:
    """None where there are too many to count; nothing happened where the report has no row."""
    if rows is None:
        return {}
    row = rows.get(agent)
    if row is None:
        return {"incidents": 0, "woke": 0, "pages": 0, "night_pages": 0}
    times = {name: row[name]["mean"] if row[name] else None for name in ("ack_seconds", "resolve_seconds")}
    return {name: row[name] for name in ("incidents", "woke", "pages", "night_pages")} | times
