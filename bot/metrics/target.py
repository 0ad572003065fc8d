"""One target's scrapes: fetch, read, write to the store, and the staleness and health series that Prometheus writes.

When to scrape is scrape.py's business. A failed scrape writes nothing of its body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bot.errors import RemoteError
from bot.labels import Labels
from bot.metrics.exposition import ACCEPT
from bot.metrics.fetch import Answer, Client
from bot.metrics.layout import Ids, Layout, Reading, Values
from bot.metrics.spec import Spec

REPORT_NAMES = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
# Larger bodies are parsed on a thread, where the interpreter switches to the event loop every few milliseconds.
_PARSE_INLINE_BYTES = 128 * 1024


def _no_ids() -> Ids:
    return np.empty(0, np.int64)


class Store(Protocol):
    """What scraping asks of the series store. Ids hold while `epoch` stays; -1 is a series nobody wants."""

    @property
    def epoch(self) -> int: ...

    def intern(self, labels: Labels) -> int: ...

    def append(self, writer: str, t: float, ids: Ids, values: Values) -> object: ...

    def append_at(self, ids: Ids, times: Values, values: Values) -> object: ...

    def mark_stale(self, t: float, ids: Ids) -> object: ...


@dataclass
class Health:
    """How the last scrape went, for `/api/v1/targets`."""

    state: str = "unknown"
    last_error: str = ""
    last_scrape: float = 0.0
    last_duration: float = 0.0


@dataclass(frozen=True, eq=False)
class _Row:
    """What is written of a page with the series `read`: `kept` are those that are not our own report's, `mask` where
    they stand if not all are kept, and `ids` all that is written. Mostly the same from scrape to scrape.
    """

    read: Ids
    report: Ids
    kept: Ids
    mask: NDArray[np.bool_] | None
    ids: Ids


@dataclass
class ScrapedTarget:
    """State of one target between scrapes."""

    spec: Spec
    store: Store
    client: Client
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    # Shared by all targets, see `_wait_for_turn`.
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    health: Health = field(default_factory=Health)
    layout: Layout = field(init=False)
    # Series of the last scrape that took its time: they go stale when they vanish.
    live: Ids = field(default_factory=_no_ids)
    # Series of the last good scrape, whatever failed since.
    known: Ids = field(default_factory=_no_ids)
    counts: dict[str, int] = field(default_factory=dict)
    _epoch: int = -1
    _report: Ids = field(default_factory=_no_ids)
    _row: _Row | None = None

    def __post_init__(self) -> None:
        self.layout = Layout(self.spec.naming, self.store.intern)

    def follow(self, spec: Spec) -> None:
        """The same target with other settings: what is live stays live until the next scrape says otherwise."""
        self.spec = spec
        self._epoch = -1
        self.layout = Layout(spec.naming, self.store.intern)

    async def scrape(self) -> float:
        """Scrapes once, writes what came of it, and returns the scrape's time."""
        at = round(self.clock(), 3)
        begun = self.monotonic()
        try:
            answer = await self._fetch()
            await self._wait_for_turn()
            reading = await self._read(answer)
        except RemoteError as error:
            self._write_failure(at, begun, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a target makes us stumble over, the others go on
            self._count("crashed")
            self._write_failure(at, begun, f"internal error: {type(error).__name__}: {error}")
        else:
            self._write(at, begun, reading)
        return at

    def retire(self, at: float) -> None:
        """The target is gone: everything it wrote ends here."""
        self.store.mark_stale(at, np.concatenate([self.live, self._report_ids()]))
        self.live = _no_ids()

    async def _fetch(self) -> Answer:
        spec = self.spec
        headers = {
            "Accept": ACCEPT,
            "Accept-Encoding": "gzip",
            "User-Agent": "agentpager",
            "X-Prometheus-Scrape-Timeout-Seconds": f"{spec.timeout_seconds:g}",
        }
        return await self.client.get(
            spec.url,
            spec.access,
            headers,
            timeout_seconds=spec.timeout_seconds,
            max_bytes=spec.naming.limits.body_size,
        )

    async def _wait_for_turn(self) -> None:
        """One page in full per turn of the loop: the first pages of a fleet, all there at once, stop no heartbeat."""
        self._look_up_again_if_forgotten()
        if not self.layout.remembers:
            async with self.turns:
                await asyncio.sleep(0)

    async def _read(self, answer: Answer) -> Reading:
        self._look_up_again_if_forgotten()
        if len(answer.body) <= _PARSE_INLINE_BYTES:
            return self.layout.read(answer.body, answer.content_type)
        return await asyncio.to_thread(self.layout.read, answer.body, answer.content_type)

    def _write(self, at: float, begun: float, reading: Reading) -> None:
        report = self._report_ids()
        row = self._row
        if row is None or row.read is not reading.ids or row.report is not report:
            row = self._row = _row(reading.ids, report)
        ids = row.kept
        values = reading.values if row.mask is None else reading.values[row.mask]
        same = ids is self.live and ids is self.known
        vanished = _no_ids() if same else np.setdiff1d(self.live, ids)
        added = 0 if same else len(np.setdiff1d(ids, self.known))
        took = self.monotonic() - begun
        numbers = np.array([1.0, took, reading.scraped, reading.kept, added])
        self.store.append(self.spec.key, at, row.ids, np.concatenate([values, numbers]))
        if reading.timed is not None:
            self.store.append_at(reading.timed.ids, reading.timed.times, reading.timed.values)
        if len(vanished):
            self.store.mark_stale(at, vanished)
        self.live = self.known = ids
        self.health = Health("up", "", at, took)
        self._count("scrapes")
        self._count("samples", reading.kept)

    def _write_failure(self, at: float, begun: float, reason: str) -> None:
        took = self.monotonic() - begun
        self.store.append(self.spec.key, at, self._report_ids(), np.array([0.0, took, 0.0, 0.0, 0.0]))
        if len(self.live):
            self.store.mark_stale(at, self.live)
        self.live = _no_ids()
        self.layout.forget()
        self.health = Health("down", reason, at, took)
        self._count("scrapes")
        self._count("failures")

    def _report_ids(self) -> Ids:
        self._look_up_again_if_forgotten()
        return self._report

    def _look_up_again_if_forgotten(self) -> None:
        """A target may be down for longer than the store remembers its series."""
        if self._epoch == self.store.epoch:
            return
        self._epoch = self.store.epoch
        self.layout.forget()
        labels = self.spec.naming.labels
        self._report = np.array([self.store.intern({**labels, "__name__": name}) for name in REPORT_NAMES], np.int64)

    def _count(self, what: str, by: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + by


def _row(read: Ids, report: Ids) -> _Row:
    """A target that exposes `up` itself does not get to say whether it is up."""
    clash = np.isin(read, report)
    kept, mask = (read[~clash], ~clash) if clash.any() else (read, None)
    return _Row(read, report, kept, mask, np.concatenate([kept, report]))
