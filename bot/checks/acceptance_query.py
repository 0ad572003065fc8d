"""An acceptance criterion is PromQL: one that cannot be asked never holds, and nobody would know why."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject, sound
from bot.complaints import quote
from bot.errors import Finding, QueryError
from bot.promql.parse import parse

CODE = "acceptance-query"


def check(subject: Subject) -> Iterator[Finding]:
    experimental = subject.settings is not None and subject.settings.query.experimental_functions
    for entry, agent in sound(subject.agents):
        for name, text in agent.acceptance.items():
            if problem := _problem(text, experimental):
                yield entry.finding(("acceptance", name), CODE, f"criterion {quote(name)}: {problem}")


def _problem(text: str, experimental: bool) -> str:
    try:
        expr = parse(text, experimental=experimental)
    except QueryError as error:
        return str(error)
    return "" if expr.kind == "vector" else f"the expression gives a {expr.kind}, a criterion needs series that hold"
