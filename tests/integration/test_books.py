"""A running incident keeps the rotas it started with: over a reload, over a restart, and when they are lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from core_world import NOW
from hand_clock import HandClock

from bot.config import load
from bot.incidents.model import Alert, AlertState, State
from bot.joint import Update
from bot.labels import fingerprint
from bot.pager import Pager
from bot.paging.model import PageKind
from bot.sources import read_sources
from bot.store.database import Database

ONCALL = """
people:
  ana: {name: Ana, slack: U0ANA}
  ben: {name: Ben, slack: U0BEN}
  cat: {name: Cat, slack: U0CAT}
  dan: {name: Dan, slack: U0DAN}
teams: {t: {members: [ana, ben]}}
schedules:
  weekly: {layers: [{people: [ben], every: 1w, start: 2026-01-05}]}
  paper: {layers: [{ical: oncall/paper.ics}]}
escalation_policies:
  t:
    repeat: 0
    steps:
      - {notify: ["person:ana"], wait: 5m}
      - {notify: ["schedule:weekly"], wait: 5m}
      - {notify: ["schedule:paper"], wait: 5m}
      - {notify: ["team:t"], wait: 5m}
fallback: "person:dan"
"""
# Ben leaves the book, everything else points elsewhere.
AFTERWARDS = (
    ONCALL.replace("  ben: {name: Ben, slack: U0BEN}\n", "")
    .replace("U0CAT", "U1CAT")
    .replace("[ben]", "[dan]")
    .replace("[ana, ben]", "[dan]")
    .replace('notify: ["schedule:weekly"]', 'notify: ["person:dan"]')
)
CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
DTSTART:20260101T000000Z
DTEND:20270101T000000Z
SUMMARY:WHO
END:VEVENT
END:VCALENDAR
"""
RULES = """
groups:
- name: g
  rules: [{alert: Errors, expr: up == 0, labels: {severity: critical}, annotations: {runbook: r}}]
"""
RUNBOOK = """
schema: runbook/v1
id: r
title: R
owner: team:t
applies_to: ['alertname="Errors"']
reviewed_on: 2026-11-01
summary: S
impact: I
steps: [{id: a, kind: command, title: A, run_on: here, text: b}]
"""
MAIN = "slack: {bot_token: xoxb-1, app_token: xapp-1, signing_secret: s, channel: '#agent-pages'}\n"


class House:
    """A configuration on disk, a database beside it, and the pager that runs on both."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = HandClock(NOW)
        self.store = Database("sqlite:///pager.db", directory)
        for name, text in {"agentpager.yaml": MAIN, "alerts/a.yaml": RULES}.items():
            self.write(name, text)
        self.write("runbooks/r.yaml", RUNBOOK)
        self.write("agents/a.yaml", "agents:\n  refund-agent: {owner: 'team:t'}\n")
        self.write("oncall/paper.ics", CALENDAR.replace("WHO", "cat"))
        self.write("oncall/all.yaml", ONCALL)

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    async def start(self) -> None:
        sources = read_sources(self.directory, {})
        self.pager = Pager(self.directory / "agentpager.yaml", {}, sources, load(sources), self.store, self.clock)
        await self.pager.books.look(self.pager.config.book_id)

    async def fire(self) -> None:
        labels = {"alertname": "Errors", "severity": "critical", "agent": "refund-agent"}
        alert = Alert(
            fingerprint=fingerprint(labels),
            group="alerts/a.yaml;g",
            state=AlertState.FIRING,
            labels=labels,
            annotations={},
            value=1.0,
            starts_at=NOW,
        )
        await self.pager.on_update(Update(group=alert.group, evaluated_at=NOW, alerts=(alert,)))

    async def next_pages(self) -> list[tuple[str | None, str]]:
        """Whom the next level pages, five minutes on, and where."""
        self.clock.time += timedelta(minutes=5)
        before = {page.id for page in await self.store.pages_of("INC-1")}
        await self.pager.tick()
        new = [page for page in await self.store.pages_of("INC-1") if page.id not in before]
        return sorted((page.person, page.channel) for page in new if page.kind is PageKind.PAGE)

    async def change_everything(self) -> None:
        self.write("oncall/all.yaml", AFTERWARDS)
        self.write("oncall/paper.ics", CALENDAR.replace("WHO", "dan"))


@pytest.fixture
async def house(tmp_path):
    made = House(tmp_path)
    await made.store.open()
    await made.start()
    yield made
    await made.store.close()


AS_IT_STARTED = [[("ben", "U0BEN")], [("cat", "U1CAT")], [("ana", "U0ANA"), ("ben", "U0BEN")]]


async def test_a_reload_leaves_a_running_incident_its_rotas_teams_and_calendars(house):
    await house.fire()
    await house.change_everything()
    await house.pager.reload()
    assert [await house.next_pages() for _ in AS_IT_STARTED] == AS_IT_STARTED


async def test_so_does_a_restart(house):
    await house.fire()
    await house.change_everything()
    await house.start()
    assert [await house.next_pages() for _ in AS_IT_STARTED] == AS_IT_STARTED


async def test_the_snapshot_stands_in_the_database_once_the_incident_does(house):
    await house.fire()
    (incident,) = await house.store.unresolved()
    assert incident.book_id == house.pager.config.book_id
    assert "U0BEN" in (await house.store.snapshot(incident.book_id) or "")
    (opening, *_) = [entry for _, entry, _ in await house.store.audit_rows() if entry.subject == "INC-1"]
    assert (opening.detail["policy"], opening.detail["book"]) == ("t", incident.book_id)


@pytest.mark.parametrize("broken", ["DELETE FROM snapshots", "UPDATE snapshots SET doc = '{}'"])
async def test_without_its_snapshot_the_rotas_of_now_count_and_the_audit_says_so(house, broken):
    await house.fire()
    await house.change_everything()
    async with house.store._writer.begin() as connection:
        await connection.execute(sa.text(broken))
    await house.start()
    await house.next_pages()  # this step of its policy names a schedule that is there still
    assert await house.next_pages() == [("dan", "U0DAN")]
    whys = [entry.why for _, entry, _ in await house.store.audit_rows() if entry.action == "incident.escalated"]
    assert "the snapshot of its rotas cannot be read, so those of now count" in whys[-1]


async def test_what_no_live_incident_needs_is_forgotten(house):
    await house.fire()
    await house.change_everything()
    await house.start()
    assert len(house.pager.books.known) == 1
    async with house.store.transaction() as tx:
        incident = await tx.incident("INC-1")
        await tx.save_incident(incident.model_copy(update={"state": State.RESOLVED, "next_at": None}))
    await house.pager.books.look(house.pager.config.book_id)
    assert house.pager.books.known == {}
