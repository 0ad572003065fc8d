"""Our incidents, alerts and silences as Alertmanager's clients read them. Pure.

Where Alertmanager groups alerts for a receiver we have an incident with its escalation policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.incidents.model import Alert, Incident, SuppressionKind
from bot.incidents.silences import Silence
from bot.labels import Matcher, Op, compile_regex, matches_all, parse_matchers

_SHOWN_FOR = timedelta(minutes=5)  # how far ahead the end of an alert is that simply goes on


@dataclass(frozen=True)
class Wanted:
    """Which alerts somebody asks for: by state, by matchers that must all hold, by the name of a receiver."""

    active: bool = True
    silenced: bool = True
    inhibited: bool = True
    muted: bool = True
    matchers: tuple[Matcher, ...] = ()
    receiver: Any = None

    def has(self, alert: Alert, receiver: str) -> bool:
        status = _status(alert)
        shown = (
            (self.active or status["state"] != "active")
            and (self.silenced or not status["silencedBy"])
            and (self.inhibited or not status["inhibitedBy"])
            and (self.muted or not status["mutedBy"])
        )
        named = self.receiver is None or self.receiver.fullmatch(receiver) is not None
        return shown and named and matches_all(self.matchers, alert.labels)


def wanted(params: Mapping[str, str], filters: Iterable[str]) -> Wanted:
    """From the parameters of a request. Raises ValueError with what cannot be read."""

    def yes(name: str) -> bool:
        text = params.get(name, "true").lower()
        if text not in {"true", "false", "1", "0"}:
            raise ValueError(f'{name} is "{text[:40]}"; write true or false')
        return text in {"true", "1"}

    receiver = params.get("receiver")
    return Wanted(
        active=yes("active"),
        silenced=yes("silenced"),
        inhibited=yes("inhibited"),
        muted=yes("muted"),
        matchers=tuple(matcher for text in filters for matcher in parse_matchers(text)),
        receiver=compile_regex(receiver) if receiver else None,
    )


def alerts(incidents: Sequence[Incident], asked: Wanted, now: datetime) -> list[dict[str, Any]]:
    found = [
        _shown(alert, incident, now)
        for incident in incidents
        for alert in incident.going_on
        if asked.has(alert, incident.policy_id)
    ]
    return sorted(found, key=lambda alert: alert["fingerprint"])


def groups(incidents: Sequence[Incident], asked: Wanted, now: datetime) -> list[dict[str, Any]]:
    """An incident is a group; what all its alerts have in common of agent and name tells it apart."""
    found = []
    for incident in incidents:
        if inside := alerts([incident], asked, now):
            labels = (
                {"agent": incident.agent} if incident.agent else {"alertname": inside[0]["labels"].get("alertname", "")}
            )
            found.append({"alerts": inside, "labels": labels, "receiver": {"name": incident.policy_id}})
    return sorted(found, key=lambda group: sorted(group["labels"].items()))


def _shown(alert: Alert, incident: Incident, now: datetime) -> dict[str, Any]:
    shown = {
        "annotations": alert.annotations,
        "endsAt": instant(alert.expires_at or now + _SHOWN_FOR),
        "fingerprint": alert.fingerprint,
        "receivers": [{"name": incident.policy_id}],
        "startsAt": instant(alert.starts_at),
        "status": _status(alert),
        "updatedAt": instant(incident.observed_at),
        "labels": alert.labels,
    }
    return shown | ({"generatorURL": alert.generator_url} if alert.generator_url else {})


def _status(alert: Alert) -> dict[str, Any]:
    by: dict[SuppressionKind, list[str]] = {}
    for one in alert.suppressed:
        by.setdefault(one.kind, []).append(one.by)
    return {
        "inhibitedBy": by.get(SuppressionKind.INHIBITION, []),
        "mutedBy": by.get(SuppressionKind.MUTE_WINDOW, []) + by.get(SuppressionKind.MAINTENANCE, []),
        "silencedBy": by.get(SuppressionKind.SILENCE, []),
        "state": "suppressed" if alert.suppressed else "active",
    }


def silence(one: Silence, now: datetime) -> dict[str, Any]:
    state = "active" if one.active(now) else "pending" if one.pending(now) else "expired"
    return {
        "id": one.id,
        "status": {"state": state},
        "updatedAt": instant(one.created_at),
        "comment": one.reason,
        "createdBy": one.created_by.partition(":")[2] or one.created_by,
        "endsAt": instant(one.ends_at),
        "matchers": [_matcher(matcher) for text in one.matchers for matcher in parse_matchers(text)],
        "startsAt": instant(one.starts_at),
    }


def silences(known: Iterable[Silence], filters: Iterable[str], now: datetime) -> list[dict[str, Any]]:
    """Those that have each of the matchers, as Alertmanager filters: a silence for `agent="x"` is found by that. Raises
    ValueError."""
    asked = [matcher for text in filters for matcher in parse_matchers(text)]
    found = [one for one in known if all(_holds(matcher, one) for matcher in asked)]
    return [silence(one, now) for one in found]


def _holds(asked: Matcher, one: Silence) -> bool:
    mine = [matcher for text in one.matchers for matcher in parse_matchers(text)]
    return any(matcher.name == asked.name and asked.matches_value(matcher.value) for matcher in mine)


def _matcher(matcher: Matcher) -> dict[str, Any]:
    return {
        "isEqual": matcher.op in {Op.EQUAL, Op.REGEX},
        "isRegex": matcher.op in {Op.REGEX, Op.NOT_REGEX},
        "name": matcher.name,
        "value": matcher.value,
    }


def receivers(policies: Iterable[str]) -> Iterator[dict[str, str]]:
    yield from ({"name": name} for name in policies)


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
