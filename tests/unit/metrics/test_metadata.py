"""TYPE, HELP and UNIT lines on their way to /api/v1/metadata."""

from __future__ import annotations

from bot.metrics.exposition import Dialect, read_page
from bot.metrics.layout import Layout
from bot.metrics.metadata import MAX_HELP, Family, families, metadata_json
from bot.metrics.naming import Naming
from bot.settings import ScrapeLimits

RUNS = Family("runs", "counter", "Runs.", "")
OTHER_RUNS = Family("runs", "counter", "Runs of an agent.", "")
TEMPERATURE = Family("heat", "gauge", "", "celsius")


def read(text: str, dialect: Dialect = Dialect.TEXT) -> tuple[Family, ...]:
    page = read_page(text.removesuffix("\n").split("\n"), dialect)
    return families(page.types, page.helps, page.units)


def test_the_text_format():
    page = "# HELP a Line one\\nline two, a \\\\ and a \\q.\n# TYPE a counter\na 1\n"
    page += "# TYPE b untyped\n# HELP c\nc 1\n# hello\n"
    assert read(page) == (
        Family("a", "counter", "Line one\nline two, a \\ and a \\q.", ""),
        Family("b", "unknown", "", ""),
        Family("c", "unknown", "", ""),
    )


def test_openmetrics():
    page = "# TYPE heat_celsius gauge\n# UNIT heat_celsius celsius\n"
    page += '# HELP heat_celsius Say \\"warm\\".\nheat_celsius 1\n# EOF\n'
    assert read(page, Dialect.OPENMETRICS) == (Family("heat_celsius", "gauge", 'Say "warm".', "celsius"),)


def test_a_long_help_is_cut():
    (family,) = read(f"# HELP a {'x' * 5000}\n")
    assert len(family.help) == MAX_HELP


def test_targets_that_agree_share_one_copy():
    assert read("# TYPE a gauge\n") is read("# TYPE a gauge\n")


def test_a_layout_knows_what_its_last_page_said():
    layout = Layout(Naming({}, ScrapeLimits()), lambda _: 1)
    layout.read(b"# TYPE a gauge\na 1\n", "text/plain")
    layout.read(b"# TYPE a gauge\na 2\n", "text/plain")
    assert [family.type for family in layout.families] == ["gauge"]
    layout.read(b"# TYPE a counter\na 2\n", "text/plain")
    assert [family.type for family in layout.families] == ["counter"]


def test_each_different_thing_said_is_shown_once():
    assert metadata_json([(RUNS, TEMPERATURE), (RUNS,), (OTHER_RUNS,)]) == {
        "runs": [
            {"type": "counter", "help": "Runs.", "unit": ""},
            {"type": "counter", "help": "Runs of an agent.", "unit": ""},
        ],
        "heat": [{"type": "gauge", "help": "", "unit": "celsius"}],
    }


def test_limits():
    pages = [(RUNS, TEMPERATURE), (OTHER_RUNS,)]
    assert list(metadata_json(pages, limit=1)) == ["runs"]
    assert metadata_json(pages, limit=0) == {}
    assert [len(said) for said in metadata_json(pages, limit_per_metric=1).values()] == [1, 1]
    assert list(metadata_json(pages, metric="heat")) == ["heat"]
