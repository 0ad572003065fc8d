"""How the run of an action looks: the window in which somebody asks for it, and the message in which people agree to it
and see how it goes. Pure.

A request is shown whole and as it will be made: what a reader could not see, or would take for something else, stands
as the escape that JSON has for it.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime

from bot.actions.approvers import words_of
from bot.actions.model import Run, RunState
from bot.actions.runs import TRIES
from bot.incidents.model import Incident, State
from bot.oncall.model import Book
from bot.ports import Proposal
from bot.runbooks.rendered import RenderedCall
from bot.slack.facts import actor_name, subject_of
from bot.slack.kit import TEXT_LIMIT, Block, Part, actions, button, confirmation, context, fit, header, section
from bot.slack.text import code, cut_escaped, moment, mrk, plain

APPROVE, REFUSE = "act.approve", "act.refuse"
ASK, TAKE_BACK = "act.ask", "act.undo"
SUBMIT = "act.submit"
SEND = "act.send"  # the same, from a message instead of a window
REASON = "reason"
_UNSURE = "⚠️ *It may have been carried out all the same:* look there before you ask again."
_UNTOUCHED = "As far as is known, nothing was changed."
_PIECE = 2600  # of a request in one section, escaped
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_SIGNS = {
    RunState.ASKED: "🔐 Approve?",
    RunState.APPROVED: "⏳ SENDING",
    RunState.SENDING: "⏳ SENDING",
    RunState.DONE: "✅ DONE",
    RunState.FAILED: "❌ FAILED",
    RunState.REFUSED: "🚫 REFUSED",
    RunState.EXPIRED: "⌛ NOT SENT",
}


def visible(text: str) -> str:
    """The same JSON with nothing in it that is not seen."""
    return "".join(one if unicodedata.category(one) not in _HIDDEN and one != "`" else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    units = one.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def request(call: RenderedCall) -> list[Block]:
    """The exact request, in as many sections as it needs."""
    text = f"{call.method} {call.path}\n{visible(call.body)}".strip()
    pieces = [""]
    for one in text:
        shown = code(one, 9) if one not in {" ", "\n"} else one
        if len(pieces[-1]) + len(shown) > _PIECE:
            pieces.append("")
        pieces[-1] += shown
    first, *rest = [f"```{piece}```" for piece in pieces]
    return [section(f"To *{mrk(call.webhook, 60)}*:\n{first}"), *(section(piece) for piece in rest)]


def text_of(run: Run, incident: Incident, book: Book, person: str) -> str:
    """The push message."""
    title, who = _title(run), plain(_name(run.asked_by, book), 40)
    if run.state is RunState.ASKED and run.asked_by != f"person:{person}":
        until = f" Until {run.due_at:%H:%M} UTC." if run.due_at else ""
        return _push(f"🔐 {who} asks you to approve: ", title, f".{until} {incident.id}")
    sign = "⏳ Waits for approval" if run.state is RunState.ASKED else _SIGNS[run.state]
    return _push(f"{sign}: ", title, f". {incident.id}")


def _push(before: str, title: str, after: str) -> str:
    room = max(TEXT_LIMIT - len(before) - len(after), 20)
    return cut_escaped(f"{mrk(before, 80)} {mrk(title, room)}{after}".replace("  ", " "), TEXT_LIMIT)


def blocks_of(run: Run, incident: Incident, book: Book, person: str, now: datetime) -> list[Block]:
    """For `person`, who is asked to agree or has asked for it."""
    own = run.asked_by == f"person:{person}"
    waiting = run.state is RunState.ASKED
    sign = "⏳ Waits for approval" if waiting and own else _SIGNS[run.state]
    parts = [Part(100, header(f"{sign} · {_title(run)}")), Part(95, section(*_lead(run, incident, book, person, now)))]
    parts += [Part(90, block) for block in request(run.call)]
    parts.append(Part(85, section(*_standing(run, book, now), _undo_line(run))))
    if buttons := _buttons(run, incident, own=own):
        parts.append(Part(99, actions(f"{run.id}.{incident.revision}", buttons)))
    parts.append(Part(10, context(" · ".join([incident.id, f"runbook {mrk(run.runbook, 80)}", run.id]))))
    return fit(parts)


def _lead(run: Run, incident: Incident, book: Book, person: str, now: datetime) -> list[str]:
    known = book.people.get(person)
    who = f"*{actor_name(run.asked_by, book)}*"
    reason = f"*Why:* {mrk(run.reason, 400, lines=True)}" if run.reason else ""
    what = "to take this back" if run.kind == "undo" else "for this"
    subject = f"on {incident.id}: {mrk(subject_of(incident), 200)}"
    if run.state is RunState.ASKED and run.asked_by != f"person:{person}":
        mention = f"<@{known.slack}> " if known is not None else ""
        return [f"{mention}{who} asks {what} {subject}.", reason, _drill(incident)]
    return [f"{who} asked {what} {moment(run.asked_at, now)} {subject}.", reason, _drill(incident)]


def _drill(incident: Incident) -> str:
    return "🧪 *This is a drill, but the request is real.*" if incident.exercise == "drill" else ""


def _standing(run: Run, book: Book, now: datetime) -> list[str]:
    said = [f"✓ *{actor_name(given.by, book)}* agreed {moment(given.at, now)}" for given in run.approvals]
    answer = mrk(run.answer, 600)
    match run.state:
        case RunState.ASKED:
            missing = run.approve.min - len(run.approvals)
            until = f", {_until(run, now)}" if run.due_at else ""
            if missing == 1 and len(run.asked_of) - len(run.approvals) == 1:
                return [*said, f"{_asked(run, book)} has to agree{until}."]
            have = "has" if missing == 1 else "have"
            count = (
                f"{missing} more of these {have}"
                if said
                else f"{missing} of these {have}"
                if missing > 1
                else "One has"
            )
            return [*said, f"{count} to agree{until}: {_asked(run, book)}."]
        case RunState.APPROVED | RunState.SENDING:
            again = f"Attempt {run.attempt} of {TRIES}: {answer}" if run.answer else ""
            return [*said, again]
        case RunState.DONE:
            return [*said, f"The answer {_at(run, now)}: {answer}"]
        case RunState.FAILED:
            return [*said, f"Given up {_at(run, now)}: {answer}", _UNSURE if run.unsure else _UNTOUCHED]
        case RunState.REFUSED:
            return [*said, f"*{actor_name(run.refused_by, book)}* refused it {_at(run, now)}. Nothing was sent."]
        case RunState.EXPIRED:
            return [*said, f"{answer or 'Nobody agreed in time'}. Nothing was sent; ask anew if it is still needed."]


def _until(run: Run, now: datetime) -> str:
    return f"until {moment(run.due_at, now)}" if run.due_at is not None else ""


def _at(run: Run, now: datetime) -> str:
    return moment(run.ended_at, now) if run.ended_at is not None else ""


def _asked(run: Run, book: Book) -> str:
    given = {one.by for one in run.approvals}
    left = [name for name in run.asked_of if f"person:{name}" not in given]
    names = ", ".join(actor_name(f"person:{name}", book) for name in left[:8])
    return names + (f" and {len(left) - 8} more" if len(left) > 8 else "")


def _undo_line(run: Run) -> str:
    if run.kind == "undo":
        return ""
    if run.undo is None:
        return "*Undo:* none. It cannot be taken back from here."
    return f"*Undo:* {run.undo.method} {mrk(run.undo.path, 300)}"


def _buttons(run: Run, incident: Incident, *, own: bool) -> list[Block]:
    value = run.id
    over = incident.state is State.RESOLVED and run.kind == "action"
    if run.state is RunState.ASKED and own:
        return [button("Don't send it", REFUSE, value)]
    if run.state is RunState.ASKED and not over:
        sure = confirmation(
            "Agree to this request?", f"{_title(run)}: {run.call.method} {run.call.path}", "Agree", "Go back"
        )
        return [button("Approve", APPROVE, value, "primary", confirm=sure), button("Refuse", REFUSE, value, "danger")]
    undoable = run.state is RunState.DONE or (run.state is RunState.FAILED and run.unsure)
    if run.kind == "action" and run.undo is not None and undoable:
        return [button("Undo…", TAKE_BACK, f"{incident.id}|{incident.revision}|{run.id}")]
    return []


def _title(run: Run) -> str:
    return f"Undo: {run.title}" if run.kind == "undo" else run.title


def _name(actor: str, book: Book) -> str:
    person = book.people.get(actor.removeprefix("person:"))
    return person.name if person is not None else actor.partition(":")[2] or actor


def skeleton(reference: str) -> Block:
    """Opened at once, because the right to open a view lasts three seconds."""
    return _view(reference, [section("Looking up the request…")])


def refused(reference: str, why: str) -> Block:
    return _view(reference, [section(mrk(why, 1500))])


def window(found: Proposal, book: Book, now: datetime) -> Block:
    """The exact request, whose word it needs, and what takes it back; submitting it asks for it."""
    wish, undo = found.wish, found.wish.kind == "undo"
    lines = [f"*{mrk(_wished(found), 200)}*", f"on {found.incident.id}: {mrk(subject_of(found.incident), 200)}"]
    blocks = [section(*lines, _drill(found.incident)), *request(wish.call)]
    if found.problem:
        return _view(found.incident.id, [*blocks, section(f"🚫 *It cannot be asked for:* {mrk(found.problem, 800)}")])
    told = [_needs(found, book)]
    if not undo:
        back = f"{wish.undo.method} {mrk(wish.undo.path, 300)}" if wish.undo else "none. It cannot be taken back."
        told.append(f"*Undo:* {back}")
    blocks.append(section(*told))
    if earlier := [_earlier(run, book, now) for run in found.earlier[-3:]]:
        blocks.append(section("*Before this*", *earlier))
    blocks.append(_reason())
    meta = "|".join((found.incident.id, wish.undoes or wish.step, "undo" if undo else "action", wish.token))
    return _view(found.incident.id, blocks, submit="Send" if found.enough else "Ask them", meta=meta)


def message(view: Block) -> list[Block]:
    """What the window shows, for where Slack opens none."""
    blocks = [block for block in view["blocks"] if block["type"] != "input"]
    if "submit" in view:
        send = button(view["submit"]["text"], SEND, view["private_metadata"], "primary")
        blocks.append(actions("send", [send]))
    return blocks


def _wished(found: Proposal) -> str:
    return f"Undo: {found.wish.title}" if found.wish.kind == "undo" else found.wish.title


def _needs(found: Proposal, book: Book) -> str:
    if found.enough:
        return "*Approval:* yours is enough. It is sent at once."
    ttl = f"{round(found.wish.approve.ttl.total_seconds() / 60)} min"
    me = found.wish.actor.removeprefix("person:") if not found.wish.approve.self else ""
    names = [f"{actor_name(f'person:{name}', book)} ({mrk(why, 60)})" for name, why in found.may.items() if name != me]
    listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    rules = " or ".join(words_of(name) for name in found.wish.approve.by)
    return f"*Approval:* {found.wish.approve.min} of {listed} within {ttl}. The runbook asks for {mrk(rules, 200)}."


def _earlier(run: Run, book: Book, now: datetime) -> str:
    sign = _SIGNS[run.state].partition(" ")[0]
    unsure = " ⚠️ It may have been carried out all the same." if run.state is RunState.FAILED and run.unsure else ""
    who = actor_name(run.asked_by, book)
    return f"{sign} {mrk(_title(run), 120)}, {who} {moment(run.asked_at, now)}: {mrk(run.answer, 200)}{unsure}"


def _reason() -> Block:
    element = {
        "type": "plain_text_input",
        "action_id": REASON,
        "max_length": 300,
        "placeholder": {"type": "plain_text", "text": "For those who agree, and for the record"},
    }
    label = {"type": "plain_text", "text": "Why"}
    return {"type": "input", "block_id": REASON, "optional": True, "label": label, "element": element}


def _view(reference: str, blocks: list[Block], submit: str = "", meta: str = "") -> Block:
    view: Block = {
        "type": "modal",
        "callback_id": SUBMIT,
        "private_metadata": meta[:2000],
        "title": {"type": "plain_text", "text": plain(f"Action {reference}", 24), "emoji": False},
        "close": {"type": "plain_text", "text": "Go back", "emoji": False},
        "blocks": blocks,
    }
    return view | ({"submit": {"type": "plain_text", "text": submit}} if submit else {})
