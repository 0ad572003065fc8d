"""Runs the scripts beside it, written in the manner of Prometheus' own: load, eval, and what has to come of it."""

from __future__ import annotations

import math
import re  # noqa: TID251 - fixed patterns
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from bot.errors import QueryError
from bot.promql.cells import STALE
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.store import SeriesStore
from bot.promql.value import Scalar, Vector
from bot.schema import parse_duration

Rows = list[tuple[dict[str, str], list[float | None]]]
SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.test"))


@dataclass
class Step:
    line: int
    command: str
    body: list[str] = field(default_factory=list)


def steps_of(text: str) -> list[Step]:
    steps: list[Step] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        if line[0].isspace():
            steps[-1].body.append(line.strip())
        else:
            steps.append(Step(number, line.strip()))
    return steps


def seconds(text: str) -> float:
    return parse_duration(text).total_seconds()


def series(line: str) -> tuple[dict[str, str], list[float | None]]:
    metric, values = re.fullmatch(r'((?:[\w:]+)?(?:\{(?:[^"}]|"[^"]*")*\})?)\s+(.*)', line).groups()
    return labels_of(metric), [value for token in values.split() for value in expanded(token)]


def labels_of(text: str) -> dict[str, str]:
    return {m.name: m.value for m in parse(text).selectors[0].matchers} if text != "{}" else {}


def expanded(token: str) -> list[float | None]:
    """`3`, `_`, `stale`, or `1+2x3`: four values from 1 in steps of 2."""
    if token in {"_", "stale"}:
        return [None if token == "_" else float(STALE)]
    run = re.fullmatch(r"([-\d.e]+)([-+][\d.e]+)x(\d+)", token)
    if run is None:
        return [float(token)]
    start, step, count = float(run[1]), float(run[2]), int(run[3])
    return [start + step * number for number in range(count + 1)]


class Bench:
    def __init__(self, shared: bool) -> None:
        self.shared = shared
        self.store = SeriesStore(1e9)

    def run(self, step: Step) -> None:
        words = step.command.split()
        match words:
            case ["clear"]:
                self.store = SeriesStore(1e9)
            case ["load", interval]:
                self.load(seconds(interval), [series(line) for line in step.body])
            case ["eval" | "eval_ordered", "instant", "at", t, *_]:
                got = self.instant(step.command.split(t, 1)[1], seconds(t))
                self.compare(got, [series(line) for line in step.body], ordered=words[0] == "eval_ordered")
            case ["eval_fail", "instant", "at", t, *_]:
                with pytest.raises(QueryError) as error:
                    self.instant(step.command.split(t, 1)[1], seconds(t))
                assert step.body[0] in str(error.value)
            case ["eval", "range", "from", start, "to", end, "step", width, *_]:
                text = step.command.split(f"step {width}", 1)[1]
                self.compare(
                    self.range(text, seconds(start), seconds(end), seconds(width)),
                    [series(line) for line in step.body],
                )
            case _:
                raise AssertionError(f"unknown command: {step.command}")

    def load(self, interval: float, rows: Rows) -> None:
        """All series of one writer, or every series with times of its own: the answers have to be the same."""
        ids = np.array([self.store.intern(labels) for labels, _ in rows])
        for position in range(max(len(values) for _, values in rows)):
            there = [n for n, (_, values) in enumerate(rows) if position < len(values) and values[position] is not None]
            values = np.array([rows[n][1][position] for n in there], np.float64)
            if self.shared:
                self.store.append("writer", position * interval, ids[there], values)
            else:
                self.store.append_at(ids[there], np.full(len(there), position * interval), values)

    def instant(self, text: str, t: float) -> Rows:
        value = Engine(self.store).instant(parse(text, experimental=True), t)
        if isinstance(value, Scalar):
            return [({}, [value.value])]
        assert isinstance(value, Vector)
        return [(labels, [number]) for labels, number in value]

    def range(self, text: str, start: float, end: float, width: float) -> Rows:
        matrix = Engine(self.store).range(parse(text, experimental=True), start, end, width)
        times = np.arange(start, end + width / 2, width)
        rows: Rows = []
        for line in matrix:
            found = dict(zip(line.times.tolist(), line.values.tolist(), strict=True))
            rows.append((line.labels, [found.get(t) for t in times.tolist()]))
        return rows

    @staticmethod
    def compare(got: Rows, wanted: Rows, *, ordered: bool = False) -> None:
        if not ordered:
            got, wanted = (sorted(rows, key=lambda row: sorted(row[0].items())) for rows in (got, wanted))
        assert [labels for labels, _ in got] == [labels for labels, _ in wanted]
        for (labels, have), (_, want) in zip(got, wanted, strict=True):
            assert all(map(same, have, want)), f"{labels}: {have} instead of {want}"


def same(have: float | None, want: float | None) -> bool:
    if have is None or want is None:
        return have is want
    return (math.isnan(have) and math.isnan(want)) or have == want or math.isclose(have, want, rel_tol=1e-12)


@pytest.mark.parametrize("shared", [True, False], ids=["one-writer", "own-times"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script: Path, shared: bool) -> None:
    bench = Bench(shared)
    for step in steps_of(script.read_text()):
        try:
            bench.run(step)
        except (AssertionError, QueryError) as error:
            raise AssertionError(f"{script.name}:{step.line} {step.command}\n{error}") from error
