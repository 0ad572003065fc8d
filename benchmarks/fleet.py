"""The fleet of the speed benchmarks: what every agent exposes at any moment, and the rules over it.

Values are a function of agent, series and time, so whoever scrapes when sees the same fleet. Every value lies far from
the threshold that asks for it, on the same side at all times: the alerts that must be active are known beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESTART_SECONDS = 1200  # after this long an agent starts anew and its counters with it; agents do so one by one
BAD_OF = 16  # one agent in so many has a given trouble

# Metric, labels, and what it does by itself and in trouble: units a second for counters, the level of gauges.
_Row = tuple[str, dict[str, str], float, float]

LONGEST_HOLD = 2
BAD, ALL = 'agent_runs_total{SEL,outcome!="ok"}', "agent_runs_total{SEL}"


def bad_share(window: str) -> str:
    return f"sum by (agent) (rate({BAD}[{window}])) / sum by (agent) (rate({ALL}[{window}]))"


# Alert, expression up to its threshold, threshold, rounds of `for`. SEL is the place for a matcher; each rule moves the
# threshold by a little, so that no two rules of a kind are one.
KINDS: tuple[tuple[str, str, float, int], ...] = (
    ("ErrorRatio", f"{bad_share('5m')} > ", 0.1, LONGEST_HOLD),
    ("TokensP99", "histogram_quantile(0.99, sum by (agent, le) (rate(agent_tokens_bucket{SEL}[5m]))) > ", 600, 0),
    ("SlowRuns", "histogram_quantile(0.95, sum by (agent, le) (rate(agent_run_seconds_bucket{SEL}[10m]))) > ", 4, 0),
    ("CostPerHour", "sum by (agent) (increase(agent_cost_usd_total{SEL}[1h])) > ", 5, 0),
    ("BurnRate", f"{bad_share('1h')} > 0.1 and {bad_share('5m')} > ", 0.1, LONGEST_HOLD),
    ("DeepQueue", "agent_queue_depth{SEL} > ", 90, 1),
    ("QueuePeak", "max_over_time(agent_queue_depth{SEL}[5m]) > ", 90, 0),
    ("NoSuccess", "time() - agent_last_success_timestamp_seconds{SEL} > ", 600, 1),
    ("Memory", "avg by (agent) (avg_over_time(agent_memory_bytes{SEL}[5m])) > ", 7e8, 0),
    ("ToolErrors", 'sum by (agent, tool) (rate(agent_tool_calls_total{SEL,outcome!="ok"}[5m])) > ', 1, LONGEST_HOLD),
    ("NoHeartbeat", "absent(agent_heartbeat_total{SEL}) >= ", 0.5, 0),
)
RECORDED = "agent:run_errors:ratio_rate5m"
_CYCLE = len(KINDS) + 2  # the last two are a recording rule and an alert on what it recorded


class Fleet:
    """`agents` times a hundred series."""

    def __init__(self, agents: int) -> None:
        self.names = [f"agent-{number}" for number in range(agents)]
        self._rows = _rows()
        numbers = np.arange(agents)[:, None]
        ill = np.array([[bad(number, trouble) for trouble in range(len(_TROUBLES))] for number in range(agents)])
        trouble = np.array([_trouble(row[0]) for row in self._rows])
        usual, worse = (np.array([row[place] for row in self._rows]) for place in (2, 3))
        series = np.arange(len(self._rows))[None, :]
        spread = 1 + 0.1 * np.sin(numbers * 1.7)  # agents differ
        self._level = np.where(ill[:, trouble], worse, usual) * spread
        self._counts = np.array([row[0].endswith(_SUFFIXES) for row in self._rows])
        self._stamps = np.array([row[0].endswith("_timestamp_seconds") for row in self._rows])
        self._phase = numbers * 0.7 + series * 0.3
        self._started = (np.arange(agents) * 7919 % RESTART_SECONDS)[:, None]
        self._texts = [self._template(number) for number in range(agents)]

    def series(self, number: int) -> list[dict[str, str]]:
        """The label sets of one agent as a store has them after a scrape, in the order of `values`."""
        agent = self.names[number]
        own = {"agent": agent, "instance": agent, "job": "agents"}
        return [{"__name__": self._name(number, row), **row[1], **own} for row in self._rows]

    def values(self, t: float) -> Floats:
        """Of all agents, one row each."""
        return self._at(slice(None), t)

    def page(self, number: int, t: float) -> bytes:
        return self._texts[number] % tuple(self._at(slice(number, number + 1), t)[0].tolist())

    def _at(self, agents: slice, t: float) -> Floats:
        level, age = self._level[agents], (t + self._started[agents]) % RESTART_SECONDS
        counted = np.floor(level * age)
        shown = np.where(self._counts, counted, level * (1 + 0.05 * np.sin(t / 37 + self._phase[agents])))
        found: Floats = np.where(self._stamps, np.floor(t - level), shown)
        return found

    def _name(self, number: int, row: _Row) -> str:
        silent = row[0] == "agent_heartbeat_total" and bad(number, _trouble(row[0]))
        return "agent_idle_total" if silent else row[0]

    def _template(self, number: int) -> bytes:
        lines: list[str] = []
        told = ""
        for row in self._rows:
            name = self._name(number, row)
            family = name if name.endswith("_total") else _stem(name)
            if family != told:
                told = family
                kind = "histogram" if family != name else "counter" if name.endswith("_total") else "gauge"
                lines += [f"# HELP {family} Made up for measuring.", f"# TYPE {family} {kind}"]
            labels = ",".join(f'{label}="{value}"' for label, value in row[1].items())
            number_format = "%d" if name.endswith(("_total", "_bucket", "_count", "_seconds")) else "%.3f"
            lines.append(f"{name}{{{labels}}} {number_format}" if labels else f"{name} {number_format}")
        return ("\n".join(lines) + "\n").encode()


def bad(number: int, trouble: int) -> bool:
    """Whether this agent has the trouble, which shows in one metric."""
    return (number * 7 + trouble * 5 + 3) % BAD_OF == 0


_TROUBLES = (
    "agent_runs",
    "agent_tokens",
    "agent_run_seconds",
    "agent_cost_usd",
    "agent_queue_depth",
    "agent_memory_bytes",
    "agent_last_success_timestamp_seconds",
    "agent_tool_calls",
    "agent_heartbeat",
)
_SUFFIXES = ("_total", "_bucket", "_sum", "_count")


def _trouble(name: str) -> int:
    return _TROUBLES.index(_stem(name))


def _stem(name: str) -> str:
    return next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)


def _rows() -> list[_Row]:
    """A hundred, 42 of them buckets of three histograms."""
    rows: list[_Row] = [
        ("agent_queue_depth", {}, 40, 140),
        ("agent_memory_bytes", {}, 3e8, 1.2e9),
        ("agent_last_success_timestamp_seconds", {}, 20, 5000),
        ("agent_heartbeat_total", {}, 1, 1),
    ]
    rows += [("agent_runs_total", {"outcome": "ok"}, 20, 12)]
    rows += [("agent_runs_total", {"outcome": each}, 0.05, 4) for each in ("failure", "timeout", "handoff")]
    rows += [("agent_cost_usd_total", {"model": f"m{number}"}, 1e-5, 1) for number in range(4)]
    for kind in ("input", "output"):
        edges = [2.0**power for power in range(13)]
        rows += _histogram("agent_tokens", {"kind": kind}, edges, usual=256, worse=4096)
    rows += _histogram("agent_run_seconds", {}, [number / 2 for number in range(1, 14)], usual=2, worse=6.5)
    calls = [(f"t{number}", outcome) for number in range(20) for outcome in ("ok", "error", "timeout")]
    for tool, outcome in calls[: 100 - len(rows)]:
        usual = 3 if outcome == "ok" else 0.1
        worse = 30 if outcome != "ok" and tool in {"t1", "t2"} else usual
        rows.append(("agent_tool_calls_total", {"tool": tool, "outcome": outcome}, usual, worse))
    return rows


def _histogram(name: str, labels: dict[str, str], edges: Sequence[float], usual: float, worse: float) -> list[_Row]:
    """Observations spread evenly up to `usual`; in trouble, as many more spread evenly up to `worse`."""
    rows: list[_Row] = []
    for edge in [*edges, float("inf")]:
        easy, hard = 20 * min(edge / usual, 1), 20 * min(edge / worse, 1)
        le = "+Inf" if edge == float("inf") else f"{edge:g}"
        rows.append((f"{name}_bucket", {**labels, "le": le}, easy, easy + hard))
    return [*rows, (f"{name}_sum", labels, 10 * usual, 10 * (usual + worse)), (f"{name}_count", labels, 20, 40)]


def rules(count: int, agents: int, interval: float, *, distinct: bool = False) -> list[dict[str, Any]]:
    """A fifth looks at the whole fleet, the rest at one agent each. `distinct`: no two rules share a window."""
    made = [_rule(index, agents, interval) for index in range(count)]
    return [_own_window(rule, index) if distinct else rule for index, rule in enumerate(made)]


def groups(rules: list[dict[str, Any]], interval: float) -> dict[str, Any]:
    """A rule file as Prometheus has it, of one group."""
    return {"groups": [{"name": "bench", "interval": f"{round(interval * 1000)}ms", "rules": rules}]}


def _rule(index: int, agents: int, interval: float) -> dict[str, Any]:
    kind, turn = index % _CYCLE, index // _CYCLE
    if kind == len(KINDS):
        return {"record": f"{RECORDED}:{turn}", "expr": _pinned(bad_share("5m"), index, agents)}
    if kind == len(KINDS) + 1:
        name, expr, threshold, hold = "Recorded", f"{RECORDED}:{turn} > ", 0.1, 1
    else:
        name, expr, threshold, hold = KINDS[kind]
    limit = f"{threshold * (1 + turn % 50 / 1000):.10g}"
    return {
        "alert": f"{name}_{turn}",
        "expr": _pinned(expr + limit, index, agents),
        "for": f"{round(1000 * interval * hold)}ms",
        "labels": {
            "severity": "info" if turn % 2 else "warning",
            "kind": name,
            "team": "team of {{ $labels.agent }}",
        },
        "annotations": {
            "summary": f"{name} of {{{{ $labels.agent }}}} is {{{{ $value | humanize }}}}",
            "description": f'{{{{ printf "%.2f" $value }}}} is above {limit} on {{{{ $labels.instance }}}}',
        },
    }


def _pinned(expr: str, index: int, agents: int) -> str:
    matcher = "" if index % 5 == 0 else f'agent="agent-{(index * 7919) % agents}"'
    return expr.replace("SEL", matcher).replace("{,", "{").replace("{}", "")


def _own_window(rule: dict[str, Any], index: int) -> dict[str, Any]:
    expr = rule["expr"]
    for window, seconds in (("5m", 300), ("10m", 600), ("1h", 3600)):
        expr = expr.replace(f"[{window}]", f"[{seconds + index}s]")
    return {**rule, "expr": expr}
