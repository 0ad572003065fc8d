"""`agentpager runbook new`: a runbook to start from, and the schema by which an editor helps to write it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.errors import AgentpagerError, ConfigError

if TYPE_CHECKING:
    from bot.config import Config

_FOLDER = "runbooks"
_OWNER = "Who keeps it correct: team:NAME or person:NAME; the agent's owner if not given."


@click.command("new")
@click.argument("runbook_id", metavar="ID")
@click.option("--alert", help="The alert it is for; ID if not given.")
@click.option("--agent", "agents", multiple=True, help="Only for this agent; may be repeated.")
@click.option("--owner", help=_OWNER)
@click.option("--title", help="What is wrong, in words; made from ID if not given.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("agentpager.yaml"),
    show_default=True,
    help="The configuration file or its directory; runbooks/ beside it is where the file goes.",
)
def command(
    runbook_id: str,
    alert: str | None,
    agents: tuple[str, ...],
    owner: str | None,
    title: str | None,
    force: bool,
    config_path: Path,
) -> None:
    """Write runbooks/ID.yaml, which passes `check` and `runbook lint` as it is.

    On a terminal it asks for what is not given. A file that is there is never written over without --force.
    Exit code 2: nothing was written.
    """
    from bot.authoring.schema import NAME, write_schema
    from bot.authoring.template import Wanted, runbook_text, spoken
    from bot.cli.common import instant

    check_id(runbook_id)
    base = config_path if config_path.is_dir() else config_path.parent
    target = base / _FOLDER / f"{runbook_id}.yaml"
    if target.exists() and not force:
        raise click.UsageError(f"nothing written: {target} is there; --force writes over it")
    config = _config(config_path)
    if config is not None:
        _check_names(config, agents, owner)
    asks = sys.stdin.isatty() and sys.stdout.isatty()
    if asks:
        title = title or click.prompt("What is wrong, in words", default=spoken(runbook_id))
        alert = alert or click.prompt("For which alert", default=_alert_like(runbook_id, config))
    owner = owner or _owner(config, agents, asks=asks)
    if config is not None:
        _check_names(config, agents, owner)
    wanted = Wanted(
        id=runbook_id,
        title=title or spoken(runbook_id),
        owner=owner,
        alert=alert or runbook_id,
        agents=agents,
        file=os.path.relpath(target),
        schema=f"schema/{NAME}",
    )
    text = runbook_text(wanted, instant(None).date())
    check_text(text, target)
    write(target, text, force=force)
    write_schema(target.parent)
    click.echo(f"{target} written. Next:")
    click.echo(f"  agentpager runbook preview {wanted.file}")
    click.echo(f"  agentpager runbook lint {wanted.file}      # after every edit")
    _remark(config, wanted.alert)


def check_id(runbook_id: str) -> None:
    from pydantic import TypeAdapter, ValidationError

    from bot.runbooks.model import Id

    try:
        TypeAdapter(Id).validate_python(runbook_id)
    except ValidationError:
        text = "1 to 80 letters, digits, _ and -, beginning with a letter or digit"
        raise click.UsageError(f'"{runbook_id}" cannot be the id of a runbook: it is {text}') from None


def _config(path: Path) -> Config | None:
    """What is known of agents and owners. A configuration that has mistakes does not keep anybody from writing a
    runbook for it."""
    from bot import config
    from bot.cli.common import read_files

    main = path / "agentpager.yaml" if path.is_dir() else path
    if not main.exists():
        return None
    try:
        return config.load(read_files(path))
    except (ConfigError, AgentpagerError):
        click.echo(
            "agentpager: the configuration has mistakes, so names are not checked; see: agentpager check", err=True
        )
        return None


def _check_names(config: Config, agents: tuple[str, ...], owner: str | None) -> None:
    from bot.complaints import did_you_mean

    for agent in agents:
        if agent not in config.agents:
            raise click.UsageError(f'--agent: there is no agent "{agent}"; {did_you_mean(agent, config.agents)}')
    known = _owners(config)
    if owner is not None and owner not in known:
        raise click.UsageError(f'--owner: there is no "{owner}"; {did_you_mean(owner, known)}')


def _owners(config: Config) -> list[str]:
    return [*(f"team:{name}" for name in config.book.teams), *(f"person:{name}" for name in config.book.people)]


def _owner(config: Config | None, agents: tuple[str, ...], *, asks: bool) -> str:
    """The owner of the agents, else the only team there is."""
    of_agents = {config.agents[agent].owner for agent in agents} if config is not None else set()
    teams = [f"team:{name}" for name in config.book.teams] if config is not None else []
    likely = of_agents or set(teams)
    found = next(iter(likely)) if len(likely) == 1 else None
    if asks:
        answer: str = click.prompt("Who keeps it correct (team:NAME or person:NAME)", default=found)
        return answer
    if found is None:
        known = f"; there is {', '.join(sorted(likely))}" if likely else ", for example --owner team:payments"
        raise click.UsageError(f"nothing written: say with --owner who keeps it correct{known}")
    return found


def _alert_like(runbook_id: str, config: Config | None) -> str:
    from bot.complaints import nearest

    return nearest(runbook_id, _alerts(config)) or runbook_id


def _alerts(config: Config | None) -> list[str]:
    groups = config.groups if config is not None else ()
    return sorted({rule.name for group in groups for rule in group.rules if rule.is_alert})


def check_text(text: str, target: Path) -> None:
    """Whatever was put into it: a file that cannot be read is not written."""
    from bot.runbooks.lint import problems
    from bot.runbooks.model import Runbook
    from bot.yamldoc import scan

    document, findings = scan(text, str(target))
    if document is not None:
        runbook, refused = document.read(Runbook)
        findings = [*findings, *refused]
        if runbook is not None:
            findings += [
                document.finding(one.path, one.code, one.message, one.hint) for one in problems(runbook, target.stem)
            ]
    if findings:
        raise click.UsageError(f"nothing written: {findings[0].message}")


def write(target: Path, text: str, *, force: bool) -> None:
    """Without `force` also never over a file that has come in the meantime."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.UsageError(f"nothing written: {target} is there; --force writes over it") from None
    except OSError as error:
        raise click.UsageError(f"nothing written: {target}: {error.strerror}") from None


def _remark(config: Config | None, alert: str) -> None:
    from bot.complaints import did_you_mean

    known = _alerts(config)
    if known and alert not in known:
        click.echo(f'agentpager: no rule has the alert "{alert}"; {did_you_mean(alert, known)}', err=True)
