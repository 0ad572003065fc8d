import pytest

from bot.agents.model import Agent
from bot.agents.series import registry_series
from bot.metrics.advice import REGISTRY_KEYS, missing_profiles, what_to_add
from bot.yamldoc import parse

REQUIRED = {"id": "a", "title": "A", "owner": "team:t"}


@pytest.mark.parametrize("name", REGISTRY_KEYS)
def test_the_key_that_is_advised_makes_the_series(name):
    keys = parse(REGISTRY_KEYS[name], "a.yaml").data
    agent = Agent.model_validate({**REQUIRED, **keys})
    assert f"agent_registry_{name}" in {labels["__name__"] for labels, _ in registry_series({"a": agent})}


@pytest.mark.parametrize(
    ("metric", "label", "advice"),
    [
        ("agent_runs_total", "", 'in the agent: with metrics.run("refund") as run: …'),
        ("agent_run_duration_seconds_bucket", "", 'in the agent: with metrics.run("refund") as run: …'),
        ("litellm_spend_metric_total", "", "a target of LiteLLM proxy, profile: litellm"),
        ("litellm_spend_metric_total", "agent", "on its target: profile: litellm"),
        ("my_own_total", "agent", "on its target: labels: {agent: NAME}"),
        ("agent_registry_slo_target", "", "in its file of agents/: slo: {target: 0.95}"),
        ("my_own_total", "", ""),
    ],
)
def test_what_to_add(metric, label, advice):
    assert what_to_add(metric, label) == advice


def test_a_profile_is_missing_while_its_labels_are_still_there():
    seen = {"litellm_spend_metric_total": {"api_key_alias", "client_ip", "user", "model"}}
    assert missing_profiles(seen, ()) == {"litellm": ["api_key_alias becomes agent", "user, client_ip dropped"]}
    assert missing_profiles(seen, ("litellm",)) == {}
    assert missing_profiles({"litellm_spend_metric_total": {"agent", "model"}}, ()) == {}


def test_the_name_of_a_library_is_no_reason_to_speak():
    assert missing_profiles({"gen_ai_client_token_usage_sum": {"otel_scope_name"}}, ()) == {}
