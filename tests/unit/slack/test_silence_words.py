"""What people type after `silence`, and what they are told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import NOW, alert, opened
from slack_world import silence

from bot.errors import UsageError
from bot.incidents.model import Severity
from bot.ports import Hidden
from bot.slack import silence_words


def test_matchers_a_duration_and_the_rest_is_the_reason():
    wish = silence_words.parse('agent="refund agent", alertname=~"Tool.*" 2h bank migration, told by ops')
    assert wish.matchers == ('agent="refund agent"', 'alertname=~"Tool.*"')
    assert (wish.lasts, wish.reason) == (timedelta(hours=2), "bank migration, told by ops")
    assert (wish.max_severity, wish.until_resolved, wish.incident) == (None, False, "")


def test_slacks_curly_quotes_are_quotes():
    assert silence_words.parse("agent=“refund-agent” 2h x").matchers == ('agent="refund-agent"',)


def test_until_resolved_and_critical():
    wish = silence_words.parse("inc-7 until resolved 1d critical waiting for the vendor")
    assert (wish.incident, wish.until_resolved, wish.max_severity) == ("INC-7", True, Severity.CRITICAL)
    assert (wish.lasts, wish.reason) == (timedelta(days=1), "waiting for the vendor")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "say what to silence"),
        ("refund-agent 2h x", "say what to silence"),
        ('agent="a"', "say for how long and why"),
        ('agent="a" tomorrow x', '"tomorrow" is not a duration'),
        ('agent="a" until resolved', "say for how long and why"),
    ],
)
def test_what_is_missing_is_named_with_an_example(text, message):
    with pytest.raises(UsageError) as refused:
        silence_words.parse(text)
    assert message in str(refused.value)
    assert silence_words.EXAMPLE in str(refused.value)


def test_an_incident_stands_for_its_agent_and_the_names_of_what_fires_in_it():
    incident = opened(alert("ErrorsHigh"), alert("ToolDown"))
    draft = silence_words.parse("INC-1 2h why").draft(incident, NOW)
    assert draft.matchers == ('agent="refund-agent"', 'alertname=~"ErrorsHigh|ToolDown"')
    assert draft.ends_at == NOW + timedelta(hours=2)


def test_the_answer_tells_what_it_hides_and_what_still_wakes_people():
    incident = opened(alert())
    told = silence_words.made(
        silence('agent="refund-agent"'), Hidden(((incident, incident.alerts[0]),), ((incident, incident.alerts[0]),))
    )
    assert told.splitlines() == [
        'SIL-3 silences agent="refund-agent" until Nov 20 04:18 UTC.',
        "It hides 1 of the alerts that fire now: INC-1.",
        "Still waking people, being more severe: INC-1. Write critical before the reason to hide them.",
    ]
