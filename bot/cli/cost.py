"""`agentpager cost` and `agentpager forecast`: money of agents, from a running server."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern
from pathlib import Path
from typing import Any

import click

from bot.cli.common import call, config_option, output_option, print_table, server_option, show

_VOLUME = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmM]?)(?:\s*/\s*(?:d|day))?")
_TIMES = {"": 1, "k": 1000, "m": 1_000_000}


@click.command("cost")
@click.argument("agent", required=False)
@server_option
@config_option
@output_option
def cost(agent: str | None, config_path: Path, output: str) -> None:
    """What AGENT, or each agent, has cost today: against its budget, its pace, and by the run.

    Asks a running server. docs/slo.md says what each number rests on.
    """
    told = call(config_path, "GET", "/api/pager/costs", query={"agent": agent} if agent else {})
    show(told[0] if agent and output == "json" else told, output, _in_full if agent else _table)


def _in_full(told: list[dict[str, Any]]) -> None:
    for line in told[0]["lines"]:
        click.echo(line)


def _table(told: list[dict[str, Any]]) -> None:
    from bot.records.accounts import money

    def shown(value: float | None) -> str:
        return "-" if value is None else money(value)

    rows = [
        [
            one["agent"],
            shown(one["today_usd"]),
            shown(one["budget_usd_day"]),
            shown(one["pace_usd_hour"]),
            shown(one["forecast_usd_day"]),
            (one["budget_gone_at"] or "-")[:16].replace("T", " "),
            shown(one["cost_per_run_usd"]),
            shown(one["week_usd"]),
        ]
        for one in told
    ]
    headings = ["AGENT", "TODAY", "OF", "PER HOUR", "BY MIDNIGHT", "BUDGET GONE", "PER RUN", "7 DAYS"]
    print_table(headings, rows, "no agents")


def _volume(_ctx: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    match = _VOLUME.fullmatch(text.strip())
    number = float(match[1]) * _TIMES[match[2].lower()] if match else 0.0
    if number <= 0:
        raise click.BadParameter(f'"{text}" is not runs a day; write for example 2000/day or 50k/day')
    return number


@click.command("forecast")
@click.argument("agent")
@click.option(
    "--at", metavar="N/day", callback=_volume, help="Runs a day; those of its file, or those seen, if not given."
)
@click.option("--budget", type=click.FloatRange(min=0, min_open=True), help="Dollars of this month.")
@server_option
@config_option
@output_option
def forecast(agent: str, at: float | None, budget: float | None, config_path: Path, output: str) -> None:
    """What AGENT would cost at another volume, and when a month's budget would be used up.

    From the cost per run of the last days, with the range of those days. Asks a running server.
    """
    query = {"agent": agent} | ({"at": f"{at:.15g}"} if at else {}) | ({"budget": f"{budget:.15g}"} if budget else {})
    told = call(config_path, "GET", "/api/pager/forecast", query=query)
    show(told, output, lambda one: click.echo("\n".join(one["lines"])))
