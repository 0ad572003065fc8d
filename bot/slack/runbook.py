"""A rendered runbook as Slack shows it: the thread reply, the modal and the few lines inside a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.incidents.model import Incident
from bot.runbooks.rendered import CheckResult, Rendered, RenderedStep, Verdict
from bot.slack.kit import Block, Part, context, fit, header, section
from bot.slack.text import code, link, moment, mrk, plain

_SIGNS = {Verdict.FAIL: "❌", Verdict.ERROR: "⚠️", Verdict.NO_DATA: "⚪", Verdict.LATE: "⏳", Verdict.PASS: "✅"}
_SHOWN_CHECKS = 3
_SHOWN_LINKS = 10
_SUMMARY, _IMPACT, _TEXT, _COMMAND = 800, 600, 1500, 900  # characters that the thread has room for
_ROOMS = (2500, 1000, 400)  # where it has not: all texts no longer than this
_KINDS = {"manual": "", "check": "check", "command": "command", "link": "link"}
_KINDS |= {"decision": "decision", "action": "action", "escalate": "escalation", "handoff": "hand-off"}


def evidence(rendered: Rendered, now: datetime) -> list[str]:
    """What a page says of its runbook: the checks that fail, the others counted, and the step to go to."""
    counts = Counter(step.check.verdict for step in rendered.steps if step.check is not None)
    if counts:
        failing = [step for step in rendered.steps if step.check is not None and step.check.verdict is Verdict.FAIL]
        lines = [result_line(step) for step in failing[:_SHOWN_CHECKS]]
        lines.append(f"{_counted(counts, len(failing[_SHOWN_CHECKS:]))}checked {_when(rendered.rendered_at, now)}")
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


def next_step(rendered: Rendered) -> list[str]:
    """What to do first once somebody has it: the likely step, else the first one that asks for hands."""
    wanted = [step for step in rendered.steps if step.number == rendered.likely_step]
    wanted += [step for step in rendered.steps if step.kind in {"command", "manual"}]
    if not wanted:
        return []
    step = wanted[0]
    return [f"*Next:* {step.number} · {mrk(step.title, 200)}", *_body(step, 500)]


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


def modal(incident: Incident, rendered: Rendered | None, now: datetime) -> Block:
    """The view that the Runbook button opens. A view takes 100 blocks."""
    if rendered is None:
        blocks = [section(f"There is no runbook for {incident.id}.")]
    else:
        blocks = fit(_parts(incident, rendered, now, 2500), blocks=90, total=100_000)
    return _view(incident.id, blocks)


def skeleton(reference: str) -> Block:
    """Opened at once, because the right to open a view lasts three seconds; filled when the checks have run."""
    return _view(reference, [section("Running the checks…")])


def failed_modal(reference: str, why: str) -> Block:
    return _view(reference, [section(mrk(why, 500))])


def _view(reference: str, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": "inc.runbook",
        "private_metadata": reference[:200],
        "title": {"type": "plain_text", "text": plain(f"Runbook {reference}", 24), "emoji": False},
        "close": {"type": "plain_text", "text": "Close", "emoji": False},
        "blocks": blocks,
    }


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
    facts = [incident.id, f"checked {_when(rendered.rendered_at, now)}"]
    facts += [f"owner {mrk(rendered.owner, 80)}"] if rendered.owner else []
    facts += [f"reviewed {rendered.reviewed_on.isoformat()}"] if rendered.reviewed_on else []
    parts.append(Part(10, context(" · ".join(facts))))
    return parts


def _step(step: RenderedStep, rendered: Rendered, room: int) -> list[str]:
    likely = " ← likely" if step.number == rendered.likely_step else ""
    kind = f" ({_KINDS[step.kind]})" if _KINDS[step.kind] else ""
    lines = [f"*{step.number} · {mrk(step.title, 200)}*{kind}{likely}"]
    if step.check is not None:
        lines.append(f"{_SIGNS[step.check.verdict]} {_result(step.check)}")
    return lines + _body(step, room)


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


def _when(at: datetime, now: datetime) -> str:
    return "just now" if now - at < timedelta(seconds=60) else f"at {moment(at, now)}"


def plain_lines(rendered: Rendered | None) -> Sequence[str]:
    """For a message that Slack will not take with blocks."""
    if rendered is None:
        return []
    lines = [rendered.summary, f"Impact: {rendered.impact}" if rendered.impact else ""]
    lines += [f"{step.number}. {step.title}" + (f": {step.command}" if step.command else "") for step in rendered.steps]
    return [line for line in lines if line]
