"""What other systems are told of an incident as Alertmanager tells its receivers: which of its alerts fire, which have
ended. One row of the outbox for each receiver and change; a later one takes the place of one that has not gone out.

Each row carries the alerts it tells of, as they were when it was written down: what has ended by the next change may
have left the incident by then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.incidents.decision import World
from bot.incidents.model import INTERNAL, Alert, Incident, State
from bot.incidents.registered import seen
from bot.incidents.settling import grouping_of
from bot.labels import matches_all, parse_matchers
from bot.paging.model import RECEIVER, Page, PageKind, PageState
from bot.settings import Receiver

GIVEN_UP = timedelta(days=1)  # what a receiver has not taken by then is of no use to it
NO_END = "0001-01-01T00:00:00Z"  # as Alertmanager writes that an alert goes on
_GONE_OUT = {PageState.SENT, PageState.SENDING, PageState.UNKNOWN}
Told = dict[str, Any]


@dataclass(frozen=True)
class Content:
    """`held` are alerts that were told as firing and are hidden now: their end is still to be told."""

    alerts: tuple[Told, ...] = ()
    truncated: int = 0
    held: tuple[Told, ...] = ()

    def text(self) -> str:
        parts = {"alerts": self.alerts, "truncated": self.truncated, "held": self.held}
        return json.dumps(parts, ensure_ascii=False)

    @property
    def firing(self) -> bool:
        return any(alert["status"] == "firing" for alert in self.alerts)


def content_of(page: Page) -> Content:
    try:
        read = json.loads(page.text)
        return Content(tuple(read["alerts"]), read["truncated"], tuple(read["held"]))
    except (ValueError, KeyError, TypeError):
        return Content()


def rows_for(incident: Incident, before: Sequence[Page], world: World, now: datetime) -> tuple[list[Page], list[Page]]:
    """The rows that are new, and those that are taken back for them. `before` are the incident's rows of any kind."""
    added: list[Page] = []
    taken_back: list[Page] = []
    if incident.exercise:
        return added, taken_back
    for name, receiver in world.receivers.items():
        mine = [row for row in before if row.kind is PageKind.STATUS and row.channel == f"{RECEIVER}{name}"]
        if not mine and not (_concerns(receiver, incident) and incident.announced):
            continue
        waiting = [row for row in mine if row.state is PageState.DUE]
        last = max((row for row in mine if row.state in _GONE_OUT), key=_made, default=None)
        tried = [content_of(row) for row in waiting if row.attempt]
        content = _content(incident, receiver, _known(last, tried), world)
        if _says(content, waiting):
            continue  # it is on its way as it is
        taken_back += [row.model_copy(update={"state": PageState.CANCELLED}) for row in waiting]
        if content is not None:
            added.append(_row(name, incident, content, _due(incident, content, last, world, now), now))
    return added, taken_back


def _concerns(receiver: Receiver, incident: Incident) -> bool:
    return not receiver.owners or any(
        name in {incident.owner, incident.owner.partition(":")[2]} for name in receiver.owners
    )


def _says(content: Content | None, waiting: Sequence[Page]) -> bool:
    """Whether what waits says the same: values of annotations alone are no news."""
    if content is None:
        return not waiting
    return len(waiting) == 1 and _essence(content_of(waiting[0])) == _essence(content)


def _essence(content: Content) -> tuple[set[tuple[str, str]], int]:
    return {(alert["fingerprint"], alert["status"]) for alert in content.alerts}, content.truncated


def _made(row: Page) -> int:
    return int(row.id.rpartition(".")[2])


@dataclass(frozen=True)
class _Known:
    """What the receiver knows to fire, and what it may think so: of a request that failed nobody can say. By their
    fingerprints."""

    surely: Mapping[str, Told]
    perhaps: Mapping[str, Told]


def _known(last: Page | None, tried: Sequence[Content]) -> _Known:
    content = content_of(last) if last is not None else Content()
    told = {alert["fingerprint"]: alert for alert in (*content.alerts, *content.held) if alert["status"] == "firing"}
    unsure = [alert for one in tried for alert in one.alerts]
    ended = {alert["fingerprint"] for alert in unsure if alert["status"] == "resolved"}
    firing = {alert["fingerprint"]: alert for alert in unsure if alert["status"] == "firing"}
    return _Known({name: alert for name, alert in told.items() if name not in ended}, {**firing, **told})


def _content(incident: Incident, receiver: Receiver, before: _Known, world: World) -> Content | None:
    """None when there is nothing that the receiver does not know."""
    known = before.surely
    over = incident.state is State.RESOLVED
    alive = {} if over else {alert.fingerprint: alert for alert in _matching(incident.going_on, receiver, world)}
    visible = [alert for alert in alive.values() if not alert.suppressed]
    room = receiver.max_alerts or len(visible)
    firing = (
        [_told(alert) for alert in sorted(visible, key=lambda one: _order(one.labels))] if incident.announced else []
    )
    shown = [alert for alert in firing if alert["fingerprint"] in known]
    shown += [alert for alert in firing if alert["fingerprint"] not in known]
    shown, truncated = shown[:room], max(len(shown) - room, 0)
    ended = {alert.fingerprint: alert for alert in incident.alerts}
    told = {alert["fingerprint"] for alert in shown}
    still = {alert.fingerprint for alert in alive.values()}
    resolved = [
        _over(alert, ended.get(name), incident)
        for name, alert in before.perhaps.items()
        if name not in told and name not in still
    ]
    held = tuple(alert for name, alert in known.items() if name in still and name not in told)
    news = [alert for alert in shown if alert["fingerprint"] not in known]
    if not receiver.send_resolved:
        resolved = []
    if not news and not resolved:
        return None
    return Content(tuple(sorted((*shown, *resolved), key=lambda one: _order(one["labels"]))), truncated, held)


def _matching(alerts: Sequence[Alert], receiver: Receiver, world: World) -> Iterator[Alert]:
    matchers = [matcher for text in receiver.matchers for matcher in parse_matchers(text)]
    return (alert for alert in alerts if matches_all(matchers, seen(alert.labels, world.agents)))


def _order(labels: Mapping[str, str]) -> tuple[object, ...]:
    """Alertmanager's: by job, by instance, those without them last, then by all labels."""
    first = [(name not in labels, labels.get(name, "")) for name in ("job", "instance")]
    return (*first, sorted(labels.items()))


def _told(alert: Alert) -> Told:
    return {
        "status": "firing",
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": instant(alert.starts_at),
        "endsAt": NO_END,
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def _over(told: Told, alert: Alert | None, incident: Incident) -> Told:
    """What has ended, with its last texts where the incident still has it."""
    fresh = _told(alert) | {"startsAt": told["startsAt"]} if alert is not None else told
    ended = (alert.ends_at if alert is not None else None) or incident.resolved_at or incident.observed_at
    return fresh | {"status": "resolved", "endsAt": instant(ended)}


def _due(incident: Incident, content: Content, last: Page | None, world: World, now: datetime) -> datetime:
    """The beginning and the end at once, what changes between at most once in a group interval."""
    if last is None or not content.firing or not content_of(last).firing:
        return now
    labels: Mapping[str, str] = content.alerts[0]["labels"]
    return max(now, (last.planned_at or last.due_at) + grouping_of(labels, world).group_interval)


def _row(name: str, incident: Incident, content: Content, due_at: datetime, now: datetime) -> Page:
    return Page(
        id=f"{incident.id}.{incident.revision}.{PageKind.STATUS}.{name}.{round(now.timestamp() * 1000)}",
        incident=incident.id,
        kind=PageKind.STATUS,
        step=max(incident.step, 0),
        round=incident.round,
        channel=f"{RECEIVER}{name}",
        due_at=due_at,
        planned_at=due_at,
        text=content.text(),
        reason=f"{name} is told of {_spoken(incident)}",
    )


def _spoken(incident: Incident) -> str:
    own = any(alert.group == INTERNAL for alert in incident.alerts)
    return "what agentpager says of itself" if own else "incidents"


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, as short as Go writes it."""
    text = at.astimezone(UTC).isoformat()
    whole, dot, rest = text.removesuffix("+00:00").partition(".")
    return f"{whole}{dot}{rest.rstrip('0')}Z" if dot else f"{whole}Z"
