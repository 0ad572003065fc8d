"""What each page says: incident in, Slack message out. Pure; knows no client and no clock.

`draw` is the only way a page becomes JSON, the first time and for every edit, so both always agree.
Names of people are plain text; only the person a message is to wake is mentioned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.incidents.escalation import next_rung
from bot.incidents.model import Alert, AlertState, Incident, Severity, State
from bot.oncall.model import Book
from bot.oncall.owners import last_resort, people_of
from bot.paging.model import Page, PageKind
from bot.runbooks.rendered import Rendered
from bot.slack import runbook
from bot.slack.kit import TEXT_LIMIT, Block, Part, actions, button, context, fields, fit, header, section
from bot.slack.text import clean, cut_escaped, moment, mrk, number, plain, span, wall

Message = dict[str, Any]

EVENT_TYPE = "agentpager_page"
ACK, DECLINE, RUNBOOK, RESOLVE, RELEASE, KEEP = (
    "inc.ack",
    "inc.decline",
    "inc.runbook",
    "inc.resolve",
    "inc.release",
    "inc.keep",
)

_WORDS = {
    Severity.CRITICAL: "🔴 CRITICAL",
    Severity.WARNING: "🔶 WARNING",
    Severity.INFO: "🔹 INFO",
    Severity.NONE: "🔹 NOTE",
}
_PLACES = ("env", "environment", "region", "cluster", "namespace", "version", "tool", "provider", "model")
_LISTED = 5


@dataclass(frozen=True)
class Scene:
    """Everything a message of an incident is drawn from."""

    page: Page
    incident: Incident
    rendered: Rendered | None
    book: Book
    now: datetime

    @property
    def overtaken(self) -> bool:
        """A later level has been paged since this message was written."""
        return (self.page.round, self.page.step) < (self.incident.round, self.incident.step)


def draw(page: Page, incident: Incident | None, rendered: Rendered | None, book: Book, now: datetime) -> Message:
    """`{"text", "blocks", "metadata"}` for chat.postMessage and chat.update."""
    if page.kind is PageKind.NOTICE or incident is None:
        return _message(page, _notice_text(page), _notice(page))
    scene = Scene(page, incident, rendered, book, now)
    match page.kind:
        case PageKind.RUNBOOK:
            return _message(page, _runbook_text(scene), _runbook_reply(scene))
        case PageKind.ESCALATED:
            return _line(page, _escalated_line(scene))
        case PageKind.RESOLVED:
            return _line(page, _resolved_line(scene))
        case PageKind.REMINDER if incident.state is State.ACKED and incident.ack_asked:
            return _message(page, _push(scene, "🔔 Still on it?", "", incident.id), _reminder(scene))
        case _:
            return _message(page, _text(scene), _card(scene))


def plain_message(message: Message, incident: Incident | None, rendered: Rendered | None) -> Message:
    """The same without blocks, for when Slack refuses the layout: a page must not die of it."""
    lines = [message["text"]]
    if incident is not None:
        lines += [mrk(f"{alert.name}: {_summary(alert)}", 300) for alert in incident.going_on[:_LISTED]]
        lines.append(f"To take it: /agent ack {incident.id}")
    lines += [mrk(line, 300) for line in runbook.plain_lines(rendered)[:12]]
    return {"text": cut_escaped("\n".join(lines), 3500), "metadata": message["metadata"]}


def _message(page: Page, text: str, blocks: list[Block]) -> Message:
    payload = {
        "page_id": page.id,
        "incident": page.incident or "",
        "kind": page.kind.value,
        "step": page.step,
        "round": page.round,
    }
    return {"text": text, "blocks": blocks, "metadata": {"event_type": EVENT_TYPE, "event_payload": payload}}


def _line(page: Page, line: str) -> Message:
    return _message(page, cut_escaped(line, TEXT_LIMIT), [section(line)])


# --- the card: the shared record in the channel and the loud copy in a direct message -------------------------------


def _card(scene: Scene) -> list[Block]:
    match scene.incident.state:
        case State.OPEN:
            parts = _open(scene)
        case State.ACKED:
            parts = _acked(scene)
        case State.RESOLVED:
            parts = _resolved(scene)
    rest = "; the whole runbook is in the thread" if scene.page.kind is PageKind.CARD else "; see the Runbook button"
    return fit(parts, rest)


def _open(scene: Scene) -> list[Part]:
    parts = [Part(100, header(f"{_sign(scene)} · {_subject(scene.incident)}"))]
    parts.append(Part(95, section(*_who(scene), *_impact(scene))))
    parts.append(Part(80, fields([*_facts(scene), *_next(scene)])))
    parts += _alerts(scene)
    parts.append(Part(60, section(*_evidence(scene))))
    parts.append(Part(90, _buttons(scene)))
    parts.append(Part(10, context(_footer(scene))))
    return parts


def _acked(scene: Scene) -> list[Part]:
    incident, now = scene.incident, scene.now
    taken = ""
    if incident.acked_at is not None:
        took = incident.acked_at - (incident.paged_at or incident.opened_at)
        taken = f" (acked {moment(incident.acked_at, now)}, {span(took)} after the page)"
    parts = [Part(100, header(f"🟨 ACKED · {_subject(incident)}"))]
    has_it = f"*{_actor(incident.acked_by, scene.book)}* has it{taken}. {incident.id}"
    parts.append(Part(95, section(has_it, _no_data_line(incident), *_impact(scene))))
    parts.append(Part(80, fields(_facts(scene))))
    parts += _alerts(scene)
    if scene.rendered is not None and (lines := runbook.next_step(scene.rendered)):
        parts.append(Part(60, section(*lines)))
    parts.append(Part(90, _buttons(scene)))
    holds = (
        f"Ack holds until {moment(incident.ack_expires_at, now)}, then asks again" if incident.ack_expires_at else ""
    )
    parts.append(Part(10, context(" · ".join(filter(None, [holds, _footer(scene)])))))
    return parts


def _resolved(scene: Scene) -> list[Part]:
    incident = scene.incident
    parts = [Part(100, header(f"✅ RESOLVED · {_subject(incident)}"))]
    lines = [_lasted(scene), _ended(scene)]
    if incident.acked_by and incident.acked_by != incident.resolved_by:
        lines.append(f"Handled by *{_actor(incident.acked_by, scene.book)}*.")
    if incident.going_on:
        count = len(incident.going_on)
        still = "1 alert goes on" if count == 1 else f"{count} alerts go on"
        again = f"; it opens again at {moment(incident.next_at, scene.now)} if that stays" if incident.next_at else ""
        lines.append(f"⚠️ {still}{again}.")
    parts.append(Part(95, section(*lines)))
    parts.append(Part(10, context(_footer(scene))))
    return parts


def _reminder(scene: Scene) -> list[Block]:
    incident, now = scene.incident, scene.now
    held = f" for {span(now - incident.acked_at)}" if incident.acked_at else ""
    person = scene.book.people.get(scene.page.person or "")
    mention = f"<@{person.slack}> " if person else ""
    until = f" at {moment(incident.next_at, now)}" if incident.next_at else ""
    return fit(
        [
            Part(100, header(f"🔔 Still on it? · {_subject(incident)}")),
            Part(
                95, section(f"{mention}you have had {incident.id}{held}.", f"Without an answer it pages again{until}.")
            ),
            Part(80, fields(_facts(scene))),
            Part(90, _buttons(scene)),
        ]
    )


def _runbook_text(scene: Scene) -> str:
    rendered = scene.rendered
    title = (rendered.title or rendered.runbook) if rendered is not None else ""
    return mrk(f"📖 Runbook for {scene.incident.id}: {title}" if title else _no_runbook(scene), TEXT_LIMIT)


def _runbook_reply(scene: Scene) -> list[Block]:
    if scene.rendered is None or not scene.rendered.runbook:
        return [section(mrk(_no_runbook(scene), 1000))]
    return runbook.thread_parts(scene.incident, scene.rendered, scene.now)


def _no_runbook(scene: Scene) -> str:
    problem = scene.rendered.problem if scene.rendered is not None else "it could not be rendered"
    return f"No runbook for {scene.incident.id}" + (f": {problem}" if problem else "")


def _buttons(scene: Scene) -> Block:
    incident = scene.incident
    value = f"{incident.id}|{incident.revision}"
    ack = button("Acknowledge", ACK, value, "primary")
    decline = button("Can't take it", DECLINE, value)
    resolve = button("Resolve", RESOLVE, value)
    release = button("Release", RELEASE, value)
    book = [button("Runbook", RUNBOOK, value)] if scene.rendered is not None and scene.rendered.runbook else []
    if scene.page.kind is PageKind.REMINDER and incident.state is State.ACKED and incident.ack_asked:
        shown = [button("Still on it", KEEP, value, "primary"), release, resolve]
    elif incident.state is State.ACKED:
        shown = [*book, resolve, release]
    elif incident.severity.wakes:
        shown = [ack, decline, *book, resolve]
    else:
        shown = [*book, resolve]
    return actions(f"{incident.id}.{incident.revision}", shown)


# --- who, and who next ----------------------------------------------------------------------------------------------


def _who(scene: Scene) -> list[str]:
    page, incident = scene.page, scene.incident
    no_data = _no_data_line(incident)
    if page.kind is not PageKind.PAGE:
        if not incident.severity.wakes:
            return [f"Nobody is woken for this. {incident.id}", no_data]
        names = _names(_paged(scene))
        again = f", {_level(incident)}" if incident.step > 0 or incident.round > 0 else ""
        head = f"{incident.id} · paged: *{names}*{again}"
        return [f"*Nobody answered.* {head}" if incident.exhausted else head, _tried(scene, incident), no_data]
    if scene.overtaken or page.person in incident.declined:
        past = "You passed this on" if page.person in incident.declined else "Nobody took this in time"
        paged = _paged(scene)
        has = "has" if len(paged) == 1 else "have"
        return [f"{past}: *{_names(paged)}* {has} been paged. You can still take it. {incident.id}"]
    person = scene.book.people.get(page.person or "")
    mention = f"<@{person.slack}>" if person else mrk(page.person or "", 80)
    return [f"{mention} you are paged: {mrk(page.reason, 300)}. {incident.id}", _tried(scene, incident), no_data]


def _paged(scene: Scene) -> list[str]:
    """The names of those the incident is with now."""
    incident, book = scene.incident, scene.book
    at = incident.paged_at or incident.opened_at
    if incident.exhausted or not 0 <= incident.step < len(incident.policy.steps):
        reached = last_resort(incident.fallback, book, at) if incident.step >= 0 else []
    else:
        reached, _ = people_of(incident.policy.steps[incident.step].notify, book, at)
    return [book.people[one.person].name for one in reached if one.person not in incident.declined]


def _tried(scene: Scene, incident: Incident) -> str:
    """Who did not take it before, so that the next one knows where they stand."""
    page, book = scene.page, scene.book
    step, round_ = (page.step, page.round) if page.kind is PageKind.PAGE else (incident.step, incident.round)
    if step <= 0 and round_ <= 0:
        return ""
    steps = incident.policy.steps if round_ > 0 else incident.policy.steps[:step]
    tried = []
    for level, each in enumerate(steps, start=1):
        reached, _ = people_of(each.notify, book, incident.opened_at)
        names = [
            book.people[one.person].name + (" (can't)" if one.person in incident.declined else "") for one in reached
        ]
        if names:
            tried.append(f"{_names(names)} (level {level})")
    rounds = f", {round_} rounds" if round_ > 1 else ""
    return f"No ack from {'; '.join(tried)} in {span(scene.now - incident.opened_at)}{rounds}." if tried else ""


def _next(scene: Scene) -> list[tuple[str, str]]:
    incident, book = scene.incident, scene.book
    if not incident.severity.wakes or incident.next_at is None:
        return []
    rung = next_rung(incident, book, incident.next_at)
    names = [book.people[one.person].name for one in rung.people if one.person in book.people]
    return [("If no ack", f"{_names(names)} at {moment(incident.next_at, scene.now)}")]


def _names(names: Sequence[str]) -> str:
    shown = [mrk(name, 60) for name in names[:4]]
    if len(names) > 4:
        return f"{', '.join(shown)} +{len(names) - 4}"
    return ", ".join(shown) or "nobody"


def _level(incident: Incident) -> str:
    if incident.exhausted:
        return "the fallback"
    again = f", round {incident.round + 1}" if incident.round else ""
    return f"level {incident.step + 1}{again}"


def _actor(actor: str | None, book: Book) -> str:
    kind, _, name = (actor or "").partition(":")
    if kind == "person" and name in book.people:
        return mrk(book.people[name].name, 80)
    return mrk(f"{name} ({kind})" if name else kind or "nobody", 80)


# --- what is wrong --------------------------------------------------------------------------------------------------


def _facts(scene: Scene) -> list[tuple[str, str]]:
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
    return f"{number(alert.value)} ({mrk(alert.name, 80)})"


def _where(alerts: Sequence[Alert]) -> str:
    """The labels of place that all alerts agree on."""
    found = []
    for label in _PLACES:
        values = {alert.labels.get(label, "") for alert in alerts}
        if len(values) == 1 and (value := values.pop()):
            found.append(mrk(value, 60))
    return " · ".join(found[:5])


def _alerts(scene: Scene) -> list[Part]:
    """The list, where one incident has several."""
    alerts = scene.incident.going_on
    if len(alerts) < 2:
        return []
    lines = [f"*{len(alerts)} alerts*"]
    lines += [f"{_alert_sign(alert)} {mrk(_summary(alert), 200)} · {_value(alert)}" for alert in alerts[:_LISTED]]
    if len(alerts) > _LISTED:
        lines.append(f"+{len(alerts) - _LISTED} more")
    return [Part(50, section(*lines))]


def _alert_sign(alert: Alert) -> str:
    return "⚪" if alert.state is AlertState.NO_DATA else _WORDS[alert.severity].split()[0]


def _summary(alert: Alert) -> str:
    return alert.annotations.get("summary") or alert.name or "unnamed alert"


def _impact(scene: Scene) -> list[str]:
    alerts = scene.incident.going_on
    annotations = alerts[0].annotations if alerts else {}
    impact = (scene.rendered.impact if scene.rendered else "") or annotations.get("impact", "")
    description = annotations.get("description", "")
    lines = [f"*Impact:* {mrk(impact, 300)}"] if impact else []
    return [*lines, mrk(description, 400)] if description and not impact else lines


def _evidence(scene: Scene) -> list[str]:
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


def _footer(scene: Scene) -> str:
    incident, rendered = scene.incident, scene.rendered
    alerts = incident.going_on or incident.alerts
    rules = list(dict.fromkeys(alert.name for alert in alerts))
    pieces = [f"rule {mrk(', '.join(rules[:3]), 150)}" + (f" +{len(rules) - 3}" if len(rules) > 3 else "")]
    pieces.append(f"owner {mrk(incident.owner, 80)} ({mrk(incident.owner_why, 150)})")
    if rendered is not None and rendered.reviewed_on is not None:
        pieces.append(f"runbook reviewed {max((scene.now.date() - rendered.reviewed_on).days, 0)} d ago")
    return " · ".join(pieces)


def _no_data_line(incident: Incident) -> str:
    held = [alert for alert in incident.going_on if alert.state is AlertState.NO_DATA]
    if not held:
        return ""
    those = f"{len(held)} of {len(incident.going_on)} alerts" if len(incident.going_on) > 1 else "its alert"
    return f"⚪ *No data* any more for {those}: held as it was, not resolved."


def _lasted(scene: Scene) -> str:
    incident = scene.incident
    end = incident.resolved_at or scene.now
    ack = ""
    if incident.acked_at is not None:
        ack = f" (ack {span(incident.acked_at - (incident.paged_at or incident.opened_at))})"
    return f"{incident.id} lasted *{span(end - incident.opened_at)}*{ack}."


def _ended(scene: Scene) -> str:
    if scene.incident.how_resolved == "human":
        return f"Closed by *{_actor(scene.incident.resolved_by, scene.book)}*."
    return "Cleared: every alert has ended."


# --- one line -------------------------------------------------------------------------------------------------------


def _sign(scene: Scene) -> str:
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


def _subject(incident: Incident) -> str:
    """`refund-agent: tool errors 38%`; a title that names the agent is not given the name twice."""
    title = clean(incident.title)
    agent = clean(incident.agent or "")
    if _silent(incident):
        return f"{agent or title}: no data any more" + (f" (was: {title})" if agent else "")
    if agent.lower() in title.lower():
        return title or agent
    return f"{agent}: {title}"


def _text(scene: Scene) -> str:
    """The push message: the first sixty characters are enough to decide."""
    incident = scene.incident
    match incident.state:
        case State.ACKED:
            return _push(scene, f"🟨 Acknowledged by {_plain_actor(incident.acked_by, scene.book)}:", "", incident.id)
        case State.RESOLVED:
            end = incident.resolved_at or scene.now
            return _push(scene, "✅ Resolved:", span(end - incident.opened_at) + ".", incident.id)
    sign = _sign(scene)
    if sign.endswith("to you"):
        sign += f" ({_level(incident)}):"
    elif sign.endswith("ANSWERED"):
        sign += ":"
    more = f"+{len(incident.going_on) - 1} more." if len(incident.going_on) > 1 else ""
    person = scene.book.people.get(scene.page.person or "")
    zone = person.timezone if person else "UTC"
    by = f"Ack by {wall(incident.next_at, zone)}." if incident.next_at and incident.severity.wakes else ""
    return _push(scene, sign, " ".join(filter(None, [more, by])), incident.id)


def _push(scene: Scene, sign: str, tail: str, incident_id: str) -> str:
    """Sign, subject and tail within the limit; the subject gives way, never the id."""
    end = " ".join(filter(None, [tail, incident_id]))
    room = TEXT_LIMIT - len(sign) - len(end) - 3
    subject = mrk(_subject(scene.incident), max(room, 20))
    stop = "" if subject.endswith((".", "…", "!", "?")) else "."
    return f"{mrk(sign, 60)} {subject}{stop} {end}"


def _plain_actor(actor: str | None, book: Book) -> str:
    kind, _, name = (actor or "").partition(":")
    person = book.people.get(name) if kind == "person" else None
    return plain(person.name if person else name or kind or "nobody", 40)


def _escalated_line(scene: Scene) -> str:
    """Names the next person without waking them twice: their direct message does that."""
    page, incident = scene.page, scene.incident
    told = incident.model_copy(update={"step": page.step, "round": page.round, "exhausted": _past_all(page, incident)})
    then = Scene(page, told, scene.rendered, scene.book, scene.now)
    sign = "🔴 Nobody answered" if told.exhausted else f"⏫ Escalated to {_level(told)}"
    return f"{sign}, paging {_names(_paged(then))}: {mrk(page.reason, 250)}. {incident.id}"


def _past_all(page: Page, incident: Incident) -> bool:
    return page.step >= len(incident.policy.steps)


def _resolved_line(scene: Scene) -> str:
    return f"✅ {_lasted(scene)} {_ended(scene)}".replace("*", "")


def _notice_text(page: Page) -> str:
    first = page.text.strip().split("\n", 1)[0]
    return mrk(f"🔧 agentpager: {first}", TEXT_LIMIT)


def _notice(page: Page) -> list[Block]:
    first, _, rest = page.text.strip().partition("\n")
    parts = [Part(100, header(f"🔧 agentpager: {first}"))]
    if len(clean(first)) > 130:
        parts.append(Part(90, section(mrk(first, 2900))))
    if rest.strip():
        parts.append(Part(80, section(mrk(rest, 2900, lines=True))))
    parts.append(Part(10, context(mrk(page.reason, 300))))
    return fit(parts)
