"""An agent whose file says everything that the registry makes series of."""

from __future__ import annotations

FULL = {
    "owner": "team:payments",
    "escalation": "payments",
    "tier": 1,
    "model": {"provider": "openai", "name": "gpt-5-mini"},
    "slo": {"target": 0.95},
    "latency_target": "1m30s",
    "max_gap": "1h",
    "budget_usd_day": 120,
    "cost_per_run_usd": 0.4,
    "runs_per_day": 2000,
    "limits": {"llm_calls": 30, "tool_calls": 20},
    "datasets": {"crm": {"max_age": "1d"}, "erp": {}},
    "evals": {"golden": {"floor": 0.85, "max_age": "8d"}},
    "pass8_target": 0.5,
    "review_on": "2027-01-01",
}
