"""Plays one test group: data comes in as time goes by, rules are evaluated, expectations are looked at.

In promtool's order, so that what fails first there fails first here. Clocks and files are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np

from bot.errors import QueryError, TemplateError
from bot.labels import Labels
from bot.promql.cells import HOLE, is_hole
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.store import SeriesStore
from bot.promql.value import Scalar, Vector
from bot.rules.evaluate import FAILING, GroupState, Surroundings
from bot.rules.model import Group as RuleGroup
from bot.rules.record import StoreRecorder
from bot.rules.state import Phase
from bot.ruletests import compare
from bot.ruletests.compare import Alert, Difference
from bot.ruletests.golang import millis
from bot.ruletests.histograms import Histograms, refusal
from bot.ruletests.model import AlertCase, ExprCase, Group, Sample, Suite
from bot.ruletests.notation import Series

Verdict = Literal["passed", "failed", "error", "skipped"]

_EPOCH = datetime.fromtimestamp(0, UTC)
_CHUNK = 1024  # ticks of input laid out at a time
_SLACK_SECONDS = 86_400.0


@dataclass(frozen=True)
class CaseResult:
    """`error` says why a case could not be compared."""

    case: AlertCase | ExprCase
    verdict: Verdict
    got: tuple[Sample, ...] | tuple[Alert, ...] = ()
    differences: tuple[Difference, ...] = ()
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class RuleFailure:
    """A rule that could not be evaluated, which ends its group's test."""

    rule: str
    at: timedelta
    message: str


@dataclass(frozen=True)
class GroupResult:
    """`order` lists the cases as promtool looks at them. `error` is about the group as a whole."""

    group: Group
    cases: tuple[CaseResult, ...]
    failures: tuple[RuleFailure, ...] = ()
    error: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        if self.error or self.failures or any(case.verdict == "error" for case in self.cases):
            return "error"
        return "failed" if any(case.verdict == "failed" for case in self.cases) else "passed"


@dataclass(frozen=True)
class Setting:
    """What all groups of one file share. `rules` are in the files' order."""

    suite: Suite
    rules: tuple[RuleGroup, ...]
    experimental: bool = False
    clock: Callable[[], float] = field(default=lambda: 0.0)


def play(setting: Setting, group: Group) -> GroupResult:
    """Never raises on what files and expressions may hold."""
    began = setting.clock()
    try:
        stage = _Stage(setting, group)
    except (QueryError, TemplateError) as error:
        skipped = tuple(CaseResult(case, "skipped") for case in group.cases)
        return GroupResult(group, skipped, error=str(error), seconds=setting.clock() - began)
    alerts = list(stage.alert_cases())
    exprs = [stage.expr_case(case) for case in group.exprs]
    return GroupResult(group, (*alerts, *exprs), tuple(stage.failures), seconds=setting.clock() - began)


def played(setting: Setting, group: Group) -> tuple[Engine, tuple[RuleFailure, ...]]:
    """The engine once all input up to the latest case has come in and the rules have been evaluated with it. Raises
    QueryError, TemplateError."""
    stage = _Stage(setting, group)
    for _ in stage.alert_cases():
        pass
    return stage.engine, tuple(stage.failures)


class _Feed:
    """The input series, let into the store up to an instant."""

    def __init__(self, store: SeriesStore, series: Sequence[Series], start_ms: int, interval_ms: int) -> None:
        self._store = store
        self._series = series
        self._start_ms = start_ms
        self._interval_ms = interval_ms
        # Known to the store from its first sample on: one that has none is soon forgotten there.
        self._ids = np.full(len(series), -1, np.int64)
        self._ticks = max((len(one.values) for one in series), default=0)
        self._next = 0
        self._chunk = np.zeros((0, len(series)))

    def until(self, ms: int) -> None:
        while self._next < self._ticks and self._next * self._interval_ms <= ms:
            row = self._next % _CHUNK
            if row == 0:
                self._chunk = self._laid_out(self._next)
            t = (self._start_ms + self._next * self._interval_ms) / 1000
            self._let_in(t, self._chunk[row])
            self._next += 1

    def _let_in(self, t: float, row: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        for column in np.flatnonzero((self._ids < 0) & ~is_hole(row)).tolist():
            self._ids[column] = self._store.intern(_present(self._series[column].labels))
        begun = self._ids >= 0
        self._store.append("input", t, self._ids[begun], row[begun])

    def _laid_out(self, first: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        chunk = np.full((min(_CHUNK, self._ticks - first), len(self._series)), HOLE)
        for column, one in enumerate(self._series):
            values = np.asarray(one.values[first : first + _CHUNK], np.float64)
            chunk[: len(values), column] = values
        return chunk


def _present(labels: Labels) -> dict[str, str]:
    return {name: value for name, value in labels.items() if value}


class _Stage:
    """One group's store, engine and rules."""

    def __init__(self, setting: Setting, group: Group) -> None:
        suite = setting.suite
        self.failures: list[RuleFailure] = []
        self._setting = setting
        self._group = group
        self._step_ms = max(1, millis(suite.interval))
        self._until_ms = millis(group.until)
        store = SeriesStore(self._until_ms / 1000 + _SLACK_SECONDS)
        store.keep(lambda name: name != FAILING)
        self._start_ms = round(group.start * 1000)
        self._feed = _Feed(store, group.series, self._start_ms, max(1, millis(group.interval)))
        self.engine = Engine(store, subquery_step_seconds=suite.interval.total_seconds())
        around = Surroundings(
            group.external_labels,
            group.external_url,
            hold_without_data=False,
            experimental=setting.experimental,
        )
        place = {name: number for number, name in enumerate(suite.order)}
        ordered = sorted(setting.rules, key=lambda one: place.get(one.name, 0))
        self._histograms = Histograms(group.histograms)
        self._states = [GroupState(one, self.engine, StoreRecorder(store), around) for one in ordered]
        self._histograms.spread([compiled for state in self._states for compiled, _, _ in state.rules])

    def alert_cases(self) -> Iterator[CaseResult]:
        """All evaluations, and the alert cases as their time comes."""
        waiting = sorted(self._group.alerts, key=lambda case: case.at)
        for ms in range(0, self._until_ms + 1, self._step_ms):
            if not self._states:
                ms = self._until_ms // self._step_ms * self._step_ms  # noqa: PLW2901 - nothing happens before
            self._feed.until(ms)
            self._evaluate(ms)
            if self.failures:
                break
            while waiting and millis(waiting[0].at) < ms + self._step_ms:
                yield self._alert_case(waiting.pop(0))
            if not self._states:
                break
        yield from (CaseResult(case, "skipped") for case in waiting)

    def _evaluate(self, ms: int) -> None:
        now = _EPOCH + timedelta(milliseconds=self._start_ms + ms)
        with self.engine.round(now.timestamp()):
            for state in self._states:
                failed = state.evaluate(now).failures
                at = timedelta(milliseconds=self._start_ms + ms)
                self.failures += [RuleFailure(one.rule, at, one.message) for one in failed]

    def _alert_case(self, case: AlertCase) -> CaseResult:
        line = self._histograms.alerts.get(case.alert)
        if line is not None:
            return CaseResult(case, "error", error=refusal(line))
        began = self._setting.clock()
        got = compare.order_alerts(list(self._firing(case.alert)))
        expected = compare.order_alerts(case.expected)
        seconds = self._setting.clock() - began
        if got == expected:
            return CaseResult(case, "passed", tuple(got), seconds=seconds)
        differences = compare.alert_differences(expected, got)
        return CaseResult(case, "failed", tuple(got), tuple(differences), seconds=seconds)

    def _firing(self, name: str) -> Iterator[Alert]:
        for state in self._states:
            for compiled, rule, _ in state.rules:
                if rule is not None and compiled.rule.name == name:
                    for active in rule.active.values():
                        if active.phase is Phase.FIRING:
                            yield dict(active.labels), dict(rule.annotations_of(active))

    def expr_case(self, case: ExprCase) -> CaseResult:
        if self.failures:
            return CaseResult(case, "skipped")
        if case.unsupported:
            return CaseResult(case, "error", error=case.unsupported)
        began = self._setting.clock()
        try:
            got = compare.order(self._answer(case))
        except QueryError as error:
            return CaseResult(case, "error", error=str(error), seconds=self._setting.clock() - began)
        expected = compare.order(case.expected)
        fuzzy = self._setting.suite.fuzzy
        seconds = self._setting.clock() - began
        if compare.same(expected, got, fuzzy=fuzzy):
            return CaseResult(case, "passed", tuple(got), seconds=seconds)
        differences = compare.sample_differences(expected, got, fuzzy=fuzzy)
        return CaseResult(case, "failed", tuple(got), tuple(differences), seconds=seconds)

    def _answer(self, case: ExprCase) -> list[Sample]:
        expr = parse(case.expr, experimental=self._setting.experimental)
        line = self._histograms.read_by(expr)
        if line is not None:
            raise QueryError(refusal(line))
        value = self.engine.instant(expr, (self._start_ms + millis(case.at)) / 1000)
        match value:
            case Vector():
                return [Sample(labels, number) for labels, number in value.samples]
            case Scalar():
                return [Sample({}, value.value)]
            case _:
                raise QueryError("rule result is not a vector or scalar", "execution")
