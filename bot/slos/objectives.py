"""One objective → its rule group: bad and all events as series, and alerts while the error budget burns too fast.

The alerts for the success of runs are in alerts/success.yaml and serve every agent by a join; these are their twins for
objectives that nothing in the registry's series describes. Thresholds stop below 1, or a low target could never burn
fast: fourteen times the budget of 60 % would be six times more than all.
"""

from __future__ import annotations

import json
import re  # noqa: TID251 - fixed pattern, on text that has been parsed
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from bot.agents.model import Agent, Latency
from bot.agents.model import Objective as Declared
from bot.errors import QueryError
from bot.promql.nodes import Aggregate, Instant, Node
from bot.promql.parse import parse
from bot.rules.model import Group, Rule
from bot.schema import format_duration

BAD, TOTAL = "agent:slo_bad:rate5m", "agent:slo_total:rate5m"
LATENCY = "latency"
LATENCY_RUNBOOK = "AgentLatencyHigh"
FAST, MEDIUM, GONE = "AgentObjectiveBurnFast", "AgentObjectiveBurnMedium", "AgentObjectiveBudgetGone"

# Histograms of how long runs take, in seconds, and the boundaries that they all have.
HISTOGRAMS = (
    "agent_run_duration_seconds",
    "gen_ai_invoke_agent_duration_seconds",
    "gen_ai_agent_operation_duration_seconds",
    "gen_ai_invoke_workflow_duration_seconds",
    "gen_ai_workflow_duration_seconds",
)
BOUNDARIES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
_SUM_OF = re.compile(r"sum(?:\s+(?:by|without)\s*\([^()]*\))?\s*\((.*)\)", re.DOTALL)


@dataclass(frozen=True)
class Objective:
    """`bad` and `total` are events a second, by env. `good` in place of `bad`: the rest of `total` is bad. `miss` goes
    on after "12 %"."""

    agent: str
    name: str
    title: str
    target: float
    window: timedelta
    total: str
    good: str = ""
    bad: str = ""
    miss: str = ""
    severity: str = "warning"
    runbook: str = ""

    @property
    def group(self) -> str:
        return f"slo {self.agent} {self.name}"


@dataclass(frozen=True)
class Window:
    """An alert while more than `factor` times the budget goes, or the share `most`, over the long window and the short
    one; `short` is empty for the five minutes that each recorded value covers. Fewer events than `events` over the long
    one say nothing."""

    alert: str
    long: str
    short: str
    factor: float
    most: float
    events: int
    hold: timedelta


WINDOWS = (
    Window(FAST, "1h", "", 14.4, 0.9, 10, timedelta(minutes=2)),
    Window(MEDIUM, "6h", "30m", 6, 0.8, 20, timedelta(minutes=5)),
    Window(GONE, "3d", "6h", 1, 0.7, 50, timedelta(hours=1)),
)


def objectives(agent: Agent) -> list[Objective]:
    """Those of the agent's file, beside the success of its runs. Raises QueryError where `problems` finds any."""
    if agent.slo is None:
        return []
    window = agent.slo.window
    found = [latency(agent.id, agent.slo.latency, window)] if agent.slo.latency is not None else []
    return found + [declared(agent.id, name, one, window) for name, one in agent.slo.objectives.items()]


def declared(agent: str, name: str, one: Declared, window: timedelta) -> Objective:
    title = one.title or name.replace("-", " ").replace("_", " ")
    return Objective(
        agent=agent,
        name=name,
        title=title,
        target=one.target,
        window=window,
        total=per_second(one.total),
        good=per_second(one.good) if one.good is not None else "",
        bad=per_second(one.bad) if one.bad is not None else "",
        miss=f"miss {title}",
        severity=one.severity,
        runbook=one.runbook or "",
    )


def problems(one: Declared) -> Iterator[tuple[str, str]]:
    """The key of each expression that is none, and why."""
    for key in ("good", "bad", "total"):
        text = getattr(one, key)
        if text is None:
            continue
        try:
            per_second(text)
        except QueryError as error:
            yield key, str(error)


def per_second(text: str, *, counter: bool | None = None) -> str:
    """What is written, as events a second by env. A plain selector, or the sum of one, is a counter; the rest is taken
    for a rate. `counter` says so instead. Raises QueryError."""
    text = text.strip()
    node = parse(text).node
    selector = _selector(text, node)
    if selector and counter is not False:
        return f"sum by (env) (rate({selector}[5m]))"
    if counter:
        raise QueryError("a counter is one selector, or the sum of one")
    if node.kind != "vector":
        raise QueryError(f"it gives a {node.kind}, and must give series")
    return f"sum by (env) ({text})"


def _selector(text: str, node: Node) -> str:
    """The text of the selector that it is, or the sum of; empty when it is something else."""
    inner, found = text, node
    if isinstance(node, Aggregate) and node.op == "sum" and (match := _SUM_OF.fullmatch(text)) is not None:
        inner = match[1].strip()
        found = parse(inner).node
    if not isinstance(found, Instant):
        return ""
    if found.offset_ms or found.at is not None:
        raise QueryError("an objective looks at now; leave offset and @ away")
    return inner


def latency(agent: str, one: Latency, window: timedelta) -> Objective:
    """Between two boundaries of the histogram the runs are taken to be spread evenly, as histogram_quantile does."""
    seconds = one.threshold.total_seconds()
    sources = [(_of(name, "count", agent), _within(name, agent, seconds)) for name in HISTOGRAMS]
    return Objective(
        agent=agent,
        name=LATENCY,
        title=f"runs within {format_duration(one.threshold)}",
        target=one.target,
        window=window,
        total="\nor ".join(total for total, _ in sources),
        bad="\nor ".join(f"clamp_min({total} - ({good}), 0)" for total, good in sources),
        miss=f"of the runs take longer than {format_duration(one.threshold)}",
        severity=one.severity,
        runbook=LATENCY_RUNBOOK,
    )


def _within(histogram: str, agent: str, seconds: float) -> str:
    above = next((index for index, boundary in enumerate(BOUNDARIES) if boundary >= seconds), len(BOUNDARIES) - 1)
    high = _of(histogram, "bucket", agent, BOUNDARIES[above])
    if above == 0 or BOUNDARIES[above] <= seconds:
        return high
    low, width = BOUNDARIES[above - 1], BOUNDARIES[above] - BOUNDARIES[above - 1]
    share = (seconds - low) / width
    return f"{_number(1 - share)} * {_of(histogram, 'bucket', agent, low)} + {_number(share)} * {high}"


def _of(histogram: str, part: str, agent: str, boundary: float | None = None) -> str:
    le = f', le="{boundary:g}"' if boundary is not None else ""
    return f"sum by (env) (rate({histogram}_{part}{{agent={json.dumps(agent, ensure_ascii=False)}{le}}}[5m]))"


def group(objective: Objective, file: str = "") -> Group:
    """`file` is where it is written. The same objective gives the same group, rule for rule."""
    names = {"agent": objective.agent, "slo": objective.name}
    every = f"sum by (env) ({TOTAL}{_labels(names)})"  # recorded by the rule before: of this very moment
    bad = objective.bad or f"clamp_min({every} - ({objective.good} or 0 * {every}), 0)"
    recorded = (Rule(record=TOTAL, expr=objective.total, labels=names), Rule(record=BAD, expr=bad, labels=names))
    alerts = tuple(_alert(objective, window, names) for window in WINDOWS)
    return Group(file=file, name=objective.group, interval=timedelta(minutes=1), rules=(*recorded, *alerts))


def _alert(objective: Objective, window: Window, names: dict[str, str]) -> Rule:
    limit = _number(min(window.factor * (1 - objective.target), window.most))
    bad, total = BAD + _labels(names), TOTAL + _labels(names)
    expr = (
        f"({_share(bad, total, window.long)} > {limit})\n"
        f"and ({_share(bad, total, window.short)} > {limit})\n"
        f"and (sum_over_time({total}[{window.long}]) * 60 >= {window.events})"
    )
    worst = "warning" if window.alert == GONE and objective.severity == "critical" else objective.severity
    return Rule.model_validate(
        {
            "alert": window.alert,
            "expr": expr,
            "for": window.hold,
            "labels": names | {"severity": worst},
            "annotations": _words(objective, window, limit),
        }
    )


def _words(objective: Objective, window: Window, limit: str) -> dict[str, str]:
    miss = f"{{{{ $value | humanizePercentage }}}} {_plain(objective.miss)}"
    limited, target = _percent(float(limit)), _percent(objective.target)
    days, short = format_duration(objective.window), window.short or "5m"
    found = {
        "summary": f"{objective.agent}: {miss}",
        "now": f"{miss} over {window.long} (limit {limited})",
        "description": f"Over {window.long} {miss}, and over {short} more than {limited} do. "
        f"{target} are to keep it over {days}.",
        "impact": f"At this pace the error budget of {days} is gone before its time.",
    }
    return found | ({"runbook": objective.runbook} if objective.runbook else {})


def _percent(share: float) -> str:
    return f"{_number(share * 100)}%"


def _share(bad: str, total: str, over: str) -> str:
    return f"avg_over_time({bad}[{over}]) / avg_over_time({total}[{over}])" if over else f"{bad} / {total}"


def _labels(names: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in names.items()) + "}"


def _number(value: float) -> str:
    return f"{round(value, 9):.12g}"


def _plain(text: str) -> str:
    """A title is no template."""
    return text.replace("{{", "{ {").replace("}}", "} }")
