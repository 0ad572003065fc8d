"""Error budgets, costs and vital signs from rows of a real database; over HTTP and on the command line's side."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from config_files import sources_of
from core_world import NOW, after
from hand_clock import HandClock
from http_world import app_of
from starlette.applications import Starlette

from bot import telemetry
from bot.accounting import Accountant
from bot.agents.record import Figures, Minute, last_run, last_success, track
from bot.config import load
from bot.errors import UsageError
from bot.store.database import Database
from bot.web import accounts

FILES = {
    "agentpager.yaml": "{}\n",
    "oncall/all.yaml": "people:\n  ana: {name: Ana, slack: U0ANA}\nfallback: 'person:ana'\n",
    "agents/all.yaml": """\
agents:
  refund-agent:
    owner: ana
    slo: {target: 0.9, window: 1d, latency: {threshold: 20s, target: 0.8}}
    budget_usd_day: 10
    runs_per_day: 100
  crm-agent: {owner: ana, slo: {target: 0.5}}
  quiet-agent: {owner: ana}
""",
}


async def get(app: Starlette, path: str) -> tuple[int, Any]:
    """As uvicorn would ask."""
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    plain, _, query = path.partition("?")
    scope = {"type": "http", "method": "GET", "path": plain, "query_string": query.encode()}
    scope["headers"] = [(b"host", b"localhost")]
    await app(scope | {"client": ("127.0.0.1", 1)}, receive, send)
    return sent[0]["status"], json.loads(b"".join(part.get("body", b"") for part in sent[1:]))


def ran(at, agent: str, runs: float, bad: float, cost: float | None = None, **slo: tuple[float, float]) -> Minute:
    return Minute(at=at, agents={agent: Figures(runs=runs, bad=bad, cost_usd=cost, slo=slo)})


@pytest.fixture
async def world(tmp_path):
    store = Database("sqlite:///pager.db", tmp_path)
    await store.open()
    minutes = [
        ran(after(days=-3), "refund-agent", 1000.0, 1000.0),  # before its window
        ran(after(hours=-2), "refund-agent", 60.0, 3.0, 3.0, latency=(60.0, 6.0)),
        ran(after(minutes=-30), "refund-agent", 40.0, 2.0, 1.0, latency=(40.0, 4.0)),
        ran(after(days=-3), "crm-agent", 10.0, 2.0),
    ]
    async with store.transaction() as tx:
        for one in minutes:
            await tx.add_minute(one)
    config = load(sources_of(FILES))
    yield Accountant(store, HandClock(NOW), lambda: config), store
    await store.close()


async def test_budgets_are_those_of_every_objective(world):
    accountant, _ = world
    told = await accountant.budgets()
    assert [(one.agent, one.objective) for one in told] == [
        ("crm-agent", "success"),
        ("refund-agent", "success"),
        ("refund-agent", "latency"),
    ]
    crm, success, latency = told
    assert (success.events, success.bad, success.left) == (100.0, 5.0, pytest.approx(0.5))
    assert (latency.events, latency.bad, latency.left) == (100.0, 10.0, pytest.approx(0.5))
    assert (crm.left, crm.young) == (pytest.approx(0.6), True)
    assert await accountant.budgets("refund-agent") == [success, latency]


async def test_sqlite_adds_up_what_we_would(world):
    _, store = world
    start = after(days=-5)
    for agent, sums in (await store.agent_sums(start)).items():
        hours = await store.agent_hours(start, NOW, agent)
        ours = track(hours)
        assert (sums.since, sums.runs, sums.bad) == (ours.since, ours.runs, ours.bad)
        assert (last_run([sums]), last_success([sums])) == (last_run(hours), last_success(hours))
    assert await store.agent_sums(after(days=1)) == {}


async def test_an_agent_is_seen_in_numbers(world):
    accountant, _ = world
    told = await accountant.vitals()
    assert list(told) == ["refund-agent", "crm-agent", "quiet-agent"]
    refund = told["refund-agent"]
    assert (refund.day.runs, refund.day.cost_usd, refund.last_run) == (100.0, 4.0, after(minutes=-35))
    assert told["crm-agent"].last_run == after(days=-3, minutes=-5)
    assert (told["quiet-agent"].last_run, told["quiet-agent"].budgets) == (None, ())


async def test_costs_and_forecasts_are_of_the_agents_that_there_are(world):
    accountant, _ = world
    assert [one.agent for one in await accountant.spending()] == ["refund-agent", "crm-agent", "quiet-agent"]
    (refund,) = await accountant.spending("refund-agent")
    assert (refund.today, refund.budget, refund.per_run) == (1.0, 10.0, pytest.approx(0.04))
    assert (await accountant.forecast("refund-agent")).day == pytest.approx(5.0)  # the day before has 60 runs for $3
    for ask in (accountant.spending, accountant.budgets, accountant.forecast):
        with pytest.raises(UsageError, match='there is no agent "refund-agnt"; did you mean "refund-agent"'):
            await ask("refund-agnt")


async def test_the_metric_has_what_is_left_and_nothing_of_what_is_unknown(world):
    accountant, _ = world
    telemetry.error_budget.labels("gone-agent", "success").set(1)
    await accountant.measure()
    lines = [line for line in telemetry.page().decode().splitlines() if line.startswith("agentpager_slo_error")]
    assert lines == [
        'agentpager_slo_error_budget_remaining{agent="crm-agent",objective="success"} 0.6',
        'agentpager_slo_error_budget_remaining{agent="refund-agent",objective="success"} 0.5',
        'agentpager_slo_error_budget_remaining{agent="refund-agent",objective="latency"} 0.5',
    ]


async def test_over_http_they_are_told_with_their_words(world):
    accountant, _ = world

    class Backend:
        accounts = accountant

    app = app_of(accounts.operations(Backend()))
    _, (row, _) = await get(app, "/api/pager/budgets?agent=refund-agent")
    assert (row["objective"], row["budget_left"], row["window"]) == ("success", pytest.approx(0.5), "1d")
    _, (cost,) = await get(app, "/api/pager/costs?agent=refund-agent")
    assert (cost["today_usd"], cost["lines"][0]) == (1.0, "Today so far: $1.00 of $10.00 (10 %)")
    _, told = await get(app, "/api/pager/forecast?agent=refund-agent&at=1000&budget=500")
    assert (told["runs_per_day"], told["budget_usd"], told["day_usd"]) == (1000.0, 500.0, pytest.approx(50.0))
    for query in ("", "?agent=refund-agent&at=many", "?agent=refund-agent&budget=-1", "?agent=refund-agent&at=inf"):
        assert (await get(app, f"/api/pager/forecast{query}"))[0] == 400
    assert (await get(app, "/api/pager/costs?agent=nobody"))[0] == 404


async def test_days_begin_where_the_digest_is_read(world):
    """At 02:00 UTC of NOW it is 21:00 of the day before in New York: the whole evening is today's."""
    _, store = world
    files = FILES | {"agentpager.yaml": "digest: {timezone: America/New_York}\n"}
    config = load(sources_of(files))
    (refund,) = await Accountant(store, HandClock(NOW), lambda: config).spending("refund-agent")
    assert refund.today == 4.0
    assert NOW.hour == 2
    assert after(hours=-2) == NOW - timedelta(hours=2)
