"""Readiness over HTTP, from Slack over a real connection, and on `/metrics` with the watcher's store behind it."""

from __future__ import annotations

import contextlib
import json

import pytest
from fake_slack import FakeSlack
from http_world import app_of
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from readiness_world import agent_file, judged
from slack_world import ANA, FixedClock, desks, settings, until

from bot.agents.model import Agent, Stage
from bot.agents.readiness import Domain, Status, readiness_series
from bot.agents.series import registry_series
from bot.errors import UsageError
from bot.joint import Request
from bot.settings import Http
from bot.slack.app import SlackApp
from bot.telemetry import registry_page
from bot.watcher import Watcher
from bot.web import readiness

UNTRIED = agent_file(", tested_on: 2026-11-01")


class Gate:
    """One agent, whose kill switch nobody has tried."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, Stage | None]] = []

    async def verdicts(self, agent=None, stage=None):
        self.asked.append((agent, stage))
        if agent not in {None, "refund-agent"}:
            raise UsageError(f'there is no agent "{agent}"')
        return [judged(UNTRIED, stage=stage)]


class Backend:
    def __init__(self) -> None:
        self.gate = Gate()


class Site:
    """Asks the application as uvicorn would."""

    def __init__(self) -> None:
        self.gate = Gate()
        backend = Backend()
        backend.gate = self.gate
        self._app = app_of(readiness.operations(backend), Http(token=SecretStr("secret")))

    async def get(self, query: str = "", token: str = "Bearer secret") -> tuple[int, object]:
        sent: list[dict] = []

        async def receive() -> dict:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"authorization", token.encode())]
        scope = {"type": "http", "method": "GET", "path": "/api/pager/readiness", "headers": headers}
        await self._app(scope | {"query_string": query.encode(), "client": ("127.0.0.1", 1)}, receive, send)
        return sent[0]["status"], json.loads(b"".join(part.get("body", b"") for part in sent[1:]))


async def test_the_answer_is_what_the_command_prints():
    site = Site()
    assert await site.get() == (200, [judged(UNTRIED).model_dump(mode="json")])
    await site.get("agent=refund-agent&stage=pilot")
    assert site.gate.asked == [(None, None), ("refund-agent", Stage.PILOT)]


@pytest.mark.parametrize(("query", "status"), [("stage=retired", 400), ("stage=sprint", 400), ("agent=nobody", 404)])
async def test_what_there_is_not_is_refused(query, status):
    found, told = await Site().get(query)
    assert found == status
    assert query.partition("=")[2] in told["error"]


async def test_nobody_is_told_without_the_token():
    assert (await Site().get(token=""))[0] == 401


async def test_slack_answers_for_one_agent_and_for_all():
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FakeSlack())
        gate = Gate()
        app = SlackApp(settings(slack), desks(gate=gate), FixedClock())
        await app.start()
        stack.push_async_callback(app.stop)
        await until(app.healthy)

        async def ask(text: str) -> str:
            return json.dumps((await slack.command(ANA.slack, text))["payload"], ensure_ascii=False)

        assert "🔴 *Refund agent* run · not started: kill_switch" in await ask("readiness")
        assert "✗ *kill_switch* written" in await ask("ready refund-agent")
        assert "there is no agent" in await ask("readiness nobody")
    assert [agent for agent, _ in gate.asked] == [None, "refund-agent", "nobody"]


def test_the_registry_page_is_read_back_by_prometheus_own_parser():
    agent = Agent(id='a"b', owner="team:x", budget_usd_day=3)
    series = [
        *registry_series({agent.id: agent}),
        *readiness_series(agent.id, Stage.PILOT, [(Domain.PEOPLE, Status.DONE)]),
    ]
    page = registry_page(series).decode()
    found = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    expected = {
        (labels["__name__"], frozenset((key, text) for key, text in labels.items() if key != "__name__")): value
        for labels, value in series
    }
    assert found == expected


class Taken:
    """A watcher in this process, asked by requests as the pager asks it."""

    def __init__(self) -> None:
        self.watcher = Watcher(self.send)

    async def send(self, message, body=b"") -> None:
        assert getattr(message, "error", None) is None
        self.body = body

    async def give(self, *series: tuple[dict[str, str], float]) -> None:
        await self.watcher.answer(Request(id=1, method="readiness", params={"series": list(series)}))

    async def ask(self, query: str) -> list[dict[str, str]]:
        params = {"path": "query", "fields": [["query", query]], "pack": False}
        await self.watcher.answer(Request(id=2, method="api", params=params))
        return [row["metric"] for row in json.loads(self.body)["data"]["result"]]


async def test_the_watcher_writes_what_it_is_given_and_ends_what_is_gone():
    taken = Taken()
    one = {"__name__": "agent_registry_readiness", "agent": "a", "domain": "drill", "status": "done"}
    other = {**one, "agent": "b"}
    await taken.give((one, 1.0), (other, 1.0))
    assert {labels["agent"] for labels in await taken.ask("agent_registry_readiness == 1")} == {"a", "b"}
    await taken.give((one, 1.0))
    assert {labels["agent"] for labels in await taken.ask("agent_registry_readiness == 1")} == {"a"}
