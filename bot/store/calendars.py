"""What a stopped or running server has kept of calendars at an address and of overrides, for commands that only look.

Opens nothing that is not there, and migrates nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from bot.errors import UsageError
from bot.oncall.changes import RotaChange
from bot.store.database import Database

T = TypeVar("T")


async def kept_copies(url: str, base_dir: Path) -> dict[str, str]:
    """Address as written → the document of its copy; nothing when there is no such database."""
    return await _asked(url, base_dir, lambda store: store.feeds()) or {}


async def kept_changes(url: str, base_dir: Path, now: datetime) -> list[RotaChange]:
    """The overrides and swaps that count, the first made first; nothing when there is no such database."""
    found = await _asked(url, base_dir, lambda store: store.rota_changes(now)) or []
    return [change for change in found if change.counts(now)]


async def _asked(url: str, base_dir: Path, question: Callable[[Database], Awaitable[T]]) -> T | None:
    if url.startswith("sqlite") and not (base_dir / (sa.make_url(url).database or "")).is_file():
        return None
    try:
        store = Database(url, base_dir, patient=False)
    except UsageError:  # its driver is not installed here
        return None
    try:
        return await question(store)
    except (sa.exc.SQLAlchemyError, OSError, UsageError):  # older than the table, or not to be reached
        return None
    finally:
        await store.close()
