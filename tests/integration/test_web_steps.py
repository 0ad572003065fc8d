"""Steps over HTTP and on the command line: a real desk and database behind the paths."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import aiohttp
import pytest
import uvicorn
from click.testing import CliRunner
from core_world import NOW, WORLD, alert, opened
from http_world import app_of
from pydantic import SecretStr
from steps_world import Clock, Watcher, rendered

from bot import pipeline
from bot.cli import step as cli_step
from bot.cli.main import cli
from bot.commands import Desk
from bot.joint import Update
from bot.records.timeline import story
from bot.renderings import Renderings
from bot.settings import Http
from bot.store.database import Database
from bot.web import incidents, steps

TOKEN = {"Authorization": "Bearer t0ken"}


class Site:
    def __init__(self, store, desk, session) -> None:
        self.store, self.desk, self.session = store, desk, session

    async def get(self, path="INC-1/steps"):
        async with self.session.get(f"/api/pager/incidents/{path}") as answer:
            return answer.status, await answer.json()

    async def say(self, step, **body):
        async with self.session.post(f"/api/pager/incidents/INC-1/steps/{step}", json=body) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def site(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        store = Database("sqlite:///pager.db", tmp_path)
        await store.open()
        stack.push_async_callback(store.close)
        clock, watcher = Clock(), Watcher()
        watcher.answer = rendered()
        renderings = Renderings(store, watcher, clock, lambda _: None)
        desk = Desk(store, renderings, clock, lambda: WORLD, lambda _: {}, lambda _: None)
        firing = opened(alert()).alerts[0]
        await pipeline.observe(store, Update(group=firing.group, evaluated_at=NOW, alerts=(firing,)), WORLD, NOW)

        class Backend:
            commands = desk

        app = app_of(steps.operations(Backend()), Http(token=SecretStr("t0ken")))
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
            task = asyncio.create_task(server.serve([listening]))
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            async with aiohttp.ClientSession(url, headers=TOKEN) as session:
                yield Site(store, desk, session)
            server.should_exit = True
            await task


async def test_without_a_runbook_there_are_no_steps(site):
    status, told = await site.get()
    assert (status, told["error"]) == (404, "INC-1 has no runbook, so it has no steps")


async def test_steps_are_listed_with_what_became_of_them(site):
    await pipeline.rendered(site.store, "INC-1", rendered(), redraw=False)
    status, told = await site.say("which", state="done", text="Credential", person="ana")
    assert (status, told["changed"]) == (200, True)
    assert told["message"] == "INC-1: step 2 · What is broken?: done, Credential."
    mark = {"step": "which", "state": "done", "at": "2026-11-04T02:01:00+00:00", "by": "ana", "text": "Credential"}
    assert told["progress"] == [mark]
    _, listed = await site.get()
    assert (listed["runbook"], listed["done"], listed["total"], listed["next"]) == ("tool-errors", 1, 5, "rotate")
    assert [one["mark"] for one in listed["steps"]] == [None, mark, None, None, None, None]
    assert listed["steps"][0]["check"] == {"verdict": "fail", "value": "62 %", "want": "< 5 %"}
    assert [one["id"] for one in listed["steps"] if one["likely"]] == ["which"]
    incident = await site.store.incident("INC-1")
    assert incidents.incident_json(incident, NOW)["progress"] == [mark]


async def test_the_same_twice_is_no_mistake_and_no_change(site):
    await pipeline.rendered(site.store, "INC-1", rendered(), redraw=False)
    await site.say("3", state="skipped", by="root")
    status, told = await site.say("look", state="skipped", person="ben")
    assert (status, told["changed"]) == (200, False)
    assert told["message"] == "INC-1: step 3 · Look is skipped already: cli:root, 02:01 UTC."


@pytest.mark.parametrize(
    ("step", "body", "why"),
    [
        ("which", {"state": "done"}, 'it needs an answer; choose one of "Credential", "All of it"'),
        ("which", {"state": "done", "text": "nothing"}, '"nothing" is no answer to it'),
        ("hand", {"state": "done"}, "needs an answer"),
        ("rotat", {"state": "done"}, 'did you mean "rotate"?'),
        ("rotate", {"state": "wrong"}, "say in a few words"),
        ("rotate", {"state": "done", "person": "zoe"}, 'there is no person "zoe"'),
    ],
)
async def test_what_makes_no_sense_is_refused_with_the_way_out(site, step, body, why):
    await pipeline.rendered(site.store, "INC-1", rendered(), redraw=False)
    status, told = await site.say(step, **body)
    assert status == 404
    assert why in told["error"]
    assert (await site.store.incident("INC-1")).progress == ()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"state": "finished"}, 'state must be one of done, skipped, failed, undone, wrong, missing, not "finished"'),
        ({}, 'missing key "state" in the request'),
        ({"state": "done", "txet": "x"}, 'unknown key "txet" in the request (did you mean "text"?)'),
        ({"state": "done", "text": 5}, 'text must be text, not "5"'),
    ],
)
async def test_what_is_no_such_request_is_told_by_its_key(site, body, why):
    status, told = await site.say("rotate", **body)
    assert (status, told["error"]) == (400, why)


async def test_a_fault_of_the_runbook_is_filed(site):
    await pipeline.rendered(site.store, "INC-1", rendered(), redraw=False)
    status, told = await site.say("rotate", state="wrong", text="the path has moved", person="ana")
    assert (status, told["message"]) == (200, "INC-1: filed for the owner of the runbook in #payments-agents.")


async def test_the_story_tells_the_steps_in_one_sentence_each(site):
    await pipeline.rendered(site.store, "INC-1", rendered(), redraw=False)
    await site.say("look", state="failed", person="ana")
    incident = await site.store.incident("INC-1")
    entries = await site.store.history.audit_of("INC-1")
    told = [one for one in story(incident, entries, [], WORLD.book, NOW).timeline if one.what == "incident.stepped"]
    assert [(one.who, one.text, one.why) for one in told] == [("Ana", "step 3 · Look: failed", "")]


# The command line


def run(monkeypatch, answer, *arguments):
    asked = []

    def call(_config, method, path, body=None):
        asked.append((method, path, body))
        return answer

    monkeypatch.setattr(cli_step, "call", call)
    return CliRunner().invoke(cli, ["step", *arguments]), asked


def test_a_step_is_said_on_the_command_line(monkeypatch):
    done, asked = run(
        monkeypatch, {"message": "INC-7: done."}, "INC-7", "which", "done", "--text", "Credential", "--as", "person:ana"
    )
    assert (done.exit_code, done.output) == (0, "INC-7: done.\n")
    body = {"person": "ana", "state": "done", "text": "Credential"}
    assert asked == [("POST", "/api/pager/incidents/INC-7/steps/which", body)]


def test_a_step_without_a_state_is_a_question_back(monkeypatch):
    done, asked = run(monkeypatch, {}, "INC-7", "which")
    assert (done.exit_code, asked) == (2, [])
    assert "say what became of step which: done, skipped, failed, undone, wrong, missing" in done.output


async def test_the_steps_are_listed_on_the_command_line(site, monkeypatch):
    await pipeline.rendered(site.store, "INC-1", rendered(), redraw=False)
    await site.say("look", state="failed", person="ana")
    _, listed = await site.get()
    monkeypatch.setenv("COLUMNS", "160")
    done, asked = run(monkeypatch, listed, "INC-1")
    assert asked == [("GET", "/api/pager/incidents/INC-1/steps", None)]
    assert "Tool errors: 0/5 done, 0 skipped, 1 failed; next: which" in done.output
    assert "fail 62 % (want < 5 %)" in done.output
    assert "failed by ana 02:01 UTC" in done.output
    assert json.loads(run(monkeypatch, listed, "INC-1", "-o", "json")[0].output) == listed
