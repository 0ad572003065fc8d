"""The simulated agents, advanced by hand. Their metrics are what the shipped alerts look at."""

from datetime import UTC, datetime

import pytest
from prometheus_client import generate_latest

from bot.demo.failures import OF_AGENTS, Failure
from bot.demo.instruments import LLM_OUTCOMES, RUN_OUTCOMES, TOOL_OUTCOMES
from bot.demo.roster import ROSTER
from bot.demo.simulation import Simulation, day_shape

START = datetime(2026, 11, 20, 14, tzinfo=UTC).timestamp()  # the busiest hour
AGENTS = {spec.id: spec for spec in ROSTER}
REFUND = AGENTS["refund-agent"]


def advance(simulation, start, seconds):
    for quarter in range(1, int(seconds * 4) + 1):
        simulation.step(start + quarter / 4)
    return start + seconds


def value(simulation, name, **labels):
    return simulation.registry.get_sample_value(name, labels)


def total(simulation, name, **labels):
    """Sum over all series of `name` that carry `labels`."""
    return sum(
        sample.value
        for metric in simulation.registry.collect()
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@pytest.mark.parametrize("spec", ROSTER, ids=lambda spec: spec.id)
def test_every_outcome_is_there_at_zero_before_the_first_run(spec):
    simulation = Simulation(spec, 1, START)

    assert {
        value(simulation, "agent_runs_total", task=task, outcome=outcome)
        for task in spec.tasks
        for outcome in RUN_OUTCOMES
    } == {0}
    assert {
        value(simulation, "agent_llm_calls_total", model=spec.model.name, outcome=outcome) for outcome in LLM_OUTCOMES
    } == {0}
    for tool in spec.tools:
        assert {
            value(simulation, "agent_tool_calls_total", tool=tool.name, layer="external_service", outcome=outcome)
            for outcome in TOOL_OUTCOMES
        } == {0}


@pytest.mark.parametrize("spec", ROSTER, ids=lambda spec: spec.id)
def test_a_healthy_agent_works_at_its_rate_and_mostly_succeeds(spec):
    simulation = Simulation(spec, 1, START)
    advance(simulation, START, 600)

    runs, good = total(simulation, "agent_runs_total"), total(simulation, "agent_runs_total", outcome="success")
    assert runs == pytest.approx(spec.runs_per_minute * 10, rel=0.4)
    assert good / runs > 0.75
    assert total(simulation, "agent_runs_total", outcome="failure") / runs < 0.08
    assert total(simulation, "agent_cost_usd_total") > 0
    assert value(simulation, "agent_circuit_state", tool=spec.tools[-1].name) == 0


def test_the_same_seed_gives_the_same_metrics():
    first, second = Simulation(REFUND, 5, START), Simulation(REFUND, 5, START)
    advance(first, START, 60)
    advance(second, START, 60)

    def lines(simulation):
        return [line for line in generate_latest(simulation.registry).splitlines() if b"_created" not in line]

    assert lines(first) == lines(second)


def test_the_night_is_quieter_than_the_day():
    assert day_shape(datetime(2026, 11, 20, 14, tzinfo=UTC).timestamp()) == pytest.approx(1.0)
    assert day_shape(datetime(2026, 11, 20, 2, tzinfo=UTC).timestamp()) == pytest.approx(0.6)


def test_an_expired_credential_turns_calls_into_auth_errors_within_seconds():
    simulation = Simulation(REFUND, 1, START)
    now = advance(simulation, START, 30)
    simulation.fail(Failure.CREDENTIAL_EXPIRED, now)

    assert value(simulation, "agent_credential_expiry_timestamp_seconds", credential="payments-api") < now
    advance(simulation, now, 15)
    assert total(simulation, "agent_tool_calls_total", tool="payments.refund", outcome="auth") >= 3
    assert total(simulation, "agent_tool_calls_total", tool="orders.lookup", outcome="auth") == 0


def test_a_runaway_loop_calls_the_model_without_ending_runs_until_it_is_stopped():
    simulation = Simulation(AGENTS["research-agent"], 1, START)
    now = advance(simulation, START, 60)
    simulation.fail(Failure.RUNAWAY_LOOP, now)
    ended, calls = total(simulation, "agent_runs_total"), total(simulation, "agent_llm_calls_total")
    now = advance(simulation, now, 60)

    assert total(simulation, "agent_runs_total") == ended
    assert total(simulation, "agent_llm_calls_total") - calls > 60
    assert value(simulation, "agent_oldest_run_start_timestamp_seconds") < now - 50

    simulation.mend(now)
    assert value(simulation, "agent_run_limit_exceeded_total", limit="steps") > 0
    advance(simulation, now, 60)
    assert total(simulation, "agent_runs_total", outcome="success") > 0
    assert (
        value(simulation, "agent_oldest_run_start_timestamp_seconds") == 0
        or value(simulation, "agent_oldest_run_start_timestamp_seconds") >= now
    )


def test_what_waited_during_a_loop_is_worked_off_after_it():
    spec = AGENTS["research-agent"]
    simulation = Simulation(spec, 1, START)
    simulation.fail(Failure.RUNAWAY_LOOP, START)
    now = advance(simulation, START, 300)
    waiting = value(simulation, "agent_pending_runs")
    simulation.mend(now)
    now = advance(simulation, now, 300)

    assert waiting > spec.workers
    assert value(simulation, "agent_pending_runs") < waiting
    assert value(simulation, "agent_oldest_run_start_timestamp_seconds") > now - 120


@pytest.mark.parametrize("failure", [one for groups in OF_AGENTS.values() for one in groups])
def test_every_failure_shows_in_the_metrics_and_is_gone_after_mending(failure):
    """Beside a healthy twin of the same seed, which makes the same draws until then."""
    broken, healthy = Simulation(REFUND, 1, START), Simulation(REFUND, 1, START)
    if failure is not Failure.PROCESS_KILLED:  # of which the fleet closes the port
        broken.fail(failure, START)
    advance(healthy, START, 1200)
    now = advance(broken, START, 1200)

    def page(simulation):
        return [line for line in generate_latest(simulation.exposed).splitlines() if b"_created" not in line]

    assert (page(broken) == page(healthy)) is (failure is Failure.PROCESS_KILLED)
    broken.mend(now)
    advance(broken, now, 300)
    assert broken.failures == set()
    assert b"agent_runs_total" in generate_latest(broken.exposed)


def test_a_cost_burn_multiplies_the_dollars_and_nothing_fails():
    healthy, burning = Simulation(AGENTS["support-agent"], 1, START), Simulation(AGENTS["support-agent"], 1, START)
    burning.fail(Failure.COST_BURN, START)
    advance(healthy, START, 120)
    advance(burning, START, 120)

    assert total(burning, "agent_cost_usd_total") > 10 * total(healthy, "agent_cost_usd_total")
    runs = total(burning, "agent_runs_total")
    assert total(burning, "agent_runs_total", outcome="failure") / runs < 0.1


def test_a_dead_tool_fails_retries_and_opens_its_breaker():
    spec = AGENTS["kyc-agent"]
    simulation = Simulation(spec, 1, START)
    simulation.fail(Failure.TOOL_DOWN, START)
    now = advance(simulation, START, 90)

    broken = spec.tools[-1].name
    assert total(simulation, "agent_tool_calls_total", tool=broken, outcome="ok") == 0
    assert total(simulation, "agent_tool_calls_total", tool=broken) > 5
    assert value(simulation, "agent_tool_retries_total", tool=broken) > 0
    assert value(simulation, "agent_circuit_state", tool=broken) == 2
    simulation.mend(now)
    assert value(simulation, "agent_circuit_state", tool=broken) == 0


def test_stale_data_stays_stale_until_mended():
    spec = AGENTS["billing-agent"]
    simulation = Simulation(spec, 1, START)
    simulation.fail(Failure.DATA_STALE, START)
    now = advance(simulation, START, 200)

    def age():
        return now - value(simulation, "agent_data_last_refresh_timestamp_seconds", dataset=spec.dataset)

    assert age() > 86_400
    simulation.mend(now)
    assert age() == 0


def test_a_clock_that_stands_still_or_jumps_does_no_harm():
    simulation = Simulation(REFUND, 1, START)
    now = advance(simulation, START, 30)
    runs = total(simulation, "agent_runs_total")

    simulation.step(now)
    simulation.step(now - 100)
    assert total(simulation, "agent_runs_total") == runs
    simulation.step(now + 8 * 3600)
    assert total(simulation, "agent_runs_total") - runs < 3 * REFUND.runs_per_minute
    advance(simulation, now + 8 * 3600, 20)  # somebody is at work by then
    assert value(simulation, "agent_oldest_run_start_timestamp_seconds") > now + 7 * 3600
