"""A file of another system, read piece by piece: what is never asked for is told as not taken over, with its place.

Files of others may be large, and hold keys that nobody knows: nothing in them stops an import but that they cannot be
parsed at all.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bot.complaints import Path
from bot.errors import UsageError
from bot.importing.report import Entry, Outcome, Report
from bot.yamldoc import Document, Limits, Node, Scalar, Sequence, scan
from bot.yamldoc import Mapping as MappingNode

_LIMITS = Limits(size=32 << 20, aliases=10_000, nodes=2_000_000, merges=True)
_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_LARGE = 10**9  # larger ones are no number of seconds, days or people
_MANY = 400  # characters of a value that is shown
_NOTHING = "nothing of ours corresponds to it"


@dataclass
class Source:
    """One file while it is read. `hints` say of keys that are never asked for what to do instead."""

    document: Document
    report: Report
    hints: Mapping[str, str] = field(default_factory=dict)
    done: set[Path] = field(default_factory=set)  # read whole, with everything inside
    seen: set[Path] = field(default_factory=set)

    @property
    def root(self) -> Item:
        return Item(self, ())

    def leftovers(self) -> None:
        """Every key that nobody has asked for."""
        for path, node in _unread(self.document.root, (), self.done, self.seen):
            name = str(path[-1])
            empty = isinstance(node, Scalar) and node.text is None
            if not empty:
                what = f"key {'.'.join(str(part) for part in path if isinstance(part, str))}"
                Item(self, path).tell("left", what, self.hints.get(name, _NOTHING), key=True)


def _unread(node: Node | None, path: Path, done: set[Path], seen: set[Path]) -> Iterator[tuple[Path, Node]]:
    if path in done:
        return
    if isinstance(node, MappingNode):
        for name, inner in node.entries.items():
            here = (*path, name)
            if here in done:
                continue
            if here in seen:
                yield from _unread(inner, here, done, seen)
            else:
                yield here, inner
    elif isinstance(node, Sequence):
        for number, inner in enumerate(node.items):
            yield from _unread(inner, (*path, number), done, seen)


def source_of(text: str, file: str, report: Report, hints: Mapping[str, str]) -> Source:
    """Raises UsageError for what is neither YAML nor JSON."""
    document, findings = scan(_whole_characters(text), file, traps="warning", limits=_LIMITS)
    if document is None:
        raise UsageError("; ".join(str(finding) for finding in findings))
    for finding in findings:
        if finding.code == "duplicate-key":
            said = "the first counts here; look which one you mean"
            report.entries.append(Entry(file, finding.line, finding.column, "changed", finding.message, said))
    return Source(document, report, hints)


def _whole_characters(text: str) -> str:
    """JSON writes characters beyond the basic plane as two halves, which YAML does not know."""

    def one(match: re.Match[str]) -> str:
        high, low = int(match[1], 16), int(match[2], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))

    return _PAIR.sub(one, text)


@dataclass(frozen=True)
class Item:
    """One place in the file. What is asked for is marked as read."""

    source: Source
    path: Path

    @property
    def node(self) -> Node | None:
        return self.source.document.node(self.path)

    def __bool__(self) -> bool:
        node = self.node
        return node is not None and not (isinstance(node, Scalar) and node.text is None)

    def get(self, name: str) -> Item:
        """What stands under a key, if anything; its own keys are still to be read."""
        path = (*self.path, name)
        self.source.seen.add(path)
        return Item(self.source, path)

    def text(self, name: str, default: str = "") -> str:
        """A scalar under a key."""
        item = self.get(name)
        node = item.node
        if isinstance(node, Scalar):
            self.source.done.add(item.path)
            return node.text if node.text is not None else default
        return default

    def own_text(self) -> str:
        node = self.node
        self.source.done.add(self.path)
        return node.text or "" if isinstance(node, Scalar) else ""

    def number(self, name: str, default: int = 0) -> int:
        try:
            return max(min(int(float(self.text(name, str(default)))), _LARGE), -_LARGE)
        except (ValueError, OverflowError):
            return default

    def flag(self, name: str, default: bool) -> bool:
        text = self.text(name).lower()
        return text in {"true", "yes", "on", "1"} if text else default

    def texts(self, name: str) -> list[str]:
        """A list of scalars, or the one that stands alone."""
        item = self.get(name)
        self.source.done.add(item.path)
        return [text for one in item.each() if (text := one.own_text())]

    def each(self) -> list[Item]:
        """The entries of a list; a value that is no list is one of one."""
        node = self.node
        if isinstance(node, Sequence):
            return [Item(self.source, (*self.path, number)) for number in range(len(node.items))]
        return [self] if self else []

    def all_of(self, name: str) -> list[Item]:
        return self.get(name).each()

    def entries(self) -> list[tuple[str, Item]]:
        """The keys of a mapping, each marked as seen."""
        node = self.node
        names = list(node.entries) if isinstance(node, MappingNode) else []
        return [(name, self.get(name)) for name in names]

    def has(self, name: str) -> bool:
        node = self.node
        return isinstance(node, MappingNode) and name in node.entries

    def names(self) -> list[str]:
        node = self.node
        return list(node.entries) if isinstance(node, MappingNode) else []

    def ignore(self, *names: str) -> None:
        """Keys that say nothing to us, such as addresses of the object itself."""
        self.source.done.update((*self.path, name) for name in names)

    def leave(self, name: str, what: str, text: str, outcome: Outcome = "left") -> None:
        """Tells of a key, if it is there, and takes it as read with everything inside."""
        if self.has(name):
            item = self.get(name)
            self.source.done.add(item.path)
            if item:
                item.tell(outcome, what, text, key=True)

    def tell(self, outcome: Outcome, what: str, text: str, *, key: bool = False) -> None:
        mark = self.source.document.mark(self.path, key=key)
        entry = Entry(self.source.document.file, mark.line, mark.column, outcome, what[:_MANY], text[:_MANY])
        self.source.report.entries.append(entry)

    def secret(self, name: str, variable: str) -> str:
        """A reference to a variable in place of the value of a key, which is never copied; empty without one."""
        if not self.text(name):
            return ""
        return self.variable(variable, name)

    def variable(self, wanted: str, name: str = "") -> str:
        """`${WANTED}`, named in the report; a name that is taken by another value gets a number."""
        path = (*self.path, name) if name else self.path
        mark = self.source.document.mark(path)
        where = f"{self.source.document.file}:{mark.line}:{mark.column}"
        plain = re.sub(r"[^A-Z0-9]+", "_", wanted.upper()).strip("_")
        plain = plain if plain[:1].isalpha() else f"V_{plain}"
        chosen, number = plain, 1
        while self.source.report.variables.get(chosen, where) != where:
            number += 1
            chosen = f"{plain}_{number}"
        self.source.report.variables[chosen] = where
        return f"${{{chosen}}}"
