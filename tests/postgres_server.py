"""A PostgreSQL server of the tests' own, on a socket in a folder of its own; each test gets a database of its own.

Run as root it is started as another user, as PostgreSQL demands. `fsync` is off unless a test is about what a crash
leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bot.store.database import Database
from bot.store.tables import metadata
from tests.ports import free_port

_OPTIONS = {
    "listen_addresses": "''", "max_connections": "60", "shared_buffers": "16MB", "log_min_messages": "fatal",
    "autovacuum": "off", "full_page_writes": "off", "max_wal_size": "256MB", "log_statement": "none",
}  # fmt: skip


def _folder_of_programs() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    every = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return every[-1].parent if every else None


PROGRAMS = _folder_of_programs()


def _user() -> str | None:
    """Whom to become: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {one.pw_name for one in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class Server:
    def __init__(self, folder: Path, *, fsync: bool = False, tcp: bool = False) -> None:
        assert PROGRAMS is not None
        self.folder, self.data, self.port = folder, folder / "data", free_port() if tcp else 5432
        self._as = _user()
        self._options = _OPTIONS | {"fsync": "on" if fsync else "off", "port": str(self.port)}
        self._options |= {"unix_socket_directories": f"'{folder}'"}
        if tcp:
            self._options["listen_addresses"] = "'127.0.0.1'"
        self._names = itertools.count(1)
        self._template = ""
        self._free: list[str] = []

    def _run(self, *command: str) -> None:
        if self._as is not None:
            command = ("setpriv", f"--reuid={self._as}", "--regid=" + self._as, "--clear-groups", *command)
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, env=_environment())
        assert done.returncode == 0, done.stdout + done.stderr

    def make(self) -> None:
        self.folder.chmod(0o755)
        if self._as is not None:
            who = pwd.getpwnam(self._as)
            os.chown(self.folder, who.pw_uid, who.pw_gid)
        initdb = ("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=pager", "--no-sync")
        self._run(str(PROGRAMS / "initdb"), "-D", str(self.data), *initdb)  # type: ignore[operator]
        lines = "".join(f"{name} = {value}\n" for name, value in self._options.items())
        settings = self.data / "postgresql.conf"
        settings.write_text(settings.read_text() + lines)

    def _ctl(self, *arguments: str) -> None:
        self._run(str(PROGRAMS / "pg_ctl"), "-D", str(self.data), "-s", *arguments)  # type: ignore[operator]

    def start(self) -> None:
        self._ctl("-w", "-t", "60", "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        self._ctl("-w", "-m", mode, "stop")

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The whole server hangs: connections stay, nothing is answered."""
        main = int((self.data / "postmaster.pid").read_text().split()[0])
        names = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        every = [main, *(int(name) for name in names)]
        for number in every:
            os.kill(number, signal.SIGSTOP)
        try:
            yield
        finally:
            for number in every:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGCONT)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://pager@/{database}?host={self.folder}&port={self.port}"

    def connect(self, database: str = "postgres", **options) -> psycopg.Connection:
        return psycopg.connect(self.url(database), autocommit=True, **options)

    def empty(self, options: str = "") -> str:
        """The name of a new database that has nothing in it."""
        name = f"empty{next(self._names)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        return name

    def migrated(self) -> str:
        """The name of a new database that has our tables; made by copying one."""
        if not self._template:
            name = self.empty()

            async def make() -> None:
                store = Database(self.url(name), Path())
                await store.open()
                await store.close()

            thread = threading.Thread(target=lambda: asyncio.run(make()))  # a loop may be running here
            thread.start()
            thread.join()
            self._template = name
        return self.empty(f"TEMPLATE {self._template}")

    def lend(self) -> str:
        """The name of a database with our tables and nothing in them, to be given back: making one takes a while."""
        return self._free.pop() if self._free else self.migrated()

    def take_back(self, name: str, *, changed: bool) -> None:
        """`changed`: it has other tables, triggers or settings than when it was lent."""
        if changed:
            with self.connect() as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            return
        with self.connect(name) as connection:
            connection.execute("SET session_replication_role = replica")  # no trigger counts or refuses
            for table in metadata.tables:
                connection.execute(f'DELETE FROM "{table}"')
            connection.execute("INSERT INTO counters VALUES ('version', 0)")
            connection.execute("INSERT INTO lease VALUES ('pager', '', 0, 0)")
        self._free.append(name)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C.UTF-8"}


def missing() -> None:
    """Skips where there is no PostgreSQL, but in CI."""
    if PROGRAMS is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed; .ci/run does it")
        pytest.skip("PostgreSQL is not installed")


@contextlib.contextmanager
def running(*, fsync: bool = False, **more) -> Iterator[Server]:
    missing()
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the path of a socket may have 107 bytes
    server = Server(folder, fsync=fsync, **more)
    try:
        server.make()
        server.start()
        yield server
    finally:
        with contextlib.suppress(AssertionError):
            server._ctl("-W", "-m", "immediate", "stop")  # nobody waits for it
        shutil.rmtree(folder, ignore_errors=True)
