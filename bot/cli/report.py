"""`agentpager report`: numbers over a time, hand-overs, the day and the week."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from bot.cli.common import call, config_option, instant, print_table, server_option

_WEEK = timedelta(days=7)


@click.command("report")
@click.option("--from", "from_text", metavar="TIME", help="From when on; 7 days before --to if not given.")
@click.option("--to", "to_text", metavar="TIME", help="Until when; now if not given.")
@click.option("--by", type=click.Choice(["agent", "rule", "person", "team"]), help="The same numbers for each of them.")
@click.option("--handover", metavar="SCHEDULE", help="The latest hand-over of SCHEDULE instead.")
@click.option("--daily", is_flag=True, help="The daily digest as it would be posted now instead.")
@click.option("--weekly", is_flag=True, help="The weekly digest as it would be posted now instead.")
@click.option("-o", "--output", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@server_option
@config_option
def command(
    from_text: str | None, to_text: str | None, by: str | None, handover: str | None, daily: bool, weekly: bool,
    output: str, config_path: Path,
) -> None:  # fmt: skip
    """How soon incidents were taken and ended, whom they woke, at night, and how often for nothing.

    Asks a running server. docs/reports.md says what each number counts.
    """
    if sum((handover is not None, daily, weekly, bool(from_text or to_text or by))) > 1:
        raise click.UsageError("--handover, --daily, --weekly, and --from, --to, --by exclude each other")
    if handover is not None:
        _digest(call(config_path, "GET", "/api/pager/handover", query={"schedule": handover}), output)
    elif daily or weekly:
        _digest(call(config_path, "GET", "/api/pager/digest", query={"of": "day" if daily else "week"}), output)
    else:
        end = instant(to_text)
        start = instant(from_text) if from_text else end - _WEEK
        if end <= start:
            raise click.UsageError("--to is not after --from")
        query = {"from": start.isoformat(), "to": end.isoformat()} | ({"by": by} if by else {})
        _report(call(config_path, "GET", "/api/pager/report", query=query), output)


def _report(told: dict[str, Any], output: str) -> None:
    from bot.records.tables import as_markdown, by_group, people, sentences

    if output == "json":
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    if output == "markdown":
        click.echo(as_markdown(told), nl=False)
        return
    for line in sentences(told):
        click.echo(line)
    for table in (by_group(told), people(told)):
        if table is not None:
            click.echo()
            headings, rows = table
            print_table([heading.upper() for heading in headings], rows, "nobody was woken")


def _digest(told: dict[str, Any], output: str) -> None:
    from bot.records.digest import Digest, as_markdown, as_text

    if output == "json":
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif output == "markdown":
        click.echo(as_markdown(Digest.model_validate(told)), nl=False)
    else:
        click.echo(as_text(Digest.model_validate(told)))
