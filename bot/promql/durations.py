"""What the parser does not read about times is worked out in front of it.

Arithmetic in durations, as in `[5m * 2]` and `offset (1h / 2)`, becomes its result. Timestamps become their number in a
list once one of them lies before 1970 or too far ahead for the parser, which then ends in a panic.
"""

from __future__ import annotations

import math
import operator
import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Callable

from bot.errors import QueryError, UnsupportedQueryError

# Prometheus counts durations in nanoseconds and timestamps in milliseconds, both of 64 bits.
MAX_SECONDS = (2**63 - 1) / 1e9
MAX_TIMESTAMP = 9.2e15
_NEAR = 2.5e11

_COMMENT = re.compile(r"\#[^\n\r]*")
_BLANK = r"(?:\s|\#[^\n\r]*+)*+"
_TIME = r"(?i:inf|nan)(?![A-Za-z0-9_:.])|0[xX][0-9a-fA-F_]*|[0-9.][0-9_.]*(?:[eE][-+]?[0-9][0-9_]*)?[A-Za-z0-9_.]*"
_SCAN = re.compile(
    r"""(?P<skip>\#[^\n\r]*|\s+|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|`[^`]*`?)"""
    rf"|(?P<at>@{_BLANK}(?P<sign>[-+]?){_BLANK}(?P<when>{_TIME}))"
    r"|(?P<range>\[(?P<body>(?:[^\]\[\#]|\#[^\n\r]*+)*)\])"
    rf"|(?P<offset>(?i:offset)(?={_BLANK}[-+]?{_BLANK}(?:\(|(?i:min_of|max_of|step|range){_BLANK}\()))"
    rf"|(?P<plain>(?i:offset){_BLANK}[-+]?{_BLANK}(?P<length>{_TIME}))"
    r"|[A-Za-z0-9_:.]+|.",
    re.DOTALL,
)
_TOKEN = re.compile(rf"{_BLANK}(?:(?P<time>{_TIME})|(?P<word>[A-Za-z_]+)|(?P<sign>.)|$)", re.DOTALL)
_DURATION = re.compile(
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?"
)
_UNITS = (31_536_000.0, 604_800.0, 86_400.0, 3600.0, 60.0, 1.0, 0.001)
_OCTAL = re.compile(r"0[0-7]+")
_ARITHMETIC = re.compile(r"[-+*/%^(]")
# What has to be settled at all is rare, so the text is looked through once for any of it.
_MAYBE = re.compile(r"@|\[[^\]]*(?:[-+*/%^(e_\#]|[0-9]{7})|offset", re.IGNORECASE)
# After one of these an `offset` is the name of a metric.
_NO_OPERAND = frozenset({"", "and", "or", "unless", "atan2", "bool", "by", "without", "on", "ignoring"})

_OPERATORS: dict[str, tuple[int, Callable[[float, float], float]]] = {
    "+": (1, operator.add),
    "-": (1, operator.sub),
    "*": (2, operator.mul),
    "/": (2, operator.truediv),
    "%": (2, math.fmod),
    "^": (3, math.pow),
}
_FUNCTIONS: dict[str, Callable[[float, float], float]] = {"min_of": min, "max_of": max}
_OF_A_SIGN = 2


def settled(text: str) -> tuple[str, tuple[int, ...]]:
    """The text for the parser, and the timestamps in milliseconds that its `@ 0`, `@ 1` … stand for, if they do.

    Raises QueryError for arithmetic without a result and for timestamps beyond 64 bits.
    """
    if not _MAYBE.search(text):
        return text, ()
    times = [_when(found) for found in _SCAN.finditer(text) if found["at"]]
    listed = any(not 0 <= time < _NEAR for time in times)
    pieces: list[str] = []
    done, count, before = 0, 0, ""
    while found := _SCAN.match(text, done):
        done = found.end()
        if found["offset"] and _is_operand(before):
            ms, done = _offset(text, done)
            pieces.append(f"offset {ms}ms")
        elif found["at"] and listed:
            pieces.append(f"@ {count}")
            count += 1
        elif found["range"]:
            pieces.append(_range(found["body"]))
        else:
            if found["plain"] and _is_operand(before):
                _whole_milliseconds(_seconds(found["length"]))
            pieces.append(found.group())
        if not found["skip"]:
            before = found.group()
    return "".join(pieces), tuple(_milliseconds(time) for time in times) if listed else ()


def _is_operand(before: str) -> bool:
    """Whether what stands before an `offset` may have one."""
    return before.lower() not in _NO_OPERAND and (before[-1] in ")]}" or before[-1].isalnum() or before[-1] in "_:.")


def _when(found: re.Match[str]) -> float:
    seconds = _seconds(found["when"])
    if not abs(seconds) < MAX_TIMESTAMP:
        raise QueryError(f"parse error: timestamp out of bounds for @ modifier: {found['when']}")
    return -seconds if found["sign"] == "-" else seconds


def _milliseconds(seconds: float) -> int:
    """Half a millisecond away from zero, as Prometheus rounds timestamps."""
    return int(math.copysign(math.floor(abs(seconds) * 1000 + 0.5), seconds))


def _seconds(text: str) -> float:
    """A number, or a duration such as `1h30m`."""
    digits = text.replace("_", "")
    try:
        if digits[:2] in {"0x", "0X"}:
            return float(int(digits, 16))
        return float(int(digits, 8)) if _OCTAL.fullmatch(digits) else float(digits)
    except ValueError:
        parts = _DURATION.fullmatch(text)
        if parts is None:
            raise QueryError(f"parse error: bad number or duration syntax: {text!r}") from None
        seconds = sum(int(part) * unit for part, unit in zip(parts.groups(), _UNITS, strict=True) if part)
        _whole_milliseconds(seconds)
        return seconds


def _range(body: str) -> str:
    """The brackets of a range or subquery with their arithmetic done."""
    length, colon, step = _COMMENT.sub("", body).partition(":")
    return f"[{_positive(length)}{colon}{_positive(step) if step.strip() else ''}]"


def _positive(text: str) -> str:
    if not _ARITHMETIC.search(text):
        plain = _TOKEN.match(text)
        if plain is not None and plain["time"]:
            # What is too long ends the parser in a panic.
            _whole_milliseconds(_seconds(plain["time"]))
        return text.replace("_", "")
    seconds = _Sum(text, 0).whole()
    if seconds <= 0:
        raise QueryError("parse error: duration must be greater than 0")
    return f"{_whole_milliseconds(seconds)}ms"


def _offset(text: str, start: int) -> tuple[int, int]:
    """Of what follows `offset`: its milliseconds and where it ends. Without brackets only one operand counts."""
    sum_ = _Sum(text, start)
    seconds = sum_.value(_OF_A_SIGN + 2)
    return _whole_milliseconds(seconds), sum_.at


def _whole_milliseconds(seconds: float) -> int:
    if not abs(seconds) <= MAX_SECONDS:
        raise QueryError("parse error: duration out of range")
    return int(seconds * 1000)


class _Sum:
    """Reads an arithmetic expression from a place in a text; `at` is where it stopped."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self.at = start
        self.last = self._token()

    def _token(self) -> re.Match[str]:
        found = _TOKEN.match(self._text, self.at)
        assert found is not None
        return found

    def _pass(self) -> None:
        self.at = self.last.end()
        self.last = self._token()

    def _sign(self, expected: str) -> None:
        if self.last["sign"] != expected:
            raise QueryError(f"parse error: expected {expected!r} in a duration, got {self._shown()!r}")
        self._pass()

    def whole(self) -> float:
        """The value of a text that holds nothing else."""
        seconds = self.value(0)
        if rest := self._shown():
            raise QueryError(f"parse error: unexpected {rest!r} in a duration")
        return seconds

    def _shown(self) -> str:
        return self.last["time"] or self.last["word"] or self.last["sign"] or ""

    def value(self, least: int) -> float:
        """Operators that bind at least so tightly; those of one rank go from left to right but for powers."""
        left = self._operand(least)
        while (name := self.last["sign"] or "") in _OPERATORS and (rank := _OPERATORS[name][0]) >= least:
            self._pass()
            right = self.value(rank if name == "^" else rank + 1)
            left = _reckoned(name, left, right)
        return left

    def _operand(self, least: int) -> float:
        token = self.last
        if token["time"]:
            self._pass()
            return _seconds(token["time"])
        if token["sign"] in {"+", "-"}:
            self._pass()
            inner = self.value(max(_OF_A_SIGN, least))
            return -inner if token["sign"] == "-" else inner
        if token["sign"] == "(":
            self._pass()
            inner = self.value(0)
            self._sign(")")
            return inner
        if token["word"]:
            return self._call(token["word"].lower())
        raise QueryError(f"parse error: unexpected {self._shown()!r} in a duration")

    def _call(self, name: str) -> float:
        if name not in _FUNCTIONS:
            raise UnsupportedQueryError(f"unsupported in durations: {name}(); write a number")
        self._pass()
        self._sign("(")
        first = self.value(0)
        self._sign(",")
        second = self.value(0)
        self._sign(")")
        return _FUNCTIONS[name](first, second)


def _reckoned(name: str, left: float, right: float) -> float:
    if name in "/%" and right == 0:
        raise QueryError(f"parse error: {'division' if name == '/' else 'modulo'} by zero in a duration")
    try:
        return _OPERATORS[name][1](left, right)
    except (OverflowError, ValueError):
        raise QueryError("parse error: duration out of range") from None
