"""What an import says: each part of a file in its place of the report, no secret in any file, nothing breaks it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_files import IMPORTED_AT, imported_config, sources_of

from bot import config
from bot.errors import UsageError
from bot.importing.run import Wanted, imported

EXAMPLES = Path(__file__).parents[2] / "importing"
KINDS = [
    ("alertmanager", "alertmanager.yml"),
    ("alertmanager", "old-style.yml"),
    ("prometheus", "prometheus.yml"),
    ("pagerduty", "pagerduty.json"),
    ("grafana-oncall", "grafana-oncall.json"),
]
# What is the reader's to do: a Slack id that no file has, files and calendars that are elsewhere.
TO_DO = {"missing-key", "no-match", "feed-not-read"}


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_what_is_written_passes_the_check_but_for_what_the_report_asks_for(kind, name):
    files, report = imported_config(kind, name)
    variables = dict.fromkeys(report.variables, "https://x.example.com")
    findings = config.check(sources_of({"agentpager.yaml": "{}", **files}, variables))
    wrong = [str(finding) for finding in findings if finding.code not in TO_DO]
    assert wrong == []
    missing = [finding.message for finding in findings if finding.code == "missing-key"]
    asked = [line.split(" has no slack")[0] for line in report.to_do if " has no slack" in line]
    assert sorted(missing) == sorted(f'missing key "slack" in {person}' for person in asked)


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_no_secret_is_copied_and_each_has_a_variable_that_the_report_names(kind, name):
    files, report = imported_config(kind, name)
    everything = "\n".join([*files.values(), report.text()])
    assert "canary" not in everything
    named = {word for text in files.values() for word in _variables(text)}
    assert named <= set(report.variables)


def _variables(text: str) -> Iterator[str]:
    for part in text.split("${")[1:]:
        yield part.split("}")[0]


@pytest.mark.parametrize(
    ("kind", "name", "line", "outcome", "what"),
    [
        ("alertmanager", "alertmanager.yml", "templates:", "left", "key templates"),
        ("alertmanager", "alertmanager.yml", "future_key:", "left", "key receivers.pagerduty_configs.future_key"),
        ("alertmanager", "alertmanager.yml", "topic_arn:", "left", "sns of receiver db-pager"),
        ("alertmanager", "alertmanager.yml", "to: everybody@", "left", "email of receiver everybody-mails"),
        ("alertmanager", "alertmanager.yml", "repeat_interval:", "changed", "repeat_interval"),
        ("alertmanager", "alertmanager.yml", "name: cluster-down", "taken", "inhibit rule 2"),
        ("alertmanager", "alertmanager.yml", "name: office", "taken", "time interval office"),
        ("alertmanager", "alertmanager.yml", "name: shop-chat", "taken", "receiver shop-chat"),
        ("prometheus", "prometheus.yml", "remote_write:", "left", "key remote_write"),
        ("prometheus", "prometheus.yml", "kubernetes_sd_configs:", "left", "kubernetes_sd_configs of scrape job pods"),
        ("prometheus", "prometheus.yml", "relabel_configs:", "left", "key scrape_configs.relabel_configs"),
        ("prometheus", "prometheus.yml", "job_name: agents", "taken", "scrape job agents"),
        ("pagerduty", "pagerduty.json", '"new_in_2027":', "left", "key services.new_in_2027"),
        ("pagerduty", "pagerduty.json", '"id": "PL1"', "left", "layer Before of schedule Payments primary"),
        ("pagerduty", "pagerduty.json", '"id": "PL3"', "taken", "layer Office hours of schedule Payments primary"),
        ("pagerduty", "pagerduty.json", '"id": "O1"', "taken", "override of schedule Payments primary"),
        ("pagerduty", "pagerduty.json", '"id": "R1"', "taken", "step 1 of Payments"),
        ("grafana-oncall", "grafana-oncall.json", '"id": "O4"', "left", "shift Summer of schedule Payments"),
        ("grafana-oncall", "grafana-oncall.json", '"id": "O7"', "left", "shift Nobody names it"),
        ("grafana-oncall", "grafana-oncall.json", '"id": "SW1"', "changed", "swap of schedule Days"),
        (
            "grafana-oncall", "grafana-oncall.json", '"id": "E8"', "left",
            "step 8 of chain Payments chain (notify_user_group)",
        ),
    ],
)  # fmt: skip
def test_the_report_points_at_the_line(kind, name, line, outcome, what):
    _, report = imported_config(kind, name)
    lines = (EXAMPLES / name).read_text().split("\n")
    number = next(count for count, text in enumerate(lines, 1) if line in text)
    found = [(entry.line, entry.outcome) for entry in report.entries if entry.what == what]
    assert any(place in {number, number - 1} and how == outcome for place, how in found), found


def test_a_key_that_nobody_has_heard_of_is_told_wherever_it_stands():
    receivers = "receivers: [{name: a, oddest: [1], slack_configs: [{channel: a}]}]\n"
    text = f"odd: 1\nroute: {{receiver: a, odder: {{x: 1}}}}\n{receivers}"
    made = imported([("am.yml", text)], Wanted("alertmanager"), IMPORTED_AT)
    told = [entry.what for entry in made.report.of("left")]
    assert told == ["key odd", "key route.odder", "key receivers.oddest"]


def test_nothing_but_a_file_that_cannot_be_parsed_stops_it():
    with pytest.raises(UsageError, match=r"am\.yml:\d+:\d+ yaml-syntax"):
        imported([("am.yml", "a: [")], Wanted("alertmanager"), IMPORTED_AT)
    for kind in ("alertmanager", "prometheus", "pagerduty", "grafana-oncall"):
        for text in ("", "[]", "x", "{}", "a: 1\na: 2"):
            made = imported([("f", text)], Wanted(kind), IMPORTED_AT)
            assert any("fallback" in one for one in made.files.values())


ODD: list[Any] = [None, "x", [], {}, ["a", ["b"]], {"a": {"b": 1}}, -5, "{{", "2026-13-45", "${X}", True, 99999999999]


@pytest.mark.parametrize(("kind", "name"), [each for each in KINDS if each[1] != "old-style.yml"])
def test_a_value_of_another_kind_anywhere_breaks_nothing(kind, name):
    """What is made of it may have to be mended, but it is made, and every mistake in it is found by the check."""
    data = yaml.safe_load((EXAMPLES / name).read_text())
    drawn = random.Random(11)
    for path in drawn.sample(list(_paths(data)), 25):
        text = json.dumps(_put(data, path, drawn.choice(ODD)), default=str)
        made = imported([(name, text)], Wanted(kind), IMPORTED_AT)
        config.check(sources_of({"agentpager.yaml": "{}", **made.files}))


def _paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from _paths(inner, (*path, key))


def _put(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = data.copy()
    changed[path[0]] = _put(data[path[0]], path[1:], value)
    return changed


def test_mute_windows_are_for_the_alerts_of_their_route_alone():
    files, _ = imported_config("alertmanager", "alertmanager.yml")
    windows = yaml.safe_load(files["incidents/alertmanager.yaml"])["mute_windows"]
    assert windows["nights"] == {
        "matchers": ['service=~"^(checkout|basket|payments-.*)$"', 'severity="info"', 'alertname!="Watchdog"'],
        "during": [{"hours": "20:00-24:00"}, {"hours": "00:00-07:30"}],
        "timezone": "Europe/Madrid",
        "max_severity": "critical",
        "reason": "Alertmanager's time interval nights",
    }
    # Its own routes take critical alerts away, and others by a pair of matchers: one window for each of the pair.
    assert windows["outside-office"]["matchers"][-1] == 'severity!="critical"'
    assert windows["outside-office"]["during"] == [
        {"days": ["Mon-Fri"], "hours": "00:00-09:00"},
        {"days": ["Mon-Fri"], "hours": "17:00-24:00"},
        {"days": ["Sat-Sun"]},
    ]
    days = yaml.safe_load(files["oncall/alertmanager.yaml"])["holidays"]["year-end-1"]["dates"]
    assert [str(day) for day in days][:5] == ["2026-12-24", "2026-12-25", "2026-12-26", "2026-12-31", "2027-12-24"]


def test_a_receiver_that_sends_nothing_at_the_root_hides_nothing_of_ours():
    text = (
        "route: {receiver: none, group_by: [a], routes: [{receiver: a, match: {team: a}}]}\n"
        "receivers: [{name: none}, {name: a, slack_configs: [{channel: a}]}]\n"
    )
    made = imported([("am.yml", text)], Wanted("alertmanager"), IMPORTED_AT)
    assert "mute_windows" not in made.files["incidents/alertmanager.yaml"]
    assert any("wake the fallback" in entry.text for entry in made.report.of("changed"))


def test_no_severity_is_silenced_because_its_receiver_is_still_empty():
    """As kube-prometheus comes: every receiver empty, also that of critical alerts."""
    text = (
        "route:\n  receiver: Default\n  routes:\n"
        '    - {receiver: Watchdog, matchers: ["alertname = Watchdog"]}\n'
        '    - {receiver: Critical, matchers: ["severity = critical"]}\n'
        "receivers: [{name: Default}, {name: Watchdog}, {name: Critical}]\n"
    )
    made = imported([("am.yml", text)], Wanted("alertmanager"), IMPORTED_AT)
    windows = yaml.safe_load(made.files["incidents/alertmanager.yaml"])["mute_windows"]
    assert [window["matchers"] for window in windows.values()] == [['alertname="Watchdog"']]


def test_a_route_that_goes_on_keeps_its_alerts_where_its_receiver_writes_to_slack():
    text = (
        "route:\n  receiver: all\n  routes:\n"
        "    - {receiver: chat, continue: true, match: {team: a}}\n"
        "    - {receiver: ticket, continue: true, match: {team: a}}\n"
        "    - {receiver: other, match: {team: a}}\n"
        "receivers:\n"
        "  - {name: all, slack_configs: [{channel: all}]}\n"
        "  - {name: chat, slack_configs: [{channel: chat}]}\n"
        "  - {name: ticket, webhook_configs: [{url: 'https://x.example.com'}]}\n"
        "  - {name: other, slack_configs: [{channel: other}]}\n"
    )
    made = imported([("am.yml", text)], Wanted("alertmanager"), IMPORTED_AT)
    routing = yaml.safe_load(made.files["oncall/alertmanager.yaml"])["routing"]
    assert [entry["owner"] for entry in routing] == ["team:chat", "team:other", "team:all"]
    told = yaml.safe_load(made.files["agentpager.yaml"])["notify"]["receivers"]
    assert told["ticket-webhook"]["matchers"] == ['team="a"']
    changed = [entry.text for entry in made.report.of("changed") if entry.what.startswith("route")]
    assert changed == [
        "continue: the alert is of team:chat only; name what later routes tell in escalation_policies.chat",
        "continue: notify.receivers.ticket-webhook told by matchers; the alert is of the route after it, "
        "or else of the one above",
    ]


QUIET = """
route:
  receiver: pagers
  routes: [{routes}]
receivers:
  - {{name: pagers, slack_configs: [{{channel: pagers}}]}}
  - {{name: log, webhook_configs: [{{url: "https://log.example.com"}}]}}
  - {{name: nobody}}
time_intervals:
  - {{name: nights, time_intervals: [{{times: [{{start_time: "20:00", end_time: "24:00"}}]}}]}}
  - {{name: unread, time_intervals: [{{weekdays: ["monday:someday"]}}]}}
  - {{name: weeks, time_intervals: [{{weekdays: ["sunday:thursday"]}}]}}
inhibit_rules: [{rule}]
"""
X = "matchers: ['team=\"x\"']"
DEV = "matchers: ['team=\"x\"', 'env=\"dev\"']"
BROKEN = "matchers: ['team=\"x\"', 'env=~\"(\"']"


def _hidden(routes: str, rule: str = "") -> Any:
    made = imported([("am.yml", QUIET.format(routes=routes, rule=rule))], Wanted("alertmanager"), IMPORTED_AT)
    return yaml.safe_load(made.files["incidents/alertmanager.yaml"])


@pytest.mark.parametrize(
    "routes",
    [
        f"{{receiver: nobody, {X}, continue: true}}, {{receiver: pagers, {X}}}",
        f"{{receiver: pagers, {X}, continue: true}}, {{receiver: nobody, {X}}}",
        f"{{receiver: log, {X}, continue: true, mute_time_intervals: [nights]}}, {{receiver: pagers, {X}}}",
        f"{{receiver: log, {X}, continue: true, routes: [{{receiver: nobody}}]}}, {{receiver: pagers, {X}}}",
        f"{{receiver: pagers, {X}}}, {{receiver: nobody, {DEV}}}",
        f"{{receiver: nobody, {X}, routes: [{{receiver: pagers}}]}}",
        f"{{receiver: nobody, {BROKEN}}}",
        f"{{receiver: nobody, {BROKEN}, routes: [{{receiver: nobody, match: {{a: b}}}}]}}",
        f"{{receiver: pagers, {X}, active_time_intervals: [nights, unread]}}",
        f"{{receiver: pagers, {X}, active_time_intervals: [nights, elsewhere]}}",
    ],
)
def test_no_mute_window_hides_what_alertmanager_tells_somebody(routes):
    assert "mute_windows" not in _hidden(routes)


def test_what_other_routes_take_by_several_matchers_is_left_out_of_mute_windows():
    inner = "{receiver: pagers, matchers: ['severity=\"critical\"', 'env=\"prod\"']}"
    windows = _hidden(f"{{receiver: nobody, {X}, routes: [{inner}]}}")["mute_windows"]
    assert {name: window["matchers"] for name, window in windows.items()} == {
        "to-nobody": ['team="x"', 'severity!="critical"'],
        "to-nobody-2": ['team="x"', 'env!="prod"'],
    }


def test_a_log_beside_the_routes_takes_nothing_from_a_receiver_that_sends_nothing():
    windows = _hidden(f"{{receiver: log, continue: true}}, {{receiver: nobody, {X}}}")["mute_windows"]
    assert [window["matchers"] for window in windows.values()] == [['team="x"']]


def test_a_week_may_begin_on_a_sunday():
    windows = _hidden(f"{{receiver: pagers, {X}, mute_time_intervals: [weeks]}}")["mute_windows"]
    assert windows["weeks"]["during"] == [{"days": ["Mon-Thu", "Sun"]}]


def test_days_that_are_over_leave_nothing_behind():
    text = QUIET.format(routes=f"{{receiver: pagers, {X}, mute_time_intervals: [old, nights]}}", rule="")
    text += "mute_time_intervals: [{name: old, time_intervals: [{years: ['2020'], months: [december]}]}]\n"
    made = imported([("am.yml", text)], Wanted("alertmanager"), IMPORTED_AT)
    assert list(yaml.safe_load(made.files["incidents/alertmanager.yaml"])["mute_windows"]) == ["nights"]
    assert "holidays" not in yaml.safe_load(made.files["oncall/alertmanager.yaml"])
    told = [entry.text for entry in made.report.of("left") if entry.what == "mute_time_intervals old"]
    assert told == ["none of its days is to come, or none can be read"]


@pytest.mark.parametrize("side", ["source", "target"])
def test_an_inhibit_rule_with_a_matcher_that_cannot_be_read_hides_nothing(side):
    rule = f"{{source_matchers: ['a=b'], target_matchers: ['c=d'], {side}_match_re: {{e: '('}}}}"
    made = _hidden(f"{{receiver: pagers, {X}}}", rule)
    assert "inhibit_rules" not in made


def test_addresses_with_a_password_are_variables_and_braces_of_others_stand_for_themselves():
    text = """
route: {receiver: a}
receivers:
  - name: a
    telegram_configs: [{chat_id: 1, bot_token: canary, api_url: "https://u:canary@tg.example.com/"}]
    pagerduty_configs: [{routing_key: canary, url: "https://pd.example.com/?key=canary"}]
    victorops_configs: [{api_key: canary, routing_key: "${HOME}"}]
    opsgenie_configs: [{api_key: canary}]
global:
  opsgenie_api_url: "https://u:canary@og.example.com/"
  smtp_smarthost: "mail:25"
  smtp_from: a@example.com
  smtp_auth_username: "${HOME}-$${X}"
"""
    made = imported([("am.yml", text)], Wanted("alertmanager"), IMPORTED_AT)
    main = made.files["agentpager.yaml"]
    assert "canary" not in main + made.report.text()
    receivers = yaml.safe_load(main)["notify"]["receivers"]
    assert {name: entry["url"] for name, entry in receivers.items()} == {
        "a-telegram": "${A_API_URL}/bot${A_TELEGRAM_TOKEN}/sendMessage",
        "a-pagerduty": "${A_URL}",
        "a-victorops": "https://alert.victorops.com/integrations/generic/20131114/alert/${A_VICTOROPS_KEY}/$${HOME}",
        "a-opsgenie": "${A_API_URL_2}/v2/alerts",
    }
    assert yaml.safe_load(main)["notify"]["email"]["username"] == "$${HOME}-$$${X}"
    places = {name: place for name, place in made.report.variables.items() if "URL" in name}
    assert places == {"A_API_URL": "am.yml:5:65", "A_URL": "am.yml:6:52", "A_API_URL_2": "am.yml:10:21"}
