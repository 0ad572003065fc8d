"""Alerts come in, incidents come out: which incident an alert belongs to, and whether it opens one.

What a changed set of alerts means for its incident is settling.py's.
"""

from __future__ import annotations

import json
import math
import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from bot.agents.model import Agent, Stage
from bot.incidents import settling
from bot.incidents.decision import Decision, World
from bot.incidents.escalation import due, still_firing
from bot.incidents.inhibition import inhibition_of
from bot.incidents.model import BY_HAND, INTERNAL, Alert, AlertState, Incident, Severity, State, title_of
from bot.incidents.registered import any_of, seen
from bot.incidents.settling import grouping_of, settle
from bot.incidents.suppression import suppressions
from bot.labels import fingerprint
from bot.oncall.owners import Owner, owner_of, policy_of

UNOWNED = "AlertUnowned"
ENGINE_DOWN = "MetricsEngineDown"  # of no agent: that the fallback has it is no oversight
KEPT_ENDED = 50  # ended alerts that an incident remembers: labels that change all day must not make it grow
EVERY_LABEL = "..."
_UNOWNED_KEY = f"alert={UNOWNED} "
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_PLAIN = re.compile(r'[^\s="\\]+')


def observe(
    group: str,
    alerts: Sequence[Alert],
    incidents: Iterable[Incident],
    world: World,
    now: datetime,
    next_number: Callable[[], int],
    rules: frozenset[str] | None = None,
    *,
    still: Collection[str] | None = (),
    cleared: Iterable[Incident] = (),
) -> list[Decision]:
    """Compares what `group` reports with the incidents that are not over.

    `still` has the fingerprints of what goes on as it was told before; None: the report is only of changes. An alert of
    this group that is not reported any more is held as no data: it has not been seen to end. Only when its rule is gone
    from the configuration (`rules` names those that are left) has a human ended it. `cleared` are incidents that have
    cleared within the re-open window and have a key of `missing_keys`: they open again.
    """
    book = _Ledger(incidents, now, cleared)
    for alert in alerts:
        if alert.severity is not Severity.NONE:
            book.place(at_stage(alert, world.agents), world, next_number)
    if still is not None:
        reported = {*still, *(alert.fingerprint for alert in alerts)}
        book.miss(lambda alert: alert.group == group and alert.fingerprint not in reported, rules)
    book.end_unowned(world)
    book.hide_moved(world)
    return book.decisions(world)


def at_stage(alert: Alert, agents: Mapping[str, Agent]) -> Alert:
    """As it counts for its agent: at the stage crawl what is critical is a warning, which wakes too."""
    agent = agents.get(alert.labels.get("agent", ""))
    if agent is None or agent.stage is not Stage.CRAWL or alert.severity is not Severity.CRITICAL:
        return alert
    why = {"severity_why": f"critical in its rule, a warning because {agent.id} is at the stage crawl"}
    return alert.model_copy(
        update={
            "labels": {**alert.labels, "severity": Severity.WARNING.value},
            "annotations": {**alert.annotations, **why},
        }
    )


def missing_keys(alerts: Sequence[Alert], incidents: Iterable[Incident], world: World) -> set[str]:
    """The keys for which `observe` opens an incident, unless one that cleared a moment ago opens again."""
    if all(_ended(alert) for alert in alerts):
        return set()
    live = list(incidents)
    alerts = [at_stage(one, world.agents) for one in alerts]  # its severity may be in the key
    fresh = {one.fingerprint: one for one in alerts if not _ended(one) and one.severity is not Severity.NONE}
    for incident in live:
        for alert in incident.alerts:
            if alert.fingerprint in fresh and not _ended(alert):
                del fresh[alert.fingerprint]
    wanted: set[str] = set()
    for alert in fresh.values():
        owner = owner_of(alert.labels, world.agents, world.book)
        wanted.add(incident_key(alert, owner, world))
        if not owner.known and alert.group != INTERNAL and alert.name != ENGINE_DOWN:
            wanted.add(_own_key(UNOWNED, owner))
    return wanted - {incident.key for incident in live if incident.state is not State.RESOLVED} if wanted else wanted


def resuppress(incidents: Iterable[Incident], world: World, now: datetime) -> list[Decision]:
    """A silence was made or has ended, a window has opened or closed: what is hidden, and what no longer is."""
    book = _Ledger(incidents, now)
    book.hide(world)
    return book.decisions(world)


def drop_groups(incidents: Iterable[Incident], known: frozenset[str], world: World, now: datetime) -> list[Decision]:
    """Ends the alerts of rule groups that the configuration no longer has."""
    book = _Ledger(incidents, now)
    book.miss(lambda alert: alert.group not in {*known, INTERNAL, BY_HAND}, frozenset())
    book.end_unowned(world)
    book.hide(world)
    return book.decisions(world)


def come_due(incident: Incident, other: Incident | None, world: World, now: datetime) -> list[Decision]:
    """What a deadline that has come asks for. `other` is the unresolved incident of the same key, if there is one."""
    if incident.state is State.RESOLVED and other is not None and still_firing(incident):
        return carry_over(incident, other, world, now)
    decision = settling.come_due(incident, world, now) or due(incident, world, now)
    return [] if decision is None else [decision]


def carry_over(watched: Incident, other: Incident, world: World, now: datetime) -> list[Decision]:
    """A human closed `watched`, its alerts went on, and `other` has opened for the same agent since: it takes them."""
    book = _Ledger([watched, other], now)
    for alert in watched.going_on:
        book.move(alert, watched.id, other.id)
    return book.decisions(world)


class _Ledger:
    """The incidents while one report is worked in: as they were, and what becomes of their alerts."""

    def __init__(self, incidents: Iterable[Incident], now: datetime, cleared: Iterable[Incident] = ()) -> None:
        self._now = now
        self._before: dict[str, Incident | None] = {incident.id: incident for incident in incidents}
        self._after: dict[str, Incident] = {i.id: i for i in self._before.values() if i is not None}
        self._alerts: dict[str, dict[str, Alert]] = {}  # of the incidents that were looked into
        self._changed: dict[str, None] = {}  # in the order in which they changed
        self._moved: dict[str, str] = {}  # alerts that have begun, ended or changed their labels, and their incidents
        self._alive: list[tuple[str, Alert]] | None = None  # what goes on, until something changes
        resolved = AlertState.RESOLVED  # looked up once: there may be ten thousand
        self._home = {
            alert.fingerprint: i.id for i in self._after.values() for alert in i.alerts if alert.state is not resolved
        }
        self._unresolved = {i.key: i.id for i in self._after.values() if i.state is not State.RESOLVED}
        self._cleared = {incident.key: incident for incident in cleared}

    def place(self, alert: Alert, world: World, next_number: Callable[[], int]) -> None:
        home = self._home.get(alert.fingerprint)
        if home is not None and self._same_run(home, alert):
            hidden = self._of(home)[alert.fingerprint].suppressed if not _ended(alert) else ()
            self._put(home, alert.model_copy(update={"suppressed": hidden}) if hidden else alert)
        elif not _ended(alert):
            if home is not None:  # the run that a human closed the incident over is past
                self._end(home, alert)
            self._join(alert, world, next_number)

    def _same_run(self, incident_id: str, alert: Alert) -> bool:
        """A firing that began anew after a human closed the incident is news; the one it was closed over is not."""
        if self._after[incident_id].state is not State.RESOLVED or _ended(alert):
            return True
        known = self._of(incident_id).get(alert.fingerprint)
        return known is not None and known.starts_at == alert.starts_at

    def _join(self, alert: Alert, world: World, next_number: Callable[[], int]) -> None:
        owner = owner_of(alert.labels, world.agents, world.book)
        key = incident_key(alert, owner, world)
        mine = self._unresolved.get(key)
        if mine is None:
            mine = self._unresolved[key] = self._opened(key, alert, owner, world, next_number)
        self._home[alert.fingerprint] = mine
        self._put(mine, alert)
        if not owner.known and alert.group != INTERNAL:
            self.place(_unowned(alert, owner, self._now), world, next_number)

    def _opened(self, key: str, alert: Alert, owner: Owner, world: World, next_number: Callable[[], int]) -> str:
        again = self._cleared.get(key)
        incident = again or _open(f"INC-{next_number()}", key, alert, owner, world, self._now)
        self._before[incident.id] = again
        self._after[incident.id] = incident
        return incident.id

    def _of(self, incident_id: str) -> dict[str, Alert]:
        """The incident's alerts as they are by now."""
        if incident_id not in self._alerts:
            self._alerts[incident_id] = {one.fingerprint: one for one in self._after[incident_id].alerts}
        return self._alerts[incident_id]

    def _put(self, incident_id: str, alert: Alert) -> None:
        alerts = self._of(incident_id)
        before = alerts.get(alert.fingerprint)
        if before is None or not _same(before, alert):
            if before is None or before.labels != alert.labels or _ended(before) is not _ended(alert):
                self._moved[alert.fingerprint] = incident_id
            alerts[alert.fingerprint] = alert
            self._changed[incident_id] = None
            self._alive = None

    def move(self, alert: Alert, origin: str, target: str) -> None:
        self._end(origin, alert)
        self._put(target, alert)

    def miss(self, gone: Callable[[Alert], bool], rules: frozenset[str] | None) -> None:
        for incident_id, alert in self._going_on():
            if gone(alert):
                if rules is not None and alert.name not in rules:
                    self._end(incident_id, alert)
                else:
                    self._put(incident_id, alert.model_copy(update={"state": AlertState.NO_DATA}))

    def _going_on(self) -> list[tuple[str, Alert]]:
        if self._alive is None:
            resolved = AlertState.RESOLVED
            self._alive = [
                (incident_id, alert)
                for incident_id, incident in self._after.items()
                for alert in (self._alerts[incident_id].values() if incident_id in self._alerts else incident.alerts)
                if alert.state is not resolved
            ]
        return self._alive

    def end_unowned(self, world: World) -> None:
        """AlertUnowned ends when no alert is left without an owner for that cause."""
        if not any(key.startswith(_UNOWNED_KEY) for key in self._unresolved):
            return
        going_on = self._going_on()
        raised = [(i, alert) for i, alert in going_on if alert.group == INTERNAL and alert.name == UNOWNED]
        owners = (owner_of(alert.labels, world.agents, world.book) for _, alert in going_on if alert.group != INTERNAL)
        causes = {owner.why for owner in owners if not owner.known}
        for incident_id, alert in raised:
            if alert.labels["cause"] not in causes:
                self._end(incident_id, alert)

    def hide_moved(self, world: World) -> None:
        """What has begun or ended may be hidden, or be what hides others; all else is as it was. What time changes is
        met by `resuppress`."""
        moved = [(home, self._alerts[home][name]) for name, home in self._moved.items()]
        if inhibition_of(world.rules.inhibit_rules).concerns((alert for _, alert in moved), world.agents):
            self.hide(world)
        elif moved:
            self._hide([(home, alert) for home, alert in moved if not _ended(alert)], world)

    def hide(self, world: World) -> None:
        """Everything that goes on is asked anew whether something hides it."""
        self._hide(self._going_on(), world)

    def _hide(self, going_on: list[tuple[str, Alert]], world: World) -> None:
        found = suppressions((alert for _, alert in going_on), world, self._now)
        for incident_id, alert in going_on:
            hidden = found.get(alert.fingerprint, ())
            if hidden != alert.suppressed:
                self._put(incident_id, alert.model_copy(update={"suppressed": hidden}))

    def _end(self, incident_id: str, alert: Alert) -> None:
        over = {"state": AlertState.RESOLVED, "ends_at": self._now, "suppressed": ()}
        self._put(incident_id, alert.model_copy(update=over))

    def decisions(self, world: World) -> list[Decision]:
        """What becomes of each incident that is not as it was."""
        settled = (settle(self._before[name], self._with_alerts(name), world, self._now) for name in self._changed)
        return [decision for decision in settled if decision is not None]

    def _with_alerts(self, incident_id: str) -> Incident:
        return self._after[incident_id].model_copy(update={"alerts": _kept(self._alerts[incident_id])})


def _ended(alert: Alert) -> bool:
    return alert.state is AlertState.RESOLVED


def _kept(alerts: dict[str, Alert]) -> tuple[Alert, ...]:
    """All that go on, and those that have ended last."""
    ended = sorted((one for one in alerts.values() if _ended(one)), key=lambda one: one.ends_at or _LONG_AGO)
    too_many = {one.fingerprint for one in ended[:-KEPT_ENDED]}
    return tuple(one for one in alerts.values() if one.fingerprint not in too_many)


def _same(one: Alert, other: Alert) -> bool:
    """NaN is the same as NaN here, though never equal to itself."""
    if math.isnan(one.value) and math.isnan(other.value):
        one, other = (alert.model_copy(update={"value": 0.0}) for alert in (one, other))
    return one == other


def incident_key(alert: Alert, owner: Owner, world: World) -> str:
    """One incident per owner and equal labels, those of `group_by`: agent and cause unless the rules say otherwise.

    Where the agent counts and the alert has none, its name stands for it. A label that the alert has not is left out.
    """
    if alert.group == INTERNAL:
        return _own_key(alert.name, owner)
    names = grouping_of(alert.labels, world).group_by
    if EVERY_LABEL in names:
        parts = sorted((name, value) for name, value in alert.labels.items() if value)
    else:
        labels = seen(alert.labels, world.agents) if any_of(names) else alert.labels
        parts = [(name, value) for name in names if (value := labels.get(name, ""))]
        if "agent" in names and not alert.labels.get("agent"):
            parts.insert(0, ("alert", alert.name))
    return " ".join(f"{name}={_quoted(value)}" for name, value in (*parts, ("owner", owner.id)))


def _by_agent(alert: Alert, world: World) -> bool:
    """Whether the incident is about one agent; otherwise alerts of others may join it."""
    names = grouping_of(alert.labels, world).group_by
    return alert.group == INTERNAL or "agent" in names or EVERY_LABEL in names


def _own_key(name: str, owner: Owner) -> str:
    return f"alert={name} owner={owner.id}"


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value)


def _open(incident_id: str, key: str, alert: Alert, owner: Owner, world: World, now: datetime) -> Incident:
    named = alert.labels.get("agent") if _by_agent(alert, world) else None
    agent = world.agents.get(named or "")
    team = world.book.teams.get(owner.id.removeprefix("team:"))
    policy_id, policy = policy_of(owner, alert.labels, world.agents, world.book)
    return Incident(
        id=incident_id,
        key=key,
        revision=0,
        state=State.OPEN,
        severity=alert.severity,
        agent=named,
        title=title_of(alert),
        owner=owner.id,
        owner_why=owner.why,
        channel=(agent and agent.channel) or (team and team.channel) or world.channel,
        policy=policy,
        policy_id=policy_id,
        fallback=world.book.fallback,
        book_id=world.book_id,
        opened_at=now,
        observed_at=now,
        announced=False,
    )


def _unowned(alert: Alert, owner: Owner, now: datetime) -> Alert:
    """The second incident that says why the fallback was woken."""
    labels = {"alertname": UNOWNED, "severity": "warning", "owner": owner.id, "cause": owner.why}
    return Alert(
        fingerprint=fingerprint(labels),
        group=INTERNAL,
        state=AlertState.FIRING,
        labels=labels,
        annotations={
            "summary": f"Nobody owns {alert.labels.get('agent') or alert.name}",
            "description": f"{alert.name}: {owner.why}. Register the agent with an owner, or correct the owner label.",
        },
        value=1.0,
        starts_at=now,
    )
