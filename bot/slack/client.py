"""Posts, edits and finds pages in Slack: the Messenger port. One call is one attempt; retrying is the outbox's work."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.actions.model import Run
from bot.errors import RemoteError
from bot.incidents.model import Incident
from bot.oncall.model import Book
from bot.paging.merge import REPLIES
from bot.paging.model import Page, PageKind
from bot.ports import Clock, Posted
from bot.runbooks.rendered import Rendered
from bot.settings import Slack
from bot.slack.blocks import EVENT_TYPE, Message, draw, plain_message
from bot.slack.errors import LAYOUT, call
from bot.slack.storm import draw_storm, plain_storm
from bot.slack.web import new_session, web_client

_NO_SUCH_PERSON = {"user_not_found", "users_not_found", "user_disabled", "user_not_visible"}
_SKEW = timedelta(seconds=60)
_CARD_AGE = timedelta(days=30)
_HISTORY_PAGES = 5
_PROBE_AHEAD = timedelta(days=30)


class SlackMessenger:
    """Implements bot.ports.Messenger. `book` gives the people as configured now, `book_of` the rotas that an incident
    keeps, where that is not the same."""

    def __init__(
        self,
        settings: Slack,
        book: Callable[[], Book],
        clock: Clock,
        book_of: Callable[[Incident], Book] | None = None,
    ) -> None:
        self._settings = settings
        self._book = book
        self._book_of = book_of or (lambda _incident: book())
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._client: AsyncWebClient | None = None
        self._direct: dict[str, str] = {}  # user id → id of the direct message
        self._channels: dict[str, str] = {}  # channel name → id
        self._doubted: frozenset[str] = frozenset()
        self.on_posted: Callable[[str, str], None] = lambda _channel, _ts: None  # told of each new message
        self.run_of: Callable[[str], Awaitable[Run | None]] = _no_run  # of a message about an action
        self.trace_of: Callable[[Incident], str] = lambda _incident: ""  # where its trace can be opened

    async def post(
        self, page: Page, incident: Incident | None, rendered: Rendered | None, thread: Posted | None
    ) -> Posted:
        """Posts once. A layout that Slack refuses goes out again at once as plain text."""
        book = self._book() if incident is None else self._book_of(incident)
        message = await self._drawn(page, incident, rendered, book)
        await self._make_sure(page.channel)
        channel = self._where(page, thread)
        parent = thread.ts if thread is not None and page.kind in REPLIES else None
        try:
            answer = await self._post(channel, message, parent)
        except RemoteError as error:
            if error.code not in LAYOUT:
                raise
            answer = await self._post(channel, plain_message(message, incident, rendered), parent)
        return self._posted(page, channel, answer)

    async def _drawn(self, page: Page, incident: Incident | None, rendered: Rendered | None, book: Book) -> Message:
        """A message about an action shows its run as it is at this moment."""
        run = await self.run_of(page.text) if page.kind is PageKind.APPROVAL else None
        trace = self.trace_of(incident) if incident is not None else ""
        return draw(page, incident, rendered, book, self._clock.now(), run, trace)

    def _posted(self, page: Page, channel: str, answer: dict[str, Any]) -> Posted:
        posted = Posted(str(answer.get("channel") or channel), str(answer.get("ts") or ""))
        if not posted.ts:
            raise RemoteError("chat.postMessage: the answer names no message", unknown=True)
        self.remember(page.channel, posted.channel)
        self.on_posted(posted.channel, posted.ts)
        return posted

    async def update(self, page: Page, incident: Incident, rendered: Rendered | None) -> None:
        """Redraws a sent page. Repeating it does no harm."""
        if not page.slack_channel or not page.ts:
            raise RemoteError(f"{page.id} has no address to edit", permanent=True, code="message_not_found")
        message = await self._drawn(page, incident, rendered, self._book_of(incident))
        try:
            await self._update(page.slack_channel, page.ts, message)
        except RemoteError as error:
            if error.code not in LAYOUT:
                raise
            await self._update(page.slack_channel, page.ts, plain_message(message, incident, rendered) | {"blocks": []})

    async def post_storm(self, lead: Page, incidents: Sequence[Incident]) -> Posted:
        """Posts one message about several incidents, once."""
        message = draw_storm(lead, incidents, self._book(), self._clock.now())
        await self._make_sure(lead.channel)
        try:
            answer = await self._post(lead.channel, message, None)
        except RemoteError as error:
            if error.code not in LAYOUT:
                raise
            answer = await self._post(lead.channel, plain_storm(message, incidents), None)
        return self._posted(lead, lead.channel, answer)

    async def update_storm(self, lead: Page, incidents: Sequence[Incident]) -> None:
        """Redraws it. Repeating it does no harm."""
        if not lead.slack_channel or not lead.ts:
            raise RemoteError(f"{lead.id} has no address to edit", permanent=True, code="message_not_found")
        message = draw_storm(lead, incidents, self._book(), self._clock.now())
        try:
            await self._update(lead.slack_channel, lead.ts, message)
        except RemoteError as error:
            if error.code not in LAYOUT:
                raise
            await self._update(lead.slack_channel, lead.ts, plain_storm(message, incidents) | {"blocks": []})

    async def probe(self) -> None:
        """Asks who we are: the answer shows that Slack is well."""
        await call("auth.test", self._web.auth_test())

    async def find(self, page: Page, thread: Posted | None = None) -> Posted | None:
        """The message that carries this page's id, if it landed. Thread replies are looked for under the card."""
        channel = await self._history_channel(page, thread)
        since = (page.claimed_at or page.due_at) - _SKEW
        parent = (thread or await self._card(channel, page)) if page.kind in REPLIES else None
        # Without a card a reply went into the channel itself.
        messages = self._replies(channel, parent.ts, since) if parent else self._history(channel, since)
        async for message in messages:
            if _payload(message).get("page_id") == page.id:
                return Posted(channel, str(message.get("ts")))
        return None

    def remember(self, channel: str, slack_channel: str) -> None:
        """Slack's id of a channel known by name; history can only be read by id."""
        if channel.startswith(("U", "W")):
            self._direct[channel] = slack_channel
        else:
            self._channels[channel] = slack_channel

    def doubt(self, users: Collection[str]) -> None:
        """Members whom no page reaches, as Slack has said. Before one of them is posted to, it is asked again."""
        self._doubted = frozenset(users)

    async def _make_sure(self, user: str) -> None:
        """A message to a deactivated account may land where nobody reads it: then it is refused here, and the next
        level is paged at once. Without an answer it is posted: it may be mended since."""
        if user not in self._doubted:
            return
        try:
            answer = await call("users.info", self._web.users_info(user=user))
        except RemoteError as error:
            if error.code in _NO_SUCH_PERSON:
                raise
            return
        if (answer.get("user") or {}).get("deleted"):
            raise RemoteError(f"users.info: {user} is deactivated", code="user_disabled", permanent=True)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        self._session = self._client = None

    @property
    def _web(self) -> AsyncWebClient:
        if self._client is None or self._session is None or self._session.closed:
            self._session = new_session()
            token = self._settings.bot_token.get_secret_value()
            self._client = web_client(token, self._settings.api_url, self._session)
        return self._client

    def _where(self, page: Page, thread: Posted | None) -> str:
        """chat.postMessage takes a user's id and answers with that of the direct message: opening the conversation
        first would cost a call for each person, of which Slack allows fifty a minute."""
        if thread is not None and page.kind in REPLIES:
            return thread.channel
        return self._direct.get(page.channel, page.channel)

    async def _open(self, user: str) -> str:
        if user not in self._direct:
            answer = await call("conversations.open", self._web.conversations_open(users=user))
            self._direct[user] = str((answer.get("channel") or {}).get("id") or user)
        return self._direct[user]

    async def _post(self, channel: str, message: Message, parent: str | None) -> dict[str, Any]:
        return await _by_name(channel, lambda named: self._post_to(named, message, parent))

    async def _post_to(self, channel: str, message: Message, parent: str | None) -> dict[str, Any]:
        request = self._web.chat_postMessage(
            channel=channel,
            **message,
            thread_ts=parent,
            unfurl_links=False,
            unfurl_media=False,
            link_names=False,
            parse="none",
        )
        return await call("chat.postMessage", request)

    async def _update(self, channel: str, ts: str, message: Message) -> None:
        await call(
            "chat.update",
            self._web.chat_update(channel=channel, ts=ts, **message, link_names=False, parse="none"),
        )

    async def _history_channel(self, page: Page, thread: Posted | None) -> str:
        if page.slack_channel or thread is not None:
            return page.slack_channel or (thread.channel if thread else "")
        if page.channel.startswith(("U", "W")):
            return await self._open(page.channel)
        if page.channel.startswith("#"):
            if page.channel not in self._channels:
                self.remember(page.channel, await self.channel_id(page.channel))
            return self._channels[page.channel]
        return page.channel

    async def channel_id(self, channel: str) -> str:
        """Asks Slack for a channel's id with no more than the right to write.

        A message is planned for a month ahead and taken back at once; the answer names the channel. Listing channels
        would need two more scopes and, in a large workspace, minutes.
        """
        at = int((self._clock.now() + _PROBE_AHEAD).timestamp())
        text = "agentpager looked up this channel and could not take this message back. Nothing is wrong."
        answer = await _by_name(
            channel,
            lambda named: call(
                "chat.scheduleMessage", self._web.chat_scheduleMessage(channel=named, post_at=at, text=text)
            ),
        )
        found = str(answer.get("channel") or "")
        planned = str(answer.get("scheduled_message_id") or "")
        await call(
            "chat.deleteScheduledMessage",
            self._web.chat_deleteScheduledMessage(channel=found, scheduled_message_id=planned),
        )
        return found

    async def _card(self, channel: str, page: Page) -> Posted | None:
        since = (page.claimed_at or page.due_at) - _CARD_AGE
        async for message in self._history(channel, since):
            payload = _payload(message)
            if payload.get("incident") == page.incident and payload.get("kind") == PageKind.CARD:
                return Posted(channel, str(message.get("ts")))
        return None

    def _history(self, channel: str, since: datetime) -> AsyncIterator[dict[str, Any]]:
        return _paged(
            "conversations.history",
            lambda cursor: self._web.conversations_history(
                channel=channel, oldest=_oldest(since), include_all_metadata=True, limit=200, cursor=cursor
            ),
        )

    def _replies(self, channel: str, ts: str, since: datetime) -> AsyncIterator[dict[str, Any]]:
        return _paged(
            "conversations.replies",
            lambda cursor: self._web.conversations_replies(
                channel=channel, ts=ts, oldest=_oldest(since), include_all_metadata=True, limit=200, cursor=cursor
            ),
        )


async def _no_run(_run_id: str) -> None:
    """Where actions are not known."""


async def _by_name(channel: str, ask: Callable[[str], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """A channel is written with its sign, as people write it; where that is not understood its bare name may be."""
    try:
        return await ask(channel)
    except RemoteError as error:
        if error.code != "channel_not_found" or not channel.startswith("#"):
            raise
        return await ask(channel[1:])


async def _paged(method: str, ask: Callable[[str | None], Awaitable[Any]]) -> AsyncIterator[dict[str, Any]]:
    """The messages of a paged answer, `_HISTORY_PAGES` pages at the most."""
    cursor = ""
    for _ in range(_HISTORY_PAGES):
        answer = await call(method, ask(cursor or None))
        for message in answer.get("messages") or []:
            yield message
        cursor = _cursor(answer)
        if not cursor:
            return


def _oldest(since: datetime) -> str:
    return f"{since.timestamp():.6f}"


def _cursor(answer: dict[str, Any]) -> str:
    return str((answer.get("response_metadata") or {}).get("next_cursor") or "")


def _payload(message: dict[str, Any]) -> dict[str, Any]:
    """The metadata of one of our messages; some answers carry it as text."""
    metadata = message.get("metadata") or {}
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE:
        return {}
    payload = metadata.get("event_payload") or {}
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except ValueError:
            return {}
    return payload if isinstance(payload, dict) else {}
