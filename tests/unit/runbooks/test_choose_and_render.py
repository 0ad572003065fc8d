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


# The kinds of steps that lead on, act and hand over

_FORK = [
    {"id": "crm", "kind": "check", "title": "CRM", "query": "err", "expect": "< 1", "on_fail": "which"},
    {
        "id": "which",
        "kind": "decision",
        "title": "What is it?",
        "ask": "What is broken at {{ alert.labels.tool }}?",
        "choose": [
            {"label": "Its {{ alert.labels.tool }} credential", "when": "not checks.crm.ok", "goto": "rotate"},
            {"label": "Everything", "when": "checks.crm.failed", "goto": "up"},
            {"label": "Neither", "goto": "up"},
        ],
    },
    {"id": "rotate", "kind": "command", "title": "Rotate", "run_on": "here", "text": "r", "verify": "crm"},
    {"id": "up", "kind": "escalate", "title": "Up", "to": "team:{{ alert.labels.tool }}", "after": "20m"},
    {
        "id": "hand",
        "kind": "handoff",
        "title": "Hand over",
        "ask": ["What changed on {{ agent.id }}?", "What is left?"],
    },
]


def test_a_decision_shows_its_ways_on_and_the_first_that_holds_is_likely():
    rendered, _ = render(make_runbook(steps=_FORK), answers={"err": 5.0})
    which = rendered.steps[1]
    assert rendered.problem == ""
    assert which.text == "What is broken at crm?"
    assert [(one.label, one.goto, one.likely) for one in which.choices] == [
        ("Its crm credential", "rotate", True),
        ("Everything", "up", False),
        ("Neither", "up", False),
    ]
    assert rendered.likely_step == 3  # not the decision itself: what it points to
    assert (rendered.steps[0].on_fail, rendered.steps[2].verify) == ("which", "crm")


def test_without_a_choice_that_holds_the_decision_itself_is_where_a_failed_check_leads():
    steps = [_FORK[0], {**_FORK[1], "choose": [{"label": "Neither", "goto": "up"}]}, *_FORK[2:]]
    assert render(make_runbook(steps=steps), answers={"err": 5.0})[0].likely_step == 2
    assert render(make_runbook(steps=steps), answers={"err": 0.0})[0].likely_step is None


def test_a_decision_leads_on_without_a_failed_check_too():
    steps = [{**_FORK[1], "choose": [{"label": "CRM", "when": "alert.labels.tool == 'crm'", "goto": "up"}]}, _FORK[3]]
    assert render(make_runbook(steps=steps))[0].likely_step == 2


def test_decisions_that_lead_in_a_circle_end():
    def fork(own, other):
        return {
            "id": own,
            "kind": "decision",
            "title": own,
            "ask": "?",
            "choose": [{"label": "x", "when": "true", "goto": other}],
        }

    assert render(make_runbook(steps=[fork("a", "b"), fork("b", "a")]))[0].likely_step in {1, 2}


def test_a_condition_of_a_choice_that_cannot_be_read_is_a_problem_and_not_likely():
    steps = [{**_FORK[1], "choose": [{"label": "x", "when": "1 +", "goto": "up"}]}, _FORK[3]]
    rendered, _ = render(make_runbook(steps=steps))
    assert "a choice of which cannot be read" in rendered.problem
    assert not rendered.steps[0].choices[0].likely


def test_an_escalation_and_a_hand_off_are_rendered():
    up, hand = render(make_runbook(steps=_FORK))[0].steps[3:]
    assert (up.to, up.after) == ("team:crm", timedelta(minutes=20))
    assert hand.questions == ("What changed on refund-agent?", "What is left?")


def action(**keys):
    call = {"webhook": "control", "path": "/agents/{{ agent.id }}/route", "body": {"provider": "second"}}
    return {"id": "switch", "kind": "action", "title": "Switch", "call": call, **keys}


def acted(**keys):
    rendered, _ = render(
        make_runbook(steps=[action(**keys)]),
        alerts=[make_alert(annotations={"runbook": "book"}, quoted='a"b/c', up="..", empty="")],
    )
    return rendered, rendered.steps[0]


def test_an_action_shows_the_exact_request_its_undo_and_who_approves():
    rendered, step = acted(
        undo={"path": "/agents/{{ agent.id }}/route", "method": "DELETE"},
        approve={"by": ["role:lead"], "min": 2, "self": False, "ttl": "5m"},
        timeout="3s",
    )
    assert rendered.problem == ""
    assert step.call.model_dump() == {
        "webhook": "control",
        "method": "POST",
        "path": "/agents/refund-agent/route",
        "body": '{"provider": "second"}',
    }
    assert step.undo.model_dump() == {
        "webhook": "control",
        "method": "DELETE",
        "path": "/agents/refund-agent/route",
        "body": "",
    }
    assert (step.approve.by, step.approve.min, step.approve.self) == (("role:lead",), 2, False)
    assert step.timeout == timedelta(seconds=3)


def test_who_approves_has_a_default():
    assert acted()[1].approve.by == ("oncall",)


def test_a_value_stays_within_its_part_of_the_path_and_within_its_text_of_the_body():
    call = {
        "webhook": "c",
        "path": "/a/{{ alert.labels.quoted }}/x",
        "body": {"deep": [{"why": "{{ alert.labels.quoted }}"}], "count": 3, "on": True},
    }
    _, step = acted(call=call)
    assert step.call.path == "/a/a%22b%2Fc/x"
    assert step.call.body == '{"deep": [{"why": "a\\"b/c"}], "count": 3, "on": true}'


@pytest.mark.parametrize(
    "call",
    [
        {"path": "/a/{{ alert.labels.nope }}"},
        {"path": "/a/{{ alert.labels.up }}/x"},
        {"path": "/a/{{ alert.labels.empty }}/x"},
        {"path": "/a", "body": {"why": "{{ alert.labels.nope }}"}},
        {"path": "/a", "body": {"why": "{{ alert.labels.nope | upper | truncate(3) }}"}},
        {"path": "/a", "body": {"why": "{% for i in range(100) %}" + "x" * 40 + "{% endfor %}"}},
        {"path": "/a", "body": {f"k{i}": "{% for i in range(100) %}" + "x" * 29 + "{% endfor %}" for i in range(3)}},
    ],
    ids=["missing", "up", "empty", "missing in the body", "missing and changed", "cut", "too large"],
)
def test_a_request_that_would_not_be_what_was_meant_is_not_there(call):
    rendered, step = acted(call={"webhook": "c", **call})
    assert step.call is None
    assert "the call of step switch cannot be made" in rendered.problem
