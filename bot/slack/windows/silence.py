"""The window behind “Silence…”: what, for how long, why, and what that would hide now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.errors import AgentpagerError
from bot.incidents.model import SEVERITY_RANK, Alert, Incident, Severity
from bot.incidents.silences import Draft
from bot.labels import Matcher, Op, matches_all, parse_matchers
from bot.oncall.moments import moment
from bot.slack import silence_words
from bot.slack.kit import Block, context
from bot.slack.text import clean, mrk, span
from bot.slack.windows.base import InputError, NothingToDoError, Visit
from bot.slack.windows.frame import Memory, Values, View, line, radio, select, window

_MORNING = "09:00"
_UNTIL_RESOLVED = timedelta(hours=4)
_WITHOUT_REASON = timedelta(hours=8)
_LISTED = 4


@dataclass(frozen=True)
class SilenceWindow:
    name: str = "silence"
    checked: bool = True

    def title(self, subject: str) -> str:
        return f"Silence {subject}"

    def instead(self, subject: str) -> str:
        return f"/agent silence {subject} 2h why"

    async def draw(self, visit: Visit, memory: Memory, values: Values) -> View:
        incident = await visit.incident(memory)
        scopes = _scopes(incident)
        if not scopes:
            raise NothingToDoError(f"{incident.id} has nothing left that fires, so there is nothing to silence.")
        what = values.choice("what", scopes[0][0])
        blocks: list[Block] = [
            select("long", "For how long", _lengths(visit), values.choice("long"), live=True),
            radio("what", "What", [(name, text) for name, text, _ in scopes], what, live=True),
            line(
                "why",
                "Why",
                values.text("why"),
                hint="Others read it tonight. More than 8 hours need a reason.",
                most=400,
            ),
            context(await self._effect(visit, incident, values)),
        ]
        return window(self.name, self.title(incident.id), "Silence", memory, blocks)

    async def submit(self, visit: Visit, memory: Memory, values: Values, key: str) -> str:
        incident = await visit.incident(memory)
        draft = _draft(visit, incident, values)
        if draft.ends_at - visit.now > _WITHOUT_REASON and not values.text("why"):
            raise InputError("why", "Say why: it lasts more than 8 hours, and others will ask.")
        made, hidden = await visit.desks.silencing.add(visit.actor, draft, event_key=key)
        return silence_words.made(made, hidden)

    async def _effect(self, visit: Visit, incident: Incident, values: Values) -> str:
        """What it would hide of what goes on now. Safe mrkdwn."""
        try:
            draft = _draft(visit, incident, values)
            made, hidden = await visit.desks.silencing.preview(visit.actor, draft)
        except AgentpagerError as error:
            return f"⚠️ {mrk(str(error), 300)}"
        count = len(hidden.alerts)
        names = list(dict.fromkeys(one.id for one, _ in hidden.alerts))
        of = f" ({', '.join(names[:_LISTED])}{'…' if len(names) > _LISTED else ''})" if names else ""
        told = f"Matches {count} firing{of}. Never hides more than {made.max_severity}."
        if hidden.too_severe:
            still = ", ".join(list(dict.fromkeys(one.id for one, _ in hidden.too_severe))[:_LISTED])
            told += f" ⚠️ Still wakes people, being more severe: {still}."
        return told


def _scopes(incident: Incident) -> list[tuple[str, str, tuple[str, ...]]]:
    """Name, words and matchers of each way to say what to silence; the narrowest first."""
    if not incident.going_on:
        return []
    agent = incident.going_on[0].labels.get("agent", "")
    names = sorted({alert.name for alert in incident.going_on})
    these = f"“{clean(names[0])}”" if len(names) == 1 else f"These {len(names)} alerts"
    narrow = silence_words.of_incident(incident)
    every = tuple(text for text in narrow if text.startswith("alertname"))
    on = f" on {clean(agent)}" if len(narrow) > len(every) else ""
    found = [("here", f"{_short(these)}{_short(on)}", narrow)]
    if on:
        found.append(("everywhere", f"{_short(these)} everywhere", every))
        found.append(("agent", f"All of {_short(clean(agent))}", (str(Matcher("agent", Op.EQUAL, agent)),)))
    return found


def _short(text: str) -> str:
    """Several of these fit into the text of an option."""
    return text if len(text) <= 32 else text[:31] + "…"


def _lengths(visit: Visit) -> list[tuple[str, str]]:
    morning = span(moment(_MORNING, visit.now, visit.zone) - visit.now)
    return [
        ("resolved", "Until it resolves, 4 hours at most"),
        ("30m", "30 minutes"),
        ("1h", "1 hour"),
        ("2h", "2 hours"),
        (_MORNING, f"Until 09:00 my time, in {morning}"),
        ("8h", "8 hours"),
        ("24h", "24 hours (say why)"),
    ]


def _draft(visit: Visit, incident: Incident, values: Values) -> Draft:
    scopes = _scopes(incident)
    if not scopes:
        raise NothingToDoError(f"{incident.id} has nothing left that fires, so there is nothing to silence.")
    chosen = values.choice("what", scopes[0][0])
    matchers = next((texts for name, _, texts in scopes if name == chosen), scopes[0][2])
    long = values.choice("long", "resolved")
    until_resolved = long == "resolved"
    ends_at = visit.now + _UNTIL_RESOLVED if until_resolved else moment(long, visit.now, visit.zone)
    why = values.text("why") or f"silenced from {incident.id}: {clean(incident.title)}"
    return Draft(matchers, ends_at, why, None, _worst(matchers, incident.going_on), until_resolved)


def _worst(matchers: tuple[str, ...], alerts: tuple[Alert, ...]) -> Severity:
    """The most severe of what whoever silences it is looking at: nothing worse is hidden, also not elsewhere."""
    parsed = [matcher for text in matchers for matcher in parse_matchers(text)]
    severities = [alert.severity for alert in alerts if matches_all(parsed, alert.labels)]
    return max(severities, key=lambda one: SEVERITY_RANK[one], default=Severity.WARNING)
