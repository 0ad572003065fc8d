"""What each page says: incident in, Slack message out. Pure; knows no client and no clock.

`draw` is the only way a page becomes JSON, the first time and for every edit, so both always agree.
Names of people are plain text; only the person a message is to wake is mentioned.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bot.actions.model import Run
from bot.incidents.model import Incident, State
from bot.oncall.model import Book
from bot.paging.model import Page, PageKind
from bot.runbooks.rendered import Rendered
from bot.slack import approval_blocks, duty_blocks, rows, runbook, steps
from bot.slack.drill_blocks import drill_message
from bot.slack.exercise_blocks import test_blocks, test_text
from bot.slack.facts import (
    LISTED,
    Scene,
    actor_name,
    alert_list,
    ended,
    evidence_of,
    facts_of,
    flapping_line,
    footer,
    hidden_line,
    impact_of,
    lasted,
    level_of,
    names_of,
    next_in_line,
    no_data_line,
    paged_people,
    sign_of,
    subject_of,
    summary_of,
    why_you,
)
from bot.slack.kit import TEXT_LIMIT, Block, Part, context, fields, fit, header, section
from bot.slack.text import clean, cut_escaped, due, moment, mrk, plain, soon, span, wall

Message = dict[str, Any]

EVENT_TYPE = "agentpager_page"


_NOTICE = "🔧 agentpager:"


def draw(
    page: Page,
    incident: Incident | None,
    rendered: Rendered | None,
    book: Book,
    now: datetime,
    run: Run | None = None,
    trace: str = "",
) -> Message:
    """`{"text", "blocks", "metadata"}` for chat.postMessage and chat.update. A question for approval has its `run`;
    `trace` is the address of the incident's trace, where it has one."""
    # These say what is written in their row, whatever has become of the incident since.
    if page.kind in duty_blocks.SIGNS:
        return _message(page, duty_blocks.text_of(page), duty_blocks.blocks_of(page, now))
    if page.kind is PageKind.NOTICE or incident is None:
        return _message(page, _notice_text(page), _notice(page))
    if page.kind is PageKind.APPROVAL:
        if run is None:
            gone = page.model_copy(update={"text": f"The action {page.text} is not known any more."})
            return _message(page, _notice_text(gone), _notice(gone))
        text = approval_blocks.text_of(run, incident, book, page.person or "")
        return _message(page, text, approval_blocks.blocks_of(run, incident, book, page.person or "", now))
    scene = Scene(page, incident, rendered, book, now, trace)
    if incident.exercise == "test":
        return _message(page, test_text(scene), test_blocks(scene))
    if incident.exercise == "drill":
        return _message(page, *drill_message(scene))
    match page.kind:
        case PageKind.RUNBOOK:
            return _message(page, _runbook_text(scene), _runbook_reply(scene))
        case PageKind.ESCALATED:
            return _line(page, _escalated_line(scene))
        case PageKind.RESOLVED:
            return _line(page, _resolved_line(scene))
        case PageKind.NEWS:
            return _line(page, _news_line(scene))
        case PageKind.REMINDER if incident.state is State.ACKED and incident.ack_asked:
            return _message(page, _push(scene, "🔔 Still on it?", "", incident.id), _reminder(scene))
        case _:
            return _message(page, _text(scene), _card(scene))


def plain_message(message: Message, incident: Incident | None, rendered: Rendered | None) -> Message:
    """The same without blocks, for when Slack refuses the layout: a page must not die of it."""
    lines = [message["text"]]
    if incident is not None:
        lines += [mrk(f"{alert.name}: {summary_of(alert)}", 300) for alert in incident.going_on[:LISTED]]
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
    parts = [Part(100, header(f"{sign_of(scene)} · {subject_of(scene.incident)}"))]
    state = (hidden_line(scene.incident), flapping_line(scene.incident, scene.now))
    parts.append(Part(95, section(*why_you(scene), *state, *impact_of(scene))))
    parts.append(Part(80, fields([*facts_of(scene), *next_in_line(scene)])))
    parts += alert_list(scene)
    done = steps.progress_line(scene.incident, scene.rendered, scene.book, scene.now)
    parts.append(Part(60, section(done, *evidence_of(scene))))
    parts.append(Part(90, rows.buttons(scene)))
    parts.append(Part(10, context(footer(scene))))
    return parts


def _acked(scene: Scene) -> list[Part]:
    incident, now = scene.incident, scene.now
    taken = ""
    if incident.acked_at is not None:
        took = incident.acked_at - (incident.paged_at or incident.opened_at)
        taken = f" (acked {moment(incident.acked_at, now)}, {span(took)} after the page)"
    parts = [Part(100, header(f"🟨 ACKED · {subject_of(incident)}"))]
    has_it = f"*{actor_name(incident.acked_by, scene.book)}* has it{taken}. {incident.id}"
    state = (no_data_line(incident), hidden_line(incident), flapping_line(incident, now))
    parts.append(Part(95, section(has_it, *state, *impact_of(scene))))
    parts.append(Part(80, fields(facts_of(scene))))
    parts += alert_list(scene)
    parts += _next_step(scene)
    parts.append(Part(90, rows.buttons(scene)))
    holds = (
        f"Ack holds until {moment(incident.ack_expires_at, now)}, then asks again" if incident.ack_expires_at else ""
    )
    if incident.snoozed_until is not None:
        holds = f"Snoozed until {moment(incident.snoozed_until, now)}, then it pages again if it still goes on"
    parts.append(Part(10, context(" · ".join(filter(None, [holds, footer(scene)])))))
    return parts


def _next_step(scene: Scene) -> list[Part]:
    """The step that comes next, with the buttons that say what became of it right below."""
    if scene.rendered is None or not scene.rendered.steps:
        return []
    lines = steps.next_lines(scene.incident, scene.rendered, scene.book, scene.now)
    buttons = steps.next_buttons(scene.incident, scene.rendered)
    shown = [Part(60, section(*lines))] if lines else []
    return [*shown, Part(85, buttons)] if buttons is not None else shown


def _resolved(scene: Scene) -> list[Part]:
    incident = scene.incident
    parts = [Part(100, header(f"✅ RESOLVED · {subject_of(incident)}"))]
    lines = [lasted(scene), ended(scene)]
    if incident.acked_by and incident.acked_by != incident.resolved_by:
        lines.append(f"Handled by *{actor_name(incident.acked_by, scene.book)}*.")
    if told := steps.counted(incident, scene.rendered):
        lines.append(f"Runbook {told}.")
    if incident.going_on:
        count = len(incident.going_on)
        still = "1 alert goes on" if count == 1 else f"{count} alerts go on"
        again = f"; it opens again {due(incident.next_at, scene.now)} if that stays" if incident.next_at else ""
        lines.append(f"⚠️ {still}{again}.")
    judged = {"right": "it was right to wake somebody", "noise": "it was noise"}.get(incident.mark, "")
    if judged:
        lines.append(f"*{actor_name(incident.marked_by, scene.book)}*: {judged}.")
    asked = rows.verdict(incident)
    parts.append(Part(95, section(*lines, "*Was it right to wake somebody?*" if asked else "")))
    parts += [Part(90, asked)] if asked else []
    parts.append(Part(10, context(footer(scene))))
    return parts


def _reminder(scene: Scene) -> list[Block]:
    incident, now = scene.incident, scene.now
    held = f" for {span(now - incident.acked_at)}" if incident.acked_at else ""
    person = scene.book.people.get(scene.page.person or "")
    mention = f"<@{person.slack}> " if person else ""
    until = f" {due(incident.next_at, now)}" if incident.next_at else ""
    return fit(
        [
            Part(100, header(f"🔔 Still on it? · {subject_of(incident)}")),
            Part(
                95, section(f"{mention}you have had {incident.id}{held}.", f"Without an answer it pages again{until}.")
            ),
            Part(80, fields(facts_of(scene))),
            Part(90, rows.buttons(scene)),
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


def _text(scene: Scene) -> str:
    """The push message: the first sixty characters are enough to decide."""
    incident = scene.incident
    match incident.state:
        case State.ACKED:
            return _push(scene, f"🟨 Acknowledged by {_plain_actor(incident.acked_by, scene.book)}:", "", incident.id)
        case State.RESOLVED:
            end = incident.resolved_at or scene.now
            return _push(scene, "✅ Resolved:", span(end - incident.opened_at) + ".", incident.id)
    sign = sign_of(scene)
    if sign.endswith("to you"):
        sign += f" ({level_of(incident)}):"
    elif sign.endswith("ANSWERED"):
        sign += ":"
    more = f"+{len(incident.going_on) - 1} more." if len(incident.going_on) > 1 else ""
    return _push(scene, sign, " ".join(filter(None, [more, _ack_by(scene)])), incident.id)


def _ack_by(scene: Scene) -> str:
    at, person = scene.incident.next_at, scene.book.people.get(scene.page.person or "")
    if at is None or not scene.incident.severity.wakes or scene.incident.suppressed:
        return ""
    near = soon(at, scene.now)
    within = f"in {span(at - scene.now)}, " if near else ""
    return f"Ack {within}by {wall(at, person.timezone if person else 'UTC', seconds=near)}."


def _push(scene: Scene, sign: str, tail: str, incident_id: str) -> str:
    """Sign, subject and tail within the limit; the subject gives way, never the id."""
    end = " ".join(filter(None, [tail, incident_id]))
    room = TEXT_LIMIT - len(sign) - len(end) - 3
    subject = mrk(subject_of(scene.incident), max(room, 20))
    stop = "" if subject.endswith((".", "…", "!", "?")) else "."
    return f"{mrk(sign, 60)} {subject}{stop} {end}"


def _plain_actor(actor: str | None, book: Book) -> str:
    kind, _, name = (actor or "").partition(":")
    person = book.people.get(name) if kind == "person" else None
    return plain(person.name if person else name or kind or "nobody", 40)


def _escalated_line(scene: Scene) -> str:
    """Names the next person without waking them twice: their direct message does that."""
    page, incident = scene.page, scene.incident
    told = _as_it_was(page, incident)
    then = Scene(page, told, scene.rendered, scene.book, scene.now)
    sign = "🔴 Nobody answered" if told.exhausted else f"⏫ Escalated to {level_of(told)}"
    if told.assigned is not None:
        sign = "👉 Handed over"
    return f"{sign}, paging {names_of(paged_people(then))}: {mrk(page.reason, 250)}. {incident.id}"


def _as_it_was(page: Page, incident: Incident) -> Incident:
    """On the level that this page is of: it may have climbed further since."""
    past_all = page.step >= len(incident.policy.steps)
    width = max(incident.widened - max(incident.round - page.round, 0), 0) if past_all else 0
    return incident.model_copy(update={"step": page.step, "round": page.round, "exhausted": past_all, "widened": width})


def _resolved_line(scene: Scene) -> str:
    return f"✅ {lasted(scene)} {ended(scene)}".replace("*", "")


def _news_line(scene: Scene) -> str:
    """Alerts that joined later; the card shows them too, but is not read again by itself."""
    joined = scene.page.text.split("\n")
    told = [mrk(line, 200) for line in joined[:LISTED]]
    told += [f"+{len(joined) - LISTED} more"] if len(joined) > LISTED else []
    return f"➕ Joined {scene.incident.id}: {'; '.join(told)}"


def _notice_text(page: Page) -> str:
    first = page.text.strip().split("\n", 1)[0]
    return mrk(f"{_NOTICE} {first}", TEXT_LIMIT)


def _notice(page: Page) -> list[Block]:
    first, _, rest = page.text.strip().partition("\n")
    parts = [Part(100, header(f"{_NOTICE} {first}"))]
    if len(clean(first)) > 130:
        parts.append(Part(90, section(mrk(first, 2900))))
    if rest.strip():
        parts.append(Part(80, section(mrk(rest, 2900, lines=True))))
    parts.append(Part(10, context(mrk(page.reason, 300))))
    return fit(parts)
