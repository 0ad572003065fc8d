"""Answers questions about the samples: people's and Grafana's in Prometheus' HTTP API, and the checks of runbooks.

Every question runs in a thread with an engine of its own, so that neither rules nor scraping wait for it, and runbook
checks do not wait behind somebody's slow dashboard.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from bot.errors import QueryError
from bot.promql.api import instant_json, range_json
from bot.promql.engine import Engine, Limits
from bot.promql.parse import Expr, parse
from bot.promql.store import SeriesStore
from bot.promql.value import Value
from bot.schema import parse_duration, parse_instant
from bot.settings import Query

T = TypeVar("T")


class Queries:
    def __init__(self, store: SeriesStore, now: Callable[[], datetime]) -> None:
        self._now = now
        self._settings = Query()
        self._engine = Engine(store)
        self._checks = Engine(store)  # an engine is used by one thread at a time
        self._thread = ThreadPoolExecutor(1, "queries")
        self._checks_thread = ThreadPoolExecutor(1, "checks")

    def adjust(self, settings: Query) -> None:
        """From the next question on."""
        self._settings = settings
        for engine in (self._engine, self._checks):
            engine.adjust(settings.lookback_delta.total_seconds(), engine.limits)

    def _parsed(self, text: str) -> Expr:
        return parse(text, experimental=self._settings.experimental_functions)

    def _limits(self) -> Limits:
        """Those of a question that is asked now."""
        end = time.monotonic() + self._settings.timeout.total_seconds()
        return Limits(self._settings.max_samples, self._settings.max_series, deadline=lambda: time.monotonic() > end)

    async def query(self, params: dict[str, Any]) -> Any:
        expr = self._parsed(_needed(params, "query"))
        at = _time(params["time"]) if params.get("time") else self._now().timestamp()
        return instant_json(await _run(self._thread, lambda: self._engine.instant(expr, at, self._limits())))

    async def query_range(self, params: dict[str, Any]) -> Any:
        expr = self._parsed(_needed(params, "query"))
        start, end, step = (_time(_needed(params, name)) for name in ("start", "end", "step"))
        return range_json(await _run(self._thread, lambda: self._engine.range(expr, start, end, step, self._limits())))

    async def checking(self, work: Callable[[Callable[[str], Value]], T], now: datetime) -> T:
        """What `work` makes of the answers at `now`, off the event loop."""
        at = now.timestamp()

        def ask(text: str) -> Value:
            return self._checks.instant(self._parsed(text), at, self._limits())

        return await _run(self._checks_thread, lambda: work(ask))


async def _run(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, work)


def _needed(params: dict[str, Any], name: str) -> str:
    value = params.get(name)
    if not value:
        raise QueryError(f'the parameter "{name}" is missing')
    return str(value)


def _time(text: str) -> float:
    """An instant, or for steps a duration, as Prometheus' API takes them."""
    try:
        return parse_instant(text)
    except ValueError as error:
        wrong = str(error)
    try:
        return parse_duration(text).total_seconds()
    except ValueError:
        raise QueryError(wrong) from None
