"""What hides an alert at an instant: silences, mute windows, maintenance, inhibition. Every answer says why. Pure.

Hidden alerts wake nobody and are shown with the reason everywhere. What it means for an incident is settling.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.incidents.decision import World
from bot.incidents.inhibition import inhibition_of
from bot.incidents.matching import index_of
from bot.incidents.model import BY_HAND, SEVERITY_RANK, Alert, Incident, Severity, Suppression, SuppressionKind
from bot.incidents.policy import IncidentRules, Maintenance, MuteWindow
from bot.incidents.silences import Silences
from bot.oncall.almanac import Almanac
from bot.oncall.windows import next_edge, within

_CHAINED = 10  # windows that follow one another without a gap are told as one, up to this many edges


def suppressions(alerts: Iterable[Alert], world: World, now: datetime) -> dict[str, tuple[Suppression, ...]]:
    """Fingerprint to everything that hides it, of all alerts that go on anywhere: one may inhibit another."""
    alive = [alert for alert in alerts if alert.group != BY_HAND]
    timed = _timed(world, now)
    if timed is None and not world.rules.inhibit_rules:
        return {}
    inhibited = inhibition_of(world.rules.inhibit_rules).inhibited(alive, world.agents)
    found = {}
    for alert in alive:
        reasons = (*(timed(alert) if timed else ()), *inhibited.get(alert.fingerprint, ()))
        if reasons:
            found[alert.fingerprint] = reasons
    return found


def refreshed(incident: Incident, world: World, now: datetime) -> Incident:
    """What time alone changes, for one incident by itself: inhibition stays as it was last found."""
    timed = _timed(world, now)

    def anew(alert: Alert) -> Alert:
        inhibited = tuple(one for one in alert.suppressed if one.kind is SuppressionKind.INHIBITION)
        reasons = (*(timed(alert) if timed else ()), *inhibited)
        return alert if reasons == alert.suppressed else alert.model_copy(update={"suppressed": reasons})

    going_on = {alert.fingerprint for alert in incident.going_on}
    alerts = tuple(anew(alert) if alert.fingerprint in going_on else alert for alert in incident.alerts)
    return incident.model_copy(update={"alerts": alerts})


def whole(alerts: Iterable[Alert]) -> tuple[Suppression, ...]:
    """What hides everything that could wake somebody, each cause once; empty when one alert is left that could.

    Where nothing wakes anybody anyway, it is what hides everything.
    """
    alive = list(alerts)
    waking = [alert for alert in alive if alert.severity.wakes] or alive
    if not all(alert.suppressed for alert in waking):
        return ()
    found: dict[tuple[str, str], Suppression] = {}
    for alert in waking:
        for one in alert.suppressed:
            found.setdefault((one.kind, one.by), one)
    return tuple(found.values())


def known_end(suppressed: Iterable[Suppression], now: datetime) -> datetime | None:
    """The first instant at which one of them ends, as far as it is known."""
    return min((one.until for one in suppressed if one.until is not None and one.until > now), default=None)


def next_change(world: World, now: datetime) -> datetime | None:
    """When a silence, a mute window or a maintenance next begins or ends."""
    edges = [edge for silence in world.silences for edge in (silence.starts_at, silence.ends_at)]
    for maintenance in world.rules.maintenance:
        edges += span_of(maintenance)
    for window in world.rules.mute_windows.values():
        edge = next_edge(window.during, ZoneInfo(window.timezone), now, world.book.almanac)
        edges += [edge] if edge is not None else []
    return min((edge for edge in edges if edge > now), default=None)


def span_of(maintenance: Maintenance) -> tuple[datetime, datetime]:
    """From when until when; instants without an offset are meant in its zone."""
    zone = ZoneInfo(maintenance.timezone)

    def instant(at: datetime) -> datetime:
        return at.replace(tzinfo=zone) if at.tzinfo is None else at

    return instant(maintenance.start), instant(maintenance.until)


_Hider = tuple[tuple[str, ...], int, Suppression]  # matchers, the highest severity that it hides as a rank, and why


def _timed(world: World, now: datetime) -> Callable[[Alert], tuple[Suppression, ...]] | None:
    """What hides an alert by the clock; None while nothing does."""
    silences = Silences(world.silences, now)
    hiders = [*_open_windows(world.rules.mute_windows, world.book.almanac, now), *_at_work(world.rules, now)]
    if not silences and not hiders:
        return None
    index = index_of(tuple(matchers for matchers, _, _ in hiders))

    def of(alert: Alert) -> tuple[Suppression, ...]:
        found = silences.hiding(alert, world.agents)
        if hiders:
            rank = SEVERITY_RANK[alert.severity]
            applying = (hiders[number] for number in index.matching(alert.labels, world.agents))
            found += [reason for _, highest, reason in applying if rank <= highest]
        return tuple(found)

    return of


def _open_windows(windows: Mapping[str, MuteWindow], almanac: Almanac, now: datetime) -> Iterator[_Hider]:
    for name, window in windows.items():
        zone = ZoneInfo(window.timezone)
        if within(window.during, zone, now, almanac):
            until = _closes(window, zone, almanac, now)
            told = f"{until.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}"
            why = f'muted until {told}: {window.reason} (mute window "{name}")'
            reason = Suppression(kind=SuppressionKind.MUTE_WINDOW, by=name, why=why, until=until)
            yield window.matchers, SEVERITY_RANK[Severity(window.max_severity)], reason


def _closes(window: MuteWindow, zone: ZoneInfo, almanac: Almanac, now: datetime) -> datetime:
    edge = now
    for _ in range(_CHAINED):
        edge = next_edge(window.during, zone, edge, almanac) or edge
        if not within(window.during, zone, edge, almanac):
            break
    return edge


def _at_work(rules: IncidentRules, now: datetime) -> Iterator[_Hider]:
    for one in rules.maintenance:
        start, until = span_of(one)
        if start <= now < until:
            told = f"{until.astimezone(ZoneInfo(one.timezone)):%Y-%m-%d %H:%M} {one.timezone}"
            why = f'maintenance "{one.name}" until {told}: {one.reason}'
            reason = Suppression(kind=SuppressionKind.MAINTENANCE, by=one.name, why=why, until=until)
            yield one.matchers, SEVERITY_RANK[Severity(one.max_severity)], reason
