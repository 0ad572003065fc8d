"""The answer to `/agent readiness`: verdicts in, message out. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.agents.readiness import Status
from bot.readiness.model import Judged, Verdict
from bot.readiness.words import SIGNS, headline, worst_first
from bot.slack.answers import Answer, say
from bot.slack.kit import section
from bot.slack.text import mrk

_AGENTS = 10
_DOMAINS = 8
_NAMED = 4


def readiness(found: Sequence[Verdict], *, alone: bool) -> Answer:
    """Of one agent what is not done, with the way out; of several a line each, the worst first."""
    if not found:
        return say("No agent is registered, or all are retired.")
    return _of_one(found[0]) if alone else _of_all(worst_first(found))


def _of_all(found: Sequence[Verdict]) -> Answer:
    blocked = sum(not one.ready for one in found)
    title = f"{len(found)} agent{'s' * (len(found) != 1)}, " + (f"{blocked} not ready" if blocked else "all ready")
    lines = [_line(one) for one in found[:_AGENTS]]
    more = [f"+{len(found) - _AGENTS} more"] if len(found) > _AGENTS else []
    hint = ["`/agent readiness AGENT` has the evidence and the way out."] if blocked else []
    return {"text": title, "blocks": [section(f"*{title}*", *lines, *more, *hint)]}


def _line(one: Verdict) -> str:
    asked = [row for row in one.domains if row.required]
    lacking = [row.domain.value for row in asked if row.status is Status.NOT_STARTED]
    open_ones = sum(row.status in {Status.IN_PROGRESS, Status.WAIVED} for row in asked)
    more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
    told = f"not started: {', '.join(lacking[:_NAMED])}{more}" if lacking else "ready"
    told += f", {open_ones} to finish" if open_ones and not lacking else ""
    return f"{'🟢' if one.ready else '🔴'} *{mrk(one.title, 80)}* {one.stage} · {mrk(told, 200)}"


def _of_one(one: Verdict) -> Answer:
    title = mrk(headline(one), 200)
    rows = [row for row in one.domains if row.required and row.status is not Status.DONE]
    lines = [_row(row) for row in rows[:_DOMAINS]]
    more = [f"+{len(rows) - _DOMAINS} more"] if len(rows) > _DOMAINS else []
    done = sum(row.required and row.status is Status.DONE for row in one.domains)
    return {
        "text": headline(one),
        "blocks": [section(f"*{title}*", *lines, *more, *([f"✓ {done} done"] if done else []))],
    }


def _row(row: Judged) -> str:
    way_out = f"\n   → {mrk(row.hint, 120)}" if row.hint and row.waiver is None else ""
    return f"{SIGNS[row.status]} *{row.domain}* {mrk(row.evidence, 160)}{way_out}"
