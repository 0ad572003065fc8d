"""Where targets come from besides the settings: lists in files, and lists behind HTTP, in Prometheus' two SD formats.

A list that cannot be read leaves its last good one in force and is named in `problems()`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from pydantic import RootModel, ValidationError
from pydantic_core import ErrorDetails

from bot import yamldoc
from bot.errors import ConfigError, RemoteError
from bot.metrics.fetch import Client
from bot.metrics.spec import Group
from bot.schema import Model
from bot.settings import HttpSD, Scrape

log = logging.getLogger(__name__)

FILE_REFRESH_SECONDS = 5.0
_HTTP_TIMEOUT_SECONDS = 10.0
_MAX_LIST_BYTES = 16 * 1024 * 1024


class _Entry(Model):
    targets: tuple[str, ...]
    labels: dict[str, str] = {}


class _List(RootModel[tuple[_Entry, ...]]):
    """A file_sd or http_sd list."""


@dataclass
class _Source:
    """One list: what it last said, and why it says nothing new."""

    groups: tuple[Group, ...] = ()
    problem: str = ""


class Discovery:
    """Keeps the lists fresh and calls `changed()` whenever one says something else than before."""

    def __init__(self, scrape: Scrape, base_dir: Path, client: Client, changed: Callable[[], None]) -> None:
        self._scrape = scrape
        self._base_dir = base_dir
        self._client = client
        self._changed = changed
        self._sources: dict[str, _Source] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self.follow(self._scrape)
            await asyncio.Event().wait()
        finally:
            await self._stop()

    async def follow(self, scrape: Scrape) -> None:
        """Lists that stay keep what they last said. Files are read before this returns."""
        await self._stop()
        self._scrape = scrape
        urls = {end.url for end in scrape.http_sd}
        self._sources = {name: source for name, source in self._sources.items() if name in urls or not _is_url(name)}
        await self._read_files()
        self._tasks = [asyncio.create_task(self._watch_url(end), name=f"http_sd {end.url}") for end in scrape.http_sd]
        if scrape.file_sd:
            self._tasks.append(asyncio.create_task(self._watch_files(), name="file_sd"))

    def groups(self) -> Iterable[Group]:
        return [group for name in sorted(self._sources) for group in self._sources[name].groups]

    def problems(self) -> list[str]:
        """Lists that could not be read, one line each."""
        return [f"{name}: {source.problem}" for name, source in sorted(self._sources.items()) if source.problem]

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch_files(self) -> None:
        while True:
            await asyncio.sleep(FILE_REFRESH_SECONDS)
            try:
                await self._read_files()
            except Exception:  # the lists stay as they are, and the next look may go well
                log.exception("reading file_sd")

    async def _read_files(self) -> None:
        """A file that was removed takes its targets with it; one that cannot be read keeps them."""
        before = {name: source for name, source in self._sources.items() if not _is_url(name)}
        after = await asyncio.to_thread(read_files, self._base_dir, self._scrape.file_sd, before)
        urls = {name: source for name, source in self._sources.items() if _is_url(name)}
        self._sources = urls | after
        if {name: source.groups for name, source in before.items()} != {n: s.groups for n, s in after.items()}:
            self._changed()

    async def _watch_url(self, end: HttpSD) -> None:
        source = self._sources.setdefault(end.url, _Source())
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": "agentpager",
            "X-Prometheus-Refresh-Interval-Seconds": f"{end.refresh.total_seconds():g}",
        }
        while True:
            try:
                answer = await self._client.get(
                    end.url, end, headers, timeout_seconds=_HTTP_TIMEOUT_SECONDS, max_bytes=_MAX_LIST_BYTES
                )
                groups = await asyncio.to_thread(parse_list, answer.body, end.url)
                changed = groups != source.groups
                source.groups, source.problem = groups, ""
                if changed:
                    self._changed()
            except RemoteError as error:
                source.problem = str(error)
            except Exception as error:  # the list stays as it is, and the next answer may be better
                log.exception("reading http_sd %s", end.url)
                source.problem = f"internal error: {type(error).__name__}"
            await asyncio.sleep(max(1.0, end.refresh.total_seconds()))


def read_files(base_dir: Path, patterns: Iterable[str], before: Mapping[str, _Source]) -> dict[str, _Source]:
    """Every file that matches, by path as shown to people."""
    found: dict[str, _Source] = {}
    for pattern in patterns:
        for match in sorted(glob(str(base_dir / pattern), recursive=True)):  # noqa: PTH207 - absolute ones too
            file = Path(match)
            name = str(file.relative_to(base_dir)) if file.is_relative_to(base_dir) else match
            try:
                found[name] = _Source(parse_list(file.read_bytes(), name))
            except (RemoteError, OSError) as error:
                last_good = before[name].groups if name in before else ()
                found[name] = _Source(last_good, str(error))
    return found


def parse_list(body: bytes, source: str) -> tuple[Group, ...]:
    """JSON, or YAML where the name says so. RemoteError names what is wrong."""
    if len(body) > _MAX_LIST_BYTES:
        raise RemoteError(f"the list is larger than {_MAX_LIST_BYTES} bytes")
    try:
        text = body.decode()
        data = yamldoc.parse(text, source).data if source.endswith((".yaml", ".yml")) else json.loads(text)
        entries = _List.model_validate(data).root
    except ValidationError as error:
        raise RemoteError("; ".join(_complaint(each) for each in error.errors()[:5])) from None
    except (ConfigError, ValueError, RecursionError) as error:
        raise RemoteError(str(error) or type(error).__name__) from None
    return tuple(Group(source, entry.targets, entry.labels) for entry in entries)


def _complaint(error: ErrorDetails) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    return f"{place or 'the list'}: {error['msg']}"


def _is_url(name: str) -> bool:
    return name.startswith(("http://", "https://"))
