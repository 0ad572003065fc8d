"""The database as a file: whether it is sound, a copy of it while it is written, and putting a copy in its place.

Stays out of what is in it. All of this is blocking, for a thread or a command.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from bot.errors import UsageError

_BESIDE = ("-wal", "-shm")


def damage(path: Path) -> str | None:
    """What SQLite finds wrong with the file; None when that is nothing."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else str(found).replace("\n", " ")


class Look:
    """A look for damage that nobody waits for longer than he wants to: it takes some seconds for each GB, and SQLite
    cannot be interrupted in it. `found` is set when it ends with something."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._over = threading.Event()
        self.found: str | None = None
        threading.Thread(target=self._look, name="damage", daemon=True).start()

    def _look(self) -> None:
        self.found = damage(self._path)
        self._over.set()

    def within(self, seconds: float) -> str | None:
        """What has been found by then."""
        self._over.wait(seconds)
        return self.found


def refuse(path: Path, why: str) -> UsageError:
    """The message for a file that cannot be used."""
    return UsageError(
        f"the database {path} is damaged: {why}. Put the last backup in its place with: "
        "agentpager db restore BACKUP (it keeps the damaged file beside). Without a backup, move the file away: "
        "a start makes a new one, and what fires now opens incidents again"
    )


def backup(path: Path, target: Path) -> int:
    """A sound copy in one file, for its owner alone; the database may be written meanwhile. Its size in bytes."""
    if not path.exists():
        raise UsageError(f"there is no database {path}")
    if target.exists():
        raise UsageError(f"{target} is there already; name another file, or remove it")
    part = target.with_name(f"{target.name}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600))
        _copy(path, part)
        if (why := damage(part)) is not None:
            raise UsageError(f"the copy of {path} is damaged ({why}), so is the database; nothing was kept")
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise UsageError(f"{target} cannot be written: {error}") from None
    finally:
        part.unlink(missing_ok=True)
    _sync(target.parent)
    return target.stat().st_size


def restore(source: Path, path: Path, kept_as: str) -> Path | None:
    """Puts a copy of `source` in the place of `path`. What was there is kept beside it under a name that ends with
    `kept_as`; its path, if there was anything. No process may have the database open."""
    if (why := damage(source)) is not None or not source.exists():
        raise UsageError(f"{source} is no sound database: {why or 'there is no such file'}; nothing was changed")
    if not ours(source):
        raise UsageError(f"{source} is not a database of agentpager; nothing was changed")
    part = path.with_name(f"{path.name}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600))
        _copy(source, part)
        kept = _set_aside(path, kept_as)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _sync(path.parent)
    return kept


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as write:
        read.backup(write)  # in one piece: in several it would begin anew whenever somebody writes
    settle(target)


def settle(path: Path) -> None:
    """One file, with nothing beside it, on the disk."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def ours(path: Path) -> bool:
    """Whether it has the tables of agentpager."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('alembic_version', 'incidents')"
        return bool(connection.execute(query).fetchone()[0] == 2)


def _set_aside(path: Path, kept_as: str) -> Path | None:
    """With what belongs to it: the newest changes may stand in the write-ahead log alone."""
    kept = path.with_name(f"{path.name}.{kept_as}")
    for end in ("", *_BESIDE):
        current = Path(f"{path}{end}")
        if current.exists():
            current.replace(f"{kept}{end}")
    return kept if kept.exists() else None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
