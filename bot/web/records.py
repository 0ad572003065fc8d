"""Timelines, exports, reports, digests and the use of runbooks over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal, Protocol

from pydantic import Field
from starlette.responses import PlainTextResponse, Response

from bot.ports import Clock, Records
from bot.records.digest import Digest
from bot.records.markdown import postmortem
from bot.records.report import By, ReportJson
from bot.records.tables import as_markdown
from bot.records.timeline import Story
from bot.records.usage import Usage
from bot.settings import ApiScope
from bot.web.operation import Call, Operation
from bot.web.request import BadRequestError, Instant, Nothing, Query

_WEEK = timedelta(days=7)
_MARKDOWN = "text/markdown; charset=utf-8"
# Labels and notes are somebody else's text: no browser may take an answer for a page.
_PLAIN = {"X-Content-Type-Options": "nosniff"}


class Backend(Protocol):
    @property
    def records(self) -> Records: ...

    @property
    def clock(self) -> Clock: ...


class Export(Query):
    format: Literal["markdown", "json"] = "markdown"


class Span(Query):
    """The last seven days where nothing is said."""

    start: Instant | None = Field(None, alias="from")
    end: Instant | None = Field(None, alias="to")
    by: By | None = None
    format: Literal["json", "markdown"] = "json"


class OfSchedule(Query):
    schedule: str = Field(min_length=1)


class Of(Query):
    of: Literal["day", "week"] = "week"


class Lately(Query):
    days: Annotated[int, Field(ge=0, le=9999)] = 90


def operations(backend: Backend) -> Sequence[Operation]:
    paths = _Paths(backend)
    one, read, markdown = "/api/pager/incidents/{id}", ApiScope.READ, "text/markdown"
    return [
        Operation("GET", f"{one}/timeline", paths.timeline, read, "The story of an incident."),
        Operation("GET", f"{one}/export", paths.export, read, "The skeleton of a postmortem.", media=markdown),
        Operation("GET", "/api/pager/report", paths.report, read, "Who was woken, how often.", media=markdown),
        Operation("GET", "/api/pager/handover", paths.handover, read, "The latest hand-over of a schedule."),
        Operation("GET", "/api/pager/digest", paths.digest, read, "The last day or week."),
        Operation("GET", "/api/pager/runbooks", paths.runbooks, read, "How each runbook was used."),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def timeline(self, call: Call[Nothing, None]) -> Story:
        return await self._backend.records.timeline(call.of_path("id"))

    async def export(self, call: Call[Export, None]) -> Story | Response:
        story = await self._backend.records.timeline(call.of_path("id"))
        return story if call.query.format == "json" else _text(postmortem(story))

    async def report(self, call: Call[Span, None]) -> ReportJson | Response:
        end = call.query.end or self._backend.clock.now()
        try:
            start = call.query.start or end - _WEEK
        except OverflowError:
            raise BadRequestError(400, "to: that instant is outside the calendar") from None
        if end <= start:
            raise BadRequestError(400, "to: the end is not after the beginning")
        told = await self._backend.records.report(start, end, call.query.by)
        return told if call.query.format == "json" else _text(as_markdown(told))

    async def handover(self, call: Call[OfSchedule, None]) -> Digest:
        return await self._backend.records.handover(call.query.schedule)

    async def digest(self, call: Call[Of, None]) -> Digest:
        records = self._backend.records
        return await (records.daily() if call.query.of == "day" else records.weekly())

    async def runbooks(self, call: Call[Lately, None]) -> list[Usage]:
        return list(await self._backend.records.runbooks(call.query.days))


def _text(page: str) -> Response:
    return PlainTextResponse(page, media_type=_MARKDOWN, headers=_PLAIN)
