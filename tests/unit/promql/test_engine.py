"""Rounds, limits, presence, range evaluation, churn: what scripts cannot say."""

from __future__ import annotations

import math
import random
from threading import Lock, Thread

import numpy as np
import pytest

from bot.errors import QueryError
from bot.promql.cells import STALE
from bot.promql.engine import Engine, Limits
from bot.promql.parse import parse
from bot.promql.store import SeriesStore


def put(store, t, **values):
    ids = np.array([store.intern({"__name__": name}) for name in values])
    store.append("w", t, ids, np.array(list(values.values()), np.float64))


def fleet(agents=3, scrapes=20):
    store = SeriesStore(3600)
    for number in range(agents):
        labels = [{"__name__": "runs", "agent": f"a{number}", "code": code} for code in ("ok", "bad")]
        ids = np.array([store.intern(one) for one in labels])
        for step in range(scrapes):
            store.append(f"t{number}", step * 15 + number, ids, np.array([step * 2.0, step]))
    return store


def one(engine, text, t):
    (found,) = engine.instant(parse(text), t)
    return found[1]


def test_a_round_sees_what_was_written_in_it():
    store = SeriesStore(600)
    engine = Engine(store)
    put(store, 10, x=1)
    with engine.round(20):
        assert one(engine, "x + 1", 20) == 2
        put(store, 20, x=5)
        assert one(engine, "x + 1", 20) == 6
        assert engine.instant(parse("new"), 20).samples == []
        put(store, 20, new=7)
        assert one(engine, "new", 20) == 7
        assert one(engine, '{__name__="new"} + on () x', 20) == 12
        store.mark_stale(20, np.array([store.intern({"__name__": "x"})]))
        assert one(engine, "x", 20) == 5


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("sum by (agent) (rate(a[5m])) / sum by (agent) (rate(b[5m])) > 0.5", []),
        ('histogram_quantile(0.9, a) or -label_replace(b, "x", "$1", "y", "(.*)") or clamp_min(b, 2)', []),
        ("max_over_time((a + b)[5m:1m])", []),
        ("a or vector(3)", [3]),
        ("a * 2 or b or x", [1]),
        ("x unless a", [1]),
        ("absent(a)", [1]),
        ("absent(a) and absent_over_time(b[5m])", [1]),
        ("x + on () group_left () a", []),
        ("x + fill_right(4) a", [5]),
        ("a and x", []),
        ("scalar(a) + vector(1)", [math.nan]),
        ('count_values("value", a)', []),
    ],
)
def test_metrics_that_are_not_there_are_empty_until_they_come(text, values):
    store = SeriesStore(600)
    engine = Engine(store)
    put(store, 20, x=1)
    expr = parse(text, experimental=True)
    np.testing.assert_equal([value for _, value in engine.instant(expr, 20)], values)
    with engine.round(20):
        np.testing.assert_equal([value for _, value in engine.instant(expr, 20)], values)
        before = [value for _, value in engine.instant(parse("absent(a) or b"), 20)]
        put(store, 20, a=7, b=8)
        assert (before, one(engine, "absent(a) or b", 20)) == ([1], 8)


@pytest.mark.parametrize(
    "text", ['label_replace(a, "x", "$1", "y", "(")', 'label_replace(a, "", "$1", "y", "")', "topk(NaN, a)"]
)
def test_what_is_wrong_is_wrong_about_nothing_too(text):
    with pytest.raises(QueryError):
        Engine(SeriesStore(600)).instant(parse(text), 20)


def test_a_sample_after_the_round_changes_nothing_and_costs_nothing():
    store = SeriesStore(600)
    engine = Engine(store)
    put(store, 10, x=1)
    with engine.round(20):
        before = engine.instant(parse("x"), 20)
        put(store, 21, x=2)
        assert engine.instant(parse("x"), 20) is before


def test_a_round_is_over_when_it_is_over():
    store = SeriesStore(600)
    engine = Engine(store)
    put(store, 10, x=1)
    with engine.round(20):
        before = engine.instant(parse("x"), 20)
    assert engine.instant(parse("x"), 20) is not before


def test_scalars_and_strings():
    engine = Engine(SeriesStore(60))
    assert engine.instant(parse("1 + 2"), 5).value == 3
    assert engine.instant(parse('"a\\"b"'), 5).value == 'a"b'


def test_a_range_selector_gives_its_samples():
    engine = Engine(fleet(1, 4))
    (bad, _) = engine.instant(parse("runs[40s]"), 45)
    assert bad.labels == {"__name__": "runs", "agent": "a0", "code": "bad"}
    assert bad.times.tolist() == [15, 30, 45]
    assert bad.values.tolist() == [1, 2, 3]


def test_range_evaluation_lines_up_series_that_come_and_go():
    store = SeriesStore(3600)
    x, y = store.intern({"__name__": "x", "n": "1"}), store.intern({"__name__": "x", "n": "2"})
    for t in (0, 60, 120, 180):
        store.append("w", t, np.array([x]), np.array([float(t)]))
    store.append("w", 240, np.array([x, y]), np.array([STALE, 7.0]))
    matrix = Engine(store).range(parse("x"), 0, 300, 60)
    assert [(s.labels["n"], s.times.tolist(), s.values.tolist()) for s in matrix] == [
        ("1", [0, 60, 120, 180], [0, 60, 120, 180]),
        ("2", [240, 300], [7, 7]),
    ]


def test_range_evaluation_of_a_scalar_is_one_line_without_labels():
    (line,) = Engine(SeriesStore(60)).range(parse("time() * 2"), 10, 30, 10)
    assert (line.labels, line.values.tolist()) == ({}, [20, 40, 60])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((0, 10, 0), "zero or negative"), ((10, 0, 1), "before start"), ((0, 11_000, 1), "maximum resolution")],
)
def test_range_arguments_that_make_no_sense(arguments, words):
    with pytest.raises(QueryError) as error:
        Engine(SeriesStore(60)).range(parse("1"), *arguments)
    assert words in str(error.value)


def test_a_matrix_has_no_range_evaluation():
    with pytest.raises(QueryError) as error:
        Engine(SeriesStore(60)).range(parse("x[5m]"), 0, 10, 1)
    assert "must be scalar or instant vector" in str(error.value)


@pytest.mark.parametrize(
    ("text", "limits", "kind", "words"),
    [
        ("rate(runs[5m])", Limits(samples=50), "execution", "too many samples"),
        ("max_over_time(runs[5m:1s])", Limits(samples=500), "execution", "too many samples"),
        ("max_over_time(runs[290y:1s])", Limits(), "execution", "too many samples"),
        (
            "max_over_time(max_over_time(nothing[1d:1m])[1d:1m])",
            Limits(samples=1_000_000),
            "execution",
            "too many samples",
        ),
        ("runs", Limits(series=5), "execution", "too many series"),
        ("rate(runs[5m])", Limits(series=5), "execution", "too many series"),
        ("sum(runs)", Limits(deadline=lambda: True), "timeout", "timed out"),
    ],
)
def test_limits(text, limits, kind, words):
    with pytest.raises(QueryError) as error:
        Engine(fleet()).instant(parse(text), 290, limits)
    assert error.value.kind == kind
    assert words in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "abs(" * 99 + "runs" + ")" * 99,
        "sum(" * 99 + "runs" + ")" * 99,
        "-" * 99 + "runs",
        "clamp_min(" * 99 + "runs" + ", 1)" * 99,
        "label_replace(" * 99 + "runs" + ', "a", "b", "", "")' * 99,
        "1 + (" * 50 + "runs" + ")" * 50,
        "^".join(["runs"] * 100),
        " or ".join(f'runs{{agent="a{n}"}}' for n in range(250)),
        "sum(" + " + ".join(['runs{agent="a0"}'] * 250) + ")",
    ],
)
def test_deep_and_long_expressions_are_answered(text):
    engine = Engine(fleet())
    for _ in range(2):
        with engine.round(290):
            assert len(engine.instant(parse(text), 290)) >= 1


def test_nested_subqueries_over_nothing_come_to_an_end():
    with pytest.raises(QueryError) as error:
        Engine(SeriesStore(60)).instant(
            parse("max_over_time(" * 50 + "x" + "[5m:1m])" * 50), 290, Limits(samples=100_000)
        )
    assert "too many samples" in str(error.value)


@pytest.mark.parametrize("t", [1e300, -1e300, math.inf, math.nan])
def test_times_that_no_clock_shows(t):
    with pytest.raises(QueryError):
        Engine(SeriesStore(60)).instant(parse("x"), t)


def test_presence_names_the_selectors_that_see_a_live_series_of_the_alert():
    store = fleet(2)
    engine = Engine(store)
    expr = parse('rate(runs{code="bad"}[5m]) > 0 and on (agent) gone or absent(runs)')
    assert engine.presence(expr, {"alertname": "X", "agent": "a0", "severity": "page"}, 290) == (0,)
    assert engine.presence(expr, {"agent": "a9"}, 290) == ()
    assert engine.presence(expr, {"agent": "a0", "code": "ok"}, 290) == ()
    assert engine.presence(expr, {}, 290) == (0,)
    store.mark_stale(291, np.array([store.intern({"__name__": "runs", "agent": "a0", "code": "bad"})]))
    assert engine.presence(expr, {"agent": "a0"}, 292) == ()
    assert engine.presence(expr, {"agent": "a1"}, 292) == (0,)
    assert engine.presence(expr, {"agent": "a1"}, 700) == ()


def test_series_that_join_are_seen_at_once():
    store = fleet(2)
    engine = Engine(store)
    assert one(engine, "count(rate(runs[5m]))", 290) == 4
    ids = np.array([store.intern({"__name__": "runs", "agent": "new", "code": "ok"})])
    for t in (280, 285, 290):
        store.append("late", t, ids, np.array([float(t)]))
    assert one(engine, "count(rate(runs[5m]))", 290) == 5
    assert one(engine, 'sum by (agent) (runs{agent="new"})', 290) == 290


LAYOUTS = ["one", "each", "own", "halves"]
EXPRESSIONS = [
    "x", "rate(x[2m])", "increase(x[5m])", "delta(x[2m])", "irate(x[2m])", "sum_over_time(x[3m])", "resets(x[5m])",
    "quantile_over_time(0.3, x[3m])", "deriv(x[3m])", "avg by (g) (rate(x[1m]))", "last_over_time(x[50s])",
    "max_over_time(sum(rate(x[1m]))[5m:30s])", "timestamp(x)", "count_over_time({n=~\"1|2\"}[4m])",
]  # fmt: skip


def laid_out(layout: str) -> Engine:
    """The same samples every time, in every way a store may come to hold them."""
    chance = random.Random(5)
    store = SeriesStore(400)
    ids = [store.intern({"__name__": "x" if n < 5 else "y", "n": str(n), "g": str(n % 2)}) for n in range(8)]
    for step in range(90):
        t = 1000 + step * 10 + chance.random()
        values, there = [], []
        for series in ids:
            event = chance.random()
            if event < 0.05:
                continue
            there.append(series)
            values.append(float(STALE) if event < 0.07 else math.nan if event < 0.08 else step * chance.random())
        write(store, layout, t, step, np.array(there), np.array(values))
    return Engine(store)


def write(store: SeriesStore, layout: str, t: float, step: int, ids: np.ndarray, values: np.ndarray) -> None:
    match layout:
        case "one":
            store.append("w", t, ids, values)
        case "each":
            for n, series in enumerate(ids.tolist()):
                store.append(f"w{series}", t, ids[n : n + 1], values[n : n + 1])
        case "own":
            store.append_at(ids, np.full(len(ids), t), values)
        case "halves":
            # Series change their writer now and then, and come in two appends.
            odd = ids % 2 == (step // 20) % 2
            store.append("a", t, ids[odd], values[odd])
            store.append("b", t, ids[~odd], values[~odd])


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_the_answer_does_not_depend_on_how_samples_came(text):
    answers = []
    for layout in LAYOUTS:
        engine = laid_out(layout)
        answers.append(
            [
                sorted((sorted(labels.items()), str(value)) for labels, value in engine.instant(parse(text), t))
                for t in (1745.5, 1800, 1895, 1899, 1930)
            ]
        )
    assert any(answers[0])
    assert answers[1:] == [answers[0]] * (len(LAYOUTS) - 1)


def test_appending_while_evaluating():
    """One thread scrapes, forgets and changes series; the other must see whole answers and no error."""
    store = SeriesStore(30, Lock())
    engine = Engine(store)
    problems: list[Exception] = []
    over = False

    def scrape() -> None:
        try:
            for step in range(400):
                names = ["steady"] * 4 + [f"churn-{step // 10}"] * 4
                ids = np.array([store.intern({"__name__": "x", "g": g, "n": str(n)}) for n, g in enumerate(names)])
                store.append("w", step, ids, np.full(8, float(step)))
                if step % 7 == 0:
                    store.forget(step - 20)
        except Exception as error:  # noqa: BLE001 - told to the main thread
            problems.append(error)

    def evaluate() -> None:
        expr = parse('sum by (g) (rate(x{g="steady"}[20s])) and sum by (g) (x) + 0 * max_over_time(count(x)[5s:1s])')
        try:
            while not over:
                with engine.round(t := float(store.appended // 8)):
                    engine.instant(expr, t)
                    engine.instant(parse("count_over_time(x[20s]) / on (n, g) x"), t)
        except Exception as error:  # noqa: BLE001 - told to the main thread
            problems.append(error)

    threads = [Thread(target=scrape), Thread(target=evaluate)]
    for thread in threads:
        thread.start()
    threads[0].join()
    over = True
    threads[1].join()
    assert not problems


def test_a_range_may_read_more_than_one_step_may_hold():
    store = fleet(scrapes=100)
    steps = Engine(store).range(parse("count_over_time(runs[20m])"), 1000, 1480, 1, Limits(samples=5000))
    assert len(steps) == 6
    with pytest.raises(QueryError, match="too many samples"):
        Engine(store).range(parse("count_over_time(runs[20m])"), 1000, 1480, 1, Limits(samples=1000))


def test_overlapping_subqueries_of_a_range_agree_with_instants():
    engine = Engine(fleet(scrapes=100))
    expr = parse("max_over_time(rate(runs[1m])[5m:30s]) + sum_over_time(runs[2m:7s] offset 1m)")
    lines = engine.range(expr, 400, 900, 11)
    for line in lines:
        for t, value in zip(line.times.tolist(), line.values.tolist(), strict=True):
            assert (line.labels, value) in engine.instant(expr, t).samples


def test_what_at_pins_is_the_same_at_every_step_with_that_steps_time():
    engine = Engine(fleet(scrapes=100))
    (line,) = engine.range(parse("sum(runs @ 300) + 0 * time()"), 0, 900, 300)
    assert line.times.tolist() == [0, 300, 600, 900]
    assert line.values.tolist() == [174.0] * 4
    (line,) = engine.range(parse("count(runs @ end())"), 0, 900, 300)
    assert line.times.tolist() == [0, 300, 600, 900]
    (line,) = engine.range(parse("max(predict_linear(runs[5m] @ 300, 0))"), 290, 310, 10)
    assert len(set(line.values.tolist())) == 3
