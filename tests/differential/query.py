"""A query as a tree of pieces of text: what the generator makes and the shrinker takes apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Dual:
    """What Prometheus 3 reads, and how an older one has to be asked for the same."""

    new: str
    old: str


@dataclass(frozen=True)
class Q:
    """`tags` name what known.py wants to recognise; `plain` is a simpler stand-in of the same type."""

    kind: str
    parts: tuple[str | Dual | Q, ...]
    tags: frozenset[str] = frozenset()
    plain: tuple[Q, ...] = field(default=(), compare=False)

    def text(self, *, old: bool = False) -> str:
        return "".join(
            part
            if isinstance(part, str)
            else (part.old if old else part.new)
            if isinstance(part, Dual)
            else part.text(old=old)
            for part in self.parts
        )

    def __str__(self) -> str:
        return self.text()

    @property
    def children(self) -> list[Q]:
        return [part for part in self.parts if isinstance(part, Q)]

    def walk(self) -> Iterator[Q]:
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def all_tags(self) -> frozenset[str]:
        return frozenset().union(*(node.tags for node in self.walk()))

    def simpler(self) -> Iterator[Q]:
        """Every tree with one node replaced by something smaller of the same type, the largest cuts first."""
        for node in self.walk():
            if node is not self and node.kind == self.kind:
                yield node
        yield from self.plain
        for position, part in enumerate(self.parts):
            if isinstance(part, Q):
                for smaller in part.simpler():
                    yield replace(self, parts=(*self.parts[:position], smaller, *self.parts[position + 1 :]))

    @property
    def size(self) -> int:
        return len(self.text())


@dataclass(frozen=True)
class Question:
    """`step_ms` 0 is an instant query at `start_ms`."""

    query: Q
    start_ms: int
    end_ms: int = 0
    step_ms: int = 0

    @property
    def times(self) -> list[int]:
        return list(range(self.start_ms, self.end_ms + 1, self.step_ms)) if self.step_ms else [self.start_ms]
