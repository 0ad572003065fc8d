"""Pages by hand, and tests of a page, over a real store and the real outbox: by the true path, and no further."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from core_world import AGENTS, BOOK, NOW, WORLD, alert
from hand_clock import HandClock

from bot import pipeline
from bot.commands import Desk
from bot.errors import ConflictError, RemoteError, UsageError
from bot.exercises import Exercises
from bot.incidents.decision import World
from bot.incidents.exercise import TEST_LASTS
from bot.incidents.model import State
from bot.incidents.policy import IncidentRules, InhibitRule
from bot.incidents.silences import Draft
from bot.joint import Update
from bot.oncall.model import NotificationRule
from bot.outbox import Outbox
from bot.paging.model import PageKind, PageState
from bot.ports import Actor, Posted
from bot.renderings import Renderings
from bot.store.database import Database

ANA, BEN, CAT = (Actor(f"person:{name}", name.title(), "slack", BOOK.people[name]) for name in ("ana", "ben", "cat"))


class DeadWatcher:
    async def ask(self, method, params, seconds):
        raise RemoteError("the watcher is not running", code="watcher_down")


class Messenger:
    """Takes `takes` of the town's clock for each message; refuses whom it is told to."""

    def __init__(self, clock: HandClock) -> None:
        self.clock, self.posts, self.refused = clock, [], set()
        self.takes = timedelta(seconds=0.8)

    async def post(self, page, incident, rendered, thread):
        self.posts.append(page)
        self.clock.time += self.takes
        if page.channel in self.refused:
            raise RemoteError("chat.postMessage: user_not_found", code="user_not_found", permanent=True)
        return Posted(f"D{page.channel}", f"{len(self.posts)}.0")

    async def post_storm(self, lead, incidents):
        raise AssertionError("a test is never one message with others")

    async def update(self, page, incident, rendered): ...

    async def update_storm(self, lead, incidents): ...

    async def probe(self): ...


class Town:
    def __init__(self, store: Database, world: World) -> None:
        self.store, self.world, self.clock = store, world, HandClock(NOW)
        self.slack = Messenger(self.clock)
        renderings = Renderings(store, DeadWatcher(), self.clock, on_late=lambda _: None)
        self.outbox = Outbox(store, self.slack, renderings, self.clock, lambda: self.world, lambda _: {"oncall": []})
        self.desk = Desk(store, renderings, self.clock, lambda: self.world, lambda _: {}, lambda _: self.outbox.wake())
        self.exercises = Exercises(store, self.clock, lambda: self.world, lambda _: self.outbox.wake())

    async def sent(self, count: int) -> None:
        async with asyncio.timeout(8):
            while True:
                async with self.store.transaction() as tx:
                    owed = await tx.all_owed()
                if len(self.slack.posts) >= count and not any(page.due_at <= self.clock.now() for page in owed):
                    return
                await asyncio.sleep(0.02)

    async def tick(self) -> None:
        for incident_id in await self.store.overdue(self.clock.now()):
            await pipeline.escalate(self.store, incident_id, self.world, self.clock.now())
        self.outbox.wake()

    async def incident(self, reference="INC-1"):
        return await self.store.incident(reference)

    async def audit(self, subject: str) -> dict[str, object]:
        return {row.action: row for _, row, _ in await self.store.audit_rows(subject)}

    def paged(self) -> list[str]:
        return [page.person for page in self.slack.posts if page.kind is PageKind.PAGE]


@pytest.fixture
async def town(tmp_path, request):
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open()
    town = Town(store, getattr(request, "param", WORLD))
    running = asyncio.create_task(town.outbox.run())
    yield town
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await town.outbox.stop()
    await store.close()


async def test_a_test_takes_the_true_way_and_tells_how_long_delivery_and_ack_took(town):
    asked = await town.exercises.test(ANA, "me")
    assert asked.message.startswith("INC-1: a test page is on its way to you by Slack.")
    await town.sent(1)
    town.clock.advance(seconds=7)
    answered = await town.desk.ack(ANA, "INC-1")
    result = "passed: Slack had it after 0.8 s; acknowledged 7.0 s later"
    assert answered.message == f"INC-1 is over. The test {result}."
    over = await town.incident()
    assert (over.state, over.next_at, over.exercise) == (State.RESOLVED, None, "test")
    assert town.paged() == ["ana"]
    evidence = (await town.audit("INC-1"))["test.passed"]
    assert (evidence.actor, evidence.why) == ("person:ana", result)
    assert evidence.detail == {
        "people": "ana", "asked_by": "person:ana", "delivered_slack": "0.800", "acknowledged": "7.000"
    }  # fmt: skip


async def test_a_test_that_nobody_answers_ends_and_wakes_nobody_else(town):
    await town.exercises.test(ANA, "ben")
    await town.sent(1)
    town.clock.advance(minutes=TEST_LASTS.total_seconds() / 60 - 1)
    await town.tick()
    assert (await town.incident()).state is State.OPEN
    town.clock.advance(minutes=1)
    await town.tick()
    over = await town.incident()
    assert (over.state, over.acked_by) == (State.RESOLVED, None)
    await town.sent(2)
    town.clock.advance(hours=3)
    await town.tick()
    assert town.paged() == ["ben"]
    assert "test.unanswered" in await town.audit("INC-1")
    told = town.slack.posts[-1]
    assert (told.kind, told.person) == (PageKind.NOTICE, "ana")
    assert told.text == "Your test INC-1 not answered: Slack had it after 0.8 s"


async def test_an_ack_of_what_never_went_out_is_no_evidence(town):
    town.slack.takes = timedelta(0)
    town.slack.refused.add(BOOK.people["ana"].slack)
    await town.exercises.test(ANA, "me")
    await town.sent(1)
    await town.desk.ack(ANA, "INC-1")
    audit = await town.audit("INC-1")
    assert "test.passed" not in audit
    assert "Slack refused it (user_not_found)" in audit["test.void"].why
    assert town.paged() == ["ana"]  # its ladder did not go on to the fallback


async def test_what_would_wake_somebody_is_refused_in_a_test(town):
    await town.exercises.test(ANA, "me")
    for verb in ("decline", "escalate"):
        with pytest.raises(ConflictError, match="INC-1 is a test"):
            await getattr(town.desk, verb)(ANA, "INC-1")
    with pytest.raises(ConflictError, match="INC-1 is a test"):
        await town.desk.hand(ANA, "INC-1", "ben")
    with pytest.raises(ConflictError, match="a test of the page to ana: an ack by somebody else proves nothing"):
        await town.desk.ack(BEN, "INC-1")
    await town.sent(1)
    assert (await town.incident()).state is State.OPEN
    assert town.paged() == ["ana"]


async def test_there_is_one_test_of_a_person_at_a_time_and_a_click_counts_once(town):
    first = await town.exercises.test(ANA, "me", event_key="click")
    again = await town.exercises.test(ANA, "me", event_key="click")
    assert (first.changed, again.changed) == (True, False)
    with pytest.raises(ConflictError, match="INC-1 is the same test, and under way"):
        await town.exercises.test(BEN, "ana")
    await town.exercises.test(BEN, "me")
    assert (await town.incident("INC-2")).policy.steps[0].notify == ("person:ben",)


async def test_a_test_of_a_team_pages_its_first_level_only(town):
    await town.exercises.test(CAT, "team:payments")
    await town.sent(1)
    await town.desk.ack(ANA, "INC-1")
    await town.sent(2)
    assert town.paged() == ["ana"]
    assert town.slack.posts[-1].text.startswith("Your test INC-1 passed: Slack had it")


async def test_a_page_by_hand_climbs_until_somebody_has_it_and_ends_for_good_when_closed(town):
    asked = await town.exercises.page(CAT, "refund-agent", "customers report double refunds")
    assert asked.message == "INC-1 pages Ana now; without an ack the next level is paged in 5 min."
    await town.sent(2)
    incident = await town.incident()
    assert (incident.agent, incident.title, incident.owner) == (
        "refund-agent",
        "customers report double refunds",
        "team:payments",
    )
    assert (incident.channel, incident.policy_id, incident.exercise) == ("#refunds", "payments", "")
    assert {page.kind for page in town.slack.posts} >= {PageKind.PAGE, PageKind.CARD}
    town.clock.advance(minutes=6)
    await town.tick()
    await town.sent(4)
    assert town.paged() == ["ana", "ben", "cat"]
    await town.desk.ack(BEN, "INC-1")
    await town.desk.resolve(BEN, "INC-1")
    closed = await town.incident()
    assert (closed.state, closed.next_at, closed.going_on) == (State.RESOLVED, None, ())
    assert (await town.audit("INC-1"))["incident.fired"].actor == "person:cat"


async def test_a_page_to_a_person_wakes_them_and_then_the_fallback(town):
    await town.exercises.page(ANA, "@ben")
    assert (await town.incident()).title == "Ana asks for you"
    for _ in range(4):
        await town.sent(1)
        town.clock.advance(minutes=6)
        await town.tick()
    await town.sent(1)
    assert list(dict.fromkeys(town.paged())) == ["ben", "dan"]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("team:payment", 'there is no team "payment"; did you mean "payments"'),
        ("refund-agnet", 'there is no agent, team or person "refund-agnet"; did you mean "refund-agent"'),
        ("ana", "you would page yourself; to try whether a page reaches you: test me"),
    ],
)
async def test_what_there_is_not_is_said_with_the_nearest(town, target, why):
    with pytest.raises(UsageError) as refused:
        await town.exercises.page(ANA, target)
    assert why in str(refused.value)
    assert await town.incident() is None


HIDING = World(
    AGENTS,
    BOOK,
    WORLD.channel,
    IncidentRules(
        inhibit_rules=(
            InhibitRule(
                name="worse first",
                source_matchers=('severity="critical"',),
                target_matchers=('severity="warning"',),
                equal=(),
            ),
        )
    ),
)


@pytest.mark.parametrize("town", [HIDING], indirect=True)
async def test_a_page_by_hand_is_hidden_by_nothing_and_hides_nothing(town):
    now = town.clock.now()
    silence = Draft(('agent=~".+"',), now + timedelta(hours=2), "migration", None, None)
    await pipeline.silence(town.store, silence, "person:ana", town.world, now)
    await town.exercises.page(CAT, "refund-agent", "look at this")
    await town.exercises.test(BEN, "me")
    warning = alert("Slow", labels={"severity": "warning", "agent": "other"}, fingerprint="slow")
    update = Update(group="alerts/agents.yaml;agents", evaluated_at=now, alerts=(warning,))
    await pipeline.observe(town.store, update, town.world, now)
    await pipeline.forget_groups(town.store, frozenset(), town.world, now)
    await pipeline.resuppress(town.store, town.world, now)
    for name in ("INC-1", "INC-2"):
        incident = await town.incident(name)
        assert (incident.state, incident.suppressed, len(incident.going_on)) == (State.OPEN, (), 1)


async def test_a_test_stands_apart_when_much_is_due_at_once(town):
    ben = BOOK.people["ben"]
    rules = (NotificationRule(by="slack"), NotificationRule(by="email", after=timedelta(minutes=3)))
    told = ben.model_copy(update={"email": "ben@example.com", "notification_rules": {"high": rules}})
    town.world = World(AGENTS, BOOK.model_copy(update={"people": BOOK.people | {"ben": told}}), WORLD.channel)
    asked = await town.exercises.test(Actor("person:ben", "Ben", "slack", told), "me")
    assert "by Slack, mail after 3 min." in asked.message
    pages = await town.store.pages_of("INC-1")
    assert [page.alone for page in pages] == [True, True]
    await town.sent(1)
    await town.desk.ack(Actor("person:ben", "Ben", "slack", told), "INC-1")
    states = {page.channel: page.state for page in await town.store.pages_of("INC-1")}
    assert states["email:ben@example.com"] is PageState.CANCELLED
