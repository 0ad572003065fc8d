"""Reads calendars from their addresses: one question each, and what becomes of the copy that is kept.

What an address is, and when somebody has to know, stands in oncall/feeds.py. Every failure ends in the copy itself: the
last good text stays.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot import judge
from bot.errors import RemoteError
from bot.metrics.fetch import Answer, Client
from bot.oncall import feeds, ical
from bot.oncall.feeds import Copy
from bot.settings import Access

_SECONDS = 30.0
_ACCEPT = "text/calendar, text/plain;q=0.5, */*;q=0.1"


@dataclass(frozen=True)
class Verdict:
    """`problem` is empty for a good calendar; `same` says that it tells nothing but what is known."""

    problem: str
    same: bool


Judge = Callable[[str, str], Awaitable[Verdict]]  # the text, and the one before


async def judged_by_a_child(text: str, before: str) -> Verdict:
    """Raises RemoteError."""
    return Verdict(**await judge.ask({"ask": "calendar", "text": text, "before": before}))


async def read(
    written: str, copy: Copy, env: Mapping[str, str], client: Client, now: datetime, judged: Judge = judged_by_a_child
) -> Copy:
    """The copy after one question, whatever comes of it."""
    try:
        address = feeds.address(written, env)
    except ValueError as error:
        return feeds.failed(copy, str(error), now)
    try:
        answer = await _ask(address, copy, client)
        if answer.unchanged:
            return feeds.confirmed(copy, now)
        text = _text(answer)
        verdict = await judged(text, copy.text)
    except RemoteError as error:
        return feeds.failed(copy, str(error).replace(address, feeds.shown(written)), now)
    if verdict.problem:
        return feeds.failed(copy, verdict.problem, now)
    after = feeds.confirmed(copy, now) if verdict.same else feeds.received(copy, text, now)
    told = {"tag": answer.tag, "modified": answer.modified, "seal": feeds.seal_of(address)}
    return after.model_copy(update=told)


async def _ask(address: str, copy: Copy, client: Client) -> Answer:
    headers = {"Accept": _ACCEPT, "Accept-Encoding": "gzip"}
    if copy.text and copy.seal == feeds.seal_of(address):
        headers |= {"If-None-Match": copy.tag} if copy.tag else {}
        headers |= {"If-Modified-Since": copy.modified} if copy.modified else {}
    return await client.get(address, Access(), headers, timeout_seconds=_SECONDS, max_bytes=ical.MAX_BYTES)


def _text(answer: Answer) -> str:
    try:
        return answer.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RemoteError("the answer is not UTF-8") from None
