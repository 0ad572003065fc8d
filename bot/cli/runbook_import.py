"""`agentpager runbook import`: runbooks written in Markdown into runbook/v1, with a word on all that does not fit."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from pathlib import Path

import click

from bot.errors import UsageError

_MOST_BYTES = 1 << 20
_OWNER = "Who keeps them correct: team:NAME or person:NAME."
_RUN_ON = "Where commands are to be run, as the runbook says it."


@click.command("import")
@click.argument("file", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--owner", required=True, help=_OWNER)
@click.option("--alert", help="The alert that it is for; the file's name if not given. With one FILE only.")
@click.option("--run-on", default="your laptop", show_default=True, help=_RUN_ON)
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runbooks"),
    show_default=True,
    help="The directory for the new files.",
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option("--stdout", is_flag=True, help="Print the runbook instead of writing it. With one FILE only.")
@click.pass_context
def command(
    context: click.Context,
    file: tuple[Path, ...],
    owner: str,
    alert: str | None,
    run_on: str,
    into: Path,
    force: bool,
    stdout: bool,
) -> None:
    """Turn runbooks in Markdown into runbook/v1, one file each: those with the sections Meaning, Impact, Diagnosis and
    Mitigation, as prometheus-operator's are.

    What did not fit, or was guessed, is listed with its line. Exit code 0: all of it fitted, 1: something did not, 2: a
    file was not written.
    """
    if len(file) > 1 and (alert or stdout):
        raise click.UsageError(f"--{'alert' if alert else 'stdout'} goes with one FILE only, and there are {len(file)}")
    if re.fullmatch(r"(team|person):[A-Za-z0-9][A-Za-z0-9._-]*", owner) is None:
        raise click.UsageError(f'--owner: "{owner}" is neither team:NAME nor person:NAME')
    remarks = 0
    try:
        for one in file:
            remarks += _import(one, owner, alert, run_on, into, force=force, stdout=stdout)
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    context.exit(1 if remarks else 0)


def _import(file: Path, owner: str, alert: str | None, run_on: str, into: Path, *, force: bool, stdout: bool) -> int:
    """How many remarks there are. Raises UsageError."""
    from bot.authoring.importing import Wanted, imported
    from bot.authoring.schema import NAME, write_schema
    from bot.cli.common import instant
    from bot.cli.runbook_new import check_id, check_text, write

    runbook_id = re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-_")[:80]
    check_id(runbook_id or file.stem)
    wanted = Wanted(runbook_id, alert or runbook_id, owner, run_on, f"schema/{NAME}")
    made = imported(_text_of(file), wanted, instant(None).date())
    target = into / f"{runbook_id}.yaml"
    if not stdout and target.exists() and not force:
        raise UsageError(f"nothing written: {target} is there; --force writes over it")
    check_text(made.text, target)
    if stdout:
        click.echo(made.text, nl=False)
    else:
        write(target, made.text, force=force)
        write_schema(into)
        click.echo(f"{target} written: {made.steps} steps")
    for remark in made.remarks:
        place = f"{file}:{remark.line}" if remark.line else str(file)
        click.echo(f"  {place}: {remark.text}", err=stdout)
    return len(made.remarks)


def _text_of(file: Path) -> str:
    if file.stat().st_size > _MOST_BYTES:
        raise UsageError(f"{file}: larger than 1 MiB is no runbook")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{file}: it is not UTF-8 text") from None
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
