"""Loaded by Python before anything else where this folder is on PYTHONPATH: kills the pager at a chosen point.

`AGENTPAGER_CRASH_AT=point:n` sends SIGKILL to the pager itself when it comes past that point for the n-th time, counted
from 1. `AGENTPAGER_POINTS=file` writes down every point that is passed. Nothing of this is in the shipped code: the
points are put around functions by name, when bot.app has been imported, which only the pager does.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

PIPELINE = ("observe", "escalate", "act", "rendered")
DELIVERY = (
    "claim", "claim_together", "sent_together", "failed_together", "searched_together", "recover", "shown_together",
)  # fmt: skip
MESSENGER = ("post", "post_storm", "update", "update_storm", "find")
SETTLE = timedelta(seconds=3)  # the fake Slack lets nothing land later; spares seventeen seconds a run

inside: ContextVar[str] = ContextVar("inside", default="")
_passed: Counter[str] = Counter()
_point, _, _number = os.environ.get("AGENTPAGER_CRASH_AT", "").rpartition(":")
_journal = os.environ.get("AGENTPAGER_POINTS")


def _pass(point: str) -> None:
    _passed[point] += 1
    if _journal:
        with Path(_journal).open("a") as file:
            file.write(f"{point}\n")
    if point == _point and _passed[point] == int(_number):
        os.kill(os.getpid(), signal.SIGKILL)


def _around(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(work)
    async def run(*args: Any, **more: Any) -> Any:
        _pass(f"before {name}")
        inside.set(name)
        try:
            result = await work(*args, **more)
        finally:
            inside.set("")
        _pass(f"after {name}")
        return result

    return run


def _arm() -> None:
    from bot import delivery, pipeline  # noqa: PLC0415 - bot.app has been imported by now
    from bot.paging import attempt  # noqa: PLC0415
    from bot.slack.client import SlackMessenger  # noqa: PLC0415
    from bot.store.database import Database  # noqa: PLC0415

    attempt.SETTLE = SETTLE
    for module, names in ((pipeline, PIPELINE), (delivery, DELIVERY)):
        for name in names:
            setattr(module, name, _around(name, getattr(module, name)))
    for name in MESSENGER:
        setattr(SlackMessenger, name, _around(f"slack.{name}", getattr(SlackMessenger, name)))
    transaction = Database.transaction

    @contextlib.asynccontextmanager
    async def watched(self: Database) -> Any:
        async with transaction(self) as tx:
            yield tx
            if name := inside.get():
                _pass(f"before the commit of {name}")

    Database.transaction = watched


class _Finder(importlib.abc.MetaPathFinder):
    """Arms once bot.app has been imported."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> Any:
        if name != "bot.app":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.loader is not None
        real = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            real(module)
            _arm()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if _point or _journal:
    sys.meta_path.insert(0, _Finder())
