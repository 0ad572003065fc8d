"""`agentpager import`: the configuration of another system as files of ours, with a report of what did not fit."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Mapping
from pathlib import Path

import click

from bot.errors import UsageError

_MOST_BYTES = 32 << 20
_KINDS = ("alertmanager", "prometheus", "pagerduty", "grafana-oncall")
_REPORT = "import-report.txt"


@click.command("import")
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("file", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "-o",
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("imported"),
    show_default=True,
    help="The directory for the new files; agentpager.yaml may be there already.",
)
@click.option(
    "--slack-ids",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="YAML with the Slack id of each person by e-mail address or name.",
)
@click.option(
    "--external-url", metavar="URL", default="", help="Where phones will reach agentpager: http.external_url."
)
@click.option("--at", "at_text", metavar="TIME", help="What is over by then is left out; now if not given.")
@click.option("--dry-run", is_flag=True, help="Print the report, write nothing.")
@click.pass_context
def command(
    context: click.Context,
    kind: str,
    file: tuple[Path, ...],
    into: Path,
    slack_ids: Path | None,
    external_url: str,
    at_text: str | None,
    dry_run: bool,
) -> None:
    """Turn the configuration of another system into on-call files, routing, grouping, inhibition and mute windows.

    alertmanager: alertmanager.yml. prometheus: prometheus.yml. pagerduty and grafana-oncall: answers of their API as
    JSON, one or several.

    What did not fit, or is different here, is listed with its line. Files that are there are never written over, and
    secrets never copied.

    Exit code 0: all of it fitted, 1: something did not, 2: nothing was written.
    """
    from bot.cli.common import instant
    from bot.importing.run import Wanted, imported

    try:
        texts = [(str(one), _text_of(one)) for one in file]
        ids = _slack_ids(slack_ids) if slack_ids is not None else {}
        prefix = _way(into, file[0].parent)
        wanted = Wanted(kind, ids, _has_fallback(into), prefix, external_url, (into / "agentpager.yaml").exists())  # type: ignore[arg-type] # click.Choice has seen to it
        made = imported(texts, wanted, instant(at_text))
        report = made.report.text()
        if not dry_run:
            _write(into, {**made.files, _REPORT: report})
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    click.echo(report, nl=False)
    if not dry_run:
        click.echo(f"\nWritten to {into}: {', '.join(sorted([*made.files, _REPORT]))}")
        click.echo(f"Next: agentpager check {into}")
    context.exit(0 if made.report.complete else 1)


def _text_of(file: Path) -> str:
    if file.stat().st_size > _MOST_BYTES:
        raise UsageError(f"{file}: larger than {_MOST_BYTES >> 20} MiB")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{file}: it is not UTF-8 text") from None
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None


def _slack_ids(file: Path) -> Mapping[str, str]:
    from bot.errors import ConfigError
    from bot.yamldoc import parse

    try:
        data = parse(_text_of(file), str(file), traps="warning").data
    except ConfigError as error:
        raise UsageError(str(error)) from None
    pairs = data.items() if isinstance(data, dict) else []
    wrong = [name for name, value in pairs if not re.fullmatch(r"[UW][A-Z0-9]{2,}", str(value))]
    if not isinstance(data, dict) or wrong:
        text = f'"{wrong[0]}" has no Slack id' if wrong else "it is no mapping"
        raise UsageError(f"{file}: {text}; write for example ana@example.com: U02ABCDEF")
    return {str(name): str(value) for name, value in pairs}


def _has_fallback(into: Path) -> bool:
    files = [*into.glob("oncall/*.yaml"), *into.glob("oncall/*.yml")]
    return any(re.search(r"(?m)^fallback:", one.read_text(errors="replace")) for one in files)


def _way(into: Path, there: Path) -> str:
    """How paths of the file are written from the new directory."""
    import os

    way = Path(os.path.relpath(there.absolute(), into.absolute())).as_posix()
    return "" if way == "." else way


def _write(into: Path, files: Mapping[str, str]) -> None:
    """All of them or none: one that is there already stops it."""
    there = [name for name in files if (into / name).exists()]
    if there:
        what = ", ".join(str(into / name) for name in there)
        hint = "choose another directory with -o and merge by hand, or move them away"
        raise UsageError(f"nothing written: {what} {'is' if len(there) == 1 else 'are'} there already; {hint}")
    try:
        for name, text in files.items():
            path = into / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.filename}: {error.strerror}") from None
