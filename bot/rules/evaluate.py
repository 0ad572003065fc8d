"""One rule group over time: rules evaluated in order, what they write back, what they tell the pager.

Holds state between evaluations and nothing else: time is an argument, data comes from a Querier and goes to a Recorder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from bot.errors import QueryError
from bot.incidents.model import Alert, Severity
from bot.labels import Labels
from bot.rules.alerting import AlertingRule, Querier, Sample, Surroundings, orphans, samples_of
from bot.rules.load import Compiled, compile_group
from bot.rules.model import Group
from bot.rules.state import RESOLVED_RETENTION, Key

__all__ = ["Evaluation", "GroupState", "Querier", "Recorder", "RuleFailure", "RuleHealth", "Surroundings"]

FAILING = "agentpager_rule_failing"
PENDING_SAVE_EVERY = timedelta(seconds=5)  # how much pending time a crash may cost at most

VERSION = 1


class Recorder(Protocol):
    """Takes series into the store. `stale` are series that end here."""

    def __call__(self, t: float, samples: Sequence[Sample], stale: Sequence[Labels]) -> None: ...


@dataclass(frozen=True)
class RuleFailure:
    """`index` is the rule's place in its group."""

    index: int
    rule: str
    message: str


@dataclass(frozen=True)
class Evaluation:
    """`alerts` is everything of this group that the pager has to know now; `state` is None when nothing changed."""

    group: str
    evaluated_at: datetime
    alerts: tuple[Alert, ...]
    failures: tuple[RuleFailure, ...] = ()
    state: dict[str, Any] | None = None


@dataclass
class RuleHealth:
    """How the last evaluation went; `error` is empty when it went well."""

    evaluated_at: datetime | None = None
    error: str = ""


@dataclass
class _Slot:
    """One rule of the group with what it remembers."""

    compiled: Compiled
    alerting: AlertingRule | None
    health: RuleHealth = field(default_factory=RuleHealth)
    written: dict[Key, Labels] = field(default_factory=dict)


class GroupState:
    """A group between evaluations. Raises QueryError or TemplateError when a rule does not parse."""

    def __init__(self, group: Group, querier: Querier, record: Recorder, around: Surroundings | None = None) -> None:
        self.group = group
        self._querier = querier
        self._record = record
        around = around or Surroundings()
        self._slots = [
            _Slot(compiled, AlertingRule(compiled, group.id, around) if compiled.rule.is_alert else None)
            for compiled in compile_group(group, experimental=around.experimental)
        ]
        self._orphans: list[Alert] = []
        self._failing_written: dict[Key, Labels] = {}
        self._leftover: dict[Key, Labels] = {}
        self._saved_marks: frozenset[object] | None = frozenset()
        self._saved_at: datetime | None = None
        self.evaluated_at: datetime | None = None

    @property
    def rules(self) -> list[tuple[Compiled, AlertingRule | None, RuleHealth]]:
        return [(slot.compiled, slot.alerting, slot.health) for slot in self._slots]

    def evaluate(self, now: datetime, *, early: bool = False) -> Evaluation:
        """One round. `early` looks at the alerting rules only and writes nothing: a scrape came in between rounds."""
        t = (now - self.group.query_offset).timestamp()
        for slot in self._slots:
            if slot.alerting is not None or not early:
                self._evaluate_one(slot, now, t, early=early)
        if not early:
            self._write_failing(t)
        self.evaluated_at = now
        return self._evaluation(now)

    def restore(self, state: Mapping[str, Any], now: datetime, evaluated_at: datetime | None = None) -> None:
        """Takes up what `Evaluation.state` said before a restart; `evaluated_at` if a later round is known of.

        Raises ValueError when it was not written by this version or is broken.
        """
        try:
            if state["version"] != VERSION:
                raise ValueError(f"version {state['version']} is not {VERSION}")
            last = max(
                datetime.fromtimestamp(state["evaluated_at"], UTC), evaluated_at or datetime.min.replace(tzinfo=UTC)
            )
            rest = dict(state["rules"])
            gap = max(now - last, timedelta())
            for slot in self._slots:
                saved = rest.pop(slot.compiled.key, None)
                if saved is not None and slot.alerting is not None:
                    slot.alerting.restore(saved, now, gap)
            for saved in rest.values():
                self._orphans += orphans(saved["alerts"], self.group.id, now)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"saved state of group {self.group.id} cannot be read: {error!r}") from None
        self._saved_marks = None  # what was saved may name rules that are gone: the next round saves anew

    def adopt(self, other: GroupState, now: datetime) -> None:
        """Takes over from the same group before a reload; alerts of rules that are gone end."""
        old = {slot.compiled.key: slot for slot in other._slots}
        for slot in self._slots:
            before = old.pop(slot.compiled.key, None)
            if before is None:
                continue
            slot.written = before.written
            if slot.alerting is not None and before.alerting is not None:
                slot.alerting.adopt(before.alerting, now)
        self._orphans = list(other._orphans)
        for slot in old.values():
            self._leftover.update(slot.written)
            if slot.alerting is not None:
                slot.alerting.resolve_all(now)
                self._orphans += slot.alerting.alerts()
        self._leftover.update(other._leftover)
        self._failing_written = other._failing_written

    def retire(self, now: datetime) -> Evaluation:
        """The group is gone: its alerts and series end."""
        for slot in self._slots:
            if slot.alerting is not None:
                slot.alerting.resolve_all(now)
            self._leftover.update(slot.written)
            slot.written = {}
        self._leftover.update(self._failing_written)
        self._failing_written = {}
        self._end_leftover(now.timestamp(), frozenset())
        return self._evaluation(now)

    def release(self, fingerprint: str, now: datetime) -> bool:
        """A human resolved an alert that is held without data: it ends. True if it was held here."""
        return any(slot.alerting.release(fingerprint, now) for slot in self._slots if slot.alerting is not None)

    def _evaluate_one(self, slot: _Slot, now: datetime, t: float, *, early: bool) -> None:
        slot.health.evaluated_at = now
        try:
            if slot.alerting is not None:
                slot.alerting.evaluate(self._querier, now, self.group.query_offset, self.group.limit)
                if early:
                    slot.health.error = ""
                    return
                samples = slot.alerting.series(now)
            else:
                samples = self._recorded(slot.compiled, t)
        except QueryError as error:
            slot.health.error = str(error)
        except Exception as error:  # noqa: BLE001 - one bad rule never stops the round; it is shown as failing
            slot.health.error = f"{type(error).__name__}: {error}"
        else:
            slot.health.error = ""
            slot.written = self._write(t, samples, slot.written)

    def _recorded(self, compiled: Compiled, t: float) -> list[Sample]:
        found: list[Sample] = []
        seen: set[Key] = set()
        labels = self.group.labels_of(compiled.rule)
        for sample, value in samples_of(self._querier.instant(compiled.expr, t)):
            series = {**sample, **labels, "__name__": compiled.rule.name}
            series = {name: text for name, text in series.items() if text}
            key = frozenset(series.items())
            if key in seen:
                raise QueryError(
                    "vector contains metrics with the same labelset after applying rule labels", "execution"
                )
            seen.add(key)
            found.append((series, value))
        if 0 < self.group.limit < len(found):
            raise QueryError(f"exceeded limit of {self.group.limit} with {len(found)} series", "execution")
        return found

    def _write(self, t: float, samples: Sequence[Sample], before: Mapping[Key, Labels]) -> dict[Key, Labels]:
        written = {frozenset(labels.items()): labels for labels, _ in samples}
        stale = [labels for key, labels in before.items() if key not in written]
        if samples or stale:
            self._record(t, samples, stale)
        return written

    def _write_failing(self, t: float) -> None:
        failing: dict[str, float] = {}
        for slot in self._slots:
            name = slot.compiled.rule.name
            failing[name] = max(failing.get(name, 0.0), float(bool(slot.health.error)))
        samples = [
            ({"__name__": FAILING, "rule": name, "group": self.group.name, "file": self.group.file}, value)
            for name, value in failing.items()
        ]
        self._failing_written = self._write(t, samples, self._failing_written)
        self._end_leftover(t, frozenset(key for slot in self._slots for key in slot.written))

    def _end_leftover(self, t: float, still: frozenset[Key]) -> None:
        """Series of rules that are gone end, unless another rule writes them now."""
        stale = [labels for key, labels in self._leftover.items() if key not in still]
        self._leftover = {}
        if stale:
            self._record(t, [], stale)

    def _evaluation(self, now: datetime) -> Evaluation:
        alerts = [alert for slot in self._slots if slot.alerting is not None for alert in slot.alerting.alerts()]
        self._orphans = [alert for alert in self._orphans if _recent(alert, now)]
        told = {alert.fingerprint: alert for alert in (*self._orphans, *alerts)}
        return Evaluation(
            self.group.id,
            now,
            tuple(alert for alert in told.values() if alert.severity is not Severity.NONE),
            tuple(
                RuleFailure(index, slot.compiled.rule.name, slot.health.error)
                for index, slot in enumerate(self._slots)
                if slot.health.error
            ),
            self._state(now),
        )

    def _state(self, now: datetime) -> dict[str, Any] | None:
        """What a restart needs, when it differs from what was given out last."""
        alerting = {slot.compiled.key: slot.alerting for slot in self._slots if slot.alerting is not None}
        marks = frozenset((key, rule.marks()) for key, rule in alerting.items() if rule.marks())
        pending = any(rule.pending for rule in alerting.values())
        overdue = pending and self._saved_at is not None and now - self._saved_at >= PENDING_SAVE_EVERY
        if marks == self._saved_marks and not overdue:
            return None
        self._saved_marks, self._saved_at = marks, now
        return {
            "version": VERSION,
            "evaluated_at": now.timestamp(),
            "rules": {key: rule.dump() for key, rule in alerting.items() if rule.marks()},
        }


def _recent(alert: Alert, now: datetime) -> bool:
    return alert.ends_at is not None and now - alert.ends_at <= RESOLVED_RETENTION
