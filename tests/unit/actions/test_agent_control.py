"""The reference control plane of examples/: what it does, what it refuses, and that its pages tell the truth."""

from __future__ import annotations

import importlib.util
import json
import re  # noqa: TID251 - fixed patterns
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest
from config_files import example, sources_of

from bot import config
from bot.actions import allowed, runs
from bot.records.timeline import _WORDS
from bot.runbooks.model import Approve
from bot.schema import format_duration

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "examples" / "agent-control"
TOKEN = "0123456789abcdef"
spec = importlib.util.spec_from_file_location("agent_control_server", FOLDER / "server.py")
server = importlib.util.module_from_spec(spec)
spec.loader.exec_module(server)


@pytest.fixture
def control(tmp_path):
    """A running server; `ask(method, path, body, key)` → status, answer, headers."""
    handler = type("Handler", (server.Handler,), {"control": server.Control(tmp_path / "c.db"), "token": TOKEN})
    handler.log_message = lambda *_: None
    running = server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()

    def ask(method, path, body=None, key=None, token=TOKEN):
        connection = HTTPConnection("127.0.0.1", running.server_port, timeout=10)
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        connection.request(method, path, raw, headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        return answer.status, found, dict(answer.headers)

    yield ask
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize(
    ("do", "undo", "field", "value"),
    [
        (("POST", "/agents/a/pause", {"reason": "x"}), ("POST", "/agents/a/resume", None), "paused", True),
        (
            ("PUT", "/agents/a/autonomy", {"level": "suggest"}),
            ("DELETE", "/agents/a/autonomy", None),
            "autonomy",
            "suggest",
        ),
        (("PUT", "/agents/a/model", {"model": "b"}), ("DELETE", "/agents/a/model", None), "model", "b"),
        (
            ("POST", "/agents/a/credentials/crm/revoke", None),
            ("POST", "/agents/a/credentials/crm/reinstate", None),
            "revoked",
            ["crm"],
        ),
    ],
)  # fmt: skip
def test_each_change_and_what_takes_it_back(control, do, undo, field, value):
    before = control("GET", "/agents/a")[1]
    assert control(*do, key="1")[0] == 200
    assert control("GET", "/agents/a")[1] == before | {field: value}
    assert control(*undo, key="2")[0] == 200
    assert control("GET", "/agents/a")[1] == before


def test_a_key_is_carried_out_once_and_answered_alike(control):
    first = control("POST", "/agents/a/pause", {"reason": "x"}, key="1")
    assert control("POST", "/agents/a/resume", key="2")[0] == 200
    again = control("POST", "/agents/a/pause", {"reason": "x"}, key="1")
    assert again[:2] == first[:2]
    assert again[2]["Idempotent-Replayed"] == "true"
    assert control("GET", "/agents/a")[1]["paused"] is False, "it was answered, not done"
    assert len(control("GET", "/agents/a/changes")[1]) == 2


def test_what_is_refused(control):
    assert control("POST", "/agents/a/pause", key="1", token="wrong")[0] == 401
    assert control("GET", "/agents/a", token="")[0] == 401
    assert control("POST", "/agents/a/pause")[0] == 400, "no key"
    assert control("POST", "/agents/a/pause", {"reason": "x"}, key="1")[0] == 200
    assert control("POST", "/agents/a/resume", key="1")[0] == 422
    assert control("POST", "/agents/a/delete", key="2")[0] == 404
    assert control("PUT", "/agents/a/autonomy", {"level": "god"}, key="3")[0] == 400
    assert control("PUT", "/agents/a/model", b"[", key="4")[0] == 400
    assert control("POST", "/agents/a/pause", b"x" * 70_000, key="5")[0] == 413
    assert len(control("GET", "/agents/a/changes")[1]) == 1


def test_autonomy_is_only_lowered(control):
    assert control("PUT", "/agents/a/autonomy", {"level": "observe"}, key="1")[0] == 200
    assert control("PUT", "/agents/a/autonomy", {"level": "suggest"}, key="2")[0] == 409
    assert control("GET", "/agents/a")[1]["autonomy"] == "observe"


def test_the_page_lists_every_change():
    page = (FOLDER / "README.md").read_text()
    told = re.findall(r"`(POST|PUT|DELETE) (/agents/[^`]*)`", page)
    assert {(method, re.sub(r"<\w+>", "*", path)) for method, path in told} == set(server.CHANGES)


def with_example() -> dict[str, str]:
    files = example()
    files["agentpager.yaml"] = (FOLDER / "agentpager.yaml").read_text()
    files["runbooks/contain-agent.yaml"] = (FOLDER / "contain-agent.yaml").read_text()
    return files


def test_the_example_passes_check_and_its_runbook_asks_only_for_what_there_is():
    env = {"AGENT_CONTROL_TOKEN": TOKEN}
    files = with_example()
    rule = "groups: [{name: x, rules: [{alert: AgentRunawayInFlight, expr: vector(1), labels: {severity: warning}}]}]"
    files["alerts/more.yaml"] = rule
    assert config.check(sources_of(files, env)) == []
    allowed = config.load(sources_of(files, env)).settings.actions.webhooks["agent-control"].allow
    declared = {(method, one.path) for one in allowed for method in one.methods}
    assert declared == set(server.CHANGES)


def test_the_settings_in_the_documentation_pass_check():
    page = (ROOT / "docs" / "actions.md").read_text()
    settings, step = re.findall(r"(?ms)^```yaml\n(.*?)^```", page)
    files = example()
    files["agentpager.yaml"] = settings
    name = "runbooks/refund-tool-errors.yaml"
    files[name] = files[name].replace("links:", "".join(f"  {line}\n" for line in step.splitlines()) + "links:", 1)
    assert config.check(sources_of(files)) == []


@pytest.mark.parametrize("key", ["by", "min", "self", "ttl"])
def test_the_defaults_of_approval_are_the_documented_ones(key):
    page = (ROOT / "docs" / "actions.md").read_text()
    told = re.search(rf"(?m)^\| `{key}` \| `([^`]*)` \|", page)[1]
    value = getattr(Approve(), key)
    shown = {"by": lambda: ", ".join(value), "ttl": lambda: format_duration(value)}.get(
        key, lambda: json.dumps(value)
    )()
    assert told == shown


def test_the_documented_numbers_are_those_of_the_code():
    page = (ROOT / "docs" / "actions.md").read_text()
    assert f"A body has {allowed.MOST:,} characters" in page
    assert runs.TRIES == 8
    assert "eight attempts at the most" in page
    assert runs.GOOD_FOR.total_seconds() == 600
    assert "ten minutes after the approval" in page


def test_every_audit_row_of_actions_is_documented():
    page = (ROOT / "docs" / "actions.md").read_text()
    assert set(re.findall(r"(?m)^\| `(action\.\w+)` \|", page)) == {one for one in _WORDS if one.startswith("action.")}
