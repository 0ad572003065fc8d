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
from bot.slack.app import _LISTENERS
from bot.slack.manifest import manifest
from bot.slack.reception import Reception

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "bot" / "slack").rglob("*.py"))


def test_the_committed_manifest_is_the_commands_output():
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    assert result.output == (ROOT / "deploy" / "slack" / "manifest.yaml").read_text()


def test_socket_mode():
    made = yaml.safe_load(manifest())
    assert made["settings"]["socket_mode_enabled"] is True
    assert made["settings"]["event_subscriptions"] == {"bot_events": list(scopes.EVENTS)}
    assert made["features"]["app_home"]["home_tab_enabled"] is ("app_home_opened" in scopes.EVENTS)
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
        "files:write",
        "dnd:read",
        "usergroups:read",
        "usergroups:write",
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
    needed |= {"commands", *(scope for scope in scopes.EVENTS.values() if scope)}
    assert declared == needed


class Recorder:
    """Takes the place of Bolt and notes what is listened for."""

    def __init__(self):
        self.heard = set()

    def __getattr__(self, kind):
        def listen(name, *_, **__):
            self.heard.add((kind, name))
            return lambda function: function

        return listen


def test_every_event_command_and_shortcut_the_app_listens_to_is_in_the_manifest():
    recorder = Recorder()
    reception = Reception(None, None, None)
    for listener in _LISTENERS:
        listener(reception).register(recorder)
    wanted = {("event", event.partition(".")[0]) for event in scopes.EVENTS}  # message.im arrives as message
    wanted |= {("command", scopes.COMMAND)} | {("shortcut", callback) for callback in scopes.SHORTCUTS}
    assert {one for one in recorder.heard if one[0] in {"event", "command", "shortcut", "message"}} == wanted


def test_what_slack_limits_in_a_manifest_is_kept():
    made = yaml.safe_load(manifest())
    assert len(made["display_information"]["description"]) <= 140
    assert len(made["features"]["slash_commands"][0]["usage_hint"]) <= 1000
    shortcuts = made["features"].get("shortcuts", [])
    assert len(shortcuts) <= 10
    for shortcut in shortcuts:
        assert (len(shortcut["name"]) <= 24, len(shortcut["description"]) <= 150) == (True, True)


def test_seven_scopes_are_required_and_each_optional_one_says_what_is_lost_without_it():
    assert len(scopes.REQUIRED) == 7
    assert len({scopes.lost_without(scope) for scope in scopes.OPTIONAL}) == len(scopes.OPTIONAL)
    assert not scopes.REQUIRED.keys() & scopes.OPTIONAL.keys()


_FAMILIES = ("apps_", "auth_", "chat_", "conversations_", "dnd_", "files_", "usergroups_", "users_", "views_")


def _called() -> set[str]:
    """`web.chat_postMessage(…)` in the source is the method chat.postMessage."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = node.func.attr
                if name.startswith(_FAMILIES):
                    parts = name.split("_")
                    found.add(".".join(parts))
    return found
