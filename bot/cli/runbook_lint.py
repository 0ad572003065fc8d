"""`agentpager runbook lint`: what is wrong with runbooks, and what they lack for somebody who has just been woken."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.errors import Finding, UsageError
from bot.garbage import let_lie

if TYPE_CHECKING:
    from bot.sources import Sources

    Judge = Callable[[Sources], list[Finding]]

MAIN = "agentpager.yaml"
_METRICS = "Text as an agent's /metrics gives it: a check that asks for what is not there is told. May be repeated."
_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_CONFIG = f"The configuration; ./{MAIN}, or the nearest one above each PATH, if not given."


@click.command("lint")
@click.argument("paths", metavar="PATH", nargs=-1, type=click.Path(path_type=Path))
@click.option("--config", "main", type=click.Path(path_type=Path), help=_CONFIG)
@click.option("--today", metavar="DATE", help="The day by which reviews are due; today if not given.")
@click.option("--from-file", "metrics", multiple=True, type=_file, metavar="FILE", help=_METRICS)
@click.option("--links", "ask_links", is_flag=True, help="Ask whether links still lead somewhere; needs the network.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json", "github", "sarif"]), default="text", show_default=True
)
@click.pass_context
def command(
    context: click.Context,
    paths: tuple[Path, ...],
    main: Path | None,
    today: str | None,
    metrics: tuple[Path, ...],
    ask_links: bool,
    output: str,
) -> None:
    """Report the mistakes of runbooks and what they lack: those of the configuration, or each PATH.

    PATH is a file or a directory. A file that belongs to a configuration is judged beside it, others are judged alone.
    Exit code 0: nothing found, 1: something found, be it only a warning, 2: a PATH cannot be used.
    """
    day = _day(today)
    try:
        with let_lie():
            found = sorted(set(_found(paths, main, _judge(day, metrics, ask_links))))
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    _print(found, output)
    context.exit(1 if found else 0)


def _day(text: str | None) -> date:
    from bot.cli.common import instant

    if text is None:
        return instant(None).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f'--today: "{text}" is not a day; write for example 2026-12-24') from None


def _judge(today: date, metrics: Sequence[Path], ask_links: bool) -> Judge:
    """Raises UsageError for metrics that cannot be read."""
    import asyncio

    from bot.authoring.links import ask
    from bot.authoring.lint import addresses, findings
    from bot.authoring.seen import seen_in
    from bot.metrics.exposition import ExpositionError

    seen: dict[str, set[str]] | None = {} if metrics else None
    for path in metrics:
        try:
            for name, labels in seen_in(path.read_bytes()).items():
                assert seen is not None
                seen.setdefault(name, set()).update(labels)
        except ExpositionError as error:
            raise UsageError(f"--from-file: {path}: {error}") from None
    return lambda sources: findings(sources, today, seen, asyncio.run(ask(addresses(sources))) if ask_links else None)


def _found(paths: Sequence[Path], main: Path | None, judge: Judge) -> Iterator[Finding]:
    from bot.sources import read_loose, read_sources

    if not paths:
        sources = read_sources(main or Path(MAIN), os.environ)
        yield from _from_here(judge(sources), Path(sources.base_dir))
        return
    alone: list[Path] = []
    for owner, files in _by_owner(_files(paths), main).items():
        if owner is None:
            alone += files
            continue
        sources = read_sources(owner, os.environ)
        base = Path(sources.base_dir)
        known = {source.file for source in sources.files["runbooks"]}
        names = {Path(os.path.relpath(file, base)).as_posix(): file for file in files}
        found = judge(sources) if known & names.keys() else []
        yield from _from_here([one for one in found if one.file in known & names.keys()], base)
        alone += [file for name, file in names.items() if name not in known]
    for file in alone:
        yield from _from_here(judge(read_loose(file.parent, [file], os.environ)), file.parent)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files given, and of a directory those that are runbooks."""
    from bot.sources import kind_of

    for path in paths:
        if path.is_file():
            yield path
            continue
        if not path.is_dir():
            raise UsageError(f'there is no "{path}"')
        below = sorted(file for file in path.rglob("*.y*ml") if file.suffix in {".yaml", ".yml"} and file.is_file())
        runbooks = [file for file in below if kind_of(file.read_text(errors="replace")) == "runbooks"]
        if not runbooks:
            raise UsageError(f'"{path}" holds no runbooks')
        yield from runbooks


def _by_owner(files: Iterator[Path], main: Path | None) -> dict[Path | None, list[Path]]:
    owned: dict[Path | None, list[Path]] = {}
    for file in files:
        above = (parent / MAIN for parent in file.absolute().parents)
        owner = main or next((path for path in above if path.is_file()), None)
        owned.setdefault(owner, []).append(file)
    return owned


def _from_here(found: Sequence[Finding], base: Path) -> Iterator[Finding]:
    """With paths as seen from where the user stands, unless that is the longer way."""
    for one in found:
        path = base / one.file
        yield replace(one, file=min(os.path.relpath(path), os.path.normpath(path), key=len))


def _print(found: Sequence[Finding], output: str) -> None:
    from bot.cli.findings import as_github, as_json, as_sarif

    match output:
        case "json":
            click.echo(json.dumps([as_json(one) for one in found], indent=2, ensure_ascii=False))
        case "sarif":
            from importlib.metadata import version

            click.echo(json.dumps(as_sarif(found, version("agentpager")), indent=2, ensure_ascii=False))
        case _:
            for one in found:
                click.echo(as_github(one) if output == "github" else str(one))
