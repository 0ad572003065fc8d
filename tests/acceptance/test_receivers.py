"""Other systems that are told of incidents: the same alerts posted to a real Alertmanager and to us, and what each of
the two tells a webhook receiver. And a second agentpager that is told by the first one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_alertmanager import alertmanager, ask
from webhook_receiver import Receiver, receiver
from world import ANA, BEN, CHRIS, World

pytestmark = pytest.mark.interop

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
STARTED = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)


def settings(world: World, there: Receiver, more: str = "") -> None:
    """The bot tells `there`, groups by name as the Alertmanager beside it, and begins nothing twice."""
    path = world.directory / "agentpager.yaml"
    text = path.read_text().replace('http: {listen: "', 'http: {external_url: "http://pager.test", listen: "')
    told = f'url: "http://127.0.0.1:{there.port}/tickets", allow_private: true, secret: "{SECRET}"{more}'
    path.write_text(text + f"notify: {{receivers: {{tickets: {{{told}}}}}}}\n")
    (world.directory / "incidents").mkdir(exist_ok=True)
    grouping = "grouping: [{group_by: [alertname], group_interval: 1s}]\nreopen_window: 0\n"
    (world.directory / "incidents" / "groups.yaml").write_text(grouping)


def told_at_once(directory: Path, there: Receiver):
    """A real Alertmanager that tells the receiver `tickets` without waiting."""
    url = f"http://127.0.0.1:{there.port}/peer"
    route = {"group_by": ["alertname"], "group_wait": "50ms", "group_interval": "1s"}
    return alertmanager(directory, route, {"name": "tickets", "webhook_configs": [{"url": url}]})


def alert(name: str, *, ends: timedelta | None = None, **labels: str) -> dict[str, Any]:
    made = {
        "labels": {"alertname": name, "severity": "critical", "owner": "payments", **labels},
        "annotations": {"summary": f'{name} of {labels["instance"]}: "ärger" & <b>'},
        "startsAt": STARTED.isoformat(),
        "generatorURL": "http://prometheus.test/graph?g0.expr=up&g0.tab=1",
    }
    return made | ({"endsAt": (STARTED + ends).isoformat()} if ends is not None else {})


def told(there: Receiver, path: str) -> list[dict[str, Any]]:
    return [json.loads(body) for request, body in there.requests if request.path == path]


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """Alertmanager's group is one of a route, ours one of an owner."""
    return body | {"groupKey": body["groupKey"].replace('{}/{owner="team:payments"}:', "{}:")}


async def test_a_receiver_is_told_what_alertmanager_tells_it(tmp_path):
    async with World(tmp_path) as world, receiver() as there, told_at_once(tmp_path, there) as theirs:
        settings(world, there)
        await world.start()
        both = [alert("ModelSlow", instance="b"), alert("ModelSlow", instance="a", job="api")]
        first, last = [alert("ModelSlow", ends=timedelta(minutes=5), **one["labels"]) for one in _labels(both)]
        steps = [(both, ["firing", "firing"]), ([first], ["firing", "resolved"]), ([last], ["resolved"])]
        for posted, states in steps:
            for port in (world.port, theirs):
                assert (await ask(port, "POST", "alerts", posted))[0] == 200
            for path in ("/tickets", "/peer"):
                await world.until(lambda path=path, states=states: _last(there, path) == states, f"{states} at {path}")
            ours, peer = told(there, "/tickets")[-1], told(there, "/peer")[-1]
            assert comparable(ours) == peer
        # Signed, and each message once.
        signed = [(request.headers, body) for request, body in there.requests if request.path == "/tickets"]
        for headers, body in signed:
            text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            mine = base64.b64encode(hmac.new(KEY, text, hashlib.sha256).digest()).decode()
            assert headers["webhook-signature"] == f"v1,{mine}"
        ids = [headers["webhook-id"] for headers, _ in signed]
        assert len(ids) == len(set(ids)) == 3


def _labels(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"labels": {name: value for name, value in one["labels"].items() if name != "alertname"}} for one in alerts]


def _last(there: Receiver, path: str) -> list[str]:
    """How the alerts stand in what was told last."""
    found = told(there, path)
    return [one["status"] for one in found[-1]["alerts"]] if found else []


async def test_what_a_receiver_does_not_take_is_sent_again_and_a_second_agentpager_takes_it(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    async with World(first) as world, World(second) as other:
        path = second / "agentpager.yaml"
        path.write_text(path.read_text() + "bridges: {first: {kind: alertmanager, token: a-bridge-token}}\n")
        url = f"http://127.0.0.1:{other.port}/api/bridges/first"
        told = f'url: "{url}", allow_private: true, headers: {{Authorization: "Bearer a-bridge-token"}}'
        path = first / "agentpager.yaml"
        path.write_text(path.read_text() + f"notify: {{receivers: {{other: {{{told}}}}}}}\n")
        await world.start()
        agent = world.agents["refund-agent"]
        agent.values["agent_tool_errors"] = 9
        await world.until(lambda: world.pages_to(ANA), "a page")
        await world.until(lambda: _attempts(world) > 0, "an attempt that fails")
        await other.start()
        await other.until(lambda: other.pages_to(ANA) or other.pages_to(BEN) or other.pages_to(CHRIS), "a page there")
        agent.values["agent_tool_errors"] = 0
        await other.until(lambda: _ended(other), "the end there")


def _attempts(world: World) -> int:
    rows = world.rows("SELECT json_extract(doc, '$.attempt') FROM pages WHERE channel = 'receiver:other'")
    return max((attempt for (attempt,) in rows), default=0)


async def _ended(world: World) -> bool:
    found = [one for one in await world.incidents() if "ToolErrors" in str(one)]
    return bool(found) and all(one["state"] == "resolved" for one in found)


MOVED = """
route:
  receiver: rest
  group_by: [alertname]
  routes:
    - {receiver: archive, continue: true}
    - {receiver: pay, matchers: ['team="pay"']}
receivers:
  - {name: rest, slack_configs: [{channel: '#rest'}]}
  - {name: archive, webhook_configs: [{url: 'https://archive.example.com/in'}]}
  - {name: pay, slack_configs: [{channel: '#pay'}]}
"""


async def test_an_imported_alertmanager_wakes_and_tells_as_it_did(tmp_path):
    async with World(tmp_path) as world, receiver() as there:
        (tmp_path / "alertmanager.yml").write_text(MOVED)
        (tmp_path / "people.yaml").write_text(f"oncall: {ANA}\n")
        (tmp_path / "oncall" / "payments.yaml").unlink()
        for name in ("runbooks/tool-errors.yaml", "alerts/tools.yaml"):
            (tmp_path / name).unlink()
        (tmp_path / "agents" / "agents.yaml").write_text('agents: {refund-agent: {owner: "team:pay", stage: walk}}\n')
        code, output = await world.cli(
            "import", "alertmanager", "alertmanager.yml", "-o", ".", "--slack-ids", "people.yaml"
        )
        assert code == 1, output
        # What the report asks for: merge the one file, and let the receiver be in the own network.
        aside = tmp_path / "agentpager-from-alertmanager.yaml"
        text = aside.read_text().replace("'${ARCHIVE_WEBHOOK_URL}'", "'${ARCHIVE_WEBHOOK_URL}', allow_private: true")
        path = tmp_path / "agentpager.yaml"
        path.write_text(path.read_text() + text)
        aside.unlink()
        await world.start(env={"ARCHIVE_WEBHOOK_URL": f"http://127.0.0.1:{there.port}/in"})
        posted = [
            {"labels": {"alertname": "Slow", "team": team, "severity": "critical"}, "annotations": {"summary": team}}
            for team in ("pay", "other")
        ]
        assert (await ask(world.port, "POST", "alerts", posted))[0] == 200
        await world.until(lambda: len(told(there, "/in")) == 2, "both told to the archive")
        await world.until(lambda: len(world.pages_to(ANA)) >= 2, "both paged")
        owners = {one["title"]: one["owner"] for one in await world.incidents()}
        assert (owners["pay"], owners["other"]) == ("team:pay", "team:rest")
        cards = {channel: len(world.slack.posted(channel)) for channel in ("#pay", "#rest")}
        assert all(cards.values()), cards
