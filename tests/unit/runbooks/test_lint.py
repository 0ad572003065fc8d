from datetime import date

import pytest
from pydantic import ValidationError

from bot.runbooks.lint import duplicates, overdue, problems, queries
from bot.runbooks.model import Runbook

CHECK = {"id": "c", "kind": "check", "title": "C", "query": "up", "expect": "< 1"}
MANUAL = {"id": "m", "kind": "manual", "title": "M", "text": "t"}
COMMAND = {"id": "k", "kind": "command", "title": "K", "text": "ls", "run_on": "here"}
DECISION = {"id": "d", "kind": "decision", "title": "D", "ask": "Which?", "choose": [{"label": "A", "goto": "m"}]}
CALL = {"webhook": "agent-control", "path": "/agents/{{ agent.id }}/pause"}
ACTION = {"id": "a", "kind": "action", "title": "A", "call": CALL}
ESCALATE = {"id": "e", "kind": "escalate", "title": "E", "to": "level:2"}
HANDOFF = {"id": "h", "kind": "handoff", "title": "H", "ask": ["what changed"]}
LINK = {"id": "l", "kind": "link", "title": "L", "url": "https://x"}


def make(*steps, **keys):
    fields = {"schema": "runbook/v1", "id": "book", "title": "T", "steps": list(steps) or [MANUAL], **keys}
    return Runbook.model_validate(fields)


def found(*steps, **keys):
    return [(".".join(map(str, problem.path)), problem.code) for problem in problems(make(*steps, **keys), "book")]


def test_a_sound_runbook_has_no_problem():
    steps = [{**CHECK, "on_fail": "m", "unit": "s", "timeout": "2s"}, MANUAL, {**COMMAND, "verify": "c"}, LINK]
    answers = [{"label": "A", "goto": "m", "when": "not checks.c.ok"}, {"label": "B", "goto": "a"}]
    approve = {"by": ["oncall", "owner", "person:ana", "team:a", "role:lead"], "min": 2}
    steps += [{**DECISION, "choose": answers}, {**ACTION, "approve": approve, "undo": {"path": "/x"}, "verify": "c"}]
    steps += [{**ESCALATE, "after": "20m"}, {**ESCALATE, "id": "o", "to": "{{ owner }}"}, HANDOFF]
    keys = {"applies_to": ['alertname="A"'], "summary": "{{ alert.labels.anything }}", "impact": "{{ agent.title }}"}
    assert (
        found(*steps, **keys, severity_hint={"critical": "x"}, links=[{"title": "a", "url": "{{ external_url }}/x"}])
        == []
    )


@pytest.mark.parametrize(
    ("step", "path", "code"),
    [
        ({**CHECK, "expect": ""}, "", "expect"),
        ({**CHECK, "query": ""}, "", "step-key"),
        ({**CHECK, "run_on": "x"}, "run_on", "step-key"),
        ({**CHECK, "url": "https://x"}, "url", "step-key"),
        ({**MANUAL, "text": ""}, "", "step-key"),
        ({**MANUAL, "query": "up"}, "query", "step-key"),
        ({**COMMAND, "run_on": ""}, "", "run-on"),
        ({**LINK, "url": ""}, "", "step-key"),
        ({**CHECK, "expect": "5"}, "expect", "expect"),
        ({**CHECK, "on_fail": "nope"}, "on_fail", "step-target"),
        ({**CHECK, "on_fail": "c"}, "on_fail", "step-target"),
        ({**COMMAND, "verify": "nope"}, "verify", "step-target"),
        ({**COMMAND, "verify": "m"}, "verify", "step-target"),
        ({**CHECK, "query": "up =="}, "query", "promql"),
        ({**CHECK, "query": "up[5m]"}, "query", "promql"),
        ({**CHECK, "query": "{{ agent.nope }}"}, "query", "template"),
        ({**CHECK, "query": "{{ checks.c.value }}"}, "query", "template"),
        ({**CHECK, "when": "checks.c.ok"}, "when", "template"),
        ({**MANUAL, "text": "{{ agent.titel }}"}, "text", "template"),
        ({**MANUAL, "text": "{% if x %}"}, "text", "template"),
        ({**MANUAL, "text": "{{ checks.nope.ok }}"}, "text", "template"),
        ({**MANUAL, "title": "{{ nope }}"}, "title", "template"),
        ({**MANUAL, "when": "{{ checks.c.ok }}"}, "when", "template"),
        ({**MANUAL, "when": "not"}, "when", "template"),
        ({**COMMAND, "text": 'run "{{ agent.id }}"'}, "text", "command-quotes"),
        ({**COMMAND, "text": "run {{ agent.nope }}"}, "text", "template"),
        ({**LINK, "url": "x.example.com"}, "url", "link"),
        ({**LINK, "url": "javascript:alert(1)"}, "url", "link"),
        ({**DECISION, "ask": ""}, "", "step-key"),
        ({**DECISION, "ask": ["A?", "B?"]}, "ask", "step-key"),
        ({**DECISION, "choose": []}, "", "step-key"),
        ({**DECISION, "ask": "{{ nope }}"}, "ask", "template"),
        ({**DECISION, "choose": [{"label": "A", "goto": "d"}]}, "choose.0.goto", "step-target"),
        ({**DECISION, "choose": [{"label": "A", "goto": "nope"}]}, "choose.0.goto", "step-target"),
        ({**DECISION, "choose": [{"label": "{{ no }}", "goto": "m"}]}, "choose.0.label", "template"),
        ({**DECISION, "choose": [{"label": "A", "goto": "m", "when": "checks.x.ok"}]}, "choose.0.when", "template"),
        ({**DECISION, "choose": [{"label": "A", "goto": "m", "when": "{{ 1 }}"}]}, "choose.0.when", "template"),
        ({**DECISION, "choose": 2 * [{"label": "A", "goto": "m"}]}, "choose.1.label", "duplicate-step"),
        ({**DECISION, "on_fail": "m"}, "on_fail", "step-key"),
        ({**ACTION, "call": None}, "", "step-key"),
        ({**ACTION, "call": {**CALL, "path": "/{{ agent.nope }}"}}, "call.path", "template"),
        ({**ACTION, "call": {**CALL, "body": {"a": [{"b": "{{ no }}"}]}}}, "call.body.a.0.b", "template"),
        ({**ACTION, "undo": {"path": "/{{ no }}"}}, "undo.path", "template"),
        ({**ACTION, "undo": {"path": "/x", "body": {"a": "{{ no }}"}}}, "undo.body.a", "template"),
        ({**ACTION, "approve": {"by": ["oncall", "ana"]}}, "approve.by.1", "action-approver"),
        ({**ACTION, "verify": "m"}, "verify", "step-target"),
        ({**ESCALATE, "to": ""}, "", "step-key"),
        ({**ESCALATE, "to": "level:0"}, "to", "escalation-target"),
        ({**ESCALATE, "to": "schedule:x"}, "to", "escalation-target"),
        ({**ESCALATE, "to": "{{ ownr }}"}, "to", "template"),
        ({**HANDOFF, "ask": []}, "", "step-key"),
        ({**HANDOFF, "ask": ["what", " "]}, "ask.1", "step-key"),
        ({**HANDOFF, "ask": ["{{ no }}"]}, "ask.0", "template"),
    ],
)
def test_each_mistake_is_found_where_it_stands(step, path, code):
    others = [other for other in (CHECK, {**MANUAL, "id": "m"}) if other["id"] != step["id"]]
    assert found(step, *others) == [(".".join(filter(None, ["steps.0", path])), code)]


@pytest.mark.parametrize(
    ("keys", "path", "code"),
    [
        ({"id": "other"}, "id", "runbook-id"),
        ({"applies_to": ["alertname"]}, "applies_to.0", "matcher"),
        ({"applies_to": ['a="b"', 'a=~"("']}, "applies_to.1", "matcher"),
        ({"summary": "{{ x"}, "summary", "template"),
        ({"impact": "{{ agents.id }}"}, "impact", "template"),
        ({"severity_hint": {"critical": "{{ nope }}"}}, "severity_hint.critical", "template"),
        ({"links": [{"title": "a", "url": "wiki/x"}]}, "links.0.url", "link"),
        ({"links": [{"title": "{{ nope }}", "url": "https://x"}]}, "links.0.title", "template"),
    ],
)
def test_each_mistake_around_the_steps_is_found(keys, path, code):
    assert found(**keys) == [(path, code)]


def test_the_same_step_id_twice():
    assert found(MANUAL, MANUAL) == [("steps.1.id", "duplicate-step")]


def test_the_message_says_what_there_is():
    (problem,) = problems(make({**MANUAL, "text": "{{ agent.titel }}"}))
    assert problem.message == 'text does not render: "agent.titel" is not known; did you mean "title"?'
    (problem,) = problems(make({**MANUAL, "text": "{{ incident.titel }}"}))
    assert problem.message == (
        'text does not render: "incident.titel" is not known; there is id, severity, state, title'
    )
    (problem,) = problems(make({**CHECK, "on_fail": "nope"}, MANUAL))
    assert problem.hint == "steps are m"


@pytest.mark.parametrize(
    "keys",
    [
        {"schema": "runbook/v2"},
        {"id": "a b"},
        {"steps": []},
        {"titel": "x"},
        {"severity_hint": {"urgent": "x"}},
        {"review_every": "x"},
    ],
)
def test_what_the_shape_forbids(keys):
    with pytest.raises(ValidationError):
        make(**keys)


@pytest.mark.parametrize(
    "step",
    [{**CHECK, "unit": "hours"}, {**MANUAL, "kind": "acton"}, {**MANUAL, "querry": "x"}, {**CHECK, "timeout": "0s"}],
)
def test_what_the_shape_of_a_step_forbids(step):
    with pytest.raises(ValidationError):
        make(step)


def test_the_same_id_in_two_files():
    ((file, problem),) = duplicates([("a.yaml", make()), ("b.yaml", make(id="other")), ("c.yaml", make())])
    assert (file, problem.message) == ("c.yaml", 'runbook "book" is also in a.yaml')


@pytest.mark.parametrize(("today", "told"), [(date(2026, 1, 31), False), (date(2026, 2, 1), True)])
def test_a_review_is_overdue_the_day_after_it_was_due(today, told):
    runbook = make(reviewed_on="2026-01-01", review_every="30d")
    assert (overdue(runbook, today) is not None) is told


def test_a_runbook_never_reviewed_is_not_overdue():
    assert overdue(make(), date(2026, 1, 1)) is None


def test_the_queries_of_checks_as_any_incident_would_ask_them():
    assert queries(
        [make({**CHECK, "query": 'x{agent="{{ agent.id }}"}'}, MANUAL), make({**CHECK, "query": "{{ nope"})]
    ) == ['x{agent="sample-agent"}']
