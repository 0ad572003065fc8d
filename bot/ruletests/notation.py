"""The series notation: `m{a="b"}` and `1+2x3 _ stale`, one character after the other, as Prometheus reads it.

Knows no file and no time. Every mistake says at which character of the text it is.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from bot.promql.cells import HOLE, STALE

NAME = "__name__"
MAX_SAMPLES = 10_000_000  # of one series: 80 MB

_SPACE = re.compile(r"[ \t\n\r]+")
_BLANKS = re.compile(r"(?:[ \t\n\r]|#[^\n\r]*)*")
_METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|' + r"'(?:[^'\\\n]|\\.)*'" + "|`[^`]*`")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_:]*")
# Hexadecimal numbers are not read here, as in Prometheus: 0x10 is eleven zeros.
_NUMBER = re.compile(r"(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?(?![A-Za-wyz0-9_.])")
_WHOLE = re.compile(r"[0-9]+(_[0-9]+)*")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[abfnrtv\\'\"])")
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class NotationError(Exception):
    """`position` counts characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        self.position = position
        super().__init__(message)


class HistogramError(NotationError):
    """A native histogram: well written, maybe, but not for this engine. `labels` are the series'."""

    def __init__(self, position: int) -> None:
        self.labels: dict[str, str] = {}
        super().__init__("native histograms are not supported", position)


@dataclass(frozen=True)
class Series:
    """`values` has a HOLE where there is no sample and STALE where the series ends."""

    labels: dict[str, str]
    values: Sequence[float]


def parse_series(text: str) -> Series:
    """A metric and its values, one text. Raises NotationError, HistogramError."""
    labels, position = _metric(text, 0, spaced=False)
    try:
        return Series(labels, _values(text, position))
    except HistogramError as error:
        error.labels = labels
        raise


def parse_metric(text: str) -> dict[str, str]:
    """A label set as expectations name it. Raises NotationError."""
    start = _skip(text, 0)
    labels, position = _metric(text, start, spaced=True)
    position = _skip(text, position)
    if position < len(text):
        raise NotationError(f"unexpected {_shown(text, position)} after the metric", position)
    return labels


def _metric(text: str, position: int, *, spaced: bool) -> tuple[dict[str, str], int]:
    labels: dict[str, str] = {}
    name = _METRIC.match(text, position)
    if name is not None:
        labels[NAME] = name.group()
        position = name.end()
    brace = _skip(text, position) if spaced or name is None else position
    if brace < len(text) and text[brace] == "{" and not text.startswith("{{", brace):
        labels, position = _labels(text, brace + 1, labels)
        # Prometheus drops empty labels here only where a name stands in front, so `{a=""}` equals no result at all.
        return (labels if name is None else {key: value for key, value in labels.items() if value}), position
    if name is None and not spaced:
        raise NotationError(f"expected a metric name or {{, not {_shown(text, position)}", position)
    return labels, position


def _labels(text: str, position: int, labels: dict[str, str]) -> tuple[dict[str, str], int]:
    while True:
        position = _skip(text, position)
        if text.startswith("}", position):
            return labels, position + 1
        label, value, after = _label(text, position)
        if label in labels:
            what = "the metric name" if label == NAME else f'label "{label}"'
            raise NotationError(f"{what} is here twice", position)
        labels[label] = value
        position = _skip(text, after)
        if text.startswith(",", position):
            position += 1
        elif not text.startswith("}", position):
            raise NotationError(f"expected , or }} in the labels, not {_shown(text, position)}", position)


def _label(text: str, position: int) -> tuple[str, str, int]:
    quoted = _STRING.match(text, position)
    match = quoted or _LABEL.match(text, position)
    if match is None:
        raise NotationError(f"expected a label name or }}, not {_shown(text, position)}", position)
    name = _unquoted(match.group(), position) if quoted else match.group()
    after = _skip(text, match.end())
    if not text.startswith("=", after):
        if quoted:
            return NAME, name, match.end()
        raise NotationError(f"expected = after {name}, not {_shown(text, after)}", after)
    after = _skip(text, after + 1)
    value = _STRING.match(text, after)
    if value is None:
        raise NotationError(f"expected a value in quotes for {name}, not {_shown(text, after)}", after)
    return name, _unquoted(value.group(), after), value.end()


def _unquoted(quoted: str, position: int) -> str:
    if quoted[0] == "`":
        return quoted[1:-1]
    body, out, at = quoted[1:-1], bytearray(), 0
    while (slash := body.find("\\", at)) >= 0:
        match = _ESCAPE.match(body, slash)
        if match is None or match[1] in {'"', "'"} - {quoted[0]}:
            raise NotationError(f"unknown escape {body[slash : slash + 2]}", position + 1 + slash)
        out += body[at:slash].encode()
        out += _escaped(match[1])
        at = match.end()
    out += body[at:].encode()
    try:
        return out.decode()
    except UnicodeDecodeError:
        raise NotationError("the text is not valid UTF-8", position) from None


def _escaped(code: str) -> bytes:
    if code[0] == "x":
        return bytes([int(code[1:], 16)])
    if code[0] in "uU":
        return chr(int(code[1:], 16)).encode("utf-8", "surrogatepass")
    if code.isdecimal():
        return bytes([int(code, 8) & 0xFF])
    return _PLAIN.get(code, code).encode()


def _values(text: str, position: int) -> array[float]:
    values = array("d")
    while position < len(text):
        space = _SPACE.match(text, position)
        if space is None:
            raise NotationError(f"expected a space before {_shown(text, position)}", position)
        position = space.end()
        if position < len(text):
            position = _item(text, position, values)
    return values


def _item(text: str, position: int, values: array[float]) -> int:
    """One word of the sequence, its values appended; returns where it ends."""
    start = position
    if text.startswith("{{", position):
        raise HistogramError(position)
    if text[position] == "_":
        times, position = _times(text, position + 1)
        values.extend([HOLE] * (1 if times is None else _room(values, times, start)))
        return position
    value, position = _value(text, position)
    step = 0.0
    if text[position : position + 1] in {"+", "-"}:
        signed = position
        step, position = _value(text, position)
        times, position = _times(text, position)
        if times is None:
            raise NotationError(f"expected x and a number after {text[start:position]}", signed)
        step = step or 0.0
    else:
        times, position = _times(text, position)
    if times is None:
        values.append(value)
        return position
    for _ in range(_room(values, times + 1, start)):
        values.append(value)
        value += step
    return position


def _times(text: str, position: int) -> tuple[int | None, int]:
    """The repetition after `x`, if there is one."""
    if not text.startswith("x", position):
        return None, position
    match = _NUMBER.match(text, position + 1)
    if match is None or not match.group().isdecimal():
        raise NotationError(f"expected a whole number after x, not {_shown(text, position + 1)}", position + 1)
    return int(match.group()), match.end()


def _room(values: array[float], more: int, position: int) -> int:
    if len(values) + more > MAX_SAMPLES:
        raise NotationError(f"more than {MAX_SAMPLES} samples in one series", position)
    return more


def _value(text: str, position: int) -> tuple[float, int]:
    sign = 1.0
    signed = text[position : position + 1] in {"+", "-"}
    if signed:
        sign = -1.0 if text[position] == "-" else 1.0
        position += 1
    word = _WORD.match(text, position)
    if word is not None:
        if word.group() == "stale" and not signed:
            return float(STALE), word.end()
        if word.group().lower() in {"inf", "nan"}:
            return sign * float(word.group()), word.end()
        raise NotationError(f'expected a number, _ or "stale", not {_shown(text, position)}', position)
    match = _NUMBER.match(text, position)
    if match is None:
        raise NotationError(f'expected a number, _ or "stale", not {_shown(text, position)}', position)
    return sign * _number(match.group(), position), match.end()


def _number(text: str, position: int) -> float:
    """Go's reading: underscores only in whole numbers, and a zero in front makes those octal."""
    if _WHOLE.fullmatch(text):
        digits = text.replace("_", "")
        octal = digits[0] == "0" and len(digits) > 1 and not set(digits) & {"8", "9"}
        if octal or "_" not in text:
            return float(int(digits, 8 if octal else 10))
        if digits[0] != "0":
            return float(int(digits))
    if "_" in text:
        raise NotationError(f"{text} is not a number", position)
    return float(text)


def _skip(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    assert match is not None
    return match.end()


def _shown(text: str, position: int) -> str:
    """What stands there, up to the next space, for a message."""
    rest = text[position : position + 30].split(maxsplit=1)
    return (
        f'"{rest[0]}"' if rest and not text[position].isspace() else "the end" if position >= len(text) else "a space"
    )
