"""`agentpager doctor` against a Slack that answers, refuses, or is not there."""

from __future__ import annotations

import asyncio
import json
import socket
import textwrap

import pytest
from click.testing import CliRunner
from fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from ports import free_port

from bot.cli.doctor import command

MAIN = """
metrics: {{scrape: {{timeout: 400ms, targets: [{{url: "{target}", labels: {{agent: refund-agent}}}}]}}}}
rules: {{files: []}}
runbooks: {{files: []}}
agents: {{files: []}}
slack: {{bot_token: "${{BOT}}", app_token: "${{APP}}", channel: "#agent-pages", api_url: "{api}"}}
store: {{url: "sqlite:///{store}"}}
http: {{listen: "127.0.0.1:{port}"}}
heartbeat: {{url: "{heartbeat}"}}
{more}
"""
PEOPLE = """
people:
  ana: {name: Ana Ruiz, slack: U02ABCDEF, email: ana@example.com}
  ben: {name: Ben Cole, slack: U03BACKUP}
fallback: "person:ben"
"""
SCHEDULE = """
schedules:
  primary: {usergroup: S0615G0KT, layers: [{people: [ana, ben], start: 2026-01-05, every: 1w}]}
"""


@pytest.fixture
async def slack():
    async with FakeSlack() as running:
        yield running


@pytest.fixture
async def target():
    async def answer(reader, writer):
        if await reader.read(4096):
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 7\r\nconnection: close\r\n\r\n"
            writer.write(head + b"fine 1\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"
    server.close()


class Doctor:
    def __init__(self, folder, slack, target):
        self.folder = folder
        self.values = {
            "target": target,
            "api": slack.api_url,
            "store": "pager.db",
            "port": free_port(),
            "heartbeat": target,
            "more": "",
        }
        self.people = PEOPLE
        self.env = {"BOT": BOT_TOKEN, "APP": APP_TOKEN}

    async def __call__(self, *arguments, **values):
        main = textwrap.dedent(MAIN).format(**self.values | values)
        (self.folder / "agentpager.yaml").write_text(main)
        (self.folder / "oncall").mkdir(exist_ok=True)
        (self.folder / "oncall" / "people.yaml").write_text(self.people)
        options = ["--config", str(self.folder / "agentpager.yaml"), "-o", "json", *arguments]
        result = await asyncio.to_thread(CliRunner().invoke, command, options, env=self.env)
        assert "Traceback" not in result.output
        return result.exit_code, {row["check"]: row for row in json.loads(result.stdout)}


@pytest.fixture
def doctor(tmp_path, slack, target):
    return Doctor(tmp_path, slack, target)


async def test_all_well_ends_with_0_and_leaves_no_trace(doctor, slack):
    code, rows = await doctor()
    assert {name: row["status"] for name, row in rows.items() if row["status"] != "ok"} == {}
    assert code == 0
    assert {"auth.test", "scopes", "socket mode", "channel #agent-pages", "person ana", "store"} <= set(rows)
    assert slack.calls("chat.postMessage") == []
    assert slack.planned == {}
    assert [path.name for path in doctor.folder.iterdir() if path.name.startswith((".", "pager"))] == []


def _without(slack, scope):
    slack.scopes = ",".join(each for each in slack.scopes.split(",") if each != scope)


BREAKS = [
    (lambda slack: _without(slack, "im:write"), "scope im:write", "fail", "no finding the direct message", 1),
    (lambda slack: _without(slack, "im:history"), "scope im:history", "warning", "may show twice", 0),
    (lambda slack: _without(slack, "files:write"), "scope files:write", "warning", "without the picture", 0),
    (lambda slack: _without(slack, "dnd:read"), "scope dnd:read", "skipped", "shifts.messages is off", 0),
    (lambda slack: _without(slack, "usergroups:write"), "scope usergroups:write", "skipped", "no schedule names", 0),
    (lambda slack: slack.missing.add("#agent-pages"), "channel #agent-pages", "fail", "channel_not_found", 1),
    (
        lambda slack: slack.mode("refused", method="chat.scheduleMessage", error="is_archived"),
        "channel #agent-pages",
        "fail",
        "is_archived",
        1,
    ),
    (
        lambda slack: slack.mode("refused", method="chat.scheduleMessage", error="unknown_method"),
        "channel #agent-pages",
        "skipped",
        "cannot be tried",
        0,
    ),
    (lambda slack: slack.users.update(U02ABCDEF={"missing": True}), "person ana", "fail", "no Slack user", 1),
    (lambda slack: slack.users.update(U02ABCDEF={"deleted": True}), "person ana", "fail", "deactivated", 1),
    (lambda slack: slack.users.update(U02ABCDEF={"is_restricted": True}), "person ana", "fail", "guest", 1),
    (lambda slack: slack.users.update(U02ABCDEF={"team_id": "T9"}), "person ana", "fail", "another workspace", 1),
    (
        lambda slack: slack.users.update(U02ABCDEF={"profile": {"email": "other@example.com"}}),
        "person ana",
        "warning",
        "other@example.com",
        0,
    ),
    (
        lambda slack: slack.mode("refused", method="apps.connections.open", error="missing_scope"),
        "socket mode",
        "fail",
        "missing_scope",
        1,
    ),
    (lambda slack: slack.mode("refused", method="auth.test", error="token_revoked"), "auth.test", "fail", "revoked", 1),
    (lambda slack: slack.mode("error_500", method="auth.test"), "auth.test", "fail", "500", 3),
]


@pytest.mark.parametrize(("damage", "name", "status", "says", "code"), BREAKS)
async def test_each_fault_of_slack_has_its_line_and_its_way_out(doctor, slack, damage, name, status, says, code):
    damage(slack)
    ended, rows = await doctor()
    assert (rows[name]["status"], ended) == (status, code)
    assert says in rows[name]["message"]
    assert rows[name]["hint"] or status == "skipped"


async def test_what_is_configured_needs_its_scopes_and_its_user_group(doctor, slack):
    doctor.people = PEOPLE + SCHEDULE
    for scope in ("dnd:read", "usergroups:read", "usergroups:write"):
        _without(slack, scope)
    code, rows = await doctor(more="shifts: {messages: true}")
    for scope in ("dnd:read", "usergroups:read", "usergroups:write"):
        assert rows[f"scope {scope}"]["status"] == "warning"
    group = rows["user group S0615G0KT"]
    assert (group["status"], code) == ("warning", 0)
    assert "no_such_subteam" in group["message"]
    assert "there is no such user group" in group["hint"]
    slack.groups["S0615G0KT"] = ["U1", "U2"]
    _, rows = await doctor()
    assert rows["user group S0615G0KT"]["message"] == "follows primary, 2 in it now"
    assert slack.calls("usergroups.users.update") == []


@pytest.mark.parametrize(
    ("variable", "value", "name", "says"),
    [
        ("BOT", "", "slack.bot_token", "missing"),
        ("APP", "", "slack.app_token", "missing"),
        ("BOT", APP_TOKEN, "slack.bot_token", "holds what belongs into slack.app_token"),
    ],
)
async def test_a_wrong_token_is_named_with_the_place_where_the_right_one_is(doctor, variable, value, name, says):
    doctor.env[variable] = value
    code, rows = await doctor()
    assert code == 1
    assert says in rows[name]["message"]
    assert "api.slack.com/apps" in rows[name]["hint"]


async def test_no_secret_is_printed(doctor):
    _, rows = await doctor()
    assert BOT_TOKEN not in json.dumps(rows)
    assert APP_TOKEN not in json.dumps(rows)


async def test_slack_out_of_reach_ends_with_3_and_the_rest_is_still_tried(doctor):
    code, rows = await doctor(api=f"http://127.0.0.1:{free_port()}/api/")
    assert code == 3
    assert "cannot be reached" in rows["auth.test"]["message"]
    assert rows["store"]["status"] == "ok"


async def test_local_faults_have_their_lines(doctor):
    dead = f"http://127.0.0.1:{free_port()}"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, rows = await doctor(target=f"{dead}/metrics", store="gone/pager.db", port=port, heartbeat=f"{dead}/ping")
    assert code == 1
    failed = {name for name, row in rows.items() if row["status"] == "fail"}
    assert failed == {f"target {dead}/metrics", "store", "http.listen", "heartbeat"}
    assert all(rows[name]["hint"] for name in failed)


async def test_a_configuration_that_cannot_be_used_ends_with_2(doctor):
    code, rows = await doctor(port="99999999")
    assert code == 2
    assert any("listen" in row["message"] or "listen" in name for name, row in rows.items())


async def test_no_configuration_at_all_ends_with_2(tmp_path):
    result = await asyncio.to_thread(CliRunner().invoke, command, ["--config", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
