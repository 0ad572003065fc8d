"""Alerts of other systems: whole processes, real HTTP, a kill between; from their request to the page and its end."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from aiohttp import ClientSession
from world import ANA, CHANNEL, World

SECRET = "lf-whsec_test"
BRIDGES = f"""
bridges:
  gateway: {{kind: litellm, token: gateway-token, annotations: {{runbook: tool-errors}}}}
  quality: {{kind: langfuse, secret: {SECRET}}}
"""
CROSSED = {
    "spend": 102.5,
    "max_budget": 100.0,
    "key_alias": "refund-agent",
    "event": "budget_crossed",
    "event_group": "key",
    "event_message": "Key Budget: Budget Crossed",
}


def slow(severity: str) -> dict[str, Any]:
    message = {"title": f"[{severity}] p95 latency <!channel>", "body": "p95 is 9 s"}
    payload = {"monitorId": "mon_1", "severity": severity, "message": message, "permalink": "https://langfuse.test/m"}
    return {"id": "1", "type": "monitor-alert", "payload": payload}


def bridged(world: World) -> None:
    path = world.directory / "agentpager.yaml"
    path.write_text(path.read_text() + BRIDGES)


async def send(world: World, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"http://127.0.0.1:{world.port}/api/bridges/{path}"
    async with ClientSession() as session, session.post(url, data=raw, headers=headers) as answer:
        return answer.status, await answer.json()


async def send_signed(world: World, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    raw, at = json.dumps(body).encode(), int(time.time())
    digest = hmac.new(SECRET.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
    return await send(world, path, raw, **{"x-langfuse-signature": f"t={at},v1={digest}"})


async def test_a_crossed_budget_pages_the_owner_with_the_runbook_and_survives_a_kill(tmp_path):
    async with World(tmp_path) as world:
        bridged(world)
        await world.start()
        assert await send(world, "gateway?token=gateway-token", CROSSED) == (200, {"status": "success", "alerts": 1})
        (page,) = await world.until(lambda: world.pages_to(ANA), "the page")
        assert "budget crossed by key refund-agent" in page["text"]
        await world.until(lambda: "Rotate the token" in json.dumps(world.slack.posted(CHANNEL)), "its runbook")
        await world.kill()
        await world.start()

        # Sent again, it is the same one; acknowledged, it stays so.
        assert (await world.cli("ack", "1", "--as", "ana"))[0] == 0
        assert (await send(world, "gateway", CROSSED, Authorization="Bearer gateway-token"))[0] == 200
        (incident,) = await world.incidents()
        assert (incident["state"], incident["owner"], incident["agent"]) == ("acked", "team:payments", "refund-agent")
        assert len(incident["alerts"]) == 1

        # A person ends it; when it comes again it is a new one.
        assert (await world.cli("resolve", "1", "--as", "ana"))[0] == 0
        (over,) = await world.incidents()
        assert (over["state"], over["alerts"][0]["state"]) == ("resolved", "resolved")
        assert (await send(world, "gateway?token=gateway-token", CROSSED))[0] == 200
        await world.until(lambda: len(world.pages_to(ANA)) > 1, "a page for the new one")


async def test_langfuse_signs_and_its_recovery_resolves(tmp_path):
    async with World(tmp_path) as world:
        bridged(world)
        await world.start()
        assert await send_signed(world, "quality?agent=refund-agent", slow("ALERT")) == (
            200,
            {"status": "success", "alerts": 1},
        )
        (page,) = await world.until(lambda: world.pages_to(ANA), "the page")
        assert "p95 latency" in page["text"]
        assert "<!channel>" not in json.dumps(page)
        assert (await send_signed(world, "quality?agent=refund-agent", slow("OK")))[0] == 200
        (incident,) = await world.incidents()
        assert incident["state"] == "resolved"


async def test_who_has_no_token_wakes_nobody_and_what_cannot_be_read_is_told(tmp_path):
    async with World(tmp_path) as world:
        bridged(world)
        await world.start()
        refused = [
            await send(world, "gateway", CROSSED),
            await send(world, "gateway?token=wrong", CROSSED),
            await send(world, "nowhere?token=gateway-token", CROSSED),
            await send(world, "quality?token=gateway-token", slow("ALERT")),
            await send(
                world, "quality", slow("ALERT"), **{"x-langfuse-signature": f"t={int(time.time())},v1={'0' * 64}"}
            ),
        ]
        assert {status for status, _ in refused} == {401}
        assert len({answer["error"] for _, answer in refused}) == 1  # which bridges there are is not told

        for body, why in [(b"<html>", "not JSON"), (b"[]", "not a JSON object"), (b'{"hello": 1}', '"event"')]:
            status, answer = await send(world, "gateway?token=gateway-token", body)
            assert (status, why in answer["error"]) == (400, True)
        status, answer = await send(world, "gateway?token=gateway-token&a-b=c", CROSSED)
        assert (status, '"a-b" in the address' in answer["error"]) == (400, True)
        news = CROSSED | {"event": "spend_tracked"}
        assert await send(world, "gateway?token=gateway-token", news) == (200, {"status": "success", "alerts": 0})
        assert await world.incidents() == []


async def test_a_bridge_that_is_taken_away_ends_its_alerts(tmp_path):
    async with World(tmp_path) as world:
        bridged(world)
        await world.start()
        await send(world, "gateway?token=gateway-token", CROSSED)
        path = world.directory / "agentpager.yaml"
        path.write_text(path.read_text().replace(BRIDGES, ""))
        assert (await world.post("/-/reload"))[0] == 200
        (incident,) = await world.incidents()
        assert incident["state"] == "resolved"
        assert (await send(world, "gateway?token=gateway-token", CROSSED))[0] == 401
