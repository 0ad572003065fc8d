"""One set of series in both engines, questions to both, and what to think of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

from .answer import Answer, Key, Points, close, same_order, same_shape, same_values
from .data import GRID_MS, SLOTS, Line, made
from .generator import LABELS, Generator
from .known import applying, speech_for, taste_for
from .ours import Ours
from .peer import Peer
from .query import Q, Question

# What a change in the 13th digit moves is allowed ten times: rounding in long sums grows with their length.
_ROOM = 10


@dataclass(frozen=True)
class Verdict:
    """`word`: same, empty, refused, the name of a known difference, or `different`."""

    question: Question
    ours: Answer
    theirs: Answer
    word: str


class Duel:
    """Both engines with the series of one seed."""

    def __init__(self, path: str, seed: str, lines: list[Line] | None = None) -> None:
        self._path = path
        self.peer = Peer(path)
        self.seed = seed
        self.lines = made(seed, taste_for(self.peer.version)) if lines is None else lines
        self.generator = Generator(seed, speech_for(self.peer.version))
        self._twins: list[Peer] = []
        self._differences = [one for one in applying(self.peer.version) if one.how == "recognised"]

    def __enter__(self) -> Duel:
        self._stack = ExitStack()
        self._stack.enter_context(self.peer)
        self.peer.fill(self.lines)
        self.ours = self._stack.enter_context(Ours(self.lines))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, count: int) -> Iterator[Verdict]:
        """As many questions; the peer works on the next ones while ours is asked."""
        with ThreadPoolExecutor(1) as ahead:
            questions = [self.generator.question() for _ in range(count)]
            for question, theirs in zip(questions, ahead.map(self.peer.ask, questions), strict=True):
                ours = self.ours.ask(question)
                yield Verdict(question, ours, theirs, self.word(question, ours, theirs))

    def verdict(self, question: Question) -> Verdict:
        ours, theirs = self.ours.ask(question), self.peer.ask(question)
        return Verdict(question, ours, theirs, self.word(question, ours, theirs))

    def word(self, question: Question, ours: Answer, theirs: Answer) -> str:
        if self._equal(question, ours, theirs):
            return "refused" if theirs.error else "same" if theirs.rows else "empty"
        culprit = self._culprit(Verdict(question, ours, theirs, ""))
        for difference in self._differences:
            if difference.recognises(culprit.question, culprit.ours, culprit.theirs):
                return difference.name
        return "unstable" if self._unstable(question, ours, theirs) else "different"

    def _culprit(self, whole: Verdict) -> Verdict:
        """The smallest part of the question, asked alone, that the two do not answer alike."""
        question = whole.question
        for node in sorted((node for node in question.query.walk() if node.kind == "vector"), key=lambda one: one.size):
            part = replace(question, query=node)
            for asked in (part, _everywhere(part)) if node is not question.query else ():
                ours, theirs = self.ours.ask(asked), self.peer.ask(asked)
                if not self._equal(asked, ours, theirs):
                    return Verdict(asked, ours, theirs, "")
        return whole

    def _equal(self, question: Question, ours: Answer, theirs: Answer) -> bool:
        if not same_shape(ours, theirs) or not same_values(ours, theirs):
            return False
        if not self.peer.old and ours.notes != theirs.notes:
            return False
        return ordered_alike(question, ours, theirs)

    def _unstable(self, question: Question, ours: Answer, theirs: Answer) -> bool:
        if not self.peer.old and not ours.error and not theirs.error and ours.notes != theirs.notes:
            return False
        if not self._twins:
            for turn in (1, 2):
                twin = self._stack.enter_context(Peer(self._path))
                twin.fill(self.lines, moved=turn)
                self._twins.append(twin)
        others = [twin.ask(question) for twin in self._twins]
        if ours.error or theirs.error:
            # A tie may decide whether two series meet under the same labels.
            return any(other.error == ours.error for other in others)
        return bool(others) and explained(ours, theirs, [*others, self.peer.ask(question)])


def _everywhere(question: Question) -> Question:
    """The steps of a subquery are other times than those of the question."""
    return Question(question.query, -GRID_MS * 240, GRID_MS * (SLOTS + 120), GRID_MS * 3)


def ordered_alike(question: Question, ours: Answer, theirs: Answer) -> bool:
    tags = question.query.tags
    if question.step_ms or theirs.error:
        return True
    if "by_label" in tags:
        return [key for key, _ in ours.rows] == [key for key, _ in theirs.rows]
    return "ordered" not in tags or same_order(ours, theirs)


def explained(ours: Answer, theirs: Answer, others: list[Answer]) -> bool:
    """Every difference is at a place where the peer's own answers differ as much when samples hardly move."""
    mine, base = _points(ours), _points(theirs)
    moved = [_points(other) for other in others]
    gone = base.keys() - mine.keys()
    if any(all(place in other for other in moved) for place in gone):
        return False
    extra = mine.keys() - base.keys()
    if any(not any(place in other for other in moved) for place in extra) and not gone:
        return False
    return all(
        close(mine[place], base[place], _room(base[place], [other[place] for other in moved if place in other]))
        or any(place not in other for other in moved)
        for place in mine.keys() & base.keys()
    )


def _room(base: float, moved: list[float]) -> float:
    spread = max((abs(one - base) for one in moved), default=0.0)
    return _ROOM * spread if spread == spread else float("inf")


def _points(answer: Answer) -> dict[tuple[Key, int], float]:
    return {(key, at): value for key, points in answer.rows for at, value in points}


# Shrinking ----------------------------------------------------------------------------------------------------------


def shrunk(duel: Duel, verdict: Verdict, tries: int = 300) -> Verdict:
    """The smallest question found that still gets different answers."""
    best, spent, again = verdict, 0, True
    while again and spent < tries:
        again = False
        for question in _smaller(best):
            spent += 1
            tried = duel.verdict(question)
            if tried.word == "different":
                best, again = tried, True
                break
            if spent >= tries:
                break
    return _narrowed(duel, best)


def _narrowed(duel: Duel, verdict: Verdict) -> Verdict:
    """Selectors that read one series instead of many, where one is enough."""
    for name in sorted({line.labels["__name__"] for line in duel.lines}):
        for line in duel.lines:
            if line.labels["__name__"] != name:
                continue
            exact = exactly(line)
            query = _with(verdict.question.query, name, exact)
            if str(query) == str(verdict.question.query):
                break
            tried = duel.verdict(replace(verdict.question, query=query))
            if tried.word == "different":
                verdict = tried
                break
    return verdict


def _with(query: Q, name: str, exact: str) -> Q:
    parts = list(query.parts)
    if parts and parts[0] == name:
        parts[0] = exact
        if len(parts) > 1 and isinstance(parts[1], str) and parts[1].startswith("{"):
            parts[1] = ""
    return replace(query, parts=tuple(_with(part, name, exact) if isinstance(part, Q) else part for part in parts))


def exactly(line: Line) -> str:
    """A selector of this series; labels that others of its name have are said to be empty."""
    labels = {name: value for name, value in line.labels.items() if name != "__name__"}
    for name in LABELS.get(line.labels["__name__"], ()):
        labels.setdefault(name, "")
    pairs = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    return line.labels["__name__"] + "{" + ",".join(pairs) + "}"


def _smaller(verdict: Verdict) -> Iterator[Question]:
    question = verdict.question
    if question.step_ms:
        for at in _first_differing(verdict.ours, verdict.theirs) or question.times[:1]:
            yield Question(question.query, at)
        if question.end_ms - question.start_ms > question.step_ms:
            yield Question(question.query, question.start_ms, question.start_ms + question.step_ms, question.step_ms)
    seen: set[str] = set()
    candidates: list[Q] = sorted(question.query.simpler(), key=lambda one: one.size)
    for query in candidates:
        if query.size < question.query.size and str(query) not in seen:
            seen.add(str(query))
            yield Question(query, question.start_ms, question.end_ms, question.step_ms)


def _first_differing(ours: Answer, theirs: Answer) -> list[int]:
    left, right = _points(ours), _points(theirs)
    places = [place for place in left.keys() | right.keys() if not _same(left.get(place), right.get(place))]
    return sorted({at for _, at in places})[:1]


def _same(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and close(one, other)


__all__ = ["Duel", "Points", "Verdict", "shrunk"]
