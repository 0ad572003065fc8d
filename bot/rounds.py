"""Rounds of rule groups in the watcher: one thread for all of them, each group at its own pace, none ever in a queue.

A group that is still busy when its turn comes misses that turn; this is counted, said once, and said again when it is
over. Between the regular rounds the alerting rules are looked at after scrapes, as long as nothing regular waits.
Where an engine elsewhere has the samples, a round waits for its answers outside of the thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog

from bot import garbage, telemetry
from bot.errors import QueryError
from bot.joint import Update, encode
from bot.labels import Labels
from bot.promql.engine import Engine
from bot.promql.hashing import xxh64
from bot.promql.parse import Expr
from bot.promql.value import Value
from bot.rules.asked import Asked
from bot.rules.evaluate import Evaluation, GroupState, Tell
from bot.rules.model import Group

log = structlog.get_logger()

_SUMMARY_EVERY = 60.0
_JITTER = 1.0
_EARLY_SHARE = 0.1  # how much of the time may go into evaluations between the regular ones
_EARLY_GAP = 0.05
_EPOCH = datetime.fromtimestamp(0, UTC)
_LATE = 1.0  # seconds after its turn


Round = tuple[Evaluation, bytes, float]  # what it found, the line about it, the seconds of processor time


class Elsewhere(Protocol):
    """An engine that has the samples when we do not."""

    @property
    def up(self) -> bool: ...

    async def instants(
        self, questions: Sequence[str], t: float, seconds: float, all_seconds: float
    ) -> dict[str, Value | QueryError]:
        """The answers of all of them at t, in unix seconds; what was not answered in time is a QueryError too."""


class Pace:
    """When one group's rounds begin, on a clock of seconds that never goes back."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.behind = False
        self._began: float | None = None
        self._summed_up: float | None = None

    def begin(self, now: float) -> int:
        """A regular round begins: how many turns have been missed since the one before."""
        before, self._began = self._began, now
        return 0 if before is None else max(0, round((now - before) / self.interval) - 1)

    def tell(self, now: float) -> Tell:
        """How much this round has to tell; what is not known to have been told is summed up at once."""
        if self._summed_up is not None and now - self._summed_up < _SUMMARY_EVERY - _JITTER:
            return Tell.CHANGES
        self._summed_up = now
        return Tell.SUMMARY


def phase(group: Group, interval: float) -> float:
    """Seconds after each multiple of the interval at which this group is evaluated, as in Prometheus: the groups are
    spread, and each asks about the same instants whoever evaluates it and whenever that was started."""
    told = b"".join(text.encode() + b"\xff" for text in ("file", group.file, "name", group.name))
    return xxh64(told) % round(interval * 1e9) / 1e9


def turn_before(now: datetime, interval: float, phase: float) -> datetime:
    """The last of its instants that is not after now; to the millisecond, so that everybody names the same one."""
    now_ms, interval_ms = (now - _EPOCH) // timedelta(milliseconds=1), round(interval * 1000)
    return _EPOCH + timedelta(milliseconds=now_ms - (now_ms - int(phase * 1000)) % interval_ms)


class InTime:
    """The engine as the rules of one group ask it: every question has so many `seconds`, on a `clock` of seconds.

    `asked` is told of each, for a group of many slow rules is busy and not stuck.
    """

    def __init__(
        self, engine: Engine, seconds: float, asked: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._seconds = seconds
        self._asked = asked
        self._clock = clock

    def instant(self, expr: Expr, t: float) -> Value:
        """Raises QueryError, also when time is over."""
        self._asked()
        over = self._clock() + self._seconds
        limits = replace(self._engine.limits, deadline=lambda: self._clock() > over)
        return self._engine.instant(expr, t, limits)

    def presences(self, expr: Expr, labels: Sequence[Labels], t: float) -> Sequence[Iterable[int]]:
        return self._engine.presences(expr, labels, t)


class Rounds:
    """`send` takes a line for the pager."""

    def __init__(self, engine: Engine, now: Callable[[], datetime], send: Callable[[bytes], Awaitable[None]]) -> None:
        self.groups: dict[str, GroupState] = {}
        self.scraped = asyncio.Event()
        self.elsewhere: Elsewhere | None = None  # what has the samples, when we do not
        self.incarnation = 0  # of the replica that this watcher evaluates for
        self._engine = engine
        self._now = now
        self._send = send
        self._paces: dict[str, Pace] = {}
        self._thread = ThreadPoolExecutor(1, "rules")
        self._busy_since: float | None = None
        self._waiting = 0

    def querier(self, seconds: float) -> InTime:
        """For the rules of one group."""
        return InTime(self._engine, seconds, self._alive)

    def _alive(self) -> None:
        self._busy_since = time.monotonic()

    @property
    def busy_seconds(self) -> float:
        """How long what is under way has taken; within a round, the rule."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def follow(self, groups: dict[str, float]) -> None:
        """Group → interval in seconds, from now on; what each has told is forgotten."""
        self._paces = {name: Pace(interval) for name, interval in groups.items()}
        for gauge in (telemetry.rule_group_interval, telemetry.rule_group_rules, telemetry.rule_group_seconds):
            gauge.clear()
        telemetry.rule_group_evaluated_at.clear()
        for name, interval in groups.items():
            telemetry.rule_group_interval.labels(name).set(interval)
            telemetry.rule_group_rules.labels(name).set(len(self.groups[name].rules))
            telemetry.rule_iterations.labels(name)
            telemetry.rule_iterations_missed.labels(name)

    def follows(self, name: str) -> bool:
        """Whether its rounds are known already: a configuration brings the groups first."""
        return name in self._paces

    def begin_anew(self, name: str) -> None:
        """The group comes from another replica: what has been told of it is not known, so all of it is told."""
        if (pace := self._paces.get(name)) is not None:
            self._paces[name] = Pace(pace.interval)

    def missed(self, name: str, since: datetime) -> list[datetime]:
        """The instants at which a group would have been evaluated since, and was not as far as we know."""
        step = timedelta(seconds=self._paces[name].interval)
        count = int((self._now() - since) / step)
        return [since + number * step for number in range(1, count + 1)]

    def catch_up(self, group: GroupState, instants: Iterable[datetime]) -> None:
        """Looks at the alerts as they were then, so that `for` goes on as if nothing had happened. Tells nothing."""
        for at in instants:
            self._alive()
            with self._engine.round(group.asked_at(at)):
                group.look(at, early=True)

    async def regular(self, name: str) -> None:
        """One group's turn has come."""
        pace = self._paces.get(name)
        if pace is None or name not in self.groups:
            return
        missed = pace.begin(time.monotonic())
        telemetry.rule_iterations.labels(name).inc(1 + missed)
        telemetry.rule_iterations_missed.labels(name).inc(missed)
        if bool(missed) is not pace.behind:
            pace.behind = bool(missed)
            say = log.warning if missed else log.info
            say("rules.behind" if missed else "rules.in_time_again", group=name, interval_seconds=pace.interval)
        self._waiting += 1
        try:
            await self._one(name, early=False)
        finally:
            self._waiting -= 1

    async def early(self) -> None:
        """Looks at the alerting rules right after a scrape, so that a page need not wait for the next regular round."""
        while True:
            await self.scraped.wait()
            self.scraped.clear()
            spent = 0.0
            for name in list(self.groups):
                if not self._waiting and not self.groups[name].mirrored:
                    spent += await self._one(name, early=True)
            await asyncio.sleep(max(_EARLY_GAP, spent / _EARLY_SHARE))

    async def _one(self, name: str, *, early: bool) -> float:
        """The seconds of processor time that it took."""
        group, pace = self.groups.get(name), self._paces.get(name)
        if group is None or pace is None:
            return 0.0
        if group.asked is not None:
            found = None if early else await self._ask(name, group, group.asked, pace)
            if found is None:
                return 0.0
            evaluation, line, spent = found
        else:
            evaluation, line, spent = await self.in_thread(self._round, group, pace, early)
        telemetry.rule_seconds.observe(group.seconds if not early else spent)
        telemetry.rule_evaluations.labels(name).inc()
        telemetry.rule_failures.labels(name).inc(len(evaluation.failures))
        if not early:
            telemetry.rule_group_seconds.labels(name).set(group.seconds)
            telemetry.rule_group_evaluated_at.labels(name).set(evaluation.evaluated_at.timestamp())
        if line:
            await self._send(line)
        return float(spent)

    def _round(self, group: GroupState, pace: Pace, early: bool) -> tuple[Evaluation, bytes, float]:
        began = time.thread_time()  # what others take of the processor is not ours to pay for by waiting
        now = self._now()
        t = (now - group.group.query_offset).timestamp()
        first = group.evaluated_at is None
        with garbage.let_lie() if first else nullcontext(), self._engine.round(t):
            evaluation = group.evaluate(now, early=early, tell=pace.tell(time.monotonic()))
        # Put into words here: it may be long, and the loop has scrapes to see to.
        return evaluation, _line(evaluation, self.incarnation), time.thread_time() - began

    async def _ask(self, name: str, group: GroupState, asked: Asked, pace: Pace) -> Round | None:
        """One round of a group whose samples are elsewhere. None when a reload has replaced it meanwhile."""
        if self.elsewhere is None:
            return None
        began = time.monotonic()
        at = self._instant_of(group, pace)
        asked.begin()
        left: list[int] | None = None
        spent = 0.0
        while True:
            looked = await self.in_thread(self._look, name, group, at, left)
            if looked is None:
                return None
            left, took = looked
            spent += took
            if not left:
                break
            rest = max(0.0, pace.interval - (time.monotonic() - began))
            asked.learn(await self.elsewhere.instants(asked.taken(), group.asked_at(at), pace.interval, rest))
        seconds = time.monotonic() - began
        found: tuple[Evaluation, bytes, float] | None = await self.in_thread(self._end, name, group, pace, at, seconds)
        return found and (found[0], found[1], found[2] + spent)

    def next_turn(self, name: str) -> datetime:
        """When a group whose samples are elsewhere is evaluated next."""
        pace, group = self._paces[name], self.groups[name].group
        return turn_before(self._now(), pace.interval, phase(group, pace.interval)) + timedelta(seconds=pace.interval)

    def _instant_of(self, group: GroupState, pace: Pace) -> datetime:
        """Now, when its turn was not what it is evaluated for, or comes late."""
        now = self._now()
        turn = turn_before(now, pace.interval, phase(group.group, pace.interval))
        late = (now - turn).total_seconds() > min(_LATE, pace.interval / 4)
        return now if late or (group.evaluated_at is not None and turn <= group.evaluated_at) else turn

    def _look(
        self, name: str, group: GroupState, at: datetime, left: list[int] | None
    ) -> tuple[list[int], float] | None:
        if self.groups.get(name) is not group:
            return None
        began = time.thread_time()
        with self._engine.round(group.asked_at(at)):
            return group.look(at, left), time.thread_time() - began

    def _end(self, name: str, group: GroupState, pace: Pace, at: datetime, seconds: float) -> Round | None:
        if self.groups.get(name) is not group:
            return None
        began = time.thread_time()
        if group.asked is not None and self.elsewhere is not None:
            group.asked.engine_down = not self.elsewhere.up
        evaluation = group.finish(at, seconds, tell=pace.tell(time.monotonic()))
        return evaluation, _line(evaluation, self.incarnation), time.thread_time() - began

    async def in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        """One at a time, in order: nothing changes a group while it is evaluated."""

        def run() -> Any:
            with self._busy():
                return call(*args)

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    @contextmanager
    def _busy(self) -> Iterator[None]:
        self._busy_since = time.monotonic()
        try:
            yield
        finally:
            self._busy_since = None


def _line(evaluation: Evaluation, incarnation: int) -> bytes:
    """Empty when there is nothing to say."""
    if evaluation.still is None and not evaluation.alerts and evaluation.state is None:
        return b""
    return encode(
        Update(
            group=evaluation.group,
            evaluated_at=evaluation.evaluated_at,
            alerts=evaluation.alerts,
            still=evaluation.still,
            state=evaluation.state,
            incarnation=incarnation,
        )
    )


class Lag:
    """How long the event loop was held up at most: by a long callback, a lock, or the interpreter."""

    _EVERY = 0.02
    _WINDOW = 60.0

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._largest = [0.0, 0.0]  # of the window before, and of this one

    @property
    def largest(self) -> float:
        """Seconds, of the last one to two minutes."""
        return max(self._largest)

    async def measure(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(self._EVERY)
            now = time.monotonic()
            if now - self._since > self._WINDOW:
                self._since, self._largest = now, [self._largest[1], 0.0]
            self._largest[1] = max(self._largest[1], now - before - self._EVERY)
