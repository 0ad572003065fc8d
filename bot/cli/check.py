"""`agentpager check`: every mistake in every file of a configuration, as `file:line:col code message`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from bot import config
from bot.cli.common import instant, kept_changes, kept_copies
from bot.cli.findings import as_json
from bot.errors import Finding, UsageError
from bot.garbage import let_lie
from bot.oncall.feeds import Copy, is_feed
from bot.sources import Sources, kind_of, read_loose, read_sources

MAIN = "agentpager.yaml"
_ONLY_IN_MAIN = ("metrics:", "slack:", "store:", "http:", "heartbeat:", "rules:", "oncall:", "runbooks:")


@click.command("check")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--config", "main", type=click.Path(path_type=Path), help=f"The configuration; ./{MAIN} if not given.")
@click.option(
    "--days",
    type=click.IntRange(0, 366),
    default=28,
    show_default=True,
    help="Prove for so many days ahead that somebody is on duty; 0 leaves that out.",
)
@click.option("--at", "at_text", metavar="TIME", help="From when on; now if not given.")
@click.option("--fetch", is_flag=True, help="Read calendars from their addresses, instead of the copies that are kept.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def command(
    context: click.Context,
    path: Path | None,
    main: Path | None,
    days: int,
    at_text: str | None,
    fetch: bool,
    output: str,
) -> None:
    """Report every mistake in a configuration directory, or in the one file PATH.

    That includes the times at which nobody but the fallback would be paged. Needs no secrets, and no network without
    --fetch.
    Exit code 0: nothing found, 1: something found, 2: PATH cannot be used.
    """
    try:
        sources, only = _gather(path, main, {})
        if sources.feeds:
            at_hand = _fetched(sources) if fetch else kept_copies(sources)
            sources, only = _gather(path, main, at_hand)
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    base = Path(sources.base_dir)
    if days and sources.main is not None:
        sources = sources.with_changes(kept_changes(sources))
    at = instant(at_text)
    during = (at, at + timedelta(days=days)) if days else None
    with let_lie():
        findings = [finding for finding in config.check(sources, during) if only is None or finding.file == only]
    shown = [
        finding if is_feed(finding.file) else replace(finding, file=_from_here(base / finding.file))
        for finding in findings
    ]
    if output == "json":
        click.echo(json.dumps([as_json(finding) for finding in shown], indent=2, ensure_ascii=False))
    else:
        _print(shown, len([1 for kind in sources.files.values() for _ in kind]) + (sources.main is not None))
    context.exit(1 if shown else 0)


def _fetched(sources: Sources) -> dict[str, Copy]:
    """Every calendar at an address, as it is there now; of one that fails, why."""
    from bot.checker import calendar_problem
    from bot.feeds import Verdict, read
    from bot.metrics.fetch import Client

    async def judged(text: str, _before: str) -> Verdict:
        return Verdict(calendar_problem(text), same=False)

    async def ask() -> dict[str, Copy]:
        client = Client(Path(sources.base_dir))
        try:
            now = instant(None)
            return {one: await read(one, Copy(), os.environ, client, now, judged) for one in sources.feeds}
        finally:
            await client.close()

    return asyncio.run(ask())


def _gather(path: Path | None, main: Path | None, copies: Mapping[str, Copy]) -> tuple[Sources, str | None]:
    """What to check, and the one file whose findings are wanted, if it is one file."""
    if path is None:
        return read_sources(main or Path(MAIN), os.environ, copies), None
    if not path.exists():
        raise UsageError(f'there is no "{path}"')
    if path.is_dir():
        return _directory(path, main, copies), None
    if path.name == MAIN or _is_main(path):
        return read_sources(path, os.environ, copies), None
    owner = main or next((parent / MAIN for parent in path.absolute().parents if (parent / MAIN).is_file()), None)
    if owner is not None:
        sources = read_sources(owner, os.environ, copies)
        name = Path(os.path.relpath(path, sources.base_dir)).as_posix()
        if any(source.file == name for kind in sources.files.values() for source in kind):
            return sources, name
    return read_loose(path.parent, [path], os.environ, copies), None


def _directory(path: Path, main: Path | None, copies: Mapping[str, Copy]) -> Sources:
    if main is not None or (path / MAIN).is_file():
        return read_sources(main or path, os.environ, copies)
    files = sorted(file for file in path.rglob("*.y*ml") if file.suffix in {".yaml", ".yml"} and file.is_file())
    known = [file for file in files if kind_of(file.read_text(errors="replace")) is not None]
    if not known:
        raise UsageError(f'"{path}" holds no {MAIN} and no rules, runbooks, agents or on-call files')
    return read_loose(path, known, os.environ, copies)


def _is_main(path: Path) -> bool:
    return any(line.startswith(_ONLY_IN_MAIN) for line in path.read_text(errors="replace").splitlines())


def _from_here(path: Path) -> str:
    """Relative to where the user stands, unless that is the longer way."""
    return min(os.path.relpath(path), os.path.normpath(path), key=len)


def _print(findings: Sequence[Finding], files: int) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        for finding in findings:
            click.echo(str(finding))
        return
    for finding in findings:
        console.print(_frame(finding))
    errors = sum(finding.severity == "error" for finding in findings)
    verdict = f"{errors} errors, {len(findings) - errors} warnings" if findings else "nothing to complain about"
    console.print(Text(f"{files} files checked: {verdict}", style="bold red" if errors else "bold"))


def _frame(finding: Finding) -> Text:
    """The finding, and under it the line it is about with a caret, as compilers do."""
    color = "red" if finding.severity == "error" else "yellow"
    out = Text(f"{finding.file}:{finding.line}:{finding.column} ", style="bold")
    out.append(f"{finding.number} {finding.code}".strip(), style=color)
    out.append(f" {finding.message}\n", style="not bold")
    line = _line(finding)
    if line:
        out.append(f"{finding.line:>6} │ ", style="dim")
        out.append(f"{line}\n", style="not bold")
        out.append("       │ ", style="dim")
        out.append(" " * (finding.column - 1) + "^\n", style=color)
    if finding.hint:
        out.append("       ╰ ", style="dim")
        out.append(f"{finding.hint}\n", style="green")
    return out


def _line(finding: Finding) -> str:
    try:
        lines = Path(finding.file).read_text(errors="replace").split("\n")
        return lines[finding.line - 1].expandtabs(1)[:200] if finding.line else ""
    except (OSError, IndexError):
        return ""
