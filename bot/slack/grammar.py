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
    "oncall": "who is on call, for all schedules or one team: `oncall payments`",
    "incidents": "`incidents open` (the default) or `incidents 24h`",
    "help": "this list, or more on one word: `help ack`",
}
CHANGES = frozenset(
    {"ack", "take", "snooze", "hand", "escalate", "resolve", "release", "pass", "silence", "unsilence"}
) | {
    "note",
    "mark",
}
_ALIASES = {
    "acknowledge": "ack",
    "handover": "hand",
    "assign": "hand",
    "takeover": "take",
    "next": "escalate",
    "decline": "pass",
    "close": "resolve",
    "unack": "release",
    "mute": "silence",
    "unmute": "unsilence",
    "on-call": "oncall",
    "incident": "incidents",
    "list": "incidents",
    "agents": "status",
    "?": "help",
    "": "help",
}


_INCIDENT = re.compile(r"(?i)(inc-)?\d+|last")


@dataclass(frozen=True)
class Request:
    """`verb` is one of VERBS, or empty when the word is none of ours; then `word` is it and `near` what it may mean.
    `raw` is what follows the verb as it was written, quotes and all."""

    verb: str
    argument: str = ""
    here: bool = False
    word: str = ""
    near: tuple[str, ...] = ()
    raw: str = field(default="", compare=False)


def parse(text: str) -> Request:
    words = _split(text[:500])
    here = "--here" in words
    words = [word for word in words if word != "--here"]
    word = words[0].lower() if words else ""
    word = word.rstrip(".,!") or word
    verb = _ALIASES.get(word, word)
    argument = " ".join(words[1:])
    if verb in VERBS:
        raw = text.strip().partition(" ")[2].replace("--here", "").strip()
        return Request(verb, argument, here, word, raw=raw)
    return Request("", argument, here, word, nearest(word, [*VERBS, *(alias for alias in _ALIASES if alias)]))


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
    alike = difflib.get_close_matches(word, names, n=count, cutoff=0.5)
    return tuple(dict.fromkeys([*starting, *alike]))[:count]


def _split(text: str) -> list[str]:
    plain = text.replace("“", '"').replace("”", '"').replace("‘", "'").replace("’", "'")
    try:
        return shlex.split(plain)
    except ValueError:  # a quote without its partner is an apostrophe
        return plain.split()
