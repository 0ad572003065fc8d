"""The six agents over real HTTP."""

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from bot.demo.failures import Failure
from bot.demo.fleet import NAMES, Fleet
from bot.demo.gateway import GATEWAY
from bot.demo.roster import ROSTER
from bot.demo.show import free_ports


@pytest_asyncio.fixture
async def fleet():
    fleet = Fleet(dict(zip(NAMES, free_ports([0] * len(NAMES)), strict=True)))
    await fleet.start()
    yield fleet
    await fleet.stop()


async def scrape(process):
    async with aiohttp.ClientSession() as session, session.get(process.url) as response:
        families = text_string_to_metric_families(await response.text())
        return {sample.name for family in families for sample in family.samples}


async def test_every_agent_serves_the_core_contract(fleet):
    for spec in ROSTER:
        names = await scrape(fleet.processes[spec.id])

        assert {
            "agent_runs_total",
            "agent_run_duration_seconds_bucket",
            "agent_llm_calls_total",
            "agent_tokens_total",
            "agent_cost_usd_total",
            "agent_tool_calls_total",
        } <= names


async def test_the_gateway_counts_what_the_agents_ask_of_it(fleet):
    simulation = fleet.processes["support-agent"].simulation
    start = simulation._now
    for second in range(60):
        simulation.step(start + second)
    names = await scrape(fleet.processes[GATEWAY])

    assert {"litellm_spend_metric_total", "litellm_deployment_state", "litellm_team_max_budget_metric"} <= names


async def test_while_the_gateway_is_down_runs_fail(fleet):
    await fleet.fail(GATEWAY, Failure.PROCESS_KILLED)
    simulation = fleet.processes["triage-agent"].simulation
    start = simulation._now
    for second in range(60):
        simulation.step(start + second)

    assert simulation.registry.get_sample_value("agent_llm_calls_total", {"model": "gpt-5-mini", "outcome": "ok"}) == 0
    await fleet.mend(GATEWAY)
    assert "litellm_deployment_state" in await scrape(fleet.processes[GATEWAY])


async def test_what_a_process_cannot_fail_by_is_refused(fleet):
    with pytest.raises(ValueError, match="cannot fail by"):
        await fleet.fail(GATEWAY, Failure.TOOL_DOWN)


async def test_a_killed_process_refuses_connections_until_it_is_mended(fleet):
    killed = fleet.processes["triage-agent"]
    await fleet.fail("triage-agent", Failure.PROCESS_KILLED)

    with pytest.raises(aiohttp.ClientConnectorError):
        await scrape(killed)
    assert await scrape(fleet.processes["kyc-agent"])
    assert [state["id"] for state in fleet.states() if not state["alive"]] == ["triage-agent"]

    await fleet.mend("triage-agent")
    assert "agent_runs_total" in await scrape(killed)
    assert fleet.processes["triage-agent"].simulation.failures == set()


async def test_an_unknown_agent_is_not_broken(fleet):
    with pytest.raises(KeyError):
        await fleet.fail("nobody", Failure.COST_BURN)
