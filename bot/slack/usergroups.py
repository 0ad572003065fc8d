"""What Slack keeps of people's state besides their account: the user groups they are in, and their pauses.

User groups need a paid plan, and all of this needs scopes that an app may lack. Slack saying so is an answer like any
other: nothing else depends on it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import RemoteError
from bot.ports import Clock
from bot.settings import Slack
from bot.slack.errors import call
from bot.slack.web import new_session, redact, web_client

logger = logging.getLogger(__name__)

# Slack's refusals that only people can mend → what they may do about it.
REFUSALS = {
    "missing_scope": "add usergroups:read and usergroups:write to the app and install it again",
    "paid_teams_only": "user groups need a paid plan of Slack: take `usergroup` out of the schedule",
    "plan_upgrade_required": "user groups need a paid plan of Slack: take `usergroup` out of the schedule",
    "permission_denied": "a workspace rule keeps apps from changing user groups: ask an admin",
    "no_such_subteam": "there is no such user group: its id is in the address of its page in Slack",
    "subteam_disabled": "the user group is switched off: switch it on, or take `usergroup` out of the schedule",
    "invalid_users": "somebody on duty cannot be in it: a guest, or not of this workspace",
    "unknown_method": "this Slack has no user groups: take `usergroup` out of the schedule",
}


class UserGroups:
    """One round of questions: a session that is opened for it and closed after it. Every failure is a RemoteError."""

    def __init__(self, settings: Slack) -> None:
        self._settings = settings

    async def __aenter__(self) -> UserGroups:
        self._session = new_session()
        self._web = web_client(self._settings.bot_token.get_secret_value(), self._settings.api_url, self._session)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def members(self, group: str) -> frozenset[str]:
        return await members_of(self._web, group)

    async def replace(self, group: str, users: Collection[str]) -> None:
        """Slack refuses a group without anybody."""
        await call("usergroups.users.update", self._web.usergroups_users_update(usergroup=group, users=sorted(users)))


async def members_of(web: AsyncWebClient, group: str) -> frozenset[str]:
    answer = await call("usergroups.users.list", web.usergroups_users_list(usergroup=group))
    return frozenset(str(user) for user in answer.get("users") or [])


class Pauses:
    """Implements ports.Rest: when Slack is quiet for somebody, as they have set it or by a snooze."""

    def __init__(self, settings: Slack, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def rest(self, slack: str) -> tuple[datetime, datetime] | None:
        session = new_session()
        web = web_client(self._settings.bot_token.get_secret_value(), self._settings.api_url, session)
        try:
            answer = await call("dnd.info", web.dnd_info(user=slack))
        except RemoteError as error:
            logger.info("slack: pauses of %s are not known: %s", slack, redact(str(error)))
            return None
        finally:
            await session.close()
        return pause_of(answer, self._clock.now())


def pause_of(answer: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime] | None:
    """The pause that goes on, or else the next one. Slack gives 1 for times that there are not, and the snooze only of
    those who may be asked about it."""
    pauses = []
    if answer.get("dnd_enabled"):
        pauses.append((_at(answer.get("next_dnd_start_ts")), _at(answer.get("next_dnd_end_ts"))))
    if answer.get("snooze_enabled"):
        pauses.append((now, _at(answer.get("snooze_endtime"))))
    coming = [(start, end) for start, end in pauses if start is not None and end is not None and end > max(now, start)]
    return min(coming, default=None)


def _at(seconds: Any) -> datetime | None:
    """None for what is no time, or none that a calendar has."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 < seconds < 2**35:
        return None
    return datetime.fromtimestamp(seconds, UTC)
