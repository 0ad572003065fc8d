"""How far people are with a runbook, in lines and buttons: for messages and for the window. Pure.

The value of every button is `INC-7|revision|step`, and for the choice of a decision its label behind that.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.incidents.model import Incident, StepMark
from bot.incidents.steps import level_next, mark_of
from bot.oncall.model import Book
from bot.runbooks import progress
from bot.runbooks.rendered import Rendered, RenderedStep
from bot.slack import runbook
from bot.slack.facts import actor_name
from bot.slack.kit import Block, actions, button, confirmation
from bot.slack.text import due, moment, mrk, plain

DONE, SKIP, FAIL, UNDO = "step.done", "step.skip", "step.fail", "step.undo"
CHOOSE = "step.choose"  # followed by the number of the choice: ids are unique within a block
ESCALATE, HAND_OFF, NOTE = "step.escalate", "step.handoff", "step.note"
RUN, TAKE_BACK = "act.ask", "act.undo"  # of actions: approvals.py listens
MAX_CHOICES = 20
_ON_A_PAGE = 4  # choices below a message: half asleep, nobody reads more; the window has the others
_SIGNS = {"done": "✅", "skipped": "⏭", "failed": "❌", "asked": "⏳", "running": "⏳", "undone": "↩"}
_WORDS = {"asked": "waits for approval, asked for", "running": "is being carried out, asked for", "undone": "undone"}
_AGENTPAGER = "agentpager"


def value_of(incident: Incident, step: RenderedStep, more: str = "") -> str:
    return "|".join(filter(None, [incident.id, str(incident.revision), step.id, more]))


def read_value(value: str) -> tuple[str, str, str]:
    """(incident, step, choice) of a button's value."""
    reference, _, rest = value.partition("|")
    step, _, choice = rest.partition("|")[2].partition("|")
    return reference, step, choice


def counted(incident: Incident, rendered: Rendered | None) -> str:
    """`2/6 done, 1 skipped`; empty while nobody has done anything."""
    if rendered is None or not progress.marks_of(incident.progress):
        return ""
    counts = progress.counted(rendered, incident.progress)
    more = [f"{counts.skipped} skipped"] if counts.skipped else []
    more += [f"{counts.failed} failed"] if counts.failed else []
    return ", ".join([f"{counts.done}/{counts.total} done", *more])


def progress_line(incident: Incident, rendered: Rendered | None, book: Book, now: datetime) -> str:
    """How far they are, and what was done last, by whom and whether it has helped."""
    told = counted(incident, rendered)
    if not told or rendered is None:
        return ""
    last = progress.last_done(rendered, incident.progress)
    if last is None:
        return f"*Runbook {told}.*"
    step, mark = last
    line = mark_line(mark, book, now, name=f"{step.number} · {step.title}")
    return f"*Runbook {told}.* {line}{_helped(rendered, last, now)}"


def mark_line(mark: StepMark, book: Book, now: datetime, *, name: str = "") -> str:
    """`✅ 3 · Rotate the token: done by Ana Ruiz at 02:15 (Credential)`."""
    subject = f"{mrk(name, 160)}: " if name else ""
    text = f" ({mrk(mark.text, 200)})" if mark.text else ""
    word = _WORDS.get(mark.state, mark.state)
    return f"{_SIGNS[mark.state]} {subject}{word} by {actor_name(mark.by, book)} {_at(mark.at, now)}{text}"


def _at(at: datetime, now: datetime) -> str:
    return "just now" if now - at < timedelta(seconds=30) else f"at {moment(at, now)}"


def _helped(rendered: Rendered, last: tuple[RenderedStep, StepMark], now: datetime) -> str:
    step, mark = last
    if not step.verify or mark.state != "done":
        return ""
    check = progress.verified(rendered, step, mark)
    if check is None:
        return "\n⏳ Its check runs again…" if now - mark.at < timedelta(minutes=1) else ""
    return f"\nSince then: {runbook.result_line(check)} (checked {runbook.when(rendered.rendered_at, now)})"


def next_lines(incident: Incident, rendered: Rendered, book: Book, now: datetime) -> list[str]:
    """For who has the incident: how far it is, and the step to do now with all that it needs."""
    lines = [progress_line(incident, rendered, book, now)]
    step = progress.next_step(rendered, incident.progress)
    if step is not None:
        lines += [f"*Next:* {step.number} · {mrk(step.title, 200)}", *runbook.body(step, rendered, 500)]
        lines += _deadline(incident, step, now)
    elif lines[0]:
        lines.append("Nothing is left to do in the runbook.")
    return [line for line in lines if line]


def _deadline(incident: Incident, step: RenderedStep, now: datetime) -> list[str]:
    if step.kind != "escalate" or step.after is None:
        return []
    at = incident.opened_at + step.after
    return [f"That time is over since {moment(at, now)}." if at <= now else f"That is {due(at, now)}."]


def next_buttons(incident: Incident, rendered: Rendered) -> Block | None:
    """One tap for the step that comes next; None where nothing does."""
    step = progress.next_step(rendered, incident.progress)
    if step is None:
        return None
    shown = _wanted(incident, step, named=True)
    return actions(f"{incident.id}.{incident.revision}.step", shown) if shown else None


def window_buttons(incident: Incident, step: RenderedStep, *, likely: bool) -> Block | None:
    """Everything that can become of a step."""
    mark = mark_of(incident, step.id)
    if mark is not None and mark.state != "undone":
        shown = _taken_back(incident, step, mark)
    elif step.kind == "check":
        return None
    else:
        value = value_of(incident, step)
        shown = _wanted(incident, step, named=False, likely=likely)
        shown.append(button("Skip", SKIP, value))
        if step.kind not in {"decision", "escalate", "handoff"}:
            shown.append(button("Failed", FAIL, value))
        shown.append(button("Note…", NOTE, value))
    return actions(f"step.{step.id}", shown) if shown else None


def _taken_back(incident: Incident, step: RenderedStep, mark: StepMark) -> list[Block]:
    """An action that was carried out is not undone by a word: that is a request of its own."""
    value = value_of(incident, step)
    note = button("Note…", NOTE, value)
    if mark.state in {"asked", "running"}:
        return [note]
    if step.kind == "action" and mark.state == "done" and mark.by == _AGENTPAGER:
        return [button("Undo…", TAKE_BACK, value), note] if step.undo is not None else [note]
    if step.kind == "action" and mark.state in {"failed", "skipped"} and step.call is not None:
        return [button("Run again…", RUN, value), note]
    return [button("Not done", UNDO, value), note]


def _wanted(incident: Incident, step: RenderedStep, *, named: bool, likely: bool = True) -> list[Block]:
    """What the step asks for. `named` says its number, for where the step itself is not beside it."""
    value = value_of(incident, step)
    match step.kind:
        case "decision":
            return [
                button(
                    choice.label,
                    f"{CHOOSE}.{index}",
                    value_of(incident, step, choice.label),
                    "primary" if choice.likely else None,
                )
                for index, choice in enumerate(step.choices[: _ON_A_PAGE if named else MAX_CHOICES])
            ]
        case "action":
            shown = button(f"Run step {step.number}…" if named else "Run…", RUN, value, "primary" if likely else None)
            return [shown] if step.call is not None else []
        case "escalate":
            return [_escalate(incident, step)]
        case "handoff":
            return [button("Write the hand-off…", HAND_OFF, value, "primary" if likely else None)]
        case _:
            return [button(f"Step {step.number} done" if named else "Done", DONE, value, "primary" if likely else None)]


def _escalate(incident: Incident, step: RenderedStep) -> Block:
    """The level that it says is the one that is paged, or nobody: others may escalate meanwhile."""
    more = ""
    whom = plain(runbook.target(step), 40)
    if not step.to or step.to.startswith("level:"):
        level = level_next(incident, step.to)
        more, whom = level or "next", level.replace(":", " ") or "the next level"
    sure = confirmation(f"Page {whom}?", f"Whoever is behind it is woken for {incident.id} now.", "Page", "Go back")
    return button(f"Escalate to {whom}", ESCALATE, value_of(incident, step, more), confirm=sure)
