"""`kill -9` at each step of one page, of the pager and of the watcher: nothing lost, at most one duplicate."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from world import ANA, BEN, CHANNEL, World


async def test_killed_before_the_row_exists(tmp_path):
    """The threshold is crossed while nothing runs."""
    async with World(tmp_path) as world:
        await world.start()
        await world.kill()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.start()
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.until(world.cards, "card")
        await world.never(lambda: len(world.pages_to(ANA)) > 1, "one page only", 2)


async def test_killed_after_the_row_and_before_the_send(tmp_path):
    """Slack asks to wait, so the committed row is still due when the process dies."""
    async with World(tmp_path) as world:
        await world.start()
        world.slack.mode("rate_limited", method="chat.postMessage", retry_after=30)
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.slack.calls("chat.postMessage"), "first attempt")
        await world.kill()
        assert world.pages_to(ANA) == []
        world.slack.mode("ok")
        await world.start()
        await world.until(lambda: world.pages_to(ANA), "page to Ana", 40)
        await world.never(lambda: len(world.pages_to(ANA)) > 1, "one page only", 2)
        assert len(await world.incidents()) == 1


async def test_killed_during_the_send_that_did_not_land(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.slack.mode("silent", method="chat.postMessage", landed=False)
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.slack.calls("chat.postMessage"), "request under way")
        await world.kill()
        world.slack.mode("ok")
        await world.start()
        await world.until(lambda: world.pages_to(ANA), "page to Ana after the settle time", 40)
        await world.never(lambda: len(world.pages_to(ANA)) > 1, "one page only", 2)


async def test_killed_after_the_send_landed_and_before_it_was_recorded(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.slack.mode("silent", method="chat.postMessage", landed=True)
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page landed")
        await world.kill()
        world.slack.mode("ok")
        await world.start()

        def settled() -> bool:
            return not world.rows("select id from pages where state in ('due', 'sending', 'unknown')")

        await world.until(settled, "every page settled", 45)
        assert len(world.pages_to(ANA)) == 1, "history showed that it had landed"
        assert len(world.cards()) == 1
        (page,) = world.pages_to(ANA)
        await world.slack.click(ANA, "inc.ack", ANA, page["ts"])
        await world.until(lambda: "🟨" in str(page["blocks"]), "the found message is edited like any other")


async def test_escalation_goes_on_after_a_restart_without_starting_anew(tmp_path):
    async with World(tmp_path, wait="6s") as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.kill()
        await world.start()
        await world.until(lambda: world.pages_to(BEN), "page to Ben", 12)
        assert len(world.pages_to(ANA)) == 1


async def test_watcher_killed_pager_escalates_and_nothing_is_resolved(tmp_path):
    async with World(tmp_path, wait="5s") as world:
        await world.start()
        world.agents["refund-agent"].values |= {"agent_tool_errors": 38, "agent_latency_seconds": 60}

        async def both() -> bool:
            found = await world.incidents()
            return bool(found) and len(found[0]["alerts"]) == 2

        await world.until(both, "both alerts")
        first = world.watcher_pid()
        os.kill(first, signal.SIGKILL)
        await world.until(lambda: world.pages_to(BEN), "the pager escalates", 12)
        await world.until(world.is_ready, "the watcher is back")
        assert world.watcher_pid() != first
        states = {row["state"] for row in await world.incidents()}
        assert states == {"open"}
        assert len(await world.incidents()) == 1
        world.agents["refund-agent"].values |= {"agent_tool_errors": 0, "agent_latency_seconds": 1}

        async def over() -> bool:
            return (await world.incidents())[0]["state"] == "resolved"

        await world.until(over, "it resolves when the values are good again")


async def test_watcher_hung_is_replaced_and_acks_work_meanwhile(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (page,) = await world.until(lambda: world.pages_to(ANA), "page to Ana")
        hung = world.watcher_pid()
        os.kill(hung, signal.SIGSTOP)
        await world.slack.click(ANA, "inc.ack", ANA, page["ts"])
        await world.until(lambda: "🟨" in str(page["blocks"]), "the ack is shown while the watcher hangs", 5)

        def replaced() -> bool:
            try:
                return world.watcher_pid() != hung
            except AssertionError:
                return False

        await world.until(replaced, "a new watcher", 40)
        await world.until(world.is_ready, "ready again")
        assert [row["state"] for row in await world.incidents()] == ["acked"]


async def test_pending_time_survives_a_restart_of_the_watcher(tmp_path):
    async with World(tmp_path) as world:
        rules = tmp_path / "alerts" / "tools.yaml"
        rules.write_text(rules.read_text().replace("for: 3s", "for: 12s"))
        await world.start()
        world.agents["refund-agent"].values["agent_latency_seconds"] = 60

        async def pending() -> bool:
            return any(alert["state"] == "pending" for alert in (await world.get("/api/v1/alerts"))["data"]["alerts"])

        await world.until(pending, "pending")
        (before,) = (await world.get("/api/v1/alerts"))["data"]["alerts"]
        await world.until(lambda: world.rows("select * from rule_states where state like '%SlowRuns%'"), "saved")
        os.kill(world.watcher_pid(), signal.SIGKILL)

        async def answers() -> bool:
            return (await world.get("/api/v1/alerts")).get("status") == "success" and await pending()

        await world.until(answers, "pending again")
        (after,) = (await world.get("/api/v1/alerts"))["data"]["alerts"]
        assert after["activeAt"] >= before["activeAt"]
        await world.until(lambda: world.pages_to(ANA), "it fires", 20)


async def test_sigterm_stops_both_processes_and_loses_nothing(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        watcher = world.watcher_pid()
        await world.kill(signal.SIGTERM)
        assert world.process is not None
        assert world.process.returncode == 0, world.log()[-3000:]
        assert not Path(f"/proc/{watcher}").exists()
        await world.start()
        await world.never(lambda: len(world.pages_to(ANA)) > 1, "no second page for the same incident", 3)
        assert CHANNEL in str(world.rows("select doc from incidents"))
