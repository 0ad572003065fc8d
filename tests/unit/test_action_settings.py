"""Services of actions in agentpager.yaml: where secrets come from, what the watcher gets, what stops `serve`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from config_files import example, sources_of

from bot import config
from bot.sources import read_sources

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
MAIN = """
slack: {bot_token: xoxb-1, app_token: xapp-1}
actions:
  webhooks:
    control:
      url: "${CONTROL_URL}"
      allow: [{path: "/agents/*/pause"}]
      headers: {X-Key: "${CONTROL_KEY}"}
      REST
"""
ENV = {"CONTROL_URL": "https://control.example.com/canary-1", "CONTROL_KEY": "canary-2", "TOKEN": "canary-3"}


def files(rest: str) -> dict[str, str]:
    return {**example(), "agentpager.yaml": MAIN.replace("REST", rest)}


def test_secrets_come_from_variables_and_never_reach_the_watcher():
    sources = sources_of(files('bearer_token: "${TOKEN}"'), ENV)
    loaded = config.load(sources)
    control = loaded.settings.actions.webhooks["control"]
    assert control.bearer_token.get_secret_value() == "canary-3"
    assert "canary" not in repr(control)
    assert config.missing_secrets(loaded) == []
    assert "canary" not in json.dumps(sources.for_watcher().to_json())
    assert config.load(sources.for_watcher()).settings.actions.webhooks["control"].allow == control.allow


def test_secrets_come_from_files_and_never_reach_the_watcher(tmp_path: Path):
    for name, text in files("bearer_token_file: token").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "token").write_text("canary-4\n")
    (tmp_path / "token").chmod(0o600)
    sources = read_sources(tmp_path / "agentpager.yaml", ENV)
    loaded = config.load(sources)
    assert loaded.settings.actions.webhooks["control"].bearer_token.get_secret_value() == "canary-4"
    assert config.missing_secrets(loaded) == []
    assert "canary" not in json.dumps(sources.for_watcher().to_json())


@pytest.mark.parametrize(
    ("rest", "env", "missing"),
    [
        ('bearer_token: "${TOKEN}"', {"TOKEN": None}, ["actions.webhooks.control.bearer_token"]),
        ("bearer_token_file: not-there", {}, ["actions.webhooks.control.bearer_token"]),
        ("secret_file: not-there", {}, ["actions.webhooks.control.secret"]),
        ("timeout: 5s", {"CONTROL_URL": None}, ["actions.webhooks.control.url"]),
        ("timeout: 5s", {}, []),
    ],
)
def test_serve_does_not_start_to_send_requests_without_their_secret(rest, env, missing):
    given = {name: value for name, value in (ENV | env).items() if value is not None}
    found = config.missing_secrets(config.load(sources_of(files(rest), given)))
    assert [finding.message.partition(" ")[0].rstrip(":") for finding in found] == missing


@pytest.mark.parametrize(
    "rest",
    [
        "allow: []",
        'secret: "not-a-secret"',
        'bearer_token: "x"\n      method: GET',
    ],
)
def test_what_makes_no_sense_is_refused(rest):
    found = config.check(sources_of(files(rest), ENV))
    assert any(finding.severity == "error" for finding in found)
