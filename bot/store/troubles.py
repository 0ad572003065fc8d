"""Addresses of PostgreSQL, what can be wrong with a server, and what to say of it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bot.errors import UsageError

if TYPE_CHECKING:
    from psycopg import ConnectionInfo
    from psycopg.adapt import AdaptersMap

_OLDEST = 130000  # of PostgreSQL: what is older gets no fixes any more
_MISSING = (
    "store.url is the address of a PostgreSQL database, and the driver for it is not installed; "
    "install it with: pip install 'agentpager[postgres]'"
)
STANDBY = (
    "the database {name} is a read-only standby; name its primary in store.url, or all hosts as "
    "postgresql://USER@HOST1,HOST2/NAME, of which the one that can be written is used"
)
NO_TABLES = (
    "The user of store.url has to make its tables there: let it have the database (ALTER DATABASE … OWNER TO …), or "
    "GRANT CREATE, USAGE ON SCHEMA public TO it"
)
# Classes of SQLSTATE that pass: connection, rollback, resources, operator intervention, system.
_PASSING = ("08", "40", "53", "57", "58")
_PASSING_CODES = {"55P03", "25P03"}  # a lock that was not available, a session that was idle for too long


def conninfo(url: str) -> str:
    """As libpq understands it."""
    try:
        from psycopg import ProgrammingError  # noqa: PLC0415 - an extra
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415
    except ImportError:
        raise UsageError(_MISSING) from None
    plain = plain_url(url)
    try:
        conninfo_to_dict(plain)
    except ProgrammingError as error:
        raise UsageError(f"store.url makes no sense: {str(error).strip()}; see docs/operations.md") from None
    return plain


def plain_url(url: str) -> str:
    """Without the name of a driver, which other programs write there."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"


def without_password(url: str) -> str:
    scheme, _, rest = plain_url(url).partition("://")
    where, _, query = rest.partition("?")
    who, slash, path = where.partition("/")
    user, at, host = who.rpartition("@")
    pairs = [pair for pair in query.split("&") if pair and not pair.lower().startswith("password=")]
    shown = f"{scheme}://{user.partition(':')[0]}{at}{host}{slash}{path}"
    return f"{shown}?{'&'.join(pairs)}" if pairs else shown


@functools.cache
def adapters() -> AdaptersMap:
    """How values are written. PostgreSQL has no text with a NUL in it: there stands the sign for one."""
    import psycopg  # noqa: PLC0415
    from psycopg.adapt import AdaptersMap  # noqa: PLC0415
    from psycopg.types.string import StrDumperUnknown  # noqa: PLC0415

    class Written(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(without_nul(obj))

    found = AdaptersMap(psycopg.adapters)
    found.register_dumper(str, Written)
    return found


def without_nul(text: str) -> str:
    return text.replace("\0", "\u2400") if "\0" in text else text


def refuse_server(info: ConnectionInfo, name: str) -> None:
    """Raises UsageError for one that nobody should rely on."""
    if info.server_version < _OLDEST:
        version = f"{info.server_version // 10000}.{info.server_version % 10000}"
        raise UsageError(f"{name} is PostgreSQL {version}; agentpager needs 13 or newer")
    if (encoding := info.parameter_status("server_encoding")) not in {"UTF8", None}:
        raise UsageError(
            f"the database {name} has the encoding {encoding}, which cannot hold every text; make one with: "
            "createdb --encoding UTF8 --template template0 NAME"
        )


def driver_error() -> type[Exception]:
    import psycopg  # noqa: PLC0415

    return psycopg.Error


def sqlstate(error: BaseException) -> str:
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def passing(error: BaseException) -> bool:
    """Whether the same may well succeed in a moment."""
    if not isinstance(error, sa.exc.DBAPIError):
        return isinstance(error, OSError | TimeoutError)
    state = sqlstate(error)
    if state:
        return state[:2] in _PASSING or state in _PASSING_CODES
    # Without a state it is the connection that failed: psycopg's own words.
    return isinstance(error, sa.exc.OperationalError) and not _refused(str(error.orig))


def _refused(why: str) -> bool:
    return any(word in why for word in ("authentication", "password", "does not exist", "pg_hba.conf", "certificate"))


def explained(error: BaseException, name: str) -> UsageError:
    """In the operator's words, with the way out."""
    why = _first_line(error)
    state = sqlstate(error)
    if state == "42501":
        return UsageError(f"{name}: {why}. {NO_TABLES}")
    if state.startswith("25") or "read-only" in why or "session is not" in why:
        return UsageError(STANDBY.format(name=name))
    if state.startswith("28") or "authentication" in why or "password" in why or "pg_hba" in why:
        return UsageError(
            f"{name} lets this user not in: {why}. Give the password as PGPASSWORD, in a passfile, or in store.url "
            "as ${NAME}"
        )
    if state == "3D000" or ("database" in why and "does not exist" in why):
        return UsageError(f"{name}: {why}. Make it with: createdb --owner USER --encoding UTF8 NAME")
    return UsageError(
        f"the database {name} cannot be reached: {why}. Is it running, and is store.url right? Try: psql '{name}'"
    )


def _first_line(error: BaseException) -> str:
    text = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "FATAL" in line or "ERROR" in line), lines[0])
