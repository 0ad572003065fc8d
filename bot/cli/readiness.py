"""`agentpager readiness`: what is missing before an agent takes on more, with evidence."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.common import CONFIG_ERROR, UNREACHABLE, config_option, end_at, end_of, instant, read_config, stop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.agents.model import Agent
    from bot.agents.readiness import Domain, Status
    from bot.config import Config
    from bot.readiness.model import Answer, Dossier, Facts, Live, Verdict

FINDINGS = 1
_SECONDS = 60.0  # a server may have to read its files first
_AT_ONCE = 8


@click.command("readiness")
@click.argument("agent", required=False)
@click.option(
    "--stage",
    type=click.Choice(["pilot", "crawl", "walk", "run"]),
    help="Judge for this stage, instead of the one that the file claims.",
)
@click.option(
    "--server",
    metavar="URL",
    envvar="AGENTPAGER_SERVER",
    help="The running server to ask; otherwise the one of http.listen, if it runs.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@config_option
@click.pass_context
def command(
    context: click.Context, agent: str | None, stage: str | None, server: str | None, output: str, config_path: Path
) -> None:
    """Whether AGENT, or every agent, is ready for its stage: domain by domain, the worst first; of one agent with
    evidence and the way out.

    Reads the files, and asks a running server for what only it knows. docs/readiness.md has the domains. Exit code 1:
    a domain that the stage asks for is not started, 2: the configuration cannot be used, 3: --server cannot be reached.
    """
    from bot.agents.model import Stage
    from bot.checker import files_of
    from bot.readiness.paper import dossiers
    from bot.readiness.verdict import verdicts

    config, now = read_config(config_path, rotas=True), instant(None)
    wanted = _wanted(config, agent)
    found = [one for one in dossiers(files_of(config), now) if one.agent in wanted]
    asked = asyncio.run(_ask(config, found, wanted, server))
    live = asked.live(now)
    judged = verdicts(found, wanted, live, now, Stage(stage) if stage else None, asked.before)
    _show(judged, asked, output)
    context.exit(0 if all(one.ready for one in judged) else FINDINGS)


def _wanted(config: Config, agent: str | None) -> dict[str, Agent]:
    """One that is retired is shown when it is named."""
    from bot.agents.model import Stage
    from bot.complaints import did_you_mean

    if agent is None:
        return {name: one for name, one in config.agents.items() if one.stage is not Stage.RETIRED}
    if agent not in config.agents:
        stop(f'there is no agent "{agent}"; {did_you_mean(agent, config.agents) or "none is there"}', CONFIG_ERROR)
    return {agent: config.agents[agent]}


@dataclass
class _Asked:
    """What a server said; with `problem` none did."""

    url: str
    problem: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    facts: dict[str, Facts] = field(default_factory=dict)
    before: dict[str, dict[Domain, Status]] = field(default_factory=dict)  # what the server has known so far

    def live(self, now: Any) -> Live | None:
        from bot.readiness.model import Live

        return None if self.problem else Live(now, self.answers, self.facts)

    @property
    def words(self) -> str:
        if not self.problem:
            return f"Asked the server at {self.url}."
        return (
            f"No server was asked ({self.problem}): what only it knows (series, criteria, track record, drills) counts "
            "as in progress."
        )


async def _ask(config: Config, found: Sequence[Dossier], agents: Mapping[str, Agent], server: str | None) -> _Asked:
    import aiohttp

    from bot.readiness.live import questions

    http = config.settings.http
    end = end_at(server, http) if server else end_of(http)
    asked = _Asked(end.url)
    headers = {"Authorization": f"Bearer {end.token}"} if end.token else {}
    turn = asyncio.Semaphore(_AT_ONCE)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS), headers=headers) as session:
            await _take_rows(session, asked)
            asking = questions(found, agents.values())
            answers = await asyncio.gather(*(_answer(session, asked.url, one, turn) for one in asking))
            asked.answers = dict(zip(asking, answers, strict=True))
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
        asked.problem = asked.problem or _why(error, asked.url)
    if asked.problem and server is not None:
        stop(f"the server cannot be asked: {asked.problem}", UNREACHABLE)
    return asked


async def _take_rows(session: Any, asked: _Asked) -> None:
    from bot.readiness.model import Verdict

    async with session.get(f"{asked.url}/api/pager/readiness") as answer:
        text = await answer.text()
        if answer.status != 200:
            asked.problem = f"{asked.url} refuses with status {answer.status}: {_reason(text)}"
            raise ValueError(asked.problem)
    rows = [Verdict.model_validate(row) for row in json.loads(text)]
    asked.facts = {one.agent: one.facts for one in rows if one.facts is not None}
    asked.before = {one.agent: {row.domain: row.status for row in one.domains} for one in rows}


async def _answer(session: Any, url: str, question: str, turn: asyncio.Semaphore) -> Answer:
    from bot.readiness.answers import understood

    async with turn, session.post(f"{url}/api/v1/query", data={"query": question}) as answer:
        return understood(await answer.read())


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())[:200] or "it does not say why"


def _why(error: Exception, url: str) -> str:
    import os

    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return f"{url}: {os.strerror(number) if number else error.os_error}"
    if isinstance(error, TimeoutError):
        return f"{url} does not answer within {_SECONDS:g} s"
    if isinstance(error, aiohttp.InvalidURL):
        return f"{url} is not the address of a server"
    return f"{url} does not answer as agentpager does ({type(error).__name__})"


def _show(judged: Sequence[Verdict], asked: _Asked, output: str) -> None:
    from bot.readiness.words import glance, lines, report, worst_first

    server = None if asked.problem else asked.url
    if output == "json":
        rows = [one.model_dump(mode="json") | {"server": server} for one in judged]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if output == "markdown":
        click.echo(report(judged, instant(None), asked.words), nl=False)
        return
    alone = len(judged) == 1
    for one in worst_first(judged):
        click.echo("\n".join(lines(one) if alone else glance(one)))
    click.echo()
    if not judged:
        click.echo("There is no agent in agents/.")
    elif not alone:
        blocked = sum(not one.ready for one in judged)
        click.echo(
            f"{blocked} of {len(judged)} agents are not ready. Evidence and the way out: agentpager readiness AGENT"
        )
    click.echo(asked.words)
