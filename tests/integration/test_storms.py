"""Many incidents at once over a real store: one message for each person and channel, nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from core_world import BOOK, NOW, WORLD, alert, ended
from integration.test_pipeline import ANA, BEN, NO_ANSWER, REFUSED, Town

from bot import delivery, pipeline
from bot.agents.model import Agent
from bot.errors import RemoteError, UsageError
from bot.incidents import people
from bot.incidents.model import Severity, State
from bot.incidents.silences import Draft
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Actor, Posted

CARDS = "#payments-agents"
MANY = 12
RATE_LIMITED = RemoteError("told to wait 30 s", code="ratelimited", retry_after_seconds=30)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    town = Town(tmp_path)
    agents = {f"agent-{number}": Agent(id=f"agent-{number}", owner="team:payments") for number in range(40)}
    town.world = replace(WORLD, agents=WORLD.agents | agents)
    await town.open(outbox=False)
    yield town
    await town.crash()


def storm(start: int, count: int, severity: str = "warning") -> list:
    return [alert(labels={"agent": f"agent-{number}", "severity": severity}) for number in range(start, start + count)]


def run(town: Town) -> None:
    town.task = asyncio.create_task(town.outbox.run())


async def pages(town: Town, kind: PageKind = PageKind.PAGE) -> list[Page]:
    async with town.store.transaction() as tx:
        found = await tx.pages_of_each([f"INC-{number}" for number in range(1, 41)])
    return [page for rows in found.values() for page in rows if page.kind is kind]


async def settled(town: Town, seconds: float = 8.0) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while [page for page in (await town.store.live()).owed if page.due_at <= town.clock.now()]:
        assert loop.time() < end, [(page.id, page.state) for page in (await town.store.live()).owed][:5]
        town.outbox.wake()
        await asyncio.sleep(0.02)


async def stormed(town: Town, *alerts) -> None:
    await town.report(*alerts)
    run(town)
    await settled(town)


def shown_by_edit(town: Town) -> set[str]:
    """What the last edit of Ana's message showed."""
    return set([shown for name, shown in town.slack.edits if name == "INC-1.1.page.ana"][-1])


def ana() -> Actor:
    return Actor("person:ana", "ana", "slack", BOOK.people["ana"])


async def test_each_person_and_channel_gets_one_message_and_every_page_is_a_row_that_was_sent(town):
    await stormed(town, *storm(0, MANY))
    assert [len(shown) for _, shown in town.slack.storms] == [MANY, MANY]
    assert [page.channel for page in town.slack.posts] == [ANA, CARDS]
    rows = await pages(town)
    assert {(page.state, page.lead, page.ts) for page in rows} == {(PageState.SENT, rows[0].id, "1.0")}
    assert len(rows) == MANY


async def test_the_most_urgent_leads_and_runbook_replies_are_left_to_buttons(town):
    await stormed(town, *storm(0, 5), *storm(5, 2, "critical"))
    assert town.slack.storms[0][0] == "INC-6.1.page.ana"
    assert await pages(town, PageKind.RUNBOOK) == []


async def test_two_incidents_look_as_they_always_do(town):
    await stormed(town, *storm(0, 2))
    assert town.slack.storms == []
    assert len(town.slack.to(ANA)) == 2


async def test_latecomers_are_shown_by_an_edit_and_a_critical_one_by_a_message(town):
    await stormed(town, *storm(0, MANY))
    town.clock.advance(seconds=20)
    await town.report(*storm(0, MANY), *storm(20, 1))
    await settled(town)
    assert len(town.slack.to(ANA)) == 1
    late = next(page for page in await pages(town) if page.incident == f"INC-{MANY + 1}")
    assert (late.state, late.lead, late.ts) == (PageState.SENT, "INC-1.1.page.ana", "1.0")
    assert shown_by_edit(town) == {f"INC-{number}" for number in range(1, MANY + 2)}

    town.clock.advance(seconds=20)
    await town.report(*storm(0, MANY), *storm(20, 1), *storm(21, 1, "critical"))
    await settled(town)
    assert len(town.slack.to(ANA)) == 2


async def test_who_has_answered_is_woken_anew_by_a_latecomer(town):
    """An edit makes no sound, and who took the rest may have put the phone away."""
    await stormed(town, *storm(0, MANY))
    town.clock.advance(seconds=20)
    at = town.clock.now()
    await pipeline.act(town.store, "INC-3", lambda i: people.ack(i, "person:ana", at), town.world, at, "k")
    town.clock.advance(seconds=20)
    await town.report(*storm(0, MANY), *storm(20, 1))
    await settled(town)
    assert len(town.slack.to(ANA)) == 2


async def test_a_latecomer_joins_after_a_restart_too(town):
    await stormed(town, *storm(0, MANY))
    await town.crash()
    await town.open(outbox=False)
    town.clock.advance(seconds=20)
    await town.report(*storm(0, MANY), *storm(20, 1))
    run(town)
    await settled(town)
    assert len(town.slack.to(ANA)) == 1


async def test_a_latecomer_whose_message_was_deleted_is_paged_by_a_new_one(town):
    await stormed(town, *storm(0, MANY))
    town.slack.edit_failures["INC-1.1.page.ana"] = RemoteError("gone", code="message_not_found", permanent=True)
    await town.report(*storm(0, MANY), *storm(20, 1))
    await settled(town)
    assert town.slack.to(ANA)[-1] == f"INC-{MANY + 1}.1.page.ana"


async def test_no_page_goes_out_for_what_was_taken_before_it_was_claimed(town):
    await town.report(*storm(0, MANY))
    await town.desk.ack(ana(), "INC-3")
    run(town)
    await settled(town)
    assert "INC-3" not in town.slack.storms[0][1]
    assert len(town.slack.storms[0][1]) == MANY - 1


async def test_all_are_taken_by_one_click_once(town):
    await stormed(town, *storm(0, MANY))
    await town.desk.ack(Actor("person:ben", "ben", "slack", BOOK.people["ben"]), "INC-2")
    outcome = await town.desk.ack_all(ana(), "INC-1.1.page.ana", event_key="click")
    assert (outcome.changed, outcome.message) == (True, f"{MANY - 1} of {MANY} incidents are yours now.")
    holders = [incident.acked_by for incident in await town.store.unresolved()]
    assert sorted(set(holders)) == ["person:ana", "person:ben"]
    again = await town.desk.ack_all(ana(), "INC-1.1.page.ana", event_key="click")
    assert (again.changed, again.message) == (False, "that click has been recorded already")
    other = await town.desk.ack_all(ana(), "INC-1.1.page.ana", event_key="another")
    assert (other.changed, other.message) == (False, "none of them waits for anybody: each is taken, hidden or over")


async def test_what_is_hidden_is_not_taken_with_the_rest(town):
    await stormed(town, *storm(0, MANY))
    agent = (await town.store.incident("INC-2")).agent
    draft = Draft(
        (f'agent="{agent}"',), town.clock.now() + timedelta(hours=1), "deploy", max_severity=Severity.CRITICAL
    )
    await pipeline.silence(town.store, draft, "person:ben", town.world, town.clock.now())
    await town.desk.ack_all(ana(), "INC-1.1.page.ana", event_key="click")
    waiting = [one for one in await town.store.unresolved() if one.state is State.OPEN]
    assert waiting, "whoever ends the silence is to be told, and not who took the others"
    assert all(one.agent == agent and one.suppressed for one in waiting)


async def test_acks_redraw_the_message_from_all_of_its_incidents(town):
    await stormed(town, *storm(0, MANY))
    await town.desk.ack(ana(), "INC-2")
    town.outbox.wake("INC-2")
    await town.until(lambda: any(name == "INC-1.1.page.ana" for name, _ in town.slack.edits), "redrawn")
    assert shown_by_edit(town) == {f"INC-{number}" for number in range(1, MANY + 1)}


async def test_who_takes_one_out_of_many_gets_its_runbook_in_the_thread(town):
    await stormed(town, *storm(0, MANY))
    await town.desk.ack(ana(), "INC-2")
    town.outbox.wake()
    await town.until(lambda: [p for p in town.slack.posts if p.kind is PageKind.RUNBOOK], "runbook")
    assert [page.incident for page in town.slack.posts if page.kind is PageKind.RUNBOOK] == ["INC-2"]


async def test_a_reply_to_a_message_about_several_has_to_name_one(town):
    await stormed(town, *storm(0, 3))
    page = (await pages(town))[0]
    with pytest.raises(UsageError, match="that message is about 3 incidents; name one, for example INC-1"):
        await town.desk.incident_of_message(page.slack_channel, page.ts)
    await town.report(*(ended(one, NOW) for one in storm(0, 2)), *storm(2, 1))
    assert await town.desk.incident_of_message(page.slack_channel, page.ts) == "INC-3"


async def test_a_lost_answer_is_settled_once_for_all_that_the_message_shows(town):
    town.slack.fail(ANA, NO_ANSWER)
    town.slack.lands_anyway.add(ANA)
    await stormed(town, *storm(0, MANY))
    assert {page.state for page in await pages(town)} == {PageState.UNKNOWN}
    town.clock.advance(seconds=20)
    await settled(town)
    assert (len(town.slack.to(ANA)), town.slack.searches) == (1, ["INC-1.1.page.ana"])
    assert {page.state for page in await pages(town)} == {PageState.SENT}


async def test_what_did_not_land_goes_out_again_together(town):
    town.slack.fail(ANA, NO_ANSWER)
    await stormed(town, *storm(0, MANY))
    town.clock.advance(seconds=20)
    await settled(town)
    assert [len(shown) for name, shown in town.slack.storms if "page" in name] == [MANY, MANY]
    assert {page.state for page in await pages(town)} == {PageState.SENT}


async def test_told_to_wait_every_page_is_due_again_after_it(town):
    town.slack.fail(ANA, RATE_LIMITED)
    await stormed(town, *storm(0, MANY))
    waiting = await pages(town)
    assert {(page.state, page.lead) for page in waiting} == {(PageState.DUE, None)}
    assert {(page.due_at - NOW).total_seconds() for page in waiting} == {30}


async def test_refused_for_good_every_incident_goes_to_the_next_level(town):
    town.slack.fail(ANA, REFUSED)
    await stormed(town, *storm(0, MANY))
    await town.until(lambda: town.slack.to(BEN), "Ben is paged")
    await settled(town)
    assert [len(shown) for name, shown in town.slack.storms if name.endswith(".ben")] == [MANY]
    assert {incident.step for incident in await town.store.unresolved()} == {1}


async def test_killed_while_sending_nothing_is_lost_and_nothing_is_sent_twice(town):
    gate = asyncio.Event()
    town.slack.before_post = lambda page: gate.wait() if page.channel == ANA else None
    await town.report(*storm(0, MANY))
    run(town)
    await town.until(lambda: town.slack.to(ANA), "under way")
    await town.crash()
    town.slack.before_post = lambda page: None
    town.slack.landed["INC-1.1.page.ana"] = town.slack.landed.get("INC-1.1.page.ana") or _somewhere()
    await town.open(outbox=False)
    run(town)
    await town.until(lambda: [p for p in town.slack.posts if p.kind is PageKind.CARD], "card")
    town.clock.advance(seconds=20)
    await settled(town)
    assert len(town.slack.to(ANA)) == 1
    assert {page.state for page in await pages(town)} == {PageState.SENT}


def _somewhere():
    return Posted(f"D{ANA}", "7.0")


async def test_while_slack_is_ill_pages_stay_where_they_are_and_a_harmless_question_asks(town):
    for channel in (ANA, CARDS):
        town.slack.fail(channel, *[RemoteError("HTTP status 403 without an answer of Slack's")] * 4)
    town.slack.probe_error = RemoteError("HTTP status 403 without an answer of Slack's")
    await town.report(*storm(0, MANY))
    run(town)

    async def tried(count: int) -> None:
        for _ in range(200):
            if len(town.slack.posts) >= count:
                return
            town.clock.advance(seconds=10)
            town.outbox.wake()
            await asyncio.sleep(0.02)

    await tried(4)
    before = len(town.slack.posts)
    town.clock.advance(seconds=10)
    town.outbox.wake()
    await town.until(lambda: town.slack.probes >= 2, "asked")
    assert len(town.slack.posts) == before
    town.slack.probe_error = None
    town.slack.failures.clear()
    await tried(before + 2)
    await settled(town)
    assert {page.state for page in await pages(town)} == {PageState.SENT}


async def test_one_transaction_claims_for_several_places(town):
    await town.report(*storm(0, 4))
    rows = await pages(town)
    cards = await pages(town, PageKind.CARD)
    taken = await delivery.claim_together(town.store, [[p.id for p in rows], [c.id for c in cards]], NOW)
    assert [len(one) for one in taken] == [4, 4]
    assert await delivery.claim_together(town.store, [[p.id for p in rows]], NOW) == [[]]


async def test_resolved_incidents_of_one_card_are_no_thread_lines(town):
    await stormed(town, *storm(0, MANY))
    await town.report(*(ended(one, NOW) for one in storm(0, MANY)))
    await settled(town)
    assert all(incident.state is State.RESOLVED for incident in await town.store.recent(MANY))
    assert [page for page in town.slack.posts if page.kind is PageKind.RESOLVED] == []


async def test_while_a_report_is_worked_in_messages_wait_for_the_rest_of_it(town, monkeypatch):
    seconds = [1000.0]
    monkeypatch.setattr("bot.outbox.time", SimpleNamespace(monotonic=lambda: seconds[0]))
    town.outbox.hold()
    await town.report(*storm(0, 4))
    assert await town.outbox._round() == pytest.approx(1.5)
    assert not town.outbox._tasks

    seconds[0] += 1.5
    await town.outbox._round()
    assert {task.get_name() for task in town.outbox._tasks} == {"INC-1.1.page.ana"}, "pages wait no longer, cards do"
    await asyncio.gather(*town.outbox._tasks)

    town.outbox.release()
    await town.outbox._round()
    await asyncio.gather(*town.outbox._tasks)
    assert [page.kind for page in town.slack.posts] == [PageKind.PAGE, PageKind.CARD]


async def test_between_two_parts_of_a_report_those_who_were_told_nothing_are_told(town, monkeypatch):
    seconds = [1000.0]
    monkeypatch.setattr("bot.outbox.time", SimpleNamespace(monotonic=lambda: seconds[0]))
    town.outbox.hold()
    await town.report(*storm(0, 4))
    run(town)
    await town.outbox.let_pages_go()
    assert town.slack.posts == [], "they have not waited for long enough"
    seconds[0] += 1.5
    await town.outbox.let_pages_go()
    assert [page.channel for page in town.slack.posts] == [ANA]
