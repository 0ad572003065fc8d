from datetime import date

import pytest

from bot.runbooks.advice import advice
from bot.runbooks.model import Runbook

TODAY = date(2026, 11, 21)
RUN = {"id": "run", "kind": "command", "title": "Run", "text": "run", "run_on": "here"}


def check(name, **keys):
    return {"id": name, "kind": "check", "title": name, "query": "up", "expect": "< 1", **keys}


def manual(text, **keys):
    return {"id": "m", "kind": "manual", "title": "M", "text": text, **keys}


UP = {"id": "up", "kind": "escalate", "title": "Up", "to": "level:2"}


def found(*steps, **keys):
    fields = {"schema": "runbook/v1", "id": "book", "title": "T", "owner": "team:a", "steps": [*steps, UP], **keys}
    return [(".".join(map(str, one.path)), one.code) for one in advice(Runbook.model_validate(fields), TODAY)]


@pytest.mark.parametrize(
    "text",
    [
        "Check the dashboard",
        "Look at the logs.",
        "please investigate",
        "First, check whether everything looks normal.",
        "Make sure the service works again.",
        "Fix the problem.",
        "Find the root cause.",
        "Escalate to the relevant team.",
        "Restart the agent as needed.",
    ],
)
def test_a_step_without_anything_to_hold_on_to_is_vague(text):
    assert found(manual(text)) == [("steps.0.text", "vague-step")]


@pytest.mark.parametrize(
    "step",
    [
        manual("Check the dashboard", url="https://x"),
        manual("Look at {{ agent.title }} in the console."),
        manual("Check that fewer than 5 jobs wait."),
        manual('Look for "quota exceeded" in the log.'),
        manual("Check agent_tool_calls_total by outcome."),
        manual("Follow the runbook AgentAuthFailing."),
        manual("Stop the queue, then tell the customers that refunds wait."),
        manual("See https://wiki.example/x."),
        manual(
            "Look at the host and the network first. One person should say so in the channel, so that nobody restarts"
            " agents in vain."
        ),
    ],
)
def test_a_step_with_something_to_hold_on_to_is_not_vague(step):
    assert found(step) == []


def test_a_step_that_a_check_verifies_is_not_vague():
    assert found(check("slow"), manual("Fix the problem.", verify="slow")) == []


@pytest.mark.parametrize(("before", "told"), [(7, []), (8, [("steps.7.id", "late-check")])])
def test_the_first_check_comes_by_the_eighth_step(before, told):
    assert found(*({**RUN, "id": f"s{n}"} for n in range(before)), check("c")) == told


def test_many_steps_without_any_check_are_told_too():
    assert found(*({**RUN, "id": f"s{n}"} for n in range(8))) == [("steps.7.id", "late-check")]


def test_a_circle_is_told_once_and_what_leads_into_it_is_not():
    steps = [check("into", on_fail="a"), check("a", on_fail="b"), check("b", on_fail="a")]
    assert found(*steps) == [("steps.1.on_fail", "step-loop")]


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("checks.a.failed", []),
        ("not checks.a.ok", []),
        ("checks.a.failed and checks.b.ok", []),
        ("checks.a.verdict == 'late'", []),
        ("checks.a.ok and checks.a.failed", ["unreachable-step"]),
        ("checks.a.verdict == 'broken'", ["unreachable-step"]),
        ("1 == 2", ["unreachable-step"]),
        ("checks.a.value > 5", []),
        ("checks.a.ok and alert.labels.env == 'x'", []),
        ("checks.gone.ok", []),  # an error of its own
        ("not", []),  # the same
    ],
)
def test_a_condition_that_never_holds_is_told(when, told):
    assert [code for _, code in found(check("a"), check("b"), {**RUN, "when": when})] == told


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("checks.a.ok", [("steps.0.on_fail", "unreachable-step")]),
        ("not checks.a.failed", [("steps.0.on_fail", "unreachable-step")]),
        ("checks.a.failed", []),
        ("checks.b.ok", []),
    ],
)
def test_on_fail_leads_to_a_step_that_is_shown_then(when, told):
    assert found(check("a", on_fail="run"), check("b"), {**RUN, "when": when}) == told


def test_every_finding_but_an_old_review_is_a_warning():
    fields = {"schema": "runbook/v1", "id": "book", "title": "T", "steps": [manual("Fix it.")]}
    assert {one.severity for one in advice(Runbook.model_validate(fields), TODAY)} == {"warning"}
