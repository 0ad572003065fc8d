"""The agents of examples/agents, each a process: read over HTTP by our scraper, judged by the shipped alerts.

Scrapes and rounds carry a time of ours, so that minutes pass at once. The agents' own clock is the real one: the quiet
time lies before the real now, what follows behind it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re  # noqa: TID251 - fixed patterns
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from bot.agents.model import Agent
from bot.agents.series import registry_series
from bot.incidents.model import AlertState
from bot.metrics.fetch import Client
from bot.metrics.lint import lint_body
from bot.metrics.profiles import profiles_seen
from bot.metrics.spec import static_specs
from bot.metrics.target import ScrapedTarget
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.store import SeriesStore
from bot.rules.alerting import Surroundings
from bot.rules.evaluate import GroupState
from bot.rules.load import read, warm_seconds
from bot.rules.record import StoreRecorder
from bot.settings import Scrape

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "agents"
STEP = 20  # seconds between scrapes; rules look once a minute
QUIET_STEPS = 18
HEALTHY_STEPS = 90
FAILING_STEPS = 105
KEYS = {
    "slo": {"target": 0.9},
    "latency_target": "30s",
    "max_gap": "6h",
    "limits": {"llm_calls": 20},
    "datasets": {"orders": {"max_age": "2h"}},
    "model": {"provider": "openai", "name": "gpt-5"},
}
AGENTS = {
    name: Agent.model_validate(
        {"id": name, "title": name, "owner": "team:t", "escalation": "p", "stage": "run", **KEYS}
    )
    for name in ("support-agent", "research-agent")
}
# Of the others nobody tells what they cost, and for an agent with a budget that is an alert of its own.
MONEY = {"budget_usd_day": 100, "cost_per_run_usd": 0.1}
AGENTS["refund-agent"] = AGENTS["support-agent"].model_copy(update={"id": "refund-agent", **MONEY})


class Example:
    """One example with its target's settings, and the agents that are seen through it."""

    def __init__(self, script, *agents, **target):
        self.script, self.agents, self.target = script, agents, target


OF = {
    "plain": Example(
        "plain/agent.py", "refund-agent", labels={"agent": "refund-agent", "env": "prod"}, profile="agent"
    ),
    "otel": Example("otel/agent.py", "support-agent", labels={"agent": "support-agent", "env": "prod"}, profile="otel"),
    "litellm": Example(
        "litellm/proxy.py",
        "refund-agent",
        "support-agent",
        labels={"gateway": "litellm", "env": "prod"},
        profile="litellm",
    ),
    "langgraph_queue": Example(
        "langgraph_queue/server.py",
        "research-agent",
        labels={"agent": "research-agent", "env": "prod"},
        profile="langgraph",
    ),
}
# What each way to fail lights up. README.md of the examples has the same table.
LIGHTS = {
    ("plain", "tools"): {"AgentToolFailing", "AgentSuccessBurnFast"},
    ("plain", "schema"): {"AgentToolSchemaChanged"},
    ("plain", "auth"): {"AgentAuthFailing"},
    ("plain", "denied"): {"AgentPermissionDenied"},
    ("plain", "timeouts"): {"AgentSuccessBurnFast", "AgentModelCallsFailing"},
    ("plain", "loop"): {"AgentRunawayInFlight", "AgentRunStuck"},
    ("plain", "stuck"): {"AgentRunStuck"},
    ("plain", "overrun"): {"AgentContextOverrun"},
    ("plain", "cost"): {"AgentCostBurnFast"},
    ("plain", "audit"): {"AgentAuditGap"},
    ("otel", "tools"): {"AgentToolFailing"},
    ("otel", "model"): {"AgentModelCallsFailing"},
    ("litellm", "provider"): {"ProviderOutage", "AgentModelCallsFailing"},
    ("litellm", "auth"): {"AgentAuthFailing"},
    ("litellm", "rate_limit"): {"AgentRateLimited"},
    ("litellm", "spend"): {"AgentCostBurnFast"},
    ("litellm", "unpriced"): {"GatewaySpendBlind"},
    ("litellm", "guardrail"): {"GuardrailFailing"},
    ("litellm", "budget"): {"GatewayBudgetRunway"},
    ("langgraph_queue", "workers"): {"AgentBacklogGrowing"},
    ("langgraph_queue", "runs"): {"AgentSuccessBurnMedium"},
    ("langgraph_queue", "recursion"): {"AgentLoopBreakerTripped"},
}


class Running:
    """The process, its target and the rules, and a clock that moves by hand."""

    def __init__(self, example, address, client):
        self.example, self.address = example, address
        self.now = time.time() - QUIET_STEPS * STEP
        target = {"url": f"{address}/metrics", **example.target}
        (spec,), problems = static_specs(Scrape.model_validate({"targets": [target], "interval": "15s"}))
        assert problems == []
        self.store = SeriesStore(8 * 3600)
        self.target = ScrapedTarget(spec, self.store, client, lambda: self.now, time.monotonic)
        files = sorted((ROOT / "alerts").glob("*.yaml"), key=lambda path: (path.stem != "canonical", path.stem))
        groups = [group for path in files for group in read(path.read_text(), path.name)]
        around = Surroundings(recorded_seconds=warm_seconds(groups))
        self.engine = Engine(self.store)
        self.groups = [GroupState(group, self.engine, StoreRecorder(self.store), around) for group in groups]
        self.session = aiohttp.ClientSession()

    async def post(self, path):
        async with self.session.post(self.address + path) as answer:
            assert answer.status == 200, await answer.text()

    async def steps(self, count, until=None):
        """What fires at any time of them, by name; no more of them once all of `until` does."""
        fired = set()
        for _ in range(count):
            if until and fired >= until:
                break
            self.now += STEP
            await self.post("/work?runs=2")
            await self.target.scrape()
            assert self.target.health.state == "up", self.target.health.last_error
            self._write_registry()
            fired |= self._round()
        return fired

    def _write_registry(self):
        series = registry_series({name: AGENTS[name] for name in self.example.agents})
        ids = np.array([self.store.intern(labels) for labels, _ in series])
        self.store.append("registry", self.now, ids, np.array([value for _, value in series]))

    def _round(self):
        at = datetime.fromtimestamp(self.now, UTC)
        fired = set()
        with self.engine.round(self.now):
            for group in self.groups:
                if group.evaluated_at is None or at - group.evaluated_at >= timedelta(minutes=1):
                    fired |= {alert.name for alert in group.evaluate(at).alerts if alert.state is AlertState.FIRING}
        return fired - {"Watchdog"}


@pytest.fixture
async def start():
    """Starts an example by name, by hand, on a port of its own."""
    processes, clients = [], []

    async def begin(name, **env):
        example = OF[name]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLES / example.script), "--port", "0", "--by-hand"),
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
        )
        processes.append(process)
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        client = Client(ROOT)
        running = Running(example, re.match(r"(http://[^/]+)/metrics", line)[1], client)
        clients.append((client, running.session))
        return running

    yield begin
    for process in processes:
        process.terminate()
        await process.wait()
    for client, session in clients:
        await client.close()
        await session.close()


@pytest.mark.parametrize("name", OF)
async def test_an_example_that_is_well_lights_up_nothing(start, name):
    running = await start(name)
    running.now = time.time() - HEALTHY_STEPS * STEP
    assert await running.steps(HEALTHY_STEPS) == set()


@pytest.mark.parametrize(("name", "how"), LIGHTS)
async def test_an_example_that_fails_lights_up_its_alerts(start, name, how):
    running = await start(name)
    assert await running.steps(QUIET_STEPS) == set()
    await running.post(f"/fail?how={how}")
    assert await running.steps(FAILING_STEPS, until=LIGHTS[name, how]) >= LIGHTS[name, how]


async def test_the_table_of_the_examples_is_what_is_tried():
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \| (\w.+) \|$", (EXAMPLES / "README.md").read_text(), re.MULTILINE)[1:]
    assert {(name, how): set(alerts.split(", ")) for name, how, alerts in rows} == LIGHTS


@pytest.mark.parametrize("name", OF)
async def test_every_way_to_fail_is_tried(start, name):
    running = await start(name)
    async with running.session.post(f"{running.address}/fail?how=?") as answer:
        told = await answer.text()
    assert answer.status == 400
    assert set(told.strip().partition("known: ")[2].split(", ")) == {how for one, how in LIGHTS if one == name}


@pytest.mark.parametrize(("name", "stack"), [("plain", "agent"), ("otel", "otel"), ("litellm", "litellm")])
async def test_the_stack_of_an_example_is_recognised(start, name, stack):
    running = await start(name)
    await running.steps(1)
    names = {running.store.labels_of(one)["__name__"] for one in running.target.known.tolist()}
    assert profiles_seen(names) == [stack]


async def test_the_plain_agent_keeps_the_contract(start):
    running = await start("plain")
    await running.steps(2)
    async with running.session.get(f"{running.address}/metrics") as answer:
        found = lint_body(await answer.read(), answer.headers["Content-Type"], "plain")
    assert [one for one in found if one.code != "created"] == []


async def test_a_process_that_is_one_agent_keeps_its_registered_name(start):
    running = await start("otel")
    await running.steps(1)
    labels = [running.store.labels_of(one) for one in running.target.known.tolist()]
    runs = [one for one in labels if one["__name__"] == "gen_ai_invoke_agent_duration_seconds_count"]
    assert [(one["agent"], one["exported_agent"]) for one in runs] == [("support-agent", "Support Agent v2")]
    tools = [one for one in labels if one["__name__"] == "gen_ai_execute_tool_duration_seconds_count"]
    assert [one["tool"] for one in tools] == ["crm"]
    assert not any(name.startswith("otel_scope") for one in labels for name in one)


async def test_a_gateways_keys_become_agents_and_its_clients_are_added_up(start):
    running = await start("litellm")
    await running.steps(8)  # a new client address every hundred requests
    labels = [running.store.labels_of(one) for one in running.target.known.tolist()]
    spend = [one for one in labels if one["__name__"] == "litellm_spend_metric_total"]
    assert sorted(one["agent"] for one in spend) == ["refund-agent", "support-agent"]
    assert not {"api_key_alias", "client_ip", "hashed_api_key", "user_agent"} & {name for one in labels for name in one}
    found = Engine(running.store).instant(parse("sum by (agent) (litellm_spend_metric_total)"), running.now)
    assert {one["agent"]: round(value, 6) for one, value in found.samples} == {
        "refund-agent": 16 * 0.004,
        "support-agent": 16 * 0.004,
    }


async def test_an_example_may_fail_from_the_start(start):
    running = await start("plain", FAIL="tools")
    assert "AgentToolFailing" in await running.steps(30, until={"AgentToolFailing"})


def test_every_metric_of_litellm_that_an_alert_reads_is_one_of_its():
    kept = json.loads((EXAMPLES / "litellm" / "definitions.json").read_text())["metrics"]
    exposed = {
        name if one["type"] != "counter" or name.endswith("_total") else f"{name}_total" for name, one in kept.items()
    }
    text = "".join(
        line for path in (ROOT / "alerts").glob("*.yaml") for line in path.read_text().splitlines() if "#" not in line
    )
    assert set(re.findall(r"litellm_\w+(?=[\[{(])", text)) - {"litellm_model_name"} <= exposed
