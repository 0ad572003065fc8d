"""`agentpager explain ALERT|AGENT`: who would be paged, step by step, and why."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from bot.cli.common import CONFIG_ERROR, config_option, instant, output_option, print_table, read_config, stop

if TYPE_CHECKING:
    from bot.forecast.ladder import Ladder, Level
    from bot.forecast.question import Question
    from bot.oncall.model import Book


@click.command("explain")
@click.argument("alert")
@click.option("--at", "at_text", metavar="TIME", help="When it begins; now if not given, UTC if it has no offset.")
@click.option("--agent", metavar="AGENT", help="Of which agent the alert is, where the rule does not say.")
@click.option("--severity", type=click.Choice(["critical", "warning", "info"]), help="Instead of the rule's own.")
@config_option
@output_option
def command(
    alert: str, at_text: str | None, agent: str | None, severity: str | None, config_path: Path, output: str
) -> None:
    """Who would be paged if nobody answered: every level with its time and reason.

    ALERT is the name of an alerting rule, the id of an agent for any alert of it, or the labels of an alert:
    'service="checkout", severity="critical"'. Needs the configuration, no running server.
    """
    import json

    from bot.errors import UsageError
    from bot.forecast.ladder import ladder
    from bot.forecast.question import ask
    from bot.incidents.decision import World
    from bot.incidents.model import Severity

    at, config = instant(at_text), read_config(config_path, rotas=True)
    try:
        chosen = Severity(severity) if severity else None
        question = ask(alert, agent, chosen, config.agents, config.groups)
    except UsageError as error:
        stop(str(error), CONFIG_ERROR)
    if question.severity is Severity.NONE:
        stop(f'"{alert}" has severity none: it is never shown and wakes nobody', CONFIG_ERROR)
    world = World(config.agents, config.book, _channel(config), config.incidents)
    found = ladder(question.labels, question.annotations, world, at)
    if output == "json":
        click.echo(json.dumps(as_json(question, found), indent=2, ensure_ascii=False))
    else:
        _print(question, found, config.book, at)


def _channel(config: Any) -> str:
    return str(config.settings.slack.channel)


def as_json(question: Question, found: Ladder) -> dict[str, Any]:
    """The shape other tools rely on."""
    incident = found.incident
    return {
        "alert": question.name,
        "at": incident.opened_at.isoformat(),
        "agent": incident.agent,
        "severity": incident.severity.value,
        "owner": incident.owner,
        "owner_why": incident.owner_why,
        "policy": incident.policy_id,
        "steps": [
            {
                "after_seconds": round(level.after.total_seconds()),
                "people": [reached.person for reached in level.people],
                "channels": list(level.channels),
                "why": _why(level),
            }
            for level in found.levels
        ],
    }


def _why(level: Level) -> str:
    reasons: dict[str, list[str]] = {}
    for reached in level.people:
        reasons.setdefault(reached.why, []).append(reached.person)
    people = [f"{', '.join(names)}: {why}" for why, names in reasons.items()]
    return "; ".join([level.why, *people])


def _print(question: Question, found: Ladder, book: Book, at: datetime) -> None:
    incident, policy = found.incident, found.incident.policy
    named = {question.name: None, (incident.agent or question.name): None}
    click.echo(f"{' of '.join(named)}, {incident.severity}, from {at:%a %Y-%m-%d %H:%M} UTC if nobody answers")
    if question.also:
        click.echo(f"Another rule of this name is {' or '.join(question.also)}: --severity shows it.")
    steps = f"{len(policy.steps)} step{'s' if len(policy.steps) > 1 else ''}, {policy.repeat} more times"
    click.echo(f"owner    {incident.owner} ({incident.owner_why})")
    click.echo(f"policy   {incident.policy_id}: {steps}, then {incident.fallback}")
    click.echo(f"card in  {incident.channel}\n")
    cells = [cell for level in found.levels for cell in _cells(level, found, book)]
    print_table(["AFTER", "LEVEL", "WHO", "THEIR TIME", "WHY"], cells, "nobody is woken")
    if found.again is not None:
        click.echo(f"\nThen everybody again every {_span(found.again.total_seconds())}, until somebody acts.")


def _cells(level: Level, found: Ladder, book: Book) -> list[list[str]]:
    """A line for each person; what concerns the level stands in the first."""
    wider = ("fallback", "fallback, team", "everybody")[level.widened]
    name = wider if level.exhausted else f"{level.step + 1}, round {level.round + 1}"
    if level.step < 0:  # hidden, or waiting for others
        name = "-"
    if not found.incident.severity.wakes:
        name = "card"
    head = [_span(level.after.total_seconds()), name]
    rows = []
    for reached in level.people:
        person = book.people[reached.person]
        local = level.at.astimezone(ZoneInfo(person.timezone))
        rows.append([f"{person.name} ({person.id})", f"{local:%a %H:%M} {person.timezone}", reached.why])
    named = "everybody in it is asked" if level.exhausted else "named in the policy"
    rows += [[channel, "", named] for channel in level.paged]
    rows = rows or [["nobody", "", level.why]]
    skipped = [part for part in level.why.split("; ") if part.startswith("level ")]
    out = [[*(head if index == 0 else ["", ""]), *row] for index, row in enumerate(rows)]
    return out + [["", "", "", "", part] for part in skipped]


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{rest}s" if rest else ""]
    return "".join(parts) or "0s"
