from datetime import UTC, date, datetime, timedelta

import pytest

from bot.agents.model import Agent
from bot.errors import QueryError
from bot.incidents.model import Alert, AlertState
from bot.promql.value import Scalar
from bot.runbooks.model import Runbook
from bot.runbooks.render import choose, main_alert, render_incident
from bot.runbooks.rendered import Verdict

NOW = datetime(2026, 11, 21, 2, 12, tzinfo=UTC)
AGENT = Agent(id="refund-agent", title="Refund agent", owner="team:payments")
INCIDENT = {"id": "INC-7", "title": "t", "severity": "critical", "state": "open"}
FACTS = {"oncall": ["Ana Ruiz"], "external_url": "https://pager.example.com"}


def make_alert(name="AgentAuthFailing", *, state="firing", severity="critical", minutes=6, annotations=None, **labels):
    return Alert(
        fingerprint=f"{name}{minutes:013d}",
        group="f;g",
        state=AlertState(state),
        labels={"alertname": name, "severity": severity, "agent": "refund-agent", "tool": "crm", **labels},
        annotations=annotations or {},
        value=0.62,
        starts_at=NOW - timedelta(minutes=minutes),
    )


def make_runbook(**keys):
    return Runbook.model_validate(
        {
            "schema": "runbook/v1",
            "id": "book",
            "title": "Credential refused",
            "steps": [{"id": "one", "kind": "manual", "title": "Look", "text": "at it"}],
            **keys,
        }
    )


def render(runbook, *, alerts=None, answers=None, left=lambda: 1.0, agent=AGENT):
    asked = {}

    def query(text):
        asked[text] = True
        answer = (answers or {}).get(text, 0.0)
        if isinstance(answer, Exception):
            raise answer
        return Scalar(answer, 0)

    books = runbook if isinstance(runbook, list) else [runbook]
    rendered = render_incident(
        books,
        [make_alert(annotations={"runbook": "book"})] if alerts is None else alerts,
        INCIDENT,
        agent,
        "team:payments",
        FACTS,
        query,
        NOW,
        left,
    )
    return rendered, list(asked)


# Choosing


@pytest.mark.parametrize("name", ["AgentDown", "runbooks/AgentDown.yaml", "AgentDown.yml", " AgentDown "])
def test_the_annotation_names_the_runbook_by_id_or_path(name):
    books = [make_runbook(id="Other", applies_to=['alertname="X", agent="a"']), make_runbook(id="AgentDown")]
    assert choose(books, {"alertname": "X", "agent": "a"}, {"runbook": name}).id == "AgentDown"


def test_without_annotation_most_matchers_win_then_the_id():
    books = [
        make_runbook(id="c", applies_to=['alertname="X", agent=~"a.*"']),
        make_runbook(id="b", applies_to=['agent="nope"', 'alertname="X", agent="a1"']),
        make_runbook(id="a", applies_to=['alertname="X"']),
    ]
    assert choose(books, {"alertname": "X", "agent": "a1"}, {}).id == "b"
    assert choose(books, {"alertname": "X", "agent": "a2"}, {}).id == "c"
    assert choose(books, {"alertname": "X", "agent": "z"}, {}).id == "a"
    assert choose(books, {"alertname": "Y", "agent": "a1"}, {}) is None


def test_an_annotation_that_names_nothing_falls_back_to_matchers():
    books = [make_runbook(id="a", applies_to=['alertname="X"'])]
    assert choose(books, {"alertname": "X"}, {"runbook": "gone"}).id == "a"


def test_the_main_alert_goes_on_is_severe_and_old():
    alerts = [
        make_alert("Over", state="resolved", minutes=60),
        make_alert("Small", severity="warning", minutes=50),
        make_alert("Young", minutes=1),
        make_alert("Old", state="no_data", minutes=9),
    ]
    assert main_alert(alerts).name == "Old"


# Rendering

CHECKED = {
    "steps": [
        {
            "id": "provider",
            "kind": "check",
            "title": "Provider",
            "query": 'lat{agent="{{ agent.id }}"}',
            "expect": "< 8",
            "unit": "s",
            "on_fail": "wait",
        },
        {
            "id": "crm",
            "kind": "check",
            "title": "Tool {{ alert.labels.tool }}",
            "query": 'err{tool="{{ alert.labels.tool }}"}',
            "expect": "< 0.05",
            "unit": "ratio",
            "on_fail": "rotate",
        },
        {
            "id": "wait",
            "kind": "manual",
            "title": "Wait",
            "text": "{{ checks.provider.text }}",
            "when": "checks.provider.failed",
        },
        {
            "id": "rotate",
            "kind": "command",
            "title": "Rotate",
            "text": "rotate {{ alert.labels.tool }} --agent {{ agent.id }}",
            "run_on": "your laptop",
            "verify": "crm",
        },
        {"id": "status", "kind": "link", "title": "Status", "url": "https://x/?agent={{ agent.title | urlencode }}"},
    ]
}


def test_a_runbook_with_live_results_and_the_likely_step():
    book = make_runbook(
        **CHECKED,
        summary="{{ alert.labels.tool }} fails for {{ alert.starts_at | ago }}, {{ oncall | join(', ') }}",
        impact="{{ agent.title }} stands still.",
        severity_hint={"critical": "Customers wait."},
        links=[{"title": "Dashboard", "url": "{{ external_url }}/d"}],
        reviewed_on="2026-11-08",
        owner="team:payments",
    )
    rendered, asked = render(book, answers={'lat{agent="refund-agent"}': 1.2, 'err{tool="crm"}': 0.62})
    assert asked == ['lat{agent="refund-agent"}', 'err{tool="crm"}']
    assert rendered.problem == ""
    assert rendered.summary == "crm fails for 6m ago, Ana Ruiz"
    assert rendered.impact == "Refund agent stands still. Customers wait."
    assert rendered.likely_step == 4
    assert [(s.number, s.id, s.title) for s in rendered.steps] == [
        (1, "provider", "Provider"),
        (2, "crm", "Tool crm"),
        (4, "rotate", "Rotate"),
        (5, "status", "Status"),
    ]
    provider, crm, rotate, status = rendered.steps
    assert (provider.check.verdict, provider.check.value, provider.check.want) == (Verdict.PASS, "1.2 s", "< 8 s")
    assert (crm.check.verdict, crm.check.value, crm.check.want) == (Verdict.FAIL, "62 %", "< 5 %")
    assert (rotate.command, rotate.run_on) == ("rotate crm --agent refund-agent", "your laptop")
    assert rotate.text == "Then look at check 2 again: Tool crm (want < 5 %)."
    assert status.url == "https://x/?agent=Refund%20agent"
    assert [(link.title, link.url) for link in rendered.links] == [("Dashboard", "https://pager.example.com/d")]
    assert (rendered.runbook, rendered.owner, rendered.reviewed_on, rendered.rendered_at) == (
        "book",
        "team:payments",
        date(2026, 11, 8),
        NOW,
    )


def test_a_step_whose_condition_holds_is_shown_with_the_result():
    rendered, _ = render(make_runbook(**CHECKED), answers={'lat{agent="refund-agent"}': 30.0})
    assert rendered.steps[2].text == "30 s"
    assert rendered.likely_step == 3


def test_without_a_failed_check_no_step_is_likely():
    rendered, _ = render(make_runbook(**CHECKED))
    assert rendered.likely_step is None


def test_a_likely_step_that_is_not_shown_is_not_likely():
    steps = [
        {"id": "c", "kind": "check", "title": "C", "query": "x", "expect": "< 1", "on_fail": "m"},
        {"id": "m", "kind": "manual", "title": "M", "text": "t", "when": "env == 'other'"},
    ]
    rendered, _ = render(make_runbook(steps=steps), answers={"x": 5.0})
    assert (rendered.likely_step, len(rendered.steps)) == (None, 1)


def test_checks_past_the_budget_are_late_and_the_rest_is_there():
    times = iter([1.0, 0.5, -0.1])
    rendered, asked = render(make_runbook(**CHECKED), left=lambda: next(times))
    assert [step.check.verdict for step in rendered.steps if step.check] == [Verdict.PASS, Verdict.LATE]
    assert (rendered.late, len(asked), len(rendered.steps)) == (True, 1, 4)


def test_a_check_whose_condition_does_not_hold_is_not_asked():
    steps = [
        {"id": "c", "kind": "check", "title": "C", "query": "x", "expect": "< 1", "when": "alert.labels.tool == 'erp'"}
    ]
    rendered, asked = render(make_runbook(steps=[*steps, {"id": "m", "kind": "manual", "title": "M", "text": "t"}]))
    assert (asked, [step.id for step in rendered.steps]) == ([], ["m"])


def test_a_query_error_is_shown_at_its_check_and_is_no_problem_of_the_page():
    rendered, _ = render(make_runbook(**CHECKED), answers={'err{tool="crm"}': QueryError("over the limit")})
    assert (rendered.steps[1].check.verdict, rendered.steps[1].check.error, rendered.problem) == (
        Verdict.ERROR,
        "over the limit",
        "",
    )


def test_a_query_on_a_label_that_is_not_there_is_not_asked():
    steps = [{"id": "c", "kind": "check", "title": "C", "query": 'x{pod="{{ alert.labels.pod }}"}', "expect": "< 1"}]
    rendered, asked = render(make_runbook(steps=steps))
    assert asked == []
    assert rendered.steps[0].check.error == "the query cannot be asked: ⟨missing alert.labels.pod⟩"


def test_a_label_cannot_break_out_of_a_query_or_a_command():
    steps = [
        {"id": "c", "kind": "check", "title": "C", "query": 'x{tool="{{ alert.labels.tool }}"}', "expect": "< 1"},
        {"id": "k", "kind": "command", "title": "K", "text": "run {{ alert.labels.tool }}", "run_on": "here"},
    ]
    alert = make_alert(annotations={"runbook": "book"}, tool='a"} or up{x="$(reboot)')
    rendered, asked = render(make_runbook(steps=steps), alerts=[alert])
    assert asked == ['x{tool="a\\"} or up{x=\\"$(reboot)"}']
    assert rendered.steps[1].command == "run 'a\"} or up{x=\"$(reboot)'"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "{{ alert.labels.tool }}", "ftp://x", "{{ external_url | default('') }}x:"]
)
def test_only_web_addresses_become_links(url):
    rendered, _ = render(make_runbook(links=[{"title": "x", "url": url}]))
    assert [link.url for link in rendered.links if not link.url.startswith("https://")] == []


def test_what_is_missing_is_shown_and_what_is_broken_is_a_problem():
    book = make_runbook(
        summary="{{ alert.labels.nope }}",
        steps=[
            {"id": "a", "kind": "manual", "title": "A", "text": "{{ alert.labels.tool | humanize }}"},
            {"id": "b", "kind": "manual", "title": "B", "text": "fine"},
        ],
    )
    rendered, _ = render(book)
    assert rendered.summary == "⟨missing alert.labels.nope⟩"
    assert rendered.problem == 'step a does not render: "crm" is not a number'
    assert rendered.steps[1].text == "fine"


def test_no_runbook_says_so_and_shows_what_the_alert_knows():
    alert = make_alert(annotations={"description": "d", "impact": "i", "runbook_url": "https://wiki/x"})
    rendered, _ = render([], alerts=[alert])
    assert (rendered.problem, rendered.summary, rendered.impact) == ("no runbook matches AgentAuthFailing", "d", "i")
    assert [link.url for link in rendered.links] == ["https://wiki/x"]
    rendered, _ = render([], alerts=[make_alert(annotations={"runbook": "gone"})])
    assert rendered.problem == 'there is no runbook "gone"'


@pytest.mark.parametrize("alerts", [[], "nonsense", [None]])
def test_rendering_never_raises(alerts):
    rendered, _ = render(make_runbook(), alerts=alerts)
    assert rendered.problem


def test_a_broken_clock_of_the_budget_costs_only_the_runbook():
    def broken():
        raise RuntimeError("no clock")

    rendered, _ = render(make_runbook(**CHECKED), left=broken)
    assert "RuntimeError" in rendered.problem


def test_an_agent_nobody_registered_is_known_by_its_label():
    rendered, _ = render(make_runbook(summary="{{ agent.id }} of {{ agent.owner }}"), agent=None)
    assert rendered.summary == "refund-agent of team:payments"
