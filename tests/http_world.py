"""Some paths of the HTTP server by themselves, behind its door."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core_world import NOW
from starlette.applications import Starlette

from bot.settings import Http
from bot.web.door import Door
from bot.web.operation import Operation, mounted


class Noon:
    """A backend of which the door asks nothing but the time, which stands still."""

    @property
    def clock(self) -> Noon:
        return self

    def now(self) -> datetime:
        return NOW


def app_of(operations: Sequence[Operation], settings: Http | None = None) -> Starlette:
    http = settings or Http()
    return Starlette(routes=mounted(operations, Door(lambda: http, Noon())))
