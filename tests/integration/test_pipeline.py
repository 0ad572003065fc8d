"""From an alert to a message and back, over a real store: nothing is lost, nothing is sent twice, acks stop everything.

The clock is set by hand; the messenger writes down what it is asked to do and fails when told to.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from core_world import BOOK, GROUP, NOW, WORLD, after, alert, ended
from hand_clock import HandClock

from bot import delivery, pipeline
from bot.bridging import BridgeDesk
from bot.commands import Desk
from bot.errors import ConflictError, RemoteError
from bot.incidents.decision import World
from bot.incidents.model import Incident, State
from bot.joint import Update
from bot.outbox import Outbox
from bot.paging.attempt import Verdict
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Actor, Posted
from bot.renderings import Renderings
from bot.store.database import Database

ANA, BEN, CAT, DAN = "U0ANA", "U0BEN", "U0CAT", "U0DAN"
REFUSED = RemoteError("chat.postMessage: channel_not_found", code="channel_not_found", permanent=True)
NO_ANSWER = RemoteError("chat.postMessage: no answer in time", unknown=True)


class DeadWatcher:
    async def ask(self, method: str, params: dict, seconds: float) -> None:
        raise RemoteError("the watcher is not running", code="watcher_down")


class Recorder:
    """Implements ports.Messenger. `before_post` looks at the world at the moment of the first byte."""

    def __init__(self) -> None:
        self.posts: list[Page] = []
        self.edits: list[tuple[str, int]] = []
        self.searches: list[str] = []
        self.landed: dict[str, Posted] = {}
        self.failures: dict[str, deque[RemoteError | Exception]] = {}
        self.lands_anyway: set[str] = set()
        self.storms: list[tuple[str, list[str]]] = []
        self.probes = 0
        self.probe_error: RemoteError | None = None
        self.history: RemoteError | None = None
        self.edit_failures: dict[str, RemoteError] = {}
        self.before_post: Callable[[Page], object] = lambda page: None

    def fail(self, channel: str, *errors: Exception) -> None:
        self.failures[channel] = deque(errors)

    async def post(self, page: Page, incident, rendered, thread) -> Posted:
        self.posts.append(page)
        result = self.before_post(page)
        if asyncio.iscoroutine(result):
            await result
        posted = Posted(f"D{page.channel}", f"{len(self.posts)}.0")
        error = self.failures[page.channel].popleft() if self.failures.get(page.channel) else None
        if error is None or page.channel in self.lands_anyway:
            self.landed[page.id] = posted
        if error is not None:
            raise error
        return posted

    async def update(self, page: Page, incident: Incident, rendered) -> None:
        self.edits.append((page.id, incident.revision))
        if page.id in self.edit_failures:
            raise self.edit_failures[page.id]

    async def post_storm(self, lead: Page, incidents) -> Posted:
        self.storms.append((lead.id, [incident.id for incident in incidents]))
        return await self.post(lead, None, None, None)

    async def update_storm(self, lead: Page, incidents) -> None:
        self.edits.append((lead.id, [incident.id for incident in incidents]))
        if lead.id in self.edit_failures:
            raise self.edit_failures[lead.id]

    async def probe(self) -> None:
        self.probes += 1
        if self.probe_error is not None:
            raise self.probe_error

    async def find(self, page: Page, thread: Posted | None = None) -> Posted | None:
        self.searches.append(page.id)
        if self.history is not None:
            raise self.history
        return self.landed.get(page.id)

    def to(self, channel: str) -> list[str]:
        return [page.id for page in self.posts if page.channel == channel]


class Town:
    """Everything between an alert and Slack, in one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock(NOW)
        self.slack = Recorder()
        self.world = WORLD
        self.store = self.outbox = self.desk = self.task = None

    async def open(self, *, outbox: bool = True) -> None:
        self.store = Database("sqlite:///pager.db", self.folder)
        await self.store.open()
        renderings = Renderings(self.store, DeadWatcher(), self.clock, on_late=lambda _: None)
        self.outbox = Outbox(
            self.store, self.slack, renderings, self.clock, lambda: self.world, lambda incident: {"oncall": []}
        )
        self.desk = Desk(
            self.store, renderings, self.clock, lambda: self.world, lambda _: {}, lambda incident: self.outbox.wake()
        )
        if outbox:
            self.task = asyncio.create_task(self.outbox.run())

    async def crash(self) -> None:
        """What was in memory is gone; what was committed is not."""
        if self.task is not None:
            self.task.cancel()
            for task in list(self.outbox._tasks):
                task.cancel()
            await asyncio.gather(self.task, *self.outbox._tasks, return_exceptions=True)
        await self.store.close()

    async def report(self, *alerts, **changes) -> list[str]:
        update = Update(group=GROUP, evaluated_at=self.clock.now(), alerts=alerts, **changes)
        decisions = await pipeline.observe(self.store, update, self.world, self.clock.now())
        self.outbox.wake()
        return [decision.incident.id for decision in decisions]

    async def tick(self) -> None:
        for incident_id in await self.store.overdue(self.clock.now()):
            await pipeline.escalate(self.store, incident_id, self.world, self.clock.now())
        self.outbox.wake()

    async def act(self, verb: str, person: str, key: str | None = None):
        actor = Actor(f"person:{person}", person, "slack", BOOK.people[person])
        return await getattr(self.desk, verb)(actor, "INC-1", event_key=key)

    async def until(self, condition: Callable[[], object], what: str, seconds: float = 8.0) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not condition():
            assert loop.time() < end, f"{what} did not happen; posts: {[page.id for page in self.slack.posts]}"
            await asyncio.sleep(0.02)

    async def page(self, page_id: str) -> Page:
        async with self.store.transaction() as tx:
            page = await tx.page(page_id)
        assert page is not None, page_id
        return page

    async def until_state(self, page_id: str, state: PageState) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + 8
        while (await self.page(page_id)).state is not state:
            assert loop.time() < end, f"{page_id} is {(await self.page(page_id)).state}, not {state}"
            await asyncio.sleep(0.02)

    async def audit(self, subject: str) -> list[str]:
        return [row.action for _, row, _ in await self.store.audit_rows(subject)]


@asynccontextmanager
async def town_in(folder: Path, *, outbox: bool = True) -> AsyncIterator[Town]:
    town = Town(folder)
    await town.open(outbox=outbox)
    try:
        yield town
    finally:
        await town.crash()


@pytest.fixture
async def town(tmp_path):
    async with town_in(tmp_path) as town:
        yield town


@pytest.fixture
async def still(tmp_path):
    """Without a running outbox: every step is taken by hand."""
    async with town_in(tmp_path, outbox=False) as town:
        yield town


FIRST = "INC-1.1.page.ana"


async def test_a_page_is_committed_before_its_first_byte_leaves(town):
    seen: list[tuple[PageState, State, list[str]]] = []

    async def look(page: Page) -> None:
        other = Database("sqlite:///pager.db", town.folder)
        async with other._readers.connect() as connection:
            state = (await connection.exec_driver_sql("SELECT state FROM pages WHERE id = ?", (page.id,))).scalar()
            incident = (await connection.exec_driver_sql("SELECT state FROM incidents")).scalar()
        actions = [row.action for _, row, _ in await other.audit_rows()]
        await other.close()
        seen.append((PageState(state), State(incident), actions[:1]))

    town.slack.before_post = look
    await town.report(alert())
    await town.until_state(FIRST, PageState.SENT)
    assert seen[0] == (PageState.SENDING, State.OPEN, ["incident.fired"])


async def test_page_card_and_then_the_runbook_under_it(town):
    await town.report(alert())
    await town.until(lambda: len(town.slack.posts) == 3, "three messages")
    kinds = [page.kind for page in town.slack.posts]
    assert (set(kinds[:2]), kinds[2]) == ({PageKind.PAGE, PageKind.CARD}, PageKind.RUNBOOK)
    await town.until_state("INC-1.1.runbook", PageState.SENT)
    page = await town.page(FIRST)
    assert (page.slack_channel, page.attempt, page.sent_at, page.shown_revision) == ("DU0ANA", 1, NOW, 1)
    assert await town.audit(FIRST) == ["page.sent"]


async def test_an_ack_between_due_and_claim_cancels(still):
    await still.report(alert())
    await still.act("ack", "ben")
    assert (await still.page(FIRST)).state is PageState.CANCELLED
    assert await delivery.claim(still.store, FIRST, NOW) is None


async def test_a_page_due_again_after_the_ack_is_not_claimed(still):
    """It was on its way when the ack came, failed, and is due again now: the claim asks once more."""
    await still.report(alert())
    claimed = await delivery.claim(still.store, FIRST, NOW)
    assert claimed is not None
    await still.act("ack", "ben")
    await delivery.failed(still.store, claimed[0], RemoteError("cannot connect"), WORLD, NOW)
    assert (await still.page(FIRST)).state is PageState.DUE
    assert await delivery.claim(still.store, FIRST, NOW) is None
    assert (await still.page(FIRST)).state is PageState.CANCELLED


async def test_a_claimed_page_is_not_claimed_again(still):
    await still.report(alert())
    assert await delivery.claim(still.store, FIRST, NOW) is not None
    assert await delivery.claim(still.store, FIRST, NOW) is None


async def test_an_ack_while_a_page_is_on_its_way_is_shown_on_it_afterwards(town):
    async def ack(page: Page) -> None:
        if page.id == FIRST:
            await town.act("ack", "ben")

    town.slack.before_post = ack
    await town.report(alert())
    await town.until(lambda: (FIRST, 2) in town.slack.edits, "edit that shows the ack")


@pytest.mark.parametrize("landed", [True, False])
async def test_an_unknown_outcome_is_settled_by_history_after_twenty_seconds(town, landed):
    town.slack.fail(ANA, NO_ANSWER)
    if landed:
        town.slack.lands_anyway.add(ANA)
    await town.report(alert())
    await town.until_state(FIRST, PageState.UNKNOWN)
    town.clock.advance(seconds=19)
    town.outbox.wake()
    await asyncio.sleep(0.3)
    assert town.slack.searches == []
    town.clock.advance(seconds=1)
    town.outbox.wake()
    await town.until_state(FIRST, PageState.SENT)
    assert len(town.slack.to(ANA)) == (1 if landed else 2)
    assert await town.audit(FIRST) == ["page.unknown", *([] if landed else ["page.not_landed"]), "page.sent"]


async def test_a_message_found_in_history_is_drawn_anew_for_nobody_knows_what_it_shows(town):
    town.slack.fail(ANA, NO_ANSWER)
    town.slack.lands_anyway.add(ANA)
    await town.report(alert())
    await town.until_state(FIRST, PageState.UNKNOWN)
    await town.act("ack", "ben")
    town.clock.advance(seconds=20)
    town.outbox.wake()
    await town.until(lambda: (FIRST, 2) in town.slack.edits, "edit that shows the ack")


async def test_while_history_cannot_be_read_it_is_tried_for_two_minutes_then_one_duplicate_is_risked(town):
    town.slack.fail(ANA, NO_ANSWER)
    town.slack.history = RemoteError("conversations.history: 503", unknown=True)
    await town.report(alert())
    await town.until_state(FIRST, PageState.UNKNOWN)
    town.clock.advance(seconds=20)
    town.outbox.wake()
    await town.until(lambda: len(town.slack.searches) == 1, "first search")
    town.clock.advance(seconds=100)
    town.outbox.wake()
    await town.until_state(FIRST, PageState.SENT)
    assert len(town.slack.to(ANA)) == 2
    assert "page.assumed_lost" in await town.audit(FIRST)


async def test_told_to_wait_it_waits_and_no_earlier(town):
    town.slack.fail(ANA, RemoteError("told to wait", code="ratelimited", retry_after_seconds=2))
    await town.report(alert())
    await town.until(lambda: town.slack.to(ANA), "first attempt")
    await town.until_state(FIRST, PageState.DUE)
    assert (await town.page(FIRST)).due_at == NOW + timedelta(seconds=2)
    town.clock.advance(seconds=1.9)
    town.outbox.wake()
    await asyncio.sleep(0.3)
    assert len(town.slack.to(ANA)) == 1
    town.clock.advance(seconds=0.1)
    await town.until(lambda: len(town.slack.to(ANA)) == 2, "second attempt")


async def test_a_person_who_cannot_be_reached_wakes_the_next_at_once(town):
    town.slack.fail(ANA, REFUSED)
    await town.report(alert())
    await town.until(lambda: town.slack.to(BEN) and town.slack.to(CAT), "Ben and Cat")
    incident = await town.store.incident("INC-1")
    assert (incident.step, incident.state) == (1, State.OPEN)
    assert "Slack refused to reach ana: channel_not_found" in (await town.store.audit_rows("INC-1"))[-1][1].why


async def test_one_of_two_people_who_can_be_reached_is_enough(still):
    await still.report(alert())
    still.clock.advance(minutes=5)
    await still.tick()
    claimed = await delivery.claim(still.store, "INC-1.2.page.ben", still.clock.now())
    await delivery.failed(still.store, claimed[0], REFUSED, WORLD, still.clock.now())
    assert (await still.store.incident("INC-1")).step == 1


async def test_a_page_of_an_earlier_night_does_not_count_as_reaching_somebody(still):
    """Ana was reached, acked, and the ack ran out; now her account is gone."""
    await still.report(alert())
    claimed = await delivery.claim(still.store, FIRST, NOW)
    await delivery.sent(still.store, claimed[0], Posted("D", "1.0"), 1, NOW)
    await still.act("ack", "ana")
    await still.act("release", "ana")
    second = "INC-1.3.page.ana"
    claimed = await delivery.claim(still.store, second, NOW)
    await delivery.failed(still.store, claimed[0], REFUSED, WORLD, NOW)
    assert (await still.store.incident("INC-1")).step == 1


async def test_when_even_the_fallback_is_refused_the_page_goes_to_everybody_once_and_not_round_in_circles(town):
    for person in (ANA, BEN, CAT, DAN):
        town.slack.fail(person, *[REFUSED] * 50)
    await town.report(alert())
    await town.until(lambda: town.slack.to("#agent-pages"), "page in the default channel")
    await asyncio.sleep(0.5)
    assert len(town.slack.to(DAN)) == 1
    assert len(town.slack.to("#agent-pages")) == 1
    incident = await town.store.incident("INC-1")
    assert incident.next_at == town.clock.now() + timedelta(minutes=15)


async def test_a_refused_channel_gives_way_to_the_default_one(town):
    town.slack.fail("#refunds", REFUSED)
    await town.report(alert())
    await town.until(lambda: "INC-1.1.card.again" in town.slack.to("#agent-pages"), "card in the default channel")
    await town.until(lambda: "INC-1.1.runbook" in town.slack.to("#refunds"), "thread reply")


async def test_a_default_channel_that_refuses_is_tried_once(town):
    town.world = World({}, BOOK, "#agent-pages")
    town.slack.fail("#agent-pages", *[REFUSED] * 50)
    await town.report(alert(labels={"agent": "", "owner": "ana"}))
    await town.until(lambda: town.slack.to(ANA), "page")
    await town.until_state("INC-1.1.card", PageState.FAILED)
    await asyncio.sleep(0.3)
    assert town.slack.to("#agent-pages").count("INC-1.1.card") == 1


async def test_a_wrong_token_keeps_every_page_due(still):
    await still.report(alert())
    claimed = await delivery.claim(still.store, FIRST, NOW)
    error = RemoteError("invalid_auth", code="invalid_auth", permanent=True)
    assert await delivery.failed(still.store, claimed[0], error, WORLD, NOW) is Verdict.CLIENT_REFUSED
    assert (await still.page(FIRST)).state is PageState.DUE
    assert (await still.store.incident("INC-1")).step == 0


@pytest.mark.parametrize("landed", [True, False])
async def test_killed_while_sending(tmp_path, landed):
    async with town_in(tmp_path) as town:
        if landed:
            town.slack.lands_anyway.add(ANA)
        hangs = asyncio.Event()

        async def hang(page: Page) -> None:
            if page.id == FIRST and town.slack.to(ANA) == [FIRST]:
                if landed:
                    town.slack.landed[page.id] = Posted("DU0ANA", "1.0")
                hangs.set()
                await asyncio.Event().wait()

        town.slack.before_post = hang
        await town.report(alert())
        await asyncio.wait_for(hangs.wait(), 8)
        await town.crash()
        await town.open()
        await town.until_state(FIRST, PageState.UNKNOWN)
        town.clock.advance(seconds=20)
        town.outbox.wake()
        await town.until_state(FIRST, PageState.SENT)
        assert len(town.slack.to(ANA)) == (1 if landed else 2)


async def test_an_outcome_that_could_not_be_written_down_is_settled_without_a_restart(town, monkeypatch):
    """The disk was full, or locked for too long, at the moment of the answer."""
    honest = delivery.sent_together
    broken = iter([True])

    async def sent(store, messages, now):
        if any(page.id == FIRST for shown, _ in messages for page, _ in shown) and next(broken, False):
            raise OSError("disk is full")
        await honest(store, messages, now)

    monkeypatch.setattr(delivery, "sent_together", sent)
    await town.report(alert())
    await town.until(lambda: town.slack.to(ANA), "page")
    await asyncio.sleep(5.5)  # the page is set aside for five seconds
    town.outbox.wake()
    await town.until_state(FIRST, PageState.UNKNOWN)
    town.clock.advance(seconds=20)
    town.outbox.wake()
    await town.until_state(FIRST, PageState.SENT)
    assert len(town.slack.to(ANA)) == 1


async def test_a_runbook_that_cannot_be_asked_for_does_not_hold_up_the_page(town):
    def no_facts(_: Incident) -> dict:
        raise KeyError("somebody who left")

    town.outbox._facts = no_facts
    await town.report(alert())
    await town.until_state(FIRST, PageState.SENT)


async def test_the_same_click_twice_is_one_change_and_one_row(still):
    await still.report(alert())
    first = await still.act("ack", "ana", "click-1")
    again = await still.act("ack", "ana", "click-1")
    assert (first.changed, again.changed) == (True, False)
    assert again.incident.revision == first.incident.revision == 2
    assert await still.audit("INC-1") == ["incident.fired", "incident.acked"]


async def test_a_click_that_came_too_late_may_be_tried_again(still):
    await still.report(alert())
    await still.act("ack", "ben")
    for _ in range(2):
        with pytest.raises(ConflictError, match="Ben has it"):
            await still.act("ack", "ana", "click-1")


async def test_of_fifty_acks_at_once_exactly_one_wins(still):
    await still.report(alert())
    actors = [Actor(f"cli:user{number}", str(number), "cli") for number in range(50)]
    results = await asyncio.gather(
        *(still.desk.ack(actor, "INC-1", event_key=actor.id) for actor in actors), return_exceptions=True
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert sum(isinstance(result, ConflictError) for result in results) == 49
    assert (await still.audit("INC-1")).count("incident.acked") == 1


async def test_acks_and_claims_at_once_leave_nothing_claimed_after_the_ack(still):
    await still.report(alert())
    results = await asyncio.gather(
        delivery.claim(still.store, FIRST, NOW), still.act("ack", "ben"), delivery.claim(still.store, FIRST, NOW)
    )
    states = {(await still.page(FIRST)).state}
    assert states <= {PageState.SENDING, PageState.CANCELLED}
    assert sum(result is not None for result in (results[0], results[2])) == (states == {PageState.SENDING})


async def test_after_ten_hours_without_slack_nobody_gets_the_pages_of_the_whole_night(still):
    await still.report(alert())
    for _ in range(40):
        still.clock.advance(minutes=15)
        await still.tick()
    waiting = [page for page in await still.store.waiting(still.clock.now()) if page.kind is not PageKind.CARD]
    assert sorted((page.kind, page.person) for page in waiting if page.person) == [
        (PageKind.PAGE, "ana"),
        (PageKind.PAGE, "ben"),
        (PageKind.PAGE, "cat"),
        (PageKind.PAGE, "dan"),
    ]
    assert sum(page.kind is PageKind.ESCALATED for page in waiting) == 1


async def test_a_reload_that_removes_a_person_between_plan_and_post_harms_nothing(town):
    await town.report(alert())
    people = {name: person for name, person in BOOK.people.items() if name == "dan"}
    town.world = World({}, BOOK.model_copy(update={"people": people}), "#agent-pages")
    town.clock.advance(minutes=5)
    await town.tick()
    await town.until(lambda: town.slack.to(DAN), "Dan")


async def test_what_a_human_closed_and_what_opened_since_meet_without_a_stuck_deadline(still):
    await still.report(alert())
    await still.act("resolve", "ana")
    still.clock.advance(minutes=1)
    assert await still.report(alert(), alert("Other")) == ["INC-2"]
    still.clock.advance(hours=1)
    await still.tick()
    first, second = await still.store.incident("INC-1"), await still.store.incident("INC-2")
    assert first.over
    assert {held.name for held in second.going_on} == {"ErrorsHigh", "Other"}
    assert await still.store.overdue(still.clock.now()) == []


async def test_two_closed_incidents_of_one_agent_that_both_go_on_become_one(still):
    await still.report(alert())
    await still.act("resolve", "ana")
    await still.report(alert(), alert("Other"))
    await still.desk.resolve(Actor("cli:root", "root", "cli"), "INC-2")
    still.clock.advance(hours=1)
    await still.tick()
    unresolved = await still.store.unresolved()
    assert [incident.id for incident in unresolved] == ["INC-1"]
    assert {held.name for held in unresolved[0].going_on} == {"ErrorsHigh", "Other"}


async def test_what_others_say_of_an_alert_of_our_own_rule_neither_ends_nor_takes_it(still):
    await still.report(alert())
    same = alert(group="alertmanager", expires_at=still.clock.now())
    for one in (same, ended(same, still.clock.now())):
        assert await pipeline.push(still.store, [one], still.world, still.clock.now()) == []
    assert await pipeline.expire_pushed(still.store, still.world, still.clock.now()) == []
    (incident,) = await still.store.unresolved()
    assert [held.group for held in incident.going_on] == [GROUP]


async def test_after_a_stop_others_have_two_minutes_to_send_again_what_goes_on(still):
    await pipeline.push(
        still.store, [alert(group="alertmanager", expires_at=after(minutes=4))], still.world, still.clock.now()
    )
    still.clock.advance(minutes=9)  # the pager is down meanwhile
    desk = BridgeDesk(still.store, still.clock, lambda: still.world, dict, lambda _: None, None)
    fresh = alert("Fresh", group="alertmanager", starts_at=still.clock.now(), expires_at=still.clock.now())
    await pipeline.push(still.store, [fresh], still.world, still.clock.now())
    await desk.tick()
    (incident,) = await still.store.unresolved()
    assert [one.name for one in incident.going_on] == ["ErrorsHigh"]
    still.clock.advance(minutes=2)
    await desk.tick()
    assert await still.store.unresolved() == []


async def test_what_others_push_is_the_rules_once_ours_fires_too(still):
    same = alert(group="alertmanager", expires_at=still.clock.now())
    await pipeline.push(still.store, [same], still.world, still.clock.now())
    await still.report(alert())
    assert await pipeline.expire_pushed(still.store, still.world, still.clock.now()) == []
    await still.report(ended(alert(), still.clock.now()))
    assert await still.store.unresolved() == []


async def test_a_message_that_was_deleted_is_not_edited_again_and_keeps_nobody_waiting(town):
    await town.report(alert())
    await town.until_state("INC-1.1.runbook", PageState.SENT)
    town.slack.edit_failures[FIRST] = RemoteError("no", code="message_not_found", permanent=True)
    await town.act("ack", "ben")
    await town.until(lambda: {(FIRST, 2), ("INC-1.1.card", 2)} <= set(town.slack.edits), "both edits")
    await asyncio.sleep(0.5)
    assert town.slack.edits.count((FIRST, 2)) == 1
    assert await town.store.outdated() == []


async def test_an_edit_that_slack_refuses_waits_and_what_is_new_is_tried_at_once(town):
    await town.report(alert())
    await town.until_state("INC-1.1.runbook", PageState.SENT)
    town.slack.edit_failures[FIRST] = RemoteError("no", code="channel_not_found", permanent=True)
    await town.act("ack", "ben")
    await town.until(lambda: {(FIRST, 2), ("INC-1.1.card", 2)} <= set(town.slack.edits), "both edits")
    await asyncio.sleep(0.5)
    assert town.slack.edits.count((FIRST, 2)) == 1
    assert [page.id for page, _ in await town.store.outdated()] == [FIRST]
    await town.act("release", "ben")
    await town.until(lambda: (FIRST, 3) in town.slack.edits, "the newer edit")


async def test_every_change_has_one_audit_row_and_the_chain_is_whole(town):
    await town.report(alert())
    await town.act("ack", "ana")
    await town.act("release", "ana")
    await town.act("decline", "ana")
    town.clock.advance(minutes=10)
    await town.tick()
    await town.report(ended(alert(), town.clock.now()))
    assert await town.audit("INC-1") == [
        "incident.fired",
        "incident.acked",
        "incident.released",
        "incident.declined",
        "incident.escalated",
        "incident.cleared",
    ]
    assert await town.store.broken_audit_row() is None


async def test_what_cleared_before_anything_was_sent_is_one_message_and_wakes_nobody(still):
    """After an outage of Slack the night must not be played back."""
    await still.report(alert())
    await still.report(ended(alert(), NOW))
    assert {page.kind for page in await still.store.waiting(NOW)} == {PageKind.CARD}
