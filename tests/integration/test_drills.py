"""Drills over a real store and the real outbox, with a watcher that answers as it is told and a clock moved by hand."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from core_world import AGENTS, BOOK, NOW, WORLD, alert
from hand_clock import HandClock

from bot import pipeline
from bot.commands import Desk
from bot.drills import DrillDesk
from bot.errors import ConflictError, RemoteError
from bot.incidents import drill
from bot.incidents.decision import World
from bot.incidents.model import AlertState, State, StepMark
from bot.incidents.silences import Draft
from bot.joint import Update
from bot.outbox import Outbox
from bot.paging.model import PageKind
from bot.ports import Actor, Posted
from bot.renderings import Renderings
from bot.runbooks.rendered import Rendered, RenderedStep
from bot.store.database import Database

ANA, BEN, DAN = (Actor(f"person:{name}", name.title(), "slack", BOOK.people[name]) for name in ("ana", "ben", "dan"))
RUNBOOK = Rendered(
    runbook="AgentpagerDrill",
    title="DRILL",
    steps=(RenderedStep(number=1, id="stop", kind="manual", title="Find out how you would stop it"),),
    rendered_at=NOW,
)


class Watcher:
    """Takes what it is told while it is up."""

    def __init__(self) -> None:
        self.up, self.told = True, []

    async def ask(self, method, params, seconds):
        if not self.up or method != "drills":
            raise RemoteError("the watcher is not running", code="watcher_down")
        self.told.append(params["drills"])


class Messenger:
    """Takes 0.8 s of the town's clock for each message; refuses whom it is told to."""

    def __init__(self, clock: HandClock) -> None:
        self.clock, self.posts, self.refused = clock, [], set()

    async def post(self, page, incident, rendered, thread):
        self.posts.append(page)
        self.clock.advance(seconds=0.8)
        if page.channel in self.refused:
            raise RemoteError("chat.postMessage: user_not_found", code="user_not_found", permanent=True)
        return Posted(f"D{page.channel}", f"{len(self.posts)}.0")

    async def post_storm(self, lead, incidents):
        raise AssertionError("a drill is never one message with others")

    async def update(self, page, incident, rendered): ...

    async def update_storm(self, lead, incidents): ...

    async def probe(self): ...


class Town:
    def __init__(self, store: Database, world: World) -> None:
        self.store, self.world, self.clock, self.watcher = store, world, HandClock(NOW), Watcher()
        self.slack = Messenger(self.clock)
        renderings = Renderings(store, self.watcher, self.clock, on_late=lambda _: None)
        self.outbox = Outbox(store, self.slack, renderings, self.clock, lambda: self.world, lambda _: {"oncall": []})
        self.desk = Desk(store, renderings, self.clock, lambda: self.world, lambda _: {}, lambda _: self.outbox.wake())
        self.drills = self.fresh_desk()

    def fresh_desk(self) -> DrillDesk:
        """As after a restart."""
        return DrillDesk(self.store, self.clock, lambda: self.world, set, self.watcher, lambda _: self.outbox.wake())

    async def fire(self, number: int = 1, **changes) -> None:
        """The watcher has evaluated the rule of drills."""
        labels = {"agent": "refund-agent", "drill": f"DRILL-{number}"}
        one = alert(drill.ALERT, group=drill.RULE_GROUP, labels=labels, starts_at=self.clock.now(), **changes)
        await pipeline.observe_drills(self.store, [one], self.world, self.clock.now())
        self.outbox.wake()

    async def begun(self, **more) -> None:
        await self.drills.start(DAN, "refund-agent", **more)
        self.clock.advance(seconds=1)
        await self.fire()
        await self.paged(1)
        async with self.store.transaction() as tx:
            await tx.save_rendering("INC-1", RUNBOOK)

    def woken(self) -> list[str]:
        return [page.person for page in self.slack.posts if page.kind is PageKind.PAGE]

    async def paged(self, count: int) -> None:
        async with asyncio.timeout(8):
            while len(self.woken()) < count or await self.store.waiting(self.clock.now()):
                await asyncio.sleep(0.02)

    async def told(self, text: str) -> None:
        async with asyncio.timeout(8):
            while not any(text in page.text for page in self.slack.posts):
                await asyncio.sleep(0.02)

    async def tick(self) -> None:
        await self.drills.end()
        await self.drills.tick()
        for incident_id in await self.store.overdue(self.clock.now()):
            await pipeline.escalate(self.store, incident_id, self.world, self.clock.now())
        self.outbox.wake()

    async def incident(self, reference="INC-1"):
        return await self.store.incident(reference)

    async def kept(self) -> list[tuple[bool, str]]:
        return [(one.passed, one.summary.partition(";")[0]) for one in await self.store.evidence(kind="drill")]


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


async def test_an_ack_and_a_step_pass_it_and_it_can_be_asked_for_again(town):
    await town.begun()
    town.clock.advance(seconds=7)
    await town.desk.ack(ANA, "INC-1")
    assert (await town.incident()).state is State.ACKED
    done = await town.desk.step(ANA, "INC-1", "1", "done")
    assert done.message.startswith("INC-1 is over. The drill passed in ")
    over = await town.incident()
    assert (over.state, over.next_at, over.exercise) == (State.RESOLVED, None, "drill")
    ((passed, summary),) = await town.kept()
    assert passed
    assert summary.startswith("passed in ")
    await town.told("DRILL of refund-agent passed in")
    assert town.woken() == ["ana"]
    assert await town.drills.running() == ()
    assert (await town.drills.start(DAN, "refund-agent")).drill.id == "DRILL-2"


async def test_a_step_before_the_ack_counts_with_the_ack(town):
    await town.begun()
    await town.desk.step(ANA, "INC-1", "1", "done")
    assert (await town.incident()).state is State.OPEN
    assert (await town.desk.ack(ANA, "INC-1")).message.startswith("INC-1 is over. The drill passed in ")


async def test_nobody_answers_and_nobody_else_is_woken(town):
    await town.begun()
    town.clock.advance(minutes=9)
    await town.tick()
    assert (await town.incident()).state is State.OPEN
    town.clock.advance(minutes=1)
    await town.tick()
    assert await town.kept() == [(False, "not passed: nobody acknowledged it in time")]
    town.clock.advance(hours=3)
    await town.tick()
    await town.told("DRILL of refund-agent not passed: nobody acknowledged it in time")
    assert town.woken() == ["ana"]


async def test_an_ack_without_a_step_is_not_enough(town):
    await town.begun()
    await town.desk.ack(ANA, "INC-1")
    town.clock.advance(minutes=10)
    await town.tick()
    assert await town.kept() == [(False, "not passed: no step of the runbook was marked within 10 min of the ack")]
    assert (await town.incident()).state is State.RESOLVED


async def test_a_page_that_slack_refuses_fails_it_and_goes_to_nobody_else(town):
    town.slack.refused.add(BOOK.people["ana"].slack)
    await town.begun()
    town.clock.advance(minutes=10)
    await town.tick()
    assert await town.kept() == [(False, "not passed: it was refused (user_not_found)")]
    assert town.woken() == ["ana"]


async def test_the_whole_ladder_is_woken_level_by_level_where_that_is_asked_for(town):
    await town.begun(whole_ladder=True)
    town.clock.advance(minutes=5)
    await town.tick()
    await town.paged(3)
    assert town.woken() == ["ana", "ben", "cat"]
    await town.desk.ack(BEN, "INC-1")
    await town.desk.step(BEN, "INC-1", "1", "skipped")
    assert [passed for passed, _ in await town.kept()] == [True]


async def test_an_alert_that_never_comes_ends_it_and_is_told(town):
    town.watcher.up = False
    await town.drills.start(DAN, "refund-agent")
    town.clock.advance(seconds=119)
    await town.tick()
    assert len(await town.drills.running()) == 1
    town.clock.advance(seconds=1)
    await town.tick()
    assert await town.kept() == [
        (False, "not passed: its alert has not arrived within 2 min"),
    ]
    await town.told("DRILL of refund-agent not passed: its alert has not arrived")
    await town.fire()  # too late: of a drill that is over
    assert await town.incident() is None
    assert town.woken() == []


async def test_a_restart_at_any_moment_goes_on_with_it(town):
    await town.drills.start(DAN, "refund-agent")
    town.drills = town.fresh_desk()
    await town.tick()
    assert town.watcher.told[-1] == [{"agent": "refund-agent", "drill": "DRILL-1"}]
    await town.fire()
    await town.paged(1)
    await town.fire()  # after a restart the watcher tells it again
    assert len(await town.store.recent(10)) == 1
    town.drills = town.fresh_desk()
    with pytest.raises(ConflictError, match="DRILL-1 of refund-agent is under way"):
        await town.drills.start(DAN, "refund-agent")
    async with town.store.transaction() as tx:
        await tx.save_rendering("INC-1", RUNBOOK)
    await town.desk.ack(ANA, "INC-1")
    await town.desk.step(ANA, "INC-1", "stop", "done")
    await town.tick()
    assert town.watcher.told[-1] == []
    assert [passed for passed, _ in await town.kept()] == [True]


async def test_a_watcher_that_could_not_be_told_is_told_at_the_next_tick(town):
    town.watcher.up = False
    await town.drills.start(DAN, "refund-agent")
    await town.tick()
    town.watcher.up = True
    await town.tick()
    assert town.watcher.told == [[{"agent": "refund-agent", "drill": "DRILL-1"}]]
    await town.tick()
    assert len(town.watcher.told) == 1


async def test_a_repeated_click_begins_one(town):
    first = await town.drills.start(DAN, "refund-agent", event_key="click")
    again = await town.drills.start(DAN, "refund-agent", event_key="click")
    assert (first.drill.id, again.drill) == ("DRILL-1", None)
    assert len(await town.drills.running()) == 1


async def test_a_silence_of_the_agent_does_not_hide_it(town):
    await pipeline.silence(
        town.store,
        Draft(('agent="refund-agent"',), NOW + timedelta(hours=2), "work"),
        "person:dan",
        town.world,
        NOW,
    )
    await town.begun()
    assert town.woken() == ["ana"]
    assert (await town.incident()).suppressed == ()


async def test_reports_of_the_watcher_neither_end_it_nor_leave_it_without_data(town):
    await town.begun()
    update = Update(group=drill.RULE_GROUP, evaluated_at=town.clock.now(), alerts=(), still=())
    await pipeline.observe(town.store, update, town.world, town.clock.now(), frozenset({drill.ALERT}))
    await town.fire(state=AlertState.RESOLVED)
    incident = await town.incident()
    assert [one.state for one in incident.going_on] == [AlertState.FIRING]


async def test_an_agent_that_nobody_owns_by_now_ends_it(town):
    await town.drills.start(DAN, "refund-agent")
    orphan = AGENTS["refund-agent"].model_copy(update={"owner": "team:gone"})
    town.world = World({"refund-agent": orphan}, BOOK, "#agent-pages")
    await town.fire()
    ((passed, summary),) = await town.kept()
    assert (passed, "nobody answers for refund-agent" in summary) == (False, True)
    assert await town.drills.running() == ()


async def test_what_a_request_of_an_action_has_marked_ends_it_at_the_next_tick(town):
    """Requests are written down by another way than steps."""
    await town.begun()
    await town.desk.ack(ANA, "INC-1")
    async with town.store.transaction() as tx:
        mark = StepMark(step="stop", state="asked", at=town.clock.now(), by="person:ana")
        await tx.save_incident((await tx.incident("INC-1")).model_copy(update={"progress": (mark,)}))
    await town.tick()
    assert [passed for passed, _ in await town.kept()] == [True]
