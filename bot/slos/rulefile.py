"""Rule groups as the text of a Prometheus rule file, for those whose rules run elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from bot.rules.model import Group, Rule
from bot.schema import format_duration


def as_yaml(groups: Iterable[Group]) -> str:
    lines = ["groups:"]
    for group in groups:
        lines += [f"  - name: {_quoted(group.name)}"]
        if group.interval is not None:
            lines += [f"    interval: {format_duration(group.interval)}"]
        lines += ["    rules:", *(line for rule in group.rules for line in _rule(rule))]
    return "\n".join(lines) + "\n"


def _rule(rule: Rule) -> Iterator[str]:
    yield f"      - {'alert' if rule.is_alert else 'record'}: {_quoted(rule.name)}"
    yield "        expr: |"
    yield from (f"          {line}" for line in rule.expr.splitlines())
    if rule.hold:
        yield f"        for: {format_duration(rule.hold)}"
    for key in ("labels", "annotations"):
        if texts := getattr(rule, key):
            yield f"        {key}:"
            yield from (f"          {name}: {_quoted(text)}" for name, text in texts.items())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a string of JSON is one of YAML
