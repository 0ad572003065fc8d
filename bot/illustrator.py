"""Puts the chart of an alert into the thread of its card, once the page is out and the runbook stands there.

One at a time, beside everything else: no page ever waits for a picture. It is never repeated when its outcome is not
known, and given up where Slack does not take it.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import structlog

from bot import delivery, telemetry
from bot.errors import AgentpagerError, RemoteError
from bot.incidents.decision import World
from bot.incidents.model import Incident
from bot.paging import attempt, plan
from bot.paging.attempt import UNREACHABLE, Verdict
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Clock, Pictures, Posted
from bot.renderings import Renderings
from bot.sender import Loop
from bot.store.database import Database

log = structlog.get_logger()

_LONGEST_SLEEP = 5.0
_NEXT = 0.2
_TRIES = 3
_REFUSED_FOR = 3600.0  # seconds for which nothing is drawn after Slack has refused a picture for good


class Illustrator(Loop):
    """`world` looks up the configuration as it is when it is called."""

    def __init__(
        self,
        store: Database,
        pictures: Pictures,
        renderings: Renderings,
        clock: Clock,
        world: Callable[[], World],
    ) -> None:
        super().__init__("illustrator")
        self._renderings = renderings
        self._store = store
        self._pictures = pictures
        self._clock = clock
        self._world = world
        self._busy: str | None = None
        self._refused: tuple[str, float] | None = None  # why, and until when

    async def _round(self) -> float:
        now = self._clock.now()
        every = await self._store.on_their_way()
        mine = [page for page in every if page.kind is PageKind.CHART and page.id != self._busy]
        if lost := [page for page in mine if page.state is not PageState.DUE]:
            await self._give_up(lost[0], "stopped while it was sent; it is not repeated")
            return _NEXT
        due = [page for page in mine if page.due_at <= now]
        if self._busy is None and due:
            page = min(due, key=lambda page: page.due_at)
            self._busy = page.id
            self._begin(page.id, self._draw(page), self._free)
        later = [(page.due_at - now).total_seconds() for page in mine if page.due_at > now]
        return max(min([*later, _LONGEST_SLEEP]), _NEXT)

    def _free(self) -> None:
        self._busy = None

    async def _draw(self, page: Page) -> None:
        thread, why = await self._thread_of(page)
        if why:
            await self._drop(page, why)
            return
        if thread is None:
            await delivery.postponed(self._store.leading, page, plan.CHART_WAITS, self._clock.now())
            return
        page, incident = await delivery.claim(self._store.leading, page.id, self._clock.now()) or (page, None)
        if incident is None:
            return
        picture = await self._picture_of(incident)
        if not picture:
            await self._drop(page, "there is nothing to draw")
            return
        try:
            posted = await self._pictures.upload(incident, picture, thread)
        except RemoteError as error:
            await self._failed(page, error)
            return
        await delivery.sent(self._store.leading, page, posted, incident.revision, self._clock.now())
        telemetry.attempts.labels(Verdict.SENT).inc()

    async def _thread_of(self, page: Page) -> tuple[Posted | None, str]:
        """Where it belongs, or why it belongs nowhere. Neither: the card, or the runbook below it, is still on its
        way."""
        if self._refused is not None and time.monotonic() < self._refused[1]:
            return None, f"Slack takes no pictures: {self._refused[0]}"
        pages = await self._store.pages_of(page.incident or "")
        card = next((one for one in pages if one.kind is PageKind.CARD and one.state is not PageState.CANCELLED), None)
        if card is None or card.state is PageState.FAILED:
            return None, "there is no card to put it under"
        if card.lead is not None:
            return None, "its card is shared by several incidents"
        if card.ts is None or card.slack_channel is None:
            return None, ""
        under_way = (PageState.DUE, PageState.SENDING, PageState.UNKNOWN)
        if any(one.kind is PageKind.RUNBOOK and one.state in under_way for one in pages):
            return None, ""
        return Posted(card.slack_channel, card.ts), ""

    async def _picture_of(self, incident: Incident) -> bytes:
        try:
            drawn: dict[str, Any] = await self._renderings.chart(incident, as_png=True)
        except AgentpagerError as error:
            log.info("chart.not_drawn", incident=incident.id, error=str(error))
            return b""
        return b64decode(drawn["png"])

    async def _failed(self, page: Page, error: RemoteError) -> None:
        if error.retry_after_seconds is None and (error.code != UNREACHABLE or page.attempt >= _TRIES):
            if error.permanent:
                self._refused = (error.code or str(error), time.monotonic() + _REFUSED_FOR)
            await self._give_up(page, str(error))
            return
        verdict = await delivery.failed_together(self._store.leading, [page], error, self._world(), self._clock.now())
        telemetry.attempts.labels(verdict).inc()

    async def _give_up(self, page: Page, why: str) -> None:
        error = RemoteError(why, permanent=True)
        await delivery.failed_together(self._store.leading, [page], error, self._world(), self._clock.now())
        telemetry.attempts.labels(Verdict.REFUSED).inc()

    async def _drop(self, page: Page, why: str) -> None:
        await delivery.dropped(self._store.leading, attempt.cancelled(page, why))
        log.info("chart.dropped", page=page.id, why=why)
