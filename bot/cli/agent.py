"""`agentpager agent list|show|report`: who answers for an agent, and all that its operator needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from bot.cli.common import (
    CONFIG_ERROR,
    ask,
    call,
    config_option,
    instant,
    named_server,
    output_option,
    print_table,
    read_config,
    server_option,
    show,
    stop,
)


@click.group("agent")
def command() -> None:
    """Agents as their files describe them, and as they are now."""


@command.command("list")
@server_option
@config_option
@output_option
def listing(config_path: Path, output: str) -> None:
    """All agents: stage, tier, owner, and who is on call for each. By the files, or by the server that is named."""
    if named_server():
        show(call(config_path, "GET", "/api/pager/agents"), output, _print)
        return
    from bot.records.bundle import listed

    config = read_config(config_path, rotas=True)
    show(listed(_world(config), instant(None)), output, _print)


@command.command("show")
@click.argument("name")
@server_option
@config_option
@output_option
def one(name: str, config_path: Path, output: str) -> None:
    """What matters of an agent at night: who is on call, how to stop it, what is open, its last drill, its links."""
    from bot.records.bundle_words import short

    told, problem = _bundle(config_path, name)

    def lines(found: dict[str, Any]) -> None:
        click.echo("\n".join(short(found)))
        if problem:
            click.echo(f"\nFrom the files alone: {found['not_asked']}")

    show(told, output, lines)


@command.command("report")
@click.argument("name")
@click.option("-o", "--output", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
@server_option
@config_option
def report(name: str, output: str, config_path: Path) -> None:
    """The hand-over bundle: everything that somebody needs to run an agent which others have built."""
    from bot.records.bundle_words import markdown

    told, _ = _bundle(config_path, name)
    if output == "json":
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        click.echo(markdown(told), nl=False)


def _bundle(config_path: Path, name: str) -> tuple[dict[str, Any], str]:
    """By the server that is named, else by the one of the configuration, else by the files alone, and why."""
    from bot.errors import UsageError
    from bot.records.bundle import agent_named, bundle

    if named_server():
        asked: dict[str, Any] = call(config_path, "GET", f"/api/pager/agents/{quote(name, safe='')}")
        return asked, ""
    config = read_config(config_path, rotas=True)
    try:
        agent = agent_named(name, config.agents)
    except UsageError as error:
        stop(str(error), CONFIG_ERROR)
    told, problem = ask(config, f"/api/pager/agents/{agent.id}")
    if told is not None:
        found: dict[str, Any] = told
        return found, ""
    missing = f"{problem}; incidents, readiness and evidence are not known"
    return bundle(agent, _world(config), config.groups, config.runbooks, instant(None), None, missing), problem


def _world(config: Any) -> Any:
    from bot.incidents.decision import World

    return World(config.agents, config.book, config.settings.slack.channel, config.incidents)


def _print(rows: list[dict[str, Any]]) -> None:
    cells = [
        [
            row["agent"],
            row["stage"],
            str(row["tier"] or "-"),
            row["owner"],
            row["deputy"] or "-",
            ", ".join(row["oncall"]) or "NOBODY",
            row["review_on"] or "-",
        ]
        for row in rows
    ]
    print_table(["AGENT", "STAGE", "TIER", "OWNER", "DEPUTY", "ON CALL", "REVIEW"], cells, "no agent is in agents/")
