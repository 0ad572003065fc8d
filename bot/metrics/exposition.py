"""Prometheus' text format and OpenMetrics text, read as Prometheus 3 reads them: body in, samples out, all or nothing.

Follows Prometheus' own lexers (model/textparse) rather than a client library's reader, so that a body Prometheus takes
is taken here too. Labels are as exposed; what a target's settings make of them is naming.py's business.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns with possessive loops, never a user's
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from bot.errors import RemoteError
from bot.settings import ScrapeLimits

ACCEPT = (
    "application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=0.0.4;escaping=underscores;q=0.4,"
    "*/*;q=0.1"
)

# Lines allowed per allowed sample: each can bring HELP, TYPE and UNIT, and a `_created` sample with its own.
_LINES_PER_SAMPLE = 8
_SPARE_LINES = 1000


class Dialect(StrEnum):
    TEXT = "text"
    OPENMETRICS = "openmetrics"


class ExpositionError(RemoteError):
    """The target's answer cannot be used. `line` counts from 1; 0 means the body as a whole."""

    def __init__(self, message: str, line: int = 0) -> None:
        self.line = line
        super().__init__(f"line {line}: {message}" if line else message)


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample as exposed. `timestamp` is unix seconds, None when the scrape's own time counts."""

    name: str
    labels: dict[str, str]
    value: float
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """A sample with its place: `line` from 1, and `prefix`, the text before the value, blank included."""

    line: int
    prefix: str
    sample: Sample


@dataclass(frozen=True)
class Page:
    """A body read in full. `types`, `helps` and `units` are its TYPE, HELP and UNIT lines, by family name."""

    samples: tuple[SeriesLine, ...]
    types: dict[str, str]
    helps: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)


def parse(body: bytes, content_type: str, limits: ScrapeLimits) -> list[Sample]:
    """Every sample of the body in order, or one ExpositionError."""
    dialect = dialect_of(content_type)
    return [entry.sample for entry in read_page(split_lines(body, dialect, limits), dialect).samples]


def dialect_of(content_type: str) -> Dialect:
    """OpenMetrics when the target says so, else text, as Prometheus 2 did: many agents send no type at all."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/openmetrics-text":
        return Dialect.OPENMETRICS
    if media_type == "application/vnd.google.protobuf":
        raise ExpositionError("the target answered in protobuf, which was not asked for")
    return Dialect.TEXT


def split_lines(body: bytes, dialect: Dialect, limits: ScrapeLimits) -> list[str]:
    """The body's lines without their ends. Size is checked before anything is built from the body."""
    if len(body) > limits.body_size:
        raise ExpositionError(f"the body is {len(body)} bytes long, the limit is {limits.body_size}")
    lines = body.count(b"\n") + 1
    allowed = limits.samples * _LINES_PER_SAMPLE + _SPARE_LINES
    if lines > allowed:
        raise ExpositionError(f"the body has {lines} lines, {allowed} are allowed for {limits.samples} samples")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ExpositionError("not valid UTF-8", body.count(b"\n", 0, error.start) + 1) from None
    if dialect is Dialect.OPENMETRICS and not text.endswith(("# EOF\n", "# EOF")):
        raise ExpositionError('OpenMetrics must end with "# EOF"; the body was cut short or is not OpenMetrics')
    return text.removesuffix("\n").split("\n")


def read_page(lines: list[str], dialect: Dialect) -> Page:
    """The slow path: every line by its grammar."""
    said: dict[str, dict[str, str]] = {"TYPE": {}, "HELP": {}, "UNIT": {}}
    samples = _openmetrics(lines, said) if dialect is Dialect.OPENMETRICS else _text(lines, said)
    return Page(tuple(samples), said["TYPE"], said["HELP"], said["UNIT"])


def read_sample(line: str, number: int, dialect: Dialect) -> SeriesLine:
    """One line that is neither blank nor a comment."""
    return _openmetrics_sample(line, number) if dialect is Dialect.OPENMETRICS else _text_sample(line, number)


def plain_numbers(texts: list[str]) -> bool:
    """Whether each may go to float() as it is: float() also takes blanks, underscores and other scripts' digits."""
    together = "".join(texts)
    return together.isascii() and together.translate(_SIGNS_AWAY).isalnum()


_SIGNS_AWAY = {ord(sign): None for sign in "+-."}

# What the comments say, by kind (TYPE, HELP, UNIT) and family name.
_Said = dict[str, dict[str, str]]

# --- the text format


_TEXT_TYPES = frozenset(
    {"counter", "gauge", "histogram", "summary", "untyped", "unknown", "gaugehistogram", "info", "stateset"}
)
_META = re.compile(r'#[ \t]+(HELP|TYPE)[ \t]+(?:([a-zA-Z_:][a-zA-Z0-9_:]*)|"((?:[^"\\]|\\.)*+)")(.*)')
_META_BEGUN = re.compile(r"#[ \t]+(?:HELP|TYPE)[ \t]")
_TEXT_NAME = re.compile(r"[ \t]*+([a-zA-Z_:][a-zA-Z0-9_:]*+)?+[ \t]*+(\{)?+")
_TEXT_VALUE = re.compile(r"[ \t]*+([^{ \t]++)(?:[ \t]++([+-]?[0-9]{1,18}))?+[ \t\r]*+")


def _text(lines: list[str], said: _Said) -> Iterator[SeriesLine]:
    for number, line in enumerate(lines, 1):
        bare = line.strip(" \t\r")
        if not bare:
            continue
        if bare[0] == "#":
            _text_meta(bare, number, said)
        else:
            yield _text_sample(line, number)


def _text_meta(line: str, number: int, said: _Said) -> None:
    match = _META.fullmatch(line)
    if match is None:
        if _META_BEGUN.match(line):
            raise ExpositionError(f"no metric name in {_cut(line)}", number)
        return  # any other comment
    kind, bare, quoted, rest = match.groups()
    if rest and rest[0] not in " \t":
        raise ExpositionError(f"bad metric name in {_cut(line)}", number)
    name, rest = bare if bare is not None else _unescape(quoted), rest.strip(" \t")
    if kind == "TYPE" and rest not in _TEXT_TYPES:
        raise ExpositionError(f"unknown metric type {_cut(rest)} of {_cut(name)}", number)
    said[kind][name] = rest if kind == "TYPE" else _unescape_help(rest)


def _text_sample(line: str, number: int) -> SeriesLine:
    name, labels, end = _series(line, number, _TEXT_NAME)
    match = _TEXT_VALUE.fullmatch(line, end)
    if match is None or (match.start(1) == end and line[end - 1] != "}"):
        raise ExpositionError(f"expected a value and nothing but a timestamp after it, got {_cut(line[end:])}", number)
    value = _number(match[1].rstrip("\r"), number)
    timestamp = None if match[2] is None else int(match[2]) / 1000
    return SeriesLine(number, line[: match.start(1)], Sample(name, labels, value, timestamp))


# --- OpenMetrics

_OM_TYPES = _TEXT_TYPES - {"untyped"}
_OM_META = re.compile(r'# (HELP|TYPE|UNIT) (?:([a-zA-Z_:][a-zA-Z0-9_:]*+)|"((?:[^"\\]|\\.)*+)")(?: (.*))?')
_OM_NAME = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*+)?+(\{)?+")
_OM_VALUE = re.compile(r" ([^ ]++)(?: ([^ #][^ ]*+))?+(?: # \{)?+")
_OM_EXEMPLAR_VALUE = re.compile(r" ([^ ]++)(?: ([^ ]++))?+")


def _openmetrics(lines: list[str], said: _Said) -> Iterator[SeriesLine]:
    last = len(lines)
    for number, line in enumerate(lines, 1):
        if not line:
            raise ExpositionError("OpenMetrics has no blank lines", number)
        if line == "# EOF":
            if number != last:
                raise ExpositionError('data after "# EOF"', number + 1)
        elif line[0] == "#":
            _openmetrics_meta(line, number, said)
        else:
            yield _openmetrics_sample(line, number)


def _openmetrics_meta(line: str, number: int, said: _Said) -> None:
    match = _OM_META.fullmatch(line)
    if match is None:
        raise ExpositionError(f"OpenMetrics has only HELP, TYPE, UNIT and EOF after #, got {_cut(line)}", number)
    kind, bare, quoted, rest = match.groups()
    name = bare if bare is not None else _unescape(quoted)
    if kind == "TYPE":
        if rest not in _OM_TYPES:
            raise ExpositionError(f"unknown metric type {_cut(rest or '')} of {_cut(name)}", number)
    elif kind == "UNIT" and rest and not name.endswith(f"_{rest}"):
        raise ExpositionError(f"the unit {_cut(rest)} is not the end of the name {_cut(name)}", number)
    said[kind][name] = _unescape(rest or "") if kind == "HELP" else rest or ""


def _openmetrics_sample(line: str, number: int) -> SeriesLine:
    name, labels, end = _series(line, number, _OM_NAME)
    match = _OM_VALUE.match(line, end)
    if match is None:
        raise ExpositionError(f"expected a blank and a value, got {_cut(line[end:])}", number)
    value = _number(match[1], number)
    timestamp = None if match[2] is None else _seconds(match[2], number)
    if match[0].endswith(" # {"):
        _check_exemplar(line, match.end(), number)
    elif match.end() != len(line):
        raise ExpositionError(f"unexpected {_cut(line[match.end() :])} after the value", number)
    return SeriesLine(number, line[: match.start(1)], Sample(name, labels, value, timestamp))


def _check_exemplar(line: str, start: int, number: int) -> None:
    """Exemplars are not kept, but a line with a broken one is broken."""
    _, _, end = _labels(line, start, number)
    match = _OM_EXEMPLAR_VALUE.fullmatch(line, end)
    if match is None:
        raise ExpositionError(f"expected the exemplar's value, got {_cut(line[end:])}", number)
    _number(match[1], number)
    if match[2] is not None:
        _seconds(match[2], number)


def _seconds(text: str, number: int) -> float:
    seconds = _number(text, number)
    if not abs(seconds) < 1e15:  # NaN too
        raise ExpositionError(f"{_cut(text)} is not a timestamp", number)
    return seconds


# --- what both formats share

_LABEL = re.compile(
    r"[ \t]*+"
    r'(?:([a-zA-Z_][a-zA-Z0-9_]*+)|"([^"\\]*+(?:\\.[^"\\]*+)*+)")'
    r'[ \t]*+(?:=[ \t]*+"([^"\\]*+(?:\\.[^"\\]*+)*+)")?+[ \t]*+'
    r"([,}])"
)
_LABELS_END = re.compile(r"[ \t]*+\}")
_ESCAPE = re.compile(r'\\([\\n"])')
_HELP_ESCAPE = re.compile(r"\\([\\n])")


def _series(line: str, number: int, name_pattern: re.Pattern[str]) -> tuple[str, dict[str, str], int]:
    """Name, labels and where they end. The name may stand inside the braces, quoted, when it needs UTF-8."""
    match = name_pattern.match(line)
    assert match is not None  # every part of the pattern is optional
    name = match[1]
    if not match[2]:
        if name is None:
            raise ExpositionError(f"expected a metric name, got {_cut(line)}", number)
        return name, {}, match.end(1)
    inner, labels, end = _labels(line, match.end(), number)
    if (name is None) == (inner is None):
        raise ExpositionError(f"expected one metric name, got {_cut(line)}", number)
    return name if inner is None else inner, labels, end


def _labels(line: str, position: int, number: int) -> tuple[str | None, dict[str, str], int]:
    """Reads from behind the opening brace to behind the closing one."""
    name: str | None = None
    labels: dict[str, str] = {}
    while True:
        end = _LABELS_END.match(line, position)
        if end is not None:
            return name, labels, end.end()
        match = _LABEL.match(line, position)
        if match is None:
            raise ExpositionError(f"cannot read the labels at {_cut(line[position:])}", number)
        bare, quoted, value, closing = match.groups()
        if value is None:
            if name is not None or quoted is None:
                raise ExpositionError(f"label without a value at {_cut(line[position:])}", number)
            name = _unescape(quoted) or None
        else:
            label = bare if bare is not None else _unescape(quoted)
            if label in labels or label == "__name__" or not label:
                raise ExpositionError(f"label {_cut(label)} may not stand here (again)", number)
            labels[label] = _unescape(value)
        position = match.end()
        if closing == "}":
            return name, labels, position


def _number(text: str, number: int) -> float:
    try:
        if plain_numbers([text]):
            return float(text)
    except ValueError:
        pass
    raise ExpositionError(f"{_cut(text)} is not a number", number)


def _unescape(text: str) -> str:
    """Backslash, quote and n are escaped; a backslash before anything else stands for itself."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text)


def _unescape_help(text: str) -> str:
    """The text format escapes no quotes in HELP."""
    if "\\" not in text:
        return text
    return _HELP_ESCAPE.sub(lambda match: "\n" if match[1] == "n" else "\\", text)


def _cut(text: str) -> str:
    """Somebody else's text on its way into an error message."""
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
