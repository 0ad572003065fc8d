"""`/agent readiness`: harmless and within Slack's limits whatever the files say, and what it tells."""

from __future__ import annotations

import json

from fake_slack import layout_problem
from readiness_world import agent_file, judged

from bot.slack.gate_words import readiness

UNTRIED = agent_file(", tested_on: 2026-11-01")


def shown(answer) -> str:
    return json.dumps(answer, ensure_ascii=False)


def test_of_one_agent_it_tells_what_is_missing_and_the_way_out():
    answer = readiness([judged(UNTRIED)], alone=True)
    assert answer["text"] == "refund-agent: not ready for run, 1 domain of 17 not started"
    assert "✗ *kill_switch* written" in shown(answer)
    assert "→ pull it where it harms nobody" in shown(answer)
    assert "✓ 16 done" in shown(answer)
    assert layout_problem(answer) == ""


def test_of_many_it_names_those_that_are_not_ready_first():
    several = [judged().model_copy(update={"agent": f"a{number}", "title": f"A{number}"}) for number in range(12)]
    answer = readiness([*several, judged(UNTRIED)], alone=False)
    lines = shown(answer)
    assert answer["text"] == "13 agents, 1 not ready"
    assert lines.index("🔴 *Refund agent* run · not started: kill_switch") < lines.index("🟢 *A0* run · ready")
    assert "+3 more" in lines
    assert layout_problem(answer) == ""


def test_nobody_is_registered():
    assert readiness([], alone=False)["text"] == "No agent is registered, or all are retired."


def test_what_the_files_say_formats_and_mentions_nothing():
    changes = agent_file(
        "how: scale deploy/refund-agent to 0, tested_on: 2026-11-01", 'how: "<!channel> *x* `y` <@U1>"'
    )
    answer = readiness([judged(changes)], alone=True)
    assert "<" not in shown(answer)
    assert layout_problem(answer) == ""
