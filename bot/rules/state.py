"""One alert's life inside its rule, as pure moves: what it becomes when the expression holds, and when it does not.

Follows Prometheus' rules/alerting.go, with two additions: an alert whose data vanished is held (`no_data`), and an
alert remembered over a restart is held until enough data has come in to judge it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

RESOLVED_RETENTION = timedelta(minutes=15)  # how long a resolved alert is still told, as in Prometheus

Key = frozenset[tuple[str, str]]


class Phase(StrEnum):
    PENDING = "pending"
    FIRING = "firing"
    NO_DATA = "no_data"
    RESOLVED = "resolved"


class Data(StrEnum):
    """What is known of the series behind an alert that has left the result."""

    THERE = "there"  # everything that was seen while it fired is still there: the result can be believed
    GONE = "gone"  # something that was seen has vanished
    TOO_EARLY = "too_early"  # restarted not long ago: absence means nothing yet


@dataclass(frozen=True)
class Active:
    """One label set of one rule. `source` are the sample's labels, name included, before the rule's own were added.

    `seen` are the indexes of the expression's selectors that had data while it fired. `restored` marks an alert older
    than the data at hand, until its absence from a result could be believed again. `gone_at` is when its data vanished.
    """

    labels: dict[str, str]
    source: dict[str, str]
    phase: Phase
    value: float
    active_at: datetime
    annotations: dict[str, str] = field(default_factory=dict)
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    keep_since: datetime | None = None
    gone_at: datetime | None = None
    seen: frozenset[int] = frozenset()
    restored: bool = False

    @property
    def key(self) -> Key:
        return frozenset(self.labels.items())

    @property
    def alarms(self) -> bool:
        return self.phase in {Phase.FIRING, Phase.NO_DATA}


def changed(active: Active, **changes: Any) -> Active:
    """dataclasses.replace without its checks, which cost more than all else when very many alerts begin at once."""
    fresh = object.__new__(Active)
    fresh.__dict__.update(active.__dict__, **changes)
    return fresh


@dataclass(frozen=True)
class Timing:
    """A rule's waits."""

    hold: timedelta
    keep_firing_for: timedelta = timedelta()


def present(old: Active | None, new: Active, timing: Timing, now: datetime) -> Active:
    """The expression holds for this label set. `new` carries its labels and value."""
    if old is None or old.phase is Phase.RESOLVED:
        current = changed(new, phase=Phase.PENDING, active_at=now)
    else:
        current = changed(old, source=new.source, value=new.value, keep_since=None)
        if old.phase is Phase.NO_DATA:
            current = changed(current, phase=Phase.FIRING)
    if current.phase is Phase.PENDING and now - current.active_at >= timing.hold:
        current = changed(current, phase=Phase.FIRING, fired_at=now)
    return current


def absent(old: Active, data: Data, timing: Timing, now: datetime, since_last: timedelta) -> Active | None:
    """The expression does not hold. None means forgotten; `since_last` is the time since the last evaluation."""
    if old.phase is Phase.PENDING:
        return changed(old, active_at=old.active_at + since_last) if data is Data.TOO_EARLY else None
    if data is Data.TOO_EARLY:
        return old
    if data is Data.GONE:
        gone_at = old.gone_at if old.phase is Phase.NO_DATA else now
        return changed(old, phase=Phase.NO_DATA, gone_at=gone_at, restored=False)
    keep_since = old.keep_since or now
    if now - keep_since < timing.keep_firing_for:
        return changed(old, phase=Phase.FIRING, keep_since=keep_since, restored=False)
    return changed(old, phase=Phase.RESOLVED, resolved_at=now, restored=False)


def resumed(saved: Active, timing: Timing, gap: timedelta) -> Active | None:
    """An alert after a restart: time nobody watched does not count, and too much of it starts a pending one anew."""
    if saved.phase is Phase.PENDING:
        return None if gap > timing.hold else changed(saved, active_at=saved.active_at + gap, restored=True)
    keep_since = saved.keep_since + gap if saved.keep_since else None
    return changed(saved, keep_since=keep_since, restored=True)


def dump(active: Active) -> dict[str, Any]:
    """JSON-safe; NaN and Inf as text."""
    return {
        "labels": active.labels,
        "source": active.source,
        "phase": active.phase.value,
        "value": str(active.value),
        "active_at": active.active_at.timestamp(),
        "annotations": active.annotations,
        "fired_at": active.fired_at.timestamp() if active.fired_at else None,
        "resolved_at": active.resolved_at.timestamp() if active.resolved_at else None,
        "keep_since": active.keep_since.timestamp() if active.keep_since else None,
        "gone_at": active.gone_at.timestamp() if active.gone_at else None,
        "seen": sorted(active.seen),
    }


def parse(saved: Mapping[str, Any]) -> Active:
    """Raises KeyError, TypeError or ValueError on anything that `dump` did not write."""
    return Active(
        labels=dict(saved["labels"]),
        source=dict(saved["source"]),
        phase=Phase(saved["phase"]),
        value=float(saved["value"]),
        active_at=_instant(saved["active_at"]),
        annotations=dict(saved["annotations"]),
        fired_at=_instant(saved["fired_at"]) if saved["fired_at"] is not None else None,
        resolved_at=_instant(saved["resolved_at"]) if saved["resolved_at"] is not None else None,
        keep_since=_instant(saved["keep_since"]) if saved["keep_since"] is not None else None,
        gone_at=_instant(saved["gone_at"]) if saved.get("gone_at") is not None else None,
        seen=frozenset(int(index) for index in saved["seen"]),
    )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
