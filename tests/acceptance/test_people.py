"""What people do with an incident besides taking it, and what a running one keeps: whole processes, Slack and all."""

from __future__ import annotations

import json

from world import ANA, BEN, CHRIS, World


async def test_taken_handed_on_escalated_and_snoozed_from_slack_and_the_command_line(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")

        assert (await world.cli("ack", "1", "--as", "ana"))[0] == 0
        code, told = await world.cli("take", "INC-1", "--as", "ben")
        assert (code, told) == (0, "INC-1 is yours now; Ana Ruiz is told.\n")
        await world.until(lambda: len(world.pages_to(ANA)) == 2, "a quiet word to Ana")
        assert "ben has taken over INC-1 from you" in world.pages_to(ANA)[1]["text"]

        answer = await world.slack.command(BEN, "hand INC-1 to <@U0CHRIS>")
        assert answer["payload"]["text"].startswith("INC-1: Chris Lee is being woken for it now")
        (page,) = await world.until(lambda: world.pages_to(CHRIS), "page to Chris")
        assert "ben hands it to you" in json.dumps(page)

        answer = await world.slack.command(CHRIS, "snooze INC-1 2h")
        assert answer["payload"]["text"].startswith("INC-1 is yours and quiet until")
        await world.until(lambda: "Snoozed until" in json.dumps(page), "the page says so")
        (incident,) = await world.incidents()
        assert (incident["state"], incident["acked_by"]) == ("acked", "chris")

        code, told = await world.cli("escalate", "1", "--as", "ana")
        assert (code, told) == (0, "INC-1: Ana Ruiz is being woken now.\n")  # it had been handed over: the first level
        code, told = await world.cli("hand", "1", "bem", "--as", "ana")
        assert code == 2
        assert 'there is no person "bem" in oncall/; did you mean "ben"?' in told
        code, told = await world.cli("snooze", "1", "--until", "yesterday", "--as", "ana")
        assert code == 2
        assert "write for example 2h" in told
        assert (await world.cli("audit", "verify"))[0] == 0


async def test_a_reload_in_the_night_leaves_a_running_incident_what_it_started_with(tmp_path):
    async with World(tmp_path, wait="12s") as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        oncall = tmp_path / "oncall" / "payments.yaml"
        # Ben leaves, the second level and the rota are Chris's from now on.
        text = oncall.read_text().replace("  ben: {name: Ben Cole, slack: U0BEN}\n", "")
        text = text.replace("person:ben", "person:chris").replace("[ana]", "[chris]").replace("[ana, ben]", "[chris]")
        oncall.write_text(text.replace("lead: ben", "lead: chris"))
        assert (await world.post("/-/reload"))[0] == 200

        await world.until(lambda: world.pages_to(BEN), "page to Ben, who stood on the second level")
        await world.until(lambda: len(world.pages_to(ANA)) == 2, "page to Ana, who was on duty")
        assert world.pages_to(CHRIS) == []
        code, told = await world.cli("audit", "show", "1")
        assert code == 0
        assert "2. person:ben, wait 12s" in told
        assert "changed since; they still count for it (oncall/payments.yaml; --files shows them)" in told
        assert "ToolErrors fired" in told
        assert "slack: U0BEN" in (await world.cli("audit", "show", "1", "--files"))[1]
