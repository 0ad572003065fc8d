"""Virtual time: an event loop whose waiting costs nothing, and the two clocks that it moves.

The monotonic clock only goes forward, by the loop; the wall clock is that one and an offset, which a test may change.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import warnings
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

START = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)


class Clock:
    """Implements ports.Clock. `mono` counts seconds since the start of the test."""

    def __init__(self) -> None:
        self.mono = 0.0
        self.offset = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.mono + self.offset)

    def wall(self) -> float:
        return START.timestamp() + self.mono + self.offset


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is ready; when nothing is, the clock jumps to the next timer. Deterministic: no socket, no thread."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock_resolution = 1e-6
        self._selector = self
        self._virtual = clock
        self.set_exception_handler(lambda loop, context: None)  # a killed process logs nothing

    def time(self) -> float:
        return self._virtual.mono

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            self.stop()  # nothing will ever happen by itself
        elif timeout > 0:
            self._virtual.mono += timeout
        return []

    def _process_events(self, event_list: Any) -> None: ...

    def _write_to_self(self) -> None: ...

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """What would be done in a thread is done at once."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the thread
            future.set_exception(error)
        return future

    def run_for(self, seconds: float) -> None:
        handle = self.call_at(self.time() + seconds, self.stop)
        self.run_forever()
        handle.cancel()


class ModelTime:
    """Stands in for the `time` module in all of `bot` while a test runs."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._fake = SimpleNamespace(
            **{name: getattr(time, name) for name in dir(time) if not name.startswith("_")}
            | {
                "monotonic": lambda: self.clock.mono,
                "perf_counter": lambda: self.clock.mono,
                "time": lambda: self.clock.wall(),  # noqa: PLW0108 - the clock may change
            }
        )
        self._patched: list[ModuleType] = []

    def install(self) -> None:
        """Also: what a killed process leaves behind in SQLAlchemy's pool is no news."""
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL + 1)
        warnings.filterwarnings("ignore", message="coroutine .* was never awaited")
        warnings.filterwarnings("ignore", message="The garbage collector is trying to clean up")
        for name, module in list(sys.modules.items()):
            if name.startswith("bot.") and getattr(module, "time", None) is time:
                module.time = self._fake  # type: ignore[attr-defined]
                self._patched.append(module)

    def remove(self) -> None:
        logging.getLogger("sqlalchemy.pool").setLevel(logging.NOTSET)
        for module in self._patched:
            module.time = time  # type: ignore[attr-defined]
        self._patched.clear()
