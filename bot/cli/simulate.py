"""`agentpager simulate`: who would have been woken, how often, at night."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from bot.cli.common import CONFIG_ERROR, config_option, instant, output_option, print_table, read_config, show, stop

_MONTH = timedelta(days=28)
_MOST = 1_000_000  # alerts; more would take minutes


@click.command("simulate")
@click.option("--from", "from_text", metavar="TIME", help="From when on; now if not given.")
@click.option("--to", "to_text", metavar="TIME", help="Until when; 28 days later if not given.")
@click.option(
    "--history",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='Recorded alerts instead of drawn ones, a line each: {"starts_at", "ends_at", "labels"}.',
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=0.02,
    show_default=True,
    help="Drawn alerts of each agent in an hour.",
)
@click.option("--lasts", default="30m", show_default=True, help="How long a drawn alert lasts on average.")
@click.option(
    "--answers",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="Share of the pages that are answered.",
)
@click.option("--ack-after", default="4m", show_default=True, help="How long an answer takes.")
@click.option("--seed", default=0, show_default=True, help="Another number draws another history.")
@config_option
@output_option
def command(
    from_text: str | None, to_text: str | None, history: Path | None, rate: float, lasts: str, answers: float,
    ack_after: str, seed: int, config_path: Path, output: str,
) -> None:  # fmt: skip
    """Play a history of alerts against owners, rotas and policies: who would have been woken, how often, at night.

    Needs the configuration, no running server. Nobody is paged.
    """
    from random import Random

    from bot.agents.model import Stage
    from bot.errors import UsageError
    from bot.forecast.history import drawn, recorded
    from bot.forecast.replay import Habits, replay, summary
    from bot.incidents.decision import World
    from bot.schema import parse_duration

    config = read_config(config_path, rotas=True)
    start = instant(from_text)
    end = instant(to_text) if to_text else start + _MONTH
    if end <= start:
        raise click.UsageError("--to is not after --from")
    agents = [name for name, agent in config.agents.items() if agent.stage is not Stage.RETIRED]
    if history is None and (end - start) / timedelta(hours=1) * rate * len(agents) > _MOST:
        raise click.UsageError(f"that would be more than {_MOST} alerts; choose a lower --rate or a shorter time")
    alerts, habits = Random(seed).random, Random(seed + 1).random
    try:
        if history is not None:
            firings = [one for one in recorded(history.read_text(), str(history)) if start <= one.start < end]
        else:
            firings = list(drawn(agents, rate, start, end, alerts, lasts=parse_duration(lasts)))
        manners = Habits(answers, parse_duration(ack_after), habits)
    except (UsageError, ValueError) as error:
        stop(str(error), CONFIG_ERROR)
    world = World(config.agents, config.book, config.settings.slack.channel, config.incidents)
    told = {"from": start.isoformat(), "to": end.isoformat()} | summary(replay(firings, world, manners), world)
    show(told, output, _tables)


def _tables(told: dict[str, Any]) -> None:
    ack = told["ack_seconds"]
    waited = f", acknowledged after {ack['mean'] / 60:.1f} min on average" if ack else ""
    click.echo(f"{told['from']} to {told['to']}: {told['alerts']} alerts, {told['incidents']} incidents{waited}")
    click.echo(
        f"{told['pages']} pages, {told['night_pages']} at night (22:00-07:00 where the person lives);"
        f" {told['escalated_share']:.0%} of incidents went past the first level,"
        f" {told['ended_untaken']} ended before anybody took them\n"
    )
    people = ["person", "pages", "incidents", "night_pages", "nights", "weekend_pages"]
    agents = ["agent", "incidents", "pages", "night_pages", "escalated", "to_fallback"]
    print_table([_heading(key) for key in people], _cells(told["people"], people), "nobody")
    click.echo()
    print_table([_heading(key) for key in agents], _cells(told["agents"], agents), "no incident")


def _heading(key: str) -> str:
    return key.replace("_", " ").upper()


def _cells(rows: list[dict[str, Any]], keys: list[str]) -> list[list[str]]:
    return [[str(row[key]) for key in keys] for row in rows]
