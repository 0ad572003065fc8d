import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.metrics import layout as layout_module
from bot.metrics.exposition import ExpositionError
from bot.metrics.layout import Layout
from bot.metrics.naming import Naming
from bot.settings import ScrapeLimits

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Series:
    """Stands for the store's intern."""

    def __init__(self, unwanted=()):
        self.labels = []
        self.unwanted = unwanted

    def intern(self, labels):
        if labels["__name__"] in self.unwanted:
            return -1
        if labels not in self.labels:
            self.labels.append(dict(labels))
        return self.labels.index(labels)

    def shown(self, ids, values):
        return {
            self.labels[i]["__name__"]
            + "".join(f" {k}={v}" for k, v in sorted(self.labels[i].items()) if k != "__name__"): float(value)
            for i, value in zip(ids, values, strict=True)
        }


def new(series=None, unwanted=(), **settings):
    series = series or Series(unwanted)
    limits = settings.pop("limits", ScrapeLimits())
    return Layout(Naming(labels={}, limits=limits, **settings), series.intern), series


def read(layout, series, body, content_type=TEXT):
    reading = layout.read(body.encode(), content_type)
    return series.shown(reading.ids, reading.values)


def outcome(layout, series, body, content_type):
    """Everything a body may come to, in a form that compares, NaN included."""
    try:
        reading = layout.read(body.encode(), content_type)
    except ExpositionError as refused:
        return str(refused)
    own = reading.timed
    return (
        sorted((str(series.labels[i]), str(v)) for i, v in zip(reading.ids, reading.values, strict=True)),
        reading.scraped,
        reading.kept,
        []
        if own is None
        else [(str(series.labels[i]), t, str(v)) for i, t, v in zip(own.ids, own.times, own.values, strict=True)],
    )


@pytest.fixture
def full_reads(monkeypatch):
    count = []
    read_page = layout_module.read_page
    monkeypatch.setattr(layout_module, "read_page", lambda *args: count.append(1) or read_page(*args))
    return count


def test_an_unchanged_layout_is_read_without_its_grammar(full_reads):
    layout, series = new()
    assert read(layout, series, '# TYPE a gauge\na{b="c"} 1\nd 2\n') == {"a b=c": 1.0, "d": 2.0}
    assert read(layout, series, '# TYPE a gauge\na{b="c"} 5e3\nd 2\n') == {"a b=c": 5000.0, "d": 2.0}
    assert read(layout, series, '# TYPE a gauge\na{b="c"} NaN\nd +Inf\n')["d"] == math.inf
    assert read(layout, series, '# TYPE a gauge\na{b="c"} 0.25\nd -Inf\n') == {"a b=c": 0.25, "d": -math.inf}
    assert len(full_reads) == 1


def test_ids_are_the_same_array_while_the_layout_is_unchanged():
    layout, _ = new()
    first = layout.read(b"a 1\n", TEXT)
    second = layout.read(b"a 2\n", TEXT)
    assert second.ids is first.ids
    assert first.values.tolist() == [1.0]
    assert second.values.tolist() == [2.0]


def test_exemplars_come_and_go_without_a_full_read(full_reads):
    layout, series = new()
    assert read(layout, series, "a_total 1\n# EOF\n", OPENMETRICS) == {"a_total": 1.0}
    assert read(layout, series, 'a_total 2 # {trace_id="x"} 1 1.5\n# EOF\n', OPENMETRICS) == {"a_total": 2.0}
    assert read(layout, series, "a_total 3\n# EOF\n", OPENMETRICS) == {"a_total": 3.0}
    assert len(full_reads) == 1


@pytest.mark.parametrize("body", ["a 1_0\n", "a \u0663\n", "a  \n", "a 1 x\n", "a\n", "a{} 1 1 1\n", "a 0x1\n"])
def test_a_bad_value_in_a_known_layout_is_refused_and_the_next_good_body_is_read(body):
    layout, series = new()
    read(layout, series, "a 1\n")
    with pytest.raises(ExpositionError):
        layout.read(body.encode(), TEXT)
    assert read(layout, series, "a 3\n") == {"a": 3.0}


def test_the_content_type_may_change_between_scrapes():
    layout, series = new()
    assert read(layout, series, "a 1 5000\n# EOF\n", OPENMETRICS) == {}
    assert layout.read(b"a 1 5000\n# EOF\n", OPENMETRICS).timed.times.tolist() == [5000.0]
    assert layout.read(b"a 1 5000\n# EOF\n", TEXT).timed.times.tolist() == [5.0]


def test_a_changed_type_line_changes_which_created_series_are_kept():
    layout, series = new()
    assert read(layout, series, "# TYPE a gauge\na 1\na_created 2\n") == {"a": 1.0, "a_created": 2.0}
    assert read(layout, series, "# TYPE a summary\na 1\na_created 2\n") == {"a": 1.0}


def test_dropped_samples_may_change_their_values(full_reads):
    layout, series = new()
    body = "# TYPE a summary\na 1\na_created {}\nb 2\n"
    read(layout, series, body.format(1))
    reading = layout.read(body.format(9).encode(), TEXT)
    assert series.shown(reading.ids, reading.values) == {"a": 1.0, "b": 2.0}
    assert (reading.scraped, reading.kept) == (3, 2)
    assert len(full_reads) == 1


def test_samples_nobody_wants_are_counted_but_not_stored():
    layout, series = new(unwanted=("b",))
    for number in (1, 2):
        reading = layout.read(f'a 1\nb{{c="1"}} {number}\nb{{c="2"}} 5\n'.encode(), TEXT)
        assert series.shown(reading.ids, reading.values) == {"a": 1.0}
        assert (reading.scraped, reading.kept) == (3, 3)


@pytest.mark.parametrize(
    "body",
    ["a 1\na 1\n", 'a{b=""} 1\na 2\n', 'a{b="1",c="2"} 1\na{c="2",b="1"} 1\n', "a 1 1000\na 2 1000\n"],
)
@pytest.mark.parametrize("on_duplicate", ["fail", "sum"])
def test_the_same_series_twice_in_a_body_is_always_refused(body, on_duplicate):
    layout, _ = new(on_duplicate=on_duplicate)
    with pytest.raises(ExpositionError, match=r"line 2: .* twice"):
        layout.read(body.encode(), TEXT)


def test_the_same_series_at_other_times_is_no_duplicate():
    layout, _ = new()
    own = layout.read(b"a 2 2000\na 1 1000\n", TEXT).timed
    assert own.times.tolist() == [1.0, 2.0]
    assert own.values.tolist() == [1.0, 2.0]


def test_without_honored_timestamps_it_is_a_duplicate():
    layout, _ = new(honor_timestamps=False)
    with pytest.raises(ExpositionError, match="twice"):
        layout.read(b"a 2 2000\na 1 1000\n", TEXT)


def test_timestamps_that_are_not_honored_are_cut_off(full_reads):
    layout, series = new(honor_timestamps=False)
    assert read(layout, series, "a 1 1000\n") == {"a": 1.0}
    assert read(layout, series, "a 2 2000\n") == {"a": 2.0}
    assert len(full_reads) == 1


def test_series_made_one_by_dropped_labels_are_refused_by_default():
    layout, _ = new(drop_labels=frozenset({"ip"}))
    with pytest.raises(ExpositionError, match="line 2"):
        layout.read(b'a{ip="1"} 1\na{ip="2"} 2\n', TEXT)


def test_series_made_one_by_dropped_labels_are_added_up_on_request():
    layout, series = new(drop_labels=frozenset({"ip"}), on_duplicate="sum")
    body = 'a{{ip="1"}} {}\nb 7\na{{ip="2"}} 2\n'
    assert read(layout, series, body.format(1)) == {"a": 3.0, "b": 7.0}
    assert read(layout, series, body.format(40)) == {"a": 42.0, "b": 7.0}
    reading = layout.read(body.format(1).encode(), TEXT)
    assert (reading.scraped, reading.kept) == (3, 2)


def test_more_samples_than_allowed_are_refused():
    layout, _ = new(limits=ScrapeLimits(samples=2))
    assert layout.read(b"a 1\nb 1\n", TEXT).kept == 2
    with pytest.raises(ExpositionError, match="3 samples, the limit is 2"):
        layout.read(b"a 1\nb 1\nc 1\n", TEXT)


def test_forgetting_looks_series_up_again():
    layout, series = new()
    layout.read(b"a 1\n", TEXT)
    series.labels.insert(0, {})
    layout.forget()
    assert layout.read(b"a 1\n", TEXT).ids.tolist() == [1]


LINES = st.sampled_from(
    [
        "a 1", "a 2", "a NaN", "a 1_0", "a  3", "a 4 1000", "a 4 2000", "a 1 # {} 1", "a", "a x",
        'a{b="c"} 1', 'a{b="c"} 2.5', 'a{b=""} 1', 'a{b="d} 1"} 3', "b 1", "b +Inf", "b_created 3", "b_created 4",
        "# TYPE b summary", "# TYPE b gauge", "# HELP b text 1", "# HELP b text 2", "", "# EOF", "c{} 1",
        'c{ip="1"} 1', 'c{ip="2"} 5',
    ]
)  # fmt: skip


@given(
    st.lists(st.lists(LINES, max_size=5), min_size=1, max_size=5),
    st.sampled_from([TEXT, OPENMETRICS]),
    st.booleans(),
    st.sampled_from(["fail", "sum"]),
)
@settings(max_examples=1500, deadline=None)
def test_the_fast_path_never_differs_from_a_first_reading(bodies, content_type, honor_timestamps, on_duplicate):
    rules = {"honor_timestamps": honor_timestamps, "on_duplicate": on_duplicate, "drop_labels": frozenset({"ip"})}
    warm, series = new(**rules)
    for lines in bodies:
        body = "\n".join(lines) + ("\n# EOF\n" if content_type == OPENMETRICS else "\n")
        cold, _ = new(series, **rules)
        assert outcome(warm, series, body, content_type) == outcome(cold, series, body, content_type)


@given(st.lists(st.floats(), min_size=3, max_size=3), st.lists(st.floats(), min_size=3, max_size=3))
def test_any_float_survives_the_fast_path(first, second):
    layout, _ = new()
    for numbers in (first, second):
        body = "".join(f"m{i} {number!r}\n" for i, number in enumerate(numbers))
        np.testing.assert_array_equal(layout.read(body.encode(), TEXT).values, np.array(numbers))
