"""What every listener of Slack needs: who asks, a way to answer in time, and a way to answer later.

Slack waits three seconds for an answer. Whatever a person changes is committed before it is given; what takes longer is
told to the person as it is: not recorded yet, and later what became of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.errors import RemoteError
from bot.oncall.model import Book
from bot.ports import (
    Accounts,
    Acting,
    Actor,
    Bundles,
    Clock,
    Commands,
    Drilling,
    Explaining,
    Gate,
    Paging,
    Records,
    Rest,
    Rotas,
    Silencing,
)
from bot.slack import answers
from bot.slack.authorize import Home, authorize, caller_of
from bot.slack.errors import call
from bot.slack.members import Members
from bot.slack.web import TIMEOUT_SECONDS, new_session, quiet_logger, redact

logger = logging.getLogger(__name__)

# Slack waits three seconds; what is left is for the way there and back.
COMMIT_SECONDS = 2.5
SLOW = "Not recorded yet: agentpager is slow just now. It goes on trying and tells you here; if it does not, try again."


@dataclass(frozen=True)
class Desks:
    """What can be asked for from Slack."""

    commands: Commands
    silencing: Silencing
    paging: Paging
    rotas: Rotas
    explaining: Explaining
    acting: Acting
    rest: Rest | None = None
    records: Records | None = None
    gate: Gate | None = None
    bundles: Bundles | None = None
    accounts: Accounts | None = None
    drills: Drilling | None = None


class Reception:
    """`home` is known once Slack has accepted the token; nobody is let in before."""

    def __init__(self, web: AsyncWebClient, desks: Desks, clock: Clock, commit_seconds: float = COMMIT_SECONDS) -> None:
        self.web = web
        self.desks = desks
        self.clock = clock
        self.home: Home | None = None
        self.members = Members(web)
        self._commit_seconds = commit_seconds
        self._tasks: set[asyncio.Task[Any]] = set()
        self._session: aiohttp.ClientSession | None = None

    @property
    def book(self) -> Book:
        return self.desks.commands.book

    def open(self) -> None:
        self._session = new_session()
        self.web.session = self._session

    async def close(self) -> None:
        """Gives what was begun a moment to end."""
        await self.members.close()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._commit_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def authorize(self, body: dict[str, Any]) -> Actor:
        """The person behind a click, command, message or window. Raises NotAllowedError, whose text is for them."""
        return authorize(body, self.home, self.book, self.members.known)

    async def meet(self, body: dict[str, Any]) -> None:
        """Before anybody of the book is let in, Slack may say that the account is a guest's."""
        user = caller_of(body).user
        if self.home is not None and any(person.slack == user for person in self.book.people.values()):
            await self.members.meet(user, self.home)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("slack: background work failed: %s: %s", type(error).__name__, redact(str(error)))

    async def done_in_time(self, task: asyncio.Task[Any]) -> bool:
        done, _ = await asyncio.wait({task}, timeout=self._commit_seconds)
        return bool(done)

    def tell_later(self, url: str | None, answer: answers.Answer) -> None:
        if answer["text"]:
            self.spawn(self.tell(url, answer))

    async def tell(self, url: str | None, answer: answers.Answer, *, here: bool = False) -> None:
        """To the one who clicked or asked, through the address that came with it."""
        if not url:
            return
        webhook = AsyncWebhookClient(
            url,
            timeout=TIMEOUT_SECONDS,
            session=self._session,
            retry_handlers=[],
            logger=quiet_logger("bot.slack.response"),
        )
        message = {
            "response_type": "in_channel" if here else "ephemeral",
            "replace_original": False,
            "unfurl_links": False,
            **answer,
        }
        try:
            answered = await webhook.send_dict(message)
            if answered.status_code != 200:
                logger.warning("slack: an answer was refused with status %d", answered.status_code)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            logger.warning("slack: an answer was lost: %s", redact(str(error) or type(error).__name__))

    async def whisper(
        self, channel: str, thread: str, event: dict[str, Any], answer: answers.Answer, *, here: bool = False
    ) -> None:
        """An answer to a mention or message: for its writer's eyes only, in the thread where there is one."""
        user = str(event.get("user") or "")
        alone = event.get("channel_type") == "im"
        where = {"channel": channel, "thread_ts": thread or None, "link_names": False, "parse": "none", **answer}
        if not here and not alone:
            try:
                await call("chat.postEphemeral", self.web.chat_postEphemeral(user=user, **where))
                return
            except RemoteError as error:
                if error.unknown or error.retry_after_seconds is not None:
                    logger.warning("slack: an answer was lost: %s", redact(str(error)))
                    return
        where["thread_ts"] = thread or (None if alone else event.get("ts"))
        await self.quietly("chat.postMessage", self.web.chat_postMessage(unfurl_links=False, **where))

    async def quietly(self, method: str, request: Coroutine[Any, Any, Any]) -> None:
        try:
            await call(method, request)
        except RemoteError as error:
            logger.warning("slack: an answer was lost: %s", redact(str(error)))
