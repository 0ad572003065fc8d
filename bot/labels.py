"""Label sets, their fingerprints, and matchers in Alertmanager's syntax. The one door to RE2.

A label set is a plain dict of str to str. An empty value is the same as no label, as in Prometheus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

import re2

Labels = Mapping[str, str]

_FNV_OFFSET = 14695981039346656037
_FNV_PRIME = 1099511628211
_MASK = (1 << 64) - 1


def fingerprint(labels: Labels) -> str:
    """16 hex digits of FNV-1a over sorted name and value pairs, the same as Prometheus' common/model."""
    value = _FNV_OFFSET
    for name in sorted(labels):
        for text in (name, labels[name]):
            for byte in (*text.encode(), 255):
                value = ((value ^ byte) * _FNV_PRIME) & _MASK
    return f"{value:016x}"


def compile_regex(pattern: str) -> Any:
    """A fully anchored RE2 pattern in which a dot also matches a newline. Raises ValueError on a bad pattern."""
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = 4 << 20
    try:
        return re2.compile(f"^(?:{pattern})$", options)
    except re2.error as error:
        detail = error.args[0] if error.args else error
        text = detail.decode() if isinstance(detail, bytes) else str(detail)
        raise ValueError(f'bad regular expression "{pattern}": {text}') from None


class Op(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True)
class Matcher:
    """One comparison of a label with a value. An absent label compares as the empty string."""

    name: str
    op: Op
    value: str
    _regex: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.op in {Op.REGEX, Op.NOT_REGEX}:
            object.__setattr__(self, "_regex", compile_regex(self.value))

    def matches_value(self, value: str) -> bool:
        match self.op:
            case Op.EQUAL:
                return value == self.value
            case Op.NOT_EQUAL:
                return value != self.value
            case Op.REGEX:
                return self._regex.fullmatch(value) is not None
            case Op.NOT_REGEX:
                return self._regex.fullmatch(value) is None

    def matches(self, labels: Labels) -> bool:
        return self.matches_value(labels.get(self.name, ""))

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.op}"{escaped}"'


def matches_all(matchers: Sequence[Matcher], labels: Labels) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)


_TOKEN = re2.compile(r'\s*("(?:[^"\\]|\\.)*"|[^\s,={}!~"]+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^\s,{}"]*)\s*(,|$)')
_ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}


@lru_cache(maxsize=4096)  # a configuration is looked at by many checks, a silence at each report
def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Reads `a="b", c=~"d.*"`, with or without braces, values quoted or bare.

    Source: Alertmanager docs, "Matchers". Raises ValueError naming the part that does not parse.
    """
    body = text.strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1].strip()
    body = body.removesuffix(",")
    if not body:
        raise ValueError('empty matcher; write for example agent="refund-agent"')
    found: list[Matcher] = []
    position = 0
    while position < len(body):
        token = _TOKEN.match(body, position)
        if token is None:
            raise ValueError(f'cannot read matcher at "{body[position:]}"; write name="value"')
        name, op, value, _ = token.groups()
        found.append(Matcher(_unquote(name), Op(op), _unquote(value)))
        position = token.end()
    return tuple(found)


def _unquote(text: str) -> str:
    if not text.startswith('"'):
        return text
    out: list[str] = []
    characters = iter(text[1:-1])
    for character in characters:
        if character == "\\":
            escaped = next(characters)
            out.append(_ESCAPES.get(escaped, "\\" + escaped))
        else:
            out.append(character)
    return "".join(out)
