"""Asks Slack whose token we have, and who stands behind a member id. What that means is decided elsewhere: in
authorize.py for what people do, in oncall/reachability.py for the pages to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import RemoteError
from bot.oncall.reachability import Account
from bot.settings import Slack
from bot.slack.authorize import Home
from bot.slack.errors import call
from bot.slack.web import new_session, web_client

_NOBODY = {"user_not_found", "user_not_visible"}


async def whoami(web: AsyncWebClient) -> Home:
    """auth.test: whose token this is, and what it may do."""
    scopes: list[str] = []

    async def ask() -> Any:
        answer = await web.auth_test()
        named = answer.headers.get("x-oauth-scopes") or answer.headers.get("X-OAuth-Scopes") or ""
        scopes.extend(scope.strip() for scope in named.split(",") if scope.strip())
        return answer

    data = await call("auth.test", ask())
    return Home(
        team=str(data.get("team_id") or ""),
        team_name=str(data.get("team") or ""),
        bot_user=str(data.get("user_id") or ""),
        bot=str(data.get("bot_id") or ""),
        enterprise=str(data.get("enterprise_id") or ""),
        scopes=tuple(scopes),
    )


async def account_of(web: AsyncWebClient, slack: str, home: Home) -> Account:
    """Raises RemoteError when Slack did not say: that is no verdict about the account."""
    try:
        answer = await call("users.info", web.users_info(user=slack))
    except RemoteError as error:
        if error.code in _NOBODY:
            return Account(slack, found=False)
        raise
    return read_account(slack, answer.get("user") or {}, home)


def read_account(slack: str, user: Mapping[str, Any], home: Home) -> Account:
    profile = user.get("profile")
    team = str(user.get("team_id") or "")
    return Account(
        slack=slack,
        active=not user.get("deleted"),
        human=not user.get("is_bot"),
        guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        foreign=team if team and team not in {home.team, home.enterprise} else "",
        email=str(profile.get("email") or "") if isinstance(profile, Mapping) else "",
    )


class Directory:
    """One round of questions: a session that is opened for it and closed after it."""

    def __init__(self, settings: Slack) -> None:
        self._settings = settings

    async def __aenter__(self) -> Directory:
        self._session = new_session()
        self._web = web_client(self._settings.bot_token.get_secret_value(), self._settings.api_url, self._session)
        try:
            self._home = await whoami(self._web)
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def account(self, slack: str) -> Account:
        return await account_of(self._web, slack, self._home)
