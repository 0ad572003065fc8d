"""Trees as text for other engines: the same meaning, in spellings that an older one reads too."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from programs import program

from bot.promql.parse import parse
from bot.promql.written import written
from bot.rules.load import builtin, read

ALERTS = Path(__file__).parents[3] / "alerts"


def shipped():
    files = [read(path.read_text(), path.name) for path in sorted(ALERTS.glob("*.yaml"))]
    return [rule.expr for groups in (*files, builtin()) for group in groups for rule in group.rules]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("up", '{__name__="up"}'),
        ('up{a="1",b!~"x|y"} offset 5m', '{__name__="up",a="1",b!~"x|y"} offset 300000ms'),
        ("rate(x[5m] @ 100)", 'rate({__name__="x"}[300000ms] @ 100.000)'),
        ("sum by (b, a) (x)", 'sum by (a, b) ({__name__="x"})'),
        ("sum(x)", 'sum by () ({__name__="x"})'),
        ("topk without (a) (3, x)", 'topk without (a) (3.0, {__name__="x"})'),
        ("x > bool on (a) group_left (b) y", '({__name__="x"} > bool on(a) group_left(b) {__name__="y"})'),
        ("max_over_time((-x)[10m:30s] @ end())", 'max_over_time(((-{__name__="x"}))[600000ms:30000ms] @ end())'),
        ("max_over_time(x[10m:])", 'max_over_time(({__name__="x"})[600000ms:])'),
        ('-x * label_join(y, "a", "-", "b")', '((-{__name__="x"}) * label_join({__name__="y"}, "a", "-", "b"))'),
        ('{"a b"="\\n"}', '{"a b"="\\n"}'),
    ],
)  # fmt: skip
def test_what_is_written(text, other):
    assert written(parse(text).node) == other


def test_what_is_written_means_what_was_read():
    for text in shipped():
        assert parse(written(parse(text).node)).canonical == parse(text).canonical, text


def test_a_long_chain_is_walked():
    assert written(parse(" + ".join(["1"] * 100)).node) == "(" * 99 + "1.0" + " + 1.0)" * 99


@pytest.mark.interop
def test_an_older_prometheus_reads_it(tmp_path):
    promtool = program("promtool")
    rules = [{"record": f"r{number}", "expr": written(parse(text).node)} for number, text in enumerate(shipped())]
    (tmp_path / "r.yaml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    found = subprocess.run(
        [promtool, "check", "rules", tmp_path / "r.yaml"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
