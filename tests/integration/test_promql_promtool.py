"""Every expression of the catalogue gives what Debian's promtool 2.42 gives, on the same made-up samples.

What Prometheus 3 changed is kept out of the way: windows are open on the left now, so none here starts on a sample;
atan2 drops the metric name; the cap at zero of extrapolation comes after the threshold, so counters start high.
"""

from __future__ import annotations

import math
import random
import re  # noqa: TID251 - fixed patterns
import subprocess
from pathlib import Path

import numpy as np
import pytest
from programs import program

from bot.errors import QueryError
from bot.promql.cells import STALE
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.store import SeriesStore
from bot.promql.value import Scalar, Vector

pytestmark = pytest.mark.interop
HERE = Path(__file__).parent
STEP = 15
SAMPLES = 481  # promtool loads no further than the last evaluation
TIMES = (307, 1807, 4507, 7207)
Samples = list[float | None]
Series = dict[str, Samples]


@pytest.fixture(scope="module")
def promtool() -> str:
    return program("promtool")


def catalogue(name: str) -> list[str]:
    lines = (HERE / "promql" / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def gauge(random: random.Random) -> Samples:
    level = random.choice([0.0, 5.0, 100.0])
    return [round(level + random.uniform(-5, 5), 2) for _ in range(SAMPLES)]


def counter(random: random.Random) -> Samples:
    value, out, pace = 1e5, [], random.choice([0, 0.2, 3, 70])
    for _ in range(SAMPLES):
        value = 0.0 if random.random() < 0.01 else value + round(pace * random.random(), 1)
        out.append(round(value, 1))
    return out


def with_gaps(samples: Samples, random: random.Random) -> Samples:
    """Single samples missing, and one long gap behind a stale marker."""
    out = [None if random.random() < 0.05 else value for value in samples]
    begin, length = random.randrange(50, 400), random.randrange(2, 60)
    out[begin] = math.nan  # stands for the stale marker
    out[begin + 1 : begin + length] = [None] * (length - 1)
    return out


def made_up(seed: int, *, gaps: bool) -> Series:
    chance = random.Random(seed)
    series: Series = {}
    for agent in ("a", "b", "c"):
        for outcome in ("ok", "failure", "timeout"):
            series[f'runs_total{{agent="{agent}",outcome="{outcome}"}}'] = counter(chance)
        series[f'load{{agent="{agent}",zone="z{len(series) % 2}"}}'] = gauge(chance)
        series[f'limit{{agent="{agent}"}}'] = [50.0] * SAMPLES
        series[f'flag{{agent="{agent}",on="yes"}}'] = [float(chance.random() < 0.5) for _ in range(SAMPLES)]
        if agent != "c":
            series[f'owner{{agent="{agent}",team="t-{agent}"}}'] = [1.0] * SAMPLES
        total = [0.0] * SAMPLES
        for le in ("0.1", "0.5", "1", "5", "+Inf"):
            total = [have + more for have, more in zip(total, counter(random.Random(seed + len(series))), strict=True)]
            series[f'seconds_bucket{{agent="{agent}",le="{le}"}}'] = [*total]
    series['special{kind="inf"}'] = [
        math.inf if i % 7 == 0 else -math.inf if i % 5 == 0 else 1.5 for i in range(SAMPLES)
    ]
    series["alone"] = [float(i) for i in range(SAMPLES)]
    if gaps:
        series = {name: with_gaps(samples, chance) for name, samples in series.items()}
    return series


def from_rules(expressions: list[str], seed: int) -> Series:
    """Two agents' worth of every metric that the expressions read, with the label values their matchers name."""
    chance = random.Random(seed)
    wanted: dict[str, dict[str, set[str]]] = {}
    for text in expressions:
        for selector in parse(text).selectors:
            labels = wanted.setdefault(selector.name or "", {})
            for matcher in selector.matchers:
                if matcher.name != "__name__":
                    values = re.findall(r"[a-z0-9_/]+", matcher.value) or ["x"]
                    labels.setdefault(matcher.name, {"other"}).update(values)
    series: Series = {}
    for name, labels in sorted(wanted.items()):
        make = counter if re.search(r"(_total|_count|_sum|_bucket)$", name) else gauge
        for agent in ("a", "b"):
            tails = [""]
            if name.endswith("_bucket"):
                tails = [f',le="{le}"' for le in ("0.5", "2", "+Inf")]
            for label, values in sorted(labels.items()):
                tails = [f'{tail},{label}="{value}"' for tail in tails for value in sorted(values)]
            for tail in tails:
                series[f'{name}{{agent="{agent}"{tail}}}'] = make(chance)
    return series


def spelled(value: float | None) -> str:
    if value is None:
        return "_"
    if math.isnan(value):
        return "stale"
    return repr(value) if math.isfinite(value) else "Inf" if value > 0 else "-Inf"


def labels_of(text: str) -> dict[str, str]:
    if text == "{}":
        return {}
    return {matcher.name: matcher.value for matcher in parse(text).selectors[0].matchers}


def ask_promtool(
    promtool: str, folder: Path, series: Series, questions: list[tuple[str, int]]
) -> dict[tuple[str, int], object]:
    """promtool's answers, read from its complaint that a series which cannot be there is not."""
    lines = ["rule_files: []", "evaluation_interval: 1m", "tests:", f"- interval: {STEP}s", "  input_series:"]
    for name, samples in series.items():
        lines.append(f"  - series: '{name}'")
        lines.append(f"    values: '{' '.join(map(spelled, samples))}'")
    lines.append("  promql_expr_test:")
    for text, t in questions:
        quoted = text.replace("'", "''")
        lines += [f"  - expr: '{quoted}'", f"    eval_time: {t}s", "    exp_samples: [{labels: 'never', value: 1}]"]
    path = folder / "test.yaml"
    path.write_text("\n".join(lines))
    done = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, timeout=300, check=False
    )
    output = done.stdout + done.stderr
    found: dict[tuple[str, int], object] = {}
    pieces = re.split(r"\n\s*expr: ", output)[1:]
    for piece, question in zip(pieces, questions, strict=True):
        if ", err: " in piece.split("\n")[0]:
            found[question] = "error"
            continue
        got = piece.split("got:", 1)[1].strip().split("\n")[0]
        found[question] = read_samples(got)
    return found


def read_samples(text: str) -> dict[frozenset[tuple[str, str]], float]:
    """`[{…} 1E+00, …]`, or nil."""
    if text == "nil":
        return {}
    out = {}
    for metric, value in re.findall(
        r'((?:[a-zA-Z_:][\w:]*)?(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?) ([-+\w.]+)(?:, |\s*$)', text.strip("[]")
    ):
        out[frozenset(labels_of(metric).items())] = float(value.replace("Inf", "inf"))
    return out


def filled(series: Series) -> Engine:
    store = SeriesStore(SAMPLES * STEP + 600)
    ids = np.array([store.intern(labels_of(name)) for name in series])
    rows = list(series.values())
    for position in range(SAMPLES):
        column = [row[position] for row in rows]
        there = [index for index, value in enumerate(column) if value is not None]
        values = np.array([STALE if math.isnan(column[index]) else column[index] for index in there])
        store.append("target", position * STEP, ids[there], values)
    return Engine(store)


def ask_engine(engine: Engine, text: str, t: int) -> object:
    try:
        value = engine.instant(parse(text), t)
    except QueryError:
        return "error"
    if isinstance(value, Scalar):
        return {frozenset(): value.value}
    assert isinstance(value, Vector)
    return {frozenset(labels.items()): number for labels, number in value}


def same(ours: object, theirs: object) -> bool:
    if isinstance(ours, str) or isinstance(theirs, str):
        return ours == theirs
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    return ours.keys() == theirs.keys() and all(close(ours[key], theirs[key]) for key in ours)


def close(ours: float, theirs: float) -> bool:
    if math.isnan(ours) or math.isnan(theirs):
        return math.isnan(ours) and math.isnan(theirs)
    return ours == theirs or math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)


def differences(promtool: str, folder: Path, series: Series, expressions: list[str]) -> list[str]:
    questions = [(text, t) for text in expressions for t in TIMES]
    theirs = ask_promtool(promtool, folder, series, questions)
    engine = filled(series)
    wrong = []
    for question in questions:
        ours = ask_engine(engine, *question)
        if not same(ours, theirs[question]):
            wrong.append(f"{question[0]} at {question[1]}\n  ours   {shown(ours)}\n  theirs {shown(theirs[question])}")
    return wrong


def shown(answer: object) -> str:
    if not isinstance(answer, dict):
        return str(answer)
    return str(sorted((sorted(labels), value) for labels, value in answer.items()))[:600]


@pytest.mark.parametrize(("seed", "gaps"), [(1, False), (2, True)])
def test_the_catalogue_agrees_with_promtool(promtool: str, tmp_path: Path, seed: int, gaps: bool) -> None:
    wrong = differences(promtool, tmp_path, made_up(seed, gaps=gaps), catalogue("catalogue.txt"))
    assert not wrong, "\n".join(wrong)


def test_the_rules_for_agents_agree_with_promtool(promtool: str, tmp_path: Path) -> None:
    expressions = catalogue("agent_rules.txt")
    wrong = differences(promtool, tmp_path, from_rules(expressions, seed=3), expressions)
    assert not wrong, "\n".join(wrong)
