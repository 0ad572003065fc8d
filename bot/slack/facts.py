"""What is known of an incident, in lines ready for Slack: what is wrong, who was woken, who is next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.charts.spark import minutes, sparkline
from bot.incidents.escalation import next_rung, wide
from bot.incidents.model import Alert, AlertState, Incident, Severity
from bot.oncall.model import Book
from bot.oncall.owners import reach
from bot.paging.model import Page, PageKind
from bot.runbooks.rendered import Rendered
from bot.slack import runbook
from bot.slack.kit import Part, section
from bot.slack.text import clean, due, link, moment, mrk, number, span

_WORDS = {
    Severity.CRITICAL: "🔴 CRITICAL",
    Severity.WARNING: "🔶 WARNING",
    Severity.INFO: "🔹 INFO",
    Severity.NONE: "🔹 NOTE",
}
_PLACES = ("env", "environment", "region", "cluster", "namespace", "version", "tool", "provider", "model")
LISTED = 5
_IMPACT_LIMIT = 120  # three lines of a phone; all of it is in the runbook


@dataclass(frozen=True)
class Scene:
    """Everything a message of an incident is drawn from."""

    page: Page
    incident: Incident
    rendered: Rendered | None
    book: Book
    now: datetime
    trace: str = ""  # address of the incident's trace

    @property
    def overtaken(self) -> bool:
        """A later level has been paged since this message was written, or somebody it was handed to."""
        if self.incident.assigned is not None and self.page.person != self.incident.assigned:
            return True
        return (self.page.round, self.page.step) < (self.incident.round, self.incident.step)


def sign_of(scene: Scene) -> str:
    incident, page = scene.incident, scene.page
    if page.kind is PageKind.PAGE and not scene.overtaken:
        if incident.exhausted:
            return "🔴 NOBODY ANSWERED"
        if page.step > 0 or page.round > 0:
            return f"{_WORDS[incident.severity].split()[0]} ESCALATED to you"
    if _silent(incident):
        return "⚪ NO DATA"
    return _WORDS[incident.severity]


def _silent(incident: Incident) -> bool:
    """Nothing fires any more, but not because it is well."""
    return bool(incident.going_on) and all(alert.state is AlertState.NO_DATA for alert in incident.going_on)


def subject_of(incident: Incident) -> str:
    """`refund-agent: tool errors 38%`; a title that names the agent is not given the name twice."""
    title = clean(incident.title)
    agent = clean(incident.agent or "")
    if _silent(incident):
        return f"{agent or title}: no data any more" + (f" (was: {title})" if agent else "")
    if agent.lower() in title.lower():
        return title or agent
    return f"{agent}: {title}"


def why_you(scene: Scene) -> list[str]:
    page, incident = scene.page, scene.incident
    no_data = no_data_line(incident)
    if page.kind is not PageKind.PAGE:
        if not incident.severity.wakes:
            return [f"Nobody is woken for this. {incident.id}", no_data]
        names = names_of(paged_people(scene))
        again = f", {level_of(incident)}" if incident.step > 0 or incident.round > 0 else ""
        head = f"{incident.id} · paged: *{names}*{again}"
        return [f"*Nobody answered.* {head}" if incident.exhausted else head, _tried(scene, incident), no_data]
    if scene.overtaken or page.person in incident.declined:
        past = "You passed this on" if page.person in incident.declined else "Nobody took this in time"
        paged = paged_people(scene)
        has = "has" if len(paged) == 1 else "have"
        return [f"{past}: *{names_of(paged)}* {has} been paged. You can still take it. {incident.id}"]
    person = scene.book.people.get(page.person or "")
    mention = f"<@{person.slack}>" if person else mrk(page.person or "", 80)
    told = f"{mention} you are paged" if page.person else "Everybody here is paged"
    return [f"{told}: {mrk(page.reason, 300)}. {incident.id}", _tried(scene, incident), no_data]


def paged_people(scene: Scene) -> list[str]:
    """The names of those the incident is with now."""
    incident, book = scene.incident, scene.book
    at = incident.paged_at or incident.opened_at
    if incident.assigned is not None:
        return [_name(incident.assigned, book)]
    if incident.exhausted or not 0 <= incident.step < len(incident.policy.steps):
        reached = list(wide(incident, incident.widened, book, at, book.people)[0]) if incident.step >= 0 else []
    else:
        step = reach(incident.policy.steps[incident.step], book, at, incident.severity)
        if not step.people:
            return list(step.channels)
        reached = list(step.people)
    return [book.people[one.person].name for one in reached if one.person not in incident.declined]


def _name(person: str, book: Book) -> str:
    return book.people[person].name if person in book.people else person


def _tried(scene: Scene, incident: Incident) -> str:
    """Who did not take it before, so that the next one knows where they stand."""
    page, book = scene.page, scene.book
    step, round_ = (page.step, page.round) if page.kind is PageKind.PAGE else (incident.step, incident.round)
    if step <= 0 and round_ <= 0:
        return ""
    steps = incident.policy.steps if round_ > 0 else incident.policy.steps[:step]
    tried = []
    for level, each in enumerate(steps, start=1):
        found = reach(each, book, incident.opened_at, incident.severity)
        names = [
            book.people[one.person].name + (" (can't)" if one.person in incident.declined else "")
            for one in found.people
        ] + ([] if found.people else list(found.channels))
        if names:
            tried.append(f"{names_of(names)} (level {level})")
    rounds = f", {round_} rounds" if round_ > 1 else ""
    return f"No ack from {'; '.join(tried)} in {span(scene.now - incident.opened_at)}{rounds}." if tried else ""


def next_in_line(scene: Scene) -> list[tuple[str, str]]:
    incident, book = scene.incident, scene.book
    if not incident.severity.wakes or incident.next_at is None or incident.suppressed:
        return []
    if incident.assigned is not None:
        return [("If no ack", f"level 1 {due(incident.next_at, scene.now)}")]
    rung = next_rung(incident, book, incident.next_at)
    names = [book.people[one.person].name for one in rung.people if one.person in book.people] or list(rung.channels)
    return [("If no ack", f"{names_of(names)} {due(incident.next_at, scene.now)}")]


def names_of(names: Sequence[str]) -> str:
    shown = [mrk(name, 60) for name in names[:4]]
    if len(names) > 4:
        return f"{', '.join(shown)} +{len(names) - 4}"
    return ", ".join(shown) or "nobody"


def level_of(incident: Incident) -> str:
    if incident.exhausted:
        return ("the fallback", "the fallback and the team", "everybody")[incident.widened]
    again = f", round {incident.round + 1}" if incident.round else ""
    return f"level {incident.step + 1}{again}"


def actor_name(actor: str | None, book: Book) -> str:
    kind, _, name = (actor or "").partition(":")
    if kind == "person" and name in book.people:
        return mrk(book.people[name].name, 80)
    return mrk(f"{name} ({kind})" if name else kind or "nobody", 80)


def facts_of(scene: Scene) -> list[tuple[str, str]]:
    incident, now = scene.incident, scene.now
    alerts = incident.going_on or incident.alerts
    since = min((alert.starts_at for alert in alerts), default=incident.opened_at)
    facts = [("Now", _value(alerts[0]) if alerts else "no value")]
    facts.append(("Since", f"{moment(since, now)} ({span(now - since)})"))
    if where := _where(alerts):
        facts.append(("Where", where))
    return facts


def _value(alert: Alert) -> str:
    if alert.state is AlertState.NO_DATA:
        return "no data"
    told = alert.annotations.get("now", "")
    return mrk(told, 100) if clean(told) else number(alert.value)


def _where(alerts: Sequence[Alert]) -> str:
    """The labels of place that all alerts agree on."""
    found = []
    for label in _PLACES:
        values = {alert.labels.get(label, "") for alert in alerts}
        if len(values) == 1 and (value := values.pop()):
            found.append(mrk(value, 60))
    return " · ".join(found[:5])


def alert_list(scene: Scene) -> list[Part]:
    """What goes on besides the alert of the header; the same symptom of several processes is told once."""
    agent = clean(scene.incident.agent or "")
    told = list(dict.fromkeys(_symptom(alert, agent) for alert in scene.incident.going_on))[1:]
    if not told:
        return []
    if len(told) == 1:
        return [Part(50, section(f"*Also* {told[0]}"))]
    more = [f"+{len(told) - LISTED} more"] if len(told) > LISTED else []
    return [Part(50, section(f"*{len(told)} more alerts*", *told[:LISTED], *more))]


def _symptom(alert: Alert, agent: str) -> str:
    """Its sign and summary, without the agent's name, which the header says already."""
    silent = alert.state is AlertState.NO_DATA
    sign = "⚪ no data:" if silent else _WORDS[alert.severity].split()[0]
    told = f"{sign} {mrk(clean(summary_of(alert)).removeprefix(f'{agent}: '), 200)}"
    return told + (f" (🔇 {mrk(alert.suppressed[0].why, 150)})" if alert.suppressed else "")


def summary_of(alert: Alert) -> str:
    return alert.annotations.get("summary") or alert.name or "unnamed alert"


def impact_of(scene: Scene) -> list[str]:
    alerts = scene.incident.going_on
    annotations = alerts[0].annotations if alerts else {}
    impact = (scene.rendered.impact if scene.rendered else "") or annotations.get("impact", "")
    description = annotations.get("description", "")
    lines = [f"*Impact:* {mrk(_opening(clean(impact)), 300)}"] if impact else []
    return [*lines, mrk(description, 400)] if description and not impact else lines


def _opening(text: str) -> str:
    """Its first sentences, as many as a woken person reads; one at least."""
    ends = [
        index + 1 for index in range(1, len(text) - 2) if text[index : index + 2] == ". " and text[index + 2].isupper()
    ]
    if len(text) <= _IMPACT_LIMIT or not ends:
        return text
    return text[: max((end for end in ends if end <= _IMPACT_LIMIT), default=ends[0])]


def evidence_of(scene: Scene) -> list[str]:
    rendered = scene.rendered
    alerts = scene.incident.going_on
    url = alerts[0].annotations.get("runbook_url", "") if alerts else ""
    pointer = f"Its runbook is at {mrk(url, 300)}" if url else ""
    if rendered is None:
        return ["*No runbook* could be rendered for this alert.", pointer]
    if not rendered.runbook:
        return [f"*No runbook:* {mrk(rendered.problem or 'none applies to this alert', 400)}", pointer]
    if rendered.problem:
        steps = runbook.evidence(rendered, scene.now) if rendered.steps else []
        return [f"*Runbook not complete:* {mrk(rendered.problem, 400)}", pointer, *steps]
    return [*runbook.evidence(rendered, scene.now), pointer]


def footer(scene: Scene) -> str:
    incident, rendered = scene.incident, scene.rendered
    alerts = incident.going_on or incident.alerts
    rules = list(dict.fromkeys(alert.name for alert in alerts))
    usual = incident.owner_why == f"owner of agent {incident.agent}"
    why = "" if usual else f" ({mrk(incident.owner_why, 150)})"
    pieces = [course] if (course := _course(scene)) else []
    pieces.append(f"rule {mrk(', '.join(rules[:2]), 120)}" + (f" +{len(rules) - 2}" if len(rules) > 2 else ""))
    pieces.append(f"owner {mrk(incident.owner, 80)}{why}")
    if rendered is not None and rendered.review_overdue(scene.now.date()):
        pieces.append(f"runbook {rendered.review(scene.now.date())}")
    if scene.trace:
        pieces.append(link(scene.trace, "trace", 600))
    return " · ".join(pieces)


def _course(scene: Scene) -> str:
    """What the alert watches, as a line of bars; nothing where that is not known or no longer matters."""
    history = scene.rendered.history if scene.rendered is not None else None
    if history is None or not scene.incident.going_on:
        return ""
    bars = sparkline(history)
    return f"{bars} last {minutes(history)} min" if bars else ""


def no_data_line(incident: Incident) -> str:
    held = [alert for alert in incident.going_on if alert.state is AlertState.NO_DATA]
    if not held:
        return ""
    those = f"{len(held)} of {len(incident.going_on)} alerts" if len(incident.going_on) > 1 else "its alert"
    return f"⚪ *No data* any more for {those}: held as it was, not resolved."


def hidden_line(incident: Incident) -> str:
    """Why nobody is woken for any of it, each reason once."""
    if not incident.suppressed:
        return ""
    told = "; ".join(mrk(one.why, 200) for one in incident.suppressed[:3])
    more = f"; +{len(incident.suppressed) - 3} more reasons" if len(incident.suppressed) > 3 else ""
    return f"🔇 *Wakes nobody now:* {told}{more}"


def flapping_line(incident: Incident, now: datetime) -> str:
    if not incident.flapping or not incident.reopened:
        return ""
    count = len(incident.reopened)
    times = f"{count} times" if count > 1 else "once"
    quiet = f"; quiet now, over {due(incident.quiet_at, now)} if that stays" if incident.quiet_at else ""
    return f"🔁 *Flapping:* it came back {times} since {moment(incident.reopened[0], now)}{quiet}."


def lasted(scene: Scene) -> str:
    incident = scene.incident
    end = incident.resolved_at or scene.now
    ack = ""
    if incident.acked_at is not None:
        ack = f" (ack {span(incident.acked_at - (incident.paged_at or incident.opened_at))})"
    return f"{incident.id} lasted *{span(end - incident.opened_at)}*{ack}."


def ended(scene: Scene) -> str:
    if scene.incident.how_resolved == "human":
        return f"Closed by *{actor_name(scene.incident.resolved_by, scene.book)}*."
    return "Cleared: every alert has ended."
