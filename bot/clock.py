"""The clocks that everybody else is handed: one of the few places that read one. Loads nothing: commands need it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path


class SystemClock:
    """Implements ports.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this is the clock that everybody else is handed


class SteadyClock:
    """Wall-clock time that does not jump. Implements ports.Clock.

    Between two calls of `adopt` it counts on a clock that nobody sets and that goes on while the machine is suspended,
    where there is one. `wall` and `steady` give seconds.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] | None = None, boot: str | None = None
    ) -> None:
        self._wall = wall
        self._steady = steady or through_suspend
        self._boot = _boot_id() if boot is None else boot
        self._offset = wall() - self._steady()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._offset + self._steady(), UTC)

    def wall(self) -> datetime:
        """What the machine's clock says."""
        return datetime.fromtimestamp(self._wall(), UTC)

    def drift(self) -> timedelta:
        """How far the machine's clock is ahead of this one."""
        return timedelta(seconds=self._wall() - self._steady() - self._offset)

    def adopt(self) -> None:
        self._offset = self._wall() - self._steady()

    def seconds(self) -> float:
        """What it counts on: differences of it are time that has passed, asleep or not."""
        return self._steady()

    def mark(self, now: datetime | None = None) -> str:
        """How this clock stands, for `since` in a later run; `now` is what it will say soon."""
        offset = self._offset if now is None else now.timestamp() - self._steady()
        return f"{self._boot or '-'} {offset:.3f} {self._steady():.3f}"

    def since(self, mark: str) -> tuple[timedelta, timedelta] | None:
        """By how much the machine's clock was set since, and how long ago that is; None when it was started anew."""
        boot, offset, then = mark.split(" ")
        if boot in {"-", ""} or boot != self._boot:
            return None
        now = self._steady()
        return timedelta(seconds=self._wall() - now - float(offset)), timedelta(seconds=now - float(then))


def said_at(mark: str) -> datetime:
    """What the clock that made this mark said then."""
    _, offset, then = mark.split(" ")
    return datetime.fromtimestamp(float(offset) + float(then), UTC)


def through_suspend() -> float:
    """Seconds on a clock that nobody sets and that goes on while the machine is suspended, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
