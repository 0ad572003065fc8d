"""`agentpager init`: a working, commented configuration directory to start from."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from bot.shipped import folder

_KINDS = (".yaml", ".md", ".example", ".gitignore")


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def command(directory: Path) -> None:
    """Write a starter configuration into DIRECTORY. Files that are already there are never overwritten."""
    from bot.authoring.schema import write_schema

    wanted = dict(_wanted(directory))
    there = [path for path in wanted if path.exists()]
    if there:
        listed = ", ".join(str(path) for path in there[:5])
        raise click.UsageError(f"nothing written: {listed} already there; choose an empty directory")
    for path, source in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_owned(source.read_bytes()) if path.parent.name == "runbooks" else source.read_bytes())
    write_schema(directory / "runbooks")
    click.echo(f"{len(wanted)} files written to {directory}. Next:")
    click.echo(f"  cd {directory}")
    click.echo("  agentpager check      # after every edit")
    click.echo("  less README.md        # people, agents, Slack: the way to the first page")


def _wanted(directory: Path) -> Iterator[tuple[Path, Traversable]]:
    yield from _files(folder("starter"), directory)
    yield from _files(folder("alerts"), directory / "alerts")
    yield from _files(folder("runbooks"), directory / "runbooks")


def _owned(runbook: bytes) -> bytes:
    """The shipped runbooks belong to nobody; here they belong to the team of the starter configuration."""
    return runbook.replace(b"\napplies_to:", b'\nowner: "team:agents"\napplies_to:', 1)


def _files(source: Traversable, target: Path) -> Iterator[tuple[Path, Traversable]]:
    for item in sorted(source.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _files(item, target / item.name)
        elif item.name.endswith(_KINDS):
            yield target / item.name, item
