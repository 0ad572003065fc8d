"""Suppression over a real store: what begins and ends by the clock takes effect without an alert that says so."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from config_files import sources_of
from core_world import NOW
from hand_clock import HandClock

from bot import pipeline
from bot.config import load
from bot.incidents import people
from bot.incidents.model import Alert, AlertState, Incident, Severity, State
from bot.incidents.own import OwnAlert
from bot.incidents.silences import Draft
from bot.joint import Update
from bot.labels import fingerprint
from bot.pager import Pager
from bot.paging.model import PageKind, PageState
from bot.store.database import Database

GROUP = "alerts/a.yaml;g"
FILES = {
    "agentpager.yaml": (
        "metrics: {scrape: {targets: []}}\nslack: {bot_token: xoxb-1, app_token: xapp-1, channel: '#agent-pages'}\n"
    ),
    "alerts/a.yaml": (
        "groups:\n- name: g\n  rules:\n  - {alert: Errors, expr: up == 0}\n  - {alert: Slow, expr: up == 0}\n"
    ),
    "agents/a.yaml": "agents:\n  refund-agent: {owner: 'person:ana'}\n  other-agent: {owner: 'person:ana'}\n",
    "oncall/all.yaml": "people:\n  ana: {name: Ana, slack: U0ANA}\nfallback: 'person:ana'\n",
}
NIGHTS = """
mute_windows:
  nights:
    matchers: alertname="Slow"
    during: [{hours: "02:30-03:00"}]
    reason: nobody is there
"""


class Town:
    def __init__(self, pager: Pager, store: Database, clock: HandClock) -> None:
        self.pager, self.store, self.clock = pager, store, clock

    async def report(self, *alerts: Alert) -> None:
        await self.pager.on_update(Update(group=GROUP, evaluated_at=self.clock.time, alerts=alerts))

    async def at(self, minute: float) -> None:
        self.clock.time = NOW + timedelta(minutes=minute)
        await self.pager.tick()

    async def silence(self, minutes: float, *matchers: str, starts: float = 0) -> str:
        now = self.clock.time
        draft = Draft(
            matchers=matchers,
            starts_at=now + timedelta(minutes=starts),
            ends_at=now + timedelta(minutes=starts + minutes),
            reason="known",
            max_severity=Severity.CRITICAL,
        )
        made, decisions = await pipeline.silence(self.store, draft, "person:ana", self.pager.world(), now)
        self.pager.silences_changed(decisions)
        return made.id

    async def incident(self, number: int = 1) -> Incident:
        found = await self.store.incident(f"INC-{number}")
        assert found is not None
        return found

    async def pages(self, *states: PageState, kind: PageKind = PageKind.PAGE, number: int = 1) -> int:
        pages = await self.store.pages_of(f"INC-{number}")
        return sum(page.kind is kind and page.state in states for page in pages)


@pytest.fixture
async def town(tmp_path):
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open()
    clock = HandClock(NOW)
    files = FILES | {"incidents/a.yaml": NIGHTS}
    pager = Pager(Path("agentpager.yaml"), {}, sources_of(files), load(sources_of(files)), store, clock)
    yield Town(pager, store, clock)
    await store.close()


def alert(name: str = "Errors", *, at: datetime = NOW, summary: str = "", **more: str) -> Alert:
    labels = {"alertname": name, "severity": "critical", "agent": "refund-agent"} | more
    return Alert(
        fingerprint=fingerprint(labels),
        group=GROUP,
        state=AlertState.FIRING,
        labels=labels,
        annotations={"summary": summary} if summary else {},
        value=1.0,
        starts_at=at,
    )


def ended(one: Alert, at: datetime) -> Alert:
    return one.model_copy(update={"state": AlertState.RESOLVED, "ends_at": at})


SLOW = alert("Slow", severity="warning")


async def test_a_window_that_opens_takes_back_what_was_not_sent_and_pages_when_it_closes(town):
    await town.at(29)
    await town.report(SLOW)
    assert await town.pages(PageState.DUE) == 1
    await town.at(30)
    assert (await town.incident()).suppressed[0].by == "nights"
    assert (await town.pages(PageState.DUE), await town.pages(PageState.CANCELLED)) == (0, 1)
    await town.at(59)
    assert await town.pages(PageState.DUE) == 0
    await town.at(60)
    assert (await town.incident()).suppressed == ()
    assert await town.pages(PageState.DUE) == 1


async def test_an_alert_that_comes_in_a_window_posts_nothing_before_it_closes(town):
    await town.at(31)
    await town.report(SLOW)
    assert await town.store.pages_of("INC-1") == []
    await town.at(60)
    kinds = {page.kind for page in await town.store.pages_of("INC-1")}
    assert kinds == {PageKind.PAGE, PageKind.CARD, PageKind.RUNBOOK, PageKind.CHART}


async def test_a_silence_that_was_made_for_later_begins_and_ends_by_itself(town):
    await town.report(alert())
    await town.silence(10, 'alertname="Errors"', starts=3)
    await town.at(2)
    assert (await town.incident()).suppressed == ()
    await town.at(3)
    hidden = await town.incident()
    assert (hidden.suppressed[0].by, hidden.next_at) == ("SIL-1", NOW + timedelta(minutes=13))
    await town.at(13)
    assert (await town.incident()).suppressed == ()
    assert await town.pages(PageState.DUE) == 1


async def test_a_silence_hides_at_once_and_its_end_pages_at_once(town):
    await town.report(alert())
    name = await town.silence(60, 'alertname="Errors"')
    assert (await town.pages(PageState.DUE), await town.pages(PageState.CANCELLED)) == (0, 1)
    _, decisions = await pipeline.expire_silence(town.store, name, "person:ana", town.pager.world(), town.clock.time)
    town.pager.silences_changed(decisions)
    assert await town.pages(PageState.DUE) == 1


async def test_a_report_of_others_and_an_alert_about_agentpager_leave_what_is_silenced_hidden(town):
    await town.silence(60, 'alertname="Errors"')
    await town.report(alert())
    await town.pager.own_alerts("WatcherDown", [OwnAlert("the watcher is down", "dead")])
    await town.report(alert(), alert("Slow", agent="other-agent"))
    assert (await town.incident()).suppressed != ()
    assert await town.pages(PageState.DUE, PageState.CANCELLED) == 0
    assert await town.pages(PageState.DUE, number=2) == 1


async def test_an_alert_that_comes_back_within_five_minutes_opens_the_same_incident_again(town):
    await town.report(alert())
    town.clock.time = NOW + timedelta(minutes=1)
    await town.report(ended(alert(), town.clock.time))
    town.clock.time = NOW + timedelta(minutes=5, seconds=59)
    await town.report(alert(at=town.clock.time))
    again = await town.incident()
    assert (again.state, len(again.reopened)) == (State.OPEN, 1)
    assert await town.pages(PageState.DUE) == 1
    assert await town.pages(PageState.DUE, kind=PageKind.RESOLVED) == 0


async def test_one_that_comes_back_later_is_a_new_incident(town):
    await town.report(alert())
    town.clock.time = NOW + timedelta(minutes=1)
    await town.report(ended(alert(), town.clock.time))
    town.clock.time = NOW + timedelta(minutes=6)
    await town.report(alert(at=town.clock.time))
    assert [(await town.incident(number)).state for number in (1, 2)] == [State.RESOLVED, State.OPEN]


async def test_one_that_a_person_closed_does_not_come_back_as_the_same_incident(town):
    await town.report(alert())
    at = town.clock.time = NOW + timedelta(minutes=1)
    closed = lambda incident: people.resolve(incident, "person:ana", at)  # noqa: E731
    await pipeline.act(town.store, "INC-1", closed, town.pager.world(), at, None)
    await town.report(ended(alert(), at))
    town.clock.time = NOW + timedelta(minutes=2)
    await town.report(alert(at=town.clock.time))
    assert [(await town.incident(number)).state for number in (1, 2)] == [State.RESOLVED, State.OPEN]


async def test_a_flapping_incident_ends_after_its_quiet_time_by_the_clock(town):
    for minute in range(0, 8, 2):
        town.clock.time = NOW + timedelta(minutes=minute)
        await town.report(alert(at=town.clock.time))
        town.clock.time = NOW + timedelta(minutes=minute + 1)
        await town.report(ended(alert(), town.clock.time))
    flapping = await town.incident()
    assert (flapping.flapping, flapping.state, flapping.quiet_at) == (True, State.OPEN, NOW + timedelta(minutes=22))
    await town.at(22)
    assert (await town.incident()).state is State.RESOLVED


async def test_alerts_that_join_later_are_told_by_one_row_that_waits(town):
    await town.report(alert())
    town.clock.time = NOW + timedelta(minutes=1)
    await town.report(alert(), SLOW)
    town.clock.time = NOW + timedelta(minutes=2)
    others = [alert("Slow", severity="info", tool=tool, summary="slow tools") for tool in ("search", "mail")]
    await town.report(alert(), SLOW, *others)
    waiting = [page for page in await town.store.pages_of("INC-1") if page.kind is PageKind.NEWS]
    assert sorted((page.state, page.text) for page in waiting) == [
        (PageState.CANCELLED, "Slow"),
        (PageState.DUE, "Slow\nslow tools"),
    ]
    assert {page.due_at for page in waiting} == {NOW + timedelta(minutes=5)}
