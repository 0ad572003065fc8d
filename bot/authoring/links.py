"""Whether the links of runbooks still lead somewhere. Asked only when an author wants to know: it needs the network."""

from __future__ import annotations

import asyncio
import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bot.errors import RemoteError
from bot.metrics.fetch import Client
from bot.runbooks.lint import Problem
from bot.runbooks.model import Runbook
from bot.settings import Access

_TIMEOUT_SECONDS = 10.0
_MOST_BYTES = 32 << 20
_AT_ONCE = 8
_STATUS = re.compile(r"HTTP status (\d+)")
_GONE = {"404", "410"}


def links(runbook: Runbook) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(place, address) of those that need no value of an alert."""
    for index, step in enumerate(runbook.steps):
        if step.url and "{" not in step.url:
            yield ("steps", index, "url"), step.url
    for index, link in enumerate(runbook.links):
        if "{" not in link.url:
            yield ("links", index, "url"), link.url


def dead(runbook: Runbook, gone: Mapping[str, str]) -> Iterator[Problem]:
    """`gone`: address → why nothing is there."""
    for path, url in links(runbook):
        if url in gone:
            yield Problem(path, "dead-link", f"nothing is there: {gone[url]}", "correct or remove the link", "warning")


async def ask(addresses: Iterable[str]) -> dict[str, str]:
    """Those where nothing is, and why. A login page or an error of the other side still is something."""
    client = Client(Path())
    few = asyncio.Semaphore(_AT_ONCE)

    async def one(url: str) -> str:
        async with few:
            try:
                await client.get(url, Access(), {}, timeout_seconds=_TIMEOUT_SECONDS, max_bytes=_MOST_BYTES)
            except RemoteError as error:
                status = _STATUS.search(str(error))
                return str(error) if status is None or status[1] in _GONE else ""
            return ""

    try:
        asked = sorted({url for url in addresses if url.startswith(("https://", "http://"))})
        answers = await asyncio.gather(*map(one, asked))
        return {url: why for url, why in zip(asked, answers, strict=True) if why}
    finally:
        await client.close()
