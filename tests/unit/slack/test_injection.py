"""Whatever labels, annotations, names, notes and runbooks hold: nothing of it mentions, links or breaks a message.

Each place that data can stand in gets each text of the corpus, over every kind of message and window.
"""

from __future__ import annotations

import json
import re  # noqa: TID251 - fixed patterns
from datetime import timedelta

import pytest
from fake_slack import layout_problem
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_world import ANA, BOOK, NOW, alert, incident, page, rendered

from bot.actions.model import Approval, Run, RunState
from bot.actions.runs import Wish
from bot.demo.blockkit import problems, too_long, view_problems
from bot.incidents.model import (
    AlertState,
    Note,
    RunbookFault,
    Severity,
    State,
    StepMark,
    Suppression,
    SuppressionKind,
)
from bot.incidents.silences import Silence
from bot.oncall.changes import RotaChange
from bot.paging.model import PageKind
from bot.ports import AgentStatus, Explained, Proposal, Rung
from bot.runbooks.model import Approve
from bot.runbooks.rendered import (
    CheckResult,
    History,
    RenderedCall,
    RenderedChoice,
    RenderedLink,
    RenderedStep,
    Verdict,
)
from bot.slack import answers, approval_blocks, home_view, runbook_view
from bot.slack.blocks import draw, plain_message
from bot.slack.kit import TEXT_LIMIT
from bot.slack.storm import draw_storm, plain_storm

LONG = 100_000
CORPUS = {
    "emphasis": "*bold* _it_ ~no~ *_~all~_*",
    "code": "`code` ```fence``` ```\nnever closed",
    "quote": "> quote\n>>> all of it\n• list\n1. one",
    "channel": "<!channel> <!here|x> <!everyone> @channel @here @everyone",
    "person": "<@U02ABCDEF> <@U02ABCDEF|ana> @ana <@W123>",
    "room": "<#C123|general> <#C123> #general <!subteam^S123|@payments>",
    "link": "<https://evil.example|Slack login> <http://a|b>",
    "bare_link": "https://evil.example/?a=b&c=<d> evil.example www.evil.example",
    "mail": "<mailto:a@evil.example|help> a@evil.example tel:112 slack://open",
    "date": "<!date^1^{date}^https://evil.example|x>",
    "escaped": "&lt;!channel&gt; &#60;!here&#62; &amp;lt;@U02ABCDEF&amp;gt;",
    "twice_escaped": "&amp;amp;lt;!channel&amp;amp;gt;",
    "broken": "<!chan\nnel> <@U02\u200bABCDEF> <\x00!here>",
    "bidi": "\u202eevil\u202c \u2066a\u2069 \u200f\u061c\u202a",
    "invisible": "a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg\U000e0041",
    "control": "\x00\x07\x08\x0b\x0c\x1b[31mred\x1b[0m\x7f\x85\x9b",
    "lines": "a\r\nb\rc\nd\u2028e\u2029f\x0bg",
    "surrogates": "\ud800 \udfff \udead",
    "json": '"}]} \\" \\u003c!channel> {{ 1 }} {% raw %} ⟨missing⟩',
    "nothing": "",
    "spaces": " \t\n\u00a0\u3000 ",
    "only_signs": "*",
    "fullwidth": "＜!channel＞ ‹!here› ﹤@U02ABCDEF﹥",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 40,
    "letters": "x" * LONG,
    "ampersands": "&" * LONG,
    "angles": "<" * LONG,
    "backticks": "`" * LONG,
    "accents": "e" + "\u0301" * LONG,
    "wide": "漢" * LONG,
    "words": "word " * (LONG // 5),
    "all_lines": "a\n" * (LONG // 2),
    "mentions": "<!channel>" * (LONG // 10),
    "half_escapes": ("&" + "x" * 7) * (LONG // 8),
}

PERSONAL = {PageKind.PAGE, PageKind.REMINDER, PageKind.SHIFT, PageKind.APPROVAL}
# Messages to one person, who is mentioned in them.
WAKE = ("page", "reminder", "storm page", "approval")

_MENTION = re.compile(r"<[@!#](?!date\^\d+\^\{[a-z_]+\})[^>]*>?")
_DATE_LINK = re.compile(r"<!date\^[^|>^]*\^[^|>^]*\^")
# The address of a runbook's own page may end in what a template puts there.
OWN = "https://wiki.example/"
_LINK = re.compile(rf"<(?!{OWN})(?:https?|mailto|tel|ftp|slack|javascript|data):", re.IGNORECASE)
_UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def hostile(nasty: str):
    """Book, incident and rendered runbook with `nasty` in every place that is not an id of ours."""
    people = {name: person.model_copy(update={"name": nasty}) for name, person in BOOK.people.items()}
    book = BOOK.model_copy(update={"people": people})
    hidden = Suppression(kind=SuppressionKind.SILENCE, by=nasty, why=nasty)
    told = dict.fromkeys(("summary", "description", "impact", "runbook_url", "now", "dashboard_url"), nasty)
    labels = dict.fromkeys(("env", "region", "agent", "tool", "version", "model"), nasty)
    alerts = tuple(
        alert(nasty, nasty, fingerprint=f"f{number}", labels=labels | {"severity": "critical"}, annotations=told)
        for number in range(6)
    )
    gone = alert(nasty, nasty, fingerprint="gone", labels=labels, annotations=told, state=AlertState.NO_DATA)
    silent = alert(nasty, nasty, fingerprint="shh", labels=labels, annotations=told, suppressed=(hidden,))
    call = RenderedCall(webhook=nasty, method="POST", path=f"/{nasty[:1000]}", body=nasty[:6000])
    steps = (
        _step(1, "check", text=nasty, on_fail="s3", check=_checked(Verdict.FAIL, nasty)),
        _step(2, "check", text=nasty, check=_checked(Verdict.ERROR, nasty)),
        _step(3, "command", command=nasty, run_on=nasty, verify="s1", timeout=timedelta(minutes=5)),
        _step(4, "link", url=nasty),
        _step(5, "link", url=OWN + nasty),
        _step(6, "decision", choices=(RenderedChoice(label=nasty, goto="s3", likely=True),)),
        _step(7, "action", call=call, undo=call, approve=Approve()),
        _step(8, "escalate", to=nasty, after=timedelta(minutes=20)),
        _step(9, "handoff", questions=(nasty, nasty)),
        _step(10, "manual", text=nasty),
    )
    book_of_steps = rendered(
        runbook="tool-errors",
        title=nasty,
        summary=nasty,
        impact=nasty,
        owner=nasty,
        problem=nasty,
        steps=steps,
        links=(RenderedLink(title=nasty, url=nasty), RenderedLink(title=nasty, url="javascript:" + nasty)),
        history=History(points=(1.0, None, 3.0), step=timedelta(minutes=20), threshold=2.0, comparison=">"),
    )
    marks = tuple(
        StepMark(step=f"s{number}", state=state, at=NOW, by=f"cli:{nasty}", text=nasty)
        for number, state in enumerate(["failed", "done", "done", "skipped", "done", "done", "running"], start=1)
    )
    fault = RunbookFault(at=NOW, by=f"cli:{nasty}", runbook="tool-errors", kind="wrong", text=nasty)
    what = incident(
        title=nasty,
        agent=nasty,
        owner=nasty,
        owner_why=nasty,
        alerts=(*alerts, gone, silent),
        notes=(Note(at=NOW, by=f"cli:{nasty}", text=nasty),),
        faults=(fault,),
        readers=("person:ana", f"cli:{nasty}"),
        marked_by=f"cli:{nasty}",
        mark="noise",
    )
    return book, what, book_of_steps, marks, hidden


def _step(number, kind, **more):
    return RenderedStep(number=number, id=f"s{number}", kind=kind, title=more.pop("title", None) or _TITLE[0], **more)


_TITLE = [""]


def _checked(verdict, nasty):
    return CheckResult(verdict=verdict, value=nasty, want=nasty, error=nasty)


def states(what, marks, hidden, nasty):
    """The incident in every state that looks different."""
    by = f"cli:{nasty}"
    acked = {"state": State.ACKED, "acked_by": by, "acked_at": NOW, "ack_expires_at": NOW + timedelta(hours=1)}
    ended = {"state": State.RESOLVED, "resolved_at": NOW, "resolved_by": by, "how_resolved": "human", "acked_by": by}
    silent = tuple(one.model_copy(update={"suppressed": (hidden,)}) for one in what.alerts)
    changes = {
        "open": {},
        "worked on": {**acked, "progress": marks},
        "asked": {**acked, "ack_asked": True},
        "snoozed": {**acked, "snoozed_until": NOW + timedelta(hours=2)},
        "over": {**ended, "progress": marks},
        "hidden": {"suppressed": (hidden,), "alerts": silent},
        "flapping": {"flapping": True, "reopened": (NOW,)},
        "exhausted": {"exhausted": True, "step": 2, "round": 2, "widened": 1},
        "handed": {"assigned": "ben"},
        "info": {"severity": Severity.INFO, "next_at": None},
        "test": {"exercise": "test"},
        "test over": {**ended, "exercise": "test"},
        "drill": {"exercise": "drill"},
    }
    # A hundred kilobytes in a hundred places take their time: what they break, they break in these.
    few = {"open", "worked on", "over", "test over"} if len(nasty) > 5000 else set(changes)
    return {name: what.model_copy(update=change) for name, change in changes.items() if name in few}


def messages(nasty):
    """Every message that such data can become: what it is, and its JSON."""
    _TITLE[0] = nasty
    book, what, shown, marks, hidden = hostile(nasty)
    each = states(what, marks, hidden, nasty)
    for kind in PageKind:
        for state, one in each.items():
            row = page(kind, person="ana" if kind in PERSONAL else None, reason=nasty, text=nasty)
            drawn = draw(row, one, shown, book, NOW)
            yield f"{kind}, {state}", drawn
            if state == "open":
                yield f"{kind}, plain", plain_message(drawn, one, shown)
        listed = f"{nasty}\n{nasty}\n• {nasty}\n▪ {nasty}: {nasty}"
        yield f"{kind} alone", draw(page(kind, reason=nasty, text=listed), None, None, book, NOW)
    for lead in (page(), page(PageKind.CARD)):
        several = [one.model_copy(update={"id": f"INC-{number}"}) for number, one in enumerate(each.values(), start=1)]
        yield f"storm {lead.kind}", draw_storm(lead, several, book, NOW)
        yield f"storm {lead.kind}, plain", plain_storm(draw_storm(lead, several, book, NOW), several)
    for state in RunState:
        run = run_of(nasty, state)
        text = approval_blocks.text_of(run, what, book, "ana")
        yield f"approval {state}", {"text": text, "blocks": approval_blocks.blocks_of(run, what, book, "ana", NOW)}
    yield "incidents", answers.incidents(list(each.values()), "open", book, NOW)
    status = AgentStatus(nasty, nasty, "firing", nasty, ("ana", nasty), (nasty,))
    yield "status", answers.status([status], "", book)
    duty = {"schedules": [{"schedule": nasty, "people": ["ana", nasty], "until": NOW.isoformat()}]}
    yield "on call", answers.oncall(duty, "", book, NOW)
    yield "choices", answers.choose(f"“{nasty}” may mean several things", (f"ack {nasty[:70]}", f"page {nasty[:70]}"))
    yield "runs", answers.runs(f"INC-7 {nasty}", [run_of(nasty, state) for state in RunState])
    yield "runbook", answers.runbook_button(what)
    told = Explained(f"Who is paged for {nasty}", (nasty, nasty), (Rung(NOW, (nasty,), nasty),))
    yield "explained", answers.explained(told, NOW)
    change = RotaChange(
        id="ROTA-1", kind="swap", schedule="x", people=("ana", "gone"), start=NOW, until=NOW + timedelta(hours=1),
        by="person:ana", at=NOW,
    )  # fmt: skip
    nasty_change = change.model_copy(update={"schedule": nasty, "people": (nasty, nasty), "by": nasty, "why": nasty})
    yield "overrides", answers.overrides([change, nasty_change], book, NOW)
    yield "unknown", answers.say(f"“{nasty}” is no word of mine.")
    yield "silences", answers.silences([silence_of(nasty)], book, NOW)


def silence_of(nasty):
    return Silence.model_construct(
        id="SIL-1", matchers=('agent="x"',), starts_at=NOW, ends_at=NOW + timedelta(hours=1), created_at=NOW,
        created_by=f"cli:{nasty}", reason=nasty or "-",
    )  # fmt: skip


def run_of(nasty, state):
    call = RenderedCall(webhook=nasty, method="POST", path=f"/{nasty[:1000]}", body=nasty[:6000])
    return Run(
        id="RUN-1", incident="INC-7", runbook=nasty, step="s7", title=nasty, call=call, undo=call, approve=Approve(),
        state=state, asked_by=f"cli:{nasty}", asked_at=NOW, asked_of=("ana", nasty), refused_by=f"cli:{nasty}",
        reason=nasty,
        approvals=(Approval(at=NOW, by=f"cli:{nasty}"),), due_at=NOW + timedelta(minutes=5), answer=nasty, attempt=2,
    )  # fmt: skip


def windows(nasty):
    """Every window of such data."""
    _TITLE[0] = nasty
    book, what, shown, marks, hidden = hostile(nasty)
    for state, one in states(what, marks, hidden, nasty).items():
        yield f"runbook, {state}", runbook_view.window(one, shown, book, NOW, notice=nasty)
    wish = Wish(
        run_id="RUN-1", runbook=nasty, step="s7", title=nasty, kind="action", call=run_of(nasty, RunState.ASKED).call,
        undo=run_of(nasty, RunState.ASKED).call, approve=Approve(), actor=f"cli:{nasty}", token="abc",
    )  # fmt: skip
    earlier = tuple(run_of(nasty, state) for state in RunState)
    for problem in ("", nasty):
        may = {"ana": nasty, nasty: nasty}
        yield "action", approval_blocks.window(Proposal(what, wish, may, False, earlier, problem), book, NOW)
    rows = list(states(what, marks, hidden, nasty).values())
    well = AgentStatus(nasty, nasty, "firing", nasty, ("ana", nasty), (nasty,))
    facts = home_view.Facts(
        person=book.people["ana"],
        shifts=(home_view.Shift(nasty, None, NOW), home_view.Shift(nasty, NOW, None)),
        mine=tuple(rows),
        teams=tuple(rows),
        agents=(well,) * 12,
        silences=(silence_of(nasty),),
        scopes=(nasty,),
        external_url=OWN,
        note=nasty,
        book=book,
    )
    yield "home", home_view.draw(facts, NOW)
    yield "newcomer", home_view.newcomer(nasty, nasty, NOW)
    yield "home failed", home_view.failed(nasty, NOW)
    yield "no runbook", runbook_view.window(what, shown.model_copy(update={"runbook": ""}), book, NOW)
    yield "failed", runbook_view.failed("INC-7", nasty)
    yield "note", runbook_view.note_view("INC-7", shown.steps[0])
    yield "hand-off", runbook_view.hand_off_view("INC-7", shown.steps[8])
    yield "report", runbook_view.report_view("INC-7", shown)


def texts(content):
    """Each text object of a message or window, with its kind."""
    if isinstance(content, dict):
        if content.get("type") in {"plain_text", "mrkdwn"} and isinstance(content.get("text"), str):
            yield content["type"], content["text"]
        for value in content.values():
            yield from texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from texts(value)


def complaints(content, own=()):
    """What is wrong with it, in short: pytest's own comparison of such texts would take minutes."""
    for kind, text in [("mrkdwn", content.get("text", "-")), *texts(content.get("blocks", []))]:
        start = repr(text[:120])
        if _UNSEEN.search(text):
            yield f"unseen characters in {start}"
        if kind == "plain_text":
            if re.search("[<>]", text):
                yield f"angle brackets in {start}"
            continue
        if mentioned := [found for found in _MENTION.findall(text) if found not in own]:
            yield f"mentions {mentioned[0]!r} in {start}"
        if _LINK.search(text) or _DATE_LINK.search(text):
            yield f"a link in {start}"
        if text.count("```") % 2:
            yield f"a fence left open in {start}"
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        yield "half of a surrogate pair"


def refusals(message):
    """What Slack, or its SDK, would refuse."""
    blocks = message.get("blocks", [])
    yield from problems(blocks)
    if too_long(blocks):
        yield "too long"
    if found := layout_problem(message):
        yield found
    if not message["text"].strip():
        yield "no text"
    if "metadata" in message and "blocks" in message and len(message["text"]) > TEXT_LIMIT:
        yield "a long push message"
    for block in Block.parse_all(blocks):
        try:
            block.validate_json()
        except SlackObjectFormationError as error:
            yield str(error)


@pytest.mark.parametrize("name", CORPUS)
def test_a_message_of_any_data_is_taken_by_slack_and_calls_nobody(name):
    found = []
    for what, message in messages(CORPUS[name]):
        own = {f"<@{ANA.slack}>"} if what.startswith(WAKE) else set()
        found += [f"{what}: {one}"[:300] for one in (*complaints(message, own), *refusals(message))]
    assert found == []


@pytest.mark.parametrize("name", CORPUS)
def test_a_window_of_any_data_is_taken_by_slack_and_calls_nobody(name):
    found = []
    for what, view in windows(CORPUS[name]):
        found += [f"{what}: {one}"[:300] for one in (*complaints(view), *view_problems(view))]
    assert found == []
