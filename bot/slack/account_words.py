"""The answers to `/agent cost`, and how an agent is doing in `/agent status`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.agents.cost import Spending
from bot.agents.vitals import Vitals
from bot.records import accounts
from bot.slack.kit import section
from bot.slack.text import mrk

_ROWS = 20


def cost(told: Sequence[Spending], *, alone: bool) -> dict[str, Any]:
    """All agents, the one with the least of its budget left first; or one in full."""
    if alone:
        (one,) = told
        lines = accounts.cost_lines(one)
        title = f"What {one.agent} costs"
    else:
        known = sorted((one for one in told if one.today is not None), key=_scarcest)
        unknown = [one.agent for one in told if one.today is None]
        lines = [accounts.cost_row(one) for one in known[:_ROWS]]
        lines += [f"+{len(known) - _ROWS} more"] if len(known) > _ROWS else []
        lines += [f"No figures of cost: {', '.join(unknown)}"] if unknown else []
        title = "What agents cost"
    shown = [mrk(line, 300) for line in lines]
    return {"text": mrk(title, 150), "blocks": [section(f"*{mrk(title, 150)}*", *shown)]}


def _scarcest(one: Spending) -> tuple[float, str]:
    used = (one.today or 0.0) / one.budget if one.budget else 0.0
    return -used, one.agent


def beside(vitals: Vitals, now: datetime) -> str:
    """Under the name of an agent among others; empty when nothing is known."""
    return mrk(accounts.in_short(vitals, now), 300)


def below(vitals: Vitals, now: datetime) -> list[str]:
    return [mrk(line, 300) for line in accounts.in_full(vitals, now)]
