"""The pager between the watcher's reports and the store: reloads, its own alerts, incidents that it cannot handle."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest
import sqlalchemy as sa
from config_files import sources_of
from core_world import NOW, ended, opened
from hand_clock import HandClock

from bot import pipeline
from bot.app import Service
from bot.config import load
from bot.errors import LeaseLostError, RemoteError
from bot.incidents.model import Alert, AlertState, State, pushed_group
from bot.incidents.own import OwnAlert
from bot.joint import Request, Update
from bot.labels import fingerprint
from bot.pager import Pager
from bot.rules.evaluate import GroupState
from bot.rules.load import with_builtin
from bot.store.database import Database
from bot.store.replicas import Replica
from bot.watcher import Watcher

FILES = {
    "agentpager.yaml": "slack: {bot_token: xoxb-1, app_token: xapp-1, signing_secret: s, channel: '#agent-pages'}\n",
    "oncall/all.yaml": (
        "people:\n  ana: {name: Ana, slack: U0ANA}\n  ben: {name: Ben, slack: U0BEN}\nfallback: 'person:ana'\n"
    ),
    "agents/all.yaml": "agents:\n  refund-agent: {owner: ana}\n  other-agent: {owner: ben}\n",
    "alerts/a.yaml": (
        "groups:\n- name: g\n  rules:\n"
        "  - {alert: Errors, expr: up == 0, labels: {severity: critical}}\n"
        "  - {alert: Slow, expr: up == 2, labels: {severity: critical}}\n"
    ),
}
GROUP = "alerts/a.yaml;g"
DOWN = OwnAlert("the watcher is down", "dead")


def alert(name: str = "Errors", agent: str = "refund-agent", group: str = GROUP) -> Alert:
    labels = {"alertname": name, "severity": "critical", "agent": agent}
    return Alert(
        fingerprint=fingerprint(labels),
        group=group,
        state=AlertState.FIRING,
        labels=labels,
        annotations={},
        value=1.0,
        starts_at=NOW,
    )


def config_of(**changed: str):
    return load(sources_of(FILES | {name.replace("__", "/") + ".yaml": text for name, text in changed.items()}))


@pytest.fixture
async def pager(tmp_path):
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open()
    clock = HandClock(NOW)
    pager = Pager(Path("agentpager.yaml"), {}, sources_of(FILES), config_of(), store, clock)
    pager.clock, pager.store = clock, store
    yield pager
    await store.close()


def report(*alerts: Alert, group: str = GROUP) -> Update:
    return Update(group=group, evaluated_at=NOW, alerts=alerts)


async def unresolved(pager: Pager) -> list[str]:
    return [incident.id for incident in await pager.store.unresolved()]


async def test_a_report_opens_an_incident(pager):
    await pager.on_update(report(alert()))
    assert await unresolved(pager) == ["INC-1"]


async def test_a_report_of_a_group_that_a_reload_has_just_taken_away_opens_nothing(pager):
    """It was on its way while the files were read; nobody would ever end what it opens."""
    await pager.on_update(report(alert(group="alerts/gone.yaml;g"), group="alerts/gone.yaml;g"))
    assert await unresolved(pager) == []


async def test_an_alert_of_a_rule_that_a_reload_has_just_taken_away_opens_nothing_and_ends(pager):
    await pager.on_update(report(alert(), alert("Slow")))
    one_rule = FILES["alerts/a.yaml"].rsplit("  - {alert: Slow", 1)[0]
    pager.config = config_of(alerts__a=one_rule)
    pager._seen.clear()
    await pager.on_update(report(alert(), alert("Slow"), alert("Slow", agent="other-agent")))
    (incident,) = await pager.store.unresolved()
    assert [held.name for held in incident.going_on] == ["Errors"]


async def test_an_alert_about_the_pager_itself_ends_although_the_fallback_has_changed(pager):
    await pager.own_alerts("WatcherDown", [DOWN])
    assert await unresolved(pager) == ["INC-1"]
    pager.config = config_of(oncall__all=FILES["oncall/all.yaml"].replace("person:ana'", "person:ben'"))
    await pager.own_alerts("WatcherDown", [])
    assert await unresolved(pager) == []


async def test_own_alerts_wake_once_and_leave_each_other_alone(pager):
    await pager.own_alerts("WatcherDown", [DOWN])
    await pager.own_alerts("WatcherDown", [DOWN])
    await pager.own_alerts("OtherTrouble", [OwnAlert("trouble", "")])
    await pager.own_alerts("OtherTrouble", [])
    assert await unresolved(pager) == ["INC-1"]
    assert len([page for page in await pager.store.waiting(NOW) if page.kind == "page"]) == 1


async def test_after_a_restart_what_the_pager_said_about_itself_ends(pager):
    await pager.own_alerts("WatcherDown", [DOWN])
    pager._own_told.clear()
    await pager.own_alerts("WatcherDown", [])
    assert await unresolved(pager) == []


async def test_one_incident_that_cannot_be_worked_in_does_not_stop_the_others(pager, monkeypatch):
    await pager.on_update(report(alert(), alert(agent="other-agent")))
    honest, tried = pipeline.escalate, []

    async def escalate(store, incident_id, world, now):
        tried.append(incident_id)
        if incident_id == "INC-1":
            raise KeyError("a bug of ours")
        return await honest(store, incident_id, world, now)

    monkeypatch.setattr(pipeline, "escalate", escalate)
    pager.clock.time = NOW + timedelta(minutes=5)
    await pager.tick()
    await pager.tick()
    assert tried == ["INC-1", "INC-2"], "the one that failed is set aside for a while"
    second = await pager.store.incident("INC-2")
    assert second.next_at > pager.clock.time


async def test_a_deadline_that_came_while_the_database_was_away_waits_no_longer_than_it(pager, monkeypatch):
    await pager.on_update(report(alert()))
    honest, error = pipeline.escalate, sa.exc.OperationalError("SELECT", {}, Exception("the connection is lost"))

    async def escalate(*_):
        raise error

    monkeypatch.setattr(pager.store, "_sqlite", None)
    monkeypatch.setattr("bot.pager._AWAY", 0.01)
    monkeypatch.setattr(pipeline, "escalate", escalate)
    pager.clock.time = NOW + timedelta(minutes=5)
    await pager.tick()
    monkeypatch.setattr(pipeline, "escalate", honest)
    await asyncio.sleep(0.02)
    await pager.tick()
    assert (await pager.store.incident("INC-1")).next_at > pager.clock.time
    assert [pager.store.away(one) for one in (LeaseLostError(), KeyError("a bug of ours"))] == [True, False]


async def test_a_suspended_machine_sends_each_overdue_step_once(pager):
    await pager.on_update(report(alert()))
    pager.clock.time = NOW + timedelta(hours=8)
    for _ in range(5):
        await pager.tick()
    incident = await pager.store.incident("INC-1")
    assert (incident.revision, incident.state) == (2, State.OPEN)


async def test_a_report_that_failed_is_worked_in_with_the_next_one_and_its_state_is_not_lost(pager, monkeypatch):
    honest = pipeline.observe

    async def locked(*_):
        raise OSError("database is locked")

    state = {"version": 1, "evaluated_at": 1.0, "rules": {}}
    monkeypatch.setattr(pipeline, "observe", locked)
    with pytest.raises(OSError, match="locked"):
        await pager.on_update(report(alert()).model_copy(update={"state": state}))
    monkeypatch.setattr(pipeline, "observe", honest)
    await pager.on_update(report(alert()))
    assert await unresolved(pager) == ["INC-1"]
    assert list(await pager.store.rule_state()) == [GROUP]


async def test_an_unchanged_report_is_not_worked_in_each_time(pager):
    await pager.on_update(report(alert()))
    changed = alert().model_copy(update={"value": 2.0})
    await pager.on_update(report(changed))
    assert (await pager.store.incident("INC-1")).alerts[0].value == 1.0
    await pager.on_update(report(ended(changed, NOW)))
    assert await unresolved(pager) == []


async def test_a_report_of_changes_leaves_alone_what_it_does_not_name(pager):
    await pager.on_update(report(alert(), alert("Slow")))
    await pager.on_update(report(ended(alert(), NOW)).model_copy(update={"still": None}))
    (incident,) = await pager.store.unresolved()
    assert [(one.name, one.state) for one in incident.going_on] == [("Slow", AlertState.FIRING)]


async def test_an_alert_that_is_named_by_nothing_but_its_fingerprint_still_goes_on(pager):
    await pager.on_update(report(alert(), alert("Slow")))
    await pager.on_update(report().model_copy(update={"still": (alert("Slow").fingerprint,)}))
    (incident,) = await pager.store.unresolved()
    states = {one.name: one.state for one in incident.alerts}
    assert states == {"Errors": AlertState.NO_DATA, "Slow": AlertState.FIRING}


async def test_after_a_report_of_changes_a_whole_one_is_worked_in_again(pager):
    """Something may have been lost on the way: the whole report puts it right, though it looks like the one before."""
    await pager.on_update(report(alert()))
    await pager.on_update(report(ended(alert(), NOW)).model_copy(update={"still": None}))
    await pager.on_update(report(alert()))
    assert await unresolved(pager) == ["INC-1"], "it opens again"


async def test_what_was_over_long_ago_leaves_the_database(pager, tmp_path):
    over = [
        opened().model_copy(
            update={"id": f"INC-{n}", "key": f"{n}", "state": State.RESOLVED, "next_at": None, "resolved_at": NOW}
        )
        for n in (1, 2)
    ]
    async with pager.store.transaction() as tx:
        await tx.save_incidents(over)
    pager.clock.time = NOW + timedelta(days=729)
    await pager.housekeep()
    assert await pager.store.incident("INC-1") == over[0]
    pager.clock.time = NOW + timedelta(days=731)
    await pager.housekeep()
    assert await pager.store.incident("INC-1") is None
    (file,) = (tmp_path / "pager.db.archive").iterdir()
    assert file.name == "2028-11-04.jsonl.gz"


async def test_a_group_that_the_watcher_has_not_heard_of_yet_is_handed_over_to_it_again(pager):
    """The watcher still takes up new files when another replica hands the group over."""
    await pager.on_update(report(alert()).model_copy(update={"state": {"version": 3}}))
    asked, heard = [], []

    async def ask(_method, params, _seconds):
        asked.append((params["taken"], sorted(params["states"])))
        return heard

    pager.watcher.ask = ask
    me = Replica("me", "host", 1, "", frozenset({GROUP}), watching=True, started_at=NOW, expires_at=NOW, leads=False)
    pager._shares.look("me", [me], frozenset({GROUP}), 1, 0.0)
    for _ in range(2):
        await pager._tell_watcher_of_shares(0.0, changed=False)
    heard.append(GROUP)
    for _ in range(2):
        await pager._tell_watcher_of_shares(0.0, changed=False)
    assert asked == [([GROUP], [GROUP])] * 3


async def test_the_watcher_says_which_groups_have_heard_whose_they_are(tmp_path):
    said = []

    async def send(message, _body=b""):
        said.append(message)

    watcher = Watcher(send)
    sources = sources_of(FILES).for_watcher().to_json()
    await watcher.answer(Request(id=1, method="configure", params={"sources": sources, "mine": []}))
    share = {"incarnation": 1, "mine": [GROUP, "new;g"], "taken": [GROUP, "new;g"], "states": {}, "since": 0.0}
    await watcher.answer(Request(id=2, method="share", params=share))
    assert [one.error for one in said] == [None, None]
    assert GROUP in said[1].result
    assert "new;g" not in said[1].result
    for task in watcher._tasks:
        task.cancel()


async def test_a_watcher_that_does_not_answer_keeps_nobody_from_letting_go_of_a_group(pager):
    def member(name: str) -> Replica:
        groups = frozenset(group.id for group in with_builtin(pager.config.groups))
        return Replica(name, "host", 1, "", groups, watching=True, started_at=NOW, expires_at=NOW, leads=False)

    async def replicas():
        return present

    async def nothing(*_):
        return {}

    async def ask(*_):
        await asyncio.Event().wait()

    present = [member("me")]
    states = {"rule_states_saved_at": nothing, "rule_state": nothing}
    pager._store = SimpleNamespace(alone=False, me="me", incarnation=1, replicas=replicas, **states)
    pager.watcher.ready, pager.watcher.ask = True, ask
    async with asyncio.timeout(5):
        await pager.share()
        telling = asyncio.create_task(pager.tell_shares())
        await asyncio.sleep(0.05)
        had = pager._shares.mine
        present += [member(f"other {number}") for number in range(50)]
        await pager.share()
    assert GROUP in had
    assert not pager._shares.counts(GROUP, 1)
    telling.cancel()


async def test_however_many_ask_whether_it_is_ready_one_row_is_written_at_a_time(pager, monkeypatch):
    """Nobody needs a token for it, and an acknowledgement waits for its turn to write."""
    pings, most, ping = 0, 0, pager.store.ping

    async def counted() -> None:
        nonlocal pings, most
        pings += 1
        most = max(most, pings)
        await ping()
        pings -= 1

    monkeypatch.setattr(pager.store, "ping", counted)
    found = await asyncio.gather(*(pager.readiness() for _ in range(50)))
    assert most == 1
    assert {one["checks"]["store"] for one in found} == {"ok"}
    monkeypatch.setattr(pager.store, "ping", _broken)
    assert (await pager.readiness())["checks"]["store"] == "the disk is full"


async def _broken() -> None:
    raise OSError("the disk is full")


async def test_why_the_database_cannot_be_used_is_one_line_without_the_statement(pager, monkeypatch):
    async def away() -> None:
        raise sa.exc.OperationalError("INSERT INTO keys", {"value": "secret"}, Exception("it is lost\nIs it running?"))

    monkeypatch.setattr(pager.store, "ping", away)
    assert (await pager.readiness())["checks"]["store"] == "it is lost"


async def test_a_watcher_that_is_slow_to_take_its_share_over_is_not_told_anew_meanwhile():
    """It would catch up with the same rounds again, and so be slower still."""
    told, looked, answer = [], [], asyncio.Event()

    async def share():
        looked.append(1)

    async def tell_shares():
        told.append(1)
        await answer.wait()
        if len(told) == 2:
            raise RemoteError("the watcher has just ended")

    service = Service.__new__(Service)
    service._pager, service._telling = SimpleNamespace(share=share, tell_shares=tell_shares), None
    for _ in range(3):
        await service._share()
        await asyncio.sleep(0)
    assert (len(looked), len(told)) == (3, 1)
    answer.set()
    for _ in range(2):
        await service._telling
        await service._share()
    await service._telling
    assert len(told) == 3


async def test_a_leader_that_does_not_know_a_bridge_yet_ends_no_alerts_of_another_replica_s(pager):
    """New files are rolled out one replica after the other, and that takes longer than a minute."""
    bridged, announced = pushed_group("grafana"), []
    bridges = "bridges: {grafana: {kind: alertmanager, token: a-token-of-16-characters}}\n"
    new = Pager(Path("agentpager.yaml"), {}, sources_of(FILES), pager.config, pager.store, pager.clock)
    new.config = load(sources_of(FILES | {"agentpager.yaml": FILES["agentpager.yaml"] + bridges}))
    new._store = SimpleNamespace(announce=lambda **shown: announced.append(shown["groups"]))
    new.announce()
    await pager.pushed([alert(group=bridged)])
    other = Replica("b", "host", 1, "", announced[0], watching=True, started_at=NOW, expires_at=NOW, leads=False)
    pager.replicas = [other]
    pager._unknown_since = {bridged: -1e9}
    await pager.look_after_replicas()
    assert await unresolved(pager) == ["INC-1"]
    pager.replicas = []
    await pager.look_after_replicas()
    pager._unknown_since = {bridged: -1e9}
    await pager.look_after_replicas()
    assert await unresolved(pager) == []


async def test_a_group_that_cannot_be_taken_up_keeps_no_other_from_being_evaluated(monkeypatch):
    async def send(*_):
        pass

    def broken(self, *args):
        if self.group.id == GROUP:
            raise KeyError("a bug of ours")
        honest(self, *args)

    honest, watcher = GroupState.take_up, Watcher(send)
    sources = sources_of(FILES).for_watcher().to_json()
    await watcher.answer(Request(id=1, method="configure", params={"sources": sources, "mine": []}))
    names = list(watcher._rounds.groups)
    assert [watcher._rounds.groups[name].mirrored for name in names] == [True] * len(names)
    monkeypatch.setattr(GroupState, "take_up", broken)
    share = {"incarnation": 1, "mine": names, "taken": names, "states": {}, "since": 0.0}
    await watcher.answer(Request(id=2, method="share", params=share))
    assert len(names) > 1
    assert [watcher._rounds.groups[name].mirrored for name in names] == [False] * len(names)
    for task in watcher._tasks:
        task.cancel()


@pytest.mark.parametrize("leads", [True, False])
async def test_who_is_told_to_stop_lets_nothing_land_once_another_one_may_lead(leads):
    service, stop = Service.__new__(Service), AsyncMock()
    service._ticker, service._telling, service._leading = AsyncMock(), None, SimpleNamespace(stop=stop)
    service._store = SimpleNamespace(leads=leads, lost=asyncio.Event())
    service._front = SimpleNamespace(
        upkeep=AsyncMock(), slack=AsyncMock(), messenger=AsyncMock(), channels=SimpleNamespace(close=lambda: None)
    )
    service._pager = SimpleNamespace(watcher=AsyncMock())
    await service._stop(SimpleNamespace(), {asyncio.create_task(asyncio.sleep(0), name="http")})
    stop.assert_awaited_once_with(leads=leads)
