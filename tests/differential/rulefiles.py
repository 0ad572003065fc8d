"""Random rule files with input series, as test files: for Debian's promtool and for `agentpager test`.

Every case expects what cannot be, so that both print what they got: the alerts with labels and annotations, and every
series that rules wrote, at each evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import yaml

# An older promtool's windows hold a sample exactly at their start ("left-open" in known.py). With samples every 17 s
# and rounds every minute there is none for the first 17 rounds, but for the one at 0, which is left out.
INPUT_SECONDS = 17
ROUNDS = 16
WINDOWS = ("1m", "2m", "3m", "5m")
SPANS = ("0s", "1m", "90s", "2m", "3m", "5m")
WRITTEN = '{__name__=~"ALERTS|ALERTS_FOR_STATE|r:.*"}'

EXACT = (
    "m > 2",
    'm{job="a"} >= 1',
    "sum by (job) (m) > 3",
    "max without (instance) (m) != 0",
    "m == 3",
    "count by (job) (m) < 2",
    "m * 2 > n",
    "m > on(job) group_left(team) n",
    'absent(m{job="a",instance="1"})',
    "absent(nope)",
    "m offset 1m > 2",
    "m unless n",
    "n or m > 3",
    "vector(time()) > 300",
    "vector(1)",
    "hour() >= 0",
    "min_over_time(m[{window}]) > 1",
    "count_over_time(m[{window}]) > 2",
    "changes(m[{window}]) > 1",
    "last_over_time(m[{window}]) > 2",
    "present_over_time(m[{window}])",
    "absent_over_time(m[{window}])",
    "sum_over_time(m[{window}]) > 9",
    'm > 1 and on(job) ALERTS{alertstate="firing"}',
    "count by (alertname) (ALERTS) > 1",
    'ALERTS{alertstate="pending"}',
    "time() - ALERTS_FOR_STATE > 60",
    "r:one > 2",
    "r:two",
    "count(r:one) > 1",
    'label_replace(m > 2, "copy", "$1", "instance", "(.*)")',
    'count_values("v", m) > 1',
    "count(topk(1, r:one)) > 0",
    "-m < -2",
    "bool",
)
ROUNDED = ("rate(c[{window}]) > 0.01", "avg by (job) (m) > 1", "increase(c[{window}])", "stddev by (job) (m) > 0")
RECORDED = (
    "m * 2",
    "sum by (job) (m)",
    "count(m)",
    "time()",
    "r:one + 1",
    "ALERTS",
    "max_over_time(r:one[90s])",  # no sample of a rule lies at the edge
    "m > 2",
    "5",
    "sum without (instance) (m)",
)
LABELS = (
    ("severity", "page"),
    ("severity", "{{ if gt $value 2.0 }}high{{ else }}low{{ end }}"),
    ("value", "{{ $value }}"),
    ("who", "{{ $labels.job }}-{{ .Labels.instance }}"),
    ("job", "other"),
    ("job", ""),
    ("instance", "{{ $labels.instance | toUpper }}x"),
    ("site", "{{ $externalLabels.site }}"),
    ("broken", "{{ $labels.job | humanize }}"),
    ("empty", "{{ $labels.nope }}"),
    ("job", "{{ $labels.nope }}"),
)
# The subset of Go's templates that rules may use (docs/rules.md).
TEXTS = (
    "{{ $value }} of {{ $labels.job }}",
    "{{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }}",
    '{{ printf "%.3g|%8.2f|%s|%q|%v" $value $value $labels.job $labels.instance $labels }}',
    "{{ $labels.alertname }} {{ $labels.nope }} {{ len $labels }}",
    "{{ $externalLabels.site }} {{ $externalLabels }} {{ $externalURL }}",
    '{{ if and (gt $value 1.0) (ne $labels.job "b") }}yes{{ else if eq $labels.job "b" }}b{{ else }}no{{ end }}',
    '{{- /* note */ -}}  {{ $x := $value }}{{ $x }} {{ `raw` }} "quoted" é\nnext line',
    "{{ $labels.job | title }} {{ toUpper $labels.job }} {{ $labels.instance | toLower }}",
    '{{ humanizeTimestamp $value }} {{ $value | printf "%.0f" }}',
    "{{ $labels.job | humanize }}",
    '{{ parseDuration "1h30m" }} {{ stripPort "host:80" }}',
    '{{ 1 | not }} {{ or "" "x" }} {{ index $labels "job" }} {{ $labels.job | urlquery }}',
    "plain",
    "",
)
ROUNDED_TEXTS = (
    '{{ printf "%.5g" $value }} {{ $labels.job }}',
    "{{ humanize $value }}",
    "{{ humanizeDuration $value }}",
)


@dataclass(frozen=True)
class Files:
    """What stands in rules.yaml and test.yaml."""

    rules: str
    test: str


class Writer:
    def __init__(self, seed: str, *, old: bool) -> None:
        self.chance = Random(f"rules.{seed}")
        self.old = old

    def files(self) -> Files:
        groups = [self.group(number) for number in range(self.chance.choice([1, 1, 2]))]
        names = sorted({rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule})
        impossible = [{"exp_labels": {"never": "x"}}]
        times = [f"{minute}m" for minute in range(1, ROUNDS + 1)]
        test: dict[str, Any] = {
            "interval": f"{INPUT_SECONDS}s",
            "input_series": self.series(),
            "alert_rule_test": [
                {"eval_time": at, "alertname": name, "exp_alerts": impossible} for at in times for name in names
            ],
            "promql_expr_test": [
                {"expr": WRITTEN, "eval_time": at, "exp_samples": [{"labels": "never", "value": 1}]} for at in times
            ],
            "external_labels": {"site": "here"},
            "external_url": "https://alerts.example/x",
        }
        suite = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
        if len(groups) > 1:  # promtool takes groups in any order unless it is told one
            names = [group["name"] for group in groups]
            suite["group_eval_order"] = self.chance.choice([names, names[::-1]])
        return Files(_text({"groups": groups}), _text(suite))

    def series(self) -> list[dict[str, str]]:
        chance = self.chance
        found = []
        for name in ("m", "m", "m", "m", "n", "c"):
            labels = {"job": chance.choice("ab"), "instance": str(len(found))}
            if name == "n":
                labels = {"job": "a", "team": "t1"}
            values = " ".join(self.values(counts=name == "c"))
            found.append({"series": f"{name}{{{','.join(f'{k}={v!r}' for k, v in labels.items())}}}", "values": values})
        return [{key: text.replace("'", '"') for key, text in one.items()} for one in found]

    def values(self, *, counts: bool) -> list[str]:
        chance = self.chance
        values, value = ["_"], chance.randrange(0, 5)
        while len(values) < ROUNDS * 60 // INPUT_SECONDS + 8:
            roll = chance.random()
            if counts:
                value += chance.randrange(1000, 1010)
                values.append(str(10**9 + value))
                continue
            if roll < 0.06:
                values += [chance.choice(["stale", "_"])] + ["_"] * chance.randrange(0, 25)
            elif roll < 0.2:
                value = chance.randrange(0, 5)
            elif roll < 0.22:
                values.append(chance.choice(["NaN", "Inf", "-Inf", "0.25", "1e20", "-3"]))
            else:
                values += [str(value)] * chance.randrange(1, 6)
        return values

    def group(self, number: int) -> dict[str, Any]:
        rules = [self.rule(number, place) for place in range(self.chance.randrange(1, 5))]
        group: dict[str, Any] = {"name": f"g{number}", "rules": rules}
        if self.chance.random() < 0.1:
            group["limit"] = self.chance.choice([1, 2, 5])
        if not self.old and self.chance.random() < 0.3:
            group["labels"] = dict(self.chance.sample([("team", "x"), ("severity", "none"), ("job", "group")], 1))
        return group

    def rule(self, number: int, place: int) -> dict[str, Any]:
        chance = self.chance
        if chance.random() < 0.25:
            # Now and then two rules write the same series.
            rule: dict[str, Any] = {"record": chance.choice(["r:one", "r:two"]), "expr": self.expr(RECORDED)}
            if chance.random() < 0.3:
                rule["labels"] = dict([chance.choice([("job", "new"), ("made", "yes"), ("job", ""), ("instance", "")])])
            return rule
        exact = chance.random() < 0.85
        rule = {"alert": f"A{number}{place % 3}", "expr": self.expr(EXACT if exact else ROUNDED)}
        for key in ("for", "keep_firing_for"):
            if chance.random() < 0.6:
                rule[key] = chance.choice(SPANS)
        # The last digit of a sum may differ, and with it a label's text: those labels are for exact values.
        labels = LABELS if exact else LABELS[:1]
        if chance.random() < 0.6:
            rule["labels"] = dict(chance.sample(labels, min(len(labels), chance.choice([1, 1, 2]))))
        texts = TEXTS if exact else ROUNDED_TEXTS
        rule["annotations"] = {f"t{index}": text for index, text in enumerate(chance.sample(texts, 2))}
        return rule

    def expr(self, choices: tuple[str, ...]) -> str:
        text = self.chance.choice(choices)
        return "m > bool 2" if text == "bool" else text.replace("{window}", self.chance.choice(WINDOWS))


def _text(data: Any) -> str:
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return text
