"""A report as text for terminals and as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.records import markdown
from bot.records.timeline import span

_COLUMNS = {
    "incidents": "incidents",
    "pages": "pages",
    "night_pages": "at night",
    "ack_seconds": "ack (mean/p90)",
    "resolve_seconds": "end (mean/p90)",
    "escalated_share": "escalated",
    "noise_share": "noise",
    "sla": "broken promises",
}
_PEOPLE = {"person": "person", "pages": "pages", "night_pages": "at night", "incidents": "incidents", "acks": "acks"}

Table = tuple[list[str], list[list[str]]]


def sentences(report: Mapping[str, Any]) -> Iterator[str]:
    """The total in a few lines."""
    total = report["total"]
    yield f"{report['from'][:16]} to {report['to'][:16]} UTC"
    incidents = counted(total["incidents"], "incident")
    yield f"{incidents}, {total['woke']} woke somebody, {total['suppressed']} stayed suppressed"
    if not total["woke"]:
        return
    yield f"{counted(total['pages'], 'page')}, {total['night_pages']} at night (22:00-07:00 where the person lives)"
    for name, label in (("ack_seconds", "to the first ack"), ("resolve_seconds", "to the end")):
        if (times := total[name]) is not None:
            spoken = ", ".join(f"{kind} {span(times[kind])}" for kind in ("mean", "median", "p90"))
            yield f"{label}: {spoken}"
    yield f"{_share(total['escalated_share'])} went past the first level; {_marks(total)}"
    sla = total["sla"]
    if sla["promised"]:
        broken = f"{sla['ack_breached']} for the ack, {sla['resolve_breached']} for the end"
        yield f"promises for {counted(sla['promised'], 'incident')}; broken: {broken}"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def by_group(report: Mapping[str, Any]) -> Table | None:
    by = report["by"]
    if by is None:
        return None
    rows = [[str(row[by]), *(_cell(name, row[name]) for name in _COLUMNS)] for row in report["rows"]]
    return [by, *_COLUMNS.values()], rows


def people(report: Mapping[str, Any]) -> Table:
    return list(_PEOPLE.values()), [[str(row[name]) for name in _PEOPLE] for row in report["people"]]


def as_markdown(report: Mapping[str, Any]) -> str:
    lines = [f"# On-call report, {report['from'][:10]} to {report['to'][:10]}", ""]
    lines += [f"- {markdown.text(line)}" for line in sentences(report)]
    for heading, table in ((f"By {report['by']}", by_group(report)), ("Who was woken", people(report))):
        if table is not None:
            lines += ["", f"## {heading}", "", *markdown.table(*table)]
    return "\n".join(lines) + "\n"


def _marks(total: Mapping[str, Any]) -> str:
    if not total["marked"]:
        return "nobody has said whether it was right to wake them"
    return f"{_share(total['noise_share'])} of {total['marked']} marked ones were noise"


def _cell(name: str, value: Any) -> str:
    if name.endswith("_seconds"):
        return f"{span(value['mean'])} / {span(value['p90'])}" if value is not None else "-"
    if name.endswith("_share"):
        return _share(value)
    if name == "sla":
        return str(value["ack_breached"] + value["resolve_breached"])
    return str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
