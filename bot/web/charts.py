"""What an incident's alert saw, as a picture for pages and reports."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from bot.errors import RemoteError
from bot.settings import Http
from bot.web.request import guarded, refuse

# Opened by itself in a browser it may do nothing, whatever stands in it.
_HEADERS = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"}


class Backend(Protocol):
    async def chart(self, reference: str) -> str:
        """SVG; empty when there is nothing to draw. Raises UsageError for an incident there is not, RemoteError."""


def routes(backend: Backend, settings: Http) -> list[BaseRoute]:
    async def chart(request: Request) -> Response:
        try:
            svg = await backend.chart(request.path_params["id"])
        except RemoteError as error:
            return refuse(503, "unavailable", str(error))
        if not svg:
            return refuse(404, "not_found", "there is nothing to draw: no samples of what its rule watches are kept")
        return Response(svg, media_type="image/svg+xml", headers=_HEADERS)

    return [Route("/api/pager/incidents/{id}/chart.svg", guarded(settings, chart))]
