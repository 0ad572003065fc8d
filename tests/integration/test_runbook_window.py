"""Steps of a runbook from Slack to the store and back: real clicks, a real desk, a real database."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import timedelta

import pytest
from core_world import CHANNEL, NOW, WORLD, alert, opened
from fake_slack import FakeSlack
from slack_world import desks, messenger, settings, until
from steps_world import STEPS, Clock, Watcher, rendered

from bot import pipeline
from bot.commands import Desk
from bot.errors import ConflictError, RemoteError
from bot.incidents.model import State
from bot.joint import Update
from bot.paging.model import Page, PageKind
from bot.ports import Actor
from bot.renderings import Renderings
from bot.runbooks.rendered import CheckResult, RenderedStep, Verdict
from bot.slack.app import SlackApp
from bot.store.database import Database

ANA, BEN = "U0ANA", "U0BEN"
ACTOR = Actor("person:ana", "Ana", "slack", WORLD.book.people["ana"])


class Whole:
    """Everything between the click and the row."""

    def __init__(self, slack, store, desk, watcher, card) -> None:
        self.slack, self.store, self.desk, self.watcher, self.card = slack, store, desk, watcher, card

    async def incident(self):
        return await self.store.incident("INC-1")

    async def marks(self):
        return {mark.step: (mark.state, mark.by, mark.text) for mark in (await self.incident()).progress}

    async def open_window(self, user=ANA) -> str:
        await self.slack.click(user, "inc.runbook", CHANNEL, self.card.ts)
        await until(lambda: self.slack.calls("views.update"))
        return next(iter(self.slack.views))

    async def use(self, window, action, *, user=ANA):
        """A click in the window, and the window as it is drawn after it."""
        before = len(self.slack.calls("views.update"))
        assert (await self.slack.use(user, window, action))["acked"]
        await until(lambda: len(self.slack.calls("views.update")) > before)
        return json.dumps(self.slack.views[window], ensure_ascii=False)

    async def push(self, window, action) -> str:
        known = set(self.slack.views)
        await self.slack.use(ANA, window, action)
        await until(lambda: set(self.slack.views) - known)
        return (set(self.slack.views) - known).pop()


@contextlib.asynccontextmanager
async def whole(tmp_path, *, runbook=None, acked=True, **options):
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FakeSlack())
        store = Database("sqlite:///pager.db", tmp_path)
        await store.open()
        stack.push_async_callback(store.close)
        clock, watcher = Clock(), Watcher()
        watcher.answer = runbook or rendered()
        renderings = Renderings(store, watcher, clock, lambda _: None)
        desk = Desk(store, renderings, clock, lambda: WORLD, lambda _: {}, lambda _: None)
        firing = opened(alert()).alerts[0]
        await pipeline.observe(store, Update(group=firing.group, evaluated_at=NOW, alerts=(firing,)), WORLD, NOW)
        await pipeline.rendered(store, "INC-1", watcher.answer, redraw=False)
        app = SlackApp(settings(slack), desks(desk), clock, **options)
        if acked:
            await desk.ack(ACTOR, "INC-1")
        client = messenger(slack, desk)
        row = Page(id="INC-1.1.card", incident="INC-1", kind=PageKind.CARD, channel=CHANNEL, due_at=NOW, reason="")
        card = await client.post(row, await store.incident("INC-1"), watcher.answer, None)
        await client.close()
        await app.start()
        stack.push_async_callback(app.stop)
        await until(app.healthy)
        yield Whole(slack, store, desk, watcher, card)


@pytest.fixture
async def world(tmp_path):
    async with whole(tmp_path) as running:
        yield running


async def test_one_tap_below_the_card_answers_the_question_and_a_repeat_changes_nothing(world):
    for _ in range(2):
        answer = await world.slack.click(ANA, "step.choose.0", CHANNEL, world.card.ts, action_ts="1.1")
        assert answer["acked"]
    assert await world.marks() == {"which": ("done", "person:ana", "Credential")}
    assert (await world.incident()).state is State.ACKED


async def test_who_comes_second_is_told_who_was_first(world):
    await world.slack.click(ANA, "step.choose.0", CHANNEL, world.card.ts)
    await world.slack.click(BEN, "step.choose.0", CHANNEL, world.card.ts)
    await until(lambda: world.slack.responses)
    assert world.slack.responses[0]["text"] == (
        "INC-1: step 2 · What is broken? is done already (Credential): Ana, 02:01 UTC."
    )


async def test_the_window_counts_its_reader_and_shows_what_was_done_by_whom(world):
    window = await world.open_window()
    await until_async(world.incident, lambda incident: incident.readers == ("person:ana",))
    shown = await world.use(window, "step.done")  # the first Done of the window is of step 3
    assert "✅ done by Ana just now" in shown
    assert await world.marks() == {"look": ("done", "person:ana", "")}
    again = await world.use(window, "step.undo")
    assert "done by Ana" not in again
    assert await world.marks() == {"look": ("undone", "person:ana", "")}


async def test_skipping_and_failing_are_marks_too(world):
    window = await world.open_window()
    assert "⏭ skipped by Ana" in await world.use(window, "step.skip")
    assert "❌ failed by Ana" in await world.use(window, "step.fail")
    assert {step: state for step, (state, _, _) in (await world.marks()).items()} == {
        "which": "skipped",
        "look": "failed",
    }


async def test_a_choice_jumps_to_where_it_leads(world):
    window = await world.open_window()
    shown = await world.use(window, "step.choose.1")
    assert "*5 · Get help* (escalation) ← *next*" in shown


async def test_an_escalation_step_pages_that_level(world):
    window = await world.open_window()
    await world.use(window, "step.escalate")
    incident = await world.incident()
    assert (incident.state, incident.step) == (State.OPEN, 1)
    pages = [page for page in await world.store.pages_of("INC-1") if page.kind is PageKind.PAGE and page.step == 1]
    assert sorted(page.person for page in pages) == ["ben", "cat"]
    assert (await world.marks())["up"][0] == "done"


async def test_a_hand_off_asks_its_questions_and_keeps_the_answers_as_notes(world):
    window = await world.open_window()
    form = await world.push(window, "step.handoff")
    labels = [block["label"]["text"] for block in world.slack.views[form]["blocks"] if block["type"] == "input"]
    assert labels == ["What changed?", "What is still wrong?"]
    refused = await world.slack.submit(ANA, form, {"answer.0": "  "})
    assert refused["payload"]["errors"]["answer.0"].startswith("step 6 · Hand over needs an answer")
    assert (await world.incident()).notes == ()
    accepted = await world.slack.submit(ANA, form, {"answer.0": "the token <!channel>", "answer.1": "replay"})
    assert accepted["acked"]
    assert [note.text for note in (await world.incident()).notes] == [
        "What changed?: the token <!channel>\nWhat is still wrong?: replay"
    ]
    assert (await world.marks())["hand"][0] == "done"


async def test_a_note_says_which_step_it_is_about(world):
    window = await world.open_window()
    form = await world.push(window, "step.note")
    await world.slack.submit(ANA, form, {"text": "asked the vendor"})
    assert [note.text for note in (await world.incident()).notes] == ["step 2 · What is broken?: asked the vendor"]


async def test_a_wrong_step_is_filed_for_the_owner_of_the_runbook(world):
    window = await world.open_window()
    form = await world.push(window, "runbook.report")
    await world.slack.submit(ANA, form, {"kind": "missing", "step": "rotate", "text": "say where the token lies"})
    (fault,) = (await world.incident()).faults
    assert (fault.kind, fault.step, fault.text) == ("missing", "rotate", "say where the token lies")
    (task,) = [page for page in await world.store.pages_of("INC-1") if page.kind is PageKind.TASK]
    assert task.channel == "#payments-agents"
    assert task.text.startswith("Runbook tool-errors, step 4 · Rotate: lacks something\nsay where the token lies\n")


async def test_after_a_step_its_check_is_looked_at_again_and_said_so(world):
    passing = STEPS[0].model_copy(update={"check": CheckResult(verdict=Verdict.PASS, value="2 %", want="< 5 %")})
    world.watcher.answer = rendered(steps=(passing, *STEPS[1:]), rendered_at=NOW + timedelta(minutes=2))
    await world.slack.click(ANA, "step.choose.0", CHANNEL, world.card.ts)
    revision = (await world.incident()).revision
    await world.desk.step(ACTOR, "INC-1", "rotate", "done")
    await until_async(lambda: world.store.rendering("INC-1"), lambda kept: kept.steps[0] == passing)
    whys = [entry.why for entry in await world.store.history.audit_of("INC-1")]
    assert "after step 4 · Rotate: check 1 · Tool crm passes: 2 % (want < 5 %)" in whys
    assert (await world.incident()).revision == revision + 2  # the mark, and what the check says


async def test_a_watcher_that_is_down_keeps_nobody_from_marking(world):
    world.watcher.answer = RemoteError("the watcher is down")
    outcome = await world.desk.step(ACTOR, "INC-1", "4", "done")
    assert (outcome.changed, outcome.message) == (True, "INC-1: step 4 · Rotate: done.")
    window = await world.open_window()  # what is kept is shown
    assert "rotate crm" in json.dumps(world.slack.views[window])


async def test_more_steps_than_a_window_holds_have_pages(tmp_path):
    many = tuple(RenderedStep(number=n, id=f"s{n}", kind="manual", title=f"Step no {n}") for n in range(1, 31))
    async with whole(tmp_path, runbook=rendered(steps=many, likely_step=None)) as world:
        window = await world.open_window()
        first = json.dumps(world.slack.views[window])
        assert "Step no 15*" in first
        assert "Step no 16*" not in first
        second = await world.use(window, "runbook.page.on")
        assert "Step no 16*" in second
        assert "Step no 30*" in second
        assert "Step no 15*" in await world.use(window, "runbook.page.back")
        assert all(len(view["blocks"]) <= 100 for view in world.slack.views.values())


async def test_a_slow_commit_is_admitted_in_the_window_and_then_shown(tmp_path):
    async with whole(tmp_path, commit_seconds=0.1) as world:
        window, gate, at_once = await world.open_window(), asyncio.Event(), world.desk.step

        async def slow(*arguments, **named):
            await gate.wait()
            return await at_once(*arguments, **named)

        world.desk.step = slow
        assert "Not recorded yet" in await world.use(window, "step.done")
        gate.set()
        await until(lambda: "✅ done by Ana" in json.dumps(world.slack.views[window], ensure_ascii=False))


async def test_a_click_that_comes_too_late_says_what_holds_now(world):
    window = await world.open_window()

    async def too_late(*_, **__):
        raise ConflictError("INC-1 is resolved; it cannot be escalated")

    world.desk.step = too_late
    assert "ℹ️ INC-1 is resolved; it cannot be escalated" in await world.use(window, "step.escalate")


async def test_a_stranger_changes_nothing_in_a_window(world):
    window = await world.open_window()
    shown = await world.use(window, "step.done", user="U0STRANGER")
    assert "does not know you yet" in shown
    assert await world.marks() == {}


async def test_checking_again_asks_the_watcher(world):
    window = await world.open_window()
    passing = STEPS[0].model_copy(update={"check": CheckResult(verdict=Verdict.PASS, value="3 %", want="< 5 %")})
    world.watcher.answer = rendered(steps=(passing, *STEPS[1:]))
    assert "✅ 3 %" in await world.use(window, "runbook.again")


async def until_async(ask, holds):
    async with asyncio.timeout(5):
        while not holds(await ask()):
            await asyncio.sleep(0.01)
