"""Records over a real store: stories told from what was written, promises written down once, digests posted once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from core_world import AGENTS, BOOK, GROUP, NOW, WORLD, alert, ended
from hand_clock import HandClock

from bot import delivery, pipeline, telemetry
from bot.audit.model import Entry
from bot.bookkeeping import Bookkeeper
from bot.errors import RemoteError, UsageError
from bot.incidents import notes, people
from bot.incidents.decision import World
from bot.incidents.model import Incident, Promise, RunbookFault, State, StepMark
from bot.incidents.policy import IncidentRules
from bot.joint import Update
from bot.oncall.model import Policy, Schedule, Step
from bot.paging.model import PageKind
from bot.ports import Posted
from bot.runbooks.model import Runbook
from bot.runbooks.rendered import Rendered
from bot.settings import Digest
from bot.store.database import Database

MINUTE = timedelta(minutes=1)
RULES = IncidentRules(sla={"critical": Promise(ack=5 * MINUTE, resolve=30 * MINUTE)})
ROTA = Schedule.model_validate(
    {
        "id": "primary",
        "layers": [{"people": ["ana", "ben"], "every": "1w", "handoff": "Wed 09:00", "start": "2026-10-21"}],
    }
)
ROTAS = BOOK.model_copy(
    update={
        "schedules": {"primary": ROTA},
        "escalation_policies": {"payments": Policy(id="payments", steps=(Step(notify=("schedule:primary",)),))},
    }
)
LOST = RemoteError("no answer in time", unknown=True)


class House:
    """A store, a clock and a bookkeeper; no Slack."""

    def __init__(self, folder, world: World) -> None:
        self.folder, self.world = folder, world
        self.clock = HandClock(NOW)
        self.settings = Digest()
        self.runbooks: tuple[Runbook, ...] = ()
        self.woken = 0

    async def open(self) -> None:
        self.store = Database("sqlite:///pager.db", self.folder)
        await self.store.open()
        self.books = Bookkeeper(
            self.store,
            self.clock,
            lambda: self.world,
            lambda: self.runbooks,
            lambda: self.settings,
            self.incident,
            self._wake,
        )

    async def restart(self) -> None:
        await self.store.close()
        await self.open()

    def _wake(self) -> None:
        self.woken += 1

    async def incident(self, reference: str) -> Incident:
        found = await self.store.incident(reference)
        if found is None:
            raise UsageError(f'there is no incident "{reference}"')
        return found

    def at(self, **span: float) -> datetime:
        self.clock.time = NOW + timedelta(**span)
        return self.clock.time

    async def report(self, *alerts) -> None:
        now = self.clock.now()
        await pipeline.observe(self.store, Update(group=GROUP, evaluated_at=now, alerts=alerts), self.world, now)

    async def ack(self, person: str) -> None:
        now = self.clock.now()
        await pipeline.act(
            self.store, "INC-1", lambda i: people.ack(i, f"person:{person}", now), self.world, now, key=None
        )

    async def audit(self, action: str) -> list[Entry]:
        rows = [Entry.model_validate_json(doc) async for _, doc, _ in self.store.history.audit()]
        return [row for row in rows if row.action == action]

    async def told(self, kind: PageKind) -> list[tuple[str, str]]:
        """Where each message of that kind goes, and its first line."""
        pages = await self.store.waiting(self.clock.now())
        return [(page.channel, page.text.partition("\n")[0]) for page in pages if page.kind is kind]


@pytest.fixture
async def house(tmp_path):
    one = House(tmp_path, replace(WORLD, rules=RULES))
    await one.open()
    yield one
    await one.store.close()


def breaches(what: str) -> float:
    return telemetry.sla_breaches.labels("critical", what)._value.get()


# Stories


async def test_the_story_is_told_from_what_was_written(house):
    await house.report(alert())
    async with house.store.transaction() as tx:
        (page,) = [one for one in await tx.pages_of("INC-1") if one.kind is PageKind.PAGE]
    house.at(seconds=1)
    claimed, _ = await delivery.claim(house.store, page.id, house.clock.now())
    await delivery.failed(house.store, claimed, LOST, house.world, house.at(seconds=2))
    await delivery.sent(house.store, claimed, Posted("D1", "1.0"), 1, house.at(seconds=22))
    house.at(minutes=3)
    await house.ack("ana")
    now = house.at(minutes=4)
    await pipeline.act(
        house.store, "INC-1", lambda i: notes.note(i, "person:ana", "it's the vendor", now), house.world, now, key=None
    )
    told = await house.books.timeline("INC-1")
    assert [(moment.at - NOW, moment.text) for moment in told.timeline] == [
        (0 * MINUTE, "opened"),
        (timedelta(seconds=2), "page to Ana: outcome unknown, looked for later"),
        (timedelta(seconds=22), "page to Ana: found: it had arrived"),
        (3 * MINUTE, "acknowledged"),
        (4 * MINUTE, "note"),
    ]
    assert (told.state, told.answered_by, told.answered_after_seconds) == (State.ACKED, "Ana", 180)
    assert told.notes[0].text == "it's the vendor"
    assert {page.kind for page in told.pages} == {PageKind.PAGE, PageKind.CARD, PageKind.RUNBOOK}


async def test_the_story_of_one_incident_has_nothing_of_another(house):
    await house.report(alert(), alert("Other", labels={"agent": None, "owner": "dan"}))
    for number in range(2, 12):
        await house.report(alert(), alert(f"Other{number}", labels={"agent": None, "owner": "dan"}))
    assert await house.store.incident("INC-11") is not None
    told = await house.books.timeline("INC-1")
    assert [moment.text for moment in told.timeline] == ["opened"]
    assert {page.id.split(".")[0] for page in told.pages} == {"INC-1"}


# Promises


async def test_a_promise_that_is_not_kept_is_written_down_once(house):
    before = breaches("ack")
    await house.report(alert())
    house.at(minutes=5)
    await house.books.keep_promises()
    assert await house.audit("sla.breached") == []
    house.at(minutes=5, seconds=1)
    for _ in range(3):
        await house.books.keep_promises()
    await house.restart()
    house.at(minutes=6)
    await house.books.keep_promises()
    (entry,) = await house.audit("sla.breached")
    assert (entry.subject, entry.why) == ("INC-1", "ack was promised within 5m: not yet")
    assert entry.detail == {"what": "ack", "severity": "critical", "promised": "5m"}
    assert breaches("ack") == before + 1
    assert (await house.incident("INC-1")).breached == ("ack",)
    assert await house.store.broken_audit_row() is None


async def test_an_ack_that_came_too_late_between_two_looks_is_written_down(house):
    await house.report(alert())
    house.at(minutes=4)
    await house.books.keep_promises()
    house.at(minutes=7)
    await house.ack("ana")
    await house.books.keep_promises()
    (entry,) = await house.audit("sla.breached")
    assert entry.why == "ack was promised within 5m: took 7m"


async def test_an_end_that_came_too_late_between_two_looks_is_written_down(house):
    await house.report(alert())
    house.at(minutes=1)
    await house.ack("ana")
    await house.books.keep_promises()
    now = house.at(minutes=31)
    await house.report(ended(alert(), now))
    assert (await house.incident("INC-1")).state is State.RESOLVED
    await house.books.keep_promises()
    await house.books.keep_promises()
    (entry,) = await house.audit("sla.breached")
    assert entry.why == "resolve was promised within 30m: took 31m"


async def test_an_end_seconds_after_its_time_is_written_down(house):
    await house.report(alert())
    house.at(minutes=1)
    await house.ack("ana")
    house.at(minutes=29, seconds=58)
    await house.books.keep_promises()
    now = house.at(minutes=30, seconds=2)
    await house.report(ended(alert(), now))
    house.at(minutes=30, seconds=3)
    await house.books.keep_promises()
    assert [entry.detail["what"] for entry in await house.audit("sla.breached")] == ["resolve"]


async def test_an_end_that_came_too_late_just_before_a_restart_is_written_down(house):
    await house.report(alert())
    now = house.at(minutes=31)
    await house.report(ended(alert(), now))
    await house.restart()
    house.at(minutes=33)
    await house.books.keep_promises()
    assert sorted(entry.detail["what"] for entry in await house.audit("sla.breached")) == ["ack", "resolve"]


async def test_promises_that_are_kept_are_no_news(house):
    await house.report(alert())
    house.at(minutes=2)
    await house.ack("ana")
    now = house.at(minutes=20)
    await house.report(ended(alert(), now))
    house.at(hours=20)
    await house.books.keep_promises()
    assert await house.audit("sla.breached") == []


# Reports


async def test_a_report_is_of_the_incidents_that_opened_in_its_time(house):
    await house.report(alert())
    house.at(minutes=3)
    await house.ack("ana")
    told = await house.books.report(NOW, NOW + MINUTE, "agent")
    assert (told["total"]["incidents"], told["rows"][0]["agent"]) == (1, "refund-agent")
    assert (await house.books.report(NOW + MINUTE, NOW + 2 * MINUTE))["total"]["incidents"] == 0
    assert (await house.books.report(NOW - MINUTE, NOW))["total"]["incidents"] == 0


async def test_a_report_over_more_than_one_piece_has_every_incident_once(house):
    alerts = [alert(f"A{number}", labels={"agent": None, "owner": "dan"}) for number in range(250)]
    await house.report(*alerts)  # all of one instant: nothing but their number keeps them apart
    told = await house.books.report(NOW, NOW + MINUTE, "rule")
    assert told["total"]["incidents"] == len(told["rows"]) == 250


# Hand-overs and digests


@pytest.fixture
async def shifts(tmp_path):
    one = House(tmp_path, World(AGENTS, ROTAS, "#agent-pages"))
    await one.open()
    one.settings = Digest(handover=True)
    yield one
    await one.store.close()


async def test_a_hand_over_is_posted_once_into_the_teams_channel(shifts):
    shifts.clock.time = datetime(2026, 11, 4, 8, 59, tzinfo=UTC)
    await shifts.books.post_digests()
    assert await shifts.told(PageKind.HANDOVER) == []
    shifts.clock.time = datetime(2026, 11, 4, 9, 0, tzinfo=UTC)
    await shifts.books.post_digests()
    await shifts.books.post_digests()
    expected = [("#payments-agents", "Hand-over of primary: Ben to Ana")]
    assert await shifts.told(PageKind.HANDOVER) == expected
    assert shifts.woken == 1
    await shifts.restart()
    shifts.clock.time = datetime(2026, 11, 4, 9, 30, tzinfo=UTC)
    await shifts.books.post_digests()
    assert await shifts.told(PageKind.HANDOVER) == expected


async def test_a_hand_over_in_a_short_stop_is_told_and_an_old_one_is_not(shifts):
    shifts.clock.time = datetime(2026, 11, 4, 11, 1, tzinfo=UTC)
    await shifts.books.post_digests()
    assert await shifts.told(PageKind.HANDOVER) == []
    await shifts.restart()
    shifts.clock.time = datetime(2026, 11, 11, 10, 59, tzinfo=UTC)
    await shifts.books.post_digests()
    assert await shifts.told(PageKind.HANDOVER) == [("#payments-agents", "Hand-over of primary: Ana to Ben")]


async def test_nothing_is_posted_unless_it_is_asked_for(shifts):
    shifts.settings = Digest()
    shifts.clock.time = datetime(2026, 11, 4, 9, 0, tzinfo=UTC)
    await shifts.books.post_digests()
    assert await shifts.store.waiting(shifts.clock.now()) == []


async def test_the_week_is_posted_once(shifts):
    shifts.settings = Digest(weekly="Wed 10:00", timezone="Europe/Madrid")
    shifts.clock.time = datetime(2026, 11, 4, 9, 0, tzinfo=UTC)
    await shifts.books.post_digests()
    await shifts.restart()
    shifts.clock.time = datetime(2026, 11, 4, 20, 0, tzinfo=UTC)
    await shifts.books.post_digests()
    assert await shifts.told(PageKind.DIGEST) == [("#agent-pages", "The week until Wed 2026-11-04 09:00 UTC")]


async def test_the_day_is_posted_once_and_beside_the_week(shifts):
    shifts.settings = Digest(daily="10:00", weekly="Wed 10:00", timezone="Europe/Madrid")
    shifts.clock.time = datetime(2026, 11, 4, 9, 0, tzinfo=UTC)
    await shifts.books.post_digests()
    await shifts.restart()
    await shifts.books.post_digests()
    shifts.clock.time = datetime(2026, 11, 5, 11, 0, tzinfo=UTC)
    await shifts.books.post_digests()
    assert sorted(await shifts.told(PageKind.DIGEST)) == [
        ("#agent-pages", "The day until Thu 2026-11-05 11:00 UTC"),
        ("#agent-pages", "The day until Wed 2026-11-04 09:00 UTC"),
        ("#agent-pages", "The week until Wed 2026-11-04 09:00 UTC"),
    ]


async def test_a_day_that_ended_in_a_long_stop_is_not_told(shifts):
    shifts.settings = Digest(daily="10:00")
    shifts.clock.time = datetime(2026, 11, 4, 12, 1, tzinfo=UTC)
    await shifts.books.post_digests()
    assert await shifts.told(PageKind.DIGEST) == []


async def test_a_hand_over_on_demand_names_what_there_is(shifts):
    told = await shifts.books.handover("primary")
    assert told.title == "Hand-over of primary: Ana to Ben"
    with pytest.raises(UsageError, match='there is no schedule "primry"; known: primary'):
        await shifts.books.handover("primry")


# Tests and drills


async def exercised(house, exercise: str) -> None:
    await house.report(alert())
    async with house.store.transaction() as tx:
        incident = await tx.incident("INC-1")
        await tx.save_incident(incident.model_copy(update={"exercise": exercise}))


@pytest.mark.parametrize("exercise", ["test", "drill"])
async def test_an_exercise_counts_in_no_report_and_breaks_no_promise(house, exercise):
    await exercised(house, exercise)
    house.at(hours=2)
    await house.books.keep_promises()
    assert await house.audit("sla.breached") == []
    told = await house.books.report(NOW, NOW + MINUTE, "agent")
    assert (told["total"]["incidents"], told["rows"], told["people"]) == (0, [], [])
    week = await house.books.weekly()
    assert {figure.name: figure.value for figure in week.figures}["Incidents"] == "0, 0 woke somebody"


# Runbooks

CRM = Runbook.model_validate(
    {
        "schema": "runbook/v1",
        "id": "crm",
        "title": "CRM",
        "owner": "team:payments",
        "steps": [{"id": "look", "kind": "manual", "title": "Look", "text": "look"}],
    }
)


async def with_runbook(house, **changes) -> None:
    """The incident has shown the runbook, and people have done this with it."""
    async with house.store.transaction() as tx:
        await tx.save_rendering("INC-1", Rendered(runbook="crm", rendered_at=NOW))
        incident = await tx.incident("INC-1")
        await tx.save_incident(incident.model_copy(update=changes))


async def test_a_runbook_that_nobody_opened_is_named_in_the_week(house):
    house.runbooks = (CRM,)
    await house.report(alert())
    await with_runbook(house)
    house.at(days=1)
    (told,) = [section for section in (await house.books.weekly()).sections if section.heading == "Runbooks"]
    assert told.lines == ("crm: woke somebody once, and nobody opened it",)
    house.at(days=8)
    assert "Runbooks" not in [section.heading for section in (await house.books.weekly()).sections]


async def test_a_runbook_that_somebody_opened_is_not(house):
    house.runbooks = (CRM,)
    await house.report(alert())
    await with_runbook(house, readers=("person:ana",))
    house.at(days=1)
    assert "Runbooks" not in [section.heading for section in (await house.books.weekly()).sections]


async def test_what_was_done_with_a_runbook_is_read_from_its_incidents(house):
    house.runbooks = (CRM,)
    await house.report(alert(value=float("nan")))
    done = StepMark(step="look", state="done", at=NOW + MINUTE, by="person:ana")
    fault = RunbookFault(at=NOW, by="person:ana", runbook="crm", kind="missing", text="what to look at")
    await with_runbook(house, progress=(done,), faults=(fault,))
    house.at(hours=1)
    (told,) = await house.books.runbooks(1)
    assert (told.fired, told.opened, told.last_used, told.last_drilled) == (1, 1, NOW + MINUTE, None)
    assert [(one.incident, one.kind, one.text) for one in told.faults] == [("INC-1", "missing", "what to look at")]
    house.at(days=2)
    assert [(one.fired, one.last_used) for one in await house.books.runbooks(1)] == [(0, None)]


async def test_uses_over_more_than_one_piece_are_read_once(house):
    house.runbooks = (CRM,)
    await house.report(*(alert(f"A{number}", labels={"agent": None, "owner": "dan"}) for number in range(501)))
    async with house.store.transaction() as tx:
        for number in range(1, 502):
            await tx.save_rendering(f"INC-{number}", Rendered(runbook="crm", rendered_at=NOW))
    house.at(hours=1)
    (told,) = await house.books.runbooks(90)
    assert told.fired == 501


async def test_days_that_make_no_sense_are_refused(house):
    with pytest.raises(UsageError, match="days: 0 is not from 1 to 730"):
        await house.books.runbooks(0)


# The audit log


async def test_the_export_has_an_incident_with_its_pages_and_a_time(house):
    await house.report(alert())
    house.at(minutes=1)
    await house.ack("ana")
    history = house.store.history
    everything = [json.loads(doc)["action"] async for _, doc, _ in history.audit("INC-1")]
    assert everything == ["incident.fired", "incident.acked"]
    late = [json.loads(doc)["action"] async for _, doc, _ in history.audit(since=NOW + MINUTE)]
    early = [json.loads(doc)["action"] async for _, doc, _ in history.audit(until=NOW + MINUTE)]
    assert (early, late) == (["incident.fired"], ["incident.acked"])


async def test_rows_that_were_cut_off_show_by_a_head(house):
    await house.report(alert())
    house.at(minutes=1)
    await house.ack("ana")
    head = await house.store.history.audit_head()
    assert (await house.store.history.verified(head)).missing is None
    async with house.store.transaction() as tx:
        await tx._connection.exec_driver_sql("DROP TRIGGER audit_no_delete")
        await tx._connection.exec_driver_sql("DELETE FROM audit WHERE sequence = 2")
    chain = await house.store.history.verified(head)
    assert (chain.broken, chain.missing) == (None, head)


async def test_the_head_is_logged_once_a_day(house, capsys):
    await house.report(alert())
    await house.books.post_digests()
    await house.books.post_digests()
    house.at(days=1)
    await house.books.post_digests()
    head = await house.store.history.audit_head()
    assert capsys.readouterr().out.count(head.hash) == 2


async def test_a_long_log_is_followed_over_its_pieces_to_the_row_that_was_changed(house):
    rows = [Entry(at=NOW, actor="agentpager", action="notice", subject=f"n{number}") for number in range(5003)]
    async with house.store.transaction() as tx:
        await tx.append_audit(rows)
    chain = await house.store.history.verified()
    assert (chain.rows, chain.broken) == (5003, None)
    async with house.store.transaction() as tx:
        await tx._connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        await tx._connection.exec_driver_sql("UPDATE audit SET subject = 'other' WHERE sequence = 5002")
    chain = await house.store.history.verified()
    assert (chain.rows, chain.broken) == (5001, 5002)
