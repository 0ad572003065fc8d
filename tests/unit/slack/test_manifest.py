"""The manifest is what the code uses, no more and no less."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bot.cli.slack_manifest import command
from bot.errors import UsageError
from bot.slack import scopes
from bot.slack.manifest import manifest

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "bot" / "slack").glob("*.py"))


def test_the_committed_manifest_is_the_commands_output():
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    assert result.output == (ROOT / "deploy" / "slack" / "manifest.yaml").read_text()


def test_socket_mode():
    made = yaml.safe_load(manifest())
    assert made["settings"]["socket_mode_enabled"] is True
    assert made["settings"]["event_subscriptions"] == {"bot_events": ["app_mention", "message.im"]}
    assert made["features"]["app_home"]["messages_tab_read_only_enabled"] is False
    assert made["settings"]["interactivity"] == {"is_enabled": True}
    assert made["features"]["slash_commands"][0]["command"] == "/agent"
    assert "url" not in made["features"]["slash_commands"][0]
    assert made["oauth_config"]["scopes"]["bot"] == [
        "commands",
        "chat:write",
        "chat:write.public",
        "im:write",
        "app_mentions:read",
        "users:read",
        "users:read.email",
        "channels:history",
        "groups:history",
        "im:history",
    ]


def test_http_mode_sends_everything_to_one_address():
    made = yaml.safe_load(manifest("http", "https://pager.example.com"))
    address = "https://pager.example.com/slack/events"
    assert made["settings"]["socket_mode_enabled"] is False
    assert made["settings"]["event_subscriptions"]["request_url"] == address
    assert made["settings"]["interactivity"]["request_url"] == address
    assert made["features"]["slash_commands"][0]["url"] == address


def test_an_address_with_a_path_is_taken_as_it_is():
    made = yaml.safe_load(manifest("http", "https://x.example/pager/slack/events"))
    assert made["settings"]["interactivity"]["request_url"] == "https://x.example/pager/slack/events"


@pytest.mark.parametrize("url", ["http://x.example", "x.example", "https://", ""])
def test_an_address_slack_would_not_take_is_refused(url):
    with pytest.raises(UsageError, match="public https address"):
        manifest("http", url)


@pytest.mark.parametrize(
    "arguments",
    [["--mode", "http"], ["--url", "https://x.example"], ["--mode", "http", "--url", "http://x"], ["--name", ""]],
)
def test_wrong_options_end_with_2(arguments):
    assert CliRunner().invoke(command, arguments).exit_code == 2


def test_a_name_cannot_break_out_of_its_place():
    made = yaml.safe_load(manifest(name='x": {a: b} # c'))
    assert made["display_information"]["name"] == 'x": {a: b} # c'


def test_every_method_our_code_calls_is_in_the_table():
    assert _called() == set(scopes.METHODS)


def test_every_scope_a_method_needs_is_declared_and_every_declared_one_is_needed():
    declared = {*scopes.REQUIRED, *scopes.OPTIONAL}
    needed = {scope for wanted in scopes.METHODS.values() for scope in wanted}
    needed |= {"commands", *scopes.EVENTS.values()}
    assert declared == needed


def test_every_event_and_command_the_app_listens_to_is_in_the_manifest():
    heard = {
        (node.func.attr, node.args[0].value)
        for path in (ROOT / "bot" / "slack").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"event", "command"}
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    subscribed = {("event", event.partition(".")[0]) for event in scopes.EVENTS}  # message.im arrives as message
    assert heard == subscribed | {("command", scopes.COMMAND)}


def _called() -> set[str]:
    """`web.chat_postMessage(…)` in the source is the method chat.postMessage."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = node.func.attr
                if name.startswith(("chat_", "conversations_", "users_", "views_", "auth_", "apps_", "files_")):
                    parts = name.split("_")
                    found.add(".".join(parts))
    return found
