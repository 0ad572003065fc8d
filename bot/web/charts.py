"""What an incident's alert saw, as a picture for pages and reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.responses import Response

from bot.settings import ApiScope
from bot.web.operation import Call, Operation
from bot.web.request import Nothing, refuse

# Opened by itself in a browser it may do nothing, whatever stands in it.
_HEADERS = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"}


class Backend(Protocol):
    async def chart(self, reference: str) -> str:
        """SVG; empty when there is nothing to draw. Raises UsageError for an incident there is not, RemoteError."""


def operations(backend: Backend) -> Sequence[Operation]:
    async def chart(call: Call[Nothing, None]) -> Response:
        svg = await backend.chart(call.of_path("id"))
        if not svg:
            return refuse(404, "not_found", "there is nothing to draw: no samples of what its rule watches are kept")
        return Response(svg, media_type="image/svg+xml", headers=_HEADERS)

    about = "What the rule of an incident watches, drawn."
    path = "/api/pager/incidents/{id}/chart.svg"
    return [Operation("GET", path, chart, ApiScope.READ, about, media="image/svg+xml")]
