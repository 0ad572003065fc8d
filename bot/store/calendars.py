"""What a stopped or running server has kept of calendars at an address, for commands that only look.

Opens nothing that is not there, and migrates nothing.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from bot.store.database import Database


async def kept_copies(url: str, base_dir: Path) -> dict[str, str]:
    """Address as written → the document of its copy; nothing when there is no such database."""
    path = base_dir / (sa.make_url(url).database or "")
    if url.startswith("sqlite") and not path.is_file():
        return {}
    store = Database(url, base_dir)
    try:
        return await store.feeds()
    except (sa.exc.SQLAlchemyError, OSError):  # older than the table, or not to be reached: as if there were none
        return {}
    finally:
        await store.close()
