"""Parameters of Prometheus' HTTP API: what is accepted, and in which words anything else is refused."""

from __future__ import annotations

import math
import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Sequence
from datetime import datetime

from bot.errors import QueryError
from bot.promql.nodes import Instant
from bot.promql.parse import Expr, parse
from bot.schema import parse_duration

# Go's floats but for the hexadecimal ones; Python's would also take blanks and underscores.
_FLOAT = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:inf|infinity|nan))", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_INT64 = 1 << 63
# Go's largest durations and instants that its API writes down as bounds of everything.
_LONGEST_SECONDS = _INT64 / 1e9
BEGINNING, END = "-292273086-05-16T16:47:06Z", "292277025-08-18T07:12:54.999999999Z"
_EVER_SECONDS = 1e12
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


class Form:
    """The fields of a request, in order and with repeats; a form body's come before those of the URL."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        self.fields = fields
        self._fields: dict[str, list[str]] = {}
        for name, value in fields:
            self._fields.setdefault(name, []).append(value)

    def first(self, name: str) -> str:
        """Empty when it is not there, as in Go."""
        return self._fields.get(name, [""])[0]

    def every(self, name: str) -> list[str]:
        return self._fields.get(name, [])

    def expression(self, name: str = "query", *, experimental: bool = False) -> Expr:
        try:
            return parse(self.first(name), experimental=experimental)
        except QueryError as error:
            raise wrong(name, str(error)) from None

    def instant(self, name: str) -> float:
        """Unix seconds of a parameter that must be there."""
        try:
            return seconds_of(self.first(name))
        except ValueError as error:
            raise wrong(name, str(error)) from None

    def optional_instant(self, name: str) -> float | None:
        text = self.first(name)
        if not text:
            return None
        try:
            return seconds_of(text)
        except ValueError as error:
            raise wrong(name, f"invalid time value for '{name}': {error}") from None

    def duration(self, name: str) -> float:
        try:
            return duration_of(self.first(name))
        except ValueError as error:
            raise wrong(name, str(error)) from None

    def lookback(self) -> float:
        try:
            return duration_of(self.first("lookback_delta"))
        except ValueError as error:
            raise QueryError(f"error parsing lookback delta duration: {error}") from None

    def page_size(self, name: str) -> int:
        text = self.first(name)
        try:
            size = integer_of(text, "strconv.ParseInt", 1 << 31)
        except ValueError as error:
            raise wrong(name, f"{name} needs to be a valid number: {error}") from None
        if size <= 0:
            raise wrong(name, f"{name} needs to be greater than 0")
        return size

    def limit(self) -> int:
        """0 means none."""
        text = self.first("limit")
        if not text:
            return 0
        try:
            limit = integer_of(text)
        except ValueError as error:
            raise wrong("limit", str(error)) from None
        if limit < 0:
            raise wrong("limit", "limit must be non-negative")
        return limit

    def count(self, name: str, *, smallest: int | None = None) -> int:
        """-1 when it is not there."""
        text = self.first(name)
        if not text:
            return -1
        kind = "number" if smallest is None else "positive number"
        try:
            found = integer_of(text)
        except ValueError:
            raise QueryError(f"{name} must be a {kind}") from None
        if smallest is not None and found < smallest:
            raise QueryError(f"{name} must be a {kind}")
        return found

    def yes(self, name: str) -> bool:
        text = self.first(name).lower()
        if text and text not in _TRUE | _FALSE:
            raise wrong(name, f'error converting {name}: strconv.ParseBool: parsing "{text}": invalid syntax')
        return text in _TRUE

    def matcher_sets(self, name: str = "match[]") -> list[Instant]:
        """Raises QueryError on a selector that everything would match too."""
        try:
            return [selector_of(text) for text in self.every(name)]
        except QueryError as error:
            if "at least one non-empty matcher" not in str(error):
                raise
            raise QueryError(f"{name} must contain at least one non-empty matcher") from None


def wrong(name: str, why: str) -> QueryError:
    return QueryError(f'invalid parameter "{name}": {why}')


def selector_of(text: str) -> Instant:
    """`name{label="value"}` and nothing around it."""
    node = parse(text).node
    if not isinstance(node, Instant) or node.offset_ms or node.at is not None or text.lstrip().startswith("("):
        raise QueryError(f'parse error: "{text}" is not a selector such as up{{job="agents"}}')
    return node


def seconds_of(text: str) -> float:
    """An instant in unix seconds, from a number or RFC 3339. Raises ValueError in Prometheus' words."""
    if _FLOAT.fullmatch(text) and math.isfinite(seconds := float(text)):
        return seconds
    if _RFC3339.fullmatch(text):
        try:
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError):
            pass
    if text in {BEGINNING, END}:
        return -_EVER_SECONDS if text == BEGINNING else _EVER_SECONDS
    raise ValueError(f"cannot parse {go_quoted(text)} to a valid timestamp")


def duration_of(text: str) -> float:
    """Seconds, from a number or a duration such as 1m30s. Raises ValueError in Prometheus' words."""
    if _FLOAT.fullmatch(text):
        seconds = float(text)
        if abs(seconds) > _LONGEST_SECONDS:
            raise ValueError(f"cannot parse {go_quoted(text)} to a valid duration. It overflows int64")
        return 0.0 if math.isnan(seconds) else seconds
    try:
        return parse_duration(text).total_seconds()
    except ValueError:
        raise ValueError(f"cannot parse {go_quoted(text)} to a valid duration") from None


def integer_of(text: str, reader: str = "strconv.Atoi", bound: int = _INT64) -> int:
    """Raises ValueError in Go's words."""
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{reader}: parsing {go_quoted(text)}: invalid syntax")
    if len(text) > 20 or not -bound <= int(text) < bound:
        raise ValueError(f"{reader}: parsing {go_quoted(text)}: value out of range")
    return int(text)


def go_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(_shown(character) for character in escaped) + '"'


def _shown(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x00": "\\x00"}
    if character.isprintable():
        return character
    return named.get(character) or (f"\\x{ord(character):02x}" if ord(character) < 0x80 else f"\\u{ord(character):04x}")


def unescaped(name: str) -> str:
    """A label name in a path: `U__` marks one whose other characters are written `_HEX_`, and `_` as `__`."""
    if not name.startswith("U__"):
        return name
    out: list[str] = []
    for piece in _ESCAPED.finditer(name[3:]):
        plain, double, code = piece.groups()
        if plain or double:
            out.append(plain or "_")
        elif code and int(code, 16) < 0x110000 and not 0xD800 <= int(code, 16) < 0xE000:
            out.append(chr(int(code, 16)))
        else:
            return name
    return "".join(out)


# The last alternative takes what is not an escape at all.
_ESCAPED = re.compile(r"([^_]+)|(__)|_([0-9A-Fa-f]{1,6})_|_")
