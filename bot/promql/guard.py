"""Counts what could harm the parser before it sees the text: it ends the whole process on deep input.

Only brackets and operators outside of strings and comments count; whether the text is PromQL is not decided here.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's

from bot.errors import QueryError

MAX_BYTES = 8 * 1024
MAX_NESTING = 100
MAX_OPERATORS = 500

# One token at a time; every alternative is bounded by what it eats, so the scan is linear.
_TOKEN = re.compile(
    r"""(?P<skip>\#[^\n]*|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|`[^`]*`?)"""
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])"
    r"|(?P<word>[A-Za-z0-9_:.]+)"
    r"|(?P<operator>[-+*/%^<>!=~]=?~?)",
    re.DOTALL,
)
_WORDS = frozenset({"and", "or", "unless", "atan2"})


def check(text: str) -> None:
    """Raises QueryError when the text is too long, nested too deep or has too many operators."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise QueryError("parse error: the expression is not valid UTF-8") from None
    if size > MAX_BYTES:
        raise QueryError(f"expression is too long: {size} bytes, the limit is {MAX_BYTES}")
    depth = operators = 0
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth = max(0, depth - 1)
            case "operator":
                operators += 1
            case "word" if token.group().lower() in _WORDS:
                operators += 1
            case _:
                continue
        if depth > MAX_NESTING:
            raise QueryError(f"expression is nested too deep: more than {MAX_NESTING} brackets")
        if operators > MAX_OPERATORS:
            raise QueryError(f"expression has too many operators: more than {MAX_OPERATORS}")
