"""Rules on engines elsewhere: the same things make the same incidents whoever scrapes and whoever evaluates, and an
engine in trouble resolves nothing, pages somebody, and is taken up again when it is back.

Five installations run beside each other: embedded, asking Prometheus, told by Prometheus, asking VictoriaMetrics, told
by vmalert.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engines import Between, prometheus, push_mode, query_mode, running, victoria_metrics
from programs import program
from world import ANA, CHANNEL, CHRIS, World, free_port

pytestmark = pytest.mark.interop

REFUNDS, KYC, SALES, HR = "refund-agent", "kyc-agent", "sales-agent", "hr-agent"
RULES = """
groups:
  - name: recorded
    interval: 1s
    rules:
      - record: agent:tool_errors
        expr: max by (agent) (agent_tool_errors)
  - name: scenario
    interval: 1s
    rules:
      - alert: ToolErrors
        expr: agent_tool_errors{agent="refund-agent"} > 5
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.agent }}: {{ $value }} tool errors"}
      - alert: SlowRuns
        expr: agent_latency_seconds > 10
        for: 2s
        labels: {severity: warning, env: '{{ $labels.env }}'}
        annotations: {summary: "{{ $labels.agent }} takes {{ $value | humanizeDuration }}"}
      - alert: WalkingWithErrors
        expr: agent:tool_errors{agent="sales-agent"} > 5 and on (agent) agent_registry_info{stage="walk"}
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.agent }} walks with {{ $value }} errors"}
      - alert: Busy
        expr: sum by (agent, env) (rate(agent_runs_total[4s])) > 0.5
        labels: {severity: warning}
        annotations: {summary: "{{ $labels.agent }} is busy"}
"""
# Title, severity, agent, and the labels of its alert: what each way has to come to.
SCRAPED = {"env": "prod", "job": "agents", "instance": "its"}
EXPECTED = [
    ("hr-agent is busy", "warning", HR, {"alertname": "Busy", "agent": HR, "env": "prod", "severity": "warning"}),
    ("kyc-agent takes 12s", "warning", KYC, {"alertname": "SlowRuns", "agent": KYC, "severity": "warning", **SCRAPED}),
    (
        "refund-agent: 9 tool errors",
        "critical",
        REFUNDS,
        {"alertname": "ToolErrors", "agent": REFUNDS, "severity": "critical", **SCRAPED},
    ),
    (
        "sales-agent walks with 8 errors",
        "critical",
        SALES,
        {"alertname": "WalkingWithErrors", "agent": SALES, "severity": "critical"},
    ),
]


async def test_the_same_things_make_the_same_incidents_whoever_scrapes_and_evaluates(tmp_path):
    ways = [embedded, asking_prometheus, told_by_prometheus, asking_victoria_metrics, told_by_vmalert]
    found = await asyncio.gather(*(played(way, tmp_path) for way in ways))
    for way, (fired, pages, ended) in zip(ways, found, strict=True):
        assert fired == EXPECTED, way.__name__
        assert pages == len(EXPECTED), way.__name__
        assert ended == {"resolved"}, way.__name__


Way = Callable[[World], contextlib.AbstractAsyncContextManager[None]]


async def played(way: Way, tmp_path: Path) -> tuple[list[Any], int, set[str]]:
    """What the incidents were when everything fired, how many pages went out, and the states afterwards."""
    directory = tmp_path / way.__name__
    directory.mkdir()
    async with World(directory, agents=(REFUNDS, KYC, SALES, HR)) as world:
        (directory / "alerts" / "tools.yaml").write_text(RULES)
        async with way(world):
            busy = asyncio.create_task(runs(world))
            world.agents[REFUNDS].values["agent_tool_errors"] = 9
            world.agents[KYC].values["agent_latency_seconds"] = 12
            world.agents[SALES].values["agent_tool_errors"] = 8
            await world.until(lambda: count(world, "open", len(EXPECTED)), f"everything fires: {way.__name__}")
            fired = sorted((shown(world, one) for one in await world.incidents()), key=lambda one: one[0])
            await world.until(lambda: paged(world) >= len(EXPECTED), f"the pages: {way.__name__}")
            busy.cancel()
            world.agents[REFUNDS].values["agent_tool_errors"] = 1
            world.agents[KYC].values["agent_latency_seconds"] = 1
            world.agents[SALES].values["agent_tool_errors"] = 1
            await world.until(lambda: count(world, "resolved", len(EXPECTED)), f"everything ends: {way.__name__}")
            return fired, paged(world), {one["state"] for one in await world.incidents()}


async def runs(world: World) -> None:
    """One agent counts runs, two a second."""
    values = world.agents[HR].values
    values["agent_runs_total"] = 0
    while True:
        await asyncio.sleep(0.5)
        values["agent_runs_total"] += 1


async def count(world: World, state: str, number: int) -> bool:
    return sum(one["state"] == state for one in await world.incidents()) == number


def paged(world: World) -> int:
    ((number,),) = world.rows("SELECT count(*) FROM pages WHERE id LIKE '%.page.ana'")
    return int(number)


def shown(world: World, incident: dict[str, Any]) -> tuple[str, str, str, dict[str, str]]:
    (alert,) = incident["alerts"]
    labels = dict(alert["labels"])
    if "instance" in labels:
        assert labels["instance"] == f"127.0.0.1:{world.agents[incident['agent']].port}"
        labels["instance"] = "its"
    return incident["title"], incident["severity"], incident["agent"], labels


def rules(world: World) -> Path:
    return world.directory / "alerts" / "tools.yaml"


@contextlib.asynccontextmanager
async def embedded(world: World) -> AsyncIterator[None]:
    await world.start()
    yield


@contextlib.asynccontextmanager
async def asking_prometheus(world: World) -> AsyncIterator[None]:
    port = free_port()
    query_mode(world, port)
    async with prometheus(world, port, (rules(world),)):
        await world.start()
        yield


@contextlib.asynccontextmanager
async def told_by_prometheus(world: World) -> AsyncIterator[None]:
    push_mode(world)
    async with prometheus(world, free_port(), (rules(world),), alertmanager=world.port):
        await world.start()
        yield


@contextlib.asynccontextmanager
async def asking_victoria_metrics(world: World) -> AsyncIterator[None]:
    port = free_port()
    query_mode(world, port)
    async with victoria_metrics(world, port), vmalert(world, port, free_port()):
        await world.start()
        yield


@contextlib.asynccontextmanager
async def told_by_vmalert(world: World) -> AsyncIterator[None]:
    port = free_port()
    push_mode(world)
    async with victoria_metrics(world, port), vmalert(world, port, world.port):
        await world.start()
        yield


@contextlib.asynccontextmanager
async def vmalert(world: World, engine: int, alertmanager: int) -> AsyncIterator[None]:
    async with running(
        program("vmalert"), f"-rule={rules(world)}", f"-datasource.url=http://127.0.0.1:{engine}/?nocache=1",
        f"-remoteWrite.url=http://127.0.0.1:{engine}", "-remoteWrite.flushInterval=500ms",
        f"-notifier.url=http://127.0.0.1:{alertmanager}", f"-httpListenAddr=127.0.0.1:{free_port()}",
        "-disableAlertgroupLabel", "-loggerLevel=ERROR",
    ):  # fmt: skip
        yield


# An engine in trouble -------------------------------------------------------------------------------------------------

TROUBLE_RULES = """
groups:
  - name: g
    rules:
      - alert: ToolErrors
        expr: agent_tool_errors > 5
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.agent }} fails"}
      - alert: SlowRuns
        expr: agent_latency_seconds > 10
        labels: {severity: warning}
      - alert: Recorded
        expr: agent:tool_errors > 50
        labels: {severity: warning}
      - alert: MetricsEngineDown
        expr: agentpager_engine_up == 0
        for: 1s
        labels: {severity: critical}
        annotations: {summary: "The engine is gone", no_data: ok}
"""


def emptied(**more: Any) -> Callable[[web.Request, Between], Awaitable[web.Response]]:
    """An answer that says, if it is believed, that nothing is wrong."""

    async def say(_request: web.Request, _between: Between) -> web.Response:
        empty = {"status": "success", "data": {"resultType": "vector", "result": []}}
        return web.json_response(empty | more)

    return say


async def sign_in(_request: web.Request, _between: Between) -> web.Response:
    return web.Response(text="<html>Sign in</html>")


# Each way of failing is test_engine_elsewhere.py's; here: nothing that can be read, and what can be read and is not so.
TROUBLES = {"a page to log in": sign_in, "isPartial": emptied(isPartial=True)}


async def test_an_engine_in_trouble_resolves_nothing_pages_somebody_and_is_taken_up_again(tmp_path):
    async with World(tmp_path) as world, Between(port := free_port()).running() as between:
        (tmp_path / "alerts" / "tools.yaml").write_text(TROUBLE_RULES)
        (tmp_path / "incidents").mkdir()
        (tmp_path / "incidents" / "flapping.yaml").write_text("flapping: {reopens: 100}\n")
        query_mode(world, between.port)
        agent = world.agents[REFUNDS]
        async with contextlib.AsyncExitStack() as engine:
            real = await engine.enter_async_context(prometheus(world, port))
            await world.start()
            agent.values["agent_tool_errors"] = 9
            await world.until(lambda: open_of(world, "ToolErrors"), "it fires")
            for name, trouble in TROUBLES.items():
                between.says = trouble
                await told_and_held(world, name)
                between.says = None
                await world.until(lambda: over(world, "MetricsEngineDown"), f"{name}: the engine is back")
            real.send_signal(signal.SIGSTOP)
            await told_and_held(world, "stopped")
            agent.values["agent_tool_errors"] = 1  # it ends while nobody can see it, and that is seen afterwards
            real.send_signal(signal.SIGCONT)
            await world.until(lambda: over(world, "ToolErrors"), "its end after SIGCONT")
            await world.until(lambda: over(world, "MetricsEngineDown"), "the engine is back after SIGCONT")
            agent.values["agent_tool_errors"] = 9
            await world.until(lambda: open_of(world, "ToolErrors"), "it fires again")
        await told_and_held(world, "killed")
        async with prometheus(world, port):
            await world.until(lambda: over(world, "MetricsEngineDown"), "the engine is back after its death")
            assert await open_of(world, "ToolErrors")
            agent.values["agent_tool_errors"] = 1
            await world.until(lambda: over(world, "ToolErrors"), "its end")
        assert "RuleFailing" not in {alert["name"] for one in await world.incidents() for alert in one["alerts"]}
        assert (await world.cli("audit", "verify"))[0] == 0


async def told_and_held(world: World, name: str) -> None:
    before = len(world.pages_to(CHRIS))
    await world.until(lambda: open_of(world, "MetricsEngineDown"), f"{name}: somebody is told")
    await world.until(lambda: len(world.pages_to(CHRIS)) > before, f"{name}: paged")
    assert await open_of(world, "ToolErrors"), name
    failing = (await world.get("/api/v1/query?query=max(agentpager_rule_failing)"))["data"]["result"]
    assert failing[0]["value"][1] == "0", name


async def alerts_of(world: World, name: str) -> list[str]:
    """Their states, of the incidents that are not over."""
    return [
        alert["state"]
        for one in await world.incidents()
        for alert in one["alerts"]
        if alert["name"] == name and one["state"] != "resolved"
    ]


async def open_of(world: World, name: str) -> bool:
    return "firing" in await alerts_of(world, name)


async def over(world: World, name: str) -> bool:
    return "firing" not in await alerts_of(world, name) and "no_data" not in await alerts_of(world, name)


async def test_what_the_engine_does_not_have_is_said_and_data_that_vanishes_is_held(tmp_path):
    async with World(tmp_path, agents=(REFUNDS, SALES)) as world:
        (tmp_path / "alerts" / "tools.yaml").write_text(RULES.replace("scenario", "g"))
        port = free_port()
        query_mode(world, port)
        async with prometheus(world, port):  # whose ruler has not been given the file
            await world.start()
            sales = world.agents[SALES]
            sales.values["agent_tool_errors"] = 8
            world.agents[REFUNDS].values["agent_tool_errors"] = 9
            await world.until(lambda: open_of(world, "ToolErrors"), "what needs nothing recorded fires")
            await world.until(lambda: last_error(world, "agent:tool_errors"), "what is not recorded is said")
            assert "its own ruler has to evaluate this file" in await last_error(world, "agent:tool_errors")
            failing = await world.get('/api/v1/query?query=agentpager_rule_failing{rule="agent:tool_errors"}')
            assert failing["data"]["result"][0]["value"][1] == "1"

            _, output = await world.cli("doctor", "-o", "json")
            doctor = {row["check"]: (row["status"], row["message"]) for row in json.loads(output)}
            assert doctor[f"engine http://127.0.0.1:{port}"][0] == "ok"
            assert doctor["engine: registry"] == ("ok", "agent_registry_info is there")
            assert doctor["engine: recording rules"] == ("fail", "nobody records agent:tool_errors")
            assert (
                doctor[f"alerts of {REFUNDS}, {SALES}"][1] == "3 of 4 have their metrics; blind: 1, 0 of them critical"
            )

            await world.agents[REFUNDS].down()
            await world.until(lambda: held(world, "ToolErrors"), "held without data")

            # A restart of ours in the middle: what is held stays held, the same incident.
            before = [one["id"] for one in await world.incidents()]
            await world.kill()
            await world.start()
            await world.until(lambda: held(world, "ToolErrors"), "still held")
            assert [one["id"] for one in await world.incidents()] == before
            await world.agents[REFUNDS].up()
            world.agents[REFUNDS].values["agent_tool_errors"] = 1
            await world.until(lambda: over(world, "ToolErrors"), "its end, with data")

            # What people and programs ask is the engine's, rules and alerts are ours.
            targets = (await world.get("/api/v1/targets"))["data"]["activeTargets"]
            assert {one["scrapePool"] for one in targets} == {"agents", "agentpager"}
            found = (await world.get(f"/api/v1/query?query=agent_tool_errors{{agent='{SALES}'}}"))["data"]["result"]
            assert found[0]["value"][1] == "8"
            assert "agent_tool_errors" in (await world.get("/api/v1/label/__name__/values"))["data"]
            assert {group["name"] for group in (await world.get("/api/v1/rules"))["data"]["groups"]} >= {"g", "builtin"}
        gone = await world.get("/api/v1/query?query=agent_tool_errors")
        assert (gone["status"], gone["errorType"]) == ("error", "unavailable")


async def held(world: World, name: str) -> bool:
    return "no_data" in await alerts_of(world, name)


async def last_error(world: World, name: str) -> str:
    groups = (await world.get("/api/v1/rules"))["data"]["groups"]
    return next((rule.get("lastError", "") for group in groups for rule in group["rules"] if rule["name"] == name), "")


async def test_moving_to_an_engine_and_back_keeps_the_incident_and_wakes_nobody(tmp_path):
    """docs/external-engine.md, step 6: only the block `metrics` changes, while an alert fires."""
    async with World(tmp_path) as world:
        port = free_port()
        main = tmp_path / "agentpager.yaml"
        embedded_text = main.read_text()
        async with prometheus(world, port):
            await world.start()
            world.agents[REFUNDS].values["agent_tool_errors"] = 9
            await world.until(lambda: world.pages_to(ANA), "the page")
            query_mode(world, port)
            for step in (main.read_text(), embedded_text):
                main.write_text(step)
                assert (await world.post("/-/reload"))[0] == 200
                since = await evaluated_at(world)
                await world.until(lambda since=since: later(world, since), "rounds after the reload")
                assert await open_of(world, "ToolErrors")
            query_mode(world, port)
            assert (await world.post("/-/reload"))[0] == 200
            world.agents[REFUNDS].values["agent_tool_errors"] = 1
            await world.until(lambda: over(world, "ToolErrors"), "its end")
        (incident,) = await world.incidents()
        assert (incident["state"], len(incident["alerts"])) == ("resolved", 1)
        assert paged(world) == 1


async def evaluated_at(world: World) -> str:
    groups = (await world.get("/api/v1/rules"))["data"]["groups"]
    return str(next(group["lastEvaluation"] for group in groups if group["name"] == "tools"))


async def later(world: World, since: str) -> bool:
    """Two rounds on: the second one surely began after the reload."""
    now = datetime.fromisoformat(await evaluated_at(world))
    return now.year > 1 and (now - datetime.fromisoformat(since)).total_seconds() >= 2


async def test_a_page_comes_with_checks_and_a_chart_from_the_engine(tmp_path):
    async with World(tmp_path) as world:
        port = free_port()
        query_mode(world, port)
        async with prometheus(world, port):
            await world.start()
            world.agents[REFUNDS].values["agent_tool_errors"] = 9

            def runbook() -> list[dict[str, Any]]:
                threads = [one for one in world.slack.posted(CHANNEL) if "thread_ts" in one]
                return [one for one in threads if "Tool answers" in str(one)]

            (found,) = await world.until(runbook, "the runbook")
            assert "9 (want &lt; 5)" in str(found)
            await world.until(lambda: [one for one in world.slack.uploads.values() if one.get("thread")], "the chart")
