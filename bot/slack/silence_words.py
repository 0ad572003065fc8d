"""What people type after `silence`: matchers or an incident, how long, and why. Pure.

silence := (MATCHER... | INC-7) (DURATION | "until resolved" DURATION) ["critical"] reason...
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.errors import UsageError
from bot.incidents.model import Alert, Incident, Severity
from bot.incidents.silences import Draft, Silence
from bot.labels import Matcher, Op
from bot.oncall.model import Book
from bot.ports import Hidden
from bot.schema import parse_duration
from bot.slack.text import moment, mrk

EXAMPLE = 'silence agent="refund-agent" 2h bank migration'
_WORD = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*"?)+')
_INCIDENT = re.compile(r"INC-\d+", re.IGNORECASE)
_COMPARISON = re.compile(r'[^\s=!~"]+(?:=~|!~|!=|=)')
_QUOTES = str.maketrans("“”‘’", "\"\"''")


@dataclass(frozen=True)
class Wish:
    """Either `incident` or `matchers` says what to silence."""

    incident: str
    matchers: tuple[str, ...]
    lasts: timedelta
    reason: str
    max_severity: Severity | None
    until_resolved: bool

    def draft(self, incident: Incident | None, now: datetime) -> Draft:
        matchers = of_incident(incident) if incident is not None else self.matchers
        return Draft(matchers, now + self.lasts, self.reason, None, self.max_severity, self.until_resolved)


def parse(text: str) -> Wish:
    """Raises UsageError that shows how it is written."""
    words = _WORD.findall(text.translate(_QUOTES)[:1000])
    incident, matchers = "", []
    if words and _INCIDENT.fullmatch(words[0]):
        incident = words.pop(0).upper()
    while words and _COMPARISON.match(words[0]):
        matchers.append(words.pop(0).removesuffix(","))
    if not incident and not matchers:
        raise UsageError(f"say what to silence, for how long and why: {EXAMPLE}")
    until_resolved = [word.lower() for word in words[:2]] == ["until", "resolved"]
    words = words[2:] if until_resolved else words
    if not words:
        raise UsageError(f"say for how long and why: {EXAMPLE}")
    try:
        lasts = parse_duration(words.pop(0))
    except ValueError as error:
        raise UsageError(f"{error}; like this: {EXAMPLE}") from None
    severity = Severity.CRITICAL if words and words[0].lower() == "critical" else None
    reason = " ".join(words[1:] if severity else words)
    return Wish(incident, tuple(matchers), lasts, reason, severity, until_resolved)


def of_incident(incident: Incident) -> tuple[str, ...]:
    """Matchers for what goes on in it: its agent, and the names of its alerts."""
    going_on = incident.going_on
    if not going_on:
        raise UsageError(f"{incident.id} has nothing left that fires")
    names = sorted({alert.name for alert in going_on})
    pattern = Matcher("alertname", Op.EQUAL, names[0]) if len(names) == 1 else None
    by_name = pattern or Matcher("alertname", Op.REGEX, "|".join(re.escape(name) for name in names))
    return (*_shared(going_on), str(by_name))


def _shared(alerts: Sequence[Alert]) -> tuple[str, ...]:
    agents = {alert.labels.get("agent", "") for alert in alerts} - {""}
    return (str(Matcher("agent", Op.EQUAL, agents.pop())),) if len(agents) == 1 else ()


def made(silence: Silence, hidden: Hidden) -> str:
    """What the silence does, in words for whoever made it."""
    lines = [f"{silence.id} silences {' '.join(silence.matchers)} until {silence.ends_at:%b %d %H:%M} UTC."]
    incidents = _by_incident(hidden.alerts)
    count = len(hidden.alerts)
    what = f": {', '.join(incidents[:5])}" + (f" and {len(incidents) - 5} more" if len(incidents) > 5 else "")
    lines.append(f"It hides {count} of the alerts that fire now{what if count else ''}.")
    if hidden.too_severe:
        names = ", ".join(_by_incident(hidden.too_severe)[:5])
        lines.append(f"Still waking people, being more severe: {names}. Write critical before the reason to hide them.")
    return "\n".join(lines)


def _by_incident(rows: Sequence[tuple[Incident, Alert]]) -> list[str]:
    return list(dict.fromkeys(incident.id for incident, _ in rows))


def line(silence: Silence, people: Mapping[str, str], now: datetime) -> str:
    by = silence.created_by.removeprefix("person:")
    starts = f"from {moment(silence.starts_at, now)} " if silence.pending(now) else ""
    until = f"until {moment(silence.ends_at, now)}" + (" or resolved" if silence.until_resolved else "")
    what = mrk(" ".join(silence.matchers), 300)
    return f"🔕 *{silence.id}* {what} · {starts}{until} · {mrk(people.get(by, by), 60)}: {mrk(silence.reason, 200)}"


def names_of(book: Book) -> dict[str, str]:
    return {person.id: person.name for person in book.people.values()}
