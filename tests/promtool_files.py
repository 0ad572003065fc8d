"""promtool's unit-test files for rules, played on our own engine and rule groups."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import yaml

from bot.promql.engine import Engine
from bot.promql.store import SeriesStore
from bot.rules.evaluate import GroupState, Surroundings
from bot.rules.load import read, warm_seconds
from bot.schema import parse_duration

_SERIES = re.compile(r"(\w+)(?:\{(.*)\})?")
_LABEL = re.compile(r'\s*(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_REPEAT = re.compile(r"(-?[\d.]+|_)(?:([+-][\d.]+))?x(\d+)")


def values(text: str) -> list[float | None]:
    """`1+2x3` is 1 3 5 7; `_x3` is three gaps; None is a gap."""
    found: list[float | None] = []
    for word in text.split():
        match = _REPEAT.fullmatch(word)
        if match is None:
            found.append(None if word == "_" else float(word))
        elif match[1] == "_":
            found += [None] * int(match[3])
        else:
            found += [float(match[1]) + float(match[2] or 0) * step for step in range(int(match[3]) + 1)]
    return found


def series(text: str) -> dict[str, str]:
    match = _SERIES.fullmatch(text)
    assert match is not None, text
    return {"__name__": match[1], **{m[1]: m[2] for m in _LABEL.finditer(match[2] or "")}}


def store_of(inputs, interval: timedelta) -> SeriesStore:
    store = SeriesStore(10**6)
    for given in inputs:
        ident = store.intern(series(given["series"]))
        points = [(i * interval.total_seconds(), v) for i, v in enumerate(values(given["values"])) if v is not None]
        store.append_at(
            np.full(len(points), ident, dtype=np.intp),
            np.array([t for t, _ in points], dtype=np.float64),
            np.array([v for _, v in points], dtype=np.float64),
        )
    return store


def recorder(store: SeriesStore):
    def record(t, samples, stale):
        ids = np.array([store.intern(labels) for labels, _ in samples], dtype=np.intp)
        store.append_at(ids, np.full(len(ids), t), np.array([value for _, value in samples], dtype=np.float64))
        if stale:
            store.mark_stale(t, np.array([store.intern(labels) for labels in stale], dtype=np.intp))

    return record


def cases(path: Path) -> Iterator[tuple[str, list, list]]:
    """(where, expected, got) for each alert_rule_test, alerts as (labels, annotations) in label order."""
    document = yaml.safe_load(path.read_text())
    step = parse_duration(document.get("evaluation_interval", "1m"))
    files = [(path.parent / name).resolve() for name in document["rule_files"]]
    groups = [group for file in files for group in read(file.read_text(), file.name)]
    for test in document["tests"]:
        store = store_of(test["input_series"], parse_duration(test["interval"]))
        around = Surroundings(test.get("external_labels", {}), "", warm_seconds(groups))
        states = [GroupState(group, Engine(store), recorder(store), around) for group in groups]
        wanted = {}
        for case in test["alert_rule_test"]:
            wanted.setdefault(parse_duration(case["eval_time"]), []).append(case)
        now = timedelta()
        while now <= max(wanted):
            for state in states:
                failures = state.evaluate(datetime.fromtimestamp(0, UTC) + now).failures
                assert not failures, failures
            for case in wanted.pop(now, []):
                where = f"{test.get('name', '')} {case['alertname']} at {case['eval_time']}"
                yield where, expected(case), firing(states, case["alertname"])
            if not wanted:
                break
            now += step


def expected(case):
    alerts = [
        ({"alertname": case["alertname"], **alert.get("exp_labels", {})}, alert.get("exp_annotations", {}))
        for alert in case["exp_alerts"] or []
    ]
    return sorted(alerts, key=lambda alert: sorted(alert[0].items()))


def firing(states, name):
    found = [
        (active.labels, rule.annotations_of(active))
        for state in states
        for compiled, rule, _ in state.rules
        if rule is not None and compiled.rule.name == name
        for active in rule.active.values()
        if active.alarms
    ]
    return sorted(found, key=lambda alert: sorted(alert[0].items()))
