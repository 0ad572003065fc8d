"""An expression laid out over several lines, as Prometheus' /api/v1/format_query does it."""

from __future__ import annotations

import promql_parser as pp

from bot.errors import QueryError
from bot.promql import durations, guard
from bot.promql.parse import Expr


def pretty(expr: Expr) -> str:
    """What the parser package cannot read by itself stays as it was written."""
    try:
        text, times = durations.settled(guard.checked(expr.text))
        return expr.text if times else str(pp.parse(text).prettify())
    except (ValueError, QueryError):
        return expr.text
