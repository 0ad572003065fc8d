"""Every failure mode of the catalogue, brought about by an agent that really fails so: the right alert within its time,
the right person, the right runbook with the right likely step, and the end when it is mended. Virtual time.

Whatever else fires beside it must be named as a companion, or the test fails.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fleet_trial import HOUR, MINUTE, Run, case, documented
from fleet_world import NAMES, SLOW, FleetWorld, Pace

from bot.demo.failures import OF_AGENTS, OF_GATEWAY, Failure
from bot.demo.gateway import BATCH_KEY, GATEWAY
from bot.incidents.model import AlertState
from bot.promql.parse import parse

F = Failure
START = datetime(2026, 11, 18, 14, 0, tzinfo=UTC)

# What comes along. Shares of runs look back for hours and days, cost per run and spending too.
RUNS = "AgentSuccessBurnFast AgentSuccessBurnMedium AgentSuccessBudgetGone"
MONEY = "AgentCostBurnSlow AgentBudgetExhaustedSoon AgentCostPerRunHigh AgentDailyBudgetNearlySpent"
LOOPS = "AgentLoopBreakerTripped AgentCallsPerRunHigh AgentCostPerRunHigh"
UNPRICED = "GatewaySpendBlind"
MODELS = f"AgentModelCallsFailing ProviderOutage AgentNoSuccess {RUNS} {MONEY}"

CASES = (
    case("refund-agent", F.CREDENTIAL_EXPIRED, "AgentAuthFailing", "tim", "renew", RUNS, hold=5 * MINUTE),
    case("triage-agent", F.PROCESS_KILLED, "AgentDown", "chloe", "look", hold=15 * MINUTE),
    case("kyc-agent", F.SCHEMA_CHANGED, "AgentToolSchemaChanged", "tim", "compare", RUNS),
    case("support-agent", F.WORKERS_LOST, "AgentBacklogGrowing", "chloe", "restart", "AgentHandoffBacklog"),
    case("research-agent", F.RUNAWAY_LOOP, "AgentRunawayInFlight", "ben", "stop", LOOPS),
    case("billing-agent", F.DATA_STALE, "AgentDataStale", "dora", "job"),
    case("onboarding-agent", F.TOOL_DOWN, "AgentToolFailing", "tim", "owner", f"AgentToolDegraded {RUNS}"),
    case("claims-agent", F.REVIEWERS_GONE, "AgentHandoffBacklog", "ben", "staff"),
    case("sales-agent", F.FLAKY_TASKS, "AgentPass8Low", "chloe", "fixed"),
    case("orders-agent", F.REPEATED_CALLS, "AgentLoopBreakerTripped", "ana", "", RUNS),
    case("contracts-agent", F.RUN_STUCK, "AgentRunStuck", "ben", "find"),
    case("returns-agent", F.INSTRUMENTATION_LOST, "AgentInstrumentationLost", "chloe", "ask"),
    case(GATEWAY, F.UNPRICED_MODEL, "GatewaySpendBlind", "pat", "price", clears=80 * MINUTE, aside=True),
    case(GATEWAY, F.GUARDRAIL_ERRORS, "GuardrailFailing", "sam", "stop", UNPRICED),
    case("refund-agent", F.PERMISSION_DENIED, "AgentPermissionDenied", "sam", "permission"),
    case("triage-agent", F.REFUSES_EVERYTHING, "AgentNoSuccess", "chloe"),
    case("kyc-agent", F.RATE_LIMITED, "AgentRateLimited", "tim", "owner"),
    case("research-agent", F.EVALS_STOPPED, "AgentEvalStale", "ben", "job"),
    case("support-agent", F.CHECKPOINTS_LOST, "AgentCheckpointFailing", "chloe", "store"),
    case("billing-agent", F.AUDIT_GAP, "AgentAuditGap", "ana", "sink", aside=True),
    case("support-agent", F.COST_BURN, "AgentCostBurnFast", "chloe", "rollback", MONEY),
    case("billing-agent", F.DATA_BROKEN, "AgentDataContractBroken", "dora", "policy"),
    case("onboarding-agent", F.RUNS_FAIL, "AgentSuccessBurnFast", "ana", "", RUNS),
    case("claims-agent", F.CONTEXT_OVERRUN, "AgentContextOverrun", "ben", "hold"),
    case("claims-agent", F.MORE_CALLS, "AgentCallsPerRunHigh", "ben", "rollback", MONEY, aside=True),
    case("sales-agent", F.SLOW_RUNS, "AgentLatencyHigh", "chloe", "which"),
    case(GATEWAY, F.TEAM_BUDGET_SPENT, "GatewayBudgetRunway", "pat", "key", UNPRICED),
    case("onboarding-agent", F.TOOL_UNSTEADY, "AgentToolDegraded", "tim", "fallback"),
    case("orders-agent", F.CREDENTIAL_EXPIRING, "AgentCredentialExpiring", "tim", "renew"),
    case(
        GATEWAY, F.PROVIDER_OUT, "ProviderOutage", "pat", "switch", f"{UNPRICED} {MODELS}", hold=5 * MINUTE,
        with_=("kyc-agent", "support-agent", "sales-agent"),
    ),
    case(GATEWAY, F.PROCESS_KILLED, "GatewayDown", "pat", "why", f"AgentSpendBlind {MODELS}", with_=NAMES),
)  # fmt: skip
SLOW_CASES = (
    case("contracts-agent", F.RUNS_FAIL, "AgentLowTrafficFailing", "ben", "read", RUNS, clears=2 * HOUR),
    case("claims-agent", F.HANDOFF_COLLAPSED, "AgentHandoffCollapsed", "ben", "changed", clears=2 * HOUR),
    case("sales-agent", F.MORE_TRAFFIC, "AgentBudgetExhaustedSoon", "chloe", "", MONEY, hold=4 * HOUR, clears=6 * HOUR),
    case("orders-agent", F.LONG_PROMPTS, "AgentCostPerRunHigh", "ana", "", clears=4 * HOUR),
    case("onboarding-agent", F.RUNS_OFTEN_FAIL, "AgentSuccessBurnMedium", "ana", "which", RUNS, clears=4 * HOUR),
    case("returns-agent", F.RUNS_LEAK, "AgentSuccessBudgetGone", "chloe", "classes", clears=6 * HOUR),
    case("contracts-agent", F.QUALITY_DRIFT, "AgentQualityDrift", "ben", "judge", RUNS, clears=4 * HOUR),
)


def test_every_failure_has_a_case():
    possible = {failure for groups in (OF_AGENTS, OF_GATEWAY) for group in groups.values() for failure in group}
    assert possible == {one.failure for one in (*CASES, *SLOW_CASES)}


async def test_each_failure_pages_the_right_person_with_the_right_runbook_and_ends(tmp_path):
    world = FleetWorld(tmp_path, START)
    assert world.findings == []
    await world.start()
    run = Run(world, CASES, documented())
    await run.quiet(20 * MINUTE)
    await run.play(5 * HOUR)
    await run.quiet(20 * MINUTE)
    left = await world.unresolved()
    await world.close()
    assert world.failing_rules == set()
    assert run.good, run.report()
    assert "AgentModelCallsFailing" in {change.alert.name for change in world.changes}, (
        "beside the outage of a provider"
    )
    urgent = [one for one in left if one.severity.value != "warning"]  # warnings look back for hours
    assert {one.agent for one in urgent} <= {BATCH_KEY}
    assert all(AlertState.NO_DATA in {alert.state for alert in one.alerts} for one in urgent), (
        "the gateway came back without its series, so nothing says that it is over"
    )


async def test_what_takes_hours_to_see_is_seen_as_well(tmp_path):
    start = START.replace(hour=15)
    world = FleetWorld(tmp_path, start, SLOW, tuple(dict.fromkeys(one.place for one in SLOW_CASES)))
    await world.start()
    run = Run(world, SLOW_CASES, documented())
    run.begin(SLOW_CASES[0])  # it never worked: one success in six hours would make it another case
    await run.quiet(HOUR)
    await run.play(7.8 * HOUR)
    await run.quiet((start + timedelta(hours=9, minutes=20)).timestamp() - world.now)
    await world.close()
    assert run.good, run.report()
    began = {change.alert.name: change.at for change in reversed(world.changes) if change.began}
    for money in ("AgentCostBurnSlow", "AgentDailyBudgetNearlySpent"):
        assert began[money] - (start.timestamp() + HOUR) <= documented()[money], (
            "beside the forecast, in the same incident"
        )
    assert "AgentDailyBudgetNearlySpent" not in {alert.name for alert in world.on.values()}, "a new day has begun"


async def test_who_is_not_in_the_registry_or_not_watched_is_noticed(tmp_path):
    """A process that nobody has written down, an agent without a target, one whose review is overdue."""
    world = FleetWorld(tmp_path, START, names=("contracts-agent",))
    unwatched = world.config.agents["claims-agent"].model_copy(update={"review_on": START.date() - timedelta(days=1)})
    world.registered = {"claims-agent": unwatched}
    await world.start()
    await world.advance(20 * MINUTE)
    paged = {(one.alert.name, one.person) for one in world.sent}
    (watchdog,) = world.engine.instant(parse('ALERTS{alertname="Watchdog", alertstate="firing"}'), world.now).samples
    await world.close()
    assert watchdog[1] == 1, "for whoever watches from outside"
    assert {("AgentUnowned", "olga"), ("AgentNotScraped", "ben")} <= paged
    assert paged <= {("AgentUnowned", "olga"), ("AgentNotScraped", "ben"), ("AgentReviewOverdue", "ben")}
    assert "AgentReviewOverdue" in {change.alert.name for change in world.changes}


async def test_an_hour_of_a_healthy_fleet_wakes_nobody(tmp_path):
    """An agent with three runs an hour, bursts, restarts by deployments, and one whose process comes and goes."""
    world = FleetWorld(tmp_path, START, Pace(round=30, record=30))
    await world.start()
    for minute in range(60):
        await world.advance(MINUTE)
        if minute % 20 == 10:
            world.fail("triage-agent", F.MORE_TRAFFIC)
        elif minute % 20 == 13:
            world.processes.running["triage-agent"].failures.clear()
        elif minute % 6 == 3:
            world.kill("orders-agent")  # flaps: thirty seconds later it is back
            await world.advance(30)
            world.born("orders-agent")
            await world.advance(30)
        elif minute % 15 == 5:
            world.born(NAMES[minute // 15])  # a deployment: the next process counts from zero
    unwanted = [str(change) for change in world.changes]
    await world.close()
    assert world.failing_rules == set()
    assert unwanted == []
    assert world.sent == []
