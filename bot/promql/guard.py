"""Counts what could harm the parser before it sees the text: it ends the whole process on deep input.

Only brackets and operators outside of strings and comments count; whether the text is PromQL is not decided here.
What the parser does not read is respelled: raw strings (it stumbles over backslashes in them, as in `\\d+`), strings
with bytes by number, numbers with underscores. What it cannot read at all is named by `refuse_unsupported`.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's

from bot.errors import QueryError, UnsupportedQueryError
from bot.promql.nodes import quoted

MAX_BYTES = 8 * 1024
MAX_NESTING = 100
# A level costs the parser about 2 kB of stack; both limits together stay below the 1 MiB of a small thread.
MAX_OPERATORS = 250
# An escape costs it half a kilobyte, all those of a string at once; one in a raw string has become two backslashes.
MAX_BACKSLASHES = 1000

# One token at a time; every alternative is bounded by what it eats, so the scan is linear.
_TOKEN = re.compile(
    r"""(?P<skip>\#[^\n\r]*|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|(?P<raw>`[^`]*`?))"""
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])"
    r"|(?P<word>[A-Za-z0-9_:.]+)"
    r"|(?P<operator>[-+*/%^<>!=~]=?~?)",
    re.DOTALL,
)
# What has to be respelled at all is rare, so the text is looked through once for any of it.
_RESPELL = re.compile(r"`|\\[x0-7]|[0-9a-fA-FxX]_")
_BYTES = re.compile(r"\\(?:x|[0-7])")
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_NUMBER = re.compile(
    rf"0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE](?:{_DIGITS})?)?"
)
_ESCAPE = re.compile(
    r"\\x(?P<hex>[0-9a-fA-F]{2})|\\(?P<octal>[0-3][0-7]{2})|\\(?P<code>u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|\\.|[^\\]+",
    re.DOTALL,
)
_PLAIN = {
    "\\a": "\a", "\\b": "\b", "\\f": "\f", "\\n": "\n", "\\r": "\r", "\\t": "\t", "\\v": "\v",
    "\\\\": "\\", '\\"': '"', "\\'": "'",
}  # fmt: skip
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
    plain = _TOKEN.sub(_respelled, text) if _RESPELL.search(text) else text
    if plain.count("\\") > MAX_BACKSLASHES:
        raise QueryError(f"expression has too many backslashes: more than {MAX_BACKSLASHES}")
    return plain


def _respelled(token: re.Match[str]) -> str:
    text = token.group()
    if raw := token["raw"]:
        return quoted(raw[1:-1])
    if text[0] in "\"'" and _BYTES.search(text):
        return quoted(_decoded(text))
    return text.replace("_", "") if _NUMBER.fullmatch(text) else text


def _decoded(literal: str) -> str:
    """A string in which `\\xC3` and `\\303` stand for bytes of UTF-8, as in Go."""
    out = bytearray()
    for piece in _ESCAPE.finditer(literal[1:-1]):
        text = piece.group()
        if piece["hex"]:
            out.append(int(piece["hex"], 16))
        elif piece["octal"]:
            out.append(int(piece["octal"], 8) & 255)
        elif piece["code"]:
            try:
                out += chr(int(piece["code"][1:], 16)).encode()
            except (ValueError, OverflowError, UnicodeEncodeError):
                raise QueryError(f"parse error: invalid escape {text} in string {literal}") from None
        else:
            if text[0] == "\\" and text not in _PLAIN:
                raise QueryError(f"parse error: unknown escape {text} in string {literal}")
            out += _PLAIN.get(text, text).encode()
    try:
        return out.decode()
    except UnicodeDecodeError:
        raise QueryError(f"parse error: string {literal} is not valid UTF-8") from None


def refuse_unsupported(text: str) -> None:
    """Raises UnsupportedQueryError when a text that the parser does not read holds something that it never reads."""
    brackets: list[str] = []
    before = ""
    for token in _TOKEN.finditer(text):
        word = token.group()
        if token.lastgroup == "skip":
            continue
        if word.lower() in {"smoothed", "anchored"}:
            if before == "]":
                raise UnsupportedQueryError(f"unsupported modifier: {word}")
            raise UnsupportedQueryError(f'unsupported as a name: {word}; write it in quotes, as in {{"{word}"}}')
        if (before, word) in {("<", "/"), (">", "/")} and "{" not in brackets[-1:]:
            raise UnsupportedQueryError(f"unsupported operator: {before}{word}, which trims histograms")
        if token["open"]:
            brackets.append(word)
        elif token["close"] and brackets:
            brackets.pop()
        before = word
