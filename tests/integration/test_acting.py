"""Actions over a real store: what is written in one transaction, what the actuator makes of it, what a stop leaves
behind. The clock is set by hand; the door writes down what it is asked, and fails when told to."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from core_world import GROUP, NOW, PEOPLE, WORLD, alert, ended
from hand_clock import HandClock

from bot import acting, pipeline
from bot.action_desk import ActionDesk
from bot.actions.model import Run, RunState
from bot.actuator import Actuator
from bot.errors import ConflictError, RemoteError, UsageError
from bot.incidents import people
from bot.joint import Update
from bot.paging.model import PageKind, PageState
from bot.ports import Actor
from bot.runbooks.model import Approve
from bot.runbooks.rendered import Rendered, RenderedCall, RenderedStep
from bot.settings import Actions
from bot.store.archive import Archive
from bot.store.database import Database

ANA, BEN, CAT = (Actor(f"person:{name}", PEOPLE[name].name, "slack", PEOPLE[name]) for name in ("ana", "ben", "cat"))
PAUSE = RenderedCall(webhook="agent-control", method="POST", path="/agents/a/pause", body="{}")
RESUME = PAUSE.model_copy(update={"path": "/agents/a/resume"})
ALLOW = [{"path": "/agents/*/pause"}, {"path": "/agents/*/resume"}]
SETTINGS = Actions.model_validate({"webhooks": {"agent-control": {"url": "https://c.example.com", "allow": ALLOW}}})


class Door:
    """`answers` are given in turn, errors raised; afterwards everything works."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answers: list[str | Exception] = []

    async def ask(self, _service, call, run_id, _now) -> str:
        self.asked.append((run_id, call.path))
        answer = self.answers.pop(0) if self.answers else "200 ok"
        if isinstance(answer, Exception):
            raise answer
        return answer


class Town:
    def __init__(self, folder: Path) -> None:
        self.clock = HandClock(NOW)
        self.store = Database("sqlite:///pager.db", folder)
        self.door = Door()
        self.settings = SETTINGS
        self.redrawn: list[str] = []
        self.actuator = self.new_actuator()
        self.desk = ActionDesk(
            self.store, self.clock, lambda: WORLD, lambda: self.settings, self._find, self.redrawn.append, lambda: None
        )

    def new_actuator(self) -> Actuator:
        return Actuator(self.store, self.door, self.clock, lambda: WORLD, lambda: self.settings, self.redrawn.append)  # type: ignore[arg-type]

    async def _find(self, reference):
        found = await self.store.incident(reference)
        if found is None:
            raise UsageError(f"there is no incident {reference}")
        return found

    async def work(self) -> None:
        """One round, and everything that it began."""
        await self.actuator._round()
        await self.actuator.stop()

    async def runs(self) -> list[Run]:
        return await self.store.runs_of("INC-1")

    async def states(self) -> list[str]:
        return [run.state.value for run in await self.runs()]

    async def marks(self) -> list[tuple[str, str, str]]:
        incident = await self._find("INC-1")
        return [(mark.step, mark.state, mark.by) for mark in incident.progress]

    async def questions(self) -> dict[str | None, str]:
        pages = await self.store.pages_of("INC-1")
        return {page.person: page.text for page in pages if page.kind is PageKind.APPROVAL}

    async def audit(self) -> list[tuple[str, str]]:
        rows = await self.store.audit_rows("INC-1")
        return [(entry.actor, entry.action) for _, entry, _ in rows if entry.action.startswith("action.")]

    async def runbook_calls(self, path: str) -> None:
        """The runbook asks for something else now."""
        await self.runbook(Approve(by=("person:ben",)), PAUSE.model_copy(update={"path": path}))

    async def runbook(self, approve: Approve, call: RenderedCall = PAUSE) -> None:
        step = RenderedStep(number=1, id="pause", kind="action", title="Pause", call=call, undo=RESUME, approve=approve)
        rendered = Rendered(runbook="book", title="Book", steps=(step,), rendered_at=NOW)
        async with self.store.transaction() as tx:
            await tx.save_rendering("INC-1", rendered)


@asynccontextmanager
async def town(folder: Path, **approve) -> AsyncIterator[Town]:
    one = Town(folder)
    await one.store.open()
    try:
        await pipeline.observe(one.store, Update(group=GROUP, evaluated_at=NOW, alerts=(alert(),)), WORLD, NOW)
        await one.runbook(Approve(**approve))
        yield one
    finally:
        await one.store.close()


async def test_asked_sent_and_taken_back_with_marks_and_one_audit_row_each(tmp_path):
    async with town(tmp_path) as one:
        asked = await one.desk.ask(ANA, "INC-1", "pause")
        assert await one.marks() == [("pause", "running", "person:ana")]
        await one.work()
        assert await one.marks() == [("pause", "done", "agentpager")]
        one.clock.advance(seconds=1)
        await one.desk.ask(ANA, "INC-1", "pause", undo=True)
        await one.work()
        assert await one.marks() == [("pause", "undone", "agentpager")]
        first, second = await one.runs()
        assert one.door.asked == [(first.id, "/agents/a/pause"), (second.id, "/agents/a/resume")]
        assert (first.id, second.undoes) == (asked.run.id, first.id)
        assert await one.audit() == [
            ("person:ana", "action.asked"), ("agentpager", "action.done"),
            ("person:ana", "action.asked"), ("agentpager", "action.done"),
        ]  # fmt: skip
        assert await one.store.broken_audit_row() is None


async def test_the_same_click_twice_is_one_run(tmp_path):
    async with town(tmp_path) as one:
        first = await one.desk.ask(ANA, "INC-1", "1", event_key="click")
        again = await one.desk.ask(ANA, "INC-1", "1", event_key="click")
        assert (again.changed, again.run.id) == (False, first.run.id)
        assert len(await one.runs()) == 1


async def test_a_question_goes_to_those_who_may_answer_and_to_who_asks(tmp_path):
    async with town(tmp_path, by=("team:payments", "person:cat"), min=2) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        run_id = (await one.runs())[0].id
        assert await one.questions() == {"ana": run_id, "ben": run_id, "cat": run_id}
        done = await one.desk.agree(BEN, run_id, event_key="click")
        again = await one.desk.agree(BEN, run_id, event_key="click")
        assert (done.run.state, again.changed) == (RunState.APPROVED, False)
        with pytest.raises(ConflictError, match="too late"):
            await one.desk.agree(CAT, run_id)


async def test_an_incident_names_the_one_action_that_waits(tmp_path):
    async with town(tmp_path, by=("person:ben",), self=False) as one:
        with pytest.raises(UsageError, match="no action waits"):
            await one.desk.agree(BEN, "INC-1")
        await one.desk.ask(ANA, "INC-1", "pause")
        assert (await one.desk.agree(BEN, "INC-1")).run.state is RunState.APPROVED


async def test_people_are_named_as_the_book_names_them(tmp_path):
    async with town(tmp_path, by=("person:ben",)) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        await one.desk.refuse(BEN, "INC-1")
        with pytest.raises(ConflictError, match=r'"Pause" was refused by Ben'):
            await one.desk.agree(BEN, (await one.runs())[0].id)


async def test_what_would_be_asked_for_is_shown_without_a_trace(tmp_path):
    async with town(tmp_path) as one:
        mine = await one.desk.propose(ANA, "INC-1", "pause")
        theirs = await one.desk.propose(CAT, "INC-1", "pause")
        assert (mine.enough, theirs.enough, mine.problem) == (True, False, "")
        assert mine.wish.call == PAUSE
        one.settings = Actions()
        assert "no webhook" in (await one.desk.propose(ANA, "INC-1", "pause")).problem
        with pytest.raises(UsageError, match="no webhook"):
            await one.desk.ask(ANA, "INC-1", "pause")
        assert await one.runs() == []
        assert await one.audit() == []


async def test_each_change_makes_the_messages_about_it_behind(tmp_path):
    async with town(tmp_path, by=("person:ben",)) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        before = await one._find("INC-1")
        await one.desk.agree(BEN, "INC-1")
        await one.work()
        assert (await one._find("INC-1")).revision == before.revision + 2
        assert one.redrawn == ["INC-1"] * 3


async def test_failures_are_repeated_with_the_same_key_after_their_pause(tmp_path):
    async with town(tmp_path) as one:
        one.door.answers = [RemoteError("no answer", unknown=True), RemoteError("500", code="500")]
        await one.desk.ask(ANA, "INC-1", "pause")
        await one.work()
        await one.work()
        assert len(one.door.asked) == 1, "the pause is kept"
        for seconds in (1, 2):
            one.clock.advance(seconds=seconds)
            await one.work()
        assert len({key for key, _ in one.door.asked}) == 1
        assert len(one.door.asked) == 3
        assert await one.states() == ["done"]


async def test_what_was_being_sent_when_we_were_killed_goes_out_again(tmp_path):
    async with town(tmp_path) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        run = (await one.runs())[0]
        await acting.claim(one.store, run.id, WORLD, one.clock.now())
        assert await one.states() == ["sending"]
        one.actuator = one.new_actuator()  # the next process
        await one.work()
        await one.work()
        assert one.door.asked == [(run.id, "/agents/a/pause")]
        assert [(one.state, one.attempt, one.unsure) for one in await one.runs()] == [("done", 2, True)]


async def test_who_was_stopped_before_it_could_send_leaves_it_to_who_leads_now(tmp_path, monkeypatch):
    async with town(tmp_path) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        claim = acting.claim

        async def stopped_after(*args):
            claimed = await claim(*args)
            one.store.lost.set()  # the claim is written down, and somebody else has taken over since
            return claimed

        monkeypatch.setattr(acting, "claim", stopped_after)
        await one.work()
        assert one.door.asked == []
        assert await one.states() == ["sending"]
        one.store.lost.clear()


async def test_a_long_stop_after_an_approval_sends_nothing(tmp_path):
    async with town(tmp_path) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        one.clock.advance(minutes=11)
        await one.work()
        assert (await one.states(), one.door.asked) == (["expired"], [])
        assert (await one.audit())[-1] == ("agentpager", "action.expired")


async def test_a_run_whose_outcome_cannot_be_written_down_is_not_lost(tmp_path):
    async with town(tmp_path) as one:
        one.door.answers = [ZeroDivisionError("a mistake of ours")]
        await one.desk.ask(ANA, "INC-1", "pause")
        await one.work()
        assert await one.states() == ["sending"]
        one.actuator._busy.clear()  # five seconds later
        await one.work()
        await one.work()
        assert (await one.states(), len(one.door.asked)) == (["done"], 2)


async def test_it_runs_out_when_nobody_answers_also_after_a_restart(tmp_path):
    async with town(tmp_path, by=("person:ben",), ttl=timedelta(minutes=5)) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        one.clock.advance(minutes=4, seconds=59)
        await one.work()
        assert await one.states() == ["asked"]
        one.clock.advance(seconds=1)
        one.actuator = one.new_actuator()
        await one.work()
        assert (await one.states(), await one.marks()) == (["expired"], [("pause", "failed", "agentpager")])


async def test_an_end_of_the_incident_ends_the_question_but_not_the_way_back(tmp_path):
    async with town(tmp_path) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        await one.work()
        over = Update(group=GROUP, evaluated_at=NOW, alerts=(ended(alert(), NOW),))
        await pipeline.observe(one.store, over, WORLD, NOW)
        with pytest.raises(ConflictError, match="is resolved"):
            await one.desk.ask(ANA, "INC-1", "pause")
        await one.desk.ask(ANA, "INC-1", "pause", undo=True)
        await one.work()
        assert await one.states() == ["done", "done"]


async def test_a_clock_that_is_set_moves_what_waits(tmp_path):
    async with town(tmp_path, by=("person:ben",)) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        await pipeline.clock_jumped(one.store, timedelta(hours=3), "while running", NOW, {})
        (run,) = await one.runs()
        assert run.due_at == NOW + timedelta(hours=3, minutes=15)
        assert await pipeline.bound_deadlines(one.store, timedelta(), NOW) >= 1
        (run,) = await one.runs()
        assert run.due_at == NOW + timedelta(minutes=15)


async def test_two_who_ask_at_the_same_moment_are_one_run(tmp_path):
    async with town(tmp_path, by=("team:payments",)) as one:
        results = await asyncio.gather(
            one.desk.ask(ANA, "INC-1", "pause"), one.desk.ask(BEN, "INC-1", "pause"), return_exceptions=True
        )
        assert sum(isinstance(result, ConflictError) for result in results) == 1
        await one.work()
        assert len(one.door.asked) == 1


async def test_runs_go_into_the_archive_with_their_incident(tmp_path):
    async with town(tmp_path) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        await one.work()
        incident = await one._find("INC-1")
        await pipeline.act(one.store, "INC-1", lambda i: people.resolve(i, "person:ana", NOW), WORLD, NOW, None)
        async with one.store.transaction() as tx:
            closed = await tx.incident("INC-1")
            await tx.save_incident(closed.model_copy(update={"next_at": None}))
            newer = incident.model_copy(update={"id": "INC-2", "key": "other"})
            await tx.save_incident(newer)
            await tx.save_pages(
                [p.model_copy(update={"state": PageState.CANCELLED}) for p in await tx.pages_of("INC-1")]
            )
        target = tmp_path / "archive.jsonl.gz"
        moved = await Archive(one.store).move(NOW + timedelta(days=1), target, NOW)
        assert moved.incidents == 1
        with gzip.open(target, "rt") as file:
            (line,) = [json.loads(text) for text in file if '"incident"' in text[:15]]
        assert [row["state"] for row in line["actions"]] == ["done"]
        assert await one.runs() == []


async def test_what_is_not_approved_or_is_being_sent_is_not_claimed(tmp_path):
    async with town(tmp_path, by=("person:ben",)) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        run_id = (await one.runs())[0].id
        one.clock.advance(minutes=14)
        assert await acting.claim(one.store, run_id, WORLD, one.clock.now()) is None, "nobody has agreed"
        await one.desk.agree(BEN, run_id)
        assert await acting.claim(one.store, run_id, WORLD, one.clock.now()) is not None
        assert await acting.claim(one.store, run_id, WORLD, one.clock.now()) is None, "somebody sends it already"
        await acting.finished(one.store, run_id, "200 ok", WORLD, one.clock.now())
        assert await acting.claim(one.store, run_id, WORLD, one.clock.now()) is None


async def test_a_question_about_an_undo_leaves_the_step_as_it_was_and_redraws_its_messages(tmp_path):
    async with town(tmp_path, by=("person:ben",)) as one:
        await one.desk.ask(BEN, "INC-1", "pause")
        await one.work()
        one.clock.advance(seconds=1)
        before = await one._find("INC-1")
        await one.desk.ask(ANA, "INC-1", "pause", undo=True)
        await one.desk.refuse(BEN, "INC-1")
        after = await one._find("INC-1")
        assert after.progress == before.progress
        assert after.revision == before.revision + 2


async def test_what_is_not_allowed_any_more_when_it_is_sent_is_not_sent(tmp_path):
    async with town(tmp_path) as one:
        await one.desk.ask(ANA, "INC-1", "pause")
        allow = [{"path": "/agents/*/resume"}]
        webhooks = {"agent-control": {"url": "https://c.example.com", "allow": allow}}
        one.settings = Actions.model_validate({"webhooks": webhooks})
        await one.work()
        assert (await one.states(), one.door.asked) == (["failed"], [])
        assert "does not allow the path" in (await one.runs())[0].answer
