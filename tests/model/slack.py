"""A Slack made of rows: it accepts, refuses, keeps silent, tells to wait, and lets a message land late. Outside every
process: what has landed stays, whoever dies. Implements ports.Messenger and ports.Channels once for each process.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from model.loop import Clock
from model.memory import Disk, Power

from bot.errors import RemoteError
from bot.incidents.model import Incident
from bot.paging.attempt import UNREACHABLE
from bot.paging.model import Page
from bot.ports import Posted
from bot.runbooks.rendered import Rendered

TAKES = 0.1  # seconds a call takes that is answered
GIVES_UP = 10.0  # seconds until the client gives up on an answer
LATEST = 20.0  # a message lands at the latest this long after it was sent: the assumption of the protocol


class Mode(StrEnum):
    OK = "ok"
    REFUSED = "refused"  # channel_not_found
    TOKEN = "token"  # the whole client is refused
    LOST = "lost"  # no answer, and it did not land
    LANDED = "landed"  # no answer, and it did
    LATE = "late"  # no answer, and it lands up to LATEST later
    WAIT = "wait"  # 429
    AWAY = "away"  # no connection


UNTOLD = frozenset({Mode.LOST, Mode.LANDED, Mode.LATE})
FAULTS = tuple(mode for mode in Mode if mode is not Mode.OK)


@dataclass
class Message:
    """What people can see, from `at` on."""

    pages: tuple[str, ...]
    channel: str
    ts: str
    at: float
    shows: dict[str, int]  # the revision of each incident


@dataclass
class Slack:
    """`modes` by channel, "" for all others. `late` is how long a late message takes."""

    clock: Clock
    disk: Disk
    modes: dict[str, Mode] = field(default_factory=dict)
    readable: bool = True
    late: float = 5.0
    retry_after: float = 30.0
    messages: list[Message] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    pictures: Counter[str] = field(default_factory=Counter)  # charts that landed, by incident
    unknown: Counter[str] = field(default_factory=Counter)  # requests without an answer, by page
    unread: Counter[str] = field(default_factory=Counter)  # histories that could not be read, by page
    closed_until: dict[str, float] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)  # calls made inside a Retry-After
    uncommitted: list[str] = field(default_factory=list)  # first bytes of a page that no row says is being sent
    journal: list[str] = field(default_factory=list)

    def heal(self) -> None:
        self.modes.clear()
        self.readable = True

    def landed(self, page: str) -> list[Message]:
        return [each for each in self.messages if page in each.pages and each.at <= self.clock.mono]

    def accepted(self) -> Counter[str]:
        """How often each page has landed, or is going to."""
        return Counter(page for each in self.messages for page in each.pages)

    def land(self, pages: tuple[str, ...], channel: str, at: float, shows: dict[str, int]) -> Posted:
        posted = Posted(_address(channel), f"{len(self.messages) + 1}.0")
        self.messages.append(Message(pages, posted.channel, posted.ts, at, shows))
        return posted

    def mode_of(self, channel: str) -> Mode:
        return self.modes.get(channel, self.modes.get("", Mode.OK))

    def first_byte(self, pages: tuple[str, ...], channel: str, power: Power) -> None:
        """S1, looked at from outside: what is committed at this very moment. Where another process has taken over
        meanwhile, that may be more than the claim."""
        for name in pages:
            self.attempts[name] += 1
            rows = self.disk.rows("SELECT state FROM pages WHERE id = ?", name)
            if rows != [("sending",)] and not (rows and power.replaced):
                self.uncommitted.append(f"{name}: {rows} in {channel}")

    def note(self, line: str) -> None:
        self.journal.append(f"{self.clock.mono:10.1f}s  slack   {line}")


class ModelMessenger:
    """The door of one process to that Slack."""

    def __init__(self, slack: Slack, power: Power) -> None:
        self.slack = slack
        self.power = power

    async def post(
        self, page: Page, incident: Incident | None, rendered: Rendered | None, thread: Posted | None
    ) -> Posted:
        return await self._post(page, (page.id,), [incident] if incident is not None else [])

    async def post_storm(self, lead: Page, incidents: Sequence[Incident]) -> Posted:
        rows = self.slack.disk.rows("SELECT id FROM pages WHERE lead = ? AND state = 'sending'", lead.id)
        return await self._post(lead, tuple(name for (name,) in rows), incidents)

    async def _post(self, page: Page, ids: tuple[str, ...], incidents: Sequence[Incident]) -> Posted:
        slack, power = self.slack, self.power
        await power.breathe("before post")
        power.point("before post")
        slack.first_byte(ids, page.channel, power)
        mode = slack.mode_of(page.channel)
        if slack.closed_until.get(page.channel, 0.0) > slack.clock.mono + 1e-3:
            slack.early.append(page.id)
        slack.note(f"post {' + '.join(ids)} to {page.channel}: {mode}")
        shows = {incident.id: incident.revision for incident in incidents}
        posted = Posted("", "")
        match mode:
            case Mode.OK | Mode.LANDED:
                posted = slack.land(ids, page.channel, slack.clock.mono, shows)
            case Mode.LATE:
                slack.land(ids, page.channel, slack.clock.mono + min(slack.late, LATEST - 0.5), shows)
            case Mode.WAIT:
                slack.closed_until[page.channel] = slack.clock.mono + slack.retry_after
        power.point("after post")
        if mode in UNTOLD:
            slack.unknown.update(ids)
            await asyncio.sleep(GIVES_UP)
            power.check()
            raise RemoteError("chat.postMessage: no answer in time", unknown=True)
        await asyncio.sleep(TAKES)
        power.check()
        if mode is Mode.OK:
            return posted
        raise _refusal(mode, slack.retry_after)

    async def update(self, page: Page, incident: Incident, rendered: Rendered | None) -> None:
        await self._update(page, [incident])

    async def update_storm(self, lead: Page, incidents: Sequence[Incident]) -> None:
        await self._update(lead, incidents)

    async def _update(self, page: Page, incidents: Sequence[Incident]) -> None:
        await self.power.breathe()
        self.power.point("before edit")
        mode = self.slack.mode_of(page.channel)
        await asyncio.sleep(GIVES_UP if mode in UNTOLD else TAKES)
        self.power.check()
        if mode in {Mode.OK, Mode.LANDED}:
            for message in self.slack.messages:
                if (message.channel, message.ts) == (page.slack_channel, page.ts):
                    message.shows |= {incident.id: incident.revision for incident in incidents}
        self.power.point("after edit")
        if mode in UNTOLD:
            raise RemoteError("chat.update: no answer in time", unknown=True)
        if mode is not Mode.OK:
            raise _refusal(mode, self.slack.retry_after)

    async def probe(self) -> None:
        mode = self.slack.mode_of("")
        await asyncio.sleep(GIVES_UP if mode in UNTOLD else TAKES)
        self.power.check()
        if mode in UNTOLD:
            raise RemoteError("auth.test: no answer in time", unknown=True)
        if mode in {Mode.TOKEN, Mode.AWAY}:
            raise _refusal(mode, self.slack.retry_after)

    async def find(self, page: Page, thread: Posted | None) -> Posted | None:
        self.power.point("before search")
        await asyncio.sleep(TAKES)
        self.power.check()
        if not self.slack.readable:
            self.slack.unread[page.id] += 1
            self.slack.note(f"history of {page.channel} cannot be read for {page.id}")
            raise RemoteError("conversations.history: no answer in time", unknown=True)
        found = self.slack.landed(page.id)
        self.slack.note(f"history of {page.channel}: {page.id} {'is there' if found else 'is not there'}")
        return Posted(found[0].channel, found[0].ts) if found else None

    def remember(self, channel: str, slack_channel: str) -> None: ...


class ModelChannels:
    """E-mail and webhooks of one process: apart from Slack, and nothing can be read back from them."""

    def __init__(self, slack: Slack, power: Power) -> None:
        self.slack = slack
        self.power = power

    async def send(self, page: Page, incident: Incident | None, rendered: Rendered | None) -> None:
        slack, power = self.slack, self.power
        await power.breathe()
        power.point("before send")
        slack.first_byte((page.id,), page.channel, power)
        mode = slack.modes.get(page.channel, Mode.OK)
        slack.note(f"send {page.id} to {page.channel}: {mode}")
        slack.unread[page.id] += 1
        slack.unknown[page.id] += mode in UNTOLD
        if mode in {Mode.OK, Mode.LANDED, Mode.LATE}:
            slack.land((page.id,), page.channel, slack.clock.mono, {})
        power.point("after send")
        await asyncio.sleep(GIVES_UP if mode in UNTOLD else TAKES)
        power.check()
        if mode in UNTOLD:
            raise RemoteError("mail: no answer in time", unknown=True)
        if mode is not Mode.OK:
            raise _refusal(mode, slack.retry_after)


class ModelPictures:
    """Implements ports.Pictures. A picture stands in no message that is looked for, so it is only counted."""

    def __init__(self, slack: Slack, power: Power) -> None:
        self.slack = slack
        self.power = power

    async def upload(self, incident: Incident, picture: bytes, thread: Posted) -> Posted:
        await self.power.breathe()
        self.power.point("before upload")
        mode = self.slack.mode_of(thread.channel)
        if mode in {Mode.OK, Mode.LANDED, Mode.LATE}:
            self.slack.pictures[incident.id] += 1
        await asyncio.sleep(GIVES_UP if mode in UNTOLD else TAKES)
        self.power.check()
        if mode in UNTOLD:
            raise RemoteError("files.completeUploadExternal: no answer in time", unknown=True)
        if mode is not Mode.OK:
            raise _refusal(mode, self.slack.retry_after)
        return thread


def _address(channel: str) -> str:
    return f"D{channel[1:]}" if channel.startswith("U") else channel


def _refusal(mode: Mode, retry_after: float) -> RemoteError:
    match mode:
        case Mode.REFUSED:
            return RemoteError("chat.postMessage: channel_not_found", code="channel_not_found", permanent=True)
        case Mode.TOKEN:
            return RemoteError("chat.postMessage: invalid_auth", code="invalid_auth", permanent=True)
        case Mode.WAIT:
            return RemoteError("chat.postMessage: told to wait", code="ratelimited", retry_after_seconds=retry_after)
        case _:
            return RemoteError("chat.postMessage: Slack cannot be reached", code=UNREACHABLE)
