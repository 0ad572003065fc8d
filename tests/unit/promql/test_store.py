"""What the store accepts, refuses, keeps and forgets."""

from __future__ import annotations

import numpy as np
import pytest

from bot.promql.cells import STALE
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.store import SeriesStore


def put(store, t, writer="w", **values):
    ids = np.array([store.intern({"__name__": name}) for name in values])
    return store.append(writer, t, ids, np.array(list(values.values()), np.float64))


def ask(store, text, t):
    return {labels.get("__name__", "") or str(labels): value for labels, value in Engine(store).instant(parse(text), t)}


def raw(store, name, t=1e6, back="1y"):
    found = list(Engine(store).instant(parse(f"{name}[{back}]"), t))
    return list(zip(found[0].times.tolist(), found[0].values.tolist(), strict=True)) if found else []


def test_an_id_stands_for_a_label_set_whatever_its_order():
    store = SeriesStore(600)
    one = store.intern({"__name__": "x", "a": "1", "b": "2"})
    assert store.intern({"b": "2", "a": "1", "__name__": "x"}) == one
    assert store.intern({"__name__": "x", "a": "2", "b": "1"}) != one
    assert store.labels_of(one) == {"__name__": "x", "a": "1", "b": "2"}


def test_older_and_repeated_samples_are_rejected_and_counted():
    store = SeriesStore(600)
    assert put(store, 100, x=1, y=1).accepted == 2
    assert put(store, 100, x=2).rejected == 1
    assert put(store, 90, x=3).rejected == 1
    assert put(store, 110, x=4).accepted == 1
    assert store.rejected == 2
    assert raw(store, "x") == [(100, 1), (110, 4)]


def test_times_are_kept_to_the_millisecond():
    store = SeriesStore(600)
    put(store, 100.0004, x=1)
    assert put(store, 100.00049, x=2).rejected == 1
    assert put(store, 100.001, x=3).accepted == 1
    assert raw(store, "x") == [(100, 1), (100.001, 3)]


def test_a_second_append_at_the_same_time_adds_other_series():
    store = SeriesStore(600)
    ids = np.array([store.intern({"__name__": "x", "n": str(n)}) for n in range(4)])
    for t in (10, 20, 30):
        store.append("w", t, ids[:2], np.array([t, t + 1.0]))
        assert store.append("w", t, ids[2:], np.array([t + 2.0, t + 3.0])).accepted == 2
    values = [value for _, value in Engine(store).instant(parse("sum_over_time(x[1m])"), 30)]
    assert values == [60, 63, 66, 69]
    assert [value for _, value in Engine(store).instant(parse("increase(x[1m])"), 30)] == [25, 25, 25, 25]


def test_a_series_may_move_from_one_writer_to_another():
    store = SeriesStore(600)
    for t in (10, 20, 30):
        put(store, t, "old", x=t, y=-t)
    assert put(store, 25, "new", x=0).rejected == 1
    for t in (35, 45):
        assert put(store, t, "new", x=t).accepted == 1
    put(store, 40, "old", y=-40)
    assert raw(store, "x") == [(10, 10), (20, 20), (30, 30), (35, 35), (45, 45)]
    assert raw(store, "y") == [(10, -10), (20, -20), (30, -30), (40, -40)]
    assert ask(store, "x", 50) == {"x": 45}


def test_a_series_that_is_behind_its_writer_may_still_be_in_order():
    store = SeriesStore(600)
    put(store, 10, x=1, y=1)
    put(store, 20, y=2)
    assert put(store, 15, x=2).accepted == 1
    assert raw(store, "x") == [(10, 1), (15, 2)]
    assert raw(store, "y") == [(10, 1), (20, 2)]


def test_samples_with_times_of_their_own():
    store = SeriesStore(600)
    x, y = store.intern({"__name__": "x"}), store.intern({"__name__": "y"})
    done = store.append_at(np.array([x, y, x, x]), np.array([10, 11, 12, 9]), np.array([1.0, 2, 3, 4]))
    assert (done.accepted, done.rejected) == (3, 1)
    assert raw(store, "x") == [(10, 1), (12, 3)]
    assert raw(store, "y") == [(11, 2)]


def test_a_stale_marker_ends_a_series_where_it_stands():
    store = SeriesStore(600)
    x = store.intern({"__name__": "x"})
    for t in (10, 20):
        put(store, t, x=t, y=t)
    store.mark_stale(30, np.array([x]))
    assert ask(store, '{__name__=~"x|y"}', 31) == {"y": 20}
    put(store, 40, x=40, y=40)
    assert raw(store, "x") == [(10, 10), (20, 20), (40, 40)]
    assert raw(store, "y") == [(10, 10), (20, 20), (40, 40)]


def test_a_stale_marker_at_the_time_of_a_scrape_spares_what_the_scrape_brought():
    store = SeriesStore(600)
    put(store, 10, x=1, y=1)
    put(store, 20, x=2)
    ids = np.array([store.intern({"__name__": name}) for name in "xy"])
    store.mark_stale(20, ids)
    assert ask(store, '{__name__=~"x|y"}', 20) == {"x": 2}


def test_a_stale_marker_in_an_append_is_a_marker():
    store = SeriesStore(600)
    put(store, 10, x=1)
    put(store, 20, x=STALE)
    assert ask(store, "x", 20) == {}
    assert raw(store, "x") == [(10, 1)]


def test_an_id_that_was_forgotten_is_told_to_the_writer():
    store = SeriesStore(600)
    x = store.intern({"__name__": "x"})
    put(store, 0, x=1)
    put(store, 5000, y=1)
    store.forget(1000)
    assert store.append("w", 5010, np.array([x, -1]), np.array([1.0, 2])).unknown == 1
    assert put(store, 5020, x=2).accepted == 1
    assert raw(store, "x", 5020) == [(5020, 2)]


def test_unwanted_names_are_not_kept():
    store = SeriesStore(600)
    put(store, 10, x=1, y=1)
    epoch = store.epoch
    store.keep({"y"})
    assert store.epoch > epoch
    assert store.intern({"__name__": "x"}) == -1
    put(store, 20, y=2)
    assert raw(store, "x") == []
    assert raw(store, "y") == [(10, 1), (20, 2)]
    store.keep(None)
    assert put(store, 30, x=3).accepted == 1


@pytest.mark.parametrize("interval", [1, 15, 60])
def test_the_ring_holds_its_retention_and_not_much_more(interval):
    store = SeriesStore(900)
    for step in range(4000):
        put(store, 1000 + step * interval, x=step)
    newest = 1000 + 3999 * interval
    kept = raw(store, "x", newest, "15m")
    assert len(kept) == 900 // interval
    assert kept[-1] == (newest, 3999)
    assert kept[0] == (newest - 900 + interval, 3999 - 900 // interval + 1)
    assert store.blocks["x"][0].slots <= 960 // interval + 10


def test_one_metric_may_be_kept_longer_than_the_others():
    store = SeriesStore(300)
    store.set_retention(300, {"long": 3000})
    for step in range(400):
        put(store, step * 10, long=step, short=step)
    assert len(raw(store, "long", 3990, "50m")) == 300
    assert store.blocks["short"][0].slots < 50


def test_writers_of_different_pace_share_a_metric():
    store = SeriesStore(1000)
    fast, slow = (store.intern({"__name__": "x", "pace": pace}) for pace in ("fast", "slow"))
    for t in range(2000):
        store.append("fast", t, np.array([fast]), np.array([t]))
        if t % 60 == 7:
            store.append("slow", t, np.array([slow]), np.array([t]))
    counts = {labels["pace"]: n for labels, n in Engine(store).instant(parse("count_over_time(x[10m])"), 1999)}
    assert counts == {"fast": 600, "slow": 10}
    assert {n for _, n in Engine(store).instant(parse("rate(x[10m])"), 1999)} == {1.0}


def test_memory_of_dead_series_is_given_back():
    store = SeriesStore(60)
    for generation in range(300):
        labels = [{"__name__": "runs", "run": f"{generation}-{n}", "steady": "no"} for n in range(50)]
        ids = np.array([store.intern({"__name__": "runs", "run": "always"}), *map(store.intern, labels)])
        for step in range(3):
            store.append("w", generation * 30 + step * 10, ids, np.arange(51.0))
        store.mark_stale(generation * 30 + 25, ids[1:])
    assert len(store) < 1000
    assert store.series_known < 1000
    assert store.bytes_used < 1e6
    assert len(store.pool) < 25_000
    assert len(raw(store, 'runs{run="always"}', 9000, "2m")) == 11


def test_a_pool_full_of_garbage_is_replaced_and_nobody_notices():
    store = SeriesStore(60)
    engine = Engine(store)
    for generation in range(120):
        labels = [{"__name__": "runs", "run": f"{generation}-{n}"} for n in range(500)]
        ids = np.array([store.intern({"__name__": "runs", "run": "always"}), *map(store.intern, labels)])
        other = np.array([store.intern({"__name__": "cap", "run": "always"})])
        store.append("w", generation * 30, ids, np.full(501, 2.0))
        store.append("w", generation * 30, other, np.array([4.0]))
        found = engine.instant(parse('runs{run="always"} / on (run) cap'), generation * 30)
        assert found.samples == [({"run": "always"}, 0.5)]
        assert len(engine.instant(parse("runs"), generation * 30)) > 500
    assert len(store.pool) < 40_000


def test_a_metric_that_was_dropped_may_come_back():
    store = SeriesStore(60)
    put(store, 10, x=1)
    put(store, 10, other=1)
    put(store, 1000, other=1)
    assert "x" not in store.blocks or store.forget() >= 0
    store.forget()
    assert "x" not in store.blocks
    for t in (1010, 1020):
        assert put(store, t, x=t).accepted == 1
    assert raw(store, "x", 1020) == [(1010, 1010), (1020, 1020)]


def test_ids_that_nobody_wrote_to_are_forgotten_later():
    store = SeriesStore(60)
    store.intern({"__name__": "x"})
    put(store, 1, y=1)
    store.forget(0)
    assert store.series_known == 2
    store.forget(0)
    store.forget(0)
    assert store.series_known == 1
