"""Drills with whole processes: rule, owner, Slack, ack, first step; kills in between; never taken for a real page."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

from world import ANA, BEN, CHANNEL, CHRIS, World


def button(page: dict[str, Any], action: str) -> str:
    """The id of the one button of a message whose action begins so."""
    (found,) = [
        element["action_id"]
        for block in page["blocks"]
        for element in block.get("elements", [])
        if element.get("action_id", "").startswith(action)
    ]
    return str(found)


def drills(world: World) -> list[dict[str, Any]]:
    return [json.loads(doc) for (doc,) in world.rows("select doc from evidence where kind = 'drill' order by number")]


async def drill_page(world: World, number: int = 0) -> dict[str, Any]:
    await world.until(lambda: len(world.pages_to(ANA)) > number, "the page of the drill")
    return world.pages_to(ANA)[number]


async def test_a_drill_goes_all_the_way_and_is_kept_as_evidence(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        answer = await world.slack.command(BEN, "drill refund-agent")
        assert "DRILL-1: DRILL of refund-agent." in answer["payload"]["text"]
        assert "pages Ana Ruiz" in answer["payload"]["text"]
        page = await drill_page(world)
        assert page["text"].startswith("🧪 DRILL of refund-agent: nothing is wrong.")
        for word in ("🔴", "If no ack"):
            assert word not in json.dumps(page, ensure_ascii=False)
        card = (await world.until(world.cards, "the card"))[0]
        await world.until(lambda: "check passes" in str(page["blocks"]), "the live check has been made")

        def thread() -> list[str]:
            return [one["text"] for one in world.slack.posted(CHANNEL) if one.get("thread_ts") == card["ts"]]

        await world.until(thread, "the runbook in the thread")
        assert (await world.slack.command(BEN, "drill refund-agent"))["payload"]["text"].startswith(
            "DRILL-1 of refund-agent is under way (INC-1), asked for by Ben Cole"
        )

        await world.slack.click(ANA, button(page, "inc.ack"), page["channel"], page["ts"])
        await world.until(lambda: "🟨 ACKED" in str(page["blocks"]), "the message shows the ack")
        await world.slack.click(ANA, button(page, "step.done"), page["channel"], page["ts"])
        await world.until(lambda: page["text"].startswith("🧪 DRILL PASSED."), "the message says how it went")
        for leg in ("Fired after", "routed after", "sent after", "delivered after", "acknowledged after", "first step"):
            assert leg.lower() in page["text"].lower() or leg.lower() in str(page["blocks"]).lower()
        await world.until(lambda: card["text"].startswith("🧪 DRILL PASSED."), "so does the card")
        await world.until(lambda: len(thread()) == 2, "the end in the thread")
        assert all(text.startswith("🧪 DRILL") for text in thread())
        await world.until(lambda: world.pages_to(BEN), "whoever asked for it is told")
        assert "DRILL of refund-agent passed in" in json.dumps(world.pages_to(BEN))

        (kept,) = drills(world)
        assert (kept["kind"], kept["agent"], kept["passed"], kept["person"]) == ("drill", "refund-agent", True, "ana")
        legs = ["fired", "routed", "sent", "delivered", "acked", "first step"]
        times = [kept["detail"]["seconds"][leg] for leg in legs]
        assert times == sorted(times)
        assert all(time >= 0 for time in times)
        assert "drill.passed" in (await world.cli("audit", "show", "1"))[1]
        assert (await world.cli("audit", "verify"))[0] == 0
        report = json.loads((await world.cli("report", "-o", "json"))[1])
        assert report["total"]["incidents"] == 0
        assert world.pages_to(CHRIS) == []
        # It is over in the watcher too, and there can be another.
        await world.until(lambda: no_drill_fires(world), "its alert ends")
        assert "DRILL-2" in (await world.slack.command(BEN, "drill refund-agent"))["payload"]["text"]


async def no_drill_fires(world: World) -> bool:
    answer = await world.get("/api/v1/alerts")
    if "data" not in answer:  # the watcher is not there
        return False
    return not [one for one in answer["data"]["alerts"] if one["labels"]["alertname"] == "AgentpagerDrill"]


async def test_a_kill_of_the_pager_before_the_alert_and_after_the_page_loses_nothing(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        pid = world.watcher_pid()
        os.kill(pid, signal.SIGSTOP)  # nothing can fire yet
        waiting = asyncio.create_task(world.post("/api/pager/agents/refund-agent/drill", {"person": "ben"}))
        await world.until(lambda: world.rows("select value from keys where name = 'drills'"), "the drill is kept")
        await world.kill()
        os.kill(pid, signal.SIGKILL)
        await asyncio.gather(waiting, return_exceptions=True)
        await world.start()
        page = await drill_page(world)
        await world.kill()
        await world.start()
        await world.slack.click(ANA, "inc.ack", page["channel"], page["ts"])
        await world.until(lambda: "🟨 ACKED" in str(page["blocks"]), "the message shows the ack")
        os.kill(world.watcher_pid(), signal.SIGKILL)
        await world.slack.click(ANA, button(page, "step.done"), page["channel"], page["ts"])
        await world.until(lambda: drills(world), "evidence")
        assert [one["passed"] for one in drills(world)] == [True]
        assert len([one for one in world.pages_to(ANA) if "DRILL" in one["text"]]) == 1
        await world.until(lambda: no_drill_fires(world), "its alert ends with the new watcher", 90)


async def test_a_watcher_that_is_killed_before_it_has_looked_does_so_when_it_is_back(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        pid = world.watcher_pid()
        os.kill(pid, signal.SIGSTOP)
        waiting = asyncio.create_task(world.cli("drill", "refund-agent", "--wait", "--as", "ben", "-o", "json"))
        await world.until(lambda: world.rows("select value from keys where name = 'drills'"), "the drill is kept")
        os.kill(pid, signal.SIGKILL)
        page = await drill_page(world)
        await world.slack.click(ANA, button(page, "inc.ack"), page["channel"], page["ts"])
        await world.until(lambda: "🟨 ACKED" in str(page["blocks"]), "the message shows the ack")
        assert (await world.cli("step", "1", "2", "done", "--as", "ana"))[0] == 0
        code, told = await waiting
        assert (code, json.loads(told)["state"]) == (0, "passed")


async def test_a_real_alert_of_the_agent_opens_its_own_incident_and_nobody_else_passes_the_drill(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        assert (await world.cli("drill", "refund-agent", "--as", "ben"))[0] == 0
        page = await drill_page(world)
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        real = await drill_page(world, 1)
        assert "DRILL" not in json.dumps(real)
        assert {one["title"][:5] for one in await world.incidents()} == {"DRILL", "refun"}
        status = await world.get("/api/pager/status")
        assert [(one["health"], one["incidents"]) for one in status] == [("firing", ["INC-2"])]

        code, told = await world.cli("ack", "1", "--as", "ben")
        assert (code, "what somebody else does shows nothing" in told) == (2, True)
        for verb in ("escalate", "pass", "take"):
            code, told = await world.cli(verb, "1", "--as", "ben")
            assert (code, "INC-1 is a drill" in told) == (2, True)
        assert (await world.cli("ack", "refund-agent", "--as", "ana"))[1].startswith("INC-2 is yours")
        assert (await world.cli("resolve", "1", "--as", "ben"))[0] == 0
        await world.until(lambda: page["text"].startswith("🧪 DRILL NOT PASSED."), "the message says so")
        (kept,) = drills(world)
        assert (kept["passed"], "closed by hand, so it shows nothing" in kept["summary"]) == (False, True)


async def test_what_cannot_be_drilled_says_the_way_out(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        code, told = await world.cli("drill", "refund-agnt")
        assert (code, 'did you mean "refund-agent"' in told) == (2, True)
        answer = await world.slack.command(BEN, "drill")
        assert answer["payload"]["text"].startswith("name the agent whose page to try: drill refund-agent")
        code, told = await world.cli("drill", "refund-agent", "--runbook", "tool-eror")
        assert (code, 'did you mean "tool-errors"' in told) == (2, True)
        assert (await world.cli("drill", "--list"))[1] == "there has been no drill\n"


async def test_the_agents_own_runbook_can_be_drilled_with_its_live_checks(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        code, _ = await world.cli("drill", "refund-agent", "--runbook", "tool-errors", "--as", "ana")
        assert code == 0
        page = await drill_page(world)
        await world.until(lambda: "check passes" in str(page["blocks"]), "the check of the agent's own runbook")
        await world.slack.click(ANA, button(page, "inc.ack"), page["channel"], page["ts"])
        await world.until(lambda: "Rotate the token" in str(page["blocks"]), "its first step")
        await world.slack.click(ANA, button(page, "step.done"), page["channel"], page["ts"])
        await world.until(lambda: page["text"].startswith("🧪 DRILL PASSED."), "it is over")
        rows = (await world.cli("drill", "--list", "refund-agent"))[1]
        assert "DRILL-1" in rows
        assert "passed in" in rows


async def test_the_bundle_of_an_agent_is_there_with_a_server_and_without(tmp_path):
    async with World(tmp_path) as world:
        code, told = await world.cli("agent", "report", "refund-agent")
        assert (code, "From the files alone:** no running server answers" in told) == (0, True)
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await drill_page(world)
        code, told = await world.cli("agent", "report", "refund-agent", "-o", "json")
        bundle = json.loads(told)
        assert (code, bundle["not_asked"]) == (0, None)
        assert [one["id"] for one in bundle["incidents"]["open"]] == ["INC-1"]
        assert [one["name"] for one in bundle["people"]["on_call_now"]] == ["Ana Ruiz"]
        assert ("ToolErrors", "tool-errors") in [(one["alert"], one["runbook"]) for one in bundle["alerts"]]
        assert bundle["readiness"]["agent"] == "refund-agent"
        code, told = await world.cli("agent", "show", "refund-agnt")
        assert (code, 'did you mean "refund-agent"' in told) == (2, True)
        answer = (await world.slack.command(BEN, "show refund-agent"))["payload"]["text"]
        assert answer.startswith(("Refund-Agent (refund-agent), stage walk", "Still looking"))
