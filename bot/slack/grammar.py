"""What people type after `/agent`, after the bot's name and in its direct messages: one small grammar for all.

request := verb [argument] ["--here"]
"""

from __future__ import annotations

import difflib
import shlex
from dataclasses import dataclass, field

VERBS = {
    "status": "all agents, or one: state, owner, who is on call",
    "ack": "take an incident: `ack INC-7`, `ack last`, `ack refund-agent`, or `ack` when only one is open",
    "resolve": "close an incident by hand",
    "release": "give an acknowledged incident back: it pages again from the first level",
    "pass": "say that you can't take it: the next person is paged now",
    "silence": 'keep alerts from waking anybody: `silence agent="refund-agent" 2h why`, or `silence INC-7 2h why`',
    "unsilence": "end a silence: `unsilence SIL-3`",
    "silences": "what is silenced, by whom, why and until when",
    "oncall": "who is on call, for all schedules or one team: `oncall payments`",
    "incidents": "`incidents open` (the default) or `incidents 24h`",
    "help": "this list, or more on one word: `help ack`",
}
CHANGES = frozenset({"ack", "resolve", "release", "pass", "silence", "unsilence"})
_ALIASES = {
    "acknowledge": "ack",
    "take": "ack",
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
