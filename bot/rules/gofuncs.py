"""The functions a rule's template may call, and Go's printf: pure, values in, values or text out.

A Go value is here a Python float (float64), int, str, bool, None (nil) or dict (map[string]string).
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote_plus

from bot.errors import TemplateError
from bot.humanize import (
    go_float,
    humanize,
    humanize1024,
    humanize_duration,
    humanize_percentage,
    humanize_timestamp,
)
from bot.schema import parse_duration

MAX_WIDTH = 1000  # Go allows a million: enough to fill memory from one label

_VERB = re.compile(r"%([-+# 0]*)(\d*)(?:\.(\d*))?(.?)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[iI]nf(?:inity)?|[nN]a[nN])")
_WORD = re.compile(r"(?<!\w)[^\W\d_]")


def go_type(value: Any) -> str:
    if value is None:
        return "<nil>"
    names = {bool: "bool", float: "float64", int: "int", str: "string", dict: "map[string]string"}
    return names[type(value)]


def to_text(value: Any) -> str:
    """What Go's fmt prints for `%v`."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return go_float(value)
        case dict():
            return "map[" + " ".join(f"{name}:{value[name]}" for name in sorted(value)) + "]"
        case _:
            return str(value)


def truth(value: Any) -> bool:
    return bool(value)


def printf(layout: Any, *args: Any) -> str:
    """Go's fmt.Sprintf for the verbs rules use; a wrong verb prints Go's own complaint, as Prometheus would."""
    if not isinstance(layout, str):
        raise TemplateError(f"wrong type for value; expected string; got {go_type(layout)}")
    rest = list(args)

    def expand(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not verb:
            return "%!(NOVERB)"
        if not rest:
            return f"%!{verb}(MISSING)"
        places = None if precision is None else int(precision or 0)
        if int(width or 0) > MAX_WIDTH or (places or 0) > MAX_WIDTH:
            raise TemplateError(f"printf width or precision over {MAX_WIDTH}")
        return _pad(_verb(rest.pop(0), verb, flags, places), flags, int(width or 0))

    text = _VERB.sub(expand, layout)
    if rest:
        text += "%!(EXTRA " + ", ".join(f"{go_type(value)}={to_text(value)}" for value in rest) + ")"
    return text


def _verb(value: Any, verb: str, flags: str, places: int | None) -> str:
    plus = "+" if "+" in flags else ""
    match value, verb:
        case (_, "v"):
            return to_text(value)
        case (bool(), "t"):
            return to_text(value)
        case (str(), "s"):
            return value if places is None else value[:places]
        case (str(), "q"):
            return go_quote(value)
        case (float(), "f" | "F" | "e" | "g"):
            text = _float_verb(value, verb.lower(), places)
            return text if text[0] in "+-" or not plus else plus + text
        case (int(), "d") if not isinstance(value, bool):
            return f"{plus if value >= 0 else ''}{value}"
        case (int(), "x" | "X" | "o" | "b") if not isinstance(value, bool):
            return format(value, verb)
        case _:
            return f"%!{verb}({go_type(value)}={to_text(value)})"


def _float_verb(value: float, verb: str, places: int | None) -> str:
    if verb == "g":
        return go_float(value, "g", places)
    return go_float(value, verb, 6 if places is None else places)


def _pad(text: str, flags: str, width: int) -> str:
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and text[-1:].isdigit():
        sign = text[0] if text[0] in "+-" else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


_QUOTED = {
    "\\": "\\\\",
    '"': '\\"',
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\v": "\\v",
}


def go_quote(text: str) -> str:
    return '"' + "".join(_QUOTED.get(char, char if char.isprintable() else _escaped(char)) for char in text) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def to_number(value: Any) -> float:
    if type(value) is float:  # nearly always
        return value
    match value:
        case bool() | None | dict():
            raise TemplateError(f"can't convert {go_type(value)} to float")
        case str():
            if _NUMBER.fullmatch(value) is None:
                raise TemplateError(f"{go_quote(value)} is not a number")
            return float(value)
        case _:
            return float(value)


def _numeric(function: Callable[[float], str]) -> Callable[[Any], str]:
    def call(value: Any) -> str:
        try:
            return function(to_number(value))
        except ValueError as error:
            raise TemplateError(str(error)) from None

    return call


def _text(function: Callable[[str], str]) -> Callable[[Any], str]:
    def call(value: Any) -> str:
        if not isinstance(value, str):
            raise TemplateError(f"wrong type for value; expected string; got {go_type(value)}")
        return function(value)

    return call


def _same_kind(left: Any, right: Any) -> None:
    if type(left) is not type(right):
        raise TemplateError("incompatible types for comparison" + _float_hint(left, right))
    if left is None or isinstance(left, dict):
        raise TemplateError("non-comparable type")


def _float_hint(left: Any, right: Any) -> str:
    return ": write the number as 5.0, not 5" if {type(left), type(right)} == {int, float} else ""


def equal(left: Any, *others: Any) -> bool:
    for other in others:
        _same_kind(left, other)
        if left == other:
            return True
    return False


def not_equal(left: Any, right: Any) -> bool:
    _same_kind(left, right)
    return bool(left != right)


def less(left: Any, right: Any) -> bool:
    _same_kind(left, right)
    if isinstance(left, bool):
        raise TemplateError("invalid type for comparison")
    return bool(left < right)


def index(container: Any, *keys: Any) -> Any:
    if not isinstance(container, dict):
        raise TemplateError(f"can't index item of type {go_type(container)}")
    if len(keys) != 1 or not isinstance(keys[0], str):
        raise TemplateError("index needs one label name in quotes")
    return container.get(keys[0], "")


def length(value: Any) -> int:
    if not isinstance(value, str | dict):
        raise TemplateError(f"len of type {go_type(value)}")
    return len(value.encode()) if isinstance(value, str) else len(value)


def printed(*values: Any) -> str:
    """fmt.Sprint: a space between two values when neither is a string."""
    text = ""
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            text += " "
        text += to_text(value)
    return text


def title(text: str) -> str:
    """Go's strings.Title: the first letter of each word, nothing else."""
    return _WORD.sub(lambda match: match[0].upper(), text)


def strip_port(address: str) -> str:
    host, colon, port = address.rpartition(":")
    if not colon or "]" in port:
        return address.removeprefix("[").removesuffix("]") if colon else address
    if host.startswith("["):
        return host[1:-1]
    return address if ":" in host else host


def _last_and(values: Sequence[Any], stop_at: bool) -> Any:
    for value in values:
        if truth(value) is stop_at:
            return value
    return values[-1]


# name: (function, fewest arguments, most arguments; None is any number)
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int | None]] = {
    "humanize": (_numeric(humanize), 1, 1),
    "humanize1024": (_numeric(humanize1024), 1, 1),
    "humanizeDuration": (_numeric(humanize_duration), 1, 1),
    "humanizePercentage": (_numeric(humanize_percentage), 1, 1),
    "humanizeTimestamp": (_numeric(humanize_timestamp), 1, 1),
    "parseDuration": (_text(lambda text: parse_duration(text).total_seconds()), 1, 1),  # type: ignore[arg-type,return-value]
    "title": (_text(title), 1, 1),
    "toUpper": (_text(str.upper), 1, 1),
    "toLower": (_text(str.lower), 1, 1),
    "stripPort": (_text(strip_port), 1, 1),
    "urlquery": (lambda *values: quote_plus(printed(*values)), 1, None),
    "print": (printed, 0, None),
    "printf": (printf, 1, None),
    "index": (index, 1, None),
    "len": (length, 1, 1),
    "eq": (equal, 2, None),
    "ne": (not_equal, 2, 2),
    "lt": (less, 2, 2),
    "le": (lambda left, right: less(left, right) or equal(left, right), 2, 2),
    "gt": (lambda left, right: not (less(left, right) or equal(left, right)), 2, 2),
    "ge": (lambda left, right: not less(left, right), 2, 2),
    "and": (lambda *values: _last_and(values, stop_at=False), 1, None),
    "or": (lambda *values: _last_and(values, stop_at=True), 1, None),
    "not": (lambda value: not truth(value), 1, 1),
}
