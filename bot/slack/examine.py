"""Tries everything that pages need of Slack, and names the way out of each failure. For `agentpager doctor`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import RemoteError
from bot.oncall.model import Book, Person
from bot.oncall.reachability import Account, another_address, no_second_way, trouble
from bot.paging.attempt import UNREACHABLE
from bot.ports import Clock
from bot.settings import Slack
from bot.slack.authorize import Home
from bot.slack.client import SlackMessenger
from bot.slack.directory import account_of, whoami
from bot.slack.errors import call
from bot.slack.scopes import APP_SCOPE, OPTIONAL, REQUIRED, lost_without
from bot.slack.usergroups import REFUSALS, members_of
from bot.slack.web import new_session, redact, web_client

# Scope → the setting that would need it.
_SWITCHES = {
    "files:write": "slack.charts is off",
    "dnd:read": "shifts.messages is off",
    "usergroups:read": "no schedule names a user group",
    "usergroups:write": "no schedule names a user group",
}
Status = Literal["ok", "fail", "warning", "skipped"]

APPS = "https://api.slack.com/apps"
# key of `slack:` → what its value starts with, and where it is found
TOKENS = {
    "bot_token": ("xoxb-", f"{APPS} › your app › OAuth & Permissions › Bot User OAuth Token"),
    "app_token": (
        "xapp-",
        f"{APPS} › your app › Basic Information › App-Level Tokens: generate one with {APP_SCOPE}",
    ),
    "signing_secret": ("", f"{APPS} › your app › Basic Information › App Credentials › Signing Secret"),
}
_CHANNEL_HINTS = {
    "channel_not_found": "create the channel or correct its name; into a private one, /invite @{bot}",
    "not_in_channel": "write /invite @{bot} in it",
    "is_archived": "unarchive it or name another one",
    "restricted_action": "a workspace rule forbids posting there: ask an admin or name another channel",
    "missing_scope": "add chat:write to the app and install it again",
}


@dataclass(frozen=True)
class Check:
    """One line of the doctor: `hint` is the way out."""

    check: str
    status: Status
    message: str
    hint: str = ""


def token_checks(settings: Slack) -> list[Check]:
    """Which secrets are there, without asking anybody."""
    needed = {"bot_token": settings.bot_token}
    needed |= (
        {"app_token": settings.app_token} if settings.mode == "socket" else {"signing_secret": settings.signing_secret}
    )
    return [_token_check(key, value, settings.mode) for key, value in needed.items()]


def _token_check(key: str, secret: SecretStr, mode: str) -> Check:
    value = secret.get_secret_value().strip()
    start, where = TOKENS[key]
    name = f"slack.{key}"
    if not value:
        variable = f"SLACK_{key.upper()}"
        return Check(name, "fail", f"missing; {mode} mode needs it", f"set {variable} or {name}_file; found at {where}")
    other = next((each for each, (begin, _) in TOKENS.items() if each != key and begin and value.startswith(begin)), "")
    if other:
        return Check(name, "fail", f"holds what belongs into slack.{other}", f"found at {where}")
    if start and not value.startswith(start):
        return Check(name, "warning", f"does not start with {start}", f"found at {where}")
    return Check(name, "ok", "set")


async def examine(
    settings: Slack,
    book: Book,
    channels: Sequence[str],
    clock: Clock,
    second_channels: bool = False,
    unused: Collection[str] = (),
) -> tuple[list[Check], bool]:
    """All checks, and whether Slack answered at all. `unused` are the scopes of what is not configured."""
    session = new_session()
    messenger = SlackMessenger(settings, lambda: book, clock)
    try:
        web = web_client(settings.bot_token.get_secret_value(), settings.api_url, session)
        try:
            home = await whoami(web)
        except RemoteError as error:
            return [_refused_token(error, settings)], _answered(error)
        found = [Check("auth.test", "ok", f"workspace {home.team_name} ({home.team}), bot {home.bot_user}")]
        found += _scope_checks(home, unused)
        if settings.mode == "socket":
            found.append(await _socket_check(settings, web))
        found += [await _channel_check(messenger, channel, home) for channel in channels]
        groups = {schedule.usergroup: schedule.id for schedule in book.schedules.values() if schedule.usergroup}
        found += [await _group_check(web, group, schedule) for group, schedule in groups.items()]
        found += [await _person_check(web, person, home, second_channels) for person in book.people.values()]
        return found, True
    finally:
        await messenger.close()
        await session.close()


def _answered(error: RemoteError) -> bool:
    """Slack said no; otherwise nothing was heard from it."""
    return error.code not in {"", UNREACHABLE}


def _refused_token(error: RemoteError, settings: Slack) -> Check:
    if not _answered(error):
        hint = f"is the way to {settings.api_url} open? Proxies are taken from HTTPS_PROXY"
        return Check("auth.test", "fail", redact(str(error)), hint)
    return Check(
        "auth.test", "fail", f"Slack refuses the bot token: {error.code}", f"found at {TOKENS['bot_token'][1]}"
    )


def _scope_checks(home: Home, unused: Collection[str]) -> list[Check]:
    """One line for all that are there, one for each that is missing."""
    if not home.scopes:
        return [Check("scopes", "skipped", "Slack did not name the token's scopes")]
    missing = [scope for scope in (*REQUIRED, *OPTIONAL) if scope not in home.scopes]
    if not missing:
        return [Check("scopes", "ok", f"all {len(REQUIRED) + len(OPTIONAL)}")]
    hint = f"{APPS} › your app › OAuth & Permissions › add it, then Reinstall to Workspace"
    return [_scope_check(scope, scope in unused, hint) for scope in missing]


def _scope_check(scope: str, unused: bool, hint: str) -> Check:
    if unused:
        return Check(f"scope {scope}", "skipped", f"missing, and not needed: {_SWITCHES[scope]}")
    return Check(f"scope {scope}", "fail" if scope in REQUIRED else "warning", f"missing: {lost_without(scope)}", hint)


async def _socket_check(settings: Slack, web: AsyncWebClient) -> Check:
    try:
        await call(
            "apps.connections.open",
            web.apps_connections_open(app_token=settings.app_token.get_secret_value()),
        )
    except RemoteError as error:
        hint = f"found at {TOKENS['app_token'][1]}; Socket Mode must be on under Settings › Socket Mode"
        return Check("socket mode", "fail", redact(str(error)), hint)
    return Check("socket mode", "ok", "a connection would be granted")


async def _channel_check(messenger: SlackMessenger, channel: str, home: Home) -> Check:
    """Plans a message for a month ahead and takes it back: nothing appears in the channel."""
    name = f"channel {channel}"
    try:
        found = await messenger.channel_id(channel)
    except RemoteError as error:
        if error.code == "unknown_method":
            return Check(name, "skipped", "cannot be tried without posting")
        hint = _CHANNEL_HINTS.get(error.code, "").format(bot="agentpager")
        public = error.code == "not_in_channel" and "chat:write.public" in home.scopes
        return Check(name, "warning" if public else "fail", redact(str(error)), hint)
    return Check(name, "ok", f"may be posted to ({found})")


async def _group_check(web: AsyncWebClient, group: str, schedule: str) -> Check:
    """Reads who is in it. Whether it may be changed is known only by changing it."""
    name = f"user group {group}"
    try:
        members = await members_of(web, group)
    except RemoteError as error:
        return Check(name, "warning", f"cannot follow {schedule}: {redact(str(error))}", REFUSALS.get(error.code, ""))
    return Check(name, "ok", f"follows {schedule}, {len(members)} in it now")


async def _person_check(web: AsyncWebClient, person: Person, home: Home, second_channels: bool) -> Check:
    try:
        account = await account_of(web, person.slack, home)
    except RemoteError as error:
        return Check(f"person {person.id}", "fail" if _answered(error) else "warning", redact(str(error)))
    return judged(person, account, second_channels)


def judged(person: Person, account: Account, second_channels: bool) -> Check:
    """The same verdict as that of the hourly look of a running server."""
    name = f"person {person.id}"
    found = trouble(account) or another_address(person, account) or no_second_way(person, second_channels)
    if found is None:
        return Check(name, "ok", f"{person.name} is active ({person.slack})")
    return Check(name, "fail" if found.grave else "warning", found.text, found.hint)
