"""A page waits a moment for its runbook and no longer; what comes later arrives by an edit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from core_world import NOW, WORLD, alert, opened

from bot import pipeline
from bot.errors import RemoteError
from bot.incidents import people
from bot.joint import Update
from bot.renderings import Renderings
from bot.runbooks.rendered import CheckResult, Rendered, RenderedStep, Verdict
from bot.store.database import Database


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251


class Watcher:
    """Answers `render` once it is let; `answers` are given out in order, the last one again and again."""

    def __init__(self, *answers: Rendered | RemoteError) -> None:
        self.let = asyncio.Event()
        self.answers = list(answers)
        self.budgets: list[float] = []

    async def ask(self, _method: str, params: dict, _seconds: float):
        self.budgets.append(params["budget"])
        await self.let.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, RemoteError):
            raise answer
        return answer.model_dump(mode="json")


def rendered(verdict: Verdict = Verdict.PASS) -> Rendered:
    step = RenderedStep(number=1, id="a", kind="check", title="A", check=CheckResult(verdict=verdict))
    return Rendered(runbook="tools", title="Tools", steps=(step,), rendered_at=datetime(2026, 11, 4, 2, tzinfo=UTC))


@pytest.fixture
async def store(tmp_path):
    database = Database("sqlite:///pager.db", tmp_path)
    await database.open()
    yield database
    await database.close()


async def incident_in(store: Database):
    now = datetime(2026, 11, 4, 2, tzinfo=UTC)
    one = opened(alert()).alerts[0]
    await pipeline.observe(store, Update(group=one.group, evaluated_at=now, alerts=(one,)), WORLD, now)
    (incident,) = await store.unresolved()
    return incident


async def test_an_answer_in_time_goes_out_with_the_page_and_needs_no_edit(store):
    incident, watcher, edited = await incident_in(store), Watcher(rendered()), []
    watcher.let.set()
    found = await Renderings(store, watcher, Clock(), edited.append).for_page(incident, {})
    assert found == rendered()
    assert (await store.incident(incident.id)).revision == incident.revision
    assert edited == []


async def test_a_late_answer_lets_the_page_go_and_is_shown_by_an_edit(store):
    incident, watcher, edited = await incident_in(store), Watcher(rendered()), asyncio.Queue()
    renderings = Renderings(store, watcher, Clock(), edited.put_nowait)
    assert await renderings.for_page(incident, {}) is None
    watcher.let.set()
    assert await asyncio.wait_for(edited.get(), 5) == incident.id
    assert await store.rendering(incident.id) == rendered()
    assert (await store.incident(incident.id)).revision == incident.revision + 1


async def test_checks_that_were_late_are_asked_again_with_more_time(store):
    watcher, edited = Watcher(rendered(Verdict.LATE), rendered(Verdict.FAIL)), asyncio.Queue()
    incident = await incident_in(store)
    watcher.let.set()
    await Renderings(store, watcher, Clock(), edited.put_nowait).for_page(incident, {})
    assert await asyncio.wait_for(edited.get(), 5) == incident.id
    assert await store.rendering(incident.id) == rendered(Verdict.FAIL)
    assert watcher.budgets[0] < 1.5 < watcher.budgets[1]


async def test_a_watcher_that_cannot_render_costs_the_page_nothing_but_its_runbook(store):
    incident, watcher = await incident_in(store), Watcher(RemoteError("the watcher is not running"))
    watcher.let.set()
    found = await Renderings(store, watcher, Clock(), lambda _: None).for_page(incident, {})
    assert found is not None
    assert "the watcher is not running" in found.problem


async def test_after_a_step_its_check_is_looked_at_until_it_passes(store):
    incident, watcher, edited, told = await incident_in(store), Watcher(), asyncio.Queue(), []
    watcher.answers = [
        rendered(Verdict.FAIL),
        RemoteError("the watcher is down"),
        rendered(Verdict.PASS),
        rendered(Verdict.FAIL),
    ]
    watcher.let.set()

    async def tell(result: Rendered) -> bool:
        told.append(result.steps[0].check.verdict)
        return told[-1] is Verdict.PASS

    Renderings(store, watcher, Clock(), edited.put_nowait, looks=(0, 0, 0, 0)).check_again(incident.id, {}, tell)
    assert [await asyncio.wait_for(edited.get(), 5) for _ in range(2)] == [incident.id] * 2
    assert told == [Verdict.FAIL, Verdict.PASS]
    assert await store.rendering(incident.id) == rendered(Verdict.PASS)
    assert len(watcher.budgets) == 3  # what passes is not asked again


async def test_a_check_is_not_looked_at_once_it_is_over(store):
    incident, watcher = await incident_in(store), Watcher(rendered())
    watcher.let.set()
    await pipeline.act(store, incident.id, lambda i: people.resolve(i, "cli:root", NOW), WORLD, NOW, None)
    renderings = Renderings(store, watcher, Clock(), lambda _: None, looks=(0,))
    await renderings._look_again(incident.id, {}, _never)
    assert watcher.budgets == []


async def _never(_result):
    raise AssertionError("nothing is told of what is over")
