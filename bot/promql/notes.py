"""What an evaluation remarks about its own answer: warnings and infos, in Prometheus' words.

Nobody has to ask: an evaluation without a collector spends nothing on remarks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan

from bot.promql.floats import format_short

_MANUAL = "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile"


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _bad_quantile(q: float) -> str:
    return f"quantile value should be between 0 and 1, got {format_short(q)}"


@dataclass
class Notes:
    """Every remark once, in order of appearance. Prometheus' API shows `warnings` and `infos`."""

    warnings: dict[str, None] = field(default_factory=dict)
    infos: dict[str, None] = field(default_factory=dict)
    _farthest: dict[tuple[object, str], tuple[float, str]] = field(default_factory=dict)

    def warn(self, text: str) -> None:
        self.warnings[f"PromQL warning: {text}"] = None

    def inform(self, text: str) -> None:
        self.infos[f"PromQL info: {text}"] = None

    def bad_quantile(self, q: float) -> None:
        self.warn(_bad_quantile(q))

    def bad_parameter(self, of: object, value: float, text: str) -> None:
        """Of an aggregation's parameter only the values farthest out on either side are told, over all steps."""
        side = "nan" if isnan(value) else "high" if value > 0 else "low"
        before = self._farthest.get((of, side))
        if before is not None:
            if not abs(value) > abs(before[0]):
                return
            if not any(told == before[1] for key, (_, told) in self._farthest.items() if key != (of, side)):
                self.warnings.pop(before[1], None)
        self._farthest[of, side] = value, f"PromQL warning: {text}"
        self.warn(text)

    def bad_quantile_of(self, of: object, q: float) -> None:
        self.bad_parameter(of, q, _bad_quantile(q))

    def bad_ratio_of(self, of: object, ratio: float, capped: float) -> None:
        text = f"ratio value should be between -1 and 1, got {format_short(ratio)}, capping to {format_short(capped)}"
        self.bad_parameter(of, ratio, text)

    def bad_bucket(self, metric: str, bound: str) -> None:
        text = f"bucket label {quoted('le')} is missing or has a malformed value of {quoted(bound)}"
        self.warn(f"{text} for metric name {quoted(metric)}")

    def mended_histogram(self) -> None:
        """Without the metric's name: Prometheus has dropped it by then."""
        text = f"input to histogram_quantile needed to be fixed for monotonicity (see {_MANUAL}) for metric name"
        self.inform(f'{text} ""')

    def not_a_counter(self, metric: str) -> None:
        text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:"
        self.inform(f"{text} {quoted(metric)}")
