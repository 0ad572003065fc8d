"""The bot in HTTP mode against a Slack that somebody else has written: npm's `emulate`, pinned in tests/emulate.

It has the Web API, and neither Socket Mode nor people who click: what they would send is signed and sent here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml
from aiohttp import ClientSession, ClientTimeout, web
from fake_slack import SIGNING_SECRET, signed
from world import World, free_port

pytestmark = pytest.mark.interop
HOME = Path(__file__).parents[1] / "emulate" / "node_modules"
TOKEN = "xoxb-emulated-bot"
OURS = "xoxp-the-tests-own"
TEAM = "T000000001"
SCOPES = ["chat:write", "channels:history", "groups:history", "im:history", "im:write", "users:read", "files:write"]
SEED = {
    "slack": {
        "team": {"name": "Acme"},
        "users": [
            {"name": "ana", "real_name": "Ana Ruiz"},
            {"name": "ben", "real_name": "Ben Cole"},
            {"name": "chris", "real_name": "Chris Lee"},
            {"name": "zoe", "real_name": "Zoe Newcomer"},
        ],
        "channels": [{"name": "agent-pages"}, {"name": "payments-agents"}],
        "tokens": [
            {"token": TOKEN, "type": "bot", "user": "admin", "scopes": SCOPES},
            {"token": OURS, "type": "user", "user": "admin"},
        ],
        "strict_scopes": True,
    }
}


class Emulator:
    """A process, and what it tells of itself by its own Web API. `ids` are members by name."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.api_url = f"http://127.0.0.1:{port}/api/"
        self.ids: dict[str, str] = {}
        self.channels: dict[str, str] = {}
        self.answers: list[dict] = []

    @contextlib.asynccontextmanager
    async def running(self):
        seed = self.folder / "emulate.yaml"
        seed.write_text(yaml.safe_dump(SEED))
        node = HOME / ".bin" / "node"
        command = [str(node if node.exists() else shutil.which("node")), str(HOME / "emulate" / "dist" / "index.js")]
        with (self.folder / "emulate.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command, "--service", "slack", "--port", str(self.port), "--seed", str(seed), stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(30):
                while not await self._awake():
                    await asyncio.sleep(0.1)
            self.ids = {user["name"]: user["id"] for user in (await self("users.list"))["members"]}
            self.channels = {one["name"]: one["id"] for one in (await self("conversations.list"))["channels"]}
            yield self
        finally:
            process.terminate()
            await process.wait()

    async def _awake(self) -> bool:
        with contextlib.suppress(OSError):
            return bool((await self("auth.test"))["ok"])
        return False

    async def __call__(self, method: str, **arguments) -> dict:
        headers = {"authorization": f"Bearer {OURS}"}
        async with (
            ClientSession(timeout=ClientTimeout(total=5)) as session,
            session.post(self.api_url + method, json=arguments, headers=headers) as answer,
        ):
            return await answer.json()

    async def messages(self, channel: str) -> list[dict]:
        """Of a channel by name, or of the direct message with a member; the oldest first."""
        place = self.channels.get(channel)
        if place is None:
            place = (await self("conversations.open", users=self.ids[channel]))["channel"]["id"]
        return list(reversed((await self("conversations.history", channel=place))["messages"]))


class Person:
    """Sends what Slack would send when somebody clicks or writes, and reads what comes back for them alone."""

    def __init__(self, world: World, emulator: Emulator, name: str) -> None:
        self.world, self.emulator, self.id = world, emulator, emulator.ids[name]
        self.told: list[dict] = []
        self.port = free_port()

    @contextlib.asynccontextmanager
    async def listening(self):
        async def take(request: web.Request) -> web.Response:
            self.told.append(await request.json())
            return web.Response(text="ok")

        app = web.Application()
        app.router.add_post("/response", take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        yield self
        await runner.cleanup()

    async def click(self, message: dict, action: str, *, trigger: str = "t", at: str = "1.1") -> int:
        elements = [element for block in message["blocks"] for element in block.get("elements", [])]
        button = next(element for element in elements if element.get("action_id") == action)
        payload = {
            "type": "block_actions",
            "team": {"id": TEAM},
            "user": {"id": self.id, "team_id": TEAM},
            "trigger_id": trigger,
            "response_url": f"http://127.0.0.1:{self.port}/response",
            "actions": [{"type": "button", "action_id": action, "value": button["value"], "action_ts": at}],
        }
        return (await self._send({"payload": json.dumps(payload)}))[0]

    async def command(self, text: str) -> str:
        form = {"command": "/agent", "text": text, "team_id": TEAM, "user_id": self.id, "trigger_id": "t2"}
        return (await self._send(form))[1]

    async def _send(self, form: dict[str, str]) -> tuple[int, str]:
        body = urlencode(form)
        headers = signed(body, int(time.time())) | {"content-type": "application/x-www-form-urlencoded"}
        url = f"http://127.0.0.1:{self.world.port}/slack/events"
        async with ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def emulator(tmp_path):
    if not (HOME / "emulate").is_dir() and not os.environ.get("CI"):
        pytest.skip("emulate is not installed: npm ci --prefix tests/emulate")
    async with Emulator(tmp_path, free_port()).running() as running:
        yield running


@pytest.fixture
async def world(tmp_path, emulator):
    async with World(tmp_path) as world:
        main = tmp_path / "agentpager.yaml"
        settings = yaml.safe_load(main.read_text())
        settings["slack"] = {
            "mode": "http",
            "bot_token": TOKEN,
            "signing_secret": SIGNING_SECRET,
            "channel": "#agent-pages",
            "api_url": emulator.api_url,
        }
        main.write_text(yaml.safe_dump(settings))
        oncall = tmp_path / "oncall" / "payments.yaml"
        text = oncall.read_text()
        for name in ("ana", "ben", "chris"):
            text = text.replace(f"U0{name.upper()}", emulator.ids[name])
        oncall.write_text(text)
        await world.start()
        yield world


def shown(message: dict) -> str:
    return json.dumps(message.get("blocks"), ensure_ascii=False)


async def test_a_page_its_runbook_an_acknowledgement_and_the_end(world, emulator):
    async with Person(world, emulator, "ana").listening() as ana:
        world.agents["refund-agent"].values["agent_tool_errors"] = 38

        async def paged():
            return await emulator.messages("ana")

        (page, *_) = await world.until(paged, "page to Ana")
        assert page["text"].startswith("🔴 CRITICAL refund-agent: 38 tool errors")
        assert await emulator.messages("ben") == []

        async def card():
            return next((one for one in await emulator.messages("agent-pages") if "thread_ts" not in one), None)

        posted = await world.until(card, "card in the channel")
        place = emulator.channels["agent-pages"]

        async def in_thread():
            replies = (await emulator("conversations.replies", channel=place, ts=posted["ts"]))["messages"]
            return any("agentctl rotate" in shown(reply) for reply in replies)

        trigger = (await emulator("views.generateTriggerId", user_id=ana.id))["trigger_id"]
        assert await ana.click(page, "inc.runbook", trigger=trigger) == 200

        assert await ana.click(page, "inc.ack") == 200

        async def acked():
            return "🟨" in shown(await card()) and "Ana Ruiz" in shown(await card())

        await world.until(acked, "the card shows who has it")
        await world.until(in_thread, "the runbook in the card's thread")
        assert [row["acked_by"] for row in await world.incidents()] == ["ana"]
        assert "INC-1" in await ana.command("incidents")

        world.agents["refund-agent"].values["agent_tool_errors"] = 0

        async def over():
            return "✅" in shown(await card())

        await world.until(over, "the card shows the end")


async def test_a_stranger_is_refused_and_a_replayed_click_changes_nothing(world, emulator):
    async with Person(world, emulator, "ana").listening() as ana:
        world.agents["refund-agent"].values["agent_tool_errors"] = 38

        async def paged():
            return await emulator.messages("ana")

        (page, *_) = await world.until(paged, "page to Ana")
        async with Person(world, emulator, "zoe").listening() as stranger:
            assert await stranger.click(page, "inc.ack") == 200
            await world.until(lambda: stranger.told, "an answer to the stranger")
            assert [one["response_type"] for one in stranger.told] == ["ephemeral"]
        assert [row["state"] for row in await world.incidents()] == ["open"]
        assert await ana.click(page, "inc.ack") == 200
        await ana.click(page, "inc.ack")
        acks = world.rows("select count(*) from audit where doc like '%incident.acked%'")
        assert acks == [(1,)]


async def test_the_doctor_says_what_this_slack_lacks_and_what_it_has(world, emulator):
    code, output = await world.cli("doctor", "--config", str(world.directory), "-o", "json")
    rows = {row["check"]: row for row in json.loads(output)}
    assert rows["auth.test"]["status"] == "ok"
    assert rows["channel #agent-pages"]["status"] == "ok"
    assert rows["person ana"]["status"] == "ok"
    assert code == 0
