"""`agentpager notify test` and `agentpager doctor` against servers that are there, refuse, or are not."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from aiohttp import web
from fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from fake_smtp import FakeSmtp

ONCALL = """
people:
  ana:
    name: Ana Ruiz
    slack: U0ANA
    email: ana@example.com
    phone: "+34600000000"
    notification_rules:
      high: [{by: slack}, {by: email, after: 2m}, {by: "webhook:sms", after: 5m}]
fallback: "person:ana"
"""


def write(folder: Path, slack: FakeSlack, mails: FakeSmtp, hook: str) -> None:
    (folder / "oncall").mkdir()
    (folder / "oncall" / "all.yaml").write_text(ONCALL)
    (folder / "agentpager.yaml").write_text(
        f"""\
slack: {{bot_token: "{BOT_TOKEN}", app_token: "{APP_TOKEN}", api_url: "{slack.api_url}"}}
http: {{listen: "127.0.0.1:0", external_url: "https://pager.example.com"}}
notify:
  email: {{host: localhost, port: {mails.port}, tls: none, from: pager@example.com}}
  webhooks:
    sms:
      url: "{hook}"
      allow_private: true
      body: '{{"to": "{{{{ person.phone }}}}", "text": "{{{{ subject }}}}"}}'
actions:
  webhooks:
    control: {{url: "{hook}", bearer_token: token-1, allow_private: true, allow: [{{path: /pause}}]}}
"""
    )


async def agentpager(folder: Path, *args: str) -> tuple[int, list[dict]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *args, "-o", "json", cwd=folder, stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(output)


class Hook:
    def __init__(self) -> None:
        self.posted: list[dict] = []

    async def __aenter__(self) -> Hook:
        async def take(request: web.BaseRequest) -> web.Response:
            self.posted.append(await request.json())
            return web.Response()

        self._runner = web.ServerRunner(web.Server(take), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/sms"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def test_a_test_message_goes_by_each_channel_and_says_that_it_is_one(tmp_path):
    async with FakeSlack() as slack, FakeSmtp() as mails, Hook() as hook:
        write(tmp_path, slack, mails, hook.url)
        code, rows = await agentpager(tmp_path, "notify", "test", "ana")
        assert [(row["channel"], row["accepted"]) for row in rows] == [
            ("U0ANA", True),
            ("email:ana@example.com", True),
            ("webhook:sms", True),
        ]
        assert code == 0
        assert "Test message from agentpager to Ana Ruiz" in str(slack.posted("U0ANA"))
    (mail,) = mails.mails
    assert mail.message["Subject"] == "Test message from agentpager to Ana Ruiz"
    assert "Nothing is to be done." in mail.text
    assert hook.posted == [{"to": "+34600000000", "text": "Test message from agentpager to Ana Ruiz"}]


async def test_what_does_not_work_is_told_one_by_one(tmp_path):
    async with FakeSlack() as slack, FakeSmtp(answers={"RCPT": "550 no such user"}) as mails, Hook() as hook:
        write(tmp_path, slack, mails, hook.url)
        slack.mode("refused", error="token_revoked")
    async with FakeSmtp(port=mails.port, answers={"RCPT": "550 no such user"}):
        code, rows = await agentpager(tmp_path, "notify", "test", "ana")
    assert code == 1
    assert [row["accepted"] for row in rows] == [False, False, False]
    assert "550 no such user" in rows[1]["message"]
    assert "127.0.0.1 cannot be reached" in rows[2]["message"]


async def test_the_doctor_tries_them_without_sending(tmp_path):
    async with FakeSlack() as slack, FakeSmtp() as mails, Hook() as hook:
        write(tmp_path, slack, mails, hook.url)
        _, rows = await agentpager(tmp_path, "doctor")
        found = {row["check"]: row["status"] for row in rows}
        assert (found["notify.email"], found["notify.webhooks.sms"]) == ("ok", "ok")
        assert found["actions.webhooks.control"] == "ok"
        assert (mails.mails, hook.posted) == ([], [])
        write_again = (tmp_path / "agentpager.yaml").read_text().replace("allow_private: true", "allow_private: false")
        (tmp_path / "agentpager.yaml").write_text(write_again)
    _, rows = await agentpager(tmp_path, "doctor")
    told = {row["check"]: row["message"] for row in rows}
    assert "cannot be reached" in told["notify.email"]
    for key in ("notify.webhooks.sms", "actions.webhooks.control"):
        assert told[key].endswith("a private address; allow_private: true permits it")
