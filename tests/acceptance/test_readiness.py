"""Readiness on a whole installation: the command asks the server that runs."""

from __future__ import annotations

import asyncio
import json

from world import World

AGENT = """\
agents:
  refund-agent:
    title: Refund agent
    owner: "team:payments"
    escalation: payments
    stage: pilot
    budget_usd_day: 50
    acceptance: {calm: agent_tool_errors < 5, fast: agent_latency_seconds < 1}
"""


def by_domain(told: str) -> dict[str, tuple[str, str]]:
    (row,) = json.loads(told)
    return {one["domain"]: (one["status"], one["evidence"]) for one in row["domains"]}


async def until_scraped(world: World) -> None:
    for _ in range(200):
        answer = await world.get("/api/v1/query?query=agent_latency_seconds", quiet=True)
        if answer and answer["status"] == "success" and answer["data"]["result"]:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(world.log()[-2000:])


async def test_a_running_server_says_what_the_files_cannot(tmp_path):
    async with World(tmp_path) as world:
        (tmp_path / "agents" / "agents.yaml").write_text(AGENT)
        await world.start()

        await until_scraped(world)
        code, told = await world.cli("readiness", "refund-agent", "-o", "json")
        found = by_domain(told)
        assert code == 0
        assert found["alert_latency"] == ("done", "SlowRuns, on agent_latency_seconds")
        assert found["drill"] == ("not_started", "nobody has drilled it")
        assert found["alert_cost"][0] == "not_started"

        code, told = await world.cli("readiness", "refund-agent", "--stage", "walk", "-o", "markdown")
        assert code == 1
        assert told.startswith("# Refund agent (`refund-agent`): pilot → walk\n\n**Not ready**: ")
