"""The main job with whole processes, real HTTP and a real web socket."""

from __future__ import annotations

import json

from world import ANA, BEN, CHANNEL, CHRIS, World


def texts(message: dict) -> str:
    return json.dumps(message.get("blocks", []), ensure_ascii=False)


async def test_a_crossed_threshold_pages_the_person_on_call_who_acknowledges(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (page,) = await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.until(world.cards, "card in the channel")

        assert page["text"].startswith("🔴 CRITICAL refund-agent: 38 tool errors")
        assert "Refund-Agent cannot finish its tasks." in texts(page)
        assert "Tool answers" in texts(page)
        assert "❌" in texts(page)
        assert world.pages_to(BEN) == []

        answer = await world.slack.click(ANA, "inc.ack", ANA, page["ts"])
        assert answer["acked"]
        card = world.cards()[0]
        await world.until(lambda: "Ana Ruiz" in texts(card) and "🟨" in texts(card), "card shows the ack")
        await world.until(lambda: "🟨" in texts(page), "page shows the ack")
        (incident,) = await world.incidents()
        assert (incident["state"], incident["acked_by"], incident["agent"]) == ("acked", "ana", "refund-agent")

        world.agents["refund-agent"].values["agent_tool_errors"] = 0
        await world.until(lambda: "✅" in texts(card), "card shows the end")
        assert [row["state"] for row in await world.incidents()] == ["resolved"]
        assert len(world.pages_to(ANA)) == 1


async def test_nobody_acknowledges_next_step_repeat_and_fallback(tmp_path):
    async with World(tmp_path, wait="2s") as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: len(world.pages_to(CHRIS)) >= 2, "fallback paged again", 40)

        order = [
            entry["args"]["metadata"]["event_payload"]["page_id"].rpartition(".")[2]
            for entry in world.slack.calls("chat.postMessage")
            if entry["args"].get("metadata", {}).get("event_payload", {}).get("kind") == "page"
        ]
        assert order[:5] == ["ana", "ben", "ana", "ben", "chris"]
        assert set(order[5:8]) <= {"chris", "ana", "ben", "#agent-pages"}, "then the whole team, and its channel"
        kinds = [card["metadata"]["event_payload"]["kind"] for card in world.cards()]
        assert kinds.count("card") == 1


async def test_two_alerts_of_one_agent_are_one_incident_and_for_is_respected(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.agents["refund-agent"].values |= {"agent_latency_seconds": 60, "agent_tool_errors": 38}
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        (incident,) = await world.incidents()
        assert [alert["name"] for alert in incident["alerts"]] == ["ToolErrors"], "SlowRuns has to wait three seconds"

        async def both() -> bool:
            return len((await world.incidents())[0]["alerts"]) == 2

        await world.until(both, "second alert in the same incident")
        assert len(await world.incidents()) == 1
        assert len(world.pages_to(ANA)) == 1, "a second alert of the same incident wakes nobody again"


async def test_declining_wakes_the_next_person_at_once(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (page,) = await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.slack.click(ANA, "inc.decline", ANA, page["ts"])
        await world.until(lambda: world.pages_to(BEN), "page to Ben", 5)


async def test_the_command_line_lists_acknowledges_and_resolves(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")

        code, output = await world.cli("incidents", "-o", "json")
        (incident,) = json.loads(output)
        assert (code, incident["id"], incident["owner"]) == (0, "INC-1", "team:payments")
        code, output = await world.cli("alerts", "-o", "json")
        assert (code, json.loads(output)[0]["labels"]["alertname"]) == (0, "ToolErrors")
        code, output = await world.cli("oncall", "-o", "json")
        assert json.loads(output)["schedules"][0]["people"] == ["ana"]

        code, output = await world.cli("ack", "INC-1", "--as", "ben")
        assert code == 0, output
        assert (await world.incidents())[0]["acked_by"] == "ben"
        code, output = await world.cli("ack", "INC-1", "--as", "ana")
        assert code == 2
        assert "Ben Cole has it" in output
        code, output = await world.cli("resolve", "INC-1")
        assert code == 0, output
        assert (await world.incidents())[0]["state"] == "resolved"
        code, output = await world.cli("ack", "INC-99")
        assert code == 2
        assert "INC-99" in output
        code, output = await world.cli("audit", "verify")
        assert code == 0, output


async def test_a_mention_in_the_thread_of_the_card_acknowledges(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (card,) = await world.until(world.cards, "card")
        await world.slack.mention(BEN, "ack", channel=CHANNEL, thread_ts=card["ts"])

        async def acked() -> bool:
            return (await world.incidents())[0]["acked_by"] == "ben"

        await world.until(acked, "ack by mention")
