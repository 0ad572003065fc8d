"""No query over no data takes more than its limits, and none raises anything but QueryError."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
import pytest
from differential.data import Taste, made
from differential.generator import Generator, Speech
from differential.ours import fill
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import QueryError
from bot.promql.engine import Engine, Limits
from bot.promql.parse import parse
from bot.promql.store import SeriesStore
from bot.promql.value import Matrix, Vector
from fuzz.hostile import exaggerated, profile

SERIES = 60
STEPS = 300
SAMPLES = 200_000
WILD_TIMES = (0.0, -1e11, 1e11, 1e300, -1e300, float("inf"), float("nan"), 1.0005, 600.0)


@pytest.fixture(scope="module")
def store() -> SeriesStore:
    store = SeriesStore(1e9)
    fill(store, made("fuzz", Taste()))
    return store


def limits() -> Limits:
    """A deadline that comes after so many looks at the clock, so that time plays no part."""
    looks = itertools.count()
    return Limits(samples=SAMPLES, series=SERIES, steps=STEPS, deadline=lambda: next(looks) > 2000)


def within(value: object) -> bool:
    match value:
        case Vector():
            return len(value) < SAMPLES
        case Matrix():
            return sum(len(line.times) for line in value) <= SAMPLES
    return True


@profile
@given(st.integers(0, 1 << 30))
def test_exaggerated_queries_are_answered_or_refused(store: SeriesStore, seed: int) -> None:
    chance = Random(seed)
    question = Generator(f"hostile.{seed}", Speech()).question()
    text = exaggerated(question.query.text(), chance)
    engine = Engine(store, limits=limits())
    try:
        expr = parse(text, experimental=True)
        assert within(engine.instant(expr, chance.choice([question.start_ms / 1000, *WILD_TIMES])))
        start, end = sorted(chance.choices([*WILD_TIMES[:3], 100.0, 900.0, 2e6], k=2))
        step = chance.choice([1e-9, 0.001, 1.0, 60.0, 1e9, 1e300])
        assert within(engine.range(expr, start, end, step, limits()))
    except QueryError:
        return


@pytest.mark.parametrize(
    "text",
    [
        "sum_over_time(g[100y:1ms])",
        "max_over_time(max_over_time(g[10m:1s])[10m:1s])",
        "avg_over_time((sum_over_time(sum_over_time(g[5m:1s])[5m:1s]))[5m:1s])",
        'count_over_time({__name__=~".+"}[290y])',
    ],
)
def test_what_cannot_be_held_is_refused(store: SeriesStore, text: str) -> None:
    with pytest.raises(QueryError):
        Engine(store, limits=limits()).instant(parse(text), 900)


def test_a_deadline_ends_every_query_that_looks_at_more_than_a_little(store: SeriesStore) -> None:
    over = Limits(deadline=lambda: True)
    for text in ("max_over_time(g[10m:1s])", "stddev_over_time(g[20m])", "sum_over_time((g > 1)[20m:5s])"):
        with pytest.raises(QueryError) as error:
            Engine(store).instant(parse(text), 900, over)
        assert error.value.kind == "timeout"


def test_the_samples_of_all_steps_of_a_range_query_count_together(store: SeriesStore) -> None:
    few = Limits(samples=500)
    engine = Engine(store)
    assert len(engine.range(parse("alone"), 100, 200, 10, few)) == 1
    with pytest.raises(QueryError) as error:
        engine.range(parse("g"), 0, 1000, 1, few)
    assert error.value.kind == "execution"
    assert np.isfinite(few.samples)
