"""`agentpager runbook preview`: a runbook as the person who is woken will see it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.agents.model import Agent
    from bot.authoring.preview import Preview
    from bot.promql.value import Value
    from bot.runbooks.model import Runbook

_INCIDENT = "`sample`, or a file with an incident as `agentpager incidents -o json` prints it."
_SAMPLES = "Text as an agent's /metrics gives it, to run the checks on; otherwise they are not run."
_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("preview")
@click.argument("file", type=_file)
@click.option("--incident", metavar="sample|FILE", default="sample", show_default=True, help=_INCIDENT)
@click.option("--label", "labels", metavar="NAME=VALUE", multiple=True, help="A label of its alerts; may be repeated.")
@click.option("--as", "shape", type=click.Choice(["text", "slack", "html"]), default="text", show_default=True)
@click.option(
    "--message",
    type=click.Choice(["runbook", "page"]),
    default="runbook",
    show_default=True,
    help="With --as slack: which.",
)
@click.option("--from-file", "samples", type=_file, help=_SAMPLES)
@click.option("--time", "at", metavar="TIME", help="When; seconds since the epoch, or RFC 3339; now if not given.")
def command(
    file: Path, incident: str, labels: tuple[str, ...], shape: str, message: str, samples: Path | None, at: str | None
) -> None:
    """Render the runbook FILE by the code that renders it for a page.

    text is for the terminal, slack the Block Kit JSON of the message, html a page that looks as Slack does. Nobody is
    asked and nothing is sent. Exit code 2: FILE or another file cannot be used.
    """
    try:
        shown = _preview(file, incident, labels, samples, at)
    except ConfigError as error:
        raise click.UsageError(f"the runbook cannot be rendered:\n{error}") from None
    except (UsageError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    click.echo(_drawn(shown, shape, message))


def _preview(file: Path, incident: str, labels: tuple[str, ...], samples: Path | None, at: str | None) -> Preview:
    from datetime import UTC, datetime

    from bot.authoring.preview import preview
    from bot.authoring.sample import incident_for
    from bot.cli.common import instant
    from bot.schema import parse_instant

    now = datetime.fromtimestamp(parse_instant(at), UTC) if at else instant(None)
    runbook = _runbook(file)
    given = None if incident == "sample" else _given(Path(incident))
    query = _answers(samples, now.timestamp()) if samples is not None else None
    told = incident_for(runbook, given, now, dict(map(_label, labels)))
    agent = _registered(file).get(told.agent or "")
    if agent is not None and (given is None or given.owner is None):
        told = told.model_copy(update={"owner": agent.owner})
    return preview(runbook, told, query, now, agent)


def _registered(file: Path) -> dict[str, Agent]:
    """The agents of the configuration that the file is in, as far as they can be read; check tells of the others."""
    from bot.checks.subject import sound
    from bot.config import examined
    from bot.sources import read_sources

    above = (parent / "agentpager.yaml" for parent in file.absolute().parents)
    main = next((path for path in above if path.is_file()), None)
    if main is None:
        return {}
    return {entry.id: agent for entry, agent in sound(examined(read_sources(main, os.environ))[0].agents)}


def _runbook(file: Path) -> Runbook:
    """Raises ConfigError with its mistakes when it is none."""
    from bot.runbooks.model import Runbook
    from bot.yamldoc import scan

    document, findings = scan(file.read_bytes().decode(errors="replace"), str(file))
    if document is None:
        raise ConfigError(findings)
    return document.validate(Runbook)


def _given(path: Path) -> Any:
    from bot.authoring.sample import read_incident

    try:
        return read_incident(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--incident: {path}: {error.strerror}") from None
    except (UsageError, UnicodeDecodeError) as error:
        raise UsageError(f"--incident: {path}: {error}") from None


def _label(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise UsageError(f'--label: "{text}" is no label; write for example tool=search')
    return name, value


def _answers(samples: Path, t: float) -> Callable[[str], Value]:
    from bot.metrics.exposition import ExpositionError
    from bot.metrics.offline import store_of
    from bot.promql.engine import Engine
    from bot.promql.parse import parse

    try:
        engine = Engine(store_of(samples.read_bytes(), t))
    except ExpositionError as error:
        raise UsageError(f"--from-file: {samples}: {error}") from None
    return lambda text: engine.instant(parse(text), t)


def _drawn(shown: Preview, shape: str, message: str) -> str:
    from bot.authoring.page import page
    from bot.authoring.preview import terminal
    from bot.paging.model import PageKind

    if shape == "text":
        return terminal(shown)
    if shape == "slack":
        kind = PageKind.RUNBOOK if message == "runbook" else PageKind.CARD
        return json.dumps(shown.message(kind), indent=2, ensure_ascii=not _can_show_all())
    messages = [
        ("The page", shown.message(PageKind.CARD)["blocks"]),
        ("Its thread", shown.message(PageKind.RUNBOOK)["blocks"]),
    ]
    hidden = [f"Step {name} is not shown for this incident: it asks for {when}" for name, when in shown.hidden]
    return page(f"{shown.rendered.title} · preview", messages, hidden)


def _can_show_all() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
