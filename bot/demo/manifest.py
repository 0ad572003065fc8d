"""What an app's manifest asks of a workspace. The demo installs agentpager from the very manifest that it hands out.

Only what the workspace acts on is read; docs.slack.dev/reference/app-manifest has the rest.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.demo.state import Shortcut
from bot.yamldoc import parse


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Home(_Part):
    home_tab_enabled: bool = False
    messages_tab_enabled: bool = False
    messages_tab_read_only_enabled: bool = False


class _Command(_Part):
    command: str


class _Shortcut(_Part):
    name: str
    type: Literal["message", "global"]
    callback_id: str


class _Features(_Part):
    app_home: _Home = _Home()
    slash_commands: tuple[_Command, ...] = ()
    shortcuts: tuple[_Shortcut, ...] = ()


class _Scopes(_Part):
    bot: tuple[str, ...] = ()


class _Oauth(_Part):
    scopes: _Scopes = _Scopes()


class _Events(_Part):
    bot_events: tuple[str, ...] = ()


class _Settings(_Part):
    event_subscriptions: _Events = _Events()


class Manifest(_Part):
    features: _Features = _Features()
    oauth_config: _Oauth = _Oauth()
    settings: _Settings = _Settings()

    @property
    def scopes(self) -> tuple[str, ...]:
        return self.oauth_config.scopes.bot

    @property
    def events(self) -> tuple[str, ...]:
        return self.settings.event_subscriptions.bot_events

    @property
    def commands(self) -> tuple[str, ...]:
        return tuple(one.command for one in self.features.slash_commands)

    @property
    def shortcuts(self) -> tuple[Shortcut, ...]:
        return tuple(Shortcut(one.name, one.callback_id, one.type) for one in self.features.shortcuts)

    @property
    def has_home(self) -> bool:
        return self.features.app_home.home_tab_enabled

    @property
    def takes_direct_messages(self) -> bool:
        home = self.features.app_home
        return home.messages_tab_enabled and not home.messages_tab_read_only_enabled


def read(text: str) -> Manifest:
    """ConfigError when it is no manifest."""
    return parse(text, "manifest").validate(Manifest)
