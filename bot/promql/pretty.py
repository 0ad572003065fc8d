"""An expression laid out over several lines, as Prometheus' /api/v1/format_query does it."""

from __future__ import annotations

import promql_parser as pp

from bot.promql import guard
from bot.promql.parse import Expr


def pretty(expr: Expr) -> str:
    """What the parser package cannot read by itself stays as it was written."""
    try:
        return str(pp.parse(guard.checked(expr.text)).prettify())
    except ValueError:
        return expr.text
