"""One recording rule over time: the series it writes, known again from round to round; or, where an engine elsewhere
writes them, whether they are there."""

from __future__ import annotations

import numpy as np

from bot.errors import QueryError
from bot.promql.nodes import NAME, quoted
from bot.promql.parse import parse
from bot.promql.space import Index
from bot.promql.value import Value, Vector
from bot.rules.alerting import Querier
from bot.rules.load import Compiled
from bot.rules.model import Group
from bot.rules.places import Places
from bot.rules.record import NO_LINES, Line, Lines, Samples
from bot.rules.state import Key

_LOOK_EVERY = 60.0  # seconds, for series that were there the last time
_SPARE = 64  # lines that are not written now and kept all the same, beyond as many as are written


class RecordingRule:
    """A failed evaluation leaves it as it was."""

    def __init__(self, compiled: Compiled, group: Group) -> None:
        self.compiled = compiled
        self.written = NO_LINES
        self._writer = f"rule {group.id} {compiled.key}"
        self._labels = {**group.labels_of(compiled.rule), "__name__": compiled.rule.name}
        self._lines: list[Line] = []
        self._of_key: dict[Key, int] = {}
        self._places = Places()
        self._at: Index | None = None
        self._samples = Samples(NO_LINES, np.zeros(0))

    def evaluate(self, querier: Querier, t: float, limit: int) -> None:
        """Raises QueryError when the query fails, two results get the same labels, or there are more than `limit`."""
        found = self._places.of(querier.instant(self.compiled.expr, t), self._settle)
        if found is None:
            raise QueryError("vector contains metrics with the same labelset after applying rule labels", "execution")
        here, values = found
        if 0 < limit < len(here):
            raise QueryError(f"exceeded limit of {limit} with {len(here)} series", "execution")
        if self._at is not None and np.array_equal(here, self._at):
            self._samples = Samples(self._samples.lines, values)
            return
        self._at = here
        self._samples = Samples(Lines(self._writer, [self._lines[place] for place in here.tolist()]), values)
        if len(self._lines) > _SPARE + 2 * len(here):
            self._make_room()

    def series(self) -> Samples:
        return self._samples

    def adopt(self, other: RecordingRule) -> None:
        """Takes over from the same rule before a reload."""
        self._lines, self._of_key, self.written = other._lines, other._of_key, other.written
        self._places.take_over(other._places)

    def _settle(self, source: dict[str, str], _value: float) -> int:
        labels = {name: text for name, text in {**source, **self._labels}.items() if text}
        key = frozenset(labels.items())
        place = self._of_key.get(key)
        if place is None:
            place = self._of_key[key] = len(self._lines)
            self._lines.append(Line(labels))
        return place

    def _make_room(self) -> None:
        """Forgets lines that are not written any more."""
        self._lines = list(self._samples.lines.lines)
        self._of_key = {frozenset(line.labels.items()): place for place, line in enumerate(self._lines)}
        self._at = None
        self._places.forget()


class RecordedElsewhere:
    """A recording rule that the ruler of the engine evaluates: here it fails when its series are not there."""

    def __init__(self, compiled: Compiled, group: Group) -> None:
        self.compiled = compiled
        self.written = NO_LINES
        labels = {NAME: compiled.rule.name, **group.labels_of(compiled.rule)}
        body = ",".join(f"{name}={quoted(text)}" for name, text in labels.items())
        self._there = parse(f"group({{{body}}})")
        self._good_at: float | None = None

    def evaluate(self, querier: Querier, t: float, _limit: int) -> None:
        """Raises QueryError when the expression has a result that nobody has recorded."""
        if self._good_at is not None and 0 <= t - self._good_at < _LOOK_EVERY:
            return
        if _empty(querier.instant(self._there, t)) and not _empty(querier.instant(self.compiled.expr, t)):
            name = self.compiled.rule.name
            text = f"{name} is not on the engine: its own ruler has to evaluate this file (docs/external-engine.md)"
            raise QueryError(text, "execution")
        self._good_at = t

    def series(self) -> Samples:
        return Samples(NO_LINES, np.zeros(0))


def _empty(value: Value) -> bool:
    return isinstance(value, Vector) and not len(value)
