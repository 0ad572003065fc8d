"""Runbooks that change while their incidents run."""

from __future__ import annotations

import json

from world import ANA, World


async def test_an_open_incident_shows_the_changed_runbook_and_a_broken_one_changes_nothing(tmp_path):
    path = tmp_path / "runbooks" / "tool-errors.yaml"
    async with World(tmp_path, agents=("refund-agent", "kyc-agent")) as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (page,) = await world.until(lambda: world.pages_to(ANA), "page to Ana")

        async def window() -> str:
            """The runbook as a click on its button shows it now."""
            world.slack.views.clear()
            await world.slack.click(ANA, "inc.runbook", ANA, page["ts"])
            await world.until(lambda: "Tool answers" in json.dumps(world.slack.views), "window with the runbook")
            return json.dumps(list(world.slack.views.values()))

        assert "Rotate the token" in await window()

        good = path.read_text().replace("title: Rotate the token", "title: Renew the token")
        path.write_text(good + '  - {id: up, kind: escalate, title: Wake the next level, to: "level:2"}\n')
        status, body = await world.post("/-/reload")
        assert status == 200, body
        shown = await window()
        assert "Renew the token" in shown
        assert "Rotate the token" not in shown
        assert "Wake the next level" in shown

        path.write_text(good.replace("on_fail: rotate", "on_fail: rotaet"))
        status, body = await world.post("/-/reload")
        assert status != 200
        assert "runbooks/tool-errors.yaml:17:14 RB030 step-target" in body
        assert "Renew the token" in await window()

        world.agents["kyc-agent"].values["agent_tool_errors"] = 38
        pages = await world.until(
            lambda: len(world.pages_to(ANA)) == 2 and world.pages_to(ANA), "page of the other one"
        )
        await world.until(lambda: "Renew the token" in json.dumps(world.pages_to(ANA)), "the last good runbook in it")
        assert len(pages) == 2
        assert len(await world.incidents()) == 2


async def test_a_runbook_taken_away_leaves_its_incident_and_the_next_page_says_that_there_is_none(tmp_path):
    async with World(tmp_path, agents=("refund-agent", "kyc-agent")) as world:
        rules = tmp_path / "alerts" / "tools.yaml"
        rules.write_text(rules.read_text().replace(", runbook: tool-errors", ""))
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: "Rotate the token" in json.dumps(world.pages_to(ANA)), "page with its likely step")
        (tmp_path / "runbooks" / "tool-errors.yaml").unlink()
        status, body = await world.post("/-/reload")
        assert status == 200, body
        world.agents["kyc-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: len(world.pages_to(ANA)) == 2, "page of the other one")
        first, second = sorted(map(json.dumps, world.pages_to(ANA)), key=lambda page: "kyc" in page)
        assert "Rotate the token" in first
        assert "no runbook matches ToolErrors" in second
