"""What Slack says of the accounts that click and write: guests and bots are refused (authorize.py). It is kept for an
hour, of those who are refused for a minute.

A click is never held up by it for long. Where Slack does not say in time who somebody is, what stands in the on-call
files counts: an acknowledgement at night matters more than a guest who is refused a moment later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import RemoteError
from bot.oncall.reachability import Account
from bot.slack.authorize import Home
from bot.slack.directory import account_of
from bot.slack.web import redact

logger = logging.getLogger(__name__)

_KEPT_SECONDS = 3600.0
_AGAIN_SECONDS = 60.0  # after a question without an answer
_PATIENCE_SECONDS = 0.3  # of the three that Slack waits for a click; two and a half are for the commit


class Members:
    def __init__(self, web: AsyncWebClient) -> None:
        self._web = web
        self._known: dict[str, Account] = {}
        self._until: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def known(self, user: str) -> Account | None:
        return self._known.get(user)

    def learn(self, accounts: Iterable[Account]) -> None:
        """What has been asked elsewhere need not be asked again."""
        for account in accounts:
            self._keep(account)

    async def meet(self, user: str, home: Home) -> None:
        """Makes sure that `known` can tell, if Slack says so in time. Who was known an hour ago is not waited for."""
        if self._until.get(user, 0.0) > asyncio.get_running_loop().time():
            return
        if user not in self._asking:
            task = asyncio.create_task(self._ask(user, home))
            self._asking[user] = task
            task.add_done_callback(lambda _: self._asking.pop(user, None))
        if user not in self._known:
            await asyncio.wait({self._asking[user]}, timeout=_PATIENCE_SECONDS)

    async def close(self) -> None:
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, user: str, home: Home) -> None:
        self._until[user] = asyncio.get_running_loop().time() + _AGAIN_SECONDS
        try:
            self._keep(await account_of(self._web, user, home))
        except RemoteError as error:
            logger.warning("slack: it is not known who %s is: %s", user, redact(str(error)))

    def _keep(self, account: Account) -> None:
        """Who is refused may be made a member at any time, and tries again soon."""
        welcome = account.human and not account.guest
        self._known[account.slack] = account
        seconds = _KEPT_SECONDS if welcome else _AGAIN_SECONDS
        self._until[account.slack] = asyncio.get_running_loop().time() + seconds
