"""What a page says outside Slack: a subject for a lock screen, a text for a mail, a sentence to be read out.

Plain text only; whoever puts it into HTML, JSON or a form escapes it there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.incidents.model import Alert, AlertState, Incident, Severity
from bot.oncall.model import Person
from bot.paging.model import Page
from bot.runbooks.rendered import Rendered, RenderedStep

SUBJECT_LIMIT = 140
LINE_LIMIT = 300
_LISTED = 5
_STEPS = 5
_OTHERS = 10
_SIGNS = {Severity.CRITICAL: "🔴 CRITICAL", Severity.WARNING: "🔶 WARNING"}
_EXERCISES = {"test": "🧪 TEST", "drill": "🧪 DRILL"}
_HARMLESS = {
    "test": "This is only a test, nothing is wrong. ",
    "drill": "This is a drill, nothing is wrong. Acknowledge it, then do the first step of its runbook. ",
}
_READ_OUT = frozenset(" .,:;%+-/()")


@dataclass(frozen=True)
class AckLink:
    url: str
    until: datetime


@dataclass(frozen=True)
class Told:
    """`paragraphs` stand above the link and are lines of lines, `others` below it; `how` says how to take the incident
    without it."""

    subject: str
    paragraphs: tuple[tuple[str, ...], ...]
    link: AckLink | None
    how: str
    zone: str
    others: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        parts = ["\n".join(lines) for lines in self.paragraphs]
        if self.link is not None:
            parts.append(f"Take it: {self.link.url}\n{self.link_note}")
        if self.others:
            parts.append("\n".join(self.others))
        return "\n\n".join([*parts, self.how] if self.how else parts)

    @property
    def link_note(self) -> str:
        if self.link is None:
            return ""
        until = self.link.until.astimezone(ZoneInfo(self.zone))
        return f"The link works once, until {until:%H:%M} ({self.zone}); it asks before anything happens."


def tell(
    page: Page, incident: Incident | None, rendered: Rendered | None, person: Person | None, link: AckLink | None
) -> Told:
    zone = person.timezone if person is not None else "UTC"
    if incident is None:
        first, _, rest = page.text.partition("\n")
        lines = tuple(one_line(line) for line in rest.split("\n") if line.strip())
        return Told(one_line(first, SUBJECT_LIMIT), ((one_line(first),), *((lines,) if lines else ())), link, "", zone)
    begun = incident.opened_at.astimezone(ZoneInfo(zone))
    who = person.name if person is not None else "Everybody here"
    facts = (
        f"{_HARMLESS.get(incident.exercise, '')}{who}, you are paged: {one_line(page.reason)}.",
        f"{incident.id}, {incident.severity}, since {begun:%a %H:%M} ({zone}). Owner: {incident.owner}.",
    )
    alerts = tuple(_alert_line(alert) for alert in incident.going_on[:_LISTED])
    more = len(incident.going_on) - _LISTED
    listed = (*alerts, f"and {more} more") if more > 0 else alerts
    how = f"{'Or' if link else 'Take it'} in Slack, or by: agentpager ack {incident.id}"
    how += f" --as {person.id}" if person is not None else ""
    paragraphs = [facts, listed, _runbook(rendered)]
    return Told(subject_of(incident), tuple(part for part in paragraphs if part), link, how, zone)


def with_others(told: Told, others: Sequence[tuple[Incident, AckLink | None]]) -> Told:
    """The same message for several incidents: the worst in full, the next ones as a line each, the rest counted."""
    if not others:
        return told
    lines = [f"{len(others)} more for you:"]
    for incident, link in others[:_OTHERS]:
        lines.append(subject_of(incident))
        lines += [f"  take it: {link.url}"] if link is not None else []
    if len(others) > _OTHERS:
        lines.append(f"and {len(others) - _OTHERS} more: agentpager incidents lists them")
    more = f" (+{len(others)} more)"
    subject = one_line(told.subject, SUBJECT_LIMIT - len(more)) + more
    return replace(told, subject=subject, others=tuple(lines))


def subject_of(incident: Incident) -> str:
    """`🔴 CRITICAL refund-agent: tool errors 38% · INC-7`, what matters most first: a lock screen cuts the end."""
    title, agent = one_line(incident.title), one_line(incident.agent or "")
    if incident.exercise == "drill":  # the sign says the word
        title = title.removeprefix("DRILL of ")
    named = title if not agent or agent.lower() in title.lower() else f"{agent}: {title}"
    end = f" · {incident.id}"
    sign = _EXERCISES.get(incident.exercise) or _SIGNS.get(incident.severity, "")
    return one_line(f"{sign} {named}", SUBJECT_LIMIT - len(end)) + end


def read_out(told: Told) -> str:
    """For a voice that reads it, and for places where markup would be taken for markup."""
    return " ".join("".join(one if one.isalnum() or one in _READ_OUT else " " for one in told.subject).split())


def one_line(value: str, limit: int = LINE_LIMIT) -> str:
    """Without control, bidirectional and zero-width characters, so that no value makes a header or hides a text."""
    spaced = value.replace("\n", " ").replace("\r", " ").replace("\t", " ")
    kept = "".join(one for one in spaced if unicodedata.category(one) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
    text = " ".join(kept.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _alert_line(alert: Alert) -> str:
    summary = alert.annotations.get("summary") or alert.name
    return one_line(f"{alert.name}: {summary}" if summary != alert.name else summary) + state_note(alert)


def state_note(alert: Alert) -> str:
    """What else is to be known of an alert that goes on: no data, or what hides it."""
    silent = " (no data any more)" if alert.state is AlertState.NO_DATA else ""
    return silent + (f" (hidden: {one_line(alert.suppressed[0].why)})" if alert.suppressed else "")


def _runbook(rendered: Rendered | None) -> tuple[str, ...]:
    if rendered is None or not rendered.title:
        return ()
    head = [f"Runbook: {one_line(rendered.title)}", *([one_line(rendered.impact)] if rendered.impact else [])]
    steps = [_step(step, rendered.likely_step) for step in rendered.steps[:_STEPS]]
    more = len(rendered.steps) - _STEPS
    return (*head, *steps, *([f"and {more} more steps in Slack"] if more > 0 else []))


def _step(step: RenderedStep, likely: int | None) -> str:
    mark = " ← likely" if step.number == likely else ""
    found = f" [{step.check.verdict}{f' {step.check.value}' if step.check.value else ''}]" if step.check else ""
    detail = f": {step.command or step.url}" if step.command or step.url else ""
    return one_line(f"{step.number}. {step.title}{found}{detail}") + mark
