"""The door to evaluation: instants, ranges, rounds that share work, and which series an alert still has.

One round is one timestamp: sub-expressions that several rules share are worked out once in it, as long as no sample
arrives that could change them. Reading clocks is the caller's business: `Limits.deadline` says when to give up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import merge

import numpy as np

from bot.errors import QueryError
from bot.promql.cells import Floats, Mask
from bot.promql.evaluation import Evaluation, Limits, Memo
from bot.promql.nodes import Node
from bot.promql.notes import Notes
from bot.promql.parse import DEFAULT_STEP_MS, Expr
from bot.promql.pinned import Wide, widened
from bot.promql.presence import agreeing
from bot.promql.select import Selector
from bot.promql.space import Space
from bot.promql.store import SeriesStore
from bot.promql.value import Matrix, Series, Value, Vector

__all__ = ["Engine", "Limits"]

# A narrow evaluation costs about as much as this many rows of a wide one.
_ROWS_EACH = 2000
_FEW = 4
_POPULAR = 20_000
_FORESEEN = 6  # levels of an expression
_SORTED_EACH = 5000

Key = tuple[tuple[str, str], ...]


class Engine:
    """`lookback_seconds`: how old the newest sample of a series may be for an instant selector to see it.

    `subquery_step_seconds` is the step of subqueries that name none.
    """

    def __init__(
        self,
        store: SeriesStore,
        lookback_seconds: float = 300,
        limits: Limits | None = None,
        *,
        subquery_step_seconds: float = DEFAULT_STEP_MS / 1000,
    ) -> None:
        self.store = store
        self.lookback_ms = round(lookback_seconds * 1000)
        self.subquery_step_ms = max(1, round(subquery_step_seconds * 1000))
        self.limits = limits or Limits()
        self.selector = Selector(store)
        # Rounds under way, by their time. Evaluations outside of a round share nothing with others.
        self._rounds: dict[int, Memo] = {}
        self._unlabelled = Space(store.pool, 1, {})
        self._nothing = Space(store.pool, 0, {})
        self._widened: dict[str, tuple[Wide, ...]] = {}
        # How many expressions of the last round could have been answered from this one.
        self._popular: dict[str, int] = {}

    def adjust(self, lookback_seconds: float, limits: Limits) -> None:
        """From the next evaluation on; call it from the thread that evaluates."""
        self.lookback_ms = round(lookback_seconds * 1000)
        self.limits = limits

    def instant(self, expr: Expr, t: float, limits: Limits | None = None, notes: Notes | None = None) -> Value:
        """The value at t (unix seconds). Raises QueryError. `notes` collects warnings and infos."""
        t_ms = _millis(t)
        evaluation = self._at(t_ms, limits, notes)
        with np.errstate(all="ignore"):
            return evaluation.value(expr.node, t_ms)

    @contextmanager
    def round(self, t: float) -> Iterator[Engine]:
        """One evaluation round; afterwards nothing worked out in it is kept."""
        t_ms = _millis(t)
        memo = self._rounds[t_ms] = Memo(self.store, t_ms)
        try:
            yield self
        finally:
            self._rounds.pop(t_ms, None)
            if len(self._popular) > _POPULAR:
                self._popular.clear()
            self._popular.update(memo.asked)

    def _at(self, t_ms: int, limits: Limits | None = None, notes: Notes | None = None) -> Evaluation:
        # A remembered answer has lost what there was to remark, so a collector means a memo of its own.
        memo = self._rounds.get(t_ms) if notes is None else None
        if memo is None:
            memo = Memo(self.store, t_ms)
        else:
            # Only rounds keep answers: somebody's question about the future must not make every scrape a change.
            self.store.evaluating(t_ms)
        return Evaluation(self, limits or self.limits, t_ms, t_ms, memo, notes)

    def range(
        self,
        expr: Expr,
        start: float,
        end: float,
        step: float,
        limits: Limits | None = None,
        notes: Notes | None = None,
    ) -> Matrix:
        """The value at every step from start to end (unix seconds, end included). Raises QueryError."""
        used = limits or self.limits
        start_ms, end_ms, step_ms = _millis(start), _millis(end), _millis(step)
        if step_ms <= 0:
            raise QueryError("zero or negative query resolution step widths are not accepted. Try a positive integer")
        if end_ms < start_ms:
            raise QueryError("end timestamp must not be before start time")
        if (end_ms - start_ms) // step_ms + 1 > used.steps:
            raise QueryError(f"exceeded maximum resolution of {used.steps} points per timeseries")
        if expr.kind not in {"scalar", "vector"}:
            raise QueryError(f"invalid expression type {expr.kind} for range query, must be scalar or instant vector")
        evaluation = Evaluation(self, used, start_ms, end_ms, None, notes)
        with np.errstate(all="ignore"):
            return _matrix(evaluation.step(expr.node, t_ms) for t_ms in range(start_ms, end_ms + 1, step_ms))

    def unlabelled(self) -> Space:
        """One row without labels, the same space every time so that what is known of it is found again."""
        if self._unlabelled.pool is not self.store.pool:
            self._unlabelled = Space(self.store.pool, 1, {})
        return self._unlabelled

    def nothing(self) -> Space:
        """No row; always the same space, too."""
        if self._nothing.pool is not self.store.pool:
            self._nothing = Space(self.store.pool, 0, {})
        return self._nothing

    def widened(self, node: Node) -> tuple[Wide, ...]:
        """What this node could be a part of; see pinned.py."""
        found = self._widened.get(node.key)
        if found is None:
            if len(self._widened) > _POPULAR:
                self._widened.clear()
            found = self._widened[node.key] = widened(node)
        return found

    def expect(self, exprs: Iterable[Expr]) -> None:
        """These will be asked round after round; what many of them have in common need not be found out by rounds."""
        asked: Counter[str] = Counter()
        nodes = {expr.node.key: expr.node for expr in exprs}
        for _ in range(_FORESEEN):
            asked.update(wide.node.key for node in nodes.values() for wide in self.widened(node))
            alone = [node for node in nodes.values() if not self._in(asked, node)]
            nodes = {child.key: child for node in alone for child in node.children()}
        self._popular.update(asked)

    def _in(self, asked: Counter[str], node: Node) -> bool:
        return any(asked[wide.node.key] >= _FEW for wide in self.widened(node))

    def worth_it(self, wide: Wide) -> bool:
        """True when enough expressions ask for it to pay for reading all the rows."""
        asked = self._popular.get(wide.node.key, 0)
        if asked < _FEW:
            return False
        return sum(self.selector.select(one).space.size for one in wide.selectors) < asked * _ROWS_EACH

    def presence(self, expr: Expr, labels: Mapping[str, str], t: float) -> tuple[int, ...]:
        """Which of `expr.selectors` see a live series at t that disagrees with `labels` on no label name both have."""
        return self.presences(expr, [labels], t)[0]

    def presences(self, expr: Expr, labels: Sequence[Mapping[str, str]], t: float) -> list[tuple[int, ...]]:
        """The same for each of many label sets."""
        t_ms = round(t * 1000)
        evaluation = self._at(t_ms)
        found: list[list[int]] = [[] for _ in labels]
        for index, selector in enumerate(expr.selectors):
            if not selector.under_absent:
                for row in agreeing(evaluation.vector(selector.node, t_ms), labels):
                    found[row].append(index)
        return [tuple(indexes) for indexes in found]


def _millis(seconds: float) -> int:
    # Beyond the year 9999 there are no samples, and far beyond it no 64-bit milliseconds.
    if not abs(seconds) < 1e12:
        raise QueryError(f"time or duration out of range: {seconds}")
    return round(seconds * 1000)


def _matrix(steps: Iterator[Vector]) -> Matrix:
    """Lines the steps' vectors up by label set."""
    spaces: dict[int, tuple[Space, list[int], list[Floats], list[Mask]]] = {}
    for vector in steps:
        entry = spaces.setdefault(vector.space.uid, (vector.space, [], [], []))
        present = np.ones(vector.space.size, np.bool_) if vector.present is None else vector.present
        entry[1].append(round(vector.t * 1000))
        entry[2].append(vector.values)
        entry[3].append(present)
    found: dict[Key, list[tuple[Floats, Floats]]] = {}
    for space, times, values, present_at in spaces.values():
        when, table, here = np.array(times) / 1000, np.array(values), np.array(present_at)
        for row in np.flatnonzero(here.any(axis=0)).tolist():
            seen = here[:, row]
            found.setdefault(tuple(space.labels(row).items()), []).append((when[seen], table[seen, row]))
    return Matrix([_line(dict(labels), found[labels]) for labels in _in_order(list(found))])


def _in_order(keys: list[Key]) -> Iterator[Key]:
    """Sorted, in steps: one sort of very many label sets would keep every other thread waiting."""
    return merge(*(sorted(keys[begin : begin + _SORTED_EACH]) for begin in range(0, len(keys), _SORTED_EACH)))


def _line(labels: dict[str, str], pieces: list[tuple[Floats, Floats]]) -> Series:
    times = np.concatenate([times for times, _ in pieces])
    values = np.concatenate([values for _, values in pieces])
    order = np.argsort(times, kind="stable")
    return Series(labels, times[order], values[order])
