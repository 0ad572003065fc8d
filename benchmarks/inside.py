"""The watcher's own code in this process, fed from the fleet without HTTP: for processor time, memory and profiles.

A round here is everything a round is in the product: expressions, alert state, templates, `ALERTS` and recorded series
written back, and the update encoded for the pager. Only the pipe is missing.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from benchmarks.fleet import Fleet, groups
from bot.joint import Request, Update, encode
from bot.sources import read_sources
from bot.watcher import Watcher

SLEEPY = 86_400.0  # no round comes by itself while one is measured
START = 1_700_000_000.0
SCRAPE_SECONDS = 5.0
ROUND_SECONDS = 15.0


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.t = START

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.t, UTC)


class Inside:
    """`fill` and `round` move the time."""

    def __init__(self, directory: Path, agents: int, thread: Executor | None = None) -> None:
        self.fleet = Fleet(agents)
        self.clock = Clock()
        self.update: Update | None = None
        self.sent_bytes = 0
        self._directory = directory
        self._watcher = Watcher(self._send)
        if thread is not None:
            self._watcher._rules_thread = thread  # type: ignore[assignment]
        self._watcher._clock = self.clock  # type: ignore[assignment]
        self._store = self._watcher._store
        self._ids: list[Any] = []

    async def configure(self, rule_list: list[dict[str, Any]]) -> float:
        """Processor seconds of it."""
        write_configuration(self._directory, rule_list, SLEEPY)
        sources = read_sources(self._directory, {}).for_watcher().to_json()
        begun = time.process_time()
        await self._watcher.answer(Request(id=1, method="configure", params={"sources": sources, "states": {}}))
        return time.process_time() - begun

    def keep_all(self, seconds: float) -> None:
        """As if some rule looked so far back at every metric."""
        self._store.set_retention(seconds)

    def fill(self, seconds: float, every: float = SCRAPE_SECONDS) -> None:
        """So much time goes by, with a scrape of the whole fleet every so often."""
        for _ in range(round(seconds / every)):
            self.clock.t += every
            self._scrape()

    def _scrape(self) -> None:
        """Every agent at a moment of its own, within the second before now."""
        if not self._ids:
            self._ids = [self._interned(number) for number in range(len(self.fleet.names))]
        count, t = len(self._ids), self.clock.t
        for number, (ids, values) in enumerate(zip(self._ids, self.fleet.values(t), strict=True)):
            self._store.append(self.fleet.names[number], round(t - 1 + number / count, 3), ids, values)

    def _interned(self, number: int) -> Any:
        return np.array([self._store.intern(labels) for labels in self.fleet.series(number)])

    async def round(self, around: AbstractContextManager[object] = nullcontext()) -> float:  # noqa: B008
        """Processor seconds of the next regular round; what it told the pager is in `update`."""
        self.fill(ROUND_SECONDS)
        (name,) = (name for name in self._watcher._groups if name.endswith(";bench"))
        begun = time.process_time()
        with around:
            await self._watcher._evaluate(name, early=False)
        return time.process_time() - begun

    @property
    def alerts(self) -> int:
        return len(self.update.alerts) if self.update is not None else 0

    @property
    def series(self) -> int:
        return len(self._store)

    async def _send(self, message: Any) -> None:
        self.sent_bytes = len(encode(message))
        if isinstance(message, Update):
            self.update = message
        elif getattr(message, "error", None):
            raise SystemExit(f"the watcher refused: {message.error}")


def quiet() -> None:
    """Only what went wrong, and without the values of every variable on the way."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer(["event"])],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def write_configuration(
    directory: Path, rule_list: list[dict[str, Any]], rule_interval: float, scrape: dict[str, Any] | None = None
) -> None:
    """`agentpager.yaml` with one group of rules. JSON is YAML too, and faster to write."""
    settings = {"metrics": {"scrape": scrape or {}}, "rules": {"interval": f"{rule_interval:g}s"}}
    files = {
        "agentpager.yaml": settings,
        "alerts/bench.yaml": groups(rule_list, rule_interval),
        "oncall/all.yaml": {"people": {"me": {"name": "Me", "slack": "U01"}}, "fallback": "person:me"},
    }
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
