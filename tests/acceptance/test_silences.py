"""Silences on a whole installation: what they hide wakes nobody, is shown with its reason, and pages when they end."""

from __future__ import annotations

import json

from world import ANA, BEN, World


async def test_a_silenced_alert_wakes_nobody_until_the_silence_ends(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        asked = ("silence", "add", 'agent="refund-agent"', "--for", "2h", "--reason", "bank migration")
        code, told = await world.cli(*asked, "--max-severity", "critical", "--as", "ben")
        assert (code, told.splitlines()[1]) == (0, "It hides 0 of the alerts that fire now, up to critical.")

        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (incident,) = await world.until(world.incidents, "the incident")
        assert incident["state"] == "open"
        (why,) = incident["suppressed"]
        assert "silenced by ben until" in why["why"]
        assert "bank migration (SIL-1)" in why["why"]
        assert (world.pages_to(ANA), world.cards()) == ([], [])
        (shown,) = json.loads((await world.cli("alerts", "-o", "json"))[1])
        assert (shown["incident"], shown["suppressed"]) == ("INC-1", [why])
        assert [row["health"] for row in await world.get("/api/pager/status")] == ["hidden"]

        code, told = await world.cli("silence", "expire", "1")
        assert (code, told) == (0, "SIL-1 has ended.\n")
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.until(world.cards, "card in the channel")
        assert (await world.cli("audit", "verify"))[0] == 0


async def test_a_silence_made_from_slack_stops_the_escalation_of_an_open_incident(tmp_path):
    async with World(tmp_path, wait="4s") as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (page,) = await world.until(lambda: world.pages_to(ANA), "page to Ana")
        answer = await world.slack.command(ANA, "silence INC-1 1h waiting for the vendor")
        assert answer["payload"]["text"].startswith('SIL-1 silences agent="refund-agent" alertname="ToolErrors"')
        shown = await world.until(lambda: "waiting for the vendor" in json.dumps(page), "reason on the page")
        assert shown
        await world.never(lambda: world.pages_to(BEN), "Ben was woken for a silenced incident", 6)
        await world.slack.command(ANA, "unsilence SIL-1")
        await world.until(lambda: len(world.pages_to(ANA)) == 2, "paged again from the first level")
