"""`agentpager notify test PERSON`: a marked test message by each channel of a person, and what became of it."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.common import CONFIG_ERROR, config_option, output_option, read_config, show, stop

if TYPE_CHECKING:
    from bot.config import Config
    from bot.oncall.model import Person
    from bot.paging.model import Page

FINDINGS = 1


@click.group("notify")
def command() -> None:
    """The ways to a person."""


@command.command("test")
@click.argument("person")
@config_option
@output_option
@click.pass_context
def test(context: click.Context, person: str, config_path: Path, output: str) -> None:
    """Send PERSON a test message by each channel that their rules name, Slack first.

    The message says that it is a test and that nothing is to be done. Needs the configuration, no running server.
    Exit code 0: all were accepted, 1: one was not, 2: there is no such person.
    """
    config = read_config(config_path)
    known = config.book.people.get(person.removeprefix("person:"))
    if known is None:
        stop(f'there is no person "{person}" in the on-call files', CONFIG_ERROR)
    rows = asyncio.run(_send_all(config, known))
    show(rows, output, _print)
    context.exit(0 if all(row["accepted"] for row in rows) else FINDINGS)


def _print(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        click.echo(f"{'ok     ' if row['accepted'] else 'FAIL   '} {row['channel']}: {row['message']}")


async def _send_all(config: Config, person: Person) -> list[dict[str, Any]]:
    from bot.channels.switch import SecondChannels
    from bot.clock import SystemClock
    from bot.errors import RemoteError
    from bot.slack.client import SlackMessenger

    clock = SystemClock()
    slack = SlackMessenger(config.settings.slack, lambda: config.book, clock)
    others = SecondChannels(lambda: config.settings, lambda: config.book, config.base_dir, clock)
    rows = []
    for page in _pages(person, clock.now().timestamp()):
        try:
            if page.by_slack:
                await slack.post(page, None, None, None)
            else:
                await others.send(page, None, None)
            rows.append({"channel": page.channel, "accepted": True, "message": "accepted"})
        except RemoteError as error:
            rows.append({"channel": page.channel, "accepted": False, "message": str(error)})
    await slack.close()
    others.close()
    return rows


def _pages(person: Person, at: float) -> Iterator[Page]:
    from datetime import UTC, datetime

    from bot.paging.model import Page, PageKind
    from bot.paging.notify import channels_of

    text = f"Test message from agentpager to {person.name}\nAsked for by {getpass.getuser()}. Nothing is to be done."
    for channel in channels_of(person):
        yield Page(
            id=f"test.{round(at)}.{person.id}.{channel.partition(':')[0]}.{channel.rpartition(':')[2]}",
            incident=None,
            kind=PageKind.NOTICE,
            person=person.id,
            channel=channel,
            due_at=datetime.fromtimestamp(at, UTC),
            text=text,
            reason="a test",
        )
