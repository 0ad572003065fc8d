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
from bot.joint import Request
from bot.rounds import Pace
from bot.rules.evaluate import Tell
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


class _Pace(Pace):
    """Sums up once a minute of that clock."""

    def __init__(self, interval: float, clock: Clock) -> None:
        super().__init__(interval)
        self._clock = clock

    def tell(self, now: float) -> Tell:
        return super().tell(self._clock.t)


class Inside:
    """`fill` and `round` move the time."""

    def __init__(self, directory: Path, agents: int, thread: Executor | None = None) -> None:
        self.fleet = Fleet(agents)
        self.clock = Clock()
        self._directory = directory
        self._watcher = Watcher(self._send)
        self._watcher._clock = self.clock  # type: ignore[assignment]
        self._rounds = self._watcher._rounds
        self._rounds._now = self.clock.now
        if thread is not None:
            self._rounds._thread = thread  # type: ignore[assignment]
        self._store = self._watcher._store
        self._ids: list[Any] = []

    async def configure(self, rule_list: list[dict[str, Any]]) -> float:
        """Processor seconds of it."""
        write_configuration(self._directory, rule_list, SLEEPY)
        sources = read_sources(self._directory, {}).for_watcher().to_json()
        begun = time.process_time()
        await self._watcher.answer(Request(id=1, method="configure", params={"sources": sources, "states": {}}))
        spent = time.process_time() - begun
        self._rounds._paces = {name: _Pace(pace.interval, self.clock) for name, pace in self._rounds._paces.items()}
        return spent

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
        """Processor seconds of the next regular round."""
        self.fill(ROUND_SECONDS)
        begun = time.process_time()
        with around:
            await self._rounds._one(self._group, early=False)
        return time.process_time() - begun

    @property
    def alerts(self) -> int:
        return sum(len(rule.active) for _, rule, _ in self._rounds.groups[self._group].rules if rule is not None)

    @property
    def _group(self) -> str:
        return next(name for name in self._rounds.groups if name.endswith(";bench"))

    @property
    def series(self) -> int:
        return len(self._store)

    async def _send(self, message: Any, body: bytes = b"") -> None:
        """Updates come as lines ready for the pipe."""
        if getattr(message, "error", None):
            raise SystemExit(f"the watcher refused: {message.error}")


def quiet() -> None:
    """Only what went wrong, and without the values of every variable on the way."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer(key_order=["event"])],
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
