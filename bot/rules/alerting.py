"""One alerting rule over time: its alerts, what it writes back as series, and what it tells others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from bot.errors import QueryError, TemplateError
from bot.incidents.model import Alert, AlertState
from bot.labels import Labels, fingerprint
from bot.promql.parse import Expr
from bot.promql.value import Scalar, Value, Vector
from bot.rules.load import DEFAULT_LOOKBACK, Compiled, span_seconds
from bot.rules.state import RESOLVED_RETENTION, Active, Data, Key, Phase, Timing, absent, dump, parse, present, resumed
from bot.rules.template import Scope

_EPOCH = datetime.fromtimestamp(0, UTC)
_STATES = {Phase.FIRING: AlertState.FIRING, Phase.NO_DATA: AlertState.NO_DATA, Phase.RESOLVED: AlertState.RESOLVED}

Sample = tuple[Labels, float]


class Querier(Protocol):
    """What rules ask of the engine; `t` is unix seconds."""

    def instant(self, expr: Expr, t: float) -> Value: ...

    def presence(self, expr: Expr, labels: Labels, t: float) -> tuple[int, ...]:
        """Which of `expr.selectors` have a live series that agrees with `labels`."""


@dataclass(frozen=True)
class Surroundings:
    """What templates may know beside the sample, how much history recorded names need, and what else is agreed.

    With `hold_without_data` False an alert whose series vanish ends, exactly as in Prometheus. `experimental` lets
    expressions use experimental functions.
    """

    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    recorded_seconds: Mapping[str, float] = field(default_factory=dict)
    hold_without_data: bool = True
    experimental: bool = False
    lookback: timedelta = DEFAULT_LOOKBACK


def samples_of(value: Value) -> Iterable[Sample]:
    """A number is one sample without labels, as in Prometheus."""
    match value:
        case Vector():
            return value.samples
        case Scalar():
            return [({}, value.value)]
        case _:
            raise QueryError("rule result is not a vector or scalar", "execution")


class AlertingRule:
    """Holds the rule's alerts between evaluations; a failed evaluation leaves them as they were."""

    def __init__(self, compiled: Compiled, group: str, around: Surroundings) -> None:
        self.compiled = compiled
        self.active: dict[Key, Active] = {}
        self._resolved: dict[Key, Active] = {}
        self._group = group
        self._around = around
        self._timing = Timing(compiled.rule.hold, compiled.rule.keep_firing_for)
        self._span = timedelta(seconds=span_seconds(compiled.expr, dict(around.recorded_seconds)))
        self._selectors = frozenset(i for i, s in enumerate(compiled.expr.selectors) if not s.under_absent)
        self._distrust_since: datetime | None = None
        self._last_at: datetime | None = None
        self._labels: dict[Key, dict[str, str]] = {}
        self._fingerprints: dict[Key, str] = {}

    def evaluate(self, querier: Querier, now: datetime, offset: timedelta, limit: int) -> None:
        """Raises QueryError when the query fails, two results get the same labels, or there are more than `limit`."""
        t = (now - offset).timestamp()
        results = self._results(samples_of(querier.instant(self.compiled.expr, t)), now)
        after: dict[Key, Active] = {}
        for key, new in results.items():
            current = present(self.active.get(key), new, self._timing, now)
            after[key] = self._seen(self._annotated(current, self.active.get(key)), querier, t)
        since_last = max(now - self._last_at, timedelta()) if self._last_at else timedelta()
        for key, old in self.active.items():
            if key not in results:
                left = absent(old, self._data(old, querier, now, t), self._timing, now, since_last)
                if left is not None:
                    after[key] = left
        counted = sum(active.phase in {Phase.PENDING, Phase.FIRING} for active in after.values())
        if 0 < limit < counted:
            raise QueryError(f"exceeded limit of {limit} with {counted} alerts", "execution")
        self._settle(after, now)

    def series(self, now: datetime) -> list[Sample]:
        """ALERTS and ALERTS_FOR_STATE. An alert held without data is still firing to other rules."""
        found: list[Sample] = []
        for active in self.active.values():
            state = "pending" if active.phase is Phase.PENDING else "firing"
            found.append(({**active.labels, "__name__": "ALERTS", "alertstate": state}, 1.0))
            since = float((active.active_at - _EPOCH) // timedelta(seconds=1))
            found.append(({**active.labels, "__name__": "ALERTS_FOR_STATE"}, since))
        return found

    def alerts(self) -> list[Alert]:
        """Everything that is firing, held, or was resolved not long ago."""
        told = [active for active in self.active.values() if active.alarms]
        told += [active for key, active in self._resolved.items() if key not in self.active or not self._alarms(key)]
        return [self._alert(active) for active in told]

    def annotations_of(self, active: Active) -> dict[str, str]:
        """As last sent; of a pending alert, which nobody was sent, as they would be now."""
        return active.annotations or self._render(active)

    def resolve_all(self, now: datetime) -> None:
        """The rule is gone: what was firing ends."""
        ended = {
            key: replace(active, phase=Phase.RESOLVED, resolved_at=now, restored=False)
            for key, active in self.active.items()
            if active.alarms
        }
        self._settle(ended, now)

    def release(self, print_: str, now: datetime) -> bool:
        """A human has resolved an alert that is held without data; True if it was here."""
        for key, active in self.active.items():
            if active.phase is Phase.NO_DATA and self._fingerprint(active) == print_:
                self._settle({**self.active, key: replace(active, phase=Phase.RESOLVED, resolved_at=now)}, now)
                return True
        return False

    def dump(self) -> dict[str, Any]:
        return {
            "expr": self.compiled.rule.expr,
            "alerts": [dump(active) for active in (*self.active.values(), *self._resolved.values())],
        }

    def restore(self, saved: Mapping[str, Any], now: datetime, gap: timedelta) -> None:
        """Raises KeyError, TypeError or ValueError on what `dump` did not write."""
        same = saved["expr"] == self.compiled.rule.expr
        for entry in map(parse, saved["alerts"]):
            active = resumed(entry, self._timing, gap)
            if active is None:
                continue
            if active.phase is Phase.RESOLVED:
                self._resolved[active.key] = active
            else:
                self.active[active.key] = active if same else replace(active, seen=frozenset())
        self._distrust_since = self._last_at = now

    def adopt(self, other: AlertingRule, now: datetime) -> None:
        """Takes over from the same rule before a reload; an edited expression is trusted once it has its data."""
        same = other.compiled.rule.expr == self.compiled.rule.expr
        self.active = dict(other.active)
        if not same:
            self.active = {k: replace(a, seen=frozenset(), restored=True) for k, a in other.active.items()}
        self._resolved = dict(other._resolved)
        self._distrust_since = other._distrust_since if same else now
        self._last_at = other._last_at

    def marks(self) -> frozenset[object]:
        """Changes exactly when a restart would have to know it."""
        every = (*self.active.values(), *self._resolved.values())
        return frozenset((a.key, a.phase, a.active_at, a.fired_at, a.resolved_at, a.keep_since, a.seen) for a in every)

    @property
    def pending(self) -> bool:
        return any(active.phase is Phase.PENDING for active in self.active.values())

    def _results(self, samples: Iterable[Sample], now: datetime) -> dict[Key, Active]:
        results: dict[Key, Active] = {}
        known: dict[Key, dict[str, str]] = {}
        for sample, value in samples:
            source = dict(sample)
            source_key = frozenset(source.items())
            labels = self._labels.get(source_key) or self._labelled(source, value)
            known[source_key] = labels
            key = frozenset(labels.items())
            if key in results:
                text = "vector contains metrics with the same labelset after applying alert labels"
                raise QueryError(text, "execution")
            results[key] = Active(labels, source, Phase.PENDING, value, now)
        if not any(template.reads_value for template in self.compiled.labels.values()):
            self._labels = known
        return results

    def _labelled(self, source: dict[str, str], value: float) -> dict[str, str]:
        scope = self._scope(source, value)
        added = {name: expand(template, scope) for name, template in self.compiled.labels.items()}
        labels = {**source, **added, "alertname": self.compiled.rule.name}
        return {name: text for name, text in labels.items() if text and name != "__name__"}

    def _annotated(self, active: Active, old: Active | None) -> Active:
        """Texts are made when the alert fires and whenever its value changes."""
        if active.phase is not Phase.FIRING:
            return active
        unchanged = old is not None and old.alarms and old.value == active.value and old.annotations
        return active if unchanged and not active.restored else replace(active, annotations=self._render(active))

    def _render(self, active: Active) -> dict[str, str]:
        scope = self._scope(active.source, active.value)
        return {name: expand(template, scope) for name, template in self.compiled.annotations.items()}

    def _scope(self, source: dict[str, str], value: float) -> Scope:
        return Scope(source, value, self._around.external_labels, self._around.external_url)

    def _seen(self, active: Active, querier: Querier, t: float) -> Active:
        """Series may vanish while a range still holds their samples, so what was seen once stays seen."""
        if active.phase is not Phase.FIRING or active.seen >= self._selectors:
            return active
        return replace(active, seen=active.seen | self._present(active, querier, t))

    def _present(self, active: Active, querier: Querier, t: float) -> frozenset[int]:
        return frozenset(querier.presence(self.compiled.expr, active.source, t)) & self._selectors

    def _data(self, old: Active, querier: Querier, now: datetime, t: float) -> Data:
        if not self._around.hold_without_data or (old.phase is Phase.PENDING and not old.restored):
            return Data.THERE
        here = self._present(old, querier, t) if self._selectors else frozenset()
        complete = here >= old.seen
        if old.restored and self._distrust_since is not None:
            age = now - self._distrust_since
            some = bool(here) or not self._selectors
            if age < self._span or (age < self._span + self._around.lookback and not (complete and some)):
                return Data.TOO_EARLY
        return Data.THERE if complete else Data.GONE

    def _settle(self, after: dict[Key, Active], now: datetime) -> None:
        self.active = {key: active for key, active in after.items() if active.phase is not Phase.RESOLVED}
        for key, active in after.items():
            if active.phase is Phase.RESOLVED:
                self._resolved[key] = active
            elif active.alarms:
                self._resolved.pop(key, None)
        for key, active in list(self._resolved.items()):
            if active.resolved_at is None or now - active.resolved_at > RESOLVED_RETENTION:
                del self._resolved[key]
        self._fingerprints = {k: p for k, p in self._fingerprints.items() if k in self.active or k in self._resolved}
        self._last_at = now

    def _alarms(self, key: Key) -> bool:
        return self.active[key].alarms

    def _alert(self, active: Active) -> Alert:
        return Alert(
            fingerprint=self._fingerprint(active),
            group=self._group,
            state=_STATES[active.phase],
            labels=active.labels,
            annotations=active.annotations,
            value=active.value,
            starts_at=active.fired_at or active.active_at,
            ends_at=active.resolved_at,
        )

    def _fingerprint(self, active: Active) -> str:
        key = active.key
        if key not in self._fingerprints:
            self._fingerprints[key] = fingerprint(active.labels)
        return self._fingerprints[key]


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
