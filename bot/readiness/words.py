"""Verdicts for people: lines for a terminal, and the report that goes into the pull request of a promotion. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from bot.agents.readiness import Status
from bot.readiness.model import Facts, Judged, TrackRecord, Verdict
from bot.readiness.paper import as_percent, dollars
from bot.records import markdown
from bot.records.tables import counted
from bot.records.timeline import span

SIGNS = {Status.NOT_STARTED: "✗", Status.IN_PROGRESS: "…", Status.WAIVED: "~", Status.DONE: "✓"}
_WORDS = {
    Status.NOT_STARTED: "not started",
    Status.IN_PROGRESS: "in progress",
    Status.WAIVED: "waived",
    Status.DONE: "done",
}


def worst_first(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return sorted(verdicts, key=lambda one: (one.ready, -len(one.blocking), one.agent))


def headline(one: Verdict) -> str:
    claimed = f" (its file says {one.claimed_stage})" if one.claimed_stage is not one.stage else ""
    asked = [row for row in one.domains if row.required]
    if not asked:
        return f"{one.agent}: retired, nothing is asked of it"
    if one.blocking:
        not_started = f"{counted(len(one.blocking), 'domain')} of {len(asked)} not started"
        return f"{one.agent}: not ready for {one.stage}{claimed}, {not_started}"
    open_ones = [row for row in asked if row.status in {Status.IN_PROGRESS, Status.WAIVED}]
    rest = f", {len(open_ones)} of {len(asked)} not finished" if open_ones else ""
    return f"{one.agent}: ready for {one.stage}{claimed}{rest}"


def lines(one: Verdict) -> Iterator[str]:
    """The worst first, each with the way out; what is done, and what its stage does not ask for, in a line each."""
    yield headline(one)
    asked = [row for row in one.domains if row.required]
    width = max((len(row.domain) for row in asked), default=0)
    for row in asked:
        if row.status is not Status.DONE:
            yield f"  {SIGNS[row.status]} {row.domain:<{width}}  {row.evidence}"
            if row.hint:
                yield f"    {'':<{width}}  → {row.hint}"
    if done := [row.domain for row in asked if row.status is Status.DONE]:
        yield f"  {SIGNS[Status.DONE]} {', '.join(done)}"
    if later := [row for row in one.domains if not row.required and row.status is not Status.DONE]:
        yield f"  not asked for yet: {', '.join(f'{row.domain} ({_WORDS[row.status]})' for row in later)}"


def glance(one: Verdict) -> Iterator[str]:
    """One agent among many: what is not done, by name."""
    yield headline(one)
    asked = [row for row in one.domains if row.required]
    for status in (Status.NOT_STARTED, Status.IN_PROGRESS, Status.WAIVED):
        if names := [_named(row) for row in asked if row.status is status]:
            yield f"  {SIGNS[status]} {', '.join(names)}"


def _named(row: Judged) -> str:
    return f"{row.domain} (until {row.waiver.until})" if row.waiver is not None else row.domain.value


# Markdown -------------------------------------------------------------------------------------------------------------


def report(verdicts: Sequence[Verdict], now: datetime, asked: str) -> str:
    """`asked` says who was asked for what the files do not tell."""
    return "\n\n".join("\n".join(_report(one, now, asked)) for one in worst_first(verdicts)) + "\n"


def _report(one: Verdict, now: datetime, asked: str) -> Iterator[str]:
    promoted = one.claimed_stage is not one.stage
    title = f"{one.claimed_stage} → {one.stage}" if promoted else str(one.stage)
    yield f"# {markdown.text(one.title)} (`{one.agent}`): {title}"
    yield ""
    yield _verdict_line(one)
    yield ""
    yield markdown.text(f"{now:%Y-%m-%d %H:%M} UTC. {asked}")
    blocks = [row for row in one.domains if row.domain in one.blocking]
    if blocks:
        yield from ["", "## What blocks", ""]
        yield from (f"- **{row.domain}**: {markdown.text(f'{row.evidence}. Way out: {row.hint}')}" for row in blocks)
    yield from ["", f"## What {one.stage} asks for", ""]
    yield from markdown.table(["", "domain", "status", "evidence"], [_row(row) for row in one.domains if row.required])
    yield from ["", "## Track record", ""]
    yield from _record(one.facts)
    waived = [row for row in one.domains if row.waiver is not None]
    yield from ["", "## Open waivers", ""]
    if waived:
        yield from markdown.table(["domain", "until", "by", "reason"], [_waiver(row) for row in waived])
    else:
        yield "None."
    if unasked := [row for row in one.domains if not row.required]:
        yield from ["", f"## Not asked for at {one.stage}", ""]
        yield from markdown.table(["", "domain", "status", "evidence"], [_row(row) for row in unasked])


def _verdict_line(one: Verdict) -> str:
    if one.blocking:
        return f"**Not ready**: {', '.join(f'`{name}`' for name in one.blocking)} not started."
    open_ones = [row for row in one.domains if row.required and row.status in {Status.IN_PROGRESS, Status.WAIVED}]
    rest = f" Not finished: {', '.join(f'`{row.domain}`' for row in open_ones)}." if open_ones else ""
    return f"**Ready.** Nothing that {one.stage} asks for is missing.{rest}"


def _row(row: Judged) -> list[str]:
    return [SIGNS[row.status], row.domain, _WORDS[row.status], row.evidence]


def _waiver(row: Judged) -> list[str]:
    assert row.waiver is not None
    return [row.domain, row.waiver.until.isoformat(), row.waiver.by, row.waiver.reason]


def _record(facts: Facts | None) -> Iterator[str]:
    if facts is None:
        yield "No running server was asked."
        return
    if facts.record is None:
        yield "The server did not know it just now."
        return
    yield from markdown.table([f"last {facts.record.days} days", ""], list(record_rows(facts.record)))
    if facts.drill is not None:
        passed = f"{facts.drill.passed_at:%Y-%m-%d}" if facts.drill.passed_at else "never"
        yield from ["", markdown.text(f"Last drill passed: {passed}.")]


def record_rows(record: TrackRecord) -> Iterator[list[str]]:
    """What nothing says is a dash."""
    yield ["counted since", f"{record.since:%Y-%m-%d}" if record.since else "-"]
    yield ["runs", f"{round(record.runs):,}" if record.runs is not None else "-"]
    yield ["success", as_percent(record.success) if record.success is not None else "-"]
    for suite, value in sorted(record.pass8.items()):
        yield [f"pass^8, {suite}", f"{value:.2f}"]
    if not record.pass8:
        yield ["pass^8", "-"]
    yield ["incidents", _number(record.incidents)]
    yield ["of them woke somebody", _number(record.woke)]
    yield ["pages (at night)", f"{_number(record.pages)} ({_number(record.night_pages)})"]
    yield ["mean time to acknowledge", span(record.ack_seconds) if record.ack_seconds is not None else "-"]
    yield ["mean time to the end", span(record.resolve_seconds) if record.resolve_seconds is not None else "-"]
    yield ["cost", dollars(record.cost_usd) if record.cost_usd is not None else "-"]
    yield ["cost of a run", dollars(record.cost_per_run_usd) if record.cost_per_run_usd is not None else "-"]


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
