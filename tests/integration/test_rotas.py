"""Overrides and swaps made by hand, over a real store and files: they count at once, after a restart, and for the
commands that need no server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import timedelta

import pytest
from click.testing import CliRunner
from core_world import NOW
from hand_clock import HandClock

from bot import pipeline, rotas
from bot.app import read
from bot.cli.main import cli
from bot.errors import ConflictError
from bot.incidents.decision import book_of
from bot.incidents.model import Alert, AlertState
from bot.joint import Update
from bot.oncall.changes import Plan
from bot.oncall.duty import on_duty
from bot.oncall.owners import people_of
from bot.pager import Pager
from bot.ports import Actor
from bot.rotas import RotaDesk
from bot.sources import Sources
from bot.store.database import Database

FILES = {
    "agentpager.yaml": (
        "slack: {bot_token: xoxb-1, app_token: xapp-1, signing_secret: s, channel: '#agent-pages'}\n"
        "store: {url: 'sqlite:///pager.db'}\n"
    ),
    "oncall/all.yaml": (
        "people:\n"
        "  ana: {name: Ana, slack: U0ANA, timezone: Europe/Madrid}\n"
        "  ben: {name: Ben, slack: U0BEN}\n"
        "  cat: {name: Cat, slack: U0CAT}\n"
        "teams:\n  payments: {members: [ana, ben]}\n"
        "schedules:\n"
        "  primary: {layers: [{people: [ana], start: 2026-01-01}]}\n"
        "escalation_policies:\n  payments: {steps: [{notify: [schedule:primary]}]}\n"
        "fallback: 'person:cat'\n"
    ),
    "agents/all.yaml": "agents:\n  refund-agent: {owner: payments}\n",
    "alerts/a.yaml": "groups:\n- name: g\n  rules:\n  - {alert: Errors, expr: up == 0, labels: {severity: critical}}\n",
}


class Town:
    def __init__(self, folder, store: Database) -> None:
        self.folder, self.store, self.clock = folder, store, HandClock(NOW)
        sources, config = read(folder)
        self.pager = Pager(folder, {}, sources, config, store, self.clock)
        self.desk = RotaDesk(
            store, self.clock, lambda: self.book, lambda: self.pager.changes, self.pager.rotas_changed, lambda: None
        )

    @property
    def book(self):
        return self.pager.config.book

    def actor(self, person: str) -> Actor:
        return Actor(f"person:{person}", person.title(), "slack", self.book.people[person])

    def on_call(self) -> tuple[str, ...]:
        return on_duty(self.book.schedules["primary"], self.clock.now()).people


@pytest.fixture
async def town(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open()
    yield Town(tmp_path, store)
    await store.close()


def ben(hours: float = 4) -> Plan:
    return Plan("override", "payments", ("ben",), NOW, NOW + timedelta(hours=hours), "dentist")


async def test_an_override_counts_at_once_and_whom_it_concerns_is_told(town):
    made = await town.desk.add(town.actor("cat"), ben())
    assert (made.id, made.schedule) == ("ROTA-1", "primary")
    assert town.on_call() == ("ben",)
    async with town.store.transaction() as tx:
        told = {page.person: page for page in await tx.all_owed()}
    assert set(told) == {"ben", "ana"}  # who is put on duty, and who would have had it
    assert "Europe/Madrid" in told["ana"].text
    assert "Made by Cat: dentist" in told["ana"].text
    (row,) = [row for _, row, _ in await town.store.audit_rows("ROTA-1")]
    assert (row.actor, row.action, row.detail["people"]) == ("person:cat", "rota.override", "ben")


async def test_it_counts_while_the_files_on_disk_are_refused(town):
    (town.folder / "oncall/all.yaml").write_text("people: [broken")
    await town.pager.poll_files()
    await town.desk.add(town.actor("cat"), ben())
    assert town.on_call() == ("ben",)


async def test_a_look_at_the_files_does_not_lose_it(town):
    await town.desk.add(town.actor("cat"), ben())
    before = town.pager.sources.digest
    await town.pager.poll_files()
    assert (town.on_call(), town.pager.sources.digest) == (("ben",), before)


async def test_it_counts_after_a_restart_and_is_gone_once_it_is_over(town):
    await town.desk.add(town.actor("cat"), ben())
    _, config = read(town.folder, None, await rotas.counting(town.store, NOW))
    assert on_duty(config.book.schedules["primary"], NOW).people == ("ben",)
    assert await rotas.counting(town.store, NOW + timedelta(hours=4)) == []


async def test_taken_back_it_counts_no_more(town):
    await town.desk.add(town.actor("cat"), ben())
    await town.desk.end(town.actor("ana"), "rota-1")
    assert town.on_call() == ("ana",)
    assert await town.desk.changes() == []
    with pytest.raises(ConflictError, match="ROTA-1 was taken back already"):
        await town.desk.end(town.actor("ana"), "1")


async def test_the_same_click_makes_one(town):
    await town.desk.add(town.actor("cat"), ben(), event_key="click")
    with pytest.raises(ConflictError, match="recorded already"):
        await town.desk.add(town.actor("cat"), ben(), event_key="click")
    assert len(await town.desk.changes()) == 1


async def test_an_incident_keeps_the_rota_it_began_with_also_after_a_restart(town):
    await town.desk.add(town.actor("cat"), ben())
    labels = {"alertname": "Errors", "severity": "critical", "agent": "refund-agent"}
    fired = Alert(
        fingerprint="f", group="alerts/a.yaml;g", state=AlertState.FIRING, labels=labels, annotations={}, value=1,
        starts_at=NOW,
    )  # fmt: skip
    update = Update(group="alerts/a.yaml;g", evaluated_at=NOW, alerts=(fired,))
    (opened,) = await pipeline.observe(town.store, update, town.pager.world(), NOW)
    assert [one.person for one in opened.wake] == ["ben"]
    await town.desk.end(town.actor("cat"), "ROTA-1")
    kept = book_of(opened.incident, town.pager.world())
    assert on_duty(kept.schedules["primary"], NOW).people == ("ben",)
    doc = await town.store.snapshot(opened.incident.book_id)
    assert [change.people for change in Sources.model_validate_json(doc).changes] == [("ben",)]


async def test_commands_that_need_no_server_know_it(town):
    at = NOW + timedelta(days=40_000)  # commands read the real clock, and what is past counts no more
    await town.desk.add(town.actor("cat"), Plan("override", "primary", ("ben",), at, at + timedelta(hours=1)))
    await town.store.close()
    asked = ["--at", at.isoformat(), "--config", str(town.folder), "-o", "json"]
    answer = await asyncio.to_thread(CliRunner().invoke, cli, ["oncall", *asked])  # it has a loop of its own
    rows = json.loads(answer.output)["schedules"]
    assert [row["people"] for row in rows] == [["ben"]]


async def test_an_override_of_somebody_who_has_left_puts_nobody_in_their_place(town):
    await town.desk.add(town.actor("cat"), ben())
    assert town.on_call() == ("ben",)
    everybody = (town.folder / "oncall/all.yaml").read_text()
    left = everybody.replace("  ben: {name: Ben, slack: U0BEN}\n", "").replace("[ana, ben]", "[ana]")
    (town.folder / "oncall/all.yaml").write_text(left)
    await town.pager.poll_files()
    assert "ben" not in town.book.people
    assert town.on_call() == ("ana",)
    assert [one.person for one in people_of(["schedule:primary"], town.book, NOW)[0]] == ["ana"]


async def test_who_has_the_duty_again_is_told_that_an_override_is_taken_back(town):
    await town.desk.add(town.actor("cat"), ben())
    await town.desk.end(town.actor("cat"), "ROTA-1")
    async with town.store.transaction() as tx:
        told = {page.person for page in await tx.all_owed() if page.id.startswith("ROTA-1.ended")}
    assert told == {"ben", "ana"}


async def test_of_two_made_at_the_same_time_both_count(town, monkeypatch):
    """The first one's look at what counts comes back last."""
    looked, counting = asyncio.Event(), rotas.counting

    async def late_at_first(store, now):
        found = await counting(store, now)
        if len(found) == 1:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(looked.wait(), 0.5)
        else:
            looked.set()
        return found

    monkeypatch.setattr(rotas, "counting", late_at_first)
    second = Plan("override", "payments", ("cat",), NOW + timedelta(hours=1), NOW + timedelta(hours=2))
    await asyncio.gather(town.desk.add(town.actor("cat"), ben()), town.desk.add(town.actor("cat"), second))
    assert on_duty(town.book.schedules["primary"], NOW + timedelta(hours=1)).people == ("cat",)


async def test_what_cannot_be_made_to_count_at_once_is_tried_again(town, monkeypatch):
    async def fails(_store, _now):
        raise OSError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(rotas, "counting", fails)
        made = await town.desk.add(town.actor("cat"), ben())  # it is written down, so it is not asked for again
    assert (made.id, town.on_call()) == ("ROTA-1", ("ana",))
    await town.desk.catch_up()
    assert town.on_call() == ("ben",)
