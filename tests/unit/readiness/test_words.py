"""What a terminal shows, and the report for the pull request of a promotion."""

from __future__ import annotations

from readiness_world import NOW, RECORD, agent_file, judged

from bot.agents.model import Stage
from bot.readiness.words import glance, headline, lines, record_rows, report, worst_first

ASKED = "Asked the server at http://127.0.0.1:9095."
PROMOTED = agent_file("stage: run", "stage: walk")
WAIVER = "    waivers: {integrations: {reason: new | shiny, by: cat, until: 2026-12-31}}\n"


def broken() -> dict[str, str]:
    """At walk, with a kill switch that nobody has tried and a mocked tool that somebody accepts."""
    (text,) = agent_file("crm: {", "crm: {mocked: true, ").values()
    text = text.replace(", tested_on: 2026-11-01", "").replace("stage: run", "stage: walk")
    return {"agents/refund.yaml": text + WAIVER}


def test_of_one_agent_each_domain_that_is_not_done_has_its_way_out_the_worst_first():
    found = judged(agent_file(", tested_on: 2026-11-01"))
    assert list(lines(found)) == [
        "refund-agent: not ready for run, 1 domain of 17 not started",
        "  ✗ kill_switch    written (scale deploy/refund-agent to 0), and nobody has tried it",
        "                   → pull it where it harms nobody, then write the day as kill_switch.tested_on",
        "  ✓ people, rota, escalation, alert_errors, alert_latency, alert_cost, alert_quality, runbooks, budget, "
        "integrations, audit, data, identity, acceptance, track_record, drill",
    ]


def test_what_the_stage_does_not_ask_for_is_a_line():
    found = judged(agent_file("    pass8_target: 0.6\n", "    pass8_target: 0.9\n"), stage=Stage.WALK)
    assert list(lines(found))[-1] == "  not asked for yet: track_record (in progress)"


def test_many_agents_are_a_glance_each():
    found = judged(agent_file(", tested_on: 2026-11-01"), offline=True)
    assert list(glance(found)) == [
        "refund-agent: not ready for run, 1 domain of 17 not started",
        "  ✗ kill_switch",
        "  … alert_errors, alert_latency, alert_cost, alert_quality, audit, acceptance, track_record, drill",
    ]


def test_a_promotion_says_what_the_file_says():
    assert headline(judged(PROMOTED, stage=Stage.RUN)) == "refund-agent: ready for run (its file says walk)"


def test_whoever_is_not_ready_comes_first():
    ready = judged().model_copy(update={"agent": "a"})
    blocked = judged(agent_file(", tested_on: 2026-11-01")).model_copy(update={"agent": "z"})
    assert [one.agent for one in worst_first([ready, blocked])] == ["z", "a"]


def test_the_report_of_a_promotion_has_all_that_a_reviewer_asks_for():
    text = report([judged(broken(), stage=Stage.RUN)], NOW, ASKED)
    assert text.startswith("# Refund agent (`refund-agent`): walk → run\n\n**Not ready**: `kill_switch` not started.\n")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## What blocks", "## What run asks for", "## Track record", "## Open waivers"]
    assert "- **kill_switch**: written" in text
    assert "| runs | 8,000 |" in text
    assert "| mean time to acknowledge | 3m20s |" in text
    assert "| integrations | 2026-12-31 | cat | new &#124; shiny |" in text
    assert "Last drill passed: 2026-11-15." in text


def test_a_report_without_a_server_says_so():
    text = report([judged(PROMOTED, offline=True, stage=Stage.RUN)], NOW, "No server was asked.")
    assert "**Ready.** Nothing that run asks for is missing. Not finished: `alert_errors`" in text
    assert "## Track record\n\nNo running server was asked.\n" in text


def test_where_a_run_has_failed_it_says_no_hundred_percent():
    assert dict(record_rows(RECORD.model_copy(update={"success": 0.99999})))["success"] == "99.99%"
    assert dict(record_rows(RECORD.model_copy(update={"success": 1.0})))["success"] == "100.00%"


def test_what_nothing_says_is_a_dash():
    empty = RECORD.model_copy(update=dict.fromkeys(("runs", "success", "cost_usd", "ack_seconds", "incidents"), None))
    rows = dict(record_rows(empty.model_copy(update={"pass8": {}, "since": None})))
    assert {rows[name] for name in ("counted since", "runs", "success", "pass^8", "incidents", "cost")} == {"-"}
