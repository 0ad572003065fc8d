from typing import get_args

import pytest
from pydantic import ValidationError

from bot.metrics.profiles import PROFILES, profiled, profiles_seen
from bot.metrics.spec import Group, discovered_specs, static_specs
from bot.settings import ProfileName, Scrape, Target

URL = "http://litellm:4000/metrics"


def target(**keys):
    return profiled(Target(url=URL, **keys))


def test_every_name_the_settings_take_is_a_profile_and_no_other():
    assert set(PROFILES) == set(get_args(ProfileName))


def test_without_a_profile_a_target_stays_what_it_is():
    assert target() == Target(url=URL)


def test_the_litellm_profile_calls_the_keys_alias_the_agent_and_adds_up_what_clients_and_keys_told_apart():
    found = target(profile="litellm")
    assert found.label_map["api_key_alias"] == "agent"
    assert {"hashed_api_key", "client_ip", "user_agent", "end_user", "user"} <= set(found.drop_labels)
    assert found.on_duplicate == "sum"


def test_the_strands_profile_drops_the_ids_of_each_cycle_and_each_call():
    dropped = target(profile="strands").drop_labels
    assert {"event_loop_cycle_id", "event_loop_parent_cycle_id", "tool_use_id"} <= set(dropped)


@pytest.mark.parametrize("profile", ["otel", "openllmetry", "openlit", "adk", "pydantic-ai", "strands", "envoy"])
def test_what_speaks_opentelemetry_has_its_agents_and_tools_under_our_names(profile):
    found = target(profile=profile)
    assert found.label_map["gen_ai_agent_name"] == "agent"
    assert found.label_map["gen_ai_tool_name"] == "tool"
    assert "otel_scope_version" in found.drop_labels


def test_a_key_of_the_target_wins_over_the_profiles():
    found = target(profile="litellm", label_map={"team_alias": "agent"}, drop_labels=["user"], on_duplicate="fail")
    assert found.label_map == {"team_alias": "agent"}
    assert found.drop_labels == ("user",)
    assert found.on_duplicate == "fail"


def test_an_empty_key_switches_off_what_the_profile_brings():
    found = target(profile="litellm", label_map={}, drop_labels=[])
    assert (dict(found.label_map), found.drop_labels) == ({}, ())


def test_of_several_profiles_the_first_says_what_a_label_becomes_and_all_drop():
    found = target(profile=["kong", "litellm"])
    assert found.label_map == {"api_key_alias": "agent", "mcp_tool_name": "tool", "consumer": "agent"}
    assert "client_ip" in found.drop_labels


def test_an_unknown_profile_and_a_reserved_label_are_refused():
    with pytest.raises(ValidationError, match="litellm"):
        Target(url=URL, profile="litelm")
    for name in ("__name__", "__address__", "", "1a", "a-b"):
        with pytest.raises(ValidationError):
            Target(url=URL, label_map={"alias": name})


def test_a_scraped_target_gets_its_profile_from_the_settings():
    (spec,), problems = static_specs(Scrape(targets=(Target(url=URL, profile="litellm"),)))
    assert problems == []
    assert spec.naming.label_map["api_key_alias"] == "agent"
    assert spec.naming.on_duplicate == "sum"


def test_a_discovered_target_gets_its_profile_from_a_label():
    groups = [Group("a.yaml", ("litellm:4000",), {"__profile__": "litellm, otel", "env": "prod"})]
    (spec,), problems = discovered_specs(Scrape(), groups)
    assert problems == []
    assert spec.naming.label_map["gen_ai_agent_name"] == "agent"
    assert "__profile__" not in spec.naming.labels


def test_an_unknown_profile_of_a_discovered_target_is_named():
    specs, problems = discovered_specs(Scrape(), [Group("a.yaml", ("h:1",), {"__profile__": "litelm"})])
    assert specs == []
    assert "a.yaml: target 'h:1': __profile__ names 'litelm'; known are agent, otel" in problems[0]


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        (["agent_runs_total", "agent_runs_created", "process_cpu_seconds_total"], ["agent"]),
        (["gen_ai_client_operation_duration_seconds_bucket"], ["otel"]),
        (
            ["gen_ai_client_token_usage_token_sum", "gen_ai_client_operation_duration_seconds_sum"],
            ["otel", "openllmetry"],
        ),
        (["gen_ai_usage_cost_USD_sum"], ["openlit"]),
        (["adk_experimental_invoke_agent_input_tokens_sum"], ["adk"]),
        (["operation_cost_sum"], ["pydantic-ai"]),
        (["strands_event_loop_cycle_count_Count_total"], ["strands"]),
        (["litellm_spend_metric_total"], ["litellm"]),
        (["lg_api_num_pending_runs"], ["langgraph"]),
        (["vllm:num_requests_waiting"], ["vllm"]),
        (["gen_ai_server_request_duration_seconds_count"], ["envoy"]),
        (["kong_ai_llm_requests_total"], ["kong"]),
        (["python_info", "up", "agent_info", "agentpager_pages_total"], []),
    ],
)
def test_a_stack_is_known_by_its_names(names, seen):
    assert profiles_seen(names) == seen
