"""Counts what could harm the parser before it sees the text: it ends the whole process on deep input.

Only brackets and operators outside of strings and comments count; whether the text is PromQL is not decided here.
Raw strings are respelled as quoted ones: the parser stumbles over backslashes in them (a pattern like `\\d+`).
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's

from bot.errors import QueryError
from bot.promql.nodes import quoted

MAX_BYTES = 8 * 1024
MAX_NESTING = 100
# A level costs the parser about 2 kB of stack; both limits together stay below the 1 MiB of a small thread.
MAX_OPERATORS = 250

# One token at a time; every alternative is bounded by what it eats, so the scan is linear.
_TOKEN = re.compile(
    r"""(?P<skip>\#[^\n\r]*|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|(?P<raw>`[^`]*`?))"""
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])"
    r"|(?P<word>[A-Za-z0-9_:.]+)"
    r"|(?P<operator>[-+*/%^<>!=~]=?~?)",
    re.DOTALL,
)
_WORDS = frozenset({"and", "or", "unless", "atan2"})


def checked(text: str) -> str:
    """The text for the parser. Raises QueryError when it is too long, nested too deep or has too many operators."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise QueryError("parse error: the expression is not valid UTF-8") from None
    if size > MAX_BYTES:
        raise QueryError(f"expression is too long: {size} bytes, the limit is {MAX_BYTES}")
    operators = 0
    brackets: list[str] = []
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "skip" if (raw := token["raw"]) and (len(raw) == 1 or raw[-1] != "`"):
                raise QueryError("parse error: unterminated raw string")
            case "open":
                brackets.append(token.group())
            case "close" if brackets:
                brackets.pop()
            case "operator" if not brackets or brackets[-1] != "{":
                operators += 1
            case "word" if token.group().lower() in _WORDS:
                operators += 1
            case _:
                continue
        if len(brackets) > MAX_NESTING:
            raise QueryError(f"expression is nested too deep: more than {MAX_NESTING} brackets")
        if operators > MAX_OPERATORS:
            raise QueryError(f"expression has too many operators: more than {MAX_OPERATORS}")
    return _TOKEN.sub(_respelled, text) if "`" in text else text


def _respelled(token: re.Match[str]) -> str:
    raw = token["raw"]
    return quoted(raw[1:-1]) if raw else token.group()
