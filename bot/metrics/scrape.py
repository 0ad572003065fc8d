"""When each target is scraped, and the list of targets as it changes: settings, file_sd, http_sd, reloads.

One task per target, spread over the interval by hash. What a scrape does is target.py's business.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.labels import Labels
from bot.metrics.discovery import Discovery
from bot.metrics.fetch import Client
from bot.metrics.layout import Ids
from bot.metrics.metadata import Family
from bot.metrics.spec import Spec, discovered_specs, distinct, static_specs
from bot.metrics.target import ScrapedTarget, Store
from bot.metrics.view import target_json
from bot.settings import Metrics

log = logging.getLogger(__name__)


@dataclass
class _Running:
    target: ScrapedTarget
    task: asyncio.Task[None]


class Scraper:
    """Keeps every target scraped at its interval. `on_scraped(t)` is called right after a scrape at t was written."""

    def __init__(
        self,
        settings: Metrics,
        store: Store,
        base_dir: Path,
        on_scraped: Callable[[float], None] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._store = store
        self._base_dir = base_dir
        self._on_scraped = on_scraped
        self._clock = clock
        self._monotonic = monotonic
        self._turns = asyncio.Semaphore(1)
        self._running: dict[str, _Running] = {}
        self._client: Client | None = None
        self._discovery: Discovery | None = None
        self._unusable: list[str] = []
        self._stats = {"scrapes": 0, "failures": 0, "samples": 0, "crashed": 0, "skipped": 0}

    async def run(self) -> None:
        """Scrapes until cancelled."""
        self._client = Client(self._base_dir)
        self._discovery = Discovery(self._settings.scrape, self._base_dir, self._client, self._apply)
        self._apply()
        try:
            await self._discovery.run()
        finally:
            tasks = [running.task for running in self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._running.clear()
            await self._client.close()
            self._client = None

    async def reconfigure(self, settings: Metrics) -> None:
        """Targets that stay keep their state; those that are gone get stale markers."""
        self._settings = settings
        if self._discovery is not None:
            await self._discovery.follow(settings.scrape)
            self._apply()

    def targets(self) -> list[dict[str, Any]]:
        """The `activeTargets` of Prometheus' `/api/v1/targets`."""
        return [target_json(running.target) for running in self._running.values()]

    def live(self) -> list[tuple[Spec, Ids]]:
        """Every target, and the store's ids of the series that its last good scrape brought."""
        return [(running.target.spec, running.target.known) for running in self._running.values()]

    def metadata(self) -> list[tuple[Labels, tuple[Family, ...]]]:
        """Every target's labels, and what its last page said about its metrics."""
        targets = [running.target for running in self._running.values()]
        return [(target.spec.naming.labels, target.layout.families) for target in targets]

    def problems(self) -> list[str]:
        """Lists that cannot be read and entries that cannot be scraped, one line each."""
        return [*(self._discovery.problems() if self._discovery is not None else []), *self._unusable]

    def stats(self) -> dict[str, int]:
        """Counters since start, and the number of targets by health."""
        totals = dict(self._stats)
        states = {"up": 0, "down": 0, "unknown": 0}
        for running in self._running.values():
            states[running.target.health.state] += 1
            for what, count in running.target.counts.items():
                totals[what] = totals.get(what, 0) + count
        return {**totals, **{f"targets_{state}": count for state, count in states.items()}}

    def _apply(self) -> None:
        """Brings the running targets in line with the settings and what discovery has found."""
        if self._client is None or self._discovery is None:
            return
        scrape = self._settings.scrape
        fixed, wrong = static_specs(scrape)
        found, unusable = discovered_specs(scrape, self._discovery.groups())
        self._unusable = [*wrong, *unusable]
        for problem in self._unusable:
            log.warning("no target: %s", problem)
        wanted = distinct([*fixed, *found])
        for key in self._running.keys() - wanted.keys():
            self._stop(key)
        for key, spec in wanted.items():
            running = self._running.get(key)
            if running is None:
                target = ScrapedTarget(spec, self._store, self._client, self._clock, self._monotonic, self._turns)
                self._running[key] = self._start(target)
            elif running.target.spec != spec:
                running.task.cancel()
                running.target.follow(spec)
                self._running[key] = self._start(running.target)

    def _start(self, target: ScrapedTarget) -> _Running:
        return _Running(
            target, asyncio.create_task(self._keep_scraping(target), name=f"scrape {target.spec.shown_url}")
        )

    def _stop(self, key: str) -> None:
        running = self._running.pop(key)
        running.task.cancel()
        running.target.retire(round(self._clock(), 3))
        for what, count in running.target.counts.items():
            self._stats[what] = self._stats.get(what, 0) + count

    async def _scrape(self, target: ScrapedTarget) -> None:
        before = target.health.state
        try:
            at = await target.scrape()
            if self._on_scraped is not None:
                self._on_scraped(at)
        except Exception:  # this target's next turn comes whatever happened in this one
            self._stats["crashed"] += 1
            log.exception("scrape of %s", target.spec.shown_url)
        if target.health.state == "down" != before:
            log.warning("target %s is down: %s", target.spec.shown_url, target.health.last_error)
        elif target.health.state == "up" and before == "down":
            log.info("target %s is up again", target.spec.shown_url)

    async def _keep_scraping(self, target: ScrapedTarget) -> None:
        """Turns lie at fixed distances; one that comes while a scrape still runs is left out."""
        interval = target.spec.interval_seconds
        turn = self._monotonic() + (target.spec.offset_seconds - self._clock()) % interval
        while True:
            await asyncio.sleep(max(0.0, turn - self._monotonic()))
            await self._scrape(target)
            turn += interval
            late = self._monotonic() - turn
            if late > 0:
                missed = int(late // interval) + 1
                turn += missed * interval
                self._stats["skipped"] += missed
