"""What to add so that a metric is there: the line for the agent's code, the key of its file, the profile of its target.

Pure. Also: which profile a target should have, by the labels its series still carry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from bot.metrics.contract import family_of
from bot.metrics.profiles import PROFILES, profiles_seen

REGISTRY_KEYS = {
    "slo_target": "slo: {target: 0.95}",
    "budget_usd_day": "budget_usd_day: 40",
    "cost_per_run_usd": "cost_per_run_usd: 0.05",
    "latency_target_seconds": "latency_target: 30s",
    "max_gap_seconds": "max_gap: 1h",
    "max_llm_calls": "limits: {llm_calls: 40}",
    "max_tool_calls": "limits: {tool_calls: 40}",
    "runs_per_day": "runs_per_day: 500",
    "pass8_target": "pass8_target: 0.6",
    "next_review_timestamp_seconds": "review_on: 2027-01-15",
    "data_max_age_seconds": "datasets: {orders: {max_age: 1h}}",
    "eval_floor": "evals: {nightly: {floor: 0.8}}",
    "eval_max_age_seconds": "evals: {nightly: {max_age: 36h}}",
}


def what_to_add(metric: str, label: str = "") -> str:
    """Nothing when we do not know the metric either."""
    if label:
        named = _profile_of(metric)
        return f"on its target: profile: {named}" if named else "on its target: labels: {agent: NAME}"
    if metric.startswith("agent_registry_"):
        key = REGISTRY_KEYS.get(metric.removeprefix("agent_registry_"))
        return f"in its file of agents/: {key}" if key else ""
    family = family_of(metric)
    if family is not None:
        return f"in the agent: {family.line}"
    named = _profile_of(metric)
    return f"a target of {PROFILES[named].gives}, profile: {named}" if named else ""


def _profile_of(metric: str) -> str | None:
    return next(iter(profiles_seen([metric])), None)


def missing_profiles(seen: Mapping[str, Set[str]], has: Sequence[str]) -> dict[str, list[str]]:
    """Profile → what it would rename or drop of the labels that the target's series still carry. The name of a library
    on every series is noise, no reason to speak."""
    labels = {label for names in seen.values() for label in names if not label.startswith("otel_scope_")}
    found: dict[str, list[str]] = {}
    for name in profiles_seen(seen):
        profile = PROFILES[name]
        done = [f"{source} becomes {new}" for source, new in profile.label_map.items() if source in labels]
        dropped = [label for label in profile.drop_labels if label in labels]
        done += [f"{', '.join(dropped)} dropped"] if dropped else []
        if name not in has and done:
            found[name] = done
    return found
