"""OpenSLO documents: what is read of them, and what is refused at which line."""

from __future__ import annotations

from datetime import timedelta

import pytest
from config_files import sources_of

from bot.config import check, load

CONFIG = {
    "agentpager.yaml": "{}\n",
    "agents/all.yaml": "agents:\n  refund-agent: {owner: ana}\n",
    "oncall/all.yaml": "people:\n  ana: {name: Ana, slack: U0ANA}\nfallback: 'person:ana'\n",
}
SLO = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: grounded
  displayName: grounded answers
spec:
  service: refund-agent
  budgetingMethod: Occurrences
  indicator:
    metadata: {name: checks}
    spec:
      ratioMetric:
        counter: true
        good:
          metricSource: {type: Prometheus, spec: {query: 'sum(checks_total{result="ok"})'}}
        total:
          metricSource: {type: Prometheus, metricSourceRef: ours, spec: {query: checks_total}}
  timeWindow:
    - duration: 30d
      isRolling: true
  objectives:
    - target: 0.99
"""
SLI = """\
apiVersion: openslo/v1
kind: SLI
metadata: {name: checks}
spec:
  ratioMetric:
    counter: true
    bad: {metricSource: {type: Prometheus, spec: {query: failed_total}}}
    total: {metricSource: {type: Prometheus, spec: {query: checks_total}}}
"""
INLINE = SLO[SLO.index("  indicator:\n") : SLO.index("  timeWindow:")]


def read(text: str):
    return load(sources_of(CONFIG | {"slos/a.yaml": text}))


def findings(text: str) -> list[str]:
    found = check(sources_of(CONFIG | {"slos/a.yaml": text}))
    return [f"{one.line}:{one.column} {one.severity} {one.message}" for one in found if one.code != "no-runbook"]


def test_a_ratio_of_two_counters_becomes_an_objective_of_the_agent():
    (found,) = read(SLO).objectives
    assert (found.agent, found.name, found.title) == ("refund-agent", "grounded", "grounded answers")
    assert (found.target, found.window, found.severity) == (0.99, timedelta(days=30), "warning")
    assert found.good == 'sum by (env) (rate(checks_total{result="ok"}[5m]))'
    assert found.total == "sum by (env) (rate(checks_total[5m]))"


def test_its_rules_run_like_any_other():
    (group,) = [group for group in read(SLO).groups if group.file == "slos/a.yaml"]
    assert group.id == "slos/a.yaml;slo refund-agent grounded"
    assert [rule.name for rule in group.rules][2:] == [
        "AgentObjectiveBurnFast",
        "AgentObjectiveBurnMedium",
        "AgentObjectiveBudgetGone",
    ]


def test_an_indicator_may_stand_in_a_document_of_its_own():
    text = SLO.replace(INLINE, "  indicatorRef: checks\n") + "---\n" + SLI
    (found,) = read(text).objectives
    assert (found.bad, found.good) == ("sum by (env) (rate(failed_total[5m]))", "")


def test_several_targets_are_several_objectives():
    found = read(SLO + "    - {displayName: nearly always grounded, targetPercent: 99.9}\n").objectives
    assert [(one.name, one.title, one.target) for one in found] == [
        ("grounded", "grounded answers", 0.99),
        ("grounded-2", "nearly always grounded", 0.999),
    ]


def test_the_agent_may_be_a_label_and_annotations_say_what_openslo_cannot():
    text = SLO.replace(
        "  displayName: grounded answers\n",
        "  labels: {agent: refund-agent, team: payments}\n  annotations: {agentpager/severity: critical}\n",
    ).replace("service: refund-agent", "service: refunds")
    (found,) = read(text).objectives
    assert (found.agent, found.severity) == ("refund-agent", "critical")


def test_documents_about_services_and_sources_are_passed_over():
    service = "---\napiVersion: openslo/v1\nkind: Service\nmetadata: {name: x}\nspec: {}\n"
    assert findings(SLO + service + service.replace("Service", "DataSource")) == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("Occurrences", "Timeslices", "8:20 error the budgeting method Timeslices is not read"),
        ("isRolling: true", "isRolling: false", "19:7 error windows of the calendar are not read"),
        ("30d", "1M", '19:17 error the duration "1M" is not read'),
        ("target: 0.99", "target: 1", "22:15 error a target lies between 0 and 1, without them"),
        ("target: 0.99", "{}", "22:7 error an objective has exactly one of target and targetPercent"),
        ("target: 0.99", "{target: 0.9, op: lte, value: 3}", "22:25 error op is not read"),
        ("target: 0.99", "{target: 0.9, timeSliceTarget: 0.9}", "22:38 error time slices are not read"),
        ("{type: Prometheus, spec:", "{type: Datadog, spec:", "15:32 error Datadog is not asked"),
        ("checks_total}}", "'rate(checks_total[5m])'}}", "17:81 error total: a counter is one selector"),
        ("checks_total}}", "'sum('}}", "17:81 error total: "),
        ("        good:", "        both:", '14:9 error unknown key "both"'),
        ("  service: refund-agent\n", "", '7:3 error SLO "grounded" belongs to no agent'),
        ("openslo/v1", "openslo/v1alpha", '1:13 error "openslo/v1alpha" is not read'),
        ("kind: SLO", "kind: Slo", '2:7 error "Slo" is not read'),
        (INLINE, "  indicatorRef: nowhere\n", '9:17 error there is no SLI "nowhere"'),
        ("ratioMetric", "thresholdMetric", "13:9 error thresholdMetric is not read"),
        ("service: refund-agent", "service: refund-agnt", '7:3 warning there is no agent "refund-agnt"'),
    ],
)  # fmt: skip
def test_what_would_be_kept_differently_is_refused_where_it_stands(before, after, told):
    assert before in SLO
    found = findings(SLO.replace(before, after))
    assert [one for one in found if one.startswith(told)], found


def test_alert_policies_are_told_of_and_do_no_harm():
    text = SLO + "  alertPolicies: [{alertPolicyRef: page}]\n---\napiVersion: openslo/v1\nkind: AlertPolicy\n"
    assert findings(text) == [
        "23:18 warning alert policies are not read",
        "26:7 warning AlertPolicy is not read",
    ]
    assert len(read(text).objectives) == 1


def test_an_objective_has_its_name_once():
    (told,) = findings(SLO + "---\n" + SLO)
    assert told == '30:3 error refund-agent has an objective "grounded" already'


def test_lines_are_counted_over_all_documents_of_a_file():
    (told,) = findings("# one\n---\n" + SLO.replace("Occurrences", "Timeslices"))
    assert told.startswith("10:20 ")


def test_something_else_in_its_place_is_told():
    assert findings("groups: []\n") == ["1:1 error this is no OpenSLO document"]
