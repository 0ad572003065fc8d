"""What doctor says of targets and agents, from series and rules alone."""

from types import SimpleNamespace

from bot.agents.model import Agent
from bot.cli.blind import agent_rows, blind_lines, target_rows
from bot.metrics.spec import static_specs
from bot.rules.load import read
from bot.settings import Scrape

RULES = """
groups:
- name: g
  rules:
  - {record: "agent:runs", expr: 'sum by (agent) (rate(agent_runs_total{agent!=""}[5m]))'}
  - {alert: Failing, expr: "agent:runs > 1", labels: {severity: critical}}
  - alert: Stale
    expr: agent_data_last_refresh_timestamp_seconds > agent_registry_data_max_age_seconds
    labels: {severity: critical}
  - {alert: StaleToo, expr: "agent_data_last_refresh_timestamp_seconds > agent_registry_data_max_age_seconds * 2"}
  - {alert: Guard, expr: "litellm_guardrail_errors_total > 1", labels: {severity: warning}}
"""
KEYS = {"title": "A", "owner": "team:t"}
DATASET = {"datasets": {"orders": {"max_age": "1h"}}}


def config(**agents):
    found = {name: Agent.model_validate({"id": name, **KEYS, **keys}) for name, keys in agents.items()}
    return SimpleNamespace(groups=read(RULES, "a.yaml"), agents=found)


def scraped(*pages, **target):
    specs, _ = static_specs(Scrape.model_validate({"targets": [{"url": "http://h:1/metrics", **target}]}))
    return [(specs[0], [{"__name__": name, **labels} for name, labels in page.items()]) for page in pages]


def up():
    return [{"check": "target http://h:1/metrics", "status": "ok", "message": "scraped in 4 ms", "hint": ""}]


def test_agents_that_see_the_same_share_a_row_and_blind_alerts_have_their_reason_and_way_out():
    page = scraped({"agent_runs_total": {"agent": "a"}}, {"agent_runs_total": {"agent": "b"}})
    (row,) = agent_rows(config(a=DATASET, b=DATASET), page)
    assert (row["check"], row["status"]) == ("alerts of a, b", "warning")
    assert row["message"] == "1 of 4 have their metrics; blind: 3, 1 of them critical"
    assert row["fed"] == ["Failing"]
    assert row["blind"][0] == {
        "alert": "Stale",
        "severity": "critical",
        "missing": ["agent_data_last_refresh_timestamp_seconds"],
        "add": ['in the agent: metrics.data_refreshed(dataset="orders")'],
    }
    assert list(blind_lines(row["blind"])) == [
        "blind: Stale, StaleToo: no agent_data_last_refresh_timestamp_seconds",
        '  → in the agent: metrics.data_refreshed(dataset="orders")',
        "blind: Guard: no litellm_guardrail_errors_total",
        "  → a target of LiteLLM proxy, profile: litellm",
    ]


def test_what_an_agents_own_file_does_not_say_is_missing_too():
    page = scraped({"agent_runs_total": {"agent": "a"}, "agent_data_last_refresh_timestamp_seconds": {"agent": "a"}})
    (row,) = agent_rows(config(a={}), page)
    assert row["blind"][0]["add"] == ["in its file of agents/: datasets: {orders: {max_age: 1h}}"]


def test_another_agents_series_do_not_count_but_a_gateways_do():
    page = scraped({"agent_runs_total": {"agent": "a"}, "litellm_guardrail_errors_total": {"guardrail_name": "pii"}})
    page += scraped({"python_info": {"agent": "b"}}, labels={"agent": "b"})
    rows = list(agent_rows(config(a=DATASET, b=DATASET), page))
    assert [row["fed"] for row in rows] == [["Failing", "Guard"], ["Guard"]]


def test_an_agent_without_a_target_is_named_and_a_retired_one_is_not():
    rows = list(agent_rows(config(a={}, b={"stage": "retired"}), scraped({"up": {}})))
    assert [(row["check"], row["message"]) for row in rows] == [("alerts of a", "no target has this agent's metrics")]
    assert "labels: {agent: a}" in rows[0]["hint"]


def test_only_critical_ones_make_a_warning():
    page = scraped({"agent_runs_total": {"agent": "a"}, "agent_data_last_refresh_timestamp_seconds": {"agent": "a"}})
    (row,) = agent_rows(config(a=DATASET), page)
    assert (row["status"], [one["alert"] for one in row["blind"]]) == ("ok", ["Guard"])


def test_a_target_says_what_it_runs():
    (row,) = target_rows(up(), scraped({"agent_runs_total": {}, "gen_ai_client_token_usage_sum": {}}))
    assert row["message"] == "scraped in 4 ms, 2 series: the agent_* contract, OpenTelemetry GenAI"
    assert (row["status"], row["profiles"]) == ("ok", ["agent", "otel"])


def test_a_target_that_wants_a_profile_is_told_which_and_why():
    page = {"litellm_spend_metric_total": {"api_key_alias": "a", "client_ip": "10.0.0.1"}}
    (row,) = target_rows(up(), scraped(page))
    assert row["status"] == "warning"
    assert row["hint"] == "profile: litellm on this target: api_key_alias becomes agent; client_ip dropped"
    (row,) = target_rows(up(), scraped(page, profile="otel"))
    assert row["hint"].startswith("profile: [otel, litellm] on this target")


def test_a_target_that_is_down_stays_as_it_is():
    down = [{"check": "target", "status": "fail", "message": "Connection refused", "hint": ""}]
    assert list(target_rows(down, scraped({}))) == down


def test_a_page_of_no_stack_is_said_so():
    (row,) = target_rows(up(), scraped({"python_info": {}}))
    assert row["message"].endswith("no stack that is known")
