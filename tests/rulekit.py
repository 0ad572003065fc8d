"""A querier whose answers are set by hand, and a recorder that remembers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from bot.errors import QueryError
from bot.promql.space import Space
from bot.promql.strings import Pool
from bot.promql.value import Vector
from bot.rules.load import parse_groups
from bot.rules.model import RuleFile

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class Answers:
    """`result`: expression text → [(labels, value)] or an error; `here`: the selectors that have data."""

    def __init__(self) -> None:
        self.result = {}
        self.here = {}
        self.asked = []

    def instant(self, expr, t):
        self.asked.append((expr.text, t))
        answer = self.result.get(expr.text, [])
        if isinstance(answer, Exception):
            raise answer
        rows = [labels for labels, _ in answer]
        return Vector(Space.of(Pool(), rows), np.array([value for _, value in answer], dtype=float), None, t)

    def presences(self, expr, labels, t):
        everything = tuple(i for i, s in enumerate(expr.selectors) if not s.under_absent)
        return [self.here.get(expr.text, everything)] * len(labels)


class Written:
    def __init__(self) -> None:
        self.samples = []
        self.stale = []

    def __call__(self, t, samples, stale):
        self.samples += [(t, dict(labels), value) for labels, value in samples]
        self.stale += [(t, dict(labels)) for labels in stale]

    def named(self, name):
        return [
            (t, {k: v for k, v in labels.items() if k != "__name__"}, value)
            for t, labels, value in self.samples
            if labels["__name__"] == name
        ]


def make_group(*rules, **keys):
    file = RuleFile.model_validate({"groups": [{"name": "g", "rules": list(rules), **keys}]})
    return parse_groups(file, "f.yaml")[0]


def failed(text="broken"):
    return QueryError(text, "execution")
