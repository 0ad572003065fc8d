"""YAML text as a tree in which every node knows its line and column. The one door to PyYAML.

Scalars stay text: what a value means is decided by the type of the field that asks for it, so `10:30` is never 630 and
`no` is never False. Only a plain null, `~` or nothing is None. Reading files and the meaning of keys are others' work.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from itertools import islice
from typing import Any, Literal, TypeVar, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from bot.complaints import DATE, DATETIME, MAX_COMPLAINTS, Complaint, Path, Shape, complaints, quote, shapes_at, where
from bot.errors import ConfigError, Finding, Severity

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_ALIASES = 32
MAX_NODES = 250_000  # counted after aliases are expanded, so that 32 aliases cannot multiply a large list


@dataclass(frozen=True)
class Limits:
    """How much a file may hold. `merges`: merge keys (`<<: *name`) are taken, as other YAML readers do."""

    size: int = MAX_BYTES
    aliases: int = MAX_ALIASES
    nodes: int = MAX_NODES
    merges: bool = False


AnyModel = TypeVar("AnyModel", bound=BaseModel)


@dataclass(frozen=True)
class Mark:
    """Counts from 1, as editors do."""

    line: int
    column: int


@dataclass(frozen=True)
class Scalar:
    text: str | None
    plain: bool
    mark: Mark


@dataclass(frozen=True)
class Sequence:
    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True)
class Mapping:
    """`keys` holds where each key stands; entries keep the order of the file."""

    entries: dict[str, Node]
    keys: dict[str, Scalar]
    mark: Mark


Node = Scalar | Sequence | Mapping


@dataclass(frozen=True)
class Document:
    """One parsed file. `data` is the tree as dict, list, str and None."""

    file: str
    root: Node
    data: Any
    findings: tuple[Finding, ...] = ()
    traps: Severity = field(default="error", compare=False)

    def node(self, path: Path) -> Node | None:
        here: Node | None = self.root
        for part in path:
            if isinstance(here, Mapping) and isinstance(part, str):
                here = here.entries.get(part)
            elif isinstance(here, Sequence) and isinstance(part, int) and 0 <= part < len(here.items):
                here = here.items[part]
            else:
                return None
        return here

    def mark(self, path: Path, *, key: bool = False) -> Mark:
        """Where the value (or its key) stands; of a place that is not there, the nearest one around it."""
        for length in range(len(path), -1, -1):
            parent = self.node(path[: length - 1]) if length else None
            if key and length and isinstance(parent, Mapping) and path[length - 1] in parent.keys:
                return parent.keys[str(path[length - 1])].mark
            here = self.node(path[:length])
            if here is not None:
                return here.mark
        return self.root.mark

    def finding(
        self, path: Path, code: str, message: str, hint: str = "", *, severity: Severity = "error", key: bool = False
    ) -> Finding:
        """A finding that points at `path` in this file."""
        mark = self.mark(path, key=key)
        return Finding(self.file, mark.line, mark.column, code, message, severity, hint)

    def read(
        self, model: type[AnyModel], at: Path = (), *, filled: Any = None
    ) -> tuple[AnyModel | None, list[Finding]]:
        """The part at `at` as a model if it can be one, and everything wrong with it, YAML traps included.

        `filled` is the same data with its variables filled in: it is what is checked, never what is shown.
        """
        data = self._data_at(at)
        traps = list(islice(_traps(self, model, at, data), MAX_COMPLAINTS))
        odd = list(islice(_misread(self, model, at, data), MAX_COMPLAINTS))
        try:
            value = model.model_validate(data if filled is None else filled)
            return (None if odd else value), traps + odd
        except ValidationError as error:
            found = complaints(model, data, error.errors(include_url=False))
        told: dict[tuple[int, int, str], Finding] = {}
        for finding in (*odd, *(self._from(complaint, at) for complaint in found), *traps):
            absent = finding.message if finding.code == "missing-key" else ""  # many may be missing at one place
            told.setdefault((finding.line, finding.column, absent), finding)
        return None, list(told.values())

    def take(self, model: type[AnyModel], at: Path = ()) -> AnyModel | None:
        """The part at `at` as a model if it is one; `read` has told what is wrong with it otherwise."""
        try:
            return model.model_validate(self._data_at(at))
        except ValidationError:
            return None

    def validate(self, model: type[AnyModel], at: Path = ()) -> AnyModel:
        """The part at `at` as a model. Raises ConfigError with every error in it; warnings do not raise."""
        value, findings = self.read(model, at)
        errors = [finding for finding in findings if finding.severity == "error"]
        if value is None or errors:
            raise ConfigError(errors or findings)
        return value

    def _data_at(self, path: Path) -> Any:
        data = self.data
        for part in path:
            data = data[part]
        return {} if data is None and not path else data  # an empty file is a mapping without keys

    def _from(self, complaint: Complaint, at: Path) -> Finding:
        path = (*at, *complaint.path)
        return self.finding(path, complaint.code, complaint.message, complaint.hint, key=complaint.at_key)


def parse(text: str, file: str, *, traps: Severity = "error") -> Document:
    """Strict reading. Raises ConfigError, and nothing else, with everything that is wrong with the text as YAML."""
    document, findings = scan(text, file, traps=traps)
    if document is None or findings:
        raise ConfigError(findings)
    return document


def scan(
    text: str, file: str, *, traps: Severity = "error", limits: Limits = Limits()
) -> tuple[Document | None, list[Finding]]:
    """As `parse`, but a document that can still be looked at (a key twice, say) is given back with its findings."""
    builder = _Builder(file, text, traps, limits)
    try:
        _refuse_unreadable(text, file, limits.size)
        root = builder.build(text.removeprefix("\ufeff"))
    except ConfigError as error:
        return None, [*builder.findings, *error.findings]
    except yaml.YAMLError as error:
        return None, [*builder.findings, _syntax(error, file, builder.last_quoted)]
    return Document(file, root, _plain_data(root), tuple(builder.findings), traps), builder.findings


_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _refuse_unreadable(text: str, file: str, size: int) -> None:
    if len(text) > size or len(text.encode("utf-8", "replace")) > size:
        message = f"file is larger than {size >> 20} MiB"
        raise ConfigError([Finding(file, 0, 0, "yaml-limit", message, hint="split it")])
    bad = _UNREADABLE.search(text)
    if bad is not None:
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - (text.rfind("\n", 0, bad.start()) + 1) + 1
        message = f"character U+{ord(bad.group()):04X} cannot stand in a YAML file"
        raise ConfigError([Finding(file, line, column, "yaml-syntax", message, hint="remove it")])


class _Builder:
    """Turns PyYAML's events into nodes; stops at the first thing that is over a limit or not ours to read."""

    def __init__(self, file: str, text: str, traps: Severity, limits: Limits) -> None:
        self.file = file
        self._limits = limits
        self._lines = text.split("\n")
        self._traps = traps
        self.findings: list[Finding] = []
        self.last_quoted: tuple[Mark, Mark] | None = None
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._aliases = 0
        self._nodes = 0
        self._depth = 0
        self._events: Iterator[Any] = iter(())

    def build(self, text: str) -> Node:
        self._events = iter(yaml.parse(text, Loader=_LOADER))
        next(self._events)  # start of the stream
        first = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            return Scalar(None, True, Mark(1, 1))
        root = self._node(next(self._events))
        next(self._events)  # end of the document
        second = next(self._events)
        if not isinstance(second, yaml.StreamEndEvent):
            raise self._stop(second, "yaml-syntax", "a second document starts here", "keep one document a file")
        return root

    def _node(self, event: Any) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag is not None:
            raise self._stop(
                event, "yaml-syntax", f"tag {quote(event.tag.replace(_STANDARD, '!!'))} is not allowed", "remove it"
            )
        before = self._nodes
        self._count(event, 1)
        if isinstance(event, yaml.ScalarEvent):
            node: Node = self._scalar(event)
        else:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._stop(event, "yaml-limit", f"nested deeper than {MAX_DEPTH} levels")
            node = self._mapping(event) if isinstance(event, yaml.MappingStartEvent) else self._sequence(event)
            self._depth -= 1
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._nodes - before)
        return node

    def _alias(self, event: Any) -> Node:
        known = self._anchors.get(event.anchor)
        if known is None:
            hint = "quote the value if the * belongs to it"
            raise self._stop(event, "yaml-syntax", f"nothing is called &{event.anchor} above this line", hint)
        self._aliases += 1
        if self._aliases > self._limits.aliases:
            raise self._stop(event, "yaml-limit", f"more than {self._limits.aliases} aliases")
        node, size = known
        self._count(event, size)
        return node

    def _scalar(self, event: Any) -> Scalar:
        plain = not event.style
        if event.style in {'"', "'"} and event.start_mark.line != event.end_mark.line:
            self.last_quoted = (_mark(event.start_mark), _mark(event.end_mark))
        if plain and not event.value:
            self._refuse_lost_text(event.start_mark)
        text = None if plain and event.value in {"", "~", "null", "Null", "NULL"} else event.value
        return Scalar(text, plain, _mark(event.start_mark))

    def _refuse_lost_text(self, mark: Any) -> None:
        """`channel: #pages` is an empty value and a comment, which is not what its writer meant."""
        rest = self._lines[mark.line][mark.column :] if mark.line < len(self._lines) else ""
        lost = re.match(r"\s*(#[^\s#]\S*)", rest)
        if lost is not None:
            text = f"{quote(lost[1])} is a comment here, and the value is empty"
            hint = f'write "{lost[1]}" in quotes, or a space after # for a comment'
            place = _mark(mark)
            self.findings.append(Finding(self.file, place.line, place.column, "yaml-trap", text, self._traps, hint))

    def _sequence(self, start: Any) -> Sequence:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event))
        return Sequence(tuple(items), _mark(start.start_mark))

    def _mapping(self, start: Any) -> Mapping:
        entries: dict[str, Node] = {}
        keys: dict[str, Scalar] = {}
        merged: list[Node] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if self._limits.merges and _is_merge(event):
                merged.append(self._node(next(self._events)))
                continue
            key = self._key(event)
            name = key.text if key.text is not None else str(event.value)
            value = self._node(next(self._events))
            if name in entries:
                text = f"key {quote(name)} is here twice; the first is on line {keys[name].mark.line}"
                mark = key.mark
                found = Finding(self.file, mark.line, mark.column, "duplicate-key", text, hint="keep one of them")
                self.findings.append(found)
                if len(self.findings) == MAX_COMPLAINTS:
                    raise self._stop(event, "yaml-limit", f"more than {MAX_COMPLAINTS} mistakes")
                continue
            entries[name], keys[name] = value, key
        for node in merged:
            self._merge(start, node, entries, keys)
        return Mapping(entries, keys, _mark(start.start_mark))

    def _merge(self, start: Any, node: Node, entries: dict[str, Node], keys: dict[str, Scalar]) -> None:
        """What is written out wins over what is merged in, and of several merged in the first."""
        for part in node.items if isinstance(node, Sequence) else (node,):
            if not isinstance(part, Mapping):
                raise self._stop(start, "yaml-syntax", "a merge key (<<) takes a mapping", "name one with *")
            for name, value in part.entries.items():
                if name not in entries:
                    entries[name], keys[name] = value, part.keys[name]

    def _key(self, event: Any) -> Scalar:
        if not isinstance(event, yaml.ScalarEvent):
            hint = "quote it if it is text, for example a template in {{ }}"
            raise self._stop(event, "yaml-syntax", "a key must be a word, not a list or mapping", hint)
        if _is_merge(event):
            raise self._stop(event, "yaml-syntax", "merge keys (<<) are not allowed", "write the keys out")
        node = self._node(event)
        assert isinstance(node, Scalar)
        return node

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > self._limits.nodes:
            message = f"more than {self._limits.nodes} values"
            raise self._stop(event, "yaml-limit", message, "split the file, use fewer aliases")

    def _stop(self, event: Any, code: str, message: str, hint: str = "") -> ConfigError:
        mark = _mark(event.start_mark)
        return ConfigError([Finding(self.file, mark.line, mark.column, code, message, hint=hint)])


_STANDARD = "tag:yaml.org,2002:"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _is_merge(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and not event.style and event.value == "<<"


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _plain_data(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [_plain_data(item) for item in node.items]
    return {key: _plain_data(value) for key, value in node.entries.items()}


def _syntax(error: yaml.YAMLError, file: str, last_quoted: tuple[Mark, Mark] | None) -> Finding:
    """libyaml's words in ours; points at where the mistake most likely starts, not where reading gave up."""
    problem = str(getattr(error, "problem", None) or error)
    mark = getattr(error, "problem_mark", None)
    context_mark: Any = getattr(error, "context_mark", None)
    unclosed = "unexpected end of stream" in problem or "document indicator" in problem
    place = _mark(context_mark if unclosed and context_mark else mark) if mark else Mark(0, 0)
    if last_quoted is not None and last_quoted[1].line == place.line:
        text = (
            f"a quoted text opens here and closes only on line {last_quoted[1].line}; is a quote missing or too much?"
        )
        return Finding(file, last_quoted[0].line, last_quoted[0].column, "yaml-syntax", text)
    for words, (message, hint) in _SYNTAX.items():
        if words in problem:
            far = context_mark is not None and context_mark.line + 1 < place.line
            began = f" (it began on line {context_mark.line + 1})" if far else ""
            return Finding(file, place.line, place.column, "yaml-syntax", message + began, hint=hint)
    return Finding(file, place.line, place.column, "yaml-syntax", f"not YAML: {problem}")


_SYNTAX = {
    "mapping values are not allowed": (
        'a ":" does not belong here',
        'check the indentation of this line and the one above; quote a text that contains ": "',
    ),
    "did not find expected key": (
        "this line does not belong to the block above it",
        "check its indentation, and that quotes and colons of the lines above are complete",
    ),
    "did not find expected '-' indicator": ('a list entry, "- …", was expected here', "check the indentation"),
    "did not find expected node content": ("the file ends, or a bracket closes, where a value was expected", ""),
    "did not find expected ',' or ']'": ('a list opened with "[" is not closed before this place', 'add "]" or ","'),
    "did not find expected ',' or '}'": ('a mapping opened with "{" is not closed before this place', 'add "}" or ","'),
    "cannot start any token": (
        "a value cannot start with this character",
        "indent with spaces, not tabs; quote a value that starts with @, %, ` or a tab",
    ),
    "unexpected end of stream": ("this quote is never closed", "add the closing quote"),
    "unknown escape character": ("unknown escape in a double-quoted text", "double the backslash or use single quotes"),
    "could not find expected ':'": ('this key has no ":" after it', 'write "key: value"'),
    "<document start>": ("something follows after the end of the document", "is a bracket or quote too much?"),
}

_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_NUMBER = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+][0-9]+)?|\.[0-9_]+)")
_WORD = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|true|True|TRUE|false|False|FALSE")


def _trap(text: str) -> tuple[str, bool] | None:
    """What a YAML 1.1 reader makes of the plain text `text`, and whether that matters only where text is wanted.

    Source: yaml.org/type, int, float and bool.
    """
    if _SEXAGESIMAL.fullmatch(text):
        return f"the number {_base_60(text):g}", False
    if _OCTAL.fullmatch(text):
        return f"the number {int(text.replace('_', ''), 8)}", False
    if _WORD.fullmatch(text):
        return ("true" if text.lower() in {"yes", "on", "true"} else "false"), True
    if _NUMBER.fullmatch(text):
        value = _number(text.replace("_", ""))
        return None if str(value) == text else (f"the number {value}", True)
    return None


def _base_60(text: str) -> float:
    sign = -1 if text.startswith("-") else 1
    total = 0.0
    for part in text.lstrip("+-").replace("_", "").split(":"):
        total = total * 60 + float(part)
    return sign * total


def _number(text: str) -> float | int:
    try:
        return int(text, 0)
    except ValueError:
        return float(text) if len(text) < 300 else 0.0


def _traps(document: Document, model: type[BaseModel], at: Path, data: Any) -> Iterator[Finding]:
    for path, scalar, is_key in _scalars(document.node(at), ()):
        trap = _trap(scalar.text) if scalar.plain and scalar.text and len(scalar.text) < 64 else None
        if trap is None:
            continue
        reading, only_as_text = trap
        if only_as_text and not is_key and not any(_is_text(shape) for shape in shapes_at(model, data, path)):
            continue
        message = f"{quote(scalar.text)} without quotes is {reading} to many YAML readers"
        hint = f'write "{scalar.text}" in quotes'
        yield document.finding((*at, *path), "yaml-trap", message, hint, severity=document.traps, key=is_key)


_TIMESTAMP = re.compile(r"[-+]?[0-9.]+")
_TRUTH = frozenset(["0", "1", "t", "f", "y", "n"])


def _misread(document: Document, model: type[BaseModel], at: Path, data: Any) -> Iterator[Finding]:
    """What pydantic would take without a word: seconds since 1970 for a date, 1 for true."""
    for path, scalar, is_key in _scalars(document.node(at), ()):
        text = scalar.text or ""
        if is_key or not (_TIMESTAMP.fullmatch(text) or text.lower() in _TRUTH):
            continue
        wanted = {shape.annotation for shape in shapes_at(model, data, path)} - {type(None)}
        for kind, words in ((date, DATE), (datetime, DATETIME), (bool, "true or false")):
            if wanted == {kind}:
                message = f"{where(path)} must be {words}, not {quote(text)}"
                yield document.finding((*at, *path), "bad-value", message)


def _scalars(node: Node | None, path: Path) -> Iterator[tuple[Path, Scalar, bool]]:
    """Every scalar with its path, and whether it is a key, in the order of the file."""
    # A stack of its own: generators within generators would hand every scalar up through all levels.
    pending: list[tuple[Path, Node | None, bool]] = [(path, node, False)]
    while pending:
        path, node, is_key = pending.pop()
        if isinstance(node, Scalar):
            yield path, node, is_key
        elif isinstance(node, Sequence):
            pending += [((*path, index), item, False) for index, item in enumerate(node.items)][::-1]
        elif isinstance(node, Mapping):
            for name in reversed(node.entries):
                pending.append(((*path, name), node.entries[name], False))
                pending.append(((*path, name), node.keys[name], True))


def _is_text(shape: Shape) -> bool:
    annotation = shape.annotation
    return (
        annotation is str
        or get_origin(annotation) is Literal
        or (isinstance(annotation, type) and issubclass(annotation, Enum))
        or getattr(annotation, "__name__", "") == "SecretStr"
    )


def dump(data: Any) -> str:
    """Plain data as YAML that reads back as the same: the innermost lists and mappings on one line, everything that
    other readers would take for something else in quotes."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140, default_flow_style=None)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    quoted = _trap(text) is not None or text.startswith("#")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(str, _text)
