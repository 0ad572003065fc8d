"""The answers to `/agent …` and `@bot …`: rows in, message out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.actions.model import Run
from bot.actions.runs import told as run_told
from bot.incidents.model import Incident, State
from bot.incidents.silences import Silence
from bot.oncall.changes import RotaChange
from bot.oncall.model import Book
from bot.ports import AgentStatus, Explained, Rung
from bot.records.bundle_words import short
from bot.slack import account_words, silence_words
from bot.slack.grammar import GROUPS, VERBS, Request, nearest
from bot.slack.kit import BUTTON_LIMIT, Block, actions, button, section
from bot.slack.text import due, link, moment, mrk, plain, span

Answer = dict[str, Any]

RUN_WORDS = "words.run"  # with a number behind it: action ids of one message are all different
MOST_CHOICES = 5
_ROWS = 10
HEALTH = {"ok": "🟢", "firing": "🔴", "acked": "🟨", "no_data": "⚪", "hidden": "🔇"}
_NO_INCIDENT = {
    "open": "No incident is open.",
    "mine": "You have no incident, and none waits for you.",
    "24h": "No incident in the last 24 hours.",
}
_WHICH = {"open": " open", "mine": " with you", "24h": " in the last 24 hours"}
_BAD_FIRST = ["firing", "no_data", "acked", "hidden", "ok"]
_STATES = {State.OPEN: "🔴 open", State.ACKED: "🟨 acked", State.RESOLVED: "✅ resolved"}
_EXAMPLES = {
    "ack": ["ack", "ack INC-7", "ack last", "ack refund-agent"],
    "take": ["take INC-7"],
    "snooze": ["snooze INC-7 2h", "snooze until 09:00", "snooze INC-7 2026-12-24T09:00"],
    "hand": ["hand INC-7 to ben", "hand to ben"],
    "escalate": ["escalate", "escalate INC-7"],
    "note": ["note INC-7 the vendor is down", "note the vendor is down"],
    "mark": ["mark INC-7 noise", "mark INC-7 right"],
    "resolve": ["resolve INC-7", "resolve last"],
    "release": ["release INC-7"],
    "pass": ["pass", "pass INC-7"],
    "status": ["status", "status refund-agent", "status team:payments", "status --here"],
    "show": ["show refund-agent"],
    "readiness": ["readiness", "readiness refund-agent"],
    "cost": ["cost", "cost refund-agent"],
    "page": ['page refund-agent "refunds are doubled"', "page team:payments", "page @ben are you there"],
    "oncall": ["oncall", "oncall payments", "oncall payments at 18:00"],
    "override": [
        "override payments @ben 4h",
        "override payments me 18:00..22:00",
    ],
    "swap": ["swap payments @ben 2026-12-24..2026-12-27", "swap payments @ana @ben from 18:00 to 22:00"],
    "overrides": ["overrides"],
    "unoverride": ["unoverride ROTA-3"],
    "explain": ["explain refund-agent", "explain AgentToolFailing refund-agent", "explain INC-7"],
    "test": ["test me", "test @ben", "test team:payments"],
    "drill": ["drill refund-agent", "drill refund-agent ladder", "drill refund-agent AgentToolFailing"],
    "runbook": ["runbook", "runbook INC-7", "runbook refund-agent"],
    "step": ["step INC-7 3 done", "step INC-7 3 skip", "step INC-7 which Credential"],
    "approve": ["approve INC-7", "approve RUN-3"],
    "refuse": ["refuse INC-7", "refuse RUN-3"],
    "actions": ["actions INC-7"],
    "web": ["web"],
    "incidents": ["incidents", "incidents mine", "incidents 24h"],
    "silence": [silence_words.EXAMPLE, "silence INC-7 2h waiting for the vendor", "silence INC-7 until resolved 1d …"],
    "unsilence": ["unsilence SIL-3"],
    "silences": ["silences"],
    "help": ["help", "help ack"],
}


def say(text: str) -> Answer:
    """One plain sentence. Backticks of ours become quotes, since those of data must not format either."""
    return {"text": mrk(text.replace("`", "'"), 2900, lines=True)}


def status(rows: Sequence[AgentStatus], wanted: str, book: Book, now: datetime | None = None) -> Answer:
    """`now` is for how each is doing; without it that is left away."""
    shown = [row for row in rows if not wanted or _matches(row, wanted)]
    if not rows:
        return say("No agents are known yet: none is registered and none is scraped.")
    if not shown:
        near = nearest(wanted, [row.agent for row in rows])
        return say(f"No agent or owner is called {wanted}." + (f" Did you mean {', '.join(near)}?" if near else ""))
    shown.sort(key=lambda row: (_BAD_FIRST.index(row.health), row.agent))
    bad = sum(row.health != "ok" for row in shown)
    title = f"{len(shown)} agent{'s' * (len(shown) != 1)}, " + (f"{bad} not well" if bad else "all well")
    lines = [line for row in shown[:_ROWS] for line in _status_lines(row, book, now, alone=len(shown) == 1)]
    more = [f"+{len(shown) - _ROWS} more"] if len(shown) > _ROWS else []
    return _blocks(title, [section(f"*{title}*", *lines, *more)])


def _matches(row: AgentStatus, wanted: str) -> bool:
    return wanted in {row.agent, row.owner, row.owner.partition(":")[2], row.title}


def _status_lines(row: AgentStatus, book: Book, now: datetime | None, *, alone: bool) -> list[str]:
    """Beside others one more line; alone all there is to say."""
    if row.vitals is None or now is None:
        return [_status_row(row, book)]
    if alone:
        return [_status_row(row, book), *account_words.below(row.vitals, now)]
    short = account_words.beside(row.vitals, now)
    return [_status_row(row, book), *([f"      {short}"] if short else [])]


def _status_row(row: AgentStatus, book: Book) -> str:
    names = [book.people[person].name if person in book.people else person for person in row.oncall]
    oncall = f" · on call {mrk(', '.join(names), 120)}" if names else ""
    incidents = f" · {mrk(', '.join(row.incidents), 120)}" if row.incidents else ""
    sign = HEALTH[row.health]
    return f"{sign} *{mrk(row.title or row.agent, 80)}* {mrk(row.health, 20)} · {mrk(row.owner, 80)}{oncall}{incidents}"


def incidents(rows: Sequence[Incident], what: str, book: Book, now: datetime) -> Answer:
    if not rows:
        return say(_NO_INCIDENT[what])
    title = f"{len(rows)} incident{'s' * (len(rows) != 1)}{_WHICH[what]}"
    return _listed(title, [incident_row(row, book, now) for row in rows[:_ROWS]], len(rows))


def incident_row(row: Incident, book: Book, now: datetime) -> str:
    holder = (row.acked_by or "").removeprefix("person:")
    name = book.people[holder].name if holder in book.people else holder
    has = f" · {mrk(name, 60)} has it" if name and row.state is State.ACKED else ""
    agent = f"{mrk(row.agent, 60)}: " if row.agent and row.agent not in row.title else ""
    since = f"{moment(row.opened_at, now)} ({span((row.resolved_at or now) - row.opened_at)})"
    hidden = f" · 🔇 {mrk(row.suppressed[0].why, 150)}" if row.suppressed else ""
    tail = has + hidden + (" · 🔁 flapping" if row.flapping else "")
    return f"{_STATES[row.state]} *{row.id}* {row.severity} · {agent}{mrk(row.title, 150)} · {since}{tail}"


def oncall(answer: Mapping[str, Any], wanted: str, book: Book, now: datetime, at: datetime | None = None) -> Answer:
    """`at` is the instant that was asked for, where it is another one than now."""
    rows = [row for row in answer.get("schedules", []) if not wanted or _concerns(str(row["schedule"]), wanted, book)]
    if not rows and wanted:
        near = nearest(wanted, [*book.teams, *book.schedules])
        return say(f"No team or schedule is called {wanted}." + (f" Did you mean {', '.join(near)}?" if near else ""))
    if not rows:
        return say("There are no schedules; people are paged as the escalation policies name them.")
    title = f"On call {moment(at, now)}" if at is not None else "On call now"
    return _listed(title, [_oncall_row(row, book, now) for row in rows[:_ROWS]], len(rows))


def _concerns(schedule: str, wanted: str, book: Book) -> bool:
    """The schedule itself, or one that the team's escalation policy wakes."""
    wanted = wanted.removeprefix("team:").removeprefix("schedule:")
    if schedule == wanted:
        return True
    team = book.teams.get(wanted)
    policy = book.escalation_policies.get((team.escalation if team else None) or wanted)
    return policy is not None and any(f"schedule:{schedule}" in step.notify for step in policy.steps)


def _oncall_row(row: Mapping[str, Any], book: Book, now: datetime) -> str:
    names = [book.people[person].name if person in book.people else str(person) for person in row.get("people", [])]
    until = row.get("until")
    if isinstance(until, str):
        until = datetime.fromisoformat(until)
    ends = f" until {moment(until, now)}" if until else ""
    return f"*{mrk(str(row['schedule']), 80)}* {mrk(', '.join(names) or 'nobody', 120)}{ends}"


def silences(rows: Sequence[Silence], book: Book, now: datetime) -> Answer:
    if not rows:
        return say("Nothing is silenced.")
    names = silence_words.names_of(book)
    title = f"{len(rows)} silence{'s' * (len(rows) != 1)}"
    return _listed(title, [silence_words.line(row, names, now) for row in rows[:_ROWS]], len(rows))


def overrides(rows: Sequence[RotaChange], book: Book, now: datetime) -> Answer:
    if not rows:
        return say("No override and no swap is made beside the on-call files.")
    lines = [override_row(row, book, now) for row in rows[:_ROWS]]
    return _listed(f"{len(rows)} change{'s' * (len(rows) != 1)} of rotas made by hand", lines, len(rows))


def override_row(row: RotaChange, book: Book, now: datetime) -> str:
    names = [mrk(book.people[one].name if one in book.people else one, 60) for one in row.people]
    who = names[0] if row.kind == "override" else f"{' ⇄ '.join(names)}"
    by = row.by.removeprefix("person:")
    made = mrk(book.people[by].name if by in book.people else by, 60)
    gone = "" if row.schedule in book.schedules else " (no such schedule any more)"
    why = f": {mrk(row.why, 150)}" if row.why else ""
    when = f"{moment(row.start, now)} until {moment(row.until, now)}"
    return f"🔁 *{row.id}* {mrk(row.schedule, 80)}{gone}: {who} · {when} · by {made}{why}"


def runs(reference: str, rows: Sequence[Run]) -> Answer:
    if not rows:
        return say(f"No request of the runbook of {plain(reference, 40)} has been asked for.")
    lines = [f"*{mrk(row.id, 40)}* {mrk(row.title, 120)}: {mrk(run_told(row), 300)}" for row in rows[:_ROWS]]
    return _listed(f"{len(rows)} request{'s' * (len(rows) != 1)}", lines, len(rows))


def explained(told: Explained, now: datetime) -> Answer:
    lines = [mrk(fact, 500) for fact in told.facts]
    levels = [_rung(number, rung, now) for number, rung in enumerate(told.levels, start=1)]
    return _blocks(mrk(told.title, 150), [section(f"*{mrk(told.title, 200)}*", *lines, *levels)])


def _rung(number: int, rung: Rung, now: datetime) -> str:
    at = due(rung.at, now) if rung.at > now else moment(rung.at, now)
    return f"{number}. {at} *{mrk(', '.join(rung.people) or 'nobody', 150)}*: {mrk(rung.why, 200)}"


def web(external_url: str) -> Answer:
    if not external_url:
        return say("http.external_url is not set in agentpager.yaml, so it is not known where a browser reaches this.")
    lines = ["*In a browser*", link(f"{external_url.rstrip('/')}/-/ready", "how this server is", 600)]
    tail = "Pages for incidents and rotas do not exist yet; Slack and the command line show them."
    return _blocks("Where a browser reaches agentpager", [section(*lines, tail)])


def runbook_button(incident: Incident) -> Answer:
    """For where no window can be opened without a click."""
    told = f"The runbook of {incident.id}: {plain(incident.title, 120)}"
    shown = button("Runbook", "inc.runbook", f"{incident.id}|{incident.revision}")
    return _blocks(mrk(told, 300), [section(mrk(told, 300)), actions(f"{incident.id}.{incident.revision}", [shown])])


def agent(told: Mapping[str, Any]) -> Answer:
    """The short form of a hand-over bundle."""
    first, *lines = short(told)
    title = mrk(first, 300)
    return _blocks(title, [section(f"*{title}*", *(mrk(line, 600) for line in lines))])


def choose(text: str, words: Sequence[str]) -> Answer:
    """A sentence, and a button for each way to say it that would be understood."""
    said = mrk(text.replace("`", "'"), 2900, lines=True)
    shown = [button(one, f"{RUN_WORDS}.{number}", one) for number, one in enumerate(words[:MOST_CHOICES])]
    return _blocks(said, [section(said), *([actions("words", shown)] if shown else [])])


def help_on(word: str) -> Answer:
    if word in VERBS:
        examples = "\n".join(f"`/agent {example}`" for example in _EXAMPLES[word])
        return _blocks(f"{word}: {VERBS[word]}", [section(f"*{word}*: {VERBS[word]}", examples)])
    lines = [f"*{group}* {' · '.join(words)}" for group, words in GROUPS.items()]
    tail = (
        "In a channel answers are for your eyes only; add `--here` to show them to all. In a thread write "
        "`@agentpager ack`, to me alone just `ack`."
    )
    examples = "For example `/agent ack INC-7`, `/agent oncall payments`, `/agent silence INC-7 2h vendor is down`"
    more = "`/agent help ack` says more of one word."
    return _blocks("What agentpager understands", [section("*/agent* understands:", *lines, examples, more, tail)])


def unknown(request: Request, *, in_full: bool = False) -> Answer:
    """With what may have been meant as buttons. `in_full` goes on with the help, for one who writes to us as to a
    person."""
    hint = f" Did you mean {' or '.join(request.near)}?" if request.near else ""
    text = f"“{plain(request.word, 40)}” is no word of mine.{hint}"
    meant = [f"{word} {request.raw}".strip() for word in request.near]
    meant = [one for one in meant if len(one) <= BUTTON_LIMIT]
    answer = choose(text if in_full else f"{text} Try /agent help.", meant)
    return _blocks(answer["text"], [*answer["blocks"], *help_on("")["blocks"]]) if in_full else answer


def last_day(rows: Sequence[Incident], now: datetime) -> list[Incident]:
    return [row for row in rows if now - row.opened_at <= timedelta(hours=24) or row.state is not State.RESOLVED]


def _listed(title: str, lines: list[str], total: int) -> Answer:
    more = [f"+{total - len(lines)} more"] if total > len(lines) else []
    return _blocks(title, [section(f"*{title}*", *lines, *more)])


def _blocks(text: str, blocks: list[Block]) -> Answer:
    return {"text": text, "blocks": blocks}
