"""`agentpager oncall`."""

from __future__ import annotations

import getpass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import click
from click.core import ParameterSource

from bot.cli.common import (
    call,
    config_option,
    instant,
    named_server,
    output_option,
    print_table,
    read_config,
    server_option,
    show,
)

if TYPE_CHECKING:
    from bot.forecast.quality import Report

_MONTH = timedelta(days=28)


@click.group("oncall", invoke_without_command=True)
@click.option(
    "--at",
    "at_text",
    metavar="TIME",
    help="An instant, for example 2026-12-24T18:00:00+01:00. UTC if it has no offset.",
)
@click.option("--report", is_flag=True, help="Gaps, double duty, and who has how many of the nights and weekends.")
@click.option("--from", "from_text", metavar="TIME", help="Of the report: from when on; now if not given.")
@click.option("--to", "to_text", metavar="TIME", help="Of the report: until when; 28 days later if not given.")
@server_option
@config_option
@output_option
@click.pass_context
def command(
    context: click.Context,
    at_text: str | None,
    report: bool,
    from_text: str | None,
    to_text: str | None,
    config_path: Path,
    output: str,
) -> None:
    """Who is on duty in each schedule: by the configuration here, or by the server that is named."""
    if context.invoked_subcommand is not None:
        return
    if report:
        if at_text:
            raise click.UsageError("--report has --from and --to instead of --at")
        _report(from_text, to_text, config_path, output)
        return
    if from_text or to_text:
        raise click.UsageError("--from and --to belong to --report")
    if named_server():
        at = {"at": instant(at_text).isoformat()} if at_text else None
        show(call(config_path, "GET", "/api/pager/oncall", query=at), output, _table)
        return
    from bot.commands import roster

    show(roster(read_config(config_path, rotas=True).book, instant(at_text)), output, _table)


@command.command("feed")
@click.argument("target")
@click.option("--revoke", is_flag=True, help="Make the address so far invalid, and a new one.")
@server_option
@config_option
@click.pass_context
def feed(context: click.Context, target: str, revoke: bool, config_path: Path) -> None:
    """Print the address of the calendar of TARGET, for a calendar program to subscribe to.

    TARGET is person:ID or schedule:ID. Whoever has the address can read the calendar. Needs a running server with
    http.external_url.
    """
    if context.get_parameter_source("config_path") is ParameterSource.DEFAULT and context.parent is not None:
        config_path = context.parent.params["config_path"]  # written before the word feed
    path = f"/api/pager/calendars/{quote(target, safe=':')}"
    method, body = ("DELETE", {"by": getpass.getuser()}) if revoke else ("GET", None)
    answer = call(config_path, method, path, body)
    click.echo(answer["url"])


def _table(answer: dict[str, Any]) -> None:
    cells = [
        [row["schedule"], ", ".join(row["people"]) or "nobody", row["until"] or "further notice"]
        for row in answer["schedules"]
    ]
    print_table(["SCHEDULE", "ON DUTY", "UNTIL"], cells, "no schedules")


def _report(from_text: str | None, to_text: str | None, config_path: Path, output: str) -> None:
    from bot.forecast.quality import report

    start = instant(from_text)
    end = instant(to_text) if to_text else start + _MONTH
    if end <= start:
        raise click.UsageError("--to is not after --from")
    show(as_json(report(read_config(config_path, rotas=True).book, start, end)), output, _print)


def as_json(found: Report) -> dict[str, Any]:
    """The shape other tools rely on; hours are numbers."""
    return {
        "from": found.start.isoformat(),
        "to": found.end.isoformat(),
        "schedules": [
            {
                "schedule": quality.schedule,
                "timezone": quality.timezone,
                "covered": round(quality.covered, 4),
                "gaps": [_span(start, end) for start, end in quality.gaps],
                "night_fairness": round(quality.night_fairness, 3),
                "weekend_fairness": round(quality.weekend_fairness, 3),
                "people": [
                    {
                        "person": load.person,
                        "shifts": load.shifts,
                        "hours": _hours(load.total),
                        "night_hours": _hours(load.nights),
                        "weekend_hours": _hours(load.weekends),
                    }
                    for load in quality.loads
                ],
            }
            for quality in found.schedules
        ],
        "double_duty": [
            {
                "person": double.person,
                "schedules": list(double.schedules),
                "spans": [_span(start, end) for start, end in double.spans],
            }
            for double in found.doubles
        ],
    }


def _span(start: datetime, end: datetime) -> dict[str, str]:
    return {"from": start.isoformat(), "until": end.isoformat()}


def _hours(span: timedelta) -> float:
    return round(span / timedelta(hours=1), 2)


def _print(told: dict[str, Any]) -> None:
    click.echo(f"{told['from']} to {told['to']}; nights are 22:00-07:00 where the person lives\n")
    cells = []
    for row in told["schedules"]:
        for index, load in enumerate(row["people"] or [None]):
            head = [row["schedule"], f"{row['covered']:.1%}"] if index == 0 else ["", ""]
            keys = ("person", "shifts", "hours", "night_hours", "weekend_hours")
            cells.append([*head, *(f"{load[key]:g}" if key != "person" else load[key] for key in keys)])
        fair = f"fairness: nights {row['night_fairness']:.2f}, weekends {row['weekend_fairness']:.2f}"
        cells.append(["", "", fair, "", "", "", ""])
    print_table(
        ["SCHEDULE", "COVERED", "PERSON", "SHIFTS", "HOURS", "NIGHTS (H)", "WEEKENDS (H)"], cells, "no schedules"
    )
    gaps = [(row["schedule"], row["timezone"], gap) for row in told["schedules"] for gap in row["gaps"]]
    click.echo("\nGaps: " + ("" if gaps else "none"))
    for name, zone, gap in gaps[:50]:
        click.echo(f"  {name}: {_words(gap, zone)}")
    click.echo(f"  and {len(gaps) - 50} more" if len(gaps) > 50 else "", nl=len(gaps) > 50)
    click.echo("Two duties at once: " + ("" if told["double_duty"] else "none"))
    for double in told["double_duty"]:
        shown = ", ".join(_words(span, "UTC") for span in double["spans"][:3])
        more = f" and {len(double['spans']) - 3} more times" if len(double["spans"]) > 3 else ""
        click.echo(f"  {double['person']} in {' and '.join(double['schedules'])}: {shown}{more}")


def _words(span: dict[str, str], zone: str) -> str:
    start, end = (datetime.fromisoformat(span[key]).astimezone(ZoneInfo(zone)) for key in ("from", "until"))
    return f"{start:%a %Y-%m-%d %H:%M} to {end:%a %Y-%m-%d %H:%M} ({zone})"
