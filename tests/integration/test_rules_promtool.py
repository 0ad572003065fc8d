"""Template texts and alert states as promtool's own binary prints them."""

from __future__ import annotations

import os
import re  # noqa: TID251 - reads promtool's output
import shutil
import subprocess

import pytest
import yaml

from bot.rules.template import Scope, parse

pytestmark = pytest.mark.interop

LABELS = {"job": 'a b"c', "address": "host:8080", "n": "2048"}
VALUE = 1234567.5
TEMPLATES = [
    "{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }}",
    "{{ humanizePercentage $value }} {{ humanizeTimestamp $value }} {{ humanize $labels.n }}",
    '{{ printf "%s %q %v %5.1f|%-6s|%06.2f" $labels.job $labels.job $value $value "ab" 3.14159 }}',
    '{{ printf "%e|%g|%.3g|%+d|%x|%t|%%" $value $value $value 5 255 true }}',
    '{{ printf "%d %s" $value }} {{ printf "x" 3 "y" }} {{ printf "%z" 3 }} {{ printf "%" }}',
    '[{{ $labels.nope }}] {{ index $labels "job" }} {{ .Labels.job | toUpper | title | toLower }}',
    "{{ $labels }} {{ len $labels }} {{ not $labels.x }} {{ stripPort $labels.address }}",
    '{{ if and (gt $value 1.0) (eq $labels.job "a" "b") }}yes{{ else if $labels.n }}maybe{{ else }}no{{ end }}',
    "{{ $x := $value | humanize }}[{{ $x }}] {{- /* c */ -}}  tail {{ true }}",
    "{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}{{ if true }}{{ $x = 3 }}{{ end }}{{ $x }}",
    '{{ print 1 2 "a" 3 4 true }} {{ urlquery "a b&c/d" }} {{ parseDuration "1h30m" }}',
    '{{ title "it\'s some WORDS-here x_y" }} {{ $labels.__name__ }}',
    '{{ or $labels.nope "none" }} {{ and $labels.nope "x" }}| {{ le 2 2 }} {{ ge "b" "a" }} {{ ne 1 2 }}',
    "{{ 0x1F }} {{ 1e3 }} {{ .5 }}",
    'a  {{- " b " -}}  c {{ `raw\\n` }} {{ "\\t|\\u00e9|\\x41" }}',
]


def test_every_template_gives_promtools_text(tmp_path):
    if shutil.which("promtool") is None and "CI" not in os.environ:
        pytest.skip("promtool is not installed")
    annotations = {f"t{number:02d}": text for number, text in enumerate(TEMPLATES)}
    rules = {"groups": [{"name": "g", "rules": [{"alert": "T", "expr": "m", "annotations": annotations}]}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    quoted = ",".join(f"{name}={yaml.dump(text, default_style=chr(34)).strip()}" for name, text in LABELS.items())
    ours = {name: parse(text).render(Scope({"__name__": "m", **LABELS}, VALUE)) for name, text in annotations.items()}
    case = {"eval_time": "1m", "alertname": "T", "exp_alerts": [{"exp_labels": LABELS, "exp_annotations": ours}]}
    test = {"input_series": [{"series": f"m{{{quoted}}}", "values": f"{VALUE}x10"}], "alert_rule_test": [case]}
    (tmp_path / "test.yaml").write_text(
        yaml.safe_dump(
            {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
        )
    )
    result = subprocess.run(
        ["promtool", "test", "rules", "test.yaml"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert result.returncode == 0, (
        "\n".join(re.findall(r"(?:exp|got):\[.*?\]\s*$", result.stderr, re.DOTALL | re.MULTILINE)) or result.stderr
    )
