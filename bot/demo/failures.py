"""The ways in which the demo's agents and their gateway can be made to fail. What each changes is the simulations'."""

from __future__ import annotations

from enum import StrEnum


class Failure(StrEnum):
    PROCESS_KILLED = "process_killed"
    INSTRUMENTATION_LOST = "instrumentation_lost"
    REFUSES_EVERYTHING = "refuses_everything"
    RUN_STUCK = "run_stuck"
    CHECKPOINTS_LOST = "checkpoints_lost"
    RUNS_FAIL = "runs_fail"
    RUNS_OFTEN_FAIL = "runs_often_fail"
    RUNS_LEAK = "runs_leak"
    FLAKY_TASKS = "flaky_tasks"
    QUALITY_DRIFT = "quality_drift"
    EVALS_STOPPED = "evals_stopped"
    SLOW_RUNS = "slow_runs"
    WORKERS_LOST = "workers_lost"
    RUNAWAY_LOOP = "runaway_loop"
    MORE_CALLS = "more_calls"
    REPEATED_CALLS = "repeated_calls"
    CONTEXT_OVERRUN = "context_overrun"
    COST_BURN = "cost_burn"
    MORE_TRAFFIC = "more_traffic"
    LONG_PROMPTS = "long_prompts"
    TOOL_DOWN = "tool_down"
    TOOL_UNSTEADY = "tool_unsteady"
    CREDENTIAL_EXPIRED = "credential_expired"
    CREDENTIAL_EXPIRING = "credential_expiring"
    RATE_LIMITED = "rate_limited"
    SCHEMA_CHANGED = "schema_changed"
    PERMISSION_DENIED = "permission_denied"
    DATA_STALE = "data_stale"
    DATA_BROKEN = "data_broken"
    REVIEWERS_GONE = "reviewers_gone"
    HANDOFF_COLLAPSED = "handoff_collapsed"
    AUDIT_GAP = "audit_gap"
    TEAM_BUDGET_SPENT = "team_budget_spent"
    PROVIDER_OUT = "provider_out"
    GUARDRAIL_ERRORS = "guardrail_errors"
    UNPRICED_MODEL = "unpriced_model"


# As the panel's menu has them: heading → failure → title.
OF_AGENTS = {
    "Availability": {
        Failure.PROCESS_KILLED: "Process killed",
        Failure.INSTRUMENTATION_LOST: "Metrics lost with a release",
        Failure.REFUSES_EVERYTHING: "Refuses everything",
        Failure.RUN_STUCK: "A run hangs",
        Failure.CHECKPOINTS_LOST: "Checkpoints fail",
    },
    "Success and quality": {
        Failure.RUNS_FAIL: "Nearly all runs fail",
        Failure.RUNS_OFTEN_FAIL: "Half of the runs fail",
        Failure.RUNS_LEAK: "Every sixth run fails",
        Failure.FLAKY_TASKS: "Some tasks flicker",
        Failure.QUALITY_DRIFT: "Answers get worse",
        Failure.EVALS_STOPPED: "Evals stopped",
    },
    "Speed": {
        Failure.SLOW_RUNS: "Runs are slow",
        Failure.WORKERS_LOST: "Workers lost",
    },
    "Loops": {
        Failure.RUNAWAY_LOOP: "Runaway loop",
        Failure.MORE_CALLS: "More calls per run",
        Failure.REPEATED_CALLS: "Same call again and again",
        Failure.CONTEXT_OVERRUN: "Context overrun",
    },
    "Cost": {
        Failure.COST_BURN: "Cost burn",
        Failure.MORE_TRAFFIC: "Eight times the traffic",
        Failure.LONG_PROMPTS: "Long prompts",
    },
    "Tools": {
        Failure.TOOL_DOWN: "Tool down",
        Failure.TOOL_UNSTEADY: "Tool needs retries",
        Failure.CREDENTIAL_EXPIRED: "Credential expired",
        Failure.CREDENTIAL_EXPIRING: "Credential not renewed",
        Failure.RATE_LIMITED: "Rate limited",
        Failure.SCHEMA_CHANGED: "Tool answers differently",
        Failure.PERMISSION_DENIED: "Permission denied",
    },
    "Data": {
        Failure.DATA_STALE: "Data stale",
        Failure.DATA_BROKEN: "Records broken",
    },
    "People and records": {
        Failure.REVIEWERS_GONE: "Reviewers gone",
        Failure.HANDOFF_COLLAPSED: "Hands nothing over",
        Failure.AUDIT_GAP: "Audit trail has gaps",
    },
}
OF_GATEWAY = {
    "Gateway": {
        Failure.PROVIDER_OUT: "Provider out",
        Failure.TEAM_BUDGET_SPENT: "Team budget runs out",
        Failure.GUARDRAIL_ERRORS: "Guardrail errors",
        Failure.UNPRICED_MODEL: "A model without a price",
        Failure.PROCESS_KILLED: "Process killed",
    },
}
