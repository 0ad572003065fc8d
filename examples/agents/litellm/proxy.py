"""The page of a LiteLLM proxy before two agents, without LiteLLM: its names, types and labels, read by definitions.py.

Each agent has a key of its own, whose alias is the agent's name. With `profile: litellm` it becomes the label `agent`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

sys.path.insert(0, str(Path(__file__).parents[1]))
from switch import Switch, serve

AGENTS = ("refund-agent", "support-agent")
LABELS = {
    "model": "gpt-5",
    "litellm_model_name": "gpt-5",
    "requested_model": "gpt-5",
    "model_group": "gpt-5",
    "model_id": "9b2f61",
    "api_base": "https://api.openai.com",
    "api_provider": "openai",
    "team": "t-1",
    "team_alias": "payments",
    "route": "/chat/completions",
    "user_agent": "python-httpx/0.28",
    "stream": "False",
}

switch = Switch(("provider", "auth", "rate_limit", "spend", "unpriced", "guardrail", "budget"))
registry = CollectorRegistry()
KINDS = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
DEFINITIONS = json.loads((Path(__file__).parent / "definitions.json").read_text())["metrics"]
METRICS = {
    name: KINDS[one["type"]](name, one["help"], one["labels"], registry=registry) for name, one in DEFINITIONS.items()
}
# The exception that LiteLLM names, and the HTTP status that comes with it.
FAILURES = {
    "provider": ("Openai.InternalServerError", "503"),
    "auth": ("Openai.AuthenticationError", "401"),
    "rate_limit": ("Openai.RateLimitError", "429"),
}


def child(name: str, agent: str = "", **more: str) -> Any:
    """The series as the proxy would write it: what it does not know is None, in letters."""
    known = {**LABELS, "api_key_alias": agent, "hashed_api_key": f"hash-of-{agent}", "client_ip": _ip(), **more}
    wanted = DEFINITIONS[name]["labels"]
    return METRICS[name].labels(**{label: known.get(label, "None") for label in wanted}) if wanted else METRICS[name]


def _ip() -> str:
    """A new client every now and then. At a real proxy they grow without end, and the profile drops the label."""
    _ip.requests += 1
    return f"10.0.0.{_ip.requests // 100 % 20}"


_ip.requests = 0


def work() -> None:
    """One request of each agent."""
    failure = FAILURES.get(switch.how)
    for agent in AGENTS:
        child("litellm_deployment_total_requests", agent).inc()
        child("litellm_guardrail_requests_total", guardrail_name="pii", status="success", hook_type="pre_call").inc()
        errors = child(
            "litellm_guardrail_errors_total", guardrail_name="pii", error_type="Timeout", hook_type="pre_call"
        )
        errors.inc(switch.how == "guardrail")
        if failure:
            known = {"exception_class": failure[0], "exception_status": failure[1], "status_code": failure[1]}
            child("litellm_proxy_total_requests_metric", agent, **known).inc()
            child("litellm_proxy_failed_requests_metric", agent, **known).inc()
            child("litellm_deployment_failure_responses", agent, **known).inc()
            continue
        child("litellm_proxy_total_requests_metric", agent, status_code="200").inc()
        child("litellm_deployment_success_responses", agent).inc()
        child("litellm_spend_metric", agent).inc(5.0 if switch.how == "spend" else 0.004)
        child("litellm_input_tokens_metric", agent).inc(900)
        child("litellm_output_tokens_metric", agent).inc(120)
        child("litellm_total_tokens_metric", agent).inc(1020)
        child("litellm_request_total_latency_metric", agent).observe(2.5)
        child("litellm_mcp_tool_calls_total", agent, mcp_tool_name="crm", mcp_server_name="tools").inc()
        child("litellm_zero_cost_requests_total", reason="missing_pricing_key").inc(switch.how == "unpriced")
    child("litellm_deployment_state").set(2 if switch.how == "provider" else 0)
    child("litellm_team_max_budget_metric").set(1000)
    child("litellm_remaining_team_budget_metric").set(40 if switch.how == "budget" else 700)
    child("litellm_team_budget_remaining_hours_metric").set(300)


if __name__ == "__main__":
    serve(switch, lambda: (generate_latest(registry), CONTENT_TYPE_LATEST), work, 9103)
