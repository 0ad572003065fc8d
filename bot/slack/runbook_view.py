"""The window behind the Runbook button: every step with its live result, who did it, and what can become of it. Pure.

A view takes 100 blocks, so long runbooks have pages. Windows on top of it ask for a note, a hand-off or a report.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bot.incidents.model import Incident
from bot.oncall.model import Book
from bot.runbooks import progress
from bot.runbooks.rendered import Rendered, RenderedStep
from bot.slack import runbook, steps
from bot.slack.kit import Block, Part, actions, button, context, fit, header, section
from bot.slack.text import link, mrk, plain

PER_PAGE = 15
AGAIN, TURN, REPORT = "runbook.again", "runbook.page", "runbook.report"
NOTE_VIEW, HAND_OFF_VIEW, REPORT_VIEW = "step.noted", "step.handed", "runbook.reported"
MAX_QUESTIONS = 8
MAX_ANSWER = 800  # characters; what is written becomes notes of 1,000 each
MAX_WORDS = 900
_OPTIONS = 99  # of a select, besides the whole runbook
_WHOLE = "-"
_BLOCKS = 96
_TOTAL = 90_000


def window(
    incident: Incident, rendered: Rendered | None, book: Book, now: datetime, page: int = 0, notice: str = ""
) -> Block:
    """`notice` says what the last click has brought, where that is not to be seen from the steps."""
    head = [section(f"ℹ️ {mrk(notice, 600)}")] if notice else []
    if rendered is None or not rendered.runbook:
        problem = rendered.problem if rendered is not None else ""
        why = f": {mrk(problem, 500)}" if problem else "."
        return _view(incident, 0, [*head, section(f"There is no runbook for {incident.id}{why}")])
    shown = progress.shown(rendered, incident.progress)
    following = progress.next_step(rendered, incident.progress)
    if following is not None and following not in shown:  # a choice has led to a step that is not shown otherwise
        shown = sorted([*shown, following], key=lambda step: step.number)
    pages = max(-(-len(shown) // PER_PAGE), 1)
    page = min(max(page, 0), pages - 1)
    parts = [Part(100, block) for block in [*head, *_head(incident, rendered, book, now)]]
    for step in shown[page * PER_PAGE : (page + 1) * PER_PAGE]:
        parts += _step(incident, rendered, step, following, book, now)
    parts += [Part(95, block) for block in _foot(incident, rendered, page, pages, now)]
    return _view(incident, page, fit(parts, ", see the thread", blocks=_BLOCKS, total=_TOTAL))


def page_of(step: RenderedStep | None, incident: Incident, rendered: Rendered) -> int:
    """Where a step stands."""
    shown = progress.shown(rendered, incident.progress)
    return shown.index(step) // PER_PAGE if step is not None and step in shown else 0


def _head(incident: Incident, rendered: Rendered, book: Book, now: datetime) -> list[Block]:
    title = header(f"📖 {plain(rendered.title or rendered.runbook, 130)}")
    told = steps.progress_line(incident, rendered, book, now)
    intro = [
        mrk(rendered.summary, 800, lines=True),
        f"*Impact:* {mrk(rendered.impact, 600)}" if rendered.impact else "",
        f"*Not all of it could be rendered:* {mrk(rendered.problem, 500)}" if rendered.problem else "",
        told,
    ]
    return [title, section(*intro)] if any(intro) else [title]


def _step(
    incident: Incident,
    rendered: Rendered,
    step: RenderedStep,
    following: RenderedStep | None,
    book: Book,
    now: datetime,
) -> list[Part]:
    mark = progress.marks_of(incident.progress).get(step.id)
    is_next = following is not None and step.id == following.id
    lead = " ← *next*" if is_next else " ← likely" if step.number == rendered.likely_step and mark is None else ""
    lines = [f"{runbook.headline(step)}{lead}"]
    lines += [steps.mark_line(mark, book, now)] if mark is not None else []
    lines += runbook.body(step, rendered, 1200)
    parts = [Part(80, section(*lines))]
    buttons = steps.window_buttons(incident, step, likely=is_next)
    return [*parts, Part(85, buttons)] if buttons is not None else parts


def _foot(incident: Incident, rendered: Rendered, page: int, pages: int, now: datetime) -> list[Block]:
    value = f"{incident.id}|{incident.revision}"
    turned = [button(f"← Page {page}", f"{TURN}.back", f"{value}|{page - 1}")] if page else []
    turned += [button(f"Page {page + 2} →", f"{TURN}.on", f"{value}|{page + 1}")] if page + 1 < pages else []
    asked = [*turned, button("Check again", AGAIN, value), button("Wrong or missing step…", REPORT, value)]
    links = [f"• {link(entry.url, entry.title, 700)}" for entry in rendered.links]
    facts = [incident.id, f"checked {runbook.when(rendered.rendered_at, now)}"]
    facts += [f"page {page + 1} of {pages}"] if pages > 1 else []
    facts += [f"owner {mrk(rendered.owner, 80)}"] if rendered.owner else []
    facts += [review] if (review := rendered.review(now.date())) else []
    return [*([section("*Links*", *links)] if links else []), actions("runbook", asked), context(" · ".join(facts))]


def skeleton(reference: str) -> Block:
    """Opened at once, because the right to open a view lasts three seconds; filled when the checks have run."""
    return _bare(reference, [section("Running the checks…")])


def failed(reference: str, why: str) -> Block:
    return _bare(reference, [section(mrk(why, 500))])


def _view(incident: Incident, page: int, blocks: list[Block]) -> Block:
    return _bare(incident.id, blocks) | {"private_metadata": f"{incident.id}|{incident.revision}|{page}"}


def _bare(reference: str, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": "inc.runbook",
        "private_metadata": reference[:200],
        "title": _plain(f"Runbook {reference}", 24),
        "close": _plain("Close", 24),
        "blocks": blocks,
    }


# Windows that ask for words


def note_view(incident: str, step: RenderedStep) -> Block:
    asked = _input("text", f"Note on step {step.number}", MAX_WORDS, hint=step.title)
    return _form(NOTE_VIEW, f"{incident}||{step.id}", "Add a note", "Add", [asked])


def hand_off_view(incident: str, step: RenderedStep) -> Block:
    questions = step.questions[:MAX_QUESTIONS]
    asked = [
        _input(f"answer.{number}", question, MAX_ANSWER, optional=number > 0)
        for number, question in enumerate(questions)
    ]
    asked = asked or [_input("answer.0", "What the next one has to know", MAX_ANSWER)]
    told = section(f"What you write is kept with {mrk(incident, 40)} as notes, for whoever has it next.")
    return _form(HAND_OFF_VIEW, f"{incident}||{step.id}", "Hand-off", "Write it down", [told, *asked])


def report_view(incident: str, rendered: Rendered) -> Block:
    every = progress.all_steps(rendered)[:_OPTIONS]
    options = [_option("The runbook as a whole", _WHOLE)]
    options += [_option(f"{step.number} · {step.title}", step.id) for step in every]
    kinds = [_option("Something is wrong", "wrong"), _option("Something is missing", "missing")]
    blocks = [
        _choice("kind", "What is it?", {"type": "radio_buttons", "options": kinds, "initial_option": kinds[0]}),
        _choice("step", "Where?", {"type": "static_select", "options": options, "initial_option": options[0]}),
        _input("text", "What should it say?", MAX_WORDS),
        context("It is filed for the owner of the runbook, who is not woken for it."),
    ]
    return _form(REPORT_VIEW, f"{incident}||", "Wrong or missing step", "Send", blocks)


def answers(view: dict[str, Any], step: RenderedStep | None) -> str:
    """What was written in a hand-off: each question with its answer."""
    questions = (step.questions if step is not None else ())[:MAX_QUESTIONS] or ("",)
    lines = []
    for number, question in enumerate(questions):
        answer = typed(view, f"answer.{number}")
        lines += [f"{question}: {answer}" if question else answer] if answer else []
    return "\n".join(lines)


def typed(view: dict[str, Any], name: str) -> str:
    """What was typed or chosen in that input; the whole runbook is an empty choice."""
    entry = ((view.get("state") or {}).get("values") or {}).get(name, {}).get(name) or {}
    chosen = entry.get("selected_option")
    value = str(chosen.get("value") or "") if isinstance(chosen, dict) else str(entry.get("value") or "")
    return "" if value == _WHOLE else value.strip()


def _form(callback: str, metadata: str, title: str, submit: str, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": metadata[:3000],
        "title": _plain(title, 24),
        "submit": _plain(submit, 24),
        "close": _plain("Cancel", 24),
        "blocks": blocks,
    }


def _input(name: str, label: str, limit: int, *, hint: str = "", optional: bool = False) -> Block:
    element = {"type": "plain_text_input", "action_id": name, "multiline": True, "max_length": limit}
    shape = {"type": "input", "block_id": name, "element": element, "label": _plain(label, 2000), "optional": optional}
    return shape | ({"hint": _plain(hint, 2000)} if plain(hint, 10) else {})


def _choice(name: str, label: str, element: Block) -> Block:
    return {"type": "input", "block_id": name, "label": _plain(label, 200), "element": {**element, "action_id": name}}


def _option(text: str, value: str) -> Block:
    return {"text": _plain(text, 75), "value": value[:150]}


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": plain(text, limit) or "-", "emoji": False}
