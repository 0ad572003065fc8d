"""Alerts come in, incidents come out: which incident an alert belongs to, when one opens, worsens and clears."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.incidents.decision import Decision, Say, World
from bot.incidents.escalation import climb, due, restart, still_firing
from bot.incidents.model import (
    SEVERITY_RANK,
    Alert,
    AlertState,
    Event,
    Incident,
    Severity,
    State,
    next_state,
)
from bot.labels import fingerprint
from bot.oncall.owners import Owner, owner_of, policy_of

REFRESH = timedelta(seconds=60)  # how often a change of nothing but values is worth an edit
INTERNAL = "agentpager"  # group of the alerts that the pager raises itself
UNOWNED = "AlertUnowned"
KEPT_ENDED = 50  # ended alerts that an incident remembers: labels that change all day must not make it grow
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


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
) -> list[Decision]:
    """Compares what `group` reports with the incidents that are not over.

    `still` has the fingerprints of what goes on as it was told before; None: the report is only of changes. An alert of
    this group that is not reported any more is held as no data: it has not been seen to end. Only when its rule is gone
    from the configuration (`rules` names those that are left) has a human ended it.
    """
    book = _Ledger(incidents, now)
    for alert in alerts:
        if alert.severity is not Severity.NONE:
            book.place(alert, world, next_number)
    if still is not None:
        reported = {*still, *(alert.fingerprint for alert in alerts)}
        book.miss(lambda alert: alert.group == group and alert.fingerprint not in reported, rules)
    book.end_unowned(world)
    return book.decisions(world)


def drop_groups(incidents: Iterable[Incident], known: frozenset[str], world: World, now: datetime) -> list[Decision]:
    """Ends the alerts of rule groups that the configuration no longer has."""
    book = _Ledger(incidents, now)
    book.miss(lambda alert: alert.group not in known and alert.group != INTERNAL, frozenset())
    book.end_unowned(world)
    return book.decisions(world)


def come_due(incident: Incident, other: Incident | None, world: World, now: datetime) -> list[Decision]:
    """What a deadline that has come asks for. `other` is the unresolved incident of the same key, if there is one."""
    if incident.state is State.RESOLVED and other is not None and still_firing(incident):
        return carry_over(incident, other, world, now)
    decision = due(incident, world, now)
    return [] if decision is None else [decision]


def carry_over(watched: Incident, other: Incident, world: World, now: datetime) -> list[Decision]:
    """A human closed `watched`, its alerts went on, and `other` has opened for the same agent since: it takes them."""
    book = _Ledger([watched, other], now)
    for alert in watched.going_on:
        book.move(alert, watched.id, other.id)
    return book.decisions(world)


class _Ledger:
    """The incidents while one report is worked in: as they were, and as they become."""

    def __init__(self, incidents: Iterable[Incident], now: datetime) -> None:
        self._now = now
        self._before: dict[str, Incident | None] = {incident.id: incident for incident in incidents}
        self._after: dict[str, Incident] = {i.id: i for i in self._before.values() if i is not None}
        self._home = {alert.fingerprint: i.id for i in self._after.values() for alert in i.alerts if not _ended(alert)}

    def place(self, alert: Alert, world: World, next_number: Callable[[], int]) -> None:
        home = self._home.get(alert.fingerprint)
        if home is not None and _same_run(self._after[home], alert):
            self._put(home, alert)
        elif not _ended(alert):
            if home is not None:  # the run that a human closed the incident over is past
                self._put(home, alert.model_copy(update={"state": AlertState.RESOLVED, "ends_at": self._now}))
            self._join(alert, world, next_number)

    def _join(self, alert: Alert, world: World, next_number: Callable[[], int]) -> None:
        owner = owner_of(alert.labels, world.agents, world.book)
        key = incident_key(alert, owner)
        mine = next((i.id for i in self._after.values() if i.key == key and i.state is not State.RESOLVED), None)
        if mine is None:
            opened = _open(f"INC-{next_number()}", key, alert, owner, world, self._now)
            mine = opened.id
            self._before[mine] = None
            self._after[mine] = opened
        self._home[alert.fingerprint] = mine
        self._put(mine, alert)
        if not owner.known and alert.group != INTERNAL:
            self.place(_unowned(alert, owner, self._now), world, next_number)

    def _put(self, incident_id: str, alert: Alert) -> None:
        incident = self._after[incident_id]
        known = {other.fingerprint: other for other in incident.alerts}
        before = known.get(alert.fingerprint)
        if before is not None and _same(before, alert):
            return
        known[alert.fingerprint] = alert
        ended = sorted(
            (other for other in known.values() if _ended(other)), key=lambda other: other.ends_at or _LONG_AGO
        )
        for other in ended[:-KEPT_ENDED]:
            del known[other.fingerprint]
        self._after[incident_id] = incident.model_copy(update={"alerts": tuple(known.values())})

    def move(self, alert: Alert, origin: str, target: str) -> None:
        self._end(origin, alert)
        self._put(target, alert)

    def miss(self, gone: Callable[[Alert], bool], rules: frozenset[str] | None) -> None:
        for incident in list(self._after.values()):
            for alert in incident.alerts:
                if not _ended(alert) and gone(alert):
                    if rules is not None and alert.name not in rules:
                        self._end(incident.id, alert)
                    else:
                        self._put(incident.id, alert.model_copy(update={"state": AlertState.NO_DATA}))

    def end_unowned(self, world: World) -> None:
        """AlertUnowned ends when no alert is left without an owner for that cause."""
        going_on = [(i.id, alert) for i in self._after.values() for alert in i.going_on]
        owners = [owner_of(alert.labels, world.agents, world.book) for _, alert in going_on if alert.group != INTERNAL]
        causes = {owner.why for owner in owners if not owner.known}
        for incident_id, alert in going_on:
            if alert.name == UNOWNED and alert.group == INTERNAL and alert.labels["cause"] not in causes:
                self._end(incident_id, alert)

    def _end(self, incident_id: str, alert: Alert) -> None:
        self._put(incident_id, alert.model_copy(update={"state": AlertState.RESOLVED, "ends_at": self._now}))

    def decisions(self, world: World) -> list[Decision]:
        """What becomes of each incident that is not as it was."""
        changes = [(self._before[i.id], i) for i in self._after.values() if self._before[i.id] is not i]
        settled = (_settle(before, after, world, self._now) for before, after in changes)
        return [decision for decision in settled if decision is not None]


def _ended(alert: Alert) -> bool:
    return alert.state is AlertState.RESOLVED


def _same(one: Alert, other: Alert) -> bool:
    """Compared as written, for NaN is never equal to itself."""
    return one.model_dump_json() == other.model_dump_json()


def _same_run(incident: Incident, alert: Alert) -> bool:
    """A firing that began anew after a human closed the incident is news; the one it was closed over is not."""
    if incident.state is not State.RESOLVED or _ended(alert):
        return True
    return any(
        known.fingerprint == alert.fingerprint and known.starts_at == alert.starts_at for known in incident.alerts
    )


def incident_key(alert: Alert, owner: Owner) -> str:
    """One incident per agent and owner; without an agent, per alert name and owner."""
    agent = alert.labels.get("agent")
    return f"agent={agent} owner={owner.id}" if agent else f"alert={alert.name} owner={owner.id}"


def _open(incident_id: str, key: str, alert: Alert, owner: Owner, world: World, now: datetime) -> Incident:
    agent = world.agents.get(alert.labels.get("agent", ""))
    team = world.book.teams.get(owner.id.removeprefix("team:"))
    policy_id, policy = policy_of(owner, alert.labels, world.agents, world.book)
    return Incident(
        id=incident_id,
        key=key,
        revision=0,
        state=State.OPEN,
        severity=alert.severity,
        agent=alert.labels.get("agent"),
        title=title_of(alert),
        owner=owner.id,
        owner_why=owner.why,
        channel=(agent and agent.channel) or (team and team.channel) or world.channel,
        policy=policy,
        policy_id=policy_id,
        fallback=world.book.fallback,
        opened_at=now,
        observed_at=now,
    )


def title_of(alert: Alert) -> str:
    summary = " ".join(alert.annotations.get("summary", "").split()) or alert.name or "unnamed alert"
    return summary if len(summary) <= 120 else summary[:119] + "…"


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


def _settle(before: Incident | None, after: Incident, world: World, now: datetime) -> Decision | None:
    """Turns the changed set of alerts into what happens to the incident."""
    alive = after.going_on
    if not alive:
        return _clear(after, now)
    worst = alive[0]
    severities = [after.severity, *(alert.severity for alert in after.alerts)]
    severity = max(severities, key=lambda severity: SEVERITY_RANK[severity])
    after = after.model_copy(update={"severity": severity, "title": title_of(worst), "observed_at": now})
    if before is None:
        return _first(after, worst, world, now)
    if before.state is State.RESOLVED:
        return Decision(
            after.model_copy(update={"observed_at": before.observed_at}), None, "closed by hand, still watched"
        )
    worse = SEVERITY_RANK[severity] > SEVERITY_RANK[before.severity]
    quiet = not before.severity.wakes
    if worse and severity.wakes and (before.state is State.ACKED or quiet):
        decision = restart(after, Event.WORSENED, f"{worst.name} raised it to {severity}", world, now)
        return replace(decision, say=(*decision.say, Say.RUNBOOK)) if quiet else decision
    news = _news(before, after)
    if not news and now - before.observed_at < REFRESH:
        return None
    changed = after.model_copy(update={"revision": before.revision + 1})
    return Decision(changed, Event.FIRED if news else None, news or "values brought up to date")


def _first(incident: Incident, alert: Alert, world: World, now: datetime) -> Decision:
    if not incident.severity.wakes:
        opened = incident.model_copy(update={"revision": 1})
        return Decision(
            opened, Event.FIRED, f"{alert.name} is {incident.severity}: shown, wakes nobody", say=(Say.CARD,)
        )
    decision = climb(incident, Event.FIRED, f"{alert.name} fired; {incident.owner_why}", world, now)
    return replace(decision, say=(Say.CARD, Say.RUNBOOK))


def _news(before: Incident, after: Incident) -> str:
    """What changed besides values, in words; empty when nothing did."""
    was = {alert.fingerprint: alert.state for alert in before.alerts}
    lines = [
        f"{alert.name} joined" if alert.fingerprint not in was else f"{alert.name} is {alert.state}"
        for alert in after.alerts
        if was.get(alert.fingerprint) is not alert.state
    ]
    return "; ".join(lines)


def _clear(incident: Incident, now: datetime) -> Decision:
    if incident.state is State.RESOLVED:
        return Decision(incident.model_copy(update={"next_at": None}), None, "the alerts it was closed over have ended")
    changed = incident.model_copy(
        update={
            "state": next_state(incident.state, Event.CLEARED),
            "revision": incident.revision + 1,
            "resolved_at": now,
            "how_resolved": "cleared",
            "ack_asked": False,
            "next_at": None,
        }
    )
    return Decision(changed, Event.CLEARED, "every alert has ended", say=(Say.RESOLVED,), cancel=True)
