"""The six agents over real HTTP."""

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from bot.demo.fleet import Fleet
from bot.demo.roster import ROSTER, Failure
from bot.demo.show import free_ports


@pytest_asyncio.fixture
async def fleet():
    ports = free_ports([0] * len(ROSTER))
    fleet = Fleet(dict(zip([spec.id for spec in ROSTER], ports, strict=True)))
    await fleet.start()
    yield fleet
    await fleet.stop()


async def scrape(process):
    async with aiohttp.ClientSession() as session, session.get(process.url) as response:
        families = text_string_to_metric_families(await response.text())
        return {sample.name for family in families for sample in family.samples}


async def test_every_agent_serves_the_core_contract(fleet):
    for process in fleet.processes.values():
        names = await scrape(process)

        assert {
            "agent_runs_total",
            "agent_run_duration_seconds_bucket",
            "agent_llm_calls_total",
            "agent_tokens_total",
            "agent_cost_usd_total",
            "agent_tool_calls_total",
        } <= names


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
