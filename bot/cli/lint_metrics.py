"""`agentpager lint-metrics`: what is wrong with the metrics that an agent exposes."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.common import UNREACHABLE, config_option, output_option, read_config, stop
from bot.errors import Finding, RemoteError, UsageError

if TYPE_CHECKING:
    from bot.metrics.fetch import Answer

_TOKEN = "A file with a bearer token, for a page that wants one."  # noqa: S105 - no secret, but a help text


@click.command("lint-metrics")
@click.argument("source", metavar="SOURCE")
@click.option("--bearer-token-file", "token", type=click.Path(path_type=Path, dir_okay=False), help=_TOKEN)
@click.option("--agent", metavar="NAME", help="Whose page it is: buckets have to reach the limits of its file, too.")
@config_option
@click.option("--timeout", type=click.IntRange(min=1), default=10, show_default=True, help="Seconds for an address.")
@output_option
@click.pass_context
def command(
    context: click.Context,
    source: str,
    token: Path | None,
    agent: str | None,
    config_path: Path,
    timeout: int,
    output: str,
) -> None:
    """Check an agent's metrics against what alerts need: docs/instrumentation.md has the contract and the codes.

    SOURCE is the address of /metrics, or a file that holds what it gave; - is standard input.
    Exit code 0: nothing to correct, 1: something found, 2: the file cannot be read, 3: the address cannot be reached.
    """
    from bot.cli.findings import as_json
    from bot.metrics.lint import ADVICE

    found = _found(source, token, timeout, _limits(agent, config_path) if agent else {})
    wrong = [one for one in found if one.code not in ADVICE]
    if output == "json":
        click.echo(json.dumps([as_json(one) for one in found], indent=2, ensure_ascii=False))
    else:
        for one in found:
            _print(one)
        errors = sum(one.severity == "error" for one in wrong)
        click.echo(f"errors: {errors}, warnings: {len(wrong) - errors}" if wrong else "nothing to correct")
    context.exit(1 if wrong else 0)


def _print(one: Finding) -> None:
    from bot.metrics.lint import ADVICE

    place = f"line {one.line}: " if one.line else ""
    word = "note" if one.code in ADVICE else one.severity
    click.echo(f"{one.number} {word} {place}{one.message}")
    if one.hint:
        click.echo(f"      → {one.hint}")


def _limits(name: str, config_path: Path) -> dict[str, float]:
    """Histogram → what the agent's file lets it reach."""
    from bot.complaints import did_you_mean

    agents = read_config(config_path).agents
    if name not in agents:
        raise click.UsageError(f'there is no agent "{name}"; {did_you_mean(name, agents)}')
    agent = agents[name]
    limits = {
        "agent_run_duration_seconds": agent.latency_target.total_seconds() if agent.latency_target else None,
        "agent_run_llm_calls": agent.limits.llm_calls,
        "agent_run_tool_calls": agent.limits.tool_calls,
    }
    return {histogram: float(limit) for histogram, limit in limits.items() if limit is not None}


def _found(source: str, token: Path | None, timeout: float, reach: dict[str, float]) -> list[Finding]:
    from bot.metrics.exposition import ExpositionError
    from bot.metrics.lint import lint_body, too_large, unreadable
    from bot.settings import ScrapeLimits

    body, content_type, where = b"", "", source
    if source.startswith(("http://", "https://")):
        try:
            answer = asyncio.run(_get(source, token, timeout))
        except UsageError as error:
            raise click.UsageError(str(error)) from None
        except RemoteError as error:
            if "larger than the limit" in str(error):
                return [too_large(str(error), where)]
            stop(f"{source}: {error}{_advice(str(error))}", UNREACHABLE)
        body, content_type, where = answer.body, answer.content_type, answer.url
    else:
        body = _read(source)
    if len(body) > ScrapeLimits().body_size:
        return [too_large(f"the body is longer than {ScrapeLimits().body_size} bytes", where)]
    try:
        return lint_body(body, content_type, where, reach)
    except ExpositionError as error:
        return [unreadable(body, error, where)]


def _read(source: str) -> bytes:
    from bot.settings import ScrapeLimits

    try:
        if source == "-":
            return sys.stdin.buffer.read(ScrapeLimits().body_size + 1)
        path = Path(source)
        with path.open("rb") as file:
            return file.read(ScrapeLimits().body_size + 1)
    except OSError as error:
        hint = "; an address begins with http://" if "/" in source or ":" in source else ""
        raise click.UsageError(f"{source}: {error.strerror}{hint}") from None


def _advice(reason: str) -> str:
    if "status 401" in reason or "status 403" in reason:
        return "; it wants a token: --bearer-token-file FILE"
    if "status 404" in reason:
        return "; is it /metrics, or /metrics/?"
    return ""


async def _get(url: str, token: Path | None, timeout_seconds: float) -> Answer:
    """By the client that scrapes, so that what it refuses is refused here as well."""
    from bot.metrics.exposition import ACCEPT
    from bot.metrics.fetch import Client
    from bot.schema import read_url
    from bot.settings import Access, ScrapeLimits

    try:
        read_url(url)
    except ValueError as error:
        raise UsageError(f"{url}: {error}") from None
    client = Client(Path())
    try:
        return await client.get(
            url,
            Access(bearer_token_file=str(token) if token else None),
            {"Accept": ACCEPT, "Accept-Encoding": "gzip", "User-Agent": "agentpager"},
            timeout_seconds=timeout_seconds,
            max_bytes=ScrapeLimits().body_size,
        )
    finally:
        await client.close()
