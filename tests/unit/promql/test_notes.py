"""What an evaluation remarks, word for word as in Prometheus."""

from __future__ import annotations

import numpy as np
import pytest

from bot.promql.engine import Engine
from bot.promql.notes import Notes
from bot.promql.parse import parse
from bot.promql.store import SeriesStore

SERIES = [
    ({"__name__": "jobs"}, [1, 2, 3]),
    ({"__name__": "jobs_total"}, [1, 2, 3]),
    ({"__name__": "gone"}, [1]),
    ({"__name__": "h_bucket", "le": "1"}, [5, 5, 5]),
    ({"__name__": "h_bucket", "le": "2"}, [3, 3, 3]),
    ({"__name__": "h_bucket", "le": "+Inf"}, [9, 9, 9]),
    ({"__name__": "odd_bucket", "le": "x"}, [1, 1, 1]),
]


@pytest.fixture(scope="module")
def engine():
    store = SeriesStore(1e9)
    for labels, values in SERIES:
        ids = np.array([store.intern(labels)])
        for position, value in enumerate(values):
            store.append_at(ids, np.array([position * 60.0]), np.array([float(value)]))
    return Engine(store)


def noted(engine: Engine, text: str) -> tuple[list[str], list[str]]:
    notes = Notes()
    engine.instant(parse(text, experimental=True), 120, notes=notes)
    return list(notes.warnings), list(notes.infos)


QUANTILE = "PromQL warning: quantile value should be between 0 and 1, got "
COUNTER = "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "


@pytest.mark.parametrize(
    ("text", "warnings", "infos"),
    [
        ("rate(jobs_total[5m])", [], []),
        ("rate(jobs[5m]) + increase(jobs[5m])", [], [COUNTER + '"jobs"']),
        ("increase(jobs[5m:1m])", [], [COUNTER + '"jobs"']),
        ("rate(gone[1m])", [], []),
        ("delta(jobs[5m])", [], []),
        ("quantile(1.5, jobs)", [QUANTILE + "1.5"], []),
        ("quantile(NaN, jobs)", [QUANTILE + "NaN"], []),
        ("quantile_over_time(-1, jobs[5m])", [QUANTILE + "-1"], []),
        ("quantile_over_time(-1, missing[5m])", [], []),
        ("histogram_quantile(-Inf, missing)", [QUANTILE + "-Inf"], []),
        ("histogram_quantile(1000000, missing)", [QUANTILE + "1e+06"], []),
        (
            "histogram_quantile(0.5, h_bucket)",
            [],
            [
                "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
                "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) "
                'for metric name ""'
            ],
        ),
        (
            "histogram_fraction(0, 1, odd_bucket)",
            [
                'PromQL warning: bucket label "le" is missing or has a malformed value of "x" '
                'for metric name "odd_bucket"',
            ],
            [],
        ),
        (
            "limit_ratio(-2, jobs)",
            ["PromQL warning: ratio value should be between -1 and 1, got -2, capping to -1"],
            [],
        ),
        (
            "limit_ratio(2, missing)",
            ["PromQL warning: ratio value should be between -1 and 1, got 2, capping to 1"],
            [],
        ),
        # Every step of a subquery counts, the values farthest out are told, each way.
        ("(quantile(time(), jobs))[1m:20s]", [QUANTILE + "120"], []),
        ("(quantile(100 - time(), jobs))[1m:20s]", [QUANTILE + "20", QUANTILE + "-20"], []),
        ("quantile(2, jobs) + quantile(3, jobs)", [QUANTILE + "2", QUANTILE + "3"], []),
    ],
)
def test_remarks(engine, text, warnings, infos):
    assert noted(engine, text) == (warnings, infos)


def test_every_remark_is_made_once_in_a_range(engine):
    notes = Notes()
    engine.range(parse("rate(jobs[5m])"), 60, 120, 15, notes=notes)
    assert list(notes.infos) == [COUNTER + '"jobs"']


def test_remarks_are_not_lost_in_a_round_that_knows_the_answer(engine):
    with engine.round(120):
        engine.instant(parse("rate(jobs[5m])"), 120)
        assert noted(engine, "rate(jobs[5m])") == ([], [COUNTER + '"jobs"'])
