"""The way between Slack and the bot, with whole processes: connections that go, and a death between two deliveries."""

from __future__ import annotations

import json
import time
from urllib.parse import urlencode

import yaml
from aiohttp import ClientSession
from fake_slack import SIGNING_SECRET, TEAM, signed
from world import ANA, BEN, World


def acks(world: World) -> int:
    ((count,),) = world.rows("select count(*) from audit where doc like '%incident.acked%'")
    return count


async def test_no_click_is_lost_while_slack_renews_every_connection_and_cuts_one(tmp_path):
    """Each click goes to the next of the connections that Slack holds to be open."""
    async with World(tmp_path) as world:
        await world.start()
        await world.until(lambda: len(world.slack.sockets) == 2, "two connections")
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (page,) = await world.until(lambda: world.pages_to(ANA), "page to Ana")
        answers = []
        for number in range(30):
            if number == 5:
                await world.slack.disconnect()
            if number == 15:
                await world.until(lambda: len(world.slack.sockets) >= 3, "new connections")
                cut = world.slack.sockets[0]
                await world.slack.drop(cut)
                await world.until(lambda cut=cut: cut not in world.slack.sockets, "the end of one")
            world.slack.sockets.append(world.slack.sockets.pop(0))
            answers.append(await world.slack.command(ANA if number % 2 else BEN, f"note INC-1 word {number}"))
        assert all(answer["acked"] for answer in answers)
        assert (await world.slack.click(ANA, "inc.ack", ANA, page["ts"]))["acked"]
        ((doc,),) = world.rows("select doc from incidents")
        texts = [note["text"] for note in json.loads(doc)["notes"]]
        assert sorted(texts) == sorted(f"word {number}" for number in range(30))
        assert acks(world) == 1


async def test_what_was_delivered_before_a_kill_is_refused_after_it_and_slacks_own_retry_changes_nothing(tmp_path):
    async with World(tmp_path) as world:
        main = tmp_path / "agentpager.yaml"
        settings = yaml.safe_load(main.read_text())
        settings["slack"] |= {"mode": "http", "signing_secret": SIGNING_SECRET}
        main.write_text(yaml.safe_dump(settings))
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")

        text = 'silence agent="refund-agent" 2h bank migration'
        form = {"command": "/agent", "text": text, "team_id": TEAM, "user_id": ANA, "trigger_id": "t1"}
        body = urlencode(form)
        headers = signed(body, int(time.time())) | {"content-type": "application/x-www-form-urlencoded"}

        async def post(**more: str) -> int:
            url = f"http://127.0.0.1:{world.port}/slack/events"
            async with ClientSession() as session, session.post(url, data=body, headers=headers | more) as answer:
                return answer.status

        assert await post() == 200
        await world.kill()
        await world.start()
        assert await post() == 401
        assert await post(**{"x-slack-retry-num": "1", "x-slack-retry-reason": "http_timeout"}) == 200
        assert world.rows("select count(*) from silences") == [(1,)]
