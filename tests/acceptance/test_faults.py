"""Slack misbehaves, targets misbehave, files break: as DESIGN §6 asks, with whole processes."""

from __future__ import annotations

import asyncio
import gzip
import json

from aiohttp import web
from world import ANA, BEN, CHANNEL, World


def errors(world: World, count: float = 38) -> None:
    world.agents["refund-agent"].values["agent_tool_errors"] = count


async def test_429_is_obeyed_and_the_page_arrives_after_it(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.slack.mode("rate_limited", method="chat.postMessage", retry_after=3, count=2)
        errors(world)
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.until(world.cards, "card")
        assert world.slack.violations == 0, "no call inside a Retry-After"


async def test_500_is_settled_by_history_not_posted_twice(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.slack.mode(
            "error_500", method="chat.postMessage", channel=world.slack.channel_id(ANA), landed=True, count=1
        )
        errors(world)
        await world.until(lambda: world.slack.calls("conversations.history"), "history is read", 40)

        def settled() -> bool:
            return not world.rows("select id from pages where state in ('due', 'sending', 'unknown')")

        await world.until(settled, "settled", 10)
        assert len(world.pages_to(ANA)) == 1


async def test_500_that_did_not_land_is_sent_again(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.slack.mode("error_500", method="chat.postMessage", channel=world.slack.channel_id(ANA), count=1)
        errors(world)
        await world.until(lambda: world.pages_to(ANA), "page to Ana", 40)
        assert len(world.pages_to(ANA)) == 1


async def test_connection_closed_after_accepting_is_one_message(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.slack.mode("close", method="chat.postMessage", count=2)
        errors(world)
        await world.until(lambda: world.pages_to(ANA), "page to Ana")

        def settled() -> bool:
            return not world.rows("select id from pages where state in ('due', 'sending', 'unknown')")

        await world.until(settled, "settled", 45)
        assert len(world.pages_to(ANA)) == 1
        assert len(world.cards()) == 1


async def test_a_person_slack_cannot_reach_is_passed_over_at_once(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.slack.users[ANA] = {"missing": True}
        world.slack.mode(
            "refused", method="chat.postMessage", channel=world.slack.channel_id(ANA), error="channel_not_found"
        )
        errors(world)
        await world.until(lambda: world.pages_to(BEN), "Ben instead of Ana", 8)


async def test_a_channel_that_is_gone_does_not_stop_the_page(tmp_path):
    async with World(tmp_path) as world:
        agents = tmp_path / "agents" / "agents.yaml"
        agents.write_text(agents.read_text().replace("stage: walk", "stage: walk, channel: '#gone'"))
        world.slack.missing = {"#gone"}
        await world.start()
        errors(world)
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.until(world.cards, "the card goes to the default channel")


async def test_a_silent_slack_delays_nobody_else(tmp_path):
    async with World(tmp_path, wait="4s") as world:
        await world.start()
        world.slack.mode(
            "silent", method="chat.postMessage", channel=world.slack.channel_id(ANA), landed=False, seconds=60
        )
        errors(world)
        await world.until(world.cards, "card", 5)
        await world.until(lambda: world.pages_to(BEN), "Ben after the wait", 10)


async def test_a_dead_target_pages_and_holds_what_was_firing(tmp_path):
    async with World(tmp_path) as world:
        rules = tmp_path / "alerts" / "down.yaml"
        rules.write_text(
            "groups:\n  - name: down\n    rules:\n      - alert: AgentDown\n        expr: up == 0\n"
            "        for: 2s\n        labels: {severity: critical}\n"
        )
        await world.start()
        errors(world)
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.agents["refund-agent"].down()

        async def held() -> bool:
            alerts = {alert["name"]: alert["state"] for alert in (await world.incidents())[0]["alerts"]}
            return alerts == {"ToolErrors": "no_data", "AgentDown": "firing"}

        await world.until(held, "held as no data beside AgentDown")
        (incident,) = await world.incidents()
        assert incident["state"] == "open"
        await world.until(
            lambda: "⚪" in json.dumps(world.cards()[0]["blocks"], ensure_ascii=False), "card says no data"
        )
        errors(world, 0)
        await world.agents["refund-agent"].up()

        async def over() -> bool:
            return [row["state"] for row in await world.incidents()] == ["resolved"]

        await world.until(over, "resolved once good values are seen again")


async def test_hostile_bodies_harm_only_their_own_target(tmp_path):
    async def garbage(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(range(256)) * 100)

    async def huge(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain; version=0.0.4"})
        await response.prepare(request)
        line = b"agent_tool_errors 1\n" * 50_000
        for _ in range(100):
            await response.write(line)
        return response

    packed = gzip.compress(b"a" * (100 << 20))  # once: it takes half a second, and is asked for every second

    async def bomb(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(600):
            await response.write(b"#")
            await asyncio.sleep(0.1)
        return response

    names = ("refund-agent", "garbage", "huge", "bomb", "drip")
    async with World(tmp_path, agents=names) as world:
        for name, body in (("garbage", garbage), ("huge", huge), ("bomb", bomb), ("drip", drip)):
            world.agents[name].body = body
        await world.start()
        targets = (await world.get("/api/v1/targets"))["data"]["activeTargets"]
        health = {target["labels"]["agent"]: target["health"] for target in targets}
        assert health == {"refund-agent": "up", "garbage": "down", "huge": "down", "bomb": "down", "drip": "down"}
        assert all(target["lastError"] for target in targets if target["health"] == "down")
        errors(world)
        await world.until(lambda: world.pages_to(ANA), "the healthy agent pages as always", 6)


async def test_a_broken_file_keeps_the_old_configuration_and_says_so(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        rules = tmp_path / "alerts" / "tools.yaml"
        good = rules.read_text()
        rules.write_text(good.replace("severity: critical", "severty: critical").replace("expr:", "exprr:"))
        status, body = await world.post("/-/reload")
        assert status == 400
        assert "alerts/tools.yaml:" in body
        ready = await world.get("/-/ready")
        assert ready["ready"] is True
        assert ready["config"]["ok"] is False
        assert "alerts/tools.yaml:" in ready["config"]["findings"][0]
        await world.until(
            lambda: any("alerts/tools.yaml:" in str(message) for message in world.slack.posted(CHANNEL)),
            "said in Slack",
        )
        errors(world)
        await world.until(lambda: world.pages_to(ANA), "the old rules go on")
        rules.write_text(good + "\n")
        status, body = await world.post("/-/reload")
        assert (status, body) == (200, "reloaded\n")
        assert (await world.get("/-/ready"))["config"]["ok"] is True


async def test_slack_away_and_back_pages_once_and_plays_nothing_back(tmp_path):
    async with World(tmp_path, wait="3s") as world:
        await world.start()
        await world.slack.__aexit__(None, None, None)
        errors(world)

        async def climbed() -> bool:
            found = await world.incidents()
            return bool(found) and found[0]["round"] > 1

        await world.until(climbed, "escalation goes on while Slack is away")
        errors(world, 0)

        async def over() -> bool:
            return [row["state"] for row in await world.incidents()] == ["resolved"]

        await world.until(over, "and it clears")
        errors(world)

        async def open_again() -> bool:
            return [row["state"] for row in await world.incidents()] == ["open"]

        await world.until(open_again, "it fires again, which opens the same incident")
        await world.slack.__aenter__()
        await world.until(lambda: world.cards() and world.pages_to(ANA), "card and page", 25)
        await world.never(lambda: len(world.cards()) > 1, "one card for the incident", 1)
        await world.never(lambda: len(world.pages_to(ANA)) > 2, "no page of the outage is played back", 3)
