"""What the alert saw, as a picture in the thread of its card. Whole processes, real HTTP."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession
from fake_slack import SCOPES
from world import ANA, World


async def test_the_picture_follows_the_card_into_its_thread(tmp_path):
    async with World(tmp_path) as world:
        world.slack.scopes = f"{SCOPES},files:write"
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")

        def drawn():
            return [file for file in world.slack.uploads.values() if file.get("thread")]

        (picture,) = await world.until(drawn, "picture in the thread")
        (card,) = world.cards()
        assert picture["thread"] == card["ts"]
        assert picture["bytes"][:8] == b"\x89PNG\r\n\x1a\n"
        (incident,) = await world.incidents()
        url = f"http://127.0.0.1:{world.port}/api/pager/incidents/{incident['id']}/chart.svg"
        async with ClientSession() as session, session.get(url) as answer:
            svg = await answer.text()
        assert "alerts &gt; 5" in svg
        assert "firing since" in svg


@pytest.mark.parametrize("answer", ["missing_scope", "unknown_method"])
async def test_slack_that_takes_no_files_gets_the_page_all_the_same(tmp_path, answer):
    async with World(tmp_path) as world:
        if answer == "missing_scope":
            world.slack.scopes = SCOPES.replace("files:write", "").replace(",,", ",")
        else:
            world.slack.mode("refused", method="files.getUploadURLExternal", error=answer)
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.until(lambda: world.slack.calls("files.getUploadURLExternal"), "an attempt")
        await world.until(lambda: answer in world.log(), "a word in the log")
        assert (await world.get("/-/ready"))["ready"]
        assert len(world.slack.calls("files.getUploadURLExternal")) == 1
        click = await world.slack.click(ANA, "inc.ack", ANA, world.pages_to(ANA)[0]["ts"])
        assert click["acked"]
