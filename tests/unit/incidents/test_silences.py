"""Which silences can be made, what they hide, and when they end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import NOW, after, alert, ended, opened

from bot.errors import ConflictError, UsageError
from bot.incidents import silences
from bot.incidents.model import INTERNAL, Severity, SuppressionKind
from bot.incidents.silences import Draft, Silences


def draft(*matchers: str, **changes) -> Draft:
    fields = {"matchers": matchers or ('agent="refund-agent"',), "ends_at": after(hours=2), "reason": "bank migration"}
    return Draft(**fields | changes)


def made(*matchers: str, incidents=(), now=NOW, **changes):
    return silences.make(draft(*matchers, **changes), 3, "person:ana", incidents, now)


WARNING = alert(labels={"severity": "warning"})
CRITICAL = alert(labels={"severity": "critical"})
OWN = alert("WatcherDown", group=INTERNAL, labels={"severity": "warning"})


def test_a_silence_hides_what_all_its_matchers_match_and_says_who_why_and_until_when():
    silence = made('agent="refund-agent"', 'alertname=~"Errors.*"')
    (why,) = Silences([silence], NOW).hiding(WARNING)
    assert (why.kind, why.by, why.until) == (SuppressionKind.SILENCE, "SIL-3", after(hours=2))
    assert why.why == "silenced by ana until 2026-11-04 04:00 UTC: bank migration (SIL-3)"
    other = alert("ToolDown", labels={"severity": "warning"})
    assert Silences([silence], NOW).hiding(other) == []


@pytest.mark.parametrize("matcher", ['severity="warning"', 'alertname!="Other"', 'alertname=~".*"'])
def test_alerts_about_agentpager_itself_are_not_hidden_by_the_way(matcher):
    assert Silences([made('severity="warning"', matcher)], NOW).hiding(OWN) == []


@pytest.mark.parametrize("matcher", ['alertname="WatcherDown"', 'alertname=~"Watcher.*"'])
def test_alerts_about_agentpager_itself_are_hidden_by_name(matcher):
    assert Silences([made('severity="warning"', matcher)], NOW).hiding(OWN)


@pytest.mark.parametrize(("at", "hides"), [(-1, False), (0, True), (7199, True), (7200, False)])
def test_it_holds_from_its_start_until_just_before_its_end(at, hides):
    silence = made().model_copy(update={"starts_at": NOW})
    assert bool(Silences([silence], NOW + timedelta(seconds=at)).hiding(WARNING)) is hides


def test_one_made_for_a_warning_does_not_hide_the_critical_alert_that_comes_later():
    silence = made(incidents=[opened(WARNING)])
    assert silence.max_severity is Severity.WARNING
    assert Silences([silence], NOW).hiding(CRITICAL) == []


def test_one_made_without_anything_firing_hides_warnings_only():
    assert made().max_severity is Severity.WARNING


def test_one_made_while_a_critical_alert_fires_hides_it():
    silence = made(incidents=[opened(CRITICAL)])
    assert silence.max_severity is Severity.CRITICAL
    assert Silences([silence], NOW).hiding(CRITICAL)


def test_the_severity_can_be_asked_for():
    assert made(max_severity=Severity.CRITICAL).max_severity is Severity.CRITICAL
    below = made(incidents=[opened(CRITICAL)], max_severity=Severity.WARNING)
    assert [one.name for _, one in silences.too_severe(below, [opened(CRITICAL)])] == ["ErrorsHigh"]
    assert silences.hidden(below, [opened(CRITICAL)]) == []


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"ends_at": NOW}, "the silence would end at 2026-11-04 02:00 UTC, before it begins"),
        ({"starts_at": after(hours=3)}, "the silence would end at 2026-11-04 04:00 UTC, before it begins"),
        ({"ends_at": after(days=31)}, "a silence lasts 30 days at most"),
        ({"reason": "  "}, "say why: a silence needs a reason"),
        ({"matchers": ()}, "name what to silence"),
        ({"matchers": ('env!="test"',)}, "these matchers also match alerts without any of these labels"),
        ({"matchers": ("env=~",)}, "these matchers also match alerts"),
        ({"matchers": ("refund-agent",)}, 'cannot read matcher at "refund-agent"'),
        ({"matchers": ('agent=~"("',)}, "bad regular expression"),
        ({"until_resolved": True}, "nothing that matches fires"),
    ],
)
def test_what_cannot_become_a_silence_is_refused_with_the_way_out(wish, message):
    with pytest.raises(UsageError) as refused:
        silences.make(draft(**wish), 3, "person:ana", [], NOW)
    assert message in str(refused.value)


def test_a_start_in_the_past_is_now():
    assert made(starts_at=after(hours=-5)).starts_at == NOW


def test_expiring_ends_it_now_and_only_once():
    over = silences.expire(made(), "person:ben", after(minutes=10))
    assert (over.ends_at, over.ended_by) == (after(minutes=10), "person:ben")
    with pytest.raises(ConflictError, match="SIL-3 ended at 2026-11-04 02:10 UTC"):
        silences.expire(over, "person:ben", after(minutes=11))


def test_one_that_is_expired_before_it_begins_is_never_active():
    pending = made(starts_at=after(hours=1))
    over = silences.expire(pending, "person:ben", after(minutes=10))
    assert not any(over.active(after(minutes=minutes)) for minutes in (9, 10, 11, 60, 119))


def test_until_resolved_ends_with_the_last_alert_it_hides():
    incident = opened(WARNING)
    silence = made(incidents=[incident], until_resolved=True)
    assert silences.done([silence], [incident], after(minutes=5)) == []
    quiet = incident.model_copy(update={"alerts": (ended(WARNING, after(minutes=6)),)})
    (over,) = silences.done([silence], [quiet], after(minutes=6))
    assert (over.ends_at, over.ended_by) == (after(minutes=6), "agentpager")


def test_an_ordinary_silence_does_not_end_early():
    assert silences.done([made()], [], after(minutes=6)) == []
