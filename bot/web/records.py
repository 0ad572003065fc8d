"""Timelines, exports, reports, digests and the use of runbooks over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.ports import Clock, Records
from bot.records import digest
from bot.records.markdown import postmortem
from bot.records.report import BYS, By
from bot.records.tables import as_markdown
from bot.settings import Http
from bot.web.request import BadRequestError, guarded, instant_of

_WEEK = timedelta(days=7)
_SHELF_DAYS = 90
_MARKDOWN = "text/markdown; charset=utf-8"
# Labels and notes are somebody else's text: no browser may take an answer for a page.
_PLAIN = {"X-Content-Type-Options": "nosniff"}


class Backend(Protocol):
    @property
    def records(self) -> Records: ...

    @property
    def clock(self) -> Clock: ...


def routes(backend: Backend, settings: Http) -> list[BaseRoute]:
    paths = _Paths(backend)
    return [
        Route("/api/pager/incidents/{id}/timeline", guarded(settings, paths.timeline), methods=["GET"]),
        Route("/api/pager/incidents/{id}/export", guarded(settings, paths.export), methods=["GET"]),
        Route("/api/pager/report", guarded(settings, paths.report), methods=["GET"]),
        Route("/api/pager/handover", guarded(settings, paths.handover), methods=["GET"]),
        Route("/api/pager/digest", guarded(settings, paths.digest), methods=["GET"]),
        Route("/api/pager/runbooks", guarded(settings, paths.runbooks), methods=["GET"]),
    ]


class _Paths:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def timeline(self, request: Request) -> Response:
        story = await self._backend.records.timeline(request.path_params["id"])
        return JSONResponse(story.model_dump(mode="json"))

    async def export(self, request: Request) -> Response:
        story = await self._backend.records.timeline(request.path_params["id"])
        if _choice(request, "format", ("markdown", "json"), "markdown") == "json":
            return JSONResponse(story.model_dump(mode="json"))
        return _text(postmortem(story))

    async def report(self, request: Request) -> Response:
        end = instant_of(request, "to") or self._backend.clock.now()
        start = instant_of(request, "from") or end - _WEEK
        if end <= start:
            raise BadRequestError(400, "to: the end is not after the beginning")
        told = await self._backend.records.report(start, end, _by(request))
        if _choice(request, "format", ("json", "markdown"), "json") == "json":
            return JSONResponse(told)
        return _text(as_markdown(told))

    async def handover(self, request: Request) -> Response:
        schedule = request.query_params.get("schedule")
        if not schedule:
            raise BadRequestError(400, "schedule: name the schedule")
        return _digest(await self._backend.records.handover(schedule))

    async def digest(self, request: Request) -> Response:
        if _choice(request, "of", ("day", "week"), "week") == "day":
            return _digest(await self._backend.records.daily())
        return _digest(await self._backend.records.weekly())

    async def runbooks(self, request: Request) -> Response:
        given = request.query_params.get("days") or str(_SHELF_DAYS)
        if not given.isdecimal() or len(given) > 4:
            raise BadRequestError(400, f'days: "{given}" is not a number of days')
        told = await self._backend.records.runbooks(int(given))
        return JSONResponse([one.model_dump(mode="json") for one in told])


def _digest(told: digest.Digest) -> Response:
    return JSONResponse(told.model_dump(mode="json"))


def _text(page: str) -> Response:
    return PlainTextResponse(page, media_type=_MARKDOWN, headers=_PLAIN)


def _by(request: Request) -> By | None:
    given = request.query_params.get("by")
    known: dict[str, By] = {by: by for by in BYS}
    if given and given not in known:
        raise BadRequestError(400, f'by: "{given}" is none of {", ".join(BYS)}')
    return known.get(given or "")


def _choice(request: Request, name: str, known: tuple[str, ...], default: str) -> str:
    given = request.query_params.get(name) or default
    if given not in known:
        raise BadRequestError(400, f'{name}: "{given}" is none of {", ".join(known)}')
    return given
