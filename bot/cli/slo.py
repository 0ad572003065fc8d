"""`agentpager slo [AGENT]`, and the rules of objectives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bot.cli.common import call, config_option, output_option, print_table, server_option, show
from bot.cli.slo_rules import command as rules


@click.group("slo", invoke_without_command=True)
@click.option("--agent", metavar="AGENT", help="Those of one agent.")
@server_option
@config_option
@output_option
@click.pass_context
def command(ctx: click.Context, agent: str | None, config_path: Path, output: str) -> None:
    """How much of each error budget is left.

    Asks a running server. docs/slo.md says what is counted.
    """
    if ctx.invoked_subcommand is None:
        query = {"agent": agent} if agent else {}
        show(call(config_path, "GET", "/api/pager/budgets", query=query), output, _table)


command.add_command(rules)


def _table(told: list[dict[str, Any]]) -> None:
    from bot.records.accounts import count, share

    rows = [
        [
            one["agent"],
            one["title"],
            share(one["target"]),
            "-" if one["good_share"] is None else share(one["good_share"]),
            "-" if one["budget_left"] is None else share(one["budget_left"]),
            count(one["events"]),
            one["window"],
            _since(one),
        ]
        for one in told
    ]
    headings = ["AGENT", "OBJECTIVE", "TARGET", "GOOD", "BUDGET LEFT", "EVENTS", "WINDOW", "COUNTED SINCE"]
    print_table(headings, rows, "no agent has an objective: give it slo.target in agents/*.yaml")


def _since(one: dict[str, Any]) -> str:
    if one["since"] is None:
        return "nothing yet"
    return "all of it" if one["whole_window"] else f"{one['since'][:16].replace('T', ' ')} UTC"
