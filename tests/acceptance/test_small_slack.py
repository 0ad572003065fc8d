"""A Slack that knows the fewest methods by which anybody can be paged, as emulators do: everything else answers
`unknown_method`. What needs more is missing then, and nothing else."""

from __future__ import annotations

import pytest
from world import ANA, BEN, CHANNEL, World

FEWEST = frozenset({"auth.test", "apps.connections.open", "chat.postMessage", "chat.update"})


@pytest.mark.parametrize("only_one", [False, True], ids=["many sockets", "one socket"])
async def test_a_page_is_sent_taken_and_ended(tmp_path, only_one):
    async with World(tmp_path) as world:
        world.slack.knows, world.slack.only_one = FEWEST, only_one
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (page,) = await world.until(lambda: world.pages_to(ANA), "page to Ana")
        (card,) = await world.until(world.cards, "card")
        click = await world.slack.click(ANA, "inc.ack", ANA, page["ts"])
        assert click["acked"]
        await world.until(lambda: "🟨" in page["text"] and "🟨" in card["text"], "both show the ack")
        assert world.pages_to(BEN) == []
        world.agents["refund-agent"].values["agent_tool_errors"] = 0
        await world.until(lambda: "✅" in card["text"], "card shows the end")
        assert (await world.get("/-/ready"))["ready"]
        assert "Traceback" not in world.log()


async def test_windows_that_cannot_be_opened_are_answered_in_words(tmp_path):
    async with World(tmp_path) as world:
        world.slack.knows = FEWEST
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (page,) = await world.until(lambda: world.pages_to(ANA), "page to Ana")
        for action in ("inc.runbook", "inc.resolve"):
            before = len(world.slack.responses)
            assert (await world.slack.click(ANA, action, ANA, page["ts"]))["acked"]
            await world.until(lambda before=before: len(world.slack.responses) > before, f"an answer to {action}")
        answer = await world.slack.command(ANA, "status")
        assert answer["acked"]
        await world.until(lambda: (world.slack.responses or [answer])[-1], "status")
        said = await world.slack.command(ANA, "resolve INC-1")
        assert said["acked"]
        await world.until(lambda: "✅" in world.slack.posted(CHANNEL)[0]["text"], "the end, by words")
        assert "Traceback" not in world.log()
