"""One evaluation on its way down the expression tree: its times, its limits, and what this round knows already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from bot.errors import QueryError
from bot.labels import Matcher, Op
from bot.promql import aggregate, binary, histogram, maths, nodes, over_time, rate, relabel
from bot.promql import select as selecting
from bot.promql.block import Block
from bot.promql.cells import Floats, Mask
from bot.promql.info import enriched
from bot.promql.nodes import NAME, Aggregate, Anchor, At, Binary, Call, Instant, Negate, Node, Number, Range, Subquery
from bot.promql.notes import Notes
from bot.promql.pinned import Wide
from bot.promql.select import Selector, Span, Window
from bot.promql.signatures import OF_NATIVE
from bot.promql.sorting import sort_by_label
from bot.promql.space import Index, Space
from bot.promql.store import SeriesStore
from bot.promql.value import Matrix, Scalar, Series, String, Value, Vector

# An evaluation may read the samples it may hold so many times over: steps share none of their memory, but time goes on.
_TURNS = 20
# What visiting a node costs, in samples read: nested subqueries over nothing come to an end too.
_PER_NODE = 4000
# The same for a step of a subquery that is known already.
_PER_STEP = 200
_NO_VALUES = np.zeros(0)
_TOO_MANY = "query processing would load too many samples into memory in query execution"


@dataclass(frozen=True)
class Limits:
    """What one evaluation may use. `deadline` is asked between steps and answers True when time is over."""

    samples: int = 50_000_000
    series: int = 1_000_000
    steps: int = 11_000
    deadline: Callable[[], bool] = lambda: False


class Memo:
    """Answers at one timestamp, each good until a sample arrives that may change it."""

    def __init__(self, store: SeriesStore, t_ms: int) -> None:
        self.t_ms = t_ms
        self.spans: dict[tuple[int, int, int, int], Span] = {}
        self.asked: dict[str, int] = {}
        self.failed: set[str] = set()
        self._store = store
        self._answers: dict[str, tuple[int, Scalar | Vector]] = {}

    def find(self, node: Node) -> Scalar | Vector | None:
        known = self._answers.get(node.key)
        if known is None or known[0] != self._store.versions(node.names):
            return None
        return known[1]

    def keep(self, node: Node, version: int, value: Scalar | Vector) -> None:
        self._answers[node.key] = (version, value)


class Surroundings(Protocol):
    """What an evaluation asks of the engine it runs in."""

    store: SeriesStore
    lookback_ms: int
    subquery_step_ms: int
    selector: Selector

    def unlabelled(self) -> Space: ...

    def nothing(self) -> Space: ...

    def widened(self, node: Node) -> tuple[Wide, ...]: ...

    def worth_it(self, wide: Wide) -> bool: ...


class Evaluation:
    """One query on its way: its times, its limits, what it has used so far."""

    def __init__(
        self,
        engine: Surroundings,
        limits: Limits,
        start_ms: int,
        end_ms: int,
        memo: Memo | None,
        notes: Notes | None = None,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._start_ms = start_ms
        self._end_ms = end_ms
        self._memo = memo
        self._notes = notes
        # Samples held by the step under way and by the results so far; samples read, whatever became of them.
        self._touched = 0
        self._read = 0
        # Parts that are the same at every step, and the steps of subqueries, whose windows overlap.
        self._fixed: dict[str, Scalar | Vector] = {}
        self._steps: dict[str, dict[int, Vector]] = {}

    # Results ------------------------------------------------------------

    def value(self, node: Node, t_ms: int) -> Value:
        """What the user sees of a whole expression."""
        if isinstance(node, nodes.Text):
            return String(node.value, t_ms / 1000)
        if nodes.kind_of(node) == "matrix":
            return self._whole_matrix(node, t_ms)
        return self.evaluate(node, t_ms)

    def step(self, node: Node, t_ms: int) -> Vector:
        """One step of a range evaluation; their number is bounded, so what each may read counts anew."""
        self._read = 0
        return self._step(node, t_ms)

    def _step(self, node: Node, t_ms: int) -> Vector:
        """A scalar becomes the vector without labels. What the step held is given back but for its result."""
        before = self._touched
        value = self.evaluate(node, t_ms)
        vector = value if isinstance(value, Vector) else self._of_scalar(value)
        self._touched = before
        self._use(vector.space.size)
        return vector

    def vector(self, node: Node, t_ms: int) -> Vector:
        value = self.evaluate(node, t_ms)
        assert isinstance(value, Vector)
        return value

    def _scalar(self, node: Node, t_ms: int) -> float:
        value = self.evaluate(node, t_ms)
        assert isinstance(value, Scalar)
        return value.value

    def _of_scalar(self, value: Scalar) -> Vector:
        return Vector(self._engine.unlabelled(), np.array([value.value]), None, value.t)

    # Walking ------------------------------------------------------------

    def evaluate(self, node: Node, t_ms: int) -> Scalar | Vector:
        """The node's value at t; answers of this round are shared."""
        memo = self._memo if self._memo is not None and t_ms == self._memo.t_ms else None
        if isinstance(node, Number):
            return Scalar(node.value, t_ms / 1000)
        # With a collector of remarks everything is gone through: some are about parameters alone.
        if node.hollow and self._notes is None and self._engine.store.lacks(node.names):
            return Vector(self._engine.nothing(), _NO_VALUES, None, t_ms / 1000)
        if memo is not None and (known := memo.find(node)) is not None:
            return known
        if memo is None and node.fixed:
            return self._once(node, t_ms)
        self._visit()
        version = self._engine.store.versions(node.names)
        value = self._fresh(node, t_ms) if memo is None else self._shared(memo, node, t_ms)
        if memo is not None:
            memo.keep(node, version, value)
        return value

    def _visit(self) -> None:
        if self._limits.deadline():
            raise QueryError("query timed out in expression evaluation", "timeout")
        self._read += _PER_NODE

    def _once(self, node: Node, t_ms: int) -> Scalar | Vector:
        """What does not depend on the time of evaluation, worked out at the first step."""
        known = self._fixed.get(node.key)
        if known is None:
            self._visit()
            known = self._fixed[node.key] = self._fresh(node, t_ms)
        return replace(known, t=t_ms / 1000)

    def _shared(self, memo: Memo, node: Node, t_ms: int) -> Scalar | Vector:
        """From the answer for all agents, where many expressions ask for the same but for the agent."""
        for wide in self._engine.widened(node):
            key = wide.node.key
            memo.asked[key] = memo.asked.get(key, 0) + 1
            if key in memo.failed or not self._engine.worth_it(wide):
                continue
            touched = self._touched
            try:
                vector = self.vector(wide.node, t_ms)
            except QueryError:
                # Perhaps another agent's fault: this one is evaluated on its own.
                memo.failed.add(key)
                self._touched = touched
                continue
            codes = vector.space.columns.get(wide.label)
            if codes is not None:
                return vector.where(codes == vector.space.pool.find(wide.value))
        return self._fresh(node, t_ms)

    def _fresh(self, node: Node, t_ms: int) -> Scalar | Vector:
        match node:
            case Instant():
                return self._instant(node, t_ms, as_time=False)
            case Binary():
                return self._chain(node, t_ms)
            case Call():
                return self._call(node, t_ms)
            case Aggregate():
                return self._aggregate(node, t_ms)
            case Negate():
                return binary.negated(self.evaluate(node.expr, t_ms))
        raise QueryError(f"{nodes.kind_of(node)} cannot be evaluated here", "execution")

    def _chain(self, node: Binary, t_ms: int) -> Scalar | Vector:
        # A loop down the left operands: `a or b or c …` may be longer than the interpreter's stack.
        spine = [node]
        while isinstance(spine[-1].lhs, Binary):
            spine.append(spine[-1].lhs)
        value = self.evaluate(spine[-1].lhs, t_ms)
        for part in reversed(spine):
            value = binary.combine(part, value, self.evaluate(part.rhs, t_ms))
        return value

    def _aggregate(self, node: Aggregate, t_ms: int) -> Vector:
        vector = self.vector(node.expr, t_ms)
        param: float | str | None = None
        if isinstance(node.param, nodes.Text):
            param = node.param.value
        elif node.param is not None:
            param = self._scalar(node.param, t_ms)
        return aggregate.aggregate(node, vector, param, self._notes)

    # Selectors ------------------------------------------------------------

    def _pinned(self, t_ms: int, at: At, offset_ms: int) -> int:
        if at is Anchor.START:
            t_ms = self._start_ms
        elif at is Anchor.END:
            t_ms = self._end_ms
        elif at is not None:
            t_ms = int(at)
        return t_ms - offset_ms

    def _span(self, block: Block, start_ms: int, end_ms: int) -> Span:
        if self._memo is None:
            return selecting.span(block, start_ms, end_ms)
        key = (block.uid, block.version, start_ms, end_ms)
        found = self._memo.spans.get(key)
        # A writer that joined since is not in the old span.
        if found is None or len(found.low) != block.writers:
            found = self._memo.spans[key] = selecting.span(block, start_ms, end_ms)
        return found

    def _use(self, samples: int) -> None:
        self._touched += samples
        self._read += samples
        if self._touched > self._limits.samples or self._read > _TURNS * self._limits.samples:
            raise QueryError(_TOO_MANY, "execution")

    def _instant(self, node: Instant, t_ms: int, *, as_time: bool) -> Vector:
        selection = self._engine.selector.select(node)
        space = selection.space
        self._use(space.size)
        if space.size > self._limits.series:
            raise QueryError(f"query selects too many series: {space.size}", "execution")
        end_ms = self._pinned(t_ms, node.at, node.offset_ms)
        values, present = np.zeros(space.size), np.zeros(space.size, np.bool_)
        begin = 0
        for part in selection.parts:
            rows = slice(begin, begin + len(part.columns))
            begin = rows.stop
            with self._engine.store.lock:
                where = self._span(part.block, end_ms - self._engine.lookback_ms, end_ms)
                found, times, present[rows] = selecting.newest(part, where)
            values[rows] = times / 1000 if as_time else found
        return Vector(space, values, None if present.all() else present, t_ms / 1000)

    # Calls ------------------------------------------------------------

    def _call(self, node: Call, t_ms: int) -> Scalar | Vector:
        name, args = node.function, node.args
        ranged = next((arg for arg in args if nodes.kind_of(arg) == "matrix"), None)
        if ranged is not None:
            return self._over_range(node, ranged, t_ms)
        if name in maths.MATHS:
            vector = self.vector(args[0], t_ms)
            return vector.at(vector.space.without_name(), maths.MATHS[name](vector.values)).checked()
        if name in maths.CALENDAR:
            vector = self.vector(args[0], t_ms) if args else self._of_scalar(Scalar(t_ms / 1000, t_ms / 1000))
            return vector.at(vector.space.without_name(), maths.calendar(name, vector.values)).checked()
        if not args or nodes.kind_of(args[0]) != "vector":
            return self._from_scalars(node, t_ms)
        return self._from_vector(node, t_ms)

    def _from_scalars(self, node: Call, t_ms: int) -> Scalar | Vector:
        match node.function:
            case "time":
                return Scalar(t_ms / 1000, t_ms / 1000)
            case "pi":
                return Scalar(np.pi, t_ms / 1000)
            case "vector":
                return self._of_scalar(Scalar(self._scalar(node.args[0], t_ms), t_ms / 1000))
            case "histogram_quantile":
                q = self._scalar(node.args[0], t_ms)
                return histogram.histogram_quantile(q, self.vector(node.args[1], t_ms), self._notes).checked()
            case "histogram_fraction":
                lower, upper = (self._scalar(arg, t_ms) for arg in node.args[:2])
                buckets = self.vector(node.args[2], t_ms)
                return histogram.histogram_fraction(lower, upper, buckets, self._notes).checked()
        raise QueryError(f"unsupported function: {node.function}()")

    def _from_vector(self, node: Call, t_ms: int) -> Scalar | Vector:
        name, args = node.function, node.args
        if name == "timestamp" and isinstance(args[0], Instant):
            vector = self._instant(args[0], t_ms, as_time=True)
            return vector.at(vector.space.without_name(), vector.values).checked()
        vector = self.vector(args[0], t_ms)
        match name:
            case "timestamp":
                return vector.at(vector.space.without_name(), np.full(vector.space.size, t_ms / 1000)).checked()
            case "scalar":
                rows = vector.rows
                return Scalar(float(vector.values[rows[0]]) if len(rows) == 1 else float("nan"), t_ms / 1000)
            case "absent":
                return self._absent(args[0], found=bool(len(vector.rows)), t_ms=t_ms)
            case "sort" | "sort_desc":
                return _sorted(vector, descending=name == "sort_desc")
            case "sort_by_label" | "sort_by_label_desc":
                return sort_by_label(vector, _texts(args[1:]), descending=name == "sort_by_label_desc")
            case "info":
                assert isinstance(args[1], Instant)
                return enriched(vector, self._instant(args[1], t_ms, as_time=True), args[1]).checked()
            case _ if name in OF_NATIVE:
                return vector.where(np.zeros(vector.space.size, np.bool_))
            case "label_replace":
                return relabel.label_replace(vector, *_texts(args[1:]))
            case "label_join":
                target, separator, *sources = _texts(args[1:])
                return relabel.label_join(vector, target, separator, tuple(sources))
        return self._bounded(name, vector, [self._scalar(arg, t_ms) for arg in args[1:]])

    @staticmethod
    def _bounded(name: str, vector: Vector, params: list[float]) -> Vector:
        """round and the clamps."""
        values = vector.values
        match name:
            case "round":
                values = maths.rounded(values, params[0] if params else 1.0)
            case "clamp":
                if params[0] > params[1]:
                    return vector.where(np.zeros(len(values), np.bool_))
                values = maths.clamped(values, params[0], params[1])
            case "clamp_min":
                values = maths.at_least(values, params[0])
            case "clamp_max":
                values = maths.at_most(values, params[0])
        return vector.at(vector.space.without_name(), values).checked()

    def _absent(self, arg: Node, *, found: bool, t_ms: int) -> Vector:
        labels = {} if found else _pinned_labels(arg)
        space = Space.of(self._engine.store.pool, [] if found else [labels])
        return Vector(space, np.ones(space.size), None, t_ms / 1000)

    # Windows ------------------------------------------------------------

    def _over_range(self, node: Call, ranged: Node, t_ms: int) -> Vector:
        """rate(), the *_over_time family and their neighbours."""
        params = [self._scalar(arg, t_ms) for arg in node.args if nodes.kind_of(arg) == "scalar"]
        if isinstance(ranged, Subquery):
            space, seen = self._subquery(ranged, t_ms)
            values, present = _kernel(node.function, params, t_ms, seen)
        else:
            assert isinstance(ranged, Range)
            space, values, present = self._over_selection(node.function, params, ranged, t_ms)
        if node.function == "absent_over_time":
            return self._absent(ranged, found=bool(present.any()), t_ms=t_ms)
        if self._notes is not None:
            _remark(self._notes, node.function, params, space, present)
        if node.function not in over_time.KEEPS_NAME:
            space = space.without_name()
        return Vector(space, values, None if present.all() else present, t_ms / 1000).checked()

    def _over_selection(
        self, function: str, params: list[float], ranged: Range, t_ms: int
    ) -> tuple[Space, Floats, Mask]:
        selection = self._engine.selector.select(ranged.selector)
        space = selection.space
        if space.size > self._limits.series:
            raise QueryError(f"query selects too many series: {space.size}", "execution")
        end_ms = self._pinned(t_ms, ranged.selector.at, ranged.selector.offset_ms)
        start_ms = end_ms - ranged.range_ms
        values, present = np.zeros(space.size), np.zeros(space.size, np.bool_)
        if not selection.parts:
            return space, values, present
        begin, lock = 0, self._engine.store.lock
        for part in selection.parts:
            rows = slice(begin, begin + len(part.columns))
            begin = rows.stop
            with lock:
                where = self._span(part.block, start_ms, end_ms)
                self._use(int((where.high - where.low)[part.home].sum()))
                if function in rate.EXTRAPOLATED:
                    kind = rate.EXTRAPOLATED[function]
                    values[rows], present[rows] = rate.over_part(kind, part, where, start_ms, end_ms)
                    continue
            for piece in selecting.chunks(part, where):
                if self._limits.deadline():
                    raise QueryError("query timed out in expression evaluation", "timeout")
                with lock:
                    seen = selecting.window(part, where, piece, start_ms, end_ms)
                into = slice(rows.start + piece.start, rows.start + piece.stop)
                values[into], present[into] = _kernel(function, params, t_ms, seen)
        return space, values, present

    def _subquery(self, node: Subquery, t_ms: int) -> tuple[Space, Window]:
        end_ms = self._pinned(t_ms, node.at, node.offset_ms)
        start_ms = end_ms - node.range_ms
        step_ms = node.step_ms or self._engine.subquery_step_ms
        first = (start_ms // step_ms + 1) * step_ms
        times = range(first, end_ms + 1, step_ms)
        if len(times) * _PER_NODE > _TURNS * self._limits.samples:
            raise QueryError(_TOO_MANY, "execution")  # at once, not when they have been counted one by one
        self._read += len(times) * _PER_STEP
        known = self._steps.setdefault(node.expr.key, {})
        for at in [at for at in known if at < first]:
            del known[at]
        steps = []
        for at in times:
            if at not in known:
                known[at] = self._step(node.expr, at)
            steps.append(known[at])
        return _stacked(self._engine.store, steps, list(times), start_ms, end_ms)

    def _whole_matrix(self, node: Node, t_ms: int) -> Matrix:
        """A range selector or subquery as the whole expression: its raw samples."""
        if isinstance(node, Subquery):
            space, seen = self._subquery(node, t_ms)
            return Matrix(sorted(_raw(space, 0, seen), key=lambda series: sorted(series.labels.items())))
        assert isinstance(node, Range)
        selection = self._engine.selector.select(node.selector)
        end_ms = self._pinned(t_ms, node.selector.at, node.selector.offset_ms)
        found: list[Series] = []
        begin = 0
        for part in selection.parts:
            with self._engine.store.lock:
                where = self._span(part.block, end_ms - node.range_ms, end_ms)
                self._use(int((where.high - where.low)[part.home].sum()))
                for piece in selecting.chunks(part, where):
                    seen = selecting.window(part, where, piece, end_ms - node.range_ms, end_ms)
                    found.extend(_raw(selection.space, begin + piece.start, seen))
            begin += len(part.columns)
        return Matrix(sorted(found, key=lambda series: sorted(series.labels.items())))


def _kernel(function: str, params: list[float], t_ms: int, seen: Window) -> tuple[Floats, Mask]:
    if function in rate.EXTRAPOLATED:
        return rate.over_window(rate.EXTRAPOLATED[function], seen)
    if function in rate.NEWEST_TWO:
        return rate.newest_two(rate.NEWEST_TWO[function], seen)
    if function == "quantile_over_time":
        return over_time.quantile_over_time(params[0], seen)
    if function == "double_exponential_smoothing":
        return over_time.double_exponential_smoothing(seen, *params)
    if function == "predict_linear":
        return over_time.predict_linear(seen, params[0], t_ms)
    if function == "absent_over_time":
        return over_time.present_over_time(seen)
    return over_time.KERNELS[function](seen)


def _stacked(
    store: SeriesStore, steps: list[Vector], times: list[int], start_ms: int, end_ms: int
) -> tuple[Space, Window]:
    """One window from the vectors of a subquery's steps, lined up by label set."""
    uids = {vector.space.uid for vector in steps}
    when = np.array(times, np.int64)[:, None]
    if len(uids) == 1:
        space = steps[0].space
        values = np.array([vector.values for vector in steps])
        good = np.array([_presence(vector) for vector in steps])
    else:
        space, targets = _merged(store, steps)
        values = np.zeros((len(steps), space.size))
        good = np.zeros((len(steps), space.size), np.bool_)
        for line, vector in enumerate(steps):
            rows = vector.rows
            values[line, targets[vector.space.uid][rows]] = vector.values[rows]
            good[line, targets[vector.space.uid][rows]] = True
    counts = np.full(space.size, len(steps), np.int64)
    return space, selecting.closed_up(Window(values, when, counts, start_ms, end_ms), good)


def _merged(store: SeriesStore, steps: list[Vector]) -> tuple[Space, dict[int, Index]]:
    numbers: dict[tuple[tuple[str, str], ...], int] = {}
    targets: dict[int, Index] = {}
    for vector in steps:
        space = vector.space
        if space.uid not in targets:
            keys = (tuple(space.labels(row).items()) for row in range(space.size))
            targets[space.uid] = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.intp)
    return Space.of(store.pool, [dict(key) for key in numbers]), targets


def _presence(vector: Vector) -> Mask:
    return np.ones(vector.space.size, np.bool_) if vector.present is None else vector.present


def _raw(space: Space, begin: int, seen: Window) -> Iterator[Series]:
    times = np.broadcast_to(seen.times, seen.values.shape)
    for row, size in enumerate(seen.counts.tolist()):
        if size:
            yield Series(space.labels(begin + row), times[:size, row] / 1000, seen.values[:size, row].copy())


def _sorted(vector: Vector, *, descending: bool) -> Vector:
    rows = vector.rows
    values = vector.values[rows]
    # NaN goes last either way.
    order = np.lexsort((-values if descending else values, np.isnan(values)))
    return Vector(vector.space, vector.values, vector.present, vector.t, rows[order])


def _remark(notes: Notes, function: str, params: list[float], space: Space, present: Mask) -> None:
    if function == "quantile_over_time" and not 0 <= params[0] <= 1 and present.any():
        notes.bad_quantile(params[0])
    if function in {"rate", "increase"} and NAME in space.columns:
        for name in space.pool.texts(np.unique(space.columns[NAME][present]).tolist()):
            if name and not name.endswith(("_total", "_sum", "_count", "_bucket")):
                notes.not_a_counter(name)


def _texts(args: tuple[Node, ...]) -> list[str]:
    return [arg.value for arg in args if isinstance(arg, nodes.Text)]


def _takes_away(matcher: Matcher, filled: set[str]) -> bool:
    denies = matcher.op in {Op.NOT_EQUAL, Op.NOT_REGEX}
    return matcher.name not in filled or (denies and matcher.matches_value(""))


def _pinned_labels(arg: Node) -> dict[str, str]:
    """The labels absent() can know. Of two matchers on one name the second spoils what the first pinned, but for an
    equality after something else, which pins it still: Prometheus goes through them like this, after its storage has
    put those that only take series away behind the others."""
    selector = arg.selector if isinstance(arg, Range) else arg
    if not isinstance(selector, Instant):
        return {}
    pinned: dict[str, str] = {}
    done: set[str] = set()
    filled = {matcher.name for matcher in selector.matchers if not matcher.matches_value("")}
    for matcher in sorted(selector.matchers, key=lambda matcher: _takes_away(matcher, filled)):
        if matcher.name == NAME:
            continue
        if matcher.op is Op.EQUAL and matcher.name not in done:
            done.add(matcher.name)
            pinned[matcher.name] = matcher.value
        else:
            pinned.pop(matcher.name, None)
    return {name: value for name, value in pinned.items() if value}
