from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from core_world import NOW, WORLD, after, alert, no_data

from bot.incidents.model import Severity, Suppression, SuppressionKind
from bot.incidents.policy import IncidentRules
from bot.incidents.silences import Silence
from bot.incidents.suppression import known_end, next_change, span_of, suppressions, whole
from bot.labels import Matcher

WARNING = alert("Slow", labels={"severity": "warning"})
CRITICAL = alert("Down")


def rules(**parts) -> IncidentRules:
    found = IncidentRules.model_validate(parts)
    named = {name: window.model_copy(update={"id": name}) for name, window in found.mute_windows.items()}
    return found.model_copy(update={"mute_windows": named})


def silence(**changes) -> Silence:
    fields = {
        "id": "SIL-1",
        "matchers": ('agent="refund-agent"',),
        "starts_at": NOW,
        "ends_at": after(hours=2),
        "created_at": NOW,
        "created_by": "person:ana",
        "reason": "known, fix is on its way",
    }
    return Silence.model_validate(fields | changes)


def reasons(one, now=NOW, *, silences=(), others=(), **parts) -> list[str]:
    world = replace(WORLD, silences=tuple(silences), rules=rules(**parts))
    return [found.why for found in suppressions([one, *others], world, now).get(one.fingerprint, ())]


# Silences


def test_a_silence_hides_what_matches_and_says_who_why_and_until_when():
    told = "silenced by ana until 2026-11-04 04:00 UTC: known, fix is on its way (SIL-1)"
    assert reasons(WARNING, silences=[silence()]) == [told]
    assert reasons(WARNING, silences=[silence(matchers=('agent="other"',))]) == []


@pytest.mark.parametrize(("at", "hides"), [(-1, False), (0, True), (7199, True), (7200, False)])
def test_a_silence_begins_and_ends(at, hides):
    assert bool(reasons(WARNING, after(seconds=at), silences=[silence()])) is hides


def test_a_silence_hides_nothing_worse_than_it_was_made_for():
    assert reasons(CRITICAL, silences=[silence()]) == []
    assert len(reasons(CRITICAL, silences=[silence(max_severity=Severity.CRITICAL)])) == 1


# Mute windows

NIGHT = {"matchers": ['agent="refund-agent"'], "during": [{"hours": "01:00-06:00"}], "reason": "nobody refunds"}


def test_a_mute_window_hides_warnings_while_it_is_open():
    told = 'muted until 2026-11-04 06:00 UTC: nobody refunds (mute window "night")'
    assert reasons(WARNING, mute_windows={"night": NIGHT}) == [told]
    assert reasons(CRITICAL, mute_windows={"night": NIGHT}) == []
    assert len(reasons(CRITICAL, mute_windows={"night": NIGHT | {"max_severity": "critical"}})) == 1


@pytest.mark.parametrize(("hour", "hides"), [(0, False), (1, True), (5, True), (6, False)])
def test_a_mute_window_counts_in_its_zone(hour, hides):
    local = datetime(2026, 11, 4, hour, 0, tzinfo=ZoneInfo("America/New_York"))
    window = NIGHT | {"timezone": "America/New_York"}
    assert bool(reasons(WARNING, local, mute_windows={"night": window})) is hides


def test_windows_without_a_gap_are_told_as_one():
    window = NIGHT | {"during": [{"hours": "01:00-03:00"}, {"hours": "03:00-05:00"}]}
    (told,) = reasons(WARNING, mute_windows={"night": window})
    assert "until 2026-11-04 05:00 UTC" in told


# Maintenance

WORK = {
    "name": "upgrade",
    "matchers": ['agent="refund-agent"'],
    "from": "2026-11-04T03:00",
    "until": "2026-11-04T05:00",
    "timezone": "Europe/Madrid",
    "reason": "new database",
}


@pytest.mark.parametrize(("minute", "hides"), [(-1, False), (0, True), (119, True), (120, False)])
def test_maintenance_hides_even_what_is_critical_from_its_beginning_to_its_end(minute, hides):
    told = 'maintenance "upgrade" until 2026-11-04 05:00 Europe/Madrid: new database'
    assert reasons(CRITICAL, after(minutes=minute), maintenance=[WORK]) == ([told] if hides else [])


def test_an_instant_with_an_offset_keeps_it():
    (work,) = rules(maintenance=[WORK | {"from": "2026-11-04T00:00+00:00"}]).maintenance
    assert [at.astimezone(NOW.tzinfo) for at in span_of(work)] == [after(hours=-2), after(hours=2)]


# Together

INHIBIT = {"name": "down", "source_matchers": ['alertname="Down"'], "target_matchers": ['alertname="Slow"']}


def test_every_reason_is_told():
    found = reasons(
        WARNING,
        silences=[silence()],
        others=[CRITICAL],
        mute_windows={"night": NIGHT},
        inhibit_rules=[INHIBIT],
    )
    assert [told.split()[0] for told in found] == ["silenced", "muted", "Down"]


def test_a_silenced_source_still_inhibits():
    loud = silence(matchers=('alertname="Down"',), max_severity=Severity.CRITICAL)
    assert len(reasons(WARNING, silences=[loud], others=[CRITICAL], inhibit_rules=[INHIBIT])) == 1


def test_an_alert_without_data_is_hidden_like_one_that_fires():
    assert len(reasons(no_data(WARNING), silences=[silence()])) == 1


# All of an incident

ONE = Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why="one", until=after(hours=2))
TWO = Suppression(kind=SuppressionKind.INHIBITION, by="rule", why="two")


def hidden(one, *by):
    return one.model_copy(update={"suppressed": by})


INFO = alert("Note", labels={"severity": "info"})


@pytest.mark.parametrize(
    ("alerts", "found"),
    [
        ([hidden(WARNING, ONE)], (ONE,)),
        ([hidden(WARNING, ONE), CRITICAL], ()),
        ([hidden(WARNING, ONE), hidden(CRITICAL, TWO, ONE)], (ONE, TWO)),
        ([hidden(WARNING, ONE), INFO], (ONE,)),  # info wakes nobody anyway
        ([hidden(INFO, ONE)], (ONE,)),
        ([hidden(INFO, ONE), WARNING], ()),
        ([], ()),
    ],
)
def test_an_incident_is_hidden_when_all_that_could_wake_somebody_is(alerts, found):
    assert whole(alerts) == found


def test_the_first_known_end_counts():
    later = ONE.model_copy(update={"until": after(hours=3)})
    assert known_end([TWO, later, ONE], NOW) == after(hours=2)
    assert known_end([TWO, later, ONE], after(hours=2)) == after(hours=3)
    assert known_end([TWO], NOW) is None


@pytest.mark.parametrize(
    ("parts", "change"),
    [
        ({}, None),
        ({"silences": [silence(starts_at=after(hours=1))]}, after(hours=1)),
        ({"silences": [silence()]}, after(hours=2)),
        ({"maintenance": [WORK | {"timezone": "UTC"}]}, after(hours=1)),
        ({"maintenance": [WORK]}, after(hours=2)),
        ({"mute_windows": {"night": NIGHT}}, after(hours=4)),
    ],
)
def test_the_next_change_is_the_first_beginning_or_end(parts, change):
    silences = tuple(parts.pop("silences", ()))
    assert next_change(replace(WORLD, silences=silences, rules=rules(**parts)), NOW) == change


def test_a_value_is_compared_once_however_many_alerts_have_it(monkeypatch):
    asked = []
    matches = Matcher.matches_value
    monkeypatch.setattr(Matcher, "matches_value", lambda self, value: asked.append(1) or matches(self, value))
    names = [f"agent-{n % 100}" for n in range(2_000)]
    alerts = [
        alert("Slow", labels={"agent": name, "host": f"{n}", "severity": "warning"}) for n, name in enumerate(names)
    ]
    world = replace(
        WORLD,
        silences=tuple(silence(id=f"SIL-{n}", matchers=(f'agent="agent-{n}"',)) for n in range(1, 51)),
        rules=rules(
            inhibit_rules=[
                {
                    "name": f"rule {n}",
                    "source_matchers": ['alertname="Down"', f'part="{n}"'],
                    "target_matchers": [f'part="{n}"'],
                    "equal": ["agent"],
                }
                for n in range(20)
            ]
        ),
    )
    found = suppressions(alerts, world, NOW + timedelta(minutes=1))
    assert len(found) == 1_000
    assert len(asked) <= 100 * 50 + 60, "each silence once for each agent, each rule once for each value it names"
