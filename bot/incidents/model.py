"""What an alert and an incident are once they have left the rules. States are one enum and one table."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from bot.errors import ConflictError
from bot.oncall.model import Policy
from bot.schema import Model, Positive

INTERNAL = "agentpager"  # group of the alerts that the pager raises itself
BY_HAND = "by hand"  # group of those that people raise: nothing hides them, and they hide nothing


_PUSHED = "bridge:"


def pushed_group(bridge: str) -> str:
    """The group of the alerts that others send to a bridge."""
    return f"{_PUSHED}{bridge}"


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"  # shown in the channel, wakes nobody
    NONE = "none"  # never leaves the watcher: feeds dead man's switches

    @property
    def wakes(self) -> bool:
        return self in {Severity.CRITICAL, Severity.WARNING}


SEVERITY_RANK = {Severity.CRITICAL: 3, Severity.WARNING: 2, Severity.INFO: 1, Severity.NONE: 0}


class AlertState(StrEnum):
    FIRING = "firing"
    NO_DATA = "no_data"  # was firing, and the series behind it vanished: held, never resolved by absence
    RESOLVED = "resolved"


class SuppressionKind(StrEnum):
    SILENCE = "silence"
    INHIBITION = "inhibition"
    MUTE_WINDOW = "mute_window"
    MAINTENANCE = "maintenance"


class Suppression(Model):
    """Why an alert wakes nobody although it fires. `by` is the id of the silence, or the name of the inhibition rule,
    mute window or maintenance; `why` says it in words for people, with author and reason. `until` is None when it
    lasts as long as what causes it.
    """

    kind: SuppressionKind
    by: str
    why: str
    until: datetime | None = None


class Alert(Model):
    """A rule true for one label set, as it crosses from the watcher to the pager.

    `group` is `file;group`, the unit in which alerts are sent; `fingerprint` is over all labels including alertname.
    `value` is the value of the expression, NaN when unknown. All instants are aware UTC. `suppressed` is filled in by
    the pager: everything that hides the alert now. `expires_at` is when one that others have sent is over unless they
    send it again, `generator_url` where its expression can be looked at.
    """

    fingerprint: str
    group: str
    state: AlertState
    labels: dict[str, str]
    annotations: dict[str, str]
    value: float
    starts_at: datetime
    ends_at: datetime | None = None
    expires_at: datetime | None = None
    suppressed: tuple[Suppression, ...] = ()
    generator_url: str = ""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    def expired(self, now: datetime, since: datetime | None = None) -> bool:
        """Whether others have not sent it again in time; with `since` only if it began after that."""
        return self.expires_at is not None and self.expires_at <= now and (since is None or self.starts_at >= since)

    @property
    def severity(self) -> Severity:
        """An alert without a known severity wakes somebody: silence must be asked for."""
        try:
            return Severity(self.labels.get("severity", "critical"))
        except ValueError:
            return Severity.CRITICAL


class State(StrEnum):
    OPEN = "open"  # nobody has it yet: escalation runs
    ACKED = "acked"  # somebody has it: escalation rests until the ack expires
    RESOLVED = "resolved"


class Event(StrEnum):
    FIRED = "fired"
    WORSENED = "worsened"  # an alert joined or changed to a higher severity than people know of
    ESCALATED = "escalated"
    DECLINED = "declined"
    ACKED = "acked"
    RELEASED = "released"
    ACK_ASKED = "ack_asked"
    ACK_EXPIRED = "ack_expired"
    CLEARED = "cleared"  # every alert ended
    RESOLVED = "resolved"  # a human closed it
    STILL_FIRING = "still_firing"  # a human closed it, and its alerts went on
    REOPENED = "reopened"  # its alerts had ended, and one came back within the re-open window
    SUPPRESSED = "suppressed"  # everything in it that could wake somebody is silenced, inhibited or muted
    UNSUPPRESSED = "unsuppressed"  # that has ended, and it still fires
    SNOOZED = "snoozed"  # somebody has it and wants to hear of it again at a certain time
    SNOOZE_ENDED = "snooze_ended"
    TAKEN = "taken"  # somebody took it over from whoever had it
    HANDED = "handed"  # given to another person, who is paged for it
    NOTED = "noted"  # a note was added
    MARKED = "marked"  # somebody said whether it was right to wake them
    STEPPED = "stepped"  # something became of a step of its runbook
    REPORTED = "reported"  # somebody said that its runbook is wrong or lacks something


# Every legal move is here; a pair that is missing is a mistake of the caller.
TRANSITIONS: dict[State, dict[Event, State]] = {
    State.OPEN: {
        Event.FIRED: State.OPEN,
        Event.WORSENED: State.OPEN,
        Event.ESCALATED: State.OPEN,
        Event.DECLINED: State.OPEN,
        Event.ACKED: State.ACKED,
        Event.CLEARED: State.RESOLVED,
        Event.RESOLVED: State.RESOLVED,
        Event.SUPPRESSED: State.OPEN,
        Event.UNSUPPRESSED: State.OPEN,
        Event.SNOOZED: State.ACKED,
        Event.HANDED: State.OPEN,
        Event.NOTED: State.OPEN,
        Event.MARKED: State.OPEN,
        Event.STEPPED: State.OPEN,
        Event.REPORTED: State.OPEN,
    },
    State.ACKED: {
        Event.FIRED: State.ACKED,
        Event.WORSENED: State.OPEN,
        Event.ACKED: State.ACKED,
        Event.DECLINED: State.OPEN,
        Event.RELEASED: State.OPEN,
        Event.ACK_ASKED: State.ACKED,
        Event.ACK_EXPIRED: State.OPEN,
        Event.CLEARED: State.RESOLVED,
        Event.RESOLVED: State.RESOLVED,
        Event.ESCALATED: State.OPEN,
        Event.SUPPRESSED: State.ACKED,
        Event.UNSUPPRESSED: State.ACKED,
        Event.SNOOZED: State.ACKED,
        Event.SNOOZE_ENDED: State.OPEN,
        Event.TAKEN: State.ACKED,
        Event.HANDED: State.OPEN,
        Event.NOTED: State.ACKED,
        Event.MARKED: State.ACKED,
        Event.STEPPED: State.ACKED,
        Event.REPORTED: State.ACKED,
    },
    State.RESOLVED: {
        Event.STILL_FIRING: State.OPEN,
        Event.REOPENED: State.OPEN,
        Event.NOTED: State.RESOLVED,
        Event.MARKED: State.RESOLVED,
        Event.STEPPED: State.RESOLVED,
        Event.REPORTED: State.RESOLVED,
    },
}


def next_state(state: State, event: Event) -> State:
    """Raises ConflictError naming both when the move is not legal."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise ConflictError(f"this incident is {state}; it cannot be {event}") from None


class Promise(Model):
    """How soon somebody has an incident, and how soon it is over."""

    ack: Positive | None = None
    resolve: Positive | None = None


class Note(Model):
    """`by` is an actor as in `acked_by`."""

    at: datetime
    by: str
    text: str


class StepMark(Model):
    """What became of one step of the runbook, shared by everybody on the incident. `by` is an actor as in `acked_by`,
    or `agentpager` for what the webhook of an action answered. `text` says what was chosen, waited for or answered.

    `asked`: an action waits for approval; `running`: it has been approved and is on its way.
    """

    step: str
    state: Literal["done", "skipped", "failed", "asked", "running", "undone"]
    at: datetime
    by: str
    text: str = ""


class RunbookFault(Model):
    """Somebody said that a step is wrong, or that one is missing; `step` is empty for the runbook as a whole."""

    at: datetime
    by: str
    runbook: str
    step: str = ""
    kind: Literal["wrong", "missing"]
    text: str


class Incident(Model):
    """What one person handles. A change is `model_copy(update=...)` with `revision` one higher.

    `id` is `INC-<number>`. `key` says which alerts belong together; at most one incident per key is not resolved.
    `policy` is the snapshot taken when it opened. `step` and `round` count from 0 and name the step paged last;
    `step` is -1 before the first page. `next_at` is the next instant at which something is due, None when nothing is.
    `acked_by` is `person:<id>` or `cli:<user>`. `observed_at` is when the values in `alerts` were last brought up to
    date.
    `declined` are the people who cannot take it in this round. `book_id` names the snapshot of schedules and teams that
    it keeps. `suppressed` is not empty while everything in it that could wake somebody is hidden. `snoozed_until` is
    set while the ack is a snooze. `assigned` is the person it was handed to and who has not answered yet.
    `reopened` are the instants at which it opened again within the re-open window; `flapping` says that it does so too
    often, so that its end waits for a quiet time, which is over at `quiet_at` if nothing fires before. `announced` is
    False while nothing of it has been posted: it waits for more alerts, or is hidden. Alerts that join later are told
    at `told_at`; `untold` are the fingerprints of those. `widened` counts how far beyond the fallback the page goes.
    `mark` answers "was it right to wake you?".
    `hidden_since` and `hidden_for` say how long all of it was suppressed. `answered_after` is how long it waited for
    its first ack, that time left out, and `answered_by` whose that was. `promised` is what is promised for incidents
    of severity `promised_for`, and `breached` what was not kept. `promises.timed` keeps these. `progress` is the last
    mark of each step of the runbook, in the order of the marks; `readers` are those who opened the runbook, and
    `faults` what they said is wrong with it. `exercise` is a test or drill: it wakes as any other does, is shown as
    what it is, and counts in no report.
    """

    id: str
    key: str
    revision: int
    state: State
    severity: Severity
    agent: str | None
    title: str
    owner: str
    owner_why: str
    channel: str
    policy: Policy
    policy_id: str
    fallback: str
    step: int = -1
    round: int = 0
    exhausted: bool = False
    ack_asked: bool = False
    next_at: datetime | None = None
    opened_at: datetime
    observed_at: datetime
    paged_at: datetime | None = None
    acked_by: str | None = None
    acked_at: datetime | None = None
    ack_expires_at: datetime | None = None
    resolved_by: str | None = None
    resolved_at: datetime | None = None
    how_resolved: Literal["cleared", "human", ""] = ""
    declined: tuple[str, ...] = ()
    book_id: str = ""
    suppressed: tuple[Suppression, ...] = ()
    snoozed_until: datetime | None = None
    assigned: str | None = None
    reopened: tuple[datetime, ...] = ()
    flapping: bool = False
    quiet_at: datetime | None = None
    announced: bool = True
    told_at: datetime | None = None
    untold: tuple[str, ...] = ()
    widened: int = 0
    notes: tuple[Note, ...] = ()
    mark: Literal["right", "noise", ""] = ""
    marked_by: str | None = None
    hidden_since: datetime | None = None
    hidden_for: timedelta = timedelta()
    answered_after: timedelta | None = None
    answered_by: str | None = None
    promised: Promise = Promise()
    promised_for: Severity | None = None
    breached: tuple[Literal["ack", "resolve"], ...] = ()
    progress: tuple[StepMark, ...] = ()
    readers: tuple[str, ...] = ()
    faults: tuple[RunbookFault, ...] = ()
    exercise: Literal["", "test", "drill"] = ""
    alerts: tuple[Alert, ...] = ()

    @property
    def going_on(self) -> tuple[Alert, ...]:
        """The alerts that have not ended: hidden ones last, then the worst first, then the oldest."""
        alive = (alert for alert in self.alerts if alert.state is not AlertState.RESOLVED)
        return tuple(sorted(alive, key=lambda alert: (bool(alert.suppressed), worst_first(alert))))

    @property
    def deadline(self) -> datetime | None:
        """The next instant at which something is to be done for it: `next_at`, or the end of a quiet time."""
        quiet_at = self.quiet_at if self.state is not State.RESOLVED else None
        return min(filter(None, (self.next_at, quiet_at)), default=None)

    @property
    def over(self) -> bool:
        """Nothing will happen to it any more: resolved, and not watched for alerts that go on after a human
        closed it."""
        return self.state is State.RESOLVED and self.next_at is None


def worst_first(alert: Alert) -> tuple[int, datetime, str, str]:
    return -SEVERITY_RANK[alert.severity], alert.starts_at, alert.name, alert.fingerprint


def ended_by_hand(incident: Incident, now: datetime, result: str = "") -> Incident:
    """Without what people raised by hand, or what others have sent: none of that is looked at again by ourselves.
    `result` is kept with it."""

    def end(alert: Alert) -> Alert:
        told_of = alert.group == BY_HAND or alert.group.startswith(_PUSHED)
        if not told_of or alert.state is AlertState.RESOLVED:
            return alert
        told = alert.annotations | ({"result": result} if result else {})
        return alert.model_copy(update={"state": AlertState.RESOLVED, "ends_at": now, "annotations": told})

    return incident.model_copy(update={"alerts": tuple(end(alert) for alert in incident.alerts)})


def title_of(alert: Alert) -> str:
    summary = " ".join(alert.annotations.get("summary", "").split()) or alert.name or "unnamed alert"
    return summary if len(summary) <= 120 else summary[:119] + "…"
