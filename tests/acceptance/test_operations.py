"""What keeps the pager itself in sight: heartbeat, health, metrics, reload by signal and by looking at the files."""

from __future__ import annotations

import os
import signal

from aiohttp import ClientSession, web
from world import ANA, BEN, CHRIS, World, free_port


class DeadMansSwitch:
    def __init__(self) -> None:
        self.port = free_port()
        self.calls = 0

    async def __aenter__(self) -> DeadMansSwitch:
        app = web.Application()
        app.router.add_get("/ping", self._ping)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _ping(self, _request: web.Request) -> web.Response:
        self.calls += 1
        return web.Response(text="ok")


async def test_the_heartbeat_is_sent_while_all_is_well_and_withheld_while_the_watcher_hangs(tmp_path):
    async with DeadMansSwitch() as switch, World(tmp_path) as world:
        config = tmp_path / "agentpager.yaml"
        config.write_text(
            config.read_text() + f'heartbeat: {{url: "http://127.0.0.1:{switch.port}/ping", interval: 1s}}\n'
        )
        await world.start()
        await world.until(lambda: switch.calls >= 2, "heartbeats")
        withheld = world.log().count("heartbeat.withheld")  # at start, before everything was up
        os.kill(world.watcher_pid(), signal.SIGSTOP)

        def quiet() -> bool:
            return world.log().count("heartbeat.withheld") > withheld

        await world.until(quiet, "withheld", 20)
        before = switch.calls
        await world.never(lambda: switch.calls > before, "no heartbeat while the watcher hangs", 2)


async def test_health_and_metrics_show_both_processes(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        async with ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{world.port}/-/healthy") as answer:
                assert answer.status == 200
            async with session.get(f"http://127.0.0.1:{world.port}/metrics") as answer:
                page = await answer.text()
        assert "agentpager_watcher_starts_total 1.0" in page
        assert 'agentpager_scrapes{outcome="scrapes"}' in page
        ready = await world.get("/-/ready")
        assert ready["checks"] == {"store": "ok", "watcher": "ok", "slack": "ok"}


async def test_a_running_incident_keeps_its_policy_over_a_reload_and_a_new_one_takes_the_new(tmp_path):
    async with World(tmp_path, wait="6s", agents=("refund-agent", "kyc-agent")) as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        oncall = tmp_path / "oncall" / "payments.yaml"
        oncall.write_text(oncall.read_text().replace('["schedule:primary"]', '["person:chris"]').replace("6s", "60s"))
        assert world.process is not None
        world.process.send_signal(signal.SIGHUP)
        await world.until(lambda: "config.reloaded" in world.log(), "reloaded by SIGHUP")
        await world.until(lambda: world.pages_to(BEN), "the old policy's second step after the old wait", 12)
        assert world.pages_to(CHRIS) == []
        world.agents["kyc-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(CHRIS), "the new policy for the new incident")


async def test_a_changed_file_is_noticed_without_being_told(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        rules = tmp_path / "alerts" / "tools.yaml"
        rules.write_text(rules.read_text().replace("agent_tool_errors > 5", "agent_tool_errors > 1"))
        world.agents["refund-agent"].values["agent_tool_errors"] = 3
        await world.until(lambda: world.pages_to(ANA), "page by the changed rule", 30)


async def test_a_rule_taken_out_of_the_files_ends_its_alert(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        (tmp_path / "alerts" / "tools.yaml").write_text("groups: []\n")
        status, body = await world.post("/-/reload")
        assert status == 200, body

        async def over() -> bool:
            return [row["state"] for row in await world.incidents()] == ["resolved"]

        await world.until(over, "resolved, because a human removed the rule")


async def test_closed_by_hand_while_it_fires_it_stays_closed_and_is_watched(tmp_path):
    async with World(tmp_path) as world:
        oncall = tmp_path / "oncall" / "payments.yaml"
        oncall.write_text(oncall.read_text().replace("repeat: 1", "repeat: 1\n    ack_timeout: {critical: 6s}"))
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        (page,) = await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.slack.click(ANA, "inc.resolve", ANA, page["ts"])
        (window,) = await world.until(lambda: list(world.slack.views), "window that asks")
        await world.until(lambda: world.slack.views[window].get("submit"), "window filled in")
        await world.slack.submit(ANA, window)

        async def state() -> str:
            return str((await world.incidents())[0]["state"])

        async def resolved() -> bool:
            return await state() == "resolved"

        async def open_again() -> bool:
            return await state() == "open"

        await world.until(resolved, "resolved by hand", 5)
        await world.until(open_again, "opened again: its alert still fires after the ack timeout", 12)
        await world.until(lambda: len(world.pages_to(ANA)) == 2, "and Ana is paged anew", 5)
        assert len(await world.incidents()) == 1


async def test_a_second_server_on_the_same_configuration_does_not_start(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        code, output = await world.cli("serve")
        assert code == 2
        assert f"127.0.0.1:{world.port}" in output
        assert "choose another port" in output


async def test_a_change_that_needs_a_restart_is_told_and_the_rest_is_running(tmp_path):
    async with World(tmp_path) as world:
        await world.start()
        config = tmp_path / "agentpager.yaml"
        config.write_text(config.read_text().replace("#agent-pages", "#other-pages"))
        status, body = await world.post("/-/reload")
        assert status == 200, body
        told = "take effect when agentpager is restarted"
        await world.until(lambda: any(told in str(message) for message in world.slack.posted("#other-pages")), "told")


async def test_nobody_reading_the_log_stops_nothing(tmp_path):
    async with World(tmp_path) as world:
        await world.start(deaf_log=True)
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        world.agents["refund-agent"].values["agent_tool_errors"] = 0

        async def over() -> bool:
            return [row["state"] for row in await world.incidents()] == ["resolved"]

        await world.until(over, "and it goes on")
