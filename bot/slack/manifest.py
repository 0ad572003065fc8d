"""The Slack app's manifest, made from the scopes, events and command that the code uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from bot.errors import UsageError
from bot.slack.scopes import COMMAND, EVENTS, OPTIONAL, REQUIRED, SHORTCUTS

PATH = "/slack/events"
HOME = "app_home_opened"
_HINT = "status | ack | resolve | release | pass | page | oncall | incidents | help"
_ABOUT = "On-call for AI agents: pages their owners, shows the runbook, escalates."


def manifest(mode: Literal["socket", "http"] = "socket", url: str = "", name: str = "agentpager") -> str:
    """YAML to paste at api.slack.com/apps › Create New App › From a manifest. HTTP mode needs our public address."""
    address = _address(url) if mode == "http" else ""
    lines = [
        "# Slack app manifest of agentpager. Made by `agentpager slack manifest`; change the code, not this file.",
        "# Paste it at https://api.slack.com/apps : Create New App, From a manifest.",
        "display_information:",
        f"  name: {_text(name)}",
        f"  description: {_text(_ABOUT)}",
        '  background_color: "#1d2b3a"',
        "features:",
        "  app_home:",
        f"    home_tab_enabled: {_bool(HOME in EVENTS)}",
        "    messages_tab_enabled: true",
        "    messages_tab_read_only_enabled: false",
        "  bot_user:",
        f"    display_name: {_text(name)}",
        "    always_online: true",
        "  slash_commands:",
        f"    - command: {_text(COMMAND)}",
        f"      description: {_text('Agents, incidents and who is on call')}",
        f"      usage_hint: {_text(_HINT)}",
        "      should_escape: false",
        *([f"      url: {_text(address)}"] if address else []),
        *_shortcuts(),
        "oauth_config:",
        "  scopes:",
        "    bot:",
        *_scopes(REQUIRED),
        "      # Optional. `agentpager doctor` says what each of them is for, and which of them you use.",
        "      # Without im:history take the event message.im out as well.",
        *_scopes(OPTIONAL),
        "settings:",
        "  event_subscriptions:",
        *([f"    request_url: {_text(address)}"] if address else []),
        "    bot_events:",
        *[f"      - {event}" for event in EVENTS],
        "  interactivity:",
        "    is_enabled: true",
        *([f"    request_url: {_text(address)}"] if address else []),
        "  org_deploy_enabled: false",
        f"  socket_mode_enabled: {'false' if address else 'true'}",
        "  token_rotation_enabled: false",
    ]
    return "\n".join(lines) + "\n"


def _shortcuts() -> list[str]:
    """Entries in the menu of a message."""
    lines = ["  shortcuts:"] if SHORTCUTS else []
    for callback, (name, about) in SHORTCUTS.items():
        lines += [
            f"    - name: {_text(name)}",
            "      type: message",
            f"      callback_id: {_text(callback)}",
            f"      description: {_text(about)}",
        ]
    return lines


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _scopes(scopes: Mapping[str, str]) -> list[str]:
    return [f"      - {scope}  # {reason}" for scope, reason in scopes.items()]


def _address(url: str) -> str:
    """Where Slack is to send requests; it takes https only."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise UsageError(f'"{url}" is no public https address; write for example https://pager.example.com')
    return url if parts.path.strip("/") else f"https://{parts.netloc}{PATH}"


def _text(value: str) -> str:
    """A JSON string is a YAML string, whatever stands in it."""
    return json.dumps(value, ensure_ascii=False)
