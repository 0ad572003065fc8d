"""Inhibition and re-opening on a whole installation."""

from __future__ import annotations

import json

from world import ANA, World

EXPLAINED = """
inhibit_rules:
  - name: gateway explains it
    source_matchers: ['alertname="ToolErrors"', 'agent="gateway"']
    target_matchers: 'alertname="SlowRuns"'
    equal: [env]
"""


async def test_what_another_alert_explains_wakes_somebody_once_that_has_ended_and_what_comes_back_is_the_same(tmp_path):
    (tmp_path / "incidents").mkdir()
    (tmp_path / "incidents" / "hiding.yaml").write_text(EXPLAINED)
    async with World(tmp_path, agents=("gateway", "refund-agent")) as world:
        await world.start()
        world.agents["gateway"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page for the gateway")
        world.agents["refund-agent"].values["agent_latency_seconds"] = 20

        async def both() -> list[dict]:
            rows = await world.incidents()
            return rows if len(rows) == 2 else []

        rows = {row["agent"]: row for row in await world.until(both, "the hidden incident")}
        (reason,) = rows["refund-agent"]["suppressed"]
        assert reason["why"] == 'ToolErrors of gateway fires, which explains it (inhibit rule "gateway explains it")'
        assert rows["gateway"]["suppressed"] == []
        assert (len(world.pages_to(ANA)), len(world.cards())) == (1, 1)
        assert reason["why"][:30] in (await world.cli("incidents"))[1]

        world.agents["gateway"].values["agent_tool_errors"] = 0
        await world.until(lambda: len(world.pages_to(ANA)) == 2, "page for the refund agent")
        assert "refund-agent is slow" in world.pages_to(ANA)[1]["text"]

        world.agents["gateway"].values["agent_tool_errors"] = 38
        await world.until(lambda: len(world.pages_to(ANA)) == 3, "the gateway pages again")
        (gateway,) = [row for row in await world.incidents() if row["agent"] == "gateway"]
        assert (gateway["id"], gateway["state"]) == (rows["gateway"]["id"], "open")
        (hidden,) = [row for row in await world.incidents() if row["agent"] == "refund-agent"]
        assert hidden["suppressed"] == [reason]
        said = "Wakes nobody now"
        await world.until(lambda: any(said in json.dumps(card.get("blocks")) for card in world.cards()), "card says so")
