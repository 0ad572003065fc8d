"""A rendered runbook as Slack shows it: the thread reply, and the few lines inside a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.incidents.model import Incident
from bot.runbooks.rendered import CheckResult, Rendered, RenderedChoice, RenderedStep, Verdict
from bot.slack.kit import Block, Part, context, fit, header, section
from bot.slack.text import code, link, moment, mrk, plain, span

_SIGNS = {Verdict.FAIL: "❌", Verdict.ERROR: "⚠️", Verdict.NO_DATA: "⚪", Verdict.LATE: "⏳", Verdict.PASS: "✅"}
_SHOWN_CHECKS = 3
_SHOWN_LINKS = 10
_SUMMARY, _IMPACT, _TEXT, _COMMAND = 800, 600, 1500, 900  # characters that the thread has room for
_ROOMS = (2500, 1000, 400)  # where it has not: all texts no longer than this
_KINDS = {"manual": "", "handoff": "hand-off"}
_APPROVERS = {"oncall": "whoever is on call for it", "owner": "its owner"}
_KINDS |= {"decision": "decision", "action": "action", "escalate": "escalation", "handoff": "hand-off"}


def evidence(rendered: Rendered, now: datetime) -> list[str]:
    """What a page says of its runbook: the checks that fail, the others counted, and the step to go to."""
    counts = Counter(step.check.verdict for step in rendered.steps if step.check is not None)
    if counts:
        failing = [step for step in rendered.steps if step.check is not None and step.check.verdict is Verdict.FAIL]
        lines = [result_line(step) for step in failing[:_SHOWN_CHECKS]]
        lines.append(f"{_counted(counts, len(failing[_SHOWN_CHECKS:]))}checked {when(rendered.rendered_at, now)}")
    else:
        lines = [f"*Runbook* {mrk(rendered.title or rendered.runbook, 120)}", mrk(rendered.summary, 300)]
    step = next((step for step in rendered.steps if step.number == rendered.likely_step), None)
    if step is not None:
        lines.append(f"*Likely step:* {step.number} · {mrk(step.title, 200)}")
    return lines


def _counted(counts: Counter[Verdict], failing: int) -> str:
    """`✅ 2 more checks pass · ⚪ 1 has no data · `; `failing` are those without a line of their own."""
    found = [
        (Verdict.FAIL, failing, "fails", "fail"),
        (Verdict.PASS, counts[Verdict.PASS], "passes", "pass"),
        (Verdict.LATE, counts[Verdict.LATE], "is still running", "are still running"),
        (Verdict.ERROR, counts[Verdict.ERROR], "could not be checked", "could not be checked"),
        (Verdict.NO_DATA, counts[Verdict.NO_DATA], "has no data", "have no data"),
    ]
    told = ""
    for verdict, count, one, many in found:
        more = "" if told else (" more" if counts[Verdict.FAIL] else "") + (" check" if count == 1 else " checks")
        told += f"{_SIGNS[verdict]} {count}{more} {one if count == 1 else many} · " if count else ""
    return told


def result_line(step: RenderedStep) -> str:
    check = step.check or CheckResult(verdict=Verdict.LATE)
    return f"{_SIGNS[check.verdict]} {mrk(step.title, 150)}: {_result(check)}"


def _result(check: CheckResult) -> str:
    want = f" (want {mrk(check.want, 80)})" if check.want else ""
    match check.verdict:
        case Verdict.LATE:
            return f"still running{want}"
        case Verdict.NO_DATA:
            return f"no data{want}"
        case Verdict.ERROR:
            return f"could not be checked: {mrk(check.error, 150)}"
        case _:
            return f"{mrk(check.value, 80)}{want}"


def thread_parts(incident: Incident, rendered: Rendered, now: datetime) -> list[Block]:
    """The whole runbook, readable when the bot and so every button is down. Texts are shortened before steps go."""
    return _fitted(incident, rendered, now)[1]


def _fitted(incident: Incident, rendered: Rendered, now: datetime) -> tuple[int, list[Block]]:
    """How long a text may be so that nothing is left out, and the blocks then."""
    for room in _ROOMS:
        parts = _parts(incident, rendered, now, room)
        whole = fit(parts, ", open the Runbook button for all of it")
        if whole == [part.block for part in parts]:
            break
    return room, whole


def losses(incident: Incident, rendered: Rendered, now: datetime) -> list[tuple[str, str]]:
    """(id of the step, what of it the thread does not show); without an id for the rest of the runbook."""
    room, whole = _fitted(incident, rendered, now)
    found = [("", "not all of its links are shown")] if len(rendered.links) > _SHOWN_LINKS else []
    if len(mrk(rendered.summary, 9999, lines=True)) > min(room, _SUMMARY):
        found.append(("", "the summary is cut"))
    if len(mrk(rendered.impact, 9999)) > min(room, _IMPACT):
        found.append(("", "the impact is cut"))
    for step in rendered.steps:
        if section(*_step(step, rendered, room)) not in whole:
            found.append((step.id, "it is left out"))
        elif len(code(step.command, 9999)) > min(room, _COMMAND):
            found.append((step.id, "the command is cut, and cannot be copied"))
        elif len(mrk(step.text, 9999, lines=True)) > min(room, _TEXT):
            found.append((step.id, "the text is cut"))
    return found


def _parts(incident: Incident, rendered: Rendered, now: datetime, room: int) -> list[Part]:
    parts = [Part(100, header(f"📖 {plain(rendered.title or rendered.runbook or 'Runbook', 130)}"))]
    intro = [
        mrk(rendered.summary, min(room, _SUMMARY), lines=True),
        f"*Impact:* {mrk(rendered.impact, min(room, _IMPACT))}" if rendered.impact else "",
        f"*Not all of it could be rendered:* {mrk(rendered.problem, 500)}" if rendered.problem else "",
    ]
    if any(intro):
        parts.append(Part(90, section(*intro)))
    parts += [Part(80 - min(step.number, 60), section(*_step(step, rendered, room))) for step in rendered.steps]
    if rendered.links:
        links = [f"• {link(entry.url, entry.title, 700)}" for entry in rendered.links[:_SHOWN_LINKS]]
        parts.append(Part(15, section("*Links*", *links)))
    facts = [incident.id, f"checked {when(rendered.rendered_at, now)}"]
    facts += [f"owner {mrk(rendered.owner, 80)}"] if rendered.owner else []
    facts += [review] if (review := rendered.review(now.date())) else []
    parts.append(Part(10, context(" · ".join(facts))))
    return parts


def _step(step: RenderedStep, rendered: Rendered, room: int) -> list[str]:
    likely = " ← likely" if step.number == rendered.likely_step else ""
    return [f"{headline(step)}{likely}", *body(step, rendered, room)]


def headline(step: RenderedStep) -> str:
    kind = _KINDS.get(step.kind, step.kind)
    return f"*{step.number} · {mrk(step.title, 200)}*" + (f" ({kind})" if kind else "")


def body(step: RenderedStep, rendered: Rendered, room: int) -> list[str]:
    """All that a step says below its title; no text longer than `room`."""
    lines = [f"{_SIGNS[step.check.verdict]} {_result(step.check)}"] if step.check is not None else []
    lines += _body(step, room)
    match step.kind:
        case "decision":
            lines += [_choice(choice, rendered) for choice in step.choices]
        case "action":
            lines += _request(step)
        case "escalate":
            lines.append(f"Pages {target(step)}{_after(step)}.")
        case "handoff":
            lines += [f"• {mrk(question, 300)}" for question in step.questions]
    return lines


def target(step: RenderedStep) -> str:
    """Whom an escalation pages: `the next level`, `level 2`, `team:crm`."""
    kind, _, name = step.to.partition(":")
    return f"level {mrk(name, 20)}" if kind == "level" else mrk(step.to, 100) or "the next level"


def _after(step: RenderedStep) -> str:
    return f", if nothing has helped within {span(step.after)}" if step.after is not None else ""


def _choice(choice: RenderedChoice, rendered: Rendered) -> str:
    led = next((step for step in (*rendered.steps, *rendered.hidden) if step.id == choice.goto), None)
    to = f"step {led.number} · {mrk(led.title, 100)}" if led is not None else mrk(choice.goto, 100)
    return f"• {mrk(choice.label, 150)}: go to {to}" + (" ← likely" if choice.likely else "")


def _request(step: RenderedStep) -> list[str]:
    if step.call is None:
        return ["⚠️ Its request could not be made up, so it cannot be sent from here."]
    call = step.call
    lines = [f"{mrk(call.webhook, 80)}: ```{code(f'{call.method} {call.path}', 500)}```"]
    lines += [f"with ```{code(call.body, 900)}```"] if call.body else []
    if step.approve is not None:
        who = ", ".join(mrk(_APPROVERS.get(one, one), 80) for one in step.approve.by)
        number = f"{step.approve.min} of " if step.approve.min > 1 else ""
        other = "" if step.approve.self else ", somebody else than who asks"
        lines.append(f"Approval by {number}{who}{other}." + (" It can be undone." if step.undo is not None else ""))
    return lines


def _body(step: RenderedStep, room: int) -> list[str]:
    lines: list[str] = []
    if step.text:
        lines.append(mrk(step.text, min(room, _TEXT), lines=True))
    if step.command:
        lines += [f"on {mrk(step.run_on, 100)}:"] if step.run_on else []
        lines.append(f"```{code(step.command, min(room, _COMMAND))}```")
    if step.url:
        lines.append(link(step.url, step.title, 550))
    return lines


def when(at: datetime, now: datetime) -> str:
    return "just now" if now - at < timedelta(seconds=60) else f"at {moment(at, now)}"


def plain_lines(rendered: Rendered | None) -> Sequence[str]:
    """For a message that Slack will not take with blocks."""
    if rendered is None:
        return []
    lines = [rendered.summary, f"Impact: {rendered.impact}" if rendered.impact else ""]
    lines += [f"{step.number}. {step.title}" + (f": {step.command}" if step.command else "") for step in rendered.steps]
    return [line for line in lines if line]
