"""`agentpager query EXPR`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bot.cli.common import call, config_option, output_option, print_table, server_option, show

_FROM_FILE = "Text as an agent's /metrics gives it; its samples count as taken at TIME."


@click.command("query")
@click.argument("expr")
@click.option("--time", "at", metavar="TIME", help="Seconds since the epoch, or RFC 3339; now if not given.")
@click.option("--from-file", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help=_FROM_FILE)
@server_option
@config_option
@output_option
def command(expr: str, at: str | None, file: Path | None, config_path: Path, output: str) -> None:
    """Answer the PromQL expression EXPR from a running server, or from the samples of one exposition file."""
    if file is not None:
        answer = _from_file(expr, at, file)
    else:
        query = {"query": expr} | ({"time": at} if at else {})
        answer = call(config_path, "GET", "/api/v1/query", query=query)["data"]
    show(answer, output, _table)


def _from_file(expr: str, at: str | None, file: Path) -> dict[str, Any]:
    """Raises UsageError when the file or the expression cannot be read."""
    from bot.clock import SystemClock
    from bot.errors import QueryError
    from bot.metrics.exposition import ExpositionError
    from bot.metrics.offline import store_of
    from bot.promql.api import instant_json
    from bot.promql.engine import Engine
    from bot.promql.parse import parse
    from bot.schema import parse_instant

    try:
        t = parse_instant(at) if at else SystemClock().now().timestamp()
        return instant_json(Engine(store_of(file.read_bytes(), t)).instant(parse(expr), t))
    except ExpositionError as error:
        raise click.UsageError(f"{file}: {error}") from None
    except (QueryError, ValueError) as error:
        raise click.UsageError(str(error)) from None


def _table(answer: dict[str, Any]) -> None:
    if answer["resultType"] in {"scalar", "string"}:
        click.echo(answer["result"][1])
        return
    rows = []
    for series in answer["result"]:
        name = series["metric"].get("__name__", "")
        labels = ", ".join(f'{key}="{value}"' for key, value in sorted(series["metric"].items()) if key != "__name__")
        values = [series["value"]] if "value" in series else series["values"]
        rows += [[f"{name}{{{labels}}}", value] for _, value in values]
    print_table(["SERIES", "VALUE"], rows, "no data")
