"""One alerting rule over time: its alerts, what it writes back as series, and what it tells others.

What changes with every round (values, and when an alert has to move) is kept in arrays by slot, one slot an alert; the
arrays say who has to move, and the moves themselves are state.py's. A round in which nothing moves costs no loop.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bot.errors import QueryError, TemplateError
from bot.incidents.model import Alert, AlertState
from bot.labels import Labels, fingerprint
from bot.promql.parse import Expr
from bot.promql.space import Index
from bot.promql.value import Value
from bot.rules import no_data
from bot.rules.load import DEFAULT_LOOKBACK, Compiled, span_seconds
from bot.rules.places import Places
from bot.rules.record import NO_LINES, Line, Lines, Samples
from bot.rules.state import (
    RESOLVED_RETENTION,
    Active,
    Data,
    Key,
    Phase,
    Timing,
    absent,
    changed,
    dump,
    parse,
    present,
    resumed,
)
from bot.rules.template import Scope

_EPOCH = datetime.fromtimestamp(0, UTC)
_STATES = {Phase.FIRING: AlertState.FIRING, Phase.NO_DATA: AlertState.NO_DATA, Phase.RESOLVED: AlertState.RESOLVED}
_NOW, _NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max  # moments, in microseconds
_SPARE = 64  # slots without an alert that are kept for its return, beyond as many as there are alerts

Floats = NDArray[np.float64]


class Querier(Protocol):
    """What rules ask of the engine; `t` is unix seconds."""

    def instant(self, expr: Expr, t: float) -> Value: ...

    def presences(self, expr: Expr, labels: Sequence[Labels], t: float) -> Sequence[Iterable[int]]:
        """For each label set: which of `expr.selectors` have a live series that agrees with it."""


@dataclass(frozen=True)
class Surroundings:
    """What templates may know beside the sample, how much history recorded names need, and what else is agreed.

    With `hold_without_data` False an alert whose series vanish ends, exactly as in Prometheus. `experimental` lets
    expressions use experimental functions. `asked_every`: the samples are on an engine elsewhere, which has them
    whether or not we were running, and which is asked so often.
    """

    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    recorded_seconds: Mapping[str, float] = field(default_factory=dict)
    hold_without_data: bool = True
    experimental: bool = False
    lookback: timedelta = DEFAULT_LOOKBACK
    asked_every: timedelta | None = None


class _Slot:
    """One label set of the rule, whether its alert is active or not."""

    __slots__ = ("active", "annotations", "described", "key", "labels", "lines", "print", "saved", "source")

    def __init__(self, labels: dict[str, str], source: dict[str, str]) -> None:
        self.labels = labels
        self.source = source
        self.key: Key = frozenset(labels.items())
        self.active: Active | None = None  # its value is that of its last move; the rule's array has the newest
        self.annotations: dict[str, str] | None = None
        self.described: float | None = None  # the value that the annotations speak of
        self.print = ""
        self.saved = ""  # the alert in the words of `AlertingRule.saved`
        self.lines: dict[str, Line] = {}

    @property
    def fingerprint(self) -> str:
        if not self.print:
            self.print = fingerprint(self.labels)
        return self.print

    def line(self, name: str, state: str, texts: Labels) -> Line:
        """The slot's own series of this name, the same object every time. A label that came to nothing has the text of
        its template there: so it is in Prometheus."""
        found = self.lines.get(state)
        if found is None:
            added = {"__name__": name, "alertstate": state} if state else {"__name__": name}
            found = self.lines[state] = Line({**texts, **self.labels, **added})
        return found


class AlertingRule:
    """Holds the rule's alerts between evaluations; a failed evaluation leaves them as they were."""

    def __init__(self, compiled: Compiled, group: str, around: Surroundings) -> None:
        self.compiled = compiled
        self.written = NO_LINES
        self.changes = 0  # counted up whenever a restart would have to know it
        self._writer = f"rule {group} {compiled.key}"
        self._group = group
        self._around = around
        self._timing = Timing(compiled.rule.hold, compiled.rule.keep_firing_for)
        self._no_data = no_data.of_rule(compiled.rule)
        self._hold_us = _micros(compiled.rule.hold)
        self._span = timedelta(seconds=span_seconds(compiled.expr, dict(around.recorded_seconds)))
        self._selectors = frozenset(i for i, s in enumerate(compiled.expr.selectors) if not s.under_absent)
        self._texts = {name: template.source for name, template in compiled.labels.items() if template.source}
        self._distrust_since: datetime | None = None
        self._last_at: datetime | None = None
        self._resolved: dict[Key, tuple[Active, Alert]] = {}
        self._news: dict[Key, None] = {}
        self._saved: tuple[int, str] | None = None
        self._going_on: tuple[str, ...] | None = None
        reads_value = any(template.reads_value for template in compiled.labels.values())
        self._places = Places(remember=not reads_value)
        self._clear()

    def _clear(self) -> None:
        self._slots: list[_Slot] = []
        self._of_key: dict[Key, int] = {}
        self._count = 0
        self._lines: Lines | None = None
        self._line_values: Floats = np.zeros(0)
        # By slot. `due`: when the expression holds then or later, the alert has to move.
        self._values: Floats = np.zeros(0)
        self._due: NDArray[np.int64] = np.zeros(0, np.int64)
        self._on: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._unseen: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._told: NDArray[np.int64] = np.zeros(0, np.int64)
        self._places.forget()

    # One round --------------------------------------------------------------------------------------------------------

    def evaluate(self, querier: Querier, now: datetime, offset: timedelta, limit: int) -> None:
        """Raises QueryError when the query fails, two results get the same labels, or there are more than `limit`."""
        t = (now - offset).timestamp()
        found = self._places.of(querier.instant(self.compiled.expr, t), self._settle)
        if self._engine_was_away(now):
            self._doubt(now)
        if found is None:
            text = "vector contains metrics with the same labelset after applying alert labels"
            raise QueryError(text, "execution")
        here, values = found
        after: dict[int, Active | None] = {}
        if len(here):
            after = self._present(here, values, now)
            self._look(after, here, querier, t)
        if self._count:
            after |= self._absent(here, querier, now, t)
        if limit > 0:
            self._check_limit(limit, after)
        self._values[here] = values
        for slot, active in after.items():
            self._put(slot, active)
        self._finish(now)

    def _present(self, here: Index, values: Floats, now: datetime) -> dict[int, Active | None]:
        """The moves of those for which the expression holds."""
        movers = np.flatnonzero(self._due[here] <= _micros(now - _EPOCH))
        after: dict[int, Active | None] = {}
        for slot, value in zip(here[movers].tolist(), values[movers].tolist(), strict=True):
            held = self._slots[slot]
            new = Active(held.labels, held.source, Phase.PENDING, value, now)
            after[slot] = present(held.active, new, self._timing, now)
        return after

    def _look(self, after: dict[int, Active | None], here: Index, querier: Querier, t: float) -> None:
        """Series may vanish while a range still holds their samples, so what was seen once stays seen."""
        looking = {slot: active for slot, active in after.items() if active is not None and self._incomplete(active)}
        for slot in here[self._unseen[here]].tolist():
            held = self._slots[slot].active
            if slot not in after and held is not None:
                looking[slot] = held
        if not looking:
            return
        seen = querier.presences(self.compiled.expr, [active.source for active in looking.values()], t)
        for (slot, active), more in zip(looking.items(), seen, strict=True):
            now_seen = active.seen | (frozenset(more) & self._selectors)
            if now_seen != active.seen:
                after[slot] = changed(active, seen=now_seen)

    def _incomplete(self, active: Active) -> bool:
        return active.phase is Phase.FIRING and not active.seen >= self._selectors

    def _absent(self, here: Index, querier: Querier, now: datetime, t: float) -> dict[int, Active | None]:
        """The moves of active alerts for which the expression does not hold."""
        left = self._on.copy()
        left[here] = False
        gone = np.flatnonzero(left).tolist()
        if not gone:
            return {}
        actives = [self._current(slot) for slot in gone]
        since_last = max(now - self._last_at, timedelta()) if self._last_at else timedelta()
        after: dict[int, Active | None] = {}
        for slot, old, data in zip(gone, actives, self._data(actives, querier, now, t), strict=True):
            moved = absent(old, data, self._timing, now, since_last)
            if moved != old:
                after[slot] = moved
        return after

    def _data(self, actives: Sequence[Active], querier: Querier, now: datetime, t: float) -> list[Data]:
        if not self._around.hold_without_data:
            return [Data.THERE] * len(actives)
        doubtful = [active for active in actives if active.phase is not Phase.PENDING or active.restored]
        if self._selectors and doubtful:
            found = querier.presences(self.compiled.expr, [active.source for active in doubtful], t)
        else:
            found = [()] * len(doubtful)
        seen = (frozenset(here) & self._selectors for here in found)
        judged = iter([self._judge(active, here, now) for active, here in zip(doubtful, seen, strict=True)])
        return [next(judged) if a.phase is not Phase.PENDING or a.restored else Data.THERE for a in actives]

    def _judge(self, old: Active, here: frozenset[int], now: datetime) -> Data:
        complete = here >= old.seen
        if old.restored and self._distrust_since is not None:
            age = now - self._distrust_since
            some = bool(here) or not self._selectors
            if age < self._span or (age < self._span + self._around.lookback and not (complete and some)):
                return Data.TOO_EARLY
        return Data.THERE if complete or not self._no_data.hold else Data.GONE

    def _engine_was_away(self, now: datetime) -> bool:
        """Too long for its ranges to be full: they may have come to nothing for want of samples."""
        every = self._around.asked_every
        if every is None or self._last_at is None or not self._span:
            return False
        return now - self._last_at > max(2 * every, self._span / 2)

    def _doubt(self, now: datetime) -> None:
        """As after a restart: what goes on is held until the ranges have been filled since."""
        for slot in np.flatnonzero(self._on).tolist():
            held = self._slots[slot]
            if held.active is not None:
                held.active = changed(held.active, restored=True)
        self._distrust_since = now

    def _check_limit(self, limit: int, after: Mapping[int, Active | None]) -> None:
        all_of_them = {slot: self._slots[slot].active for slot in np.flatnonzero(self._on).tolist()} | dict(after)
        counted = sum(one is not None and one.phase in {Phase.PENDING, Phase.FIRING} for one in all_of_them.values())
        if counted > limit:
            raise QueryError(f"exceeded limit of {limit} with {counted} alerts", "execution")

    # Slots ------------------------------------------------------------------------------------------------------------

    def _settle(self, source: dict[str, str], value: float) -> int:
        """The slot of a result's labels."""
        labels = self._labelled(source, value)
        key = frozenset(labels.items())
        slot = self._of_key.get(key)
        if slot is None:
            return self._add(_Slot(labels, source))
        held = self._slots[slot]
        if held.source != source:
            held.source, held.annotations = source, None
            if held.active is not None:
                held.active = changed(held.active, source=source)
        return slot

    def _add(self, fresh: _Slot) -> int:
        slot = len(self._slots)
        self._slots.append(fresh)
        self._of_key[fresh.key] = slot
        if slot == len(self._values):
            more = max(4, slot)
            self._values = np.append(self._values, np.zeros(more))
            self._due = np.append(self._due, np.full(more, _NOW))
            self._on = np.append(self._on, np.zeros(more, np.bool_))
            self._unseen = np.append(self._unseen, np.zeros(more, np.bool_))
            self._told = np.append(self._told, np.full(more, _NEVER))
        return slot

    def _current(self, slot: int) -> Active:
        active = self._slots[slot].active
        assert active is not None
        value = float(self._values[slot])
        return active if value == active.value else changed(active, value=value)

    def _put(self, slot: int, active: Active | None) -> None:
        """What became of a slot's alert: None and resolved ones leave."""
        held, before = self._slots[slot], self._slots[slot].active
        self.changes += 1
        self._lines = self._going_on = None
        if _told_of(before) != _told_of(active):
            self._news[held.key] = None
        held.active = None if active is None or active.phase is Phase.RESOLVED else active
        held.saved = ""
        self._count += (held.active is not None) - (before is not None)
        self._on[slot] = held.active is not None
        self._due[slot], self._unseen[slot], self._told[slot] = _NOW, False, _NEVER
        if active is None:
            return
        self._values[slot] = active.value
        if active.phase is Phase.RESOLVED:
            self._resolved[held.key] = (active, self._alert(held, active))
            return
        self._unseen[slot] = self._incomplete(active)
        if active.phase is Phase.PENDING:
            self._due[slot] = _micros(active.active_at - _EPOCH) + self._hold_us
        elif active.phase is Phase.FIRING and active.keep_since is None:
            self._due[slot] = _NEVER
        if active.alarms:
            self._told[slot] = _NOW
            self._resolved.pop(held.key, None)

    def _finish(self, now: datetime) -> None:
        if self._resolved:
            over = [
                k for k, (one, _) in self._resolved.items() if now - (one.resolved_at or _EPOCH) > RESOLVED_RETENTION
            ]
            for key in over:
                del self._resolved[key]
            self.changes += len(over)
        self._last_at = now
        if len(self._slots) > _SPARE + 2 * self._count:
            self._make_room()

    def _make_room(self) -> None:
        """Forgets the slots of alerts that are no more."""
        kept = [(held, self._values[slot], self._told[slot]) for slot, held in enumerate(self._slots) if held.active]
        self._clear()
        for held, value, told in kept:
            self._take(held, float(value), int(told))

    def _take(self, held: _Slot, value: float, told: int) -> None:
        """A slot from elsewhere, with its alert as it is."""
        active, held.active = held.active, None
        slot, changes, news = self._add(held), self.changes, dict(self._news)
        self._put(slot, active)
        self._values[slot], self._told[slot] = value, told
        self.changes, self._news = changes, news

    # What it writes and tells -----------------------------------------------------------------------------------------

    def series(self) -> Samples:
        """ALERTS and ALERTS_FOR_STATE. An alert held without data is still firing to other rules."""
        if self._lines is None:
            slots = [self._slots[slot] for slot in np.flatnonzero(self._on).tolist()]
            actives = [held.active for held in slots if held.active is not None]
            states = ["pending" if active.phase is Phase.PENDING else "firing" for active in actives]
            texts = self._texts
            alerts = [held.line("ALERTS", state, texts) for held, state in zip(slots, states, strict=True)]
            since = [active.active_at.timestamp() // 1 for active in actives]
            self._lines = Lines(self._writer, [*alerts, *(held.line("ALERTS_FOR_STATE", "", texts) for held in slots)])
            self._line_values = np.array([1.0] * len(alerts) + since)
        return Samples(self._lines, self._line_values)

    @property
    def active(self) -> Mapping[Key, Active]:
        """Every alert that is pending, firing or held, as it is now."""
        slots = np.flatnonzero(self._on).tolist()
        return {self._slots[slot].key: self._current(slot) for slot in slots}

    def alerts(self) -> list[Alert]:
        """Everything that is firing, held, or was resolved not long ago."""
        return [self._alert_of(slot) for slot in self._alarming()] + self.resolved()

    def news(self, now: datetime) -> list[Alert]:
        """What began, changed or ended since this was last asked."""
        found = []
        for key in self._news:
            slot = self._of_key.get(key)
            held = self._slots[slot] if slot is not None else None
            if slot is not None and held is not None and held.active is not None and held.active.alarms:
                found.append(self._tell(slot, now))
            elif key in self._resolved:
                found.append(self._resolved[key][1])
        self._news.clear()
        return found

    def resolved(self) -> list[Alert]:
        return [alert for _, alert in self._resolved.values()]

    def longest_untold(self, before: datetime, most: int, now: datetime) -> list[Alert]:
        """Alerts that were last told before then, with their values of now."""
        if not self._count:
            return []
        return [
            self._tell(slot, now) for slot in np.flatnonzero(self._told <= _micros(before - _EPOCH))[:most].tolist()
        ]

    @property
    def going_on(self) -> tuple[str, ...]:
        """Fingerprints of all that is firing or held."""
        if self._going_on is None:
            self._going_on = tuple(self._slots[slot].fingerprint for slot in self._alarming())
        return self._going_on

    def _alarming(self) -> list[int]:
        return np.flatnonzero(self._told != _NEVER).tolist()  # only what others are told of has such a moment

    def _tell(self, slot: int, now: datetime) -> Alert:
        self._told[slot] = _micros(now - _EPOCH)
        return self._alert_of(slot)

    def _alert_of(self, slot: int) -> Alert:
        return self._alert(self._slots[slot], self._current(slot))

    def without_data(self) -> list[dict[str, str]]:
        """Labels of the series that say of which alerts the data is missing, where the rule wants that told."""
        if not self._no_data.alert or not self._count:
            return []
        held = [self._slots[slot].active for slot in self._alarming()]
        return [no_data.series(one.labels) for one in held if one is not None and one.phase is Phase.NO_DATA]

    def _alert(self, held: _Slot, active: Active) -> Alert:
        if active.phase is Phase.NO_DATA and not self._no_data.keep:
            active = changed(active, phase=Phase.RESOLVED, resolved_at=active.gone_at)
        return Alert(
            fingerprint=held.fingerprint,
            group=self._group,
            state=_STATES[active.phase],
            labels=active.labels,
            annotations=self._described(held, active),
            value=active.value,
            starts_at=active.fired_at or active.active_at,
            ends_at=active.resolved_at,
        )

    def annotations_of(self, active: Active) -> dict[str, str]:
        """As they are now."""
        slot = self._of_key.get(active.key)
        return self._render(active) if slot is None else self._described(self._slots[slot], active)

    def _described(self, held: _Slot, active: Active) -> dict[str, str]:
        """Texts are made when somebody is told or looks, and only when the value is another than last time."""
        if held.annotations is None or held.described != active.value:
            held.annotations, held.described = self._render(active), active.value
        return held.annotations

    def _render(self, active: Active) -> dict[str, str]:
        scope = self._scope(active.source, active.value)
        return {name: expand(template, scope) for name, template in self.compiled.annotations.items()}

    def _labelled(self, source: dict[str, str], value: float) -> dict[str, str]:
        scope = self._scope(source, value)
        added = {name: expand(template, scope) for name, template in self.compiled.labels.items()}
        labels = {**source, **added, "alertname": self.compiled.rule.name}
        return {name: text for name, text in labels.items() if text and name != "__name__"}

    def _scope(self, source: dict[str, str], value: float) -> Scope:
        return Scope(source, value, self._around.external_labels, self._around.external_url)

    # Reload, restart, and what people do ------------------------------------------------------------------------------

    def resolve_all(self, now: datetime) -> None:
        """The rule is gone: what was firing ends."""
        for slot in np.flatnonzero(self._on).tolist():
            active = self._current(slot)
            ended = changed(active, phase=Phase.RESOLVED, resolved_at=now, restored=False) if active.alarms else None
            self._put(slot, ended)
        self._finish(now)

    def release(self, print_: str, now: datetime) -> bool:
        """A human has resolved an alert that is held without data; True if it was here."""
        for slot in self._alarming():
            held = self._slots[slot]
            if held.active is not None and held.active.phase is Phase.NO_DATA and held.fingerprint == print_:
                self._put(slot, changed(self._current(slot), phase=Phase.RESOLVED, resolved_at=now))
                self._finish(now)
                return True
        return False

    def saved(self) -> str:
        """JSON for a restart. Only what changed since the last time is put into words anew."""
        if self._saved is None or self._saved[0] != self.changes:
            held = [self._slots[slot] for slot in np.flatnonzero(self._on).tolist()]
            texts = [one.saved or self._put_into_words(one) for one in held]
            texts += [_words(active, alert.annotations) for active, alert in self._resolved.values()]
            expr = json.dumps(self.compiled.rule.expr)
            self._saved = (self.changes, f'{{"expr": {expr}, "alerts": [{", ".join(texts)}]}}')
        return self._saved[1]

    def _put_into_words(self, held: _Slot) -> str:
        held.saved = _words(self._current(self._of_key[held.key]), held.annotations or {})
        return held.saved

    @property
    def answered_at(self) -> datetime | None:
        """When it was last evaluated to the end."""
        return self._last_at

    def restore(
        self, saved: Mapping[str, Any], now: datetime, gap: timedelta, answered_at: datetime | None = None
    ) -> None:
        """Takes up what `saved` said, read; `answered_at` where its engine has been away since. Raises KeyError,
        TypeError or ValueError on anything else."""
        same = saved["expr"] == self.compiled.rule.expr
        for entry in map(parse, saved["alerts"]):
            active = resumed(entry, self._timing, gap)
            if active is None:
                continue
            held = _Slot(active.labels, active.source)
            if active.phase is Phase.RESOLVED:
                held.annotations, held.described = active.annotations, active.value
                self._resolved[held.key] = (active, self._alert(held, active))
            else:
                held.active = active if same else changed(active, seen=frozenset())
                self._take(held, active.value, _NOW if active.alarms else _NEVER)
        self._last_at = now if answered_at is None or self._around.asked_every is None else answered_at
        self._distrust_since = self._doubtful_from(now)
        self.changes += 1

    def forget(self) -> Mapping[Key, dict[str, Line]]:
        """Drops its alerts without a word, for another replica has had them since. Returns their series by alert."""
        lines = {held.key: held.lines for held in self._slots}
        self._clear()
        self._resolved.clear()
        self._news.clear()
        self._going_on = None
        self.changes += 1
        return lines

    def go_on_writing(self, lines: Mapping[Key, dict[str, Line]]) -> None:
        """The same series as before, not ones that end and begin."""
        for held in self._slots:
            held.lines = lines.get(held.key, held.lines)

    def trust(self, since: datetime) -> None:
        """There are samples from then on, also of the time before the alerts were taken up."""
        if self._distrust_since is not None:
            self._distrust_since = min(since, self._distrust_since)

    def _doubtful_from(self, now: datetime) -> datetime | None:
        """Samples here begin anew with a restart, those of an engine elsewhere do not."""
        return now if self._around.asked_every is None else None

    def adopt(self, other: AlertingRule, now: datetime) -> None:
        """Takes over from the same rule before a reload; an edited expression is trusted once it has its data.

        A rule is the same when name and labels are, so the slots fit; `other` is not used any more.
        """
        same = other.compiled.rule.expr == self.compiled.rule.expr
        self._slots, self._of_key, self._count = other._slots, other._of_key, other._count
        self._values, self._due, self._on = other._values, other._due, other._on
        self._unseen, self._told = other._unseen, other._told
        if self._around.external_labels == other._around.external_labels and (
            self._around.external_url == other._around.external_url
        ):
            self._places.take_over(other._places)
        for slot in np.flatnonzero(self._on).tolist():
            self._adopt_slot(slot, same=same)
        if other.compiled.rule.annotations != self.compiled.rule.annotations:
            for held in self._slots:
                held.annotations = None
        self._resolved = dict(other._resolved)
        self._news = dict(other._news)
        self.written = other.written
        self._distrust_since = other._distrust_since if same else self._doubtful_from(now)
        self._last_at = other._last_at
        self.changes += 1

    def _adopt_slot(self, slot: int, *, same: bool) -> None:
        active = self._current(slot)
        if not same:
            active = changed(active, seen=frozenset(), restored=True)
        held, news, changes = self._slots[slot], dict(self._news), self.changes
        words = held.saved if same else ""
        self._put(slot, active)  # `for` and `keep_firing_for` may have changed
        self._news, self.changes, held.saved = news, changes, words

    @property
    def empty(self) -> bool:
        """Nothing that a restart would have to know."""
        return not self._count and not self._resolved

    @property
    def pending(self) -> bool:
        return self._count > len(self._alarming()) if self._count else False


def _words(active: Active, annotations: Mapping[str, str]) -> str:
    return json.dumps({**dump(active), "annotations": annotations})


def _told_of(active: Active | None) -> tuple[Phase, datetime | None] | None:
    """What others know of an alert, apart from its value."""
    if active is None or active.phase is Phase.PENDING:
        return None
    return active.phase, active.fired_at


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def expand(template: Any, scope: Scope) -> str:
    """A template that fails at run time shows why in place of its text, as in Prometheus; the page must go out."""
    try:
        return str(template.render(scope))
    except TemplateError as error:
        return f"<error expanding template: {error}>"


def orphans(saved: Sequence[Mapping[str, Any]], group: str, now: datetime) -> list[Alert]:
    """Alerts of rules that are no longer in the file end."""
    return [
        Alert(
            fingerprint=fingerprint(active.labels),
            group=group,
            state=AlertState.RESOLVED,
            labels=active.labels,
            annotations=active.annotations,
            value=active.value,
            starts_at=active.fired_at or active.active_at,
            ends_at=active.resolved_at or now,
        )
        for active in map(parse, saved)
        if active.phase is not Phase.PENDING
    ]
