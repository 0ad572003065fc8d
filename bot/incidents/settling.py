"""A changed set of alerts turned into what happens to their incident: it opens, waits, hides, worsens, clears, reopens.

Which incident an alert belongs to is grouping.py's, who is woken next escalation.py's. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from bot.incidents.decision import Decision, Say, World
from bot.incidents.escalation import NOBODYS, climb, restart, spoken
from bot.incidents.matching import compiled
from bot.incidents.model import (
    SEVERITY_RANK,
    Alert,
    Event,
    Incident,
    Severity,
    State,
    Suppression,
    next_state,
    title_of,
)
from bot.incidents.policy import Grouping, IncidentRules
from bot.incidents.registered import seen
from bot.incidents.suppression import known_end, refreshed, whole
from bot.labels import Labels, matches_all

REFRESH = timedelta(seconds=60)  # how often a change of nothing but values is worth an edit
LOOK_AGAIN = timedelta(minutes=5)  # at hidden alerts that go on after a human closed their incident
_REMEMBERED = 50  # instants of a flapping incident
_DEFAULT = Grouping()


def grouping_of(labels: Labels, world: World) -> Grouping:
    """The first entry whose matchers all hold."""
    known = seen(labels, world.agents) if world.rules.grouping else labels
    holding = (entry for entry in world.rules.grouping if matches_all(compiled(entry.matchers), known))
    return next(holding, _DEFAULT)


def settle(before: Incident | None, after: Incident, world: World, now: datetime) -> Decision | None:
    """What the incident becomes; `after` is `before` with other alerts. None when nobody needs to know yet."""
    if not after.going_on:
        return _ended(before, after, world, now)
    after = _described(after, world, now)
    if before is None:
        return _opened(after, world, now)
    if before.state is State.RESOLVED:
        return _reopened(after, world, now) if before.how_resolved == "cleared" else _still_watched(before, after)
    if after.suppressed:
        return _hidden(before, after, now)
    if before.suppressed:
        return _uncovered(before, after, world, now)
    if not before.announced and before.state is State.OPEN:
        return _awaited(before, after, world, now)
    return _changed(before, after, world, now)


def come_due(incident: Incident, world: World, now: datetime) -> Decision | None:
    """What a deadline asks for that is not one of the ladder; None when it is."""
    if incident.quiet_at is not None and incident.quiet_at <= now and incident.state is not State.RESOLVED:
        return clear(incident, now, "quiet long enough")
    if incident.next_at is None or incident.next_at > now:
        return None
    if incident.state is State.RESOLVED:
        return _watched_on(incident, world, now)
    if incident.suppressed:
        return _hidden_still(incident, world, now)
    if not incident.announced and incident.state is State.OPEN:
        waited = spoken(now - incident.opened_at)
        why = f"{_worst(incident).name} fired; {incident.owner_why}; waited {waited} for others"
        return _announce(incident, Event.FIRED, why, world, now)
    return None


def clear(incident: Incident, now: datetime, why: str = "every alert has ended") -> Decision:
    changed = incident.model_copy(
        update={
            "state": next_state(incident.state, Event.CLEARED),
            "revision": incident.revision + 1,
            "resolved_at": now,
            "how_resolved": "cleared",
            "ack_asked": False,
            "next_at": None,
            "suppressed": (),
            "flapping": False,
            "quiet_at": None,
        }
    )
    return Decision(changed, Event.CLEARED, why, say=(Say.RESOLVED,), cancel=True)


def _described(incident: Incident, world: World, now: datetime) -> Incident:
    """Severity and title by what is not hidden. What people have been told of never becomes less severe."""
    alive = incident.going_on
    visible = _visible(alive)
    shown = visible or alive
    severities = [alert.severity for alert in shown] + ([incident.severity] if incident.announced else [])
    if not visible and (incident.announced or incident.state is State.ACKED):
        # What joins hidden is worse than what people know only once it shows: an ack is of what was known.
        severities = [incident.severity]
    update: dict[str, object] = {
        "severity": max(severities, key=lambda severity: SEVERITY_RANK[severity]),
        "title": title_of(shown[0]),
        "observed_at": now,
        "suppressed": whole(alive),
        "quiet_at": None,
    }
    if incident.quiet_at is not None:
        update["reopened"] = _lately(incident, world.rules, now)
    return incident.model_copy(update=update)


def _visible(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    return tuple(alert for alert in alerts if not alert.suppressed)


def _worst(incident: Incident) -> Alert:
    return (_visible(incident.going_on) or incident.going_on or incident.alerts)[0]


# It opens, and opens again


def _opened(incident: Incident, world: World, now: datetime) -> Decision:
    worst = _worst(incident)
    why = f"{worst.name} fired; {incident.owner_why}"
    opened = incident.model_copy(update={"revision": 1})
    if incident.suppressed:
        held = opened.model_copy(update={"next_at": known_end(incident.suppressed, now)})
        return Decision(held, Event.FIRED, f"{why}; hidden: {reasons(incident.suppressed)}")
    wait = grouping_of(worst.labels, world).group_wait
    if wait and incident.severity is not Severity.CRITICAL:
        held = opened.model_copy(update={"next_at": now + wait})
        return Decision(held, Event.FIRED, f"{why}; waits {spoken(wait)} for others to join")
    if not incident.severity.wakes:
        why = f"{worst.name} is {incident.severity}: shown, wakes nobody"
    return _announce(incident, Event.FIRED, why, world, now)


def _awaited(before: Incident, after: Incident, world: World, now: datetime) -> Decision | None:
    """More alerts have joined, or some have ended, before anybody was told; a critical one is worth no wait."""
    if after.severity is Severity.CRITICAL:
        return _announce(after, Event.FIRED, f"{_worst(after).name} is critical: the wait is over", world, now)
    return _shown(before, after, _news(before, after), now)


def _announce(incident: Incident, event: Event, why: str, world: World, now: datetime) -> Decision:
    """From the first rung; what others join from now on is news."""
    fresh = incident.model_copy(update={"told_at": now, "untold": ()})
    return restart(fresh, event, why, world, now)


def _reopened(after: Incident, world: World, now: datetime) -> Decision:
    flapping = world.rules.flapping
    lately = _lately(after, world.rules, now)
    cleared = after.resolved_at or now
    back = after.model_copy(
        update={"reopened": lately, "flapping": len(lately) >= flapping.reopens, "told_at": now, "untold": ()}
    )
    why = f"{_worst(after).name} fired again, {spoken(now - cleared)} after it had cleared"
    why += f"; flapping: {len(lately)} times in {spoken(flapping.within)}" if back.flapping else ""
    if not after.suppressed:
        return restart(back, Event.REOPENED, why, world, now)
    update = {"state": next_state(after.state, Event.REOPENED), "revision": after.revision + 1}
    held = back.model_copy(update=update | NOBODYS | {"next_at": known_end(after.suppressed, now)})
    return Decision(held, Event.REOPENED, f"{why}; hidden: {reasons(after.suppressed)}", cancel=True)


def _lately(incident: Incident, rules: IncidentRules, now: datetime) -> tuple[datetime, ...]:
    """The instants at which it came back, this one too, as far as they still count."""
    kept = [at for at in incident.reopened if now - at <= rules.flapping.within]
    return tuple([*kept, now][-_REMEMBERED:])


# It is hidden, and no longer


def reasons(suppressed: Iterable[Suppression]) -> str:
    return "; ".join(one.why for one in suppressed)


def _hidden(before: Incident, after: Incident, now: datetime) -> Decision | None:
    """Nothing wakes anybody until the first known end; nobody is asked about an ack meanwhile."""
    end = known_end(after.suppressed, now)
    held = after.model_copy(update={"next_at": end, "ack_asked": False, "revision": before.revision + 1})
    if not before.suppressed:
        return Decision(held, Event.SUPPRESSED, f"hidden: {reasons(after.suppressed)}", cancel=True)
    news = _news(before, after)
    if not news and before.suppressed == after.suppressed and before.next_at == end:
        if now - before.observed_at < REFRESH:
            return _renewed(before, after, now)
        return Decision(held, None, "values brought up to date")
    return Decision(held, Event.FIRED if news else None, news or f"hidden: {reasons(after.suppressed)}")


def _uncovered(before: Incident, after: Incident, world: World, now: datetime) -> Decision:
    worst = _worst(after)
    why = f"no longer hidden ({reasons(before.suppressed)}), and {worst.name} still fires"
    if before.state is State.OPEN:
        return _announce(after, Event.UNSUPPRESSED, why, world, now)
    if _is_worse(before, after):
        return _announce(after, Event.WORSENED, why, world, now)
    say = () if after.announced else ((Say.CARD, Say.RUNBOOK) if after.severity.wakes else (Say.CARD,))
    due_at = after.snoozed_until or after.ack_expires_at
    update = {"next_at": max(due_at, now) if due_at else None, "revision": before.revision + 1, "announced": True}
    return Decision(after.model_copy(update=update), Event.UNSUPPRESSED, why, say=say)


def _hidden_still(incident: Incident, world: World, now: datetime) -> Decision:
    """One reason has come to its end: others may go on."""
    if not incident.going_on:
        return Decision(incident.model_copy(update={"next_at": None}), None, "nothing fires at the moment")
    after = refreshed(incident, world, now)
    decision = settle(incident, after, world, now)
    if decision is not None:
        return decision
    end = known_end(incident.suppressed, now)
    return Decision(incident.model_copy(update={"next_at": end}), None, "hidden still")


# It changes, and ends


def _changed(before: Incident, after: Incident, world: World, now: datetime) -> Decision | None:
    if _is_worse(before, after):
        why = f"{_worst(after).name} raised it to {after.severity}"
        if after.exhausted and before.state is State.OPEN:  # its audience is wide by now: not back to one person
            return replace(climb(after, Event.WORSENED, why, world, now), cancel=True)
        return _announce(after, Event.WORSENED, why, world, now)
    decision = _shown(before, after, _news(before, after), now)
    return decision if decision is None else _told(before, decision, world, now)


def _is_worse(before: Incident, after: Incident) -> bool:
    return after.severity.wakes and SEVERITY_RANK[after.severity] > SEVERITY_RANK[before.severity]


def _shown(before: Incident, after: Incident, news: str, now: datetime) -> Decision | None:
    if not news and now - before.observed_at < REFRESH:
        return _renewed(before, after, now)
    changed = after.model_copy(update={"revision": before.revision + 1})
    return Decision(changed, Event.FIRED if news else None, news or "values brought up to date")


def _renewed(before: Incident, after: Incident, now: datetime) -> Decision | None:
    """What others have sent again is worth no edit, but it must not end by its old end before the next one."""
    old = {alert.fingerprint: alert.expires_at for alert in before.going_on}
    for alert in after.going_on:
        ends = old.get(alert.fingerprint)
        if ends is not None and ends != alert.expires_at and ends - now < 2 * REFRESH:
            return Decision(after.model_copy(update={"observed_at": before.observed_at}), None, "sent again")
    return None


def _news(before: Incident, after: Incident) -> str:
    """What changed besides values, in words; empty when nothing did."""
    was = {alert.fingerprint: alert for alert in before.alerts}
    lines = []
    for alert in after.alerts:
        known = was.get(alert.fingerprint)
        if known is None:
            lines.append(f"{alert.name} joined")
        elif known.state is not alert.state:
            lines.append(f"{alert.name} is {alert.state}")
        if (known is None or known.suppressed != alert.suppressed) and alert.suppressed:
            lines.append(f"{alert.name} is hidden: {reasons(alert.suppressed)}")
        elif known is not None and known.suppressed and not alert.suppressed and alert in after.going_on:
            lines.append(f"{alert.name} is no longer hidden")
    return "; ".join(lines)


def _told(before: Incident, decision: Decision, world: World, now: datetime) -> Decision:
    """Alerts that joined what people know already are told in one quiet line at most once in an interval."""
    after = decision.incident
    known = {alert.fingerprint for alert in _visible(before.going_on)}
    joined = [alert.fingerprint for alert in _visible(after.going_on) if alert.fingerprint not in known]
    if not joined:
        return decision
    waiting = before.untold if before.told_at is not None and before.told_at > now else ()
    interval = grouping_of(after.alerts[0].labels, world).group_interval
    at = before.told_at if waiting and before.told_at else max(now, (before.told_at or before.opened_at) + interval)
    changed = after.model_copy(update={"told_at": at, "untold": tuple(dict.fromkeys((*waiting, *joined)))})
    return replace(decision, incident=changed, say=(*decision.say, Say.NEWS))


def _ended(before: Incident | None, after: Incident, world: World, now: datetime) -> Decision | None:
    if after.state is State.RESOLVED:
        return Decision(after.model_copy(update={"next_at": None}), None, "the alerts it was closed over have ended")
    if not after.flapping or before is None:
        return clear(after, now)
    news, quiet = _news(before, after), world.rules.flapping.quiet
    if before.quiet_at is not None and not news:
        return None
    held = after.model_copy(update={"quiet_at": before.quiet_at or now + quiet, "revision": before.revision + 1})
    return Decision(held, Event.FIRED, f"{news}; it flaps, so it ends after {spoken(quiet)} of quiet")


# A human closed it, and its alerts go on


def _still_watched(before: Incident, after: Incident) -> Decision:
    update = {"observed_at": before.observed_at, "suppressed": ()}
    return Decision(after.model_copy(update=update), None, "closed by hand, still watched")


def _watched_on(incident: Incident, world: World, now: datetime) -> Decision | None:
    """Hidden alerts do not open it again, but they are not forgotten either."""
    after = refreshed(incident, world, now)
    hidden = whole(after.going_on)
    if not hidden:
        return None
    look = min(filter(None, (known_end(hidden, now), now + LOOK_AGAIN)))
    return Decision(after.model_copy(update={"next_at": look}), None, f"closed by hand, and hidden: {reasons(hidden)}")
