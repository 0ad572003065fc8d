import json
from datetime import UTC, datetime

import pytest

from bot.authoring.preview import preview, terminal
from bot.authoring.sample import incident_for, read_incident
from bot.errors import UsageError
from bot.metrics.offline import store_of
from bot.paging.model import PageKind
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.runbooks.model import Runbook

NOW = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)
UP = {
    "id": "up",
    "kind": "check",
    "title": "Answers of {{ agent.title }}",
    "query": 'sum(up{agent="{{ agent.id }}"})',
    "expect": ">= 1",
    "on_fail": "run",
}
RUN = {"id": "run", "kind": "command", "title": "Restart", "run_on": "here", "text": "restart {{ agent.id }}"}
ELSE = {"id": "else", "kind": "manual", "title": "Else", "text": "wait", "when": "checks.up.ok"}


def book(**keys):
    fields = {"schema": "runbook/v1", "id": "book", "title": "It is down", "steps": [UP, RUN, ELSE], **keys}
    return Runbook.model_validate(fields)


def shown(runbook=None, *, samples=None, given=None, labels=None):
    runbook = runbook or book()
    query = None
    if samples is not None:
        engine = Engine(store_of(samples.encode(), NOW.timestamp()))
        query = lambda text: engine.instant(parse(text), NOW.timestamp())  # noqa: E731
    return preview(runbook, incident_for(runbook, given, NOW, labels), query, NOW)


def labels_of(**keys):
    (alert,) = incident_for(book(**keys), None, NOW).alerts
    return alert.labels


def test_the_terminal_shows_steps_results_and_what_is_hidden():
    assert terminal(shown(book(owner="team:a", reviewed_on="2026-10-01"), samples='up{agent="sample-agent"} 0\n')) == (
        "It is down  [book]\n"
        "on INC-1: It is down\n"
        "\n"
        "\n"
        "1. Answers of sample-agent (check)\n"
        "   ✗ fails: 0 (want >= 1)\n"
        "\n"
        "2. Restart (command)  ← likely\n"
        "   on here:\n"
        "   $ restart sample-agent\n"
        "\n"
        "Not shown for this incident\n"
        "   else: when checks.up.ok\n"
        "\n"
        "owner team:a · reviewed 2026-10-01"
    )


def test_without_samples_checks_are_not_run_and_no_step_is_likely():
    one = shown()
    assert "   – not run\n" in terminal(one) or "   – not run (want >= 1)\n" in terminal(one)
    assert "likely" not in terminal(one)
    assert "not run" in json.dumps(one.message(PageKind.RUNBOOK))


def test_with_samples_conditions_follow_the_results():
    one = shown(samples='up{agent="sample-agent"} 1\n')
    assert [step.id for step in one.rendered.steps] == ["up", "run", "else"]
    assert one.hidden == ()


def test_the_page_shows_the_likely_step():
    message = shown(samples='up{agent="sample-agent"} 0\n').message(PageKind.CARD)
    assert "*Likely step:* 2 · Restart" in json.dumps(message, ensure_ascii=False)
    assert set(message) == {"text", "blocks"}


def test_signs_that_steer_a_terminal_are_taken_out():
    one = shown(book(summary="{{ alert.labels.tool }}"), labels={"tool": "a\x1b[2Jb\u202ec"})
    assert "a�[2Jb�c" in terminal(one)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ('alertname="AgentDown"', "alertname", "AgentDown"),
        ('agent=~"refund-.*"', "agent", "refund-sample"),
        ('env=~"prod|test"', "env", "prod"),
        ('severity="warning"', "severity", "warning"),
        ('agent=~"[0-9]{3}"', "agent", "sample-agent"),
        ('env!="prod"', "env", None),
    ],
)
def test_the_sample_alert_is_one_that_the_runbook_applies_to(line, name, value):
    assert labels_of(applies_to=[line]).get(name) == value


def test_the_sample_alert_has_every_label_that_a_template_reads():
    assert labels_of(summary="{{ alert.labels.tool }}")["tool"] == "sample-tool"


@pytest.mark.parametrize("owner", ["team:a", "person:ana"])
def test_the_owner_of_the_sample_is_the_runbooks(owner):
    assert incident_for(book(owner=owner), None, NOW).owner == owner


def test_an_incident_of_a_file_is_shown_with_its_alerts():
    given = read_incident(
        json.dumps(
            [
                {
                    "id": "INC-7",
                    "state": "acked",
                    "alerts": [
                        {"labels": {"alertname": "Down", "agent": "x", "severity": "none"}, "value": None},
                        {"labels": {"alertname": "Slow", "agent": "x"}, "starts_at": "2026-11-04T01:00:00+00:00"},
                    ],
                }
            ]
        )
    )
    one = shown(given=given)
    assert one.incident.id == "INC-7"
    assert [alert.name for alert in one.incident.alerts] == ["Down", "Slow"]
    assert "restart x" in terminal(one)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "alerts"),
        ("{}", "alerts"),
        ('{"alerts": []}', "alerts"),
        ('{"alerts": [{}]}', "alerts.0.labels"),
        ('{"alerts": [{"labels": {"a": 1}}]}', "alerts.0.labels.a"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_incident_is_refused_with_its_place(text, words):
    with pytest.raises(UsageError, match=words):
        read_incident(text)
