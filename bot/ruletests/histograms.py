"""Which expressions read native histograms, which this engine does not hold, straight or through rules that do.

Cases that read none are played as if the histograms were not in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bot.labels import Labels
from bot.promql.parse import Expr
from bot.rules.load import Compiled
from bot.ruletests.notation import NAME

_ALERTS = ("ALERTS", "ALERTS_FOR_STATE")


class Histograms:
    """`series` are label sets with the line they stand on."""

    def __init__(self, series: Sequence[tuple[Labels, int]]) -> None:
        self._whole = list(series)
        self._partly: list[tuple[Labels, int]] = []  # made by rules: not all labels are known
        self.alerts: dict[str, int] = {}

    def spread(self, rules: Sequence[Compiled]) -> None:
        """What rules make of histograms is not to be trusted either."""
        waiting = list(rules) if self._whole else []
        while True:
            reading = [(rule, line) for rule in waiting if (line := self.read_by(rule.expr)) is not None]
            if not reading:
                return
            for rule, line in reading:
                waiting.remove(rule)
                self._partly += [(labels, line) for labels in _made(rule)]
                if rule.rule.alert:
                    self.alerts[rule.rule.alert] = line

    def read_by(self, expr: Expr) -> int | None:
        """The line of a histogram that the expression may read."""
        for selector in expr.selectors:
            for labels, line in self._whole:
                if all(matcher.matches(labels) for matcher in selector.matchers):
                    return line
            for labels, line in self._partly:
                if all(matcher.matches(labels) for matcher in selector.matchers if matcher.name in labels):
                    return line
        return None


def _made(rule: Compiled) -> Iterable[Mapping[str, str]]:
    if rule.rule.alert:
        return [{NAME: name, "alertname": rule.rule.alert} for name in _ALERTS]
    return [{NAME: rule.rule.name}]


def refusal(line: int) -> str:
    return f"unsupported: it reads the native histogram of line {line}, and native histograms are not supported"
