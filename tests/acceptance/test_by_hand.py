"""Pages, tests and rota changes that people ask for: whole processes, Slack and the command line, a kill between."""

from __future__ import annotations

import asyncio
import json

from world import ANA, BEN, World


def acknowledge(page) -> str:
    (button,) = [
        element
        for block in page["blocks"]
        for element in block.get("elements", [])
        if element.get("action_id") == "inc.ack"
    ]
    return button["action_id"]


async def test_a_test_page_goes_the_true_way_survives_a_kill_and_leaves_evidence(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        answer = await world.slack.command(ANA, "test me")
        assert "a test page is on its way to you by Slack" in answer["payload"]["text"]
        (page,) = await world.until(lambda: world.pages_to(ANA), "the test page")
        assert page["text"].startswith("🧪 TEST page: nothing is wrong.")
        assert "CRITICAL" not in json.dumps(page)

        await world.kill()
        await world.start()
        await world.slack.click(ANA, acknowledge(page), page["channel"], page["ts"])
        await world.until(lambda: page["text"].startswith("✅ TEST PASSED"), "the message says how it went")
        assert "Slack had it" in page["text"]  # when, it does not know if the kill came before the row
        assert world.pages_to(BEN) == []
        assert world.cards() == []
        assert "test.passed" in (await world.cli("audit", "show", "1"))[1]
        assert (await world.cli("audit", "verify"))[0] == 0
        # It is in no report.
        report = json.loads((await world.cli("report", "-o", "json"))[1])
        assert report["total"]["incidents"] == 0


async def test_the_command_line_waits_for_a_test_and_pages_by_hand(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        waiting = asyncio.create_task(world.cli("test-page", "ana", "--wait", "--as", "ben"))
        await world.until(lambda: world.pages_to(ANA), "the test page")
        code, told = await world.cli("ack", "1", "--as", "ben")
        assert code == 2
        assert "an ack by somebody else proves nothing" in told
        assert (await world.cli("ack", "1", "--as", "ana"))[0] == 0
        code, told = await waiting
        assert (code, "INC-1: passed: Slack had it after" in told) == (0, True)

        code, told = await world.cli("page", "refund-agent", "refunds", "are", "doubled", "--as", "ben")
        assert (code, told.startswith("INC-2 pages Ana Ruiz now;")) == (0, True)
        await world.until(lambda: any("refunds are doubled" in page["text"] for page in world.pages_to(ANA)), "a page")
        assert (await world.cli("resolve", "2", "--as", "ana"))[0] == 0
        assert (await world.get("/api/pager/incidents")) == []


async def test_an_override_decides_who_is_woken_also_after_a_kill(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        answer = await world.slack.command(BEN, "override payments me 2h Ana is at the dentist")
        assert "ROTA-1: Ben Cole is on call in" in answer["payload"]["text"]
        await world.until(lambda: world.pages_to(ANA), "a word to Ana, who would have had it")
        assert "Ben Cole is on call in" in json.dumps(world.pages_to(ANA)[0], ensure_ascii=False)
        await world.kill()
        await world.start()
        code, told = await world.cli("oncall")
        assert (code, "ben" in told) == (0, True)

        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(BEN), "a page to Ben")
        assert "override in" in json.dumps(world.pages_to(BEN)[0])
        assert len(world.pages_to(ANA)) == 1
        assert (await world.cli("override", "end", "1", "--as", "ana"))[0] == 0
        assert (await world.cli("override", "list"))[1] == "no overrides and no swaps\n"


async def test_the_home_tab_acknowledges(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.slack.open_home(ANA)
        await world.until(lambda: "INC-1" in json.dumps(world.slack.homes.get(ANA)), "the incident in the home tab")
        await world.slack.click_home(ANA, "home.ack", "INC-1|1")
        await world.until(lambda: "INC-1 is yours" in json.dumps(world.slack.homes[ANA]), "the home tab says it")
        assert (await world.incidents())[0]["acked_by"] == "ana"
