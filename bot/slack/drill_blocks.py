"""How a drill looks: the way of a page, and never like something that is wrong. Pure, like blocks.py.

Every message begins with the word DRILL. Only the person who is to wake up is mentioned.
"""

from __future__ import annotations

from bot.incidents import drill
from bot.incidents.exercise import asked_by, result_of
from bot.incidents.model import State
from bot.paging.model import PageKind
from bot.slack import runbook, steps
from bot.slack.exercise_blocks import ACK
from bot.slack.facts import Scene, actor_name, evidence_of, level_of, names_of, paged_people
from bot.slack.kit import TEXT_LIMIT, Block, Part, actions, button, context, fit, header, section
from bot.slack.text import clean, cut_escaped, due, moment, mrk, soon, span, wall

SIGN = "🧪 DRILL"
_RUNBOOK = "inc.runbook"


def drill_message(scene: Scene) -> tuple[str, list[Block]]:
    """The push message, and the blocks."""
    match scene.page.kind:
        case PageKind.RUNBOOK:
            return _runbook(scene)
        case PageKind.RESOLVED:
            return _line(f"{_verdict(scene)}. {_sentence(result_of(scene.incident))} {scene.incident.id}")
        case PageKind.ESCALATED:
            paged = names_of(paged_people(scene))
            return _line(f"{SIGN} · next level, paging {paged}: {mrk(scene.page.reason, 250)}. {scene.incident.id}")
        case _:
            return _push(scene), fit(_card(scene))


def _line(text: str) -> tuple[str, list[Block]]:
    return cut_escaped(text, TEXT_LIMIT), [section(text)]


def _agent(scene: Scene) -> str:
    return clean(scene.incident.agent or "")


def _push(scene: Scene) -> str:
    incident = scene.incident
    if incident.state is State.RESOLVED:
        return cut_escaped(f"{_verdict(scene)}. {_sentence(result_of(incident))} {incident.id}", TEXT_LIMIT)
    agent = mrk(_agent(scene), 60)
    if incident.state is State.ACKED:
        who = actor_name(incident.acked_by, scene.book)
        told = f"{SIGN} of {agent}: acknowledged by {who}; now the first step of its runbook. {incident.id}"
        return cut_escaped(told, TEXT_LIMIT)
    person = scene.book.people.get(scene.page.person or "")
    by = ""
    if incident.next_at is not None:
        zone = person.timezone if person else "UTC"
        by = f" Ack by {wall(incident.next_at, zone, seconds=soon(incident.next_at, scene.now))}."
    return f"{SIGN} of {agent}: nothing is wrong.{by} {incident.id}"


def _card(scene: Scene) -> list[Part]:
    match scene.incident.state:
        case State.OPEN:
            return _open(scene)
        case State.ACKED:
            return _acked(scene)
        case _:
            return _over(scene)


def _open(scene: Scene) -> list[Part]:
    incident, page = scene.incident, scene.page
    person = scene.book.people.get(page.person or "")
    if page.kind is PageKind.PAGE:
        who = f"<@{person.slack}>" if person else mrk(page.person or "", 80)
        told = f"{who} you are paged as for a *{incident.severity.value}* alert: {mrk(page.reason, 300)}. {incident.id}"
    else:
        told = f"{incident.id} · paged: *{names_of(paged_people(scene))}*, as for a *{incident.severity.value}* alert"
    asker = asked_by(incident)
    own = person is not None and asker == f"person:{person.id}"
    asked = f"*{actor_name(asker, scene.book)}* asked for this drill." if not own else "You asked for this drill."
    how = "*Acknowledge* it, then do the first step of its runbook and mark it done: that ends the drill."
    return [
        Part(100, header(f"{SIGN} · {_agent(scene)}: nothing is wrong")),
        Part(95, section(told, asked, how)),
        Part(60, section(*evidence_of(scene))),
        Part(90, _row(scene, [button("Acknowledge", ACK, _value(scene), "primary"), *_book(scene)])),
        Part(10, context(" · ".join(filter(None, [_ends(scene), _others(scene), f"owner {mrk(incident.owner, 80)}"])))),
    ]


def _ends(scene: Scene) -> str:
    incident = scene.incident
    if incident.next_at is None:
        return ""
    last = incident.step + 1 >= len(incident.policy.steps)
    return f"Without an ack {'it fails' if last else 'the next level is paged'} {due(incident.next_at, scene.now)}"


def _others(scene: Scene) -> str:
    incident = scene.incident
    if len(incident.policy.steps) > 1:
        return f"a drill of the whole ladder, now at {level_of(incident)}"
    return "nobody else is woken"


def _acked(scene: Scene) -> list[Part]:
    incident, now = scene.incident, scene.now
    took = ""
    if incident.acked_at is not None:
        took = f" ({span(incident.acked_at - (incident.paged_at or incident.opened_at))} after the page)"
    lines = [f"*{actor_name(incident.acked_by, scene.book)}* has it{took}. {incident.id}"]
    lines.append("Now do the first step of the runbook and mark it: that ends the drill.")
    parts = [Part(100, header(f"{SIGN} · 🟨 ACKED · {_agent(scene)}")), Part(95, section(*lines))]
    if scene.rendered is not None and (told := steps.next_lines(incident, scene.rendered, scene.book, now)):
        parts.append(Part(60, section(*told)))
        if (marks := steps.next_buttons(incident, scene.rendered)) is not None:
            parts.append(Part(92, marks))
    if book := _book(scene):
        parts.append(Part(90, _row(scene, book)))
    until = f"Without a step it fails {due(incident.next_at, now)}" if incident.next_at else ""
    return [*parts, Part(10, context(" · ".join(filter(None, [until, "nothing is wrong"]))))]


def _over(scene: Scene) -> list[Part]:
    incident = scene.incident
    parts = [Part(100, header(f"{_verdict(scene)} · {_agent(scene)}"))]
    head, times = _told(result_of(incident))
    parts.append(Part(90, section(head, *(f"• {one}" for one in times))))
    if incident.acked_by:
        done = drill.first_step(incident)
        step = f", first step at {moment(done.at, scene.now)}" if done is not None else ""
        parts.append(Part(80, section(f"Acknowledged by *{actor_name(incident.acked_by, scene.book)}*{step}.")))
    return [*parts, Part(10, context(f"{incident.id} · a drill: it counts in no report, and is kept as evidence"))]


def _verdict(scene: Scene) -> str:
    return f"{SIGN} PASSED" if result_of(scene.incident).startswith("passed") else f"{SIGN} NOT PASSED"


def _told(result: str) -> tuple[str, list[str]]:
    """What has become of it, and the times of the legs: `passed in 47 s: fired after 0.6 s, …`."""
    sign = ": " if result.startswith("passed") else "; "
    head, _, times = result.removeprefix("not passed: ").partition(sign)
    return _sentence(head), [mrk(one, 100) for one in times.split(", ") if one]


def _sentence(result: str) -> str:
    """Without the words that the header says already."""
    text = result.removeprefix("not passed: ").removeprefix("passed ") or "closed by hand, so it shows nothing"
    return mrk(text[:1].upper() + text[1:], 900) + "."


def _runbook(scene: Scene) -> tuple[str, list[Block]]:
    rendered, incident = scene.rendered, scene.incident
    if rendered is None or not rendered.runbook:
        problem = rendered.problem if rendered is not None else "it could not be rendered"
        return _line(mrk(f"{SIGN} · no runbook for {incident.id}: {problem}", 900))
    title = clean(rendered.title or rendered.runbook)
    titled = title if title.startswith("DRILL") else f"DRILL: {title}"
    shown = rendered.model_copy(update={"title": titled})
    text = mrk(f"{SIGN} · 📖 {titled.removeprefix('DRILL').lstrip(': ')} {incident.id}", TEXT_LIMIT)
    return text, runbook.thread_parts(incident, shown, scene.now)


def _book(scene: Scene) -> list[Block]:
    there = scene.rendered is not None and bool(scene.rendered.runbook)
    return [button("Runbook", _RUNBOOK, _value(scene))] if there else []


def _row(scene: Scene, shown: list[Block]) -> Block:
    return actions(f"{scene.incident.id}.{scene.incident.revision}", shown)


def _value(scene: Scene) -> str:
    return f"{scene.incident.id}|{scene.incident.revision}"
