"""Which requests may be made: what is declared, and nothing that a server could take for something else."""

from __future__ import annotations

import pytest

from bot.actions.allowed import MOST, fits, problem_of, undeclared
from bot.runbooks.rendered import RenderedCall
from bot.settings import ActionWebhook

SERVICE = ActionWebhook.model_validate(
    {
        "url": "https://control.example.com/api",
        "allow": [{"path": "/agents/*/pause"}, {"path": "/agents/*/model", "methods": ["PUT", "DELETE"]}],
    }
)
WEBHOOKS = {"agent-control": SERVICE}


def call(path="/agents/refund-agent/pause", **changes) -> RenderedCall:
    return RenderedCall(**{"webhook": "agent-control", "method": "POST", "path": path, "body": ""} | changes)


def test_a_declared_request_may_be_made():
    assert problem_of(call(), WEBHOOKS) == ""
    assert problem_of(call("/agents/a%20b.c_d~e/pause"), WEBHOOKS) == ""
    assert problem_of(call("/agents/x/model", method="PUT"), WEBHOOKS) == ""


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (call(webhook="agent-contrl"), 'no webhook "agent-contrl"'),
        (call("/agents/x/delete"), "does not allow the path"),
        (call("/agents/x/y/pause"), "does not allow the path"),
        (call("/agents/x/model"), "does not allow POST"),
        (call(method="DELETE"), "does not allow DELETE"),
    ],
)
def test_what_is_not_declared_is_refused(request_, why):
    assert why in problem_of(request_, WEBHOOKS)


@pytest.mark.parametrize(
    "part",
    ["..", ".", "%2e%2e", "%2E.", "a%2fb", "a%2Fb", "a%5Cb", "a\\b", "a?b", "a#b", "a b", "é", "a\nb", "%00", "%zz",
     "a%23b", "a%3Fb", "%252e%252e", "a`b", "<x>", ""],
)  # fmt: skip
def test_a_part_that_could_be_read_as_another_path_is_refused(part):
    problem = problem_of(call(f"/agents/{part}/pause"), WEBHOOKS)
    assert "is refused" in problem, part


def test_a_path_that_does_not_begin_with_a_slash_cannot_change_the_host():
    assert "does not begin with a slash" in problem_of(call("@evil.example.com/agents/x/pause"), WEBHOOKS)
    assert "is empty" in problem_of(call("//evil.example.com/pause"), WEBHOOKS)


def test_a_value_that_is_not_there_makes_no_request():
    assert "⟨missing agent.repo⟩" in problem_of(call(body='{"repo": "⟨missing agent.repo⟩"}'), WEBHOOKS)
    assert "⟨missing x⟩" in problem_of(call("/agents/⟨missing x⟩/pause"), WEBHOOKS)


def test_a_body_that_cannot_be_shown_whole_is_not_sent():
    assert problem_of(call(body="x" * MOST), WEBHOOKS) == ""
    assert "cannot be shown whole" in problem_of(call(body="x" * (MOST + 1)), WEBHOOKS)
    assert "cannot be shown whole" in problem_of(call(body="&" * MOST), WEBHOOKS), "each is five signs in Slack"


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("/agents/{{ agent.id }}/pause", "/agents/*/pause", True),
        ("/agents/{{ a / b }}/pause", "/agents/*/pause", True),
        ("/agents/x-{{ agent.id }}/pause", "/agents/*/pause", True),
        ("/agents/{{ agent.id }}/{{ verb }}", "/agents/*/pause", False),
        ("/agents/{% if a %}x{% endif %}/pause", "/agents/*/pause", True),
        ("/agents//pause", "/agents/*/pause", False),
        ("/agents/x/pause/", "/agents/*/pause", False),
        ("/Agents/x/pause", "/agents/*/pause", False),
    ],
)
def test_a_template_fills_one_part_and_stands_for_no_word(path, pattern, expected):
    assert fits(path, pattern) is expected


def test_the_hint_says_what_there_is():
    assert undeclared("agent-contrl", "POST", "/x", WEBHOOKS)[1] == 'did you mean "agent-control"?'
    assert undeclared("agent-control", "POST", "/x", WEBHOOKS)[1] == "it allows /agents/*/pause, /agents/*/model"
    assert undeclared("agent-control", "GET", "/agents/x/model", WEBHOOKS)[1] == "it allows PUT, DELETE there"
