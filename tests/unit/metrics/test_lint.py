"""Every code has a page that has it; a page by the contract has none."""

from itertools import product
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from bot import instrument
from bot.instrument import AgentMetrics
from bot.metrics import contract
from bot.metrics.contract import CONTRACT
from bot.metrics.exposition import ExpositionError
from bot.metrics.lint import ADVICE, CODES, lint_body, unreadable
from bot.metrics.profiles import PROFILES

PAGE = Path(__file__).parents[3] / "docs" / "instrumentation.md"
RUNS = 'agent_runs_total{{task="t",outcome="{}"}} 0'
OUTCOMES = ("success", "failure", "timeout", "cancelled", "handoff", "refused")
RUNS_ALL = "\n".join(RUNS.format(outcome) for outcome in OUTCOMES)


def told(text):
    return {(one.code, one.line) for one in lint_body(text.encode() + b"\n", "", "a")}


def codes(text):
    return {code for code, _ in told(text)}


def used_agent():
    registry = CollectorRegistry()
    metrics = AgentMetrics(
        ["refund"],
        ["gpt-5"],
        ["crm"],
        registry=registry,
        datasets=["orders"],
        actions=["write"],
        info={"version": "9f8a7c6b5d4e3f2a1b0c", "model": "gpt-5"},
    )
    with metrics.run("refund"):
        with metrics.llm_call("gpt-5") as call:
            call.used(input=900, output=120, cost_usd=0.004)
        with metrics.tool_call("crm"):
            pass
    metrics.evaluated("nightly", 0.9, {1: 0.8, 8: 0.4})
    metrics.handoff_queue("review", 0)
    metrics.checkpoint_saved()
    metrics.credential(1.9e9, credential="crm-oauth")
    return registry


@pytest.mark.parametrize("write", [generate_latest, openmetrics])
def test_an_agent_that_uses_the_helper_has_nothing_to_correct(write):
    found = lint_body(write(used_agent()), "", "a")
    assert [one for one in found if one.code not in ADVICE] == []


def test_a_fresh_agent_is_not_told_that_it_never_succeeded():
    registry = CollectorRegistry()
    AgentMetrics(["refund"], ["gpt-5"], ["crm"], registry=registry)
    found = lint_body(generate_latest(registry), "", "a")
    assert {one.code for one in found} == {"created"}


def test_what_the_helper_writes_is_the_contract():
    assert instrument.RUN_OUTCOMES == contract.RUN_OUTCOMES
    assert instrument.LLM_OUTCOMES == contract.LLM_OUTCOMES
    assert instrument.TOOL_OUTCOMES == contract.TOOL_OUTCOMES
    assert set(instrument.LAYERS) == set(contract.LAYERS)
    assert (*contract.LIMITS, "other") == instrument.LIMITS
    assert (*contract.VIOLATIONS, "other") == instrument.VIOLATIONS
    for family in used_agent().collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert CONTRACT[name].type == family.type
        if name != "agent_info":
            assert {label for sample in family.samples for label in sample.labels} - {"le"} <= set(
                CONTRACT[name].labels
            )
    for name, buckets in instrument.BUCKETS.items():
        assert buckets[-1] >= CONTRACT[name].reach


def test_every_line_of_the_contract_is_one_that_runs():
    registry = CollectorRegistry()
    metrics = AgentMetrics(["refund"], ["gpt-5"], ["crm"], registry=registry, datasets=["orders"], actions=["write"])
    names = {"metrics": metrics, "queue": [], "used": 80, "window": 100, "expires": 2e9, "depth": 1, "oldest": 1e9}
    names |= {"score": 0.9, "pass1": 0.8, "pass8": 0.4, "AgentMetrics": lambda info: None}
    with metrics.llm_call("gpt-5") as call:
        for family in CONTRACT.values():
            exec(family.line.replace("…", "pass"), {**names, "call": call})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("up 1", ("no-contract", 0)),
        ("", ("no-contract", 0)),
        (RUNS_ALL, ("missing-family", 0)),
        ("# TYPE agent_llm_calls counter\n" + RUNS_ALL, ("missing-family", 0)),
        (RUNS.format("success"), ("missing-outcome", 1)),
        (RUNS_ALL + "\n" + RUNS.format("failed"), ("unknown-value", 7)),
        ('agent_runs_total{task="t"} 1', ("missing-label", 1)),
        (RUNS_ALL.replace("task=", 'region="eu",task='), ("odd-label", 1)),
        ('agent_steps_total{run_id="1"} 1', ("id-label", 1)),
        ('agent_steps_total{x="0b0c7f3e-2f0a-4d7b-9f0e-0f5a7c9d1e21"} 1', ("id-label", 1)),
        ('steps_total{x="run_8fA23kd0"} 1\nsteps_total{x="run_91Bd0aa1"} 1', ("id-label", 1)),
        ('other_total{customer_id="9"} 1', ("id-label", 1)),
        ("\n".join(f'agent_cost_usd_total{{model="m{n}"}} 1' for n in range(9)), ("too-many", 1)),
        ("\n".join(f'requests_total{{path="/a/p{n}"}} 1' for n in range(101)), ("too-many", 1)),
        ("agent_run_duration_ms_count 1", ("wrong-unit", 1)),
        ('agent_cost_cents_total{model="m"} 1', ("wrong-unit", 1)),
        (
            'agent_cost_usd_total{model="m"} 500\nagent_tokens_total{model="m",direction="input"} 100000',
            ("wrong-unit", 1),
        ),
        ("agent_run_duration_seconds_sum 4e6\nagent_run_duration_seconds_count 2", ("wrong-unit", 1)),
        ("# TYPE agent_runs_total gauge\n" + RUNS_ALL, ("wrong-type", 2)),
        ("# TYPE agent_run_duration_seconds summary\nagent_run_duration_seconds_count 2", ("wrong-type", 2)),
        ("# TYPE jobs counter\njobs 2", ("no-total", 2)),
        ('agent_last_success_timestamp_seconds{task="t"} 1763719200000', ("millisecond-time", 1)),
        ("up 1 1763719200000000", ("millisecond-time", 1)),
        ('agent_last_success_timestamp_seconds{task="t"} 0', ("epoch", 1)),
        ('agent_run_llm_calls_bucket{le="10"} 1\nagent_run_llm_calls_bucket{le="+Inf"} 1', ("short-buckets", 1)),
        ('agent_eval_score{suite="s"} 87', ("bad-number", 1)),
        ("agent_context_truncations_total NaN", ("bad-number", 1)),
        ("agent_run_total 1", ("misspelt", 1)),
        ("agent_tool_cals_total 1", ("misspelt", 1)),
        ("# TYPE x_total counter\nx_total 1\n# TYPE x_created gauge\nx_created 1e9", ("created", 4)),
    ],
)
def test_each_mistake_is_found_where_it_stands(text, found):
    assert found in told(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('agent_oldest_run_start_timestamp_seconds 0\nagent_handoff_oldest_timestamp_seconds{queue="q"} 0', "epoch"),
        ('agent_runs_total{agent="a",task="t",outcome="other"} 1', "odd-label"),
        ('build_info{commit="9f8a7c6b5d4e3f2a1b0c",version="20261121"} 1', "id-label"),
        ('http_total{status="200000"} 1\nhttp_total{status="ok"} 1\nhttp_total{status="no"} 1', "id-label"),
        ("agent_step_duration_seconds_count 1\nagent_queue_wait_ms 4", "misspelt"),
        ("litellm_spend_metric_total 1", "no-contract"),
        ("birds_created 4", "created"),
        ('agent_last_success_timestamp_seconds{task="t"} 1763719200', "millisecond-time"),
        ('agent_cost_usd_total{model="m"} 5\nagent_tokens_total{model="m",direction="input"} 100000', "wrong-unit"),
    ],
)
def test_what_is_right_is_left_alone(text, code):
    assert code not in codes(text)


def test_what_a_page_says_cannot_steer_the_terminal():
    body = b'agent_runs_total{outcome="\x1b[31m",task="\x07"} 1\nagent_eval_score{suite="\x1b]0;"} 7\n'
    assert all((one.message + one.hint).isprintable() for one in lint_body(body, "", "a"))


def test_more_samples_than_a_scrape_takes_are_an_error():
    body = b"".join(b'a_total{x="%d"} 1\n' % number for number in range(50_001))
    (found,) = [one for one in lint_body(body, "", "a") if "50001 samples" in one.message]
    assert (found.number, found.severity) == ("LM009", "error")


def test_buckets_have_to_reach_the_agents_own_limits():
    body = b'agent_run_llm_calls_bucket{le="128"} 1\nagent_run_llm_calls_bucket{le="+Inf"} 1\n'
    assert "short-buckets" not in {one.code for one in lint_body(body, "", "a", {"agent_run_llm_calls": 128})}
    (found,) = [one for one in lint_body(body, "", "a", {"agent_run_llm_calls": 200}) if one.code == "short-buckets"]
    assert "reach 200" in found.hint


@pytest.mark.parametrize("outcomes", [each for each in product((True, False), repeat=3) if not all(each)])
def test_each_task_needs_each_outcome(outcomes):
    there = [
        RUNS.format(name) for name, is_there in zip(OUTCOMES, (*outcomes, True, True, True), strict=True) if is_there
    ]
    assert "missing-outcome" in codes("\n".join(there))


def test_a_tools_outcomes_may_stand_in_different_layers():
    def line(layer, outcome):
        return f'agent_tool_calls_total{{tool="crm",layer="{layer}",outcome="{outcome}"}} 0'

    lines = [line("external_service", name) for name in contract.TOOL_OUTCOMES if name != "schema"]
    assert "missing-outcome" in codes("\n".join(lines))
    assert "missing-outcome" not in codes("\n".join([*lines, line("agent_action", "schema")]))


def test_the_way_out_of_an_id_names_the_profile_that_drops_it():
    text = 'strands_event_loop_cycle_count_Count_total{event_loop_cycle_id="0b0c7f3e-2f0a-4d7b-9f0e-0f5a7c9d1e21"} 1\n'
    (found,) = [one for one in lint_body(text.encode(), "", "a") if one.code == "id-label"]
    assert found.hint == "on the target: profile: strands"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html>", "a web page"),
        (b'{"a": 1}', "JSON"),
        (b"\xff\xfe", "every line must be"),
        (b"agent_runs_total{", "every line must be"),
    ],
)
def test_what_is_no_exposition_is_one_finding(body, words):
    with pytest.raises(ExpositionError) as raised:
        lint_body(body, "", "a")
    found = unreadable(body, raised.value, "a")
    assert (found.number, found.line) == ("LM001", 1)
    assert words in found.hint


def test_codes_have_numbers_of_their_own_and_stand_on_the_page():
    numbers = [code.number for code in CODES.values()]
    assert numbers == [f"LM{n:03}" for n in range(1, len(CODES) + 1)]
    page = PAGE.read_text()
    for name, code in CODES.items():
        assert f"| {code.number} | `{name}` |" in page


def test_the_page_shows_the_contract_as_it_is():
    page = PAGE.read_text()
    for family in CONTRACT.values():
        name = f"**`{family.name}`**" if family.core else f"`{family.name}`"
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {name} | {family.type} |")]
        assert f"| {family.meaning} | `{family.line}` |" in row
        for label, values in family.labels.items():
            assert f"`{label}` " + (f"≤ {values}" if isinstance(values, int) else ", ".join(values)) in row


def test_the_page_lists_every_profile_with_what_it_renames_and_drops():
    page = PAGE.read_text()
    for name, profile in PROFILES.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` | {profile.gives}")]
        if "as `otel`" in row:
            assert profile.label_map.items() >= PROFILES["otel"].label_map.items()
        else:
            assert [f"`{source}` → `{target}`" in row for source, target in profile.label_map.items()].count(False) == 0
        if name in {"litellm", "langgraph"}:
            assert all(f"`{label}`" in row for label in profile.drop_labels)
