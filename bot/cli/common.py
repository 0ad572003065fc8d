"""What the commands share: the configuration's path, asking the running server, exit codes."""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import click

from bot.errors import AgentpagerError, ConfigError

if TYPE_CHECKING:
    from bot.oncall.changes import RotaChange
    from bot.oncall.feeds import Copy
    from bot.sources import Sources

CONFIG_ERROR = 2
UNREACHABLE = 3

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("agentpager.yaml"),
    show_default=True,
    help="The configuration file or its directory.",
)
output_option = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
_SERVER = "agentpager.server"
_LOCAL = {"localhost", "127.0.0.1", "::1"}


def _keep_server(context: click.Context, _option: click.Parameter, url: str | None) -> None:
    """For `call`: also when it was written before the word of a subcommand."""
    if url:
        context.meta[_SERVER] = url


server_option = click.option(
    "--server",
    metavar="URL",
    envvar="AGENTPAGER_SERVER",
    expose_value=False,
    callback=_keep_server,
    help="The running server to ask, instead of the one of the configuration; AGENTPAGER_TOKEN is shown to it.",
)
person_option = click.option(
    "--as", "person", metavar="PERSON", help="Act for this person of oncall/; otherwise as the user of this machine."
)


def stop(message: str, code: int) -> NoReturn:
    click.echo(f"agentpager: {message}", err=True)
    sys.exit(code)


def instant(text: str | None) -> datetime:
    """What `--at` and its like mean; now when it is not given, UTC when it has no offset."""
    if text is None:
        from bot.clock import SystemClock

        return SystemClock().now()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f'"{text}" is not an instant; write for example 2026-12-24T18:00:00Z') from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def read_config(config_path: Path, *, rotas: bool = False) -> Any:
    """The checked configuration; ends the command with the findings when there is none. With `rotas` the overrides and
    swaps that people made beside the files count too."""
    from bot.config import load

    try:
        sources = read_files(config_path)
        return load(sources.with_changes(kept_changes(sources)) if rotas else sources)
    except ConfigError as error:
        stop(f"the configuration cannot be used:\n{error}", CONFIG_ERROR)
    except AgentpagerError as error:
        stop(str(error), CONFIG_ERROR)


def read_files(config_path: Path) -> Sources:
    """The files as they are, and of calendars at an address the copies that the server keeps. Raises UsageError."""
    import os

    from bot.sources import read_sources

    sources = read_sources(config_path, os.environ)
    copies = kept_copies(sources) if sources.feeds else {}
    return read_sources(config_path, os.environ, copies) if copies else sources


def kept_copies(sources: Sources) -> dict[str, Copy]:
    """What the database of this configuration keeps of its calendars; nothing without a database."""
    from bot.config import store_of
    from bot.oncall import feeds
    from bot.store import calendars

    url = store_of(sources)
    return feeds.kept(asyncio.run(calendars.kept_copies(url, Path(sources.base_dir)))) if url else {}


def kept_changes(sources: Sources) -> list[RotaChange]:
    """The overrides and swaps that the database of this configuration keeps; nothing without a database."""
    from bot.config import store_of

    url = store_of(sources)
    if url and url.startswith("sqlite") and not _file_of(url, Path(sources.base_dir)).is_file():
        return []  # `check` of files alone does without what reads databases: half a second

    from bot.clock import SystemClock
    from bot.store import calendars

    return asyncio.run(calendars.kept_changes(url, Path(sources.base_dir), SystemClock().now())) if url else []


def _file_of(url: str, base_dir: Path) -> Path:
    return base_dir / url.partition("://")[2].removeprefix("/").partition("?")[0]


def call(
    config_path: Path,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    query: dict[str, str] | None = None,
) -> Any:
    """Asks the running server; ends the command when it refuses or is not there. With `--server` nothing is read of the
    configuration."""
    end = _named_end() or end_of(read_config(config_path).settings.http)
    try:
        status, answer = _asked(end, method, path, body, query or {})
    except _NotThereError as error:
        way_out = "check --server and AGENTPAGER_SERVER" if end.named else "start it with: agentpager serve"
        stop(f"{error}; {way_out}", UNREACHABLE)
    if status >= 400:
        stop(_refused(status, answer, end), UNREACHABLE if status >= 500 else CONFIG_ERROR)
    try:
        if status < 300:
            return json.loads(answer)
    except ValueError:
        pass
    stop(f"what answers at {end.url} is not agentpager (status {status})", UNREACHABLE)


def named_server() -> bool:
    """Whether an option or the environment names one: then that is asked, and not the files here."""
    return _named_end() is not None


def ask(config: Any, path: str) -> tuple[Any, str]:
    """What the running server answers, or None and why there is no answer: for commands that can do without."""
    end = _named_end() or end_of(config.settings.http)
    try:
        status, answer = _asked(end, "GET", path, None, {})
        told = json.loads(answer) if status < 300 else None
    except _NotThereError as error:
        return None, str(error)
    except ValueError:
        return None, f"what answers at {end.url} is not agentpager (status {status})"
    return (told, "") if status < 300 else (None, f"the server refuses: {_refused(status, answer, end)}")


@dataclass(frozen=True)
class End:
    """A server, and what it is shown. `named`: by an option or the environment, not by the configuration."""

    url: str
    token: str
    named: bool


def _named_end() -> End | None:
    context = click.get_current_context(silent=True)
    url = context.meta.get(_SERVER) if context is not None else None
    return end_at(url) if url else None


def end_at(url: str, http: Any = None) -> End:
    """The server at that address. It gets the token of the configuration only if the configuration names it."""
    url = url.rstrip("/")
    own = end_of(http) if http is not None and url in {_listening(http), http.external_url.rstrip("/")} else None
    token = _token_of_environment() or (own.token if own is not None else "")
    if token and url.startswith("http://") and urlsplit(url).hostname not in _LOCAL:
        click.echo(f"agentpager: the token goes to {url} unencrypted; use https where you can", err=True)
    return End(url, token, named=True)


def end_of(http: Any) -> End:
    token = http.token.get_secret_value() if http.token else ""
    return End(_listening(http), _token_of_environment() or token, named=False)


def _listening(http: Any) -> str:
    host, _, port = http.listen.rpartition(":")
    return f"http://{'127.0.0.1' if host in {'', '0.0.0.0', '[::]'} else host}:{port}"  # noqa: S104


def _token_of_environment() -> str:
    import os

    if token := os.environ.get("AGENTPAGER_TOKEN", "").strip():
        return token
    file = os.environ.get("AGENTPAGER_TOKEN_FILE", "")
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        stop(f"AGENTPAGER_TOKEN_FILE {file}: {getattr(error, 'strerror', None) or error}", CONFIG_ERROR)


class _NotThereError(Exception):
    """No server answers; the text says where and why."""


def _asked(end: End, method: str, path: str, body: dict[str, Any] | None, query: dict[str, str]) -> tuple[int, str]:
    return asyncio.run(_request(end, method, path, body, query))


async def _request(
    end: End, method: str, path: str, body: dict[str, Any] | None, query: dict[str, str]
) -> tuple[int, str]:
    import os

    import aiohttp

    headers = {"Authorization": f"Bearer {end.token}"} if end.token else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=35), headers=headers) as session,
            session.request(method, end.url + path, json=body, params=query, allow_redirects=False) as answer,
        ):
            return answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        number = cause.errno if isinstance(cause, OSError) else None
        why = os.strerror(number) if number is not None and number > 0 else str(error) or type(error).__name__
        raise _NotThereError(f"no running server answers at {end.url} ({why})") from None


def _refused(status: int, answer: str, end: End) -> str:
    reason = _reason(answer)
    if status == 401 and not end.token:
        return f"{end.url} asks for a token: export AGENTPAGER_TOKEN=…; agentpager token new makes one"
    if status == 401:
        return f"{end.url} does not take this token: {reason}"
    return reason


def _reason(answer: str) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer.strip()[:500]


def show(rows: Any, output: str, table: Callable[[Any], None]) -> None:
    if output == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        table(rows)


def print_table(headings: list[str], rows: list[list[str]], empty: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        click.echo(empty)
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        grid.add_column(heading, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))  # Text: data must not be read as markup
    wide = None if sys.stdout.isatty() else 300  # what reads a pipe does not want words broken
    Console(highlight=False, width=wide).print(grid)


def act(
    config_path: Path, verb: str, incident: str, person: str | None, output: str, more: dict[str, str] | None = None
) -> None:
    """Acknowledges, resolves… as a person of the book, or as the user of this machine. `more` is what the verb needs
    besides."""
    body = {"person": person.removeprefix("person:")} if person else {"by": getpass.getuser()}
    body |= more or {}
    answer = call(config_path, "POST", f"/api/pager/incidents/{incident}/{verb}", body)
    show(answer["incident"] if output == "json" else answer, output, lambda done: click.echo(done["message"]))
