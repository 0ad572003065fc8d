import contextlib
import math

import prometheus_client.openmetrics.parser as openmetrics_peer
import prometheus_client.parser as text_peer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from bot.metrics.exposition import ExpositionError, parse
from bot.settings import ScrapeLimits

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
LIMITS = ScrapeLimits()


def ours(body, content_type=TEXT, limits=LIMITS):
    return [
        (s.name, s.labels, "NaN" if math.isnan(s.value) else s.value, s.timestamp)
        for s in parse(body.encode(), content_type, limits)
    ]


def peers(body, content_type=TEXT):
    peer = openmetrics_peer if content_type == OPENMETRICS else text_peer
    return [
        (
            s.name,
            s.labels,
            "NaN" if math.isnan(s.value) else float(s.value),
            None if s.timestamp is None else float(s.timestamp),
        )
        for family in peer.text_string_to_metric_families(body)
        for s in family.samples
    ]


def value_of(number):
    return parse(f"a {number}\n".encode(), TEXT, LIMITS)[0].value


# What prometheus_client reads, we read the same

names = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,12}", fullmatch=True)
label_names = st.from_regex(r"[a-z][a-zA-Z0-9_]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
awkward = st.text(st.sampled_from('\\"n\n,={}# \t\u2028é'), max_size=8)
label_sets = st.dictionaries(label_names, texts | awkward, max_size=3)
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["NaN", "+Inf", "-Inf", "Inf", "1e+06", "1E-7", "+5", "-0", "0.", "5e3"]),
)


def escaped(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def series(name, labels):
    inside = ",".join(f'{key}="{escaped(value)}"' for key, value in labels.items())
    return f"{name}{{{inside}}}" if inside else name


@st.composite
def text_lines(draw):
    kind = draw(st.sampled_from(["sample", "sample", "sample", "timed", "help", "type", "comment", "blank", "utf8"]))
    name = draw(names)
    match kind:
        case "help":
            return f"# HELP {name} {draw(texts).replace(chr(10), ' ')}"
        case "type":
            return f"# TYPE {name} {draw(st.sampled_from(['gauge', 'histogram', 'summary', 'untyped']))}"
        case "comment":
            return f"# {draw(texts).replace(chr(10), ' ')} nothing"
        case "blank":
            return draw(st.sampled_from(["", " ", "\t"]))
        case "utf8":
            quoted = draw(st.from_regex(r"[a-z]+[.é/ ][a-z]+", fullmatch=True))
            return f'{{"{quoted}","k.{name}"="{escaped(draw(texts))}"}} {draw(numbers)}'
    line = f"{series(name, draw(label_sets))} {draw(numbers)}"
    return line if kind == "sample" else f"{line} {draw(st.integers(-(10**12), 10**14))}"


@given(st.lists(text_lines(), max_size=12))
@settings(max_examples=300, deadline=None)
def test_text_is_read_as_prometheus_client_reads_it(lines):
    body = "\n".join(lines) + "\n"
    assert ours(body) == peers(body)


@st.composite
def openmetrics_bodies(draw):
    lines = []
    for name in draw(st.lists(names.map(lambda n: f"{n}_x"), unique=True, max_size=5)):
        kind = draw(st.sampled_from(["gauge", "counter", "unknown", None]))
        suffix = "_total" if kind == "counter" else ""
        if kind:
            lines += [f"# TYPE {name} {kind}", f"# HELP {name} {escaped(draw(texts))}."]
        for labels in draw(
            st.lists(label_sets, unique_by=lambda each: str(sorted(each.items())), min_size=1, max_size=3)
        ):
            value = (
                draw(st.floats(0, 1e12).map(repr))
                if kind == "counter"
                else draw(numbers.filter(lambda n: n[-1] != "f" or n[0] in "+-"))
            )
            time = draw(st.sampled_from(["", " 1600000000", " 1600000000.125", " 1.6e9"]))
            exemplar = ""
            if kind == "counter":
                exemplar = draw(st.sampled_from(["", ' # {trace_id="a b } # c"} 0.5', " # {} 1 1600000000.5"]))
            lines.append(f"{series(name + suffix, labels)} {value}{time}{exemplar}")
    return "\n".join([*lines, "# EOF"]) + "\n"


@given(openmetrics_bodies())
@settings(max_examples=150, deadline=None)
def test_openmetrics_is_read_as_prometheus_client_reads_it(body):
    assert ours(body, OPENMETRICS) == peers(body, OPENMETRICS)


@pytest.fixture
def registry():
    registry = CollectorRegistry()
    counter = Counter("runs", 'Runs\\of "x"\nand y', ["agent", "outcome"], registry=registry)
    counter.labels("refund", 'a "quoted" \\ back\nline').inc(3, {"trace_id": "abc"})
    Gauge("temperature", "", registry=registry).set(float("-inf"))
    Gauge("nothing", "", registry=registry).set(float("nan"))
    histogram = Histogram("latency_seconds", "", ["le_not"], registry=registry)
    histogram.labels("x").observe(0.3, {"trace_id": "def"})
    Summary("size_bytes", "", registry=registry).observe(1e9)
    Info("build", "", registry=registry).info({"version": "1.2"})
    Enum("mode", "", states=["on", "off"], registry=registry).state("off")
    return registry


def test_all_kinds_of_metrics_of_prometheus_client_in_text(registry):
    body = generate_latest(registry).decode()
    assert ours(body) == peers(body)
    assert ("runs_total", {"agent": "refund", "outcome": 'a "quoted" \\ back\nline'}, 3.0, None) in ours(body)


def test_all_kinds_of_metrics_of_prometheus_client_in_openmetrics_with_exemplars(registry):
    body = generate_openmetrics(registry).decode()
    assert ' # {trace_id="abc"} 3.0 ' in body
    assert ours(body, OPENMETRICS) == peers(body, OPENMETRICS)


# Details, after Prometheus' model/textparse


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('a{b="c"} 1', ("a", {"b": "c"}, 1.0, None)),
        ('a {b="c"} 1', ("a", {"b": "c"}, 1.0, None)),
        ('a { b = "c" , d = "e" , } 1', ("a", {"b": "c", "d": "e"}, 1.0, None)),
        ("a{} 1", ("a", {}, 1.0, None)),
        ("  a\t1\t1500", ("a", {}, 1.0, 1.5)),
        ("a 1 -1500", ("a", {}, 1.0, -1.5)),
        ("a 1\r", ("a", {}, 1.0, None)),
        (r'a{b="\\n\d\""} 1', ("a", {"b": r"\n\d" + '"'}, 1.0, None)),
        ('a{b="} 2"} 1', ("a", {"b": "} 2"}, 1.0, None)),
        ('{"gen_ai.usage","x.y"="z"} 1', ("gen_ai.usage", {"x.y": "z"}, 1.0, None)),
        ('a{b=""} 1', ("a", {"b": ""}, 1.0, None)),
    ],
)
def test_one_line_of_text(line, expected):
    assert ours(line) == [expected]


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("a 1\nb{c} 2\n", 2, "label without a value"),
        ("a\n", 1, "expected a value"),
        ("a 1 2 3\n", 1, "expected a value"),
        ("a 1 1.5\n", 1, "expected a value"),
        ("a1.5\n", 1, "expected a value"),
        ("a 0x10\n", 1, "not a number"),
        ("a 1_000\n", 1, "not a number"),
        ("a \u0663\n", 1, "not a number"),
        ("a one\n", 1, "not a number"),
        ("<html><body>\n", 1, "expected a metric name"),
        ('{"error": "not found"}\n', 1, "cannot read the labels"),
        ('a{b="c",b="d"} 1\n', 1, "'b'"),
        ('a{__name__="b"} 1\n', 1, "'__name__'"),
        ('a{"b"} 1\n', 1, "one metric name"),
        ('{b="c"} 1\n', 1, "one metric name"),
        ('{"b","c"} 1\n', 1, "without a value"),
        ('a{b="c} 1\n', 1, "cannot read the labels"),
        ('a{b="c"\n', 1, "cannot read the labels"),
        ("# TYPE a meter\n", 1, "unknown metric type"),
        ("# TYPE a\n", 1, "unknown metric type"),
        ("# HELP 1a text\n", 1, "no metric name"),
        ('a 1 # {t="x"} 1\n', 1, "expected a value"),
    ],
)
def test_a_bad_line_of_text_refuses_the_whole_body_and_is_named(body, line, words):
    with pytest.raises(ExpositionError, match=words) as refused:
        parse(body.encode(), TEXT, LIMITS)
    assert refused.value.line == line


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("a 1\n", 0, "# EOF"),
        ("a 1\n# EOF\nb 1\n# EOF\n", 3, "data after"),
        ("a 1\n\n# EOF\n", 2, "blank"),
        ("a  1\n# EOF\n", 1, "a blank and a value"),
        ("a 1 \n# EOF\n", 1, "unexpected"),
        ("a 1 NaN\n# EOF\n", 1, "not a timestamp"),
        ("a 1 +Inf\n# EOF\n", 1, "not a timestamp"),
        ("# a comment\n# EOF\n", 1, "only HELP"),
        ("# TYPE a untyped\n# EOF\n", 1, "unknown metric type"),
        ("# UNIT a seconds\n# EOF\n", 1, "unit"),
        ('a_total 1 # {t="x"}\n# EOF\n', 1, "exemplar"),
        ('a_total 1 # {t="x} 1\n# EOF\n', 1, "labels"),
        ("a_total 1 # {} 1 2 3\n# EOF\n", 1, "exemplar"),
    ],
)
def test_a_bad_line_of_openmetrics_refuses_the_whole_body(body, line, words):
    with pytest.raises(ExpositionError, match=words) as refused:
        parse(body.encode(), OPENMETRICS, LIMITS)
    assert refused.value.line == line


@pytest.mark.parametrize("content_type", ["", "text/html", "application/json", "text/plain; version=0.0.4", "nonsense"])
def test_anything_but_openmetrics_is_read_as_text(content_type):
    assert parse(b"a 1 2000\n", content_type, LIMITS)[0].timestamp == 2.0


def test_openmetrics_timestamps_are_seconds():
    assert parse(b"a 1 2000\n# EOF\n", "Application/OpenMetrics-Text;version=0.0.1", LIMITS)[0].timestamp == 2000.0


def test_protobuf_is_refused():
    with pytest.raises(ExpositionError, match="protobuf"):
        parse(b"", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily", LIMITS)


def test_an_empty_text_body_has_no_samples():
    assert parse(b"", TEXT, LIMITS) == []


def test_text_that_is_not_utf8_is_refused_with_its_line():
    with pytest.raises(ExpositionError, match="UTF-8") as refused:
        parse(b'a 1\nb{c="\xff"} 1\n', TEXT, LIMITS)
    assert refused.value.line == 2


def test_a_body_over_the_limit_is_refused():
    assert len(parse(b"a 123\n", TEXT, ScrapeLimits(body_size=6))) == 1
    with pytest.raises(ExpositionError, match="7 bytes"):
        parse(b"a 1234\n", TEXT, ScrapeLimits(body_size=6))


def test_many_empty_lines_are_refused_before_anything_is_built_from_them():
    with pytest.raises(ExpositionError, match="lines"):
        parse(b"\n" * 10_000_000, TEXT, LIMITS)


# Nothing but ExpositionError ever comes out


@given(st.binary(max_size=200), st.sampled_from([TEXT, OPENMETRICS, ""]))
@settings(max_examples=500, deadline=None)
def test_random_bytes_are_read_or_refused(body, content_type):
    read_or_refused(body, content_type)


ALPHABET = [
    "a",
    "le",
    "{",
    "}",
    '"',
    "\\",
    "=",
    ",",
    " ",
    "\t",
    "\n",
    "#",
    "# EOF",
    "# TYPE ",
    "# HELP ",
    "# {",
    "1",
    "NaN",
    "+Inf",
    "1e9",
    "_",
    ".",
    "\r",
    "é",
    "\x00",
    '{"',
    '"}',
]


@given(st.lists(st.sampled_from(ALPHABET), max_size=40).map("".join), st.sampled_from([TEXT, OPENMETRICS]))
@settings(max_examples=1000, deadline=None)
def test_near_misses_are_read_or_refused(body, content_type):
    read_or_refused(body.encode(), content_type)
    read_or_refused(body.encode() + b"\n# EOF\n", content_type)


def read_or_refused(body, content_type):
    with contextlib.suppress(ExpositionError):
        parse(body, content_type, LIMITS)


def test_a_long_line_of_quotes_is_refused_in_linear_time():
    body = b'a{b="' + b'\\"' * 2_000_000 + b"} 1\n"
    with pytest.raises(ExpositionError):
        parse(body, TEXT, LIMITS)
