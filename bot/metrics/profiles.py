"""What is known of each stack: the labels its series need renamed or dropped, and by which names it is recognised.

The names of the presets are those of `settings.ProfileName`. docs/instrumentation.md lists what each does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from bot.settings import Target

# OpenTelemetry's exporter repeats the library on every series; ids of one run make a new series each.
_SCOPE = ("otel_scope_name", "otel_scope_version", "otel_scope_schema_url")
_OTEL_IDS = ("gen_ai_agent_id", "gen_ai_conversation_id", "gen_ai_response_id", "session_id")
_OTEL_MAP = {"gen_ai_agent_name": "agent", "gen_ai_tool_name": "tool"}
_RUN_IDS = ("run_id", "session_id", "conversation_id", "thread_id", "request_id", "trace_id", "span_id", "user_id")
_SUFFIXES = ("_bucket", "_count", "_sum", "_total", "_created", "_info")


@dataclass(frozen=True)
class Profile:
    """`marks` are metric families; one that ends in `*` stands for all that begin so. `gives` is what it is."""

    gives: str
    marks: tuple[str, ...]
    label_map: Mapping[str, str] = field(default_factory=dict)
    drop_labels: tuple[str, ...] = ()


PROFILES: Mapping[str, Profile] = {
    "agent": Profile(
        "the agent_* contract",
        ("agent_runs", "agent_llm_calls", "agent_tool_calls", "agent_run_duration_seconds"),
        drop_labels=_RUN_IDS,
    ),
    "otel": Profile(
        "OpenTelemetry GenAI",
        (
            "gen_ai_client_operation_duration_seconds",
            "gen_ai_client_token_usage",
            "gen_ai_client_inference_usage_input_tokens",
            "gen_ai_invoke_agent_duration_seconds",
            "gen_ai_execute_tool_duration_seconds",
            "gen_ai_invoke_workflow_duration_seconds",
            "mcp_client_operation_duration_seconds",
        ),
        _OTEL_MAP,
        (*_SCOPE, *_OTEL_IDS),
    ),
    "openllmetry": Profile(
        "OpenLLMetry (Traceloop)",
        ("gen_ai_client_token_usage_token", "gen_ai_client_generation_choices_choice"),
        _OTEL_MAP,
        (*_SCOPE, *_OTEL_IDS),
    ),
    "openlit": Profile(
        "OpenLIT",
        ("gen_ai_usage_cost_USD", "gen_ai_agent_invocations", "gen_ai_agent_operation_duration_seconds"),
        _OTEL_MAP,
        (*_SCOPE, *_OTEL_IDS),
    ),
    "adk": Profile("Google ADK", ("adk_experimental_*",), _OTEL_MAP, (*_SCOPE, *_OTEL_IDS)),
    "pydantic-ai": Profile("Pydantic AI", ("operation_cost",), _OTEL_MAP, (*_SCOPE, *_OTEL_IDS)),
    "strands": Profile(
        "Strands Agents",
        ("strands_*",),
        {**_OTEL_MAP, "tool_name": "tool"},
        (*_SCOPE, *_OTEL_IDS, "event_loop_cycle_id", "event_loop_parent_cycle_id", "tool_use_id"),
    ),
    "litellm": Profile(
        "LiteLLM proxy",
        ("litellm_*",),
        {"api_key_alias": "agent", "mcp_tool_name": "tool"},
        ("hashed_api_key", "user", "user_email", "user_alias", "end_user", "client_ip", "user_agent", "route"),
    ),
    "langgraph": Profile("LangGraph server", ("lg_api_*",), drop_labels=("revision_id",)),
    "vllm": Profile("vLLM", ("vllm:*",)),
    "envoy": Profile(
        "Envoy AI Gateway",
        ("gen_ai_server_request_duration_seconds", "mcp_request_duration", "mcp_method_count"),
        _OTEL_MAP,
        _SCOPE,
    ),
    "kong": Profile("Kong AI Gateway", ("kong_ai_*",), {"consumer": "agent"}),
}


def profiled(target: Target) -> Target:
    """The target with what its profiles bring. A key that the target has itself is left as it is."""
    if not target.profile:
        return target
    chosen = [PROFILES[name] for name in target.profile]
    # Of several profiles the first one named says what a label becomes.
    label_map = {source: name for profile in reversed(chosen) for source, name in profile.label_map.items()}
    brought = {
        "label_map": label_map,
        "drop_labels": tuple(dict.fromkeys(name for profile in chosen for name in profile.drop_labels)),
        "on_duplicate": "sum",
    }
    return target.model_copy(update={k: v for k, v in brought.items() if k not in target.model_fields_set})


def profiles_seen(names: Iterable[str]) -> list[str]:
    """The stacks that these metric names belong to, in the order of PROFILES."""
    found = set(names)
    families = found | {_family(name) for name in found}
    return [name for name, profile in PROFILES.items() if any(_has(families, mark) for mark in profile.marks)]


def _has(families: Collection[str], mark: str) -> bool:
    if mark.endswith("*"):
        return any(name.startswith(mark[:-1]) for name in families)
    return mark in families


def _family(name: str) -> str:
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name
