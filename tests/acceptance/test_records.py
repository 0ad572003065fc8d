"""Records on a whole installation: the story of a night, its numbers, and the proof that it was not touched."""

from __future__ import annotations

import json
import sqlite3

from world import ANA, CHANNEL, World

SLA = "sla:\n  critical: {ack: 1s, resolve: 1h}\n"
DIGEST = "digest: {weekly: 'Mon 09:00'}\n"


async def test_the_story_of_a_night_is_told_counted_and_proven(tmp_path):
    async with World(tmp_path) as world:
        (tmp_path / "incidents").mkdir()
        (tmp_path / "incidents" / "sla.yaml").write_text(SLA)
        with (tmp_path / "agentpager.yaml").open("a") as file:
            file.write(DIGEST)
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (page,) = await world.until(lambda: world.pages_to(ANA), "page to Ana")
        (card,) = await world.until(world.cards, "card")
        broken = "SELECT doc FROM audit WHERE doc LIKE '%sla.breached%'"
        await world.until(lambda: world.rows(broken), "the broken promise")
        await world.slack.click(ANA, "inc.ack", ANA, page["ts"])
        await world.until(lambda: world.rows("SELECT 1 FROM incidents WHERE state = 'acked'"), "ack")
        await world.slack.mention(ANA, "note it's the *vendor*", channel=CHANNEL, thread_ts=card["ts"], event_id="Ev9")
        await world.until(lambda: "written down" in json.dumps(world.slack.ephemeral), "answer in the thread")
        code, told = await world.cli("incidents", "mark", "INC-1", "noise", "--as", "ana")
        assert (code, told) == (0, "INC-1: marked, it was noise.\n")
        code, told = await world.cli("incidents", "note", "1", "restarted", "it")
        assert (code, told) == (0, "INC-1: written down, note 2.\n")

        code, told = await world.cli("incidents", "show", "INC-1")
        assert code == 0
        lines = told.splitlines()
        assert lines[:3] == [
            "INC-1 ACKED critical",
            "refund-agent: 38 tool errors",
            "owner team:payments, agent refund-agent",
        ]
        for expected in (
            "page to Ana Ruiz: sent",
            "card to #agent-pages: sent",
            "acknowledged",
            "promise not kept",
            "  it's the *vendor*",
            "  restarted it",
            "  by Ana Ruiz",
            "marked as noise by Ana Ruiz",
        ):
            assert [line for line in lines if expected in line], (expected, told)
        (row,) = await world.incidents()
        assert [(one["what"], one["state"]) for one in row["sla"]] == [("ack", "broken"), ("resolve", "running")]
        assert (row["notes"], row["mark"]) == (2, "noise")

        code, page_ = await world.cli("incidents", "export", "INC-1")
        assert code == 0
        assert page_.startswith("# INC-1: refund-agent: 38 tool errors\n")
        assert "it's the \\*vendor\\*" in page_

        code, told = await world.cli("report", "--by", "rule", "-o", "json")
        report = json.loads(told)
        assert report["total"]["woke"] == report["total"]["answered"] == report["total"]["noise"] == 1
        assert report["total"]["sla"] == {"promised": 1, "ack_breached": 1, "resolve_breached": 0}
        assert [(line["rule"], line["pages"]) for line in report["rows"]] == [("ToolErrors", 1)]
        assert [line["person"] for line in report["people"]] == ["ana"]
        digest = json.dumps(await world.get("/api/pager/digest"))
        assert "INC-1 critical refund-agent: 38 tool errors, Ana Ruiz has it" in digest
        refused = await world.get("/api/pager/handover?schedule=primary")
        assert "has not been handed over lately" in refused["error"]

        code, head = await world.cli("audit", "head")
        assert code == 0
        code, rows = await world.cli("audit", "export", "--subject", "INC-1", "-o", "text")
        assert code == 0
        assert "agentpager page.sent INC-1." in rows
        assert "person:ana incident.acked INC-1" in rows
        await world.kill()
        with sqlite3.connect(tmp_path / "agentpager.db") as database:
            database.execute("DROP TRIGGER audit_no_delete")
            database.execute("DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)")
        assert (await world.cli("audit", "verify"))[0] == 0
        code, told = await world.cli("audit", "verify", "--head", head.strip())
        assert (code, "rows were cut off or written anew" in told) == (1, True)
