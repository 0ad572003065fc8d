"""The helper that agents copy: what stands in their exposition, before and after something happens."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from bot.instrument import AgentMetrics, outcome_of


def agent(**more):
    registry = CollectorRegistry()
    return registry, AgentMetrics(["refund"], ["gpt-5"], ["crm"], registry=registry, **more)


def value(registry, name, **labels):
    return registry.get_sample_value(name, labels)


def test_every_outcome_is_there_at_zero_before_anything_happens():
    registry, _ = agent()
    for outcome in ("success", "failure", "timeout", "cancelled", "handoff", "refused"):
        assert value(registry, "agent_runs_total", task="refund", outcome=outcome) == 0
    for outcome in ("ok", "error", "timeout", "rate_limited"):
        assert value(registry, "agent_llm_calls_total", model="gpt-5", outcome=outcome) == 0
    for outcome in ("ok", "error", "timeout", "rate_limited", "auth", "denied", "schema", "circuit_open"):
        labels = {"tool": "crm", "layer": "external_service", "outcome": outcome}
        assert value(registry, "agent_tool_calls_total", **labels) == 0
    assert value(registry, "agent_run_limit_exceeded_total", limit="steps") == 0
    assert value(registry, "agent_context_truncations_total") == 0


def test_a_time_that_was_never_set_is_not_there():
    registry, _ = agent()
    text = generate_latest(registry).decode()
    for name in ("agent_last_success_timestamp", "agent_checkpoint_last", "agent_data_last_refresh", "agent_eval"):
        assert name not in text
    assert value(registry, "agent_oldest_run_start_timestamp_seconds") == 0


def test_a_run_counts_itself_its_calls_and_its_length():
    registry, metrics = agent()
    with metrics.run("refund"):
        assert value(registry, "agent_runs_in_progress") == 1
        assert value(registry, "agent_oldest_run_start_timestamp_seconds") > 1.7e9
        for _ in range(3):
            with metrics.llm_call("gpt-5") as call:
                call.used(input=900, output=120, cost_usd=0.25)
        with metrics.tool_call("crm"):
            pass
    assert value(registry, "agent_runs_total", task="refund", outcome="success") == 1
    assert value(registry, "agent_last_success_timestamp_seconds", task="refund") > 1.7e9
    assert value(registry, "agent_runs_in_progress") == 0
    assert value(registry, "agent_oldest_run_start_timestamp_seconds") == 0
    assert value(registry, "agent_run_duration_seconds_count") == 1
    assert value(registry, "agent_run_llm_calls_sum") == 3
    assert value(registry, "agent_run_tool_calls_sum") == 1
    assert value(registry, "agent_tokens_total", model="gpt-5", direction="input") == 2700
    assert value(registry, "agent_tokens_total", model="gpt-5", direction="output") == 360
    assert value(registry, "agent_cost_usd_total", model="gpt-5") == 0.75


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("x"), "failure"),
        (TimeoutError(), "timeout"),
        (asyncio.CancelledError(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
    ],
)
def test_what_ends_a_run_by_an_exception_is_counted_and_goes_on(error, outcome):
    registry, metrics = agent()
    with pytest.raises(type(error)), metrics.run("refund"):
        raise error
    assert value(registry, "agent_runs_total", task="refund", outcome=outcome) == 1
    assert value(registry, "agent_last_success_timestamp_seconds", task="refund") is None
    assert value(registry, "agent_runs_in_progress") == 0


def test_the_code_says_how_a_run_ended_when_no_exception_does():
    registry, metrics = agent()
    for outcome in ("handoff", "refused", "failure", "nonsense"):
        with metrics.run("refund") as run:
            run.outcome = outcome
    assert value(registry, "agent_runs_total", task="refund", outcome="handoff") == 1
    assert value(registry, "agent_runs_total", task="refund", outcome="refused") == 1
    assert value(registry, "agent_runs_total", task="refund", outcome="failure") == 2  # a word it does not know, too


class HTTPError(Exception):
    def __init__(self, status):
        self.status_code = status


class WrappedError(Exception):
    def __init__(self, status):
        self.response = HTTPError(status)


class RateLimitError(Exception):
    code = "rate_limit_exceeded"


class APITimeoutError(Exception):
    pass


class PermissionDeniedError(Exception):
    pass


class ValidationError(Exception):
    pass


class CircuitBreakerError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (HTTPError(401), "auth"),
        (HTTPError(403), "denied"),
        (WrappedError(429), "rate_limited"),
        (HTTPError(504), "timeout"),
        (HTTPError(422), "schema"),
        (HTTPError(500), "error"),
        (RateLimitError(), "rate_limited"),
        (APITimeoutError(), "timeout"),
        (PermissionDeniedError(), "denied"),
        (ValidationError(), "schema"),
        (json.JSONDecodeError("x", "", 0), "schema"),
        (CircuitBreakerError(), "circuit_open"),
        (asyncio.CancelledError(), "timeout"),
        (KeyError("x"), "error"),
    ],
)
def test_an_exception_says_what_kind_of_failure_a_call_was(error, outcome):
    assert outcome_of(error) == outcome
    registry, metrics = agent()
    with pytest.raises(type(error)), metrics.tool_call("crm"):
        raise error
    labels = {"tool": "crm", "layer": "external_service", "outcome": outcome}
    assert value(registry, "agent_tool_calls_total", **labels) == 1


def test_a_model_has_fewer_outcomes_than_a_tool_the_rest_are_errors():
    registry, metrics = agent()
    with pytest.raises(HTTPError), metrics.llm_call("gpt-5"):
        raise HTTPError(401)
    assert value(registry, "agent_llm_calls_total", model="gpt-5", outcome="error") == 1


def test_names_that_were_not_declared_are_other_and_make_no_new_series():
    registry, metrics = agent()
    before = len(generate_latest(registry).splitlines())
    with metrics.run("user-4711") as run:
        with metrics.llm_call("a-new-model") as call:
            call.used(input=10)
        with metrics.tool_call("run-0f3a") as tool:
            tool.layer = "somewhere"
            tool.outcome = "puzzled"
        metrics.retried(tool="run-0f3a")
        metrics.limit_exceeded(limit="mood")
        run.outcome = "failure"
    assert value(registry, "agent_runs_total", task="other", outcome="failure") == 1
    assert value(registry, "agent_llm_calls_total", model="other", outcome="ok") == 1
    assert value(registry, "agent_tokens_total", model="other", direction="input") == 10
    assert value(registry, "agent_tool_calls_total", tool="other", layer="external_service", outcome="error") == 1
    assert value(registry, "agent_tool_retries_total", tool="other") == 1
    assert value(registry, "agent_run_limit_exceeded_total", limit="other") == 1
    assert len(generate_latest(registry).splitlines()) == before


def test_a_gauge_with_too_many_values_gathers_the_rest():
    registry, metrics = agent()
    for number in range(50):
        metrics.credential(2e9, credential=f"token-{number}")
    names = [line for line in generate_latest(registry).decode().splitlines() if line.startswith("agent_credential")]
    assert len(names) == 11
    assert value(registry, "agent_credential_expiry_timestamp_seconds", credential="other") == 2e9


def test_the_rest_of_the_contract_in_one_line_each():
    registry, metrics = agent(datasets=["orders"], actions=["write"], info={"version": "1.2", "model": "gpt-5"})
    assert value(registry, "agent_actions_total", kind="write") == 0
    assert value(registry, "agent_audit_records_total", result="failed") == 0
    assert value(registry, "agent_data_contract_violations_total", dataset="orders", kind="null") == 0
    metrics.retried(tool="crm")
    metrics.limit_exceeded(limit="steps")
    metrics.context_used(0.97)
    metrics.context_truncated()
    metrics.pending(7)
    metrics.circuit(2, tool="crm")
    metrics.credential(1.9e9, credential="crm-oauth")
    metrics.data_refreshed(1.8e9, dataset="orders")
    metrics.data_read("orders", 100, null=2)
    metrics.handoff_queue("review", 3, oldest=1.75e9)
    metrics.evaluated("nightly", 0.9, {1: 0.8, 8: 0.4})
    metrics.acted("write", audited=False)
    metrics.checkpoint_saved()
    metrics.count("agent_feedback", rating="up")
    assert value(registry, "agent_info", version="1.2", model="gpt-5") == 1
    assert value(registry, "agent_tool_retries_total", tool="crm") == 1
    assert value(registry, "agent_run_limit_exceeded_total", limit="steps") == 1
    assert value(registry, "agent_context_used_ratio_bucket", le="0.95") == 0
    assert value(registry, "agent_context_truncations_total") == 1
    assert value(registry, "agent_pending_runs") == 7
    assert value(registry, "agent_circuit_state", tool="crm") == 2
    assert value(registry, "agent_credential_expiry_timestamp_seconds", credential="crm-oauth") == 1.9e9
    assert value(registry, "agent_data_last_refresh_timestamp_seconds", dataset="orders") == 1.8e9
    assert value(registry, "agent_data_records_total", dataset="orders") == 100
    assert value(registry, "agent_data_contract_violations_total", dataset="orders", kind="null") == 2
    assert value(registry, "agent_handoff_queue_depth", queue="review") == 3
    assert value(registry, "agent_handoff_oldest_timestamp_seconds", queue="review") == 1.75e9
    assert value(registry, "agent_eval_score", suite="nightly") == 0.9
    assert value(registry, "agent_eval_pass_k", suite="nightly", k="8") == 0.4
    assert value(registry, "agent_actions_total", kind="write") == 1
    assert value(registry, "agent_audit_records_total", result="failed") == 1
    assert value(registry, "agent_checkpoint_last_success_timestamp_seconds") > 1.7e9
    assert value(registry, "agent_feedback_total", rating="up") == 1


async def test_runs_side_by_side_in_one_loop_keep_their_calls_apart():
    registry, metrics = agent()

    async def one(calls):
        with metrics.run("refund"):
            for _ in range(calls):
                with metrics.llm_call("gpt-5"):
                    await asyncio.sleep(0)

    await asyncio.gather(*(one(calls) for calls in (1, 1, 1, 16)))
    assert value(registry, "agent_run_llm_calls_bucket", le="1.0") == 3
    assert value(registry, "agent_run_llm_calls_bucket", le="16.0") == 4
    assert value(registry, "agent_runs_in_progress") == 0


async def test_tools_of_one_run_called_at_the_same_time_all_count():
    registry, metrics = agent()

    async def call():
        with metrics.tool_call("crm"):
            await asyncio.sleep(0)

    with metrics.run("refund"):
        await asyncio.gather(*(call() for _ in range(8)))
    assert value(registry, "agent_run_tool_calls_sum") == 8


def test_threads_lose_nothing():
    registry, metrics = agent()
    begin = threading.Barrier(8)

    def work(_):
        begin.wait()
        for _ in range(200):
            with metrics.run("refund"), metrics.llm_call("gpt-5"):
                pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert value(registry, "agent_runs_total", task="refund", outcome="success") == 1600
    assert value(registry, "agent_run_llm_calls_sum") == 1600
    assert value(registry, "agent_runs_in_progress") == 0


def test_at_the_bounds_of_the_contract_an_agent_stays_small():
    registry = CollectorRegistry()
    AgentMetrics(
        [f"task-{n}" for n in range(20)],
        [f"m-{n}" for n in range(4)],
        [f"tool-{n}" for n in range(30)],
        registry=registry,
    )
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    core = [line for line in lines if "_created" not in line]
    # 21 tasks x 6, 31 tools x (8 + 1), 5 models x (4 + 2 + 1), 21 + 15 + 3 + 3 histogram lines and a few single ones.
    assert len(core) < 520
