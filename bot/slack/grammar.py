"""What people type after `/agent`, after the bot's name and in its direct messages: one small grammar for all.

request := verb [argument] ["--here"]
"""

from __future__ import annotations

import difflib
import re  # noqa: TID251 - fixed pattern, matched against one word
import shlex
from dataclasses import dataclass, field
from html import unescape

VERBS = {
    "status": "all agents, or one: state, owner, who is on call",
    "show": "what matters of an agent at night: who is on call, how to stop it, its last drill: `show refund-agent`",
    "readiness": "what is missing before an agent takes on more: `readiness refund-agent`, or `readiness` for all",
    "cost": "what an agent costs today, against its budget and by the run: `cost refund-agent`, or `cost` for all",
    "ack": "take an incident: `ack INC-7`, `ack last`, `ack refund-agent`, or `ack` when only one is open",
    "resolve": "close an incident by hand",
    "take": "take an incident over from whoever has it; they are told: `take INC-7`",
    "snooze": "have it and hear nothing until a time, unless it worsens: `snooze INC-7 2h`, `snooze until 09:00`",
    "hand": "give it to somebody, who is paged now: `hand INC-7 to ben`",
    "escalate": "page the next level now, whoever has it: `escalate INC-7`",
    "release": "give an acknowledged incident back: it pages again from the first level",
    "pass": "say that you can't take it: the next person is paged now",
    "note": "write something down about an incident: `note INC-7 the vendor is down`",
    "mark": "was it right to wake you? `mark INC-7 right` or `mark INC-7 noise`",
    "silence": 'keep alerts from waking anybody: `silence agent="refund-agent" 2h why`, or `silence INC-7 2h why`',
    "unsilence": "end a silence: `unsilence SIL-3`",
    "silences": "what is silenced, by whom, why and until when",
    "page": 'wake whoever answers for an agent, a team or a person: `page refund-agent "refunds are doubled"`',
    "oncall": "who is on call, for all schedules or one team: `oncall payments`, also `oncall payments at 18:00`",
    "override": "put somebody on call for a time: `override payments @ben 18:00..22:00 dentist`",
    "swap": "trade turns with somebody for a time: `swap payments @ben 2026-12-24..2026-12-27`",
    "overrides": "which overrides and swaps there are",
    "unoverride": "take an override or a swap back: `unoverride ROTA-3`",
    "explain": "who would be paged and why, or why an alert is silent: `explain refund-agent`, `explain INC-7`",
    "test": "try whether a page reaches you: `test me`, or whoever is on call: `test payments`",
    "drill": "try the whole way of a page for an agent, to the first step of its runbook: `drill refund-agent`",
    "runbook": "open the runbook of an incident: `runbook INC-7`, `runbook refund-agent`",
    "step": "what became of a step of the runbook: `step INC-7 3 done`, also skip, failed or undone",
    "approve": "agree to a request that waits for you: `approve INC-7`, or `approve RUN-3`",
    "refuse": "say no to it: `refuse INC-7`",
    "actions": "requests of an incident's runbook and how they stand: `actions INC-7`",
    "web": "where this server is reached by a browser",
    "incidents": "`incidents open` (the default) or `incidents 24h`",
    "help": "this list, or more on one word: `help ack`",
}
# As the help shows them: what a woken person needs first.
GROUPS = {
    "You were woken": ("ack", "pass", "runbook", "step", "resolve"),
    "You have it": ("note", "snooze", "hand", "escalate", "release", "mark"),
    "Others have it": ("take",),
    "Look": ("status", "show", "cost", "readiness", "incidents", "oncall", "explain", "silences", "overrides", "web"),
    "Quieten": ("silence", "unsilence"),
    "Call somebody": ("page", "test", "drill"),
    "Actions": ("actions", "approve", "refuse"),
    "Change a rota": ("override", "swap", "unoverride"),
}

# Changes of one incident: in the thread of its message nobody need name it.
OF_INCIDENT = frozenset(
    {"ack", "take", "snooze", "hand", "escalate", "resolve", "release", "pass", "note", "mark", "step"}
)
BY_HAND = frozenset({"page", "test", "drill", "override", "swap", "unoverride", "approve", "refuse"})
CHANGES = OF_INCIDENT | BY_HAND | {"silence", "unsilence"}
_ALIASES = {
    "acknowledge": "ack",
    "handover": "hand",
    "assign": "hand",
    "takeover": "take",
    "next": "escalate",
    "decline": "pass",
    "close": "resolve",
    "unack": "release",
    "agree": "approve",
    "call": "page",
    "why": "explain",
    "rb": "runbook",
    "book": "runbook",
    "overrule": "override",
    "cover": "override",
    "mute": "silence",
    "unmute": "unsilence",
    "on-call": "oncall",
    "incident": "incidents",
    "list": "incidents",
    "agents": "status",
    "costs": "cost",
    "ready": "readiness",
    "?": "help",
    "": "help",
}


_INCIDENT = re.compile(r"(?i)(inc-)?\d+|last")


@dataclass(frozen=True)
class Request:
    """`verb` is one of VERBS, or empty when the word is none of ours; then `word` is it and `near` what it may mean.
    `words` are what follows the verb, each as one, and `raw` the same as it was written, quotes and all."""

    verb: str
    argument: str = ""
    here: bool = False
    word: str = ""
    near: tuple[str, ...] = ()
    words: tuple[str, ...] = field(default=(), compare=False)
    raw: str = field(default="", compare=False)


def parse(text: str) -> Request:
    words = _split(text[:500])
    here = "--here" in words
    words = [word for word in words if word != "--here"]
    word = words[0].lower() if words else ""
    word = word.rstrip(".,!") or word
    verb = _ALIASES.get(word, word)
    if verb == "escalate" and [one.lower() for one in words[1:2]] == ["to"]:
        verb, words = "page", words[1:]
    argument = " ".join(words[1:])
    if verb in VERBS:
        raw = text.strip().partition(" ")[2].replace("--here", "").strip()
        return Request(verb, argument, here, word, words=tuple(words[1:]), raw=raw)
    near = nearest(word, [*VERBS, *(alias for alias in _ALIASES if alias)])
    near = tuple(dict.fromkeys(_ALIASES.get(one, one) for one in near))
    return Request("", argument, here, word, near, tuple(words[1:]), argument)


def wish(request: Request) -> tuple[str | None, str]:
    """The incident a change is asked for, None when none is named, and what more it needs: until when, or who."""
    words = request.argument.split()
    match request.verb:
        case "snooze":
            words = [word for word in words if word.lower() not in {"for", "until", "till"}]
            named = bool(words) and not _is_time(words[0])
            return (words[0] if named else None), " ".join(words[1:] if named else words)
        case "hand":
            lower = [word.lower() for word in words]
            if "to" in lower:
                at = lower.index("to")
                before = [word for word in words[:at] if word.lower() not in {"over", "it"}]
                return " ".join(before) or None, " ".join(words[at + 1 :])
            return (words[0], " ".join(words[1:])) if len(words) > 1 else (None, " ".join(words))
        case "note":
            first, _, rest = request.raw.partition(" ")
            text = rest if _INCIDENT.fullmatch(first) else request.raw
            return (first if _INCIDENT.fullmatch(first) else None), unescape(text).strip()
        case "step":
            named = bool(words) and _INCIDENT.fullmatch(words[0]) is not None and len(words) > 2
            return (words[0] if named else None), " ".join(words[1:] if named else words)
        case "mark":
            return " ".join(words[:-1]) or None, words[-1].lower() if words else ""
        case _:
            return request.argument or None, ""


def _is_time(word: str) -> bool:
    """`2h`, `09:00`, `2026-12-24T09:00`; a bare number is an incident's."""
    return word[0].isdecimal() and not word.isdecimal()


def nearest(word: str, names: list[str], count: int = 3) -> tuple[str, ...]:
    """The names most like `word`: those that begin with it first, then by likeness."""
    starting = [name for name in names if word and name.startswith(word)]
    alike = difflib.get_close_matches(word, names, n=count, cutoff=0.55)
    return tuple(dict.fromkeys([*starting, *alike]))[:count]


def _split(text: str) -> list[str]:
    plain = text.replace("“", '"').replace("”", '"').replace("‘", "'").replace("’", "'")
    try:
        return shlex.split(plain)
    except ValueError:  # a quote without its partner is an apostrophe
        return plain.split()
