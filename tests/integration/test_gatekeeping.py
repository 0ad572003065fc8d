"""How ready the agents are, over a real store, with a watcher that answers as told."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from config_files import sources_of
from hand_clock import HandClock
from readiness_world import ANSWERS, FILES, NOW, agent_file

from bot import gatekeeping, judge
from bot.agents.evidence import Evidence
from bot.agents.model import Stage
from bot.agents.readiness import Domain, Status
from bot.agents.record import Figures, Minute
from bot.checker import dossiers_of
from bot.config import load
from bot.errors import RemoteError, UsageError
from bot.gatekeeping import Gatekeeper
from bot.records.report import report
from bot.store.database import Database

RUNS_BAD = 'group by (agent) ({__name__="agent:runs_bad:rate5m"})'


class Watcher:
    """Answers queries from a table, and keeps the series that it is given."""

    ready = True

    def __init__(self) -> None:
        self.answers = dict(ANSWERS)
        self.given: list = []
        self.gone = False
        self.started = NOW - timedelta(days=1)

    async def ask(self, method, params, seconds):
        if self.gone:
            raise RemoteError("the watcher is not running", code="watcher_down")
        if method == "readiness":
            self.given = params["series"]
            return None
        if params["path"] == "status/runtimeinfo":
            return {}, json.dumps({"status": "success", "data": {"startTime": self.started.isoformat()}}).encode()
        found = self.answers.get(params["fields"][0][1], [])
        rows = [{"metric": labels, "value": [0, str(value)]} for labels, value in found]
        return {}, json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}}).encode()

    def one_hot(self, domain: str) -> dict[str, float]:
        return {
            labels["status"]: value
            for labels, value in self.given
            if labels["__name__"] == "agent_registry_readiness" and labels["domain"] == domain
        }


class Records:
    """No incidents."""

    async def report(self, start, end, by=None):
        return report([], start, end, by)


class Town:
    def __init__(self, store: Database) -> None:
        self.store, self.clock, self.watcher = store, HandClock(NOW), Watcher()
        self.pager = SimpleNamespace(watcher=self.watcher, readiness_series=())
        self.files()
        self.restart()

    def files(self, changes=None) -> None:
        sources = sources_of({**FILES, **(changes or {})})
        self.pager.sources = sources.model_copy(update={"digest": str(hash(json.dumps(sources.to_json())))})
        self.pager.config = load(sources)

    def restart(self) -> None:
        self.gate = Gatekeeper(self.pager, self.store, self.clock, Records(), dict)

    def later(self, **span: float) -> None:
        self.clock.time += timedelta(**span)

    async def changes(self) -> list[tuple[str, str, str]]:
        return [
            (entry["detail"]["domain"], entry["detail"]["from"], entry["detail"]["to"])
            for entry in await self.audit("readiness.changed")
        ]

    async def audit(self, action: str) -> list[dict]:
        rows = [json.loads(row[1]) async for row in self.store.history.audit("agent:refund-agent")]
        return [row for row in rows if row["action"] == action]

    async def status(self, domain: Domain) -> Status:
        (found,) = await self.gate.verdicts("refund-agent")
        return next(row.status for row in found.domains if row.domain is domain)


@pytest.fixture
async def town(tmp_path, monkeypatch):
    async def here(question, seconds):
        return dossiers_of(question)

    monkeypatch.setattr(judge, "ask", here)
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open()
    yield Town(store)
    await store.close()


async def run_for(town: Town, days: int) -> None:
    """Sixty good runs in each of so many days."""
    for day in range(days, 0, -1):
        minute = Minute(at=NOW - timedelta(days=day), agents={"refund-agent": Figures(runs=60, bad=0, cost_usd=6)})
        async with town.store.transaction() as tx:
            await tx.add_minute(minute)


async def test_what_was_counted_and_tried_is_read_from_the_database(town):
    await run_for(town, 8)
    async with town.store.transaction() as tx:
        for days, passed in ((30, True), (5, False)):
            at = NOW - timedelta(days=days)
            shown = Evidence(kind="drill", agent="refund-agent", at=at, passed=passed, summary="nobody answered")
            await tx.add_evidence(shown)
    (found,) = await town.gate.verdicts()
    assert found.facts is not None
    record, drill = found.facts.record, found.facts.drill
    assert record is not None
    assert drill is not None
    assert (record.runs, record.success, record.cost_usd, record.cost_per_run_usd) == (480, 1.0, 48, 0.1)
    assert (record.incidents, record.pages) == (0, 0)
    assert (drill.passed, drill.at, drill.passed_at) == (False, NOW - timedelta(days=5), NOW - timedelta(days=30))
    assert found.facts.watched_since == NOW - timedelta(days=1)


async def look(town: Town, times: int = 1) -> None:
    for _ in range(times):
        town.later(minutes=2)
        await town.gate.tick()


async def test_the_first_look_is_one_audit_row_and_each_change_one_more(town):
    await town.gate.tick()
    assert len(await town.audit("readiness.first")) == 1
    await look(town, 4)
    assert await town.changes() == []  # nothing new

    town.files(agent_file(", tested_on: 2026-11-01"))
    await look(town)
    assert await town.changes() == [("kill_switch", "done", "not_started")]

    town.files()
    await look(town)
    assert (await town.changes())[1:] == [("kill_switch", "not_started", "done")]


async def test_a_series_that_comes_and_goes_has_changed_once_three_looks_in_a_row_saw_it(town):
    await town.gate.tick()
    for _ in range(3):
        town.watcher.answers[RUNS_BAD] = []
        await look(town, 2)
        town.watcher.answers[RUNS_BAD] = ANSWERS[RUNS_BAD]
        await look(town)
    assert await town.changes() == []

    town.watcher.answers[RUNS_BAD] = []
    await look(town, 2)
    assert await town.changes() == []
    await look(town)
    assert await town.changes() == [("alert_errors", "done", "not_started")]


async def test_a_restart_knows_what_was_recorded_before(town):
    await town.gate.tick()
    town.restart()
    town.later(minutes=2)
    await town.gate.tick()
    assert len(await town.audit("readiness.first")) == 1
    assert await town.changes() == []


async def test_a_watcher_that_is_gone_or_has_just_begun_changes_no_status(town):
    await town.gate.tick()
    town.later(minutes=2)
    town.watcher.gone = True
    assert await town.status(Domain.ALERT_ERRORS) is Status.DONE

    town.watcher.gone = False
    town.watcher.answers = {}
    town.watcher.started = town.clock.time
    town.later(minutes=2)
    await town.gate.tick()
    assert await town.status(Domain.ALERT_ERRORS) is Status.DONE
    assert "alert_errors" not in {domain for domain, _, _ in await town.changes()}

    await look(town, 8)
    assert ("alert_errors", "done", "not_started") in await town.changes()


async def test_the_watcher_is_given_each_status_one_hot_and_what_the_stage_asks_for(town):
    await town.gate.tick()
    assert town.watcher.one_hot("drill") == {"not_started": 1.0, "in_progress": 0.0, "done": 0.0, "waived": 0.0}
    assert town.watcher.one_hot("budget") == {"not_started": 0.0, "in_progress": 0.0, "done": 1.0, "waived": 0.0}
    required = [one for one, _ in town.watcher.given if one["__name__"] == "agent_registry_readiness_required"]
    assert len(required) == 17
    assert town.pager.readiness_series == town.watcher.given  # for a watcher that starts anew, and for /metrics


async def test_a_retired_agent_has_no_series(town):
    town.files(agent_file("stage: run", "stage: retired"))
    await town.gate.tick()
    assert town.watcher.given == []
    assert await town.gate.verdicts() == []
    assert len(await town.gate.verdicts("refund-agent")) == 1


async def test_changed_files_count_at_once(town):
    assert await town.status(Domain.BUDGET) is Status.DONE
    town.files(agent_file("budget_usd_day: 100", "budget_usd_day: 50"))
    town.later(seconds=11)
    assert await town.status(Domain.BUDGET) is Status.NOT_STARTED


async def test_a_waiver_that_ends_is_noticed_without_a_change_of_the_files(town):
    text = FILES["agents/refund.yaml"].replace(", tested_on: 2026-11-01", "")
    waiver = "    waivers: {kill_switch: {reason: soon, by: cat, until: 2026-11-25}}\n"
    town.files({"agents/refund.yaml": text + waiver})
    assert await town.status(Domain.KILL_SWITCH) is Status.WAIVED
    town.later(hours=12)  # it is the 26th now
    assert await town.status(Domain.KILL_SWITCH) is Status.NOT_STARTED


async def test_it_can_be_judged_for_another_stage(town):
    (found,) = await town.gate.verdicts("refund-agent", Stage.PILOT)
    assert (found.stage, found.claimed_stage, found.ready) == (Stage.PILOT, Stage.RUN, True)


async def test_an_agent_that_there_is_not_is_told(town):
    with pytest.raises(UsageError, match='no agent "refund-agnt"; did you mean "refund-agent"'):
        await town.gate.verdicts("refund-agnt")


async def test_files_that_the_child_cannot_read_leave_what_was_known(town, monkeypatch):
    assert await town.status(Domain.BUDGET) is Status.DONE

    async def broken(question, seconds):
        raise RemoteError("the process that checked it ended with code -9")

    monkeypatch.setattr(judge, "ask", broken)
    town.files(agent_file("budget_usd_day: 100", "budget_usd_day: 50"))
    town.later(seconds=11)
    assert await town.status(Domain.BUDGET) is Status.DONE


async def test_what_there_is_no_time_to_ask_is_not_asked(town, monkeypatch):
    monkeypatch.setattr(gatekeeping, "_ROUND", timedelta(seconds=-1))
    await town.gate.tick()
    assert await town.status(Domain.ALERT_ERRORS) is Status.IN_PROGRESS


async def test_the_child_process_reads_the_files(tmp_path):
    question = {"ask": "dossiers", "sources": sources_of(FILES).to_json(), "at": NOW.isoformat()}
    (row,) = await judge.ask(question)
    assert row["agent"] == "refund-agent"
    assert row["proofs"]["escalation"]["status"] == "done"
