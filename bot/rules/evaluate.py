"""One rule group over time: rules evaluated in order, what they write back, what they tell the pager.

Holds state between evaluations and nothing else: time is an argument, data comes from a Querier and goes to a Recorder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np

from bot.errors import EngineDownError, QueryError
from bot.incidents.model import Alert, Severity
from bot.labels import Labels
from bot.rules.alerting import AlertingRule, Querier, Surroundings, orphans
from bot.rules.asked import FAILING, Asked, UnansweredError
from bot.rules.load import Compiled, compile_group
from bot.rules.model import Group
from bot.rules.record import NO_LINES, Line, Lines, Recorder, Samples
from bot.rules.recording import RecordedElsewhere, RecordingRule
from bot.rules.state import RESOLVED_RETENTION

__all__ = [
    "FAILING",
    "Evaluation",
    "GroupState",
    "Querier",
    "Recorder",
    "RuleFailure",
    "RuleHealth",
    "Surroundings",
    "Tell",
]

PENDING_SAVE_EVERY = timedelta(seconds=5)  # how much pending time a crash may cost at most
TOLD_ANEW = timedelta(seconds=60)  # an alert that goes on is told again this long after the last time, at the soonest
TOLD_AT_ONCE = 1000  # most alerts that are told anew in one round, so that no round is much longer than another
SLOW = 0.5  # seconds; a rule that takes longer is looked at in its regular rounds only

VERSION = 1


class Tell(StrEnum):
    """How much of its alerts a round tells."""

    EVERYTHING = "everything"
    CHANGES = "changes"  # what began, changed or ended
    SUMMARY = "summary"  # changes, the names of all that goes on, and some of it with the values of now


@dataclass(frozen=True)
class RuleFailure:
    """`index` is the rule's place in its group."""

    index: int
    rule: str
    message: str


@dataclass(frozen=True)
class Evaluation:
    """What the pager has to know of this group now; `state` is None when nothing changed.

    `still` names what goes on beside `alerts` by fingerprint; None: this is not all there is, only what changed.
    """

    group: str
    evaluated_at: datetime
    alerts: tuple[Alert, ...]
    failures: tuple[RuleFailure, ...] = ()
    state: dict[str, Any] | None = None
    still: tuple[str, ...] | None = ()


@dataclass
class RuleHealth:
    """How the last evaluation went; `error` is empty when it went well."""

    evaluated_at: datetime | None = None
    error: str = ""
    seconds: float = 0.0
    at_fault: bool = False  # whether it failed when it was last answered
    unanswered: bool = False


@dataclass
class _Slot:
    """One rule of the group with what it remembers."""

    compiled: Compiled
    rule: AlertingRule | RecordingRule | RecordedElsewhere
    health: RuleHealth = field(default_factory=RuleHealth)
    saved: int = 0

    @property
    def alerting(self) -> AlertingRule | None:
        return self.rule if isinstance(self.rule, AlertingRule) else None


class GroupState:
    """A group between evaluations. Raises QueryError or TemplateError when a rule does not parse.

    `stopwatch` gives seconds, for how long each rule takes.
    """

    def __init__(
        self,
        group: Group,
        querier: Querier,
        record: Recorder,
        around: Surroundings | None = None,
        stopwatch: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.group = group
        self._querier = querier
        self._record = record
        self._stopwatch = stopwatch
        around = around or Surroundings()
        compiled = compile_group(group, experimental=around.experimental)
        self._slots = [_slot(one, group, around) for one in compiled]
        self._orphans: list[Alert] = []
        self._leftover: list[Labels] = []
        names = dict.fromkeys(slot.compiled.rule.name for slot in self._slots)
        shown = [{"__name__": FAILING, "rule": name, "group": group.name, "file": group.file} for name in names]
        self._failing = Lines(f"health {group.id}", [Line(labels) for labels in shown])
        self._failing_at = [list(names).index(slot.compiled.rule.name) for slot in self._slots]
        self._failing_written = NO_LINES
        self._no_data = NO_LINES
        self._save = False  # what was saved may name rules that are gone: the next round saves anew
        self._saved_at: datetime | None = None
        self._next_told = 0
        self._failing_saved: dict[str, str] = {}
        self._unanswered_saved: dict[str, float] = {}
        self.mirrored = False  # another replica evaluates its alerts; they are here to be seen
        self.evaluated_at: datetime | None = None
        self.seconds = 0.0

    @property
    def asked(self) -> Asked | None:
        """Its questions, when they go to an engine elsewhere."""
        return self._querier if isinstance(self._querier, Asked) else None

    @property
    def rules(self) -> list[tuple[Compiled, AlertingRule | None, RuleHealth]]:
        return [(slot.compiled, slot.alerting, slot.health) for slot in self._slots]

    def evaluate(self, now: datetime, *, early: bool = False, tell: Tell = Tell.EVERYTHING) -> Evaluation:
        """One round. `early` looks at the quick alerting rules only and writes nothing: a scrape came in between
        rounds."""
        began = self._stopwatch()
        self.look(now, early=early)
        return self.finish(now, self._stopwatch() - began, early=early, tell=tell)

    def look(self, now: datetime, left: Sequence[int] | None = None, *, early: bool = False) -> list[int]:
        """Evaluates the rules, or those `left` over, by their places in the group. Returns those whose questions have
        no answer yet, and which are as they were."""
        t = self.asked_at(now)
        numbers = range(len(self._slots)) if left is None else left
        due = [number for number in numbers if not early or self._is_quick(self._slots[number])]
        if self.mirrored:
            due = [number for number in due if self._slots[number].alerting is None]
        return [number for number in due if not self._evaluate_one(self._slots[number], now, t, early=early)]

    def finish(self, now: datetime, seconds: float, *, early: bool = False, tell: Tell = Tell.EVERYTHING) -> Evaluation:
        """The end of a round that took so long: what it writes beside the rules' own series, and what it tells."""
        if not early:
            t = self.asked_at(now)
            for slot in self._slots if self.mirrored else ():
                if slot.alerting is not None:
                    self._write(t, slot.alerting)
            self._write_no_data(t)
            self._write_failing(t)
            self.seconds = seconds
        self.evaluated_at = now
        return Evaluation(self.group.id, now, (), still=None) if self.mirrored else self._evaluation(now, tell)

    def asked_at(self, now: datetime) -> float:
        """The instant that a round at `now` asks about, in unix seconds."""
        return (now - self.group.query_offset).timestamp()

    @staticmethod
    def _is_quick(slot: _Slot) -> bool:
        return slot.alerting is not None and slot.health.seconds < SLOW

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
            unanswered: Mapping[str, float] = state.get("unanswered", {})
            for slot in self._slots:
                saved = rest.pop(slot.compiled.key, None)
                if saved is not None and slot.alerting is not None:
                    slot.alerting.restore(_read(saved), now, gap, _instant(unanswered.get(slot.compiled.key)))
            for saved in rest.values():
                self._orphans += orphans(_read(saved)["alerts"], self.group.id, now)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"saved state of group {self.group.id} cannot be read: {error!r}") from None
        self._save = True

    def mirror(self, state: Mapping[str, Any] | None, now: datetime) -> None:
        """Another replica evaluates its alerts: they are here as that one has saved them, to be seen and to be read by
        rules of other groups. Raises ValueError as `restore`."""
        self.mirrored = True
        self._replace(state, now)

    def take_up(self, state: Mapping[str, Any] | None, now: datetime, watched_since: datetime) -> None:
        """Evaluates its alerts itself from `now` on, as another replica has left them; there are samples since
        `watched_since`. Raises ValueError as `restore`."""
        self.mirrored = False
        self._replace(state, now)
        for slot in self._slots:
            if slot.alerting is not None:
                slot.alerting.trust(watched_since)
        self._save = True

    def _replace(self, state: Mapping[str, Any] | None, now: datetime) -> None:
        rules = [slot.alerting for slot in self._slots if slot.alerting is not None]
        lines = [rule.forget() for rule in rules]
        self._orphans = []
        failing: Mapping[str, str] = state.get("failing", {}) if state is not None else {}
        for slot in self._slots:
            if slot.alerting is not None:
                error = failing.get(slot.compiled.key, "")
                slot.health = RuleHealth(evaluated_at=now, error=error, at_fault=bool(error))
        if state is not None:
            self.restore(state, now, now)
        for rule, before in zip(rules, lines, strict=True):
            rule.go_on_writing(before)

    def adopt(self, other: GroupState, now: datetime) -> None:
        """Takes over from the same group before a reload; alerts of rules that are gone end."""
        old = {slot.compiled.key: slot for slot in other._slots}
        for slot in self._slots:
            before = old.pop(slot.compiled.key, None)
            if before is None:
                continue
            if isinstance(slot.rule, AlertingRule) and isinstance(before.rule, AlertingRule):
                slot.rule.adopt(before.rule, now)
            elif isinstance(slot.rule, RecordingRule) and isinstance(before.rule, RecordingRule):
                slot.rule.adopt(before.rule)
        self._orphans = list(other._orphans)
        for slot in old.values():
            self._leftover += slot.rule.written.all_labels()
            if slot.alerting is not None:
                slot.alerting.resolve_all(now)
                self._orphans += slot.alerting.alerts()
        self._leftover += [*other._leftover, *other._failing_written.all_labels(), *other._no_data.all_labels()]
        self._save = True

    def retire(self, now: datetime) -> Evaluation:
        """The group is gone: its alerts and series end."""
        for slot in self._slots:
            if slot.alerting is not None:
                slot.alerting.resolve_all(now)
            self._leftover += slot.rule.written.all_labels()
            slot.rule.written = NO_LINES
        self._leftover += [*self._failing_written.all_labels(), *self._no_data.all_labels()]
        self._failing_written = self._no_data = NO_LINES
        self._end_leftover(now.timestamp())
        return self._evaluation(now, Tell.EVERYTHING)

    def release(self, fingerprint: str, now: datetime) -> bool:
        """A human resolved an alert that is held without data: it ends. True if it was held here."""
        return any(slot.alerting.release(fingerprint, now) for slot in self._slots if slot.alerting is not None)

    def _evaluate_one(self, slot: _Slot, now: datetime, t: float, *, early: bool) -> bool:
        """False: it has to be looked at again."""
        health, began = slot.health, self._stopwatch()
        health.evaluated_at = now
        try:
            if isinstance(slot.rule, AlertingRule):
                slot.rule.evaluate(self._querier, now, self.group.query_offset, self.group.limit)
            else:
                slot.rule.evaluate(self._querier, t, self.group.limit)
        except UnansweredError:
            return False
        except EngineDownError as error:
            health.error, health.unanswered = str(error), True
            return True
        except QueryError as error:
            health.error = str(error)
        except Exception as error:  # noqa: BLE001 - one bad rule never stops the round; it is shown as failing
            health.error = f"{type(error).__name__}: {error}"
        else:
            health.error = "" if early else self._write(t, slot.rule)
        health.seconds = self._stopwatch() - began
        health.at_fault, health.unanswered = bool(health.error), False
        return True

    def _write(self, t: float, rule: AlertingRule | RecordingRule | RecordedElsewhere) -> str:
        """What is wrong with it: another rule has written such a series in this round."""
        samples = rule.series()
        stale = rule.written.without(samples.lines)
        rule.written = samples.lines
        try:
            if samples or stale:
                self._record(t, samples, stale)
        except QueryError as error:
            return str(error)
        return ""

    def _write_no_data(self, t: float) -> None:
        """A series for each alert whose data is missing and of which somebody is to be told."""
        wanted = [
            labels for slot in self._slots if slot.alerting is not None for labels in slot.alerting.without_data()
        ]
        before = {frozenset(line.labels.items()): line for line in self._no_data.lines}
        lines = {key: before.get(key) or Line(labels) for labels in wanted if (key := frozenset(labels.items()))}
        if lines.keys() != before.keys():
            self._leftover += [line.labels for key, line in before.items() if key not in lines]
            self._no_data = Lines(f"no data {self.group.id}", list(lines.values()))
        if lines:
            self._record(t, Samples(self._no_data, np.ones(len(lines))), [])

    def _write_failing(self, t: float) -> None:
        values = np.zeros(len(self._failing.lines))
        excused = self.asked is not None and self.asked.engine_down
        for slot, number in zip(self._slots, self._failing_at, strict=True):
            if slot.health.at_fault or (slot.health.unanswered and not excused):
                values[number] = 1.0
        if len(values):
            self._record(t, Samples(self._failing, values), [])
        self._failing_written = self._failing
        self._end_leftover(t)

    def _end_leftover(self, t: float) -> None:
        """Series of rules that are gone end, unless another rule writes them now."""
        if not self._leftover:
            return
        written = [*(slot.rule.written for slot in self._slots), self._failing_written, self._no_data]
        names = {labels["__name__"] for labels in self._leftover}
        there = (labels for lines in written for labels in lines.all_labels() if labels["__name__"] in names)
        still = {frozenset(labels.items()) for labels in there}
        stale = [labels for labels in self._leftover if frozenset(labels.items()) not in still]
        self._leftover = []
        if stale:
            self._record(t, [], stale)

    def _evaluation(self, now: datetime, tell: Tell) -> Evaluation:
        self._orphans = [alert for alert in self._orphans if _recent(alert, now)]
        told, still = self._told(now, tell)
        alerts = {alert.fingerprint: alert for alert in told if alert.severity is not Severity.NONE}
        failures = tuple(
            RuleFailure(index, slot.compiled.rule.name, slot.health.error)
            for index, slot in enumerate(self._slots)
            if slot.health.error
        )
        return Evaluation(self.group.id, now, tuple(alerts.values()), failures, self._state(now), still)

    def _told(self, now: datetime, tell: Tell) -> tuple[list[Alert], tuple[str, ...] | None]:
        rules = [slot.rule for slot in self._slots if isinstance(slot.rule, AlertingRule)]
        news = [alert for rule in rules for alert in rule.news(now)]
        match tell:
            case Tell.EVERYTHING:
                return [*self._orphans, *(alert for rule in rules for alert in rule.alerts())], ()
            case Tell.CHANGES:
                return news, None
            case Tell.SUMMARY:
                ended = [alert for rule in rules for alert in rule.resolved()]
                still = tuple(print_ for rule in rules for print_ in rule.going_on)
                return [*self._orphans, *ended, *news, *self._anew(rules, now)], still

    def _anew(self, rules: list[AlertingRule], now: datetime) -> list[Alert]:
        """Some of what goes on with its values of now; where this stopped last time, it continues."""
        found: list[Alert] = []
        for _ in rules:
            rule = rules[self._next_told % len(rules)]
            found += rule.longest_untold(now - TOLD_ANEW, TOLD_AT_ONCE - len(found), now)
            if len(found) >= TOLD_AT_ONCE:
                break
            self._next_told += 1
        return found

    def _state(self, now: datetime) -> dict[str, Any] | None:
        """What a restart needs, when it differs from what was given out last. Each rule's part is JSON of its own, so
        that only the parts that changed are written anew."""
        rules = [(slot, slot.rule) for slot in self._slots if isinstance(slot.rule, AlertingRule)]
        failing = {slot.compiled.key: slot.health.error for slot, _ in rules if slot.health.at_fault}
        changed = self._save or any(rule.changes != slot.saved for slot, rule in rules)
        # Until when the engine has answered: a restart while it is away must not make it believed at once.
        asked = {slot.compiled.key: rule.answered_at for slot, rule in rules if slot.health.unanswered}
        unanswered = {key: at.timestamp() for key, at in asked.items() if at is not None}
        changed = changed or failing.keys() != self._failing_saved.keys() or unanswered != self._unanswered_saved
        overdue = self._saved_at is not None and now - self._saved_at >= PENDING_SAVE_EVERY
        if not changed and not (overdue and any(rule.pending for _, rule in rules)):
            return None
        self._save, self._saved_at, self._failing_saved, self._unanswered_saved = False, now, failing, unanswered
        for slot, rule in rules:
            slot.saved = rule.changes
        parts = {slot.compiled.key: rule.saved() for slot, rule in rules if not rule.empty}
        state: dict[str, Any] = {"version": VERSION, "evaluated_at": now.timestamp(), "rules": parts}
        state |= {"failing": failing} if failing else {}
        return state | ({"unanswered": unanswered} if unanswered else {})


def _slot(compiled: Compiled, group: Group, around: Surroundings) -> _Slot:
    if compiled.rule.is_alert:
        return _Slot(compiled, AlertingRule(compiled, group.id, around))
    if around.asked_every is not None:
        return _Slot(compiled, RecordedElsewhere(compiled, group))
    return _Slot(compiled, RecordingRule(compiled, group))


def _read(saved: Any) -> Mapping[str, Any]:
    """A rule's part of a saved state; releases before wrote it without a layer of JSON of its own."""
    found: Mapping[str, Any] = json.loads(saved) if isinstance(saved, str) else saved
    return found


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _recent(alert: Alert, now: datetime) -> bool:
    return alert.ends_at is not None and now - alert.ends_at <= RESOLVED_RETENTION
