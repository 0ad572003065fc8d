"""The postmortem skeleton: what it holds, and that data formats nothing."""

from __future__ import annotations

import pytest
from core_world import BOOK, NOW, after, alert, ended, observe, opened
from hypothesis import given
from hypothesis import strategies as st

from bot.audit.model import Entry
from bot.incidents import people
from bot.incidents.model import Suppression, SuppressionKind
from bot.incidents.promises import timed
from bot.paging.model import Page, PageKind, PageState
from bot.records.markdown import postmortem, table, text
from bot.records.timeline import story


def exported(entries=(), pages=(), incident=None) -> str:
    return postmortem(story(incident or opened(), entries, pages, BOOK, after(hours=1)))


def sections(page: str) -> list[str]:
    return [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]


def test_the_skeleton_has_every_section_of_a_postmortem():
    assert sections(exported()) == [
        "Summary",
        "Impact",
        "Timeline (UTC)",
        "Alerts",
        "Who was paged",
        "Numbers",
        "What went well",
        "What went badly",
        "Where we were lucky",
        "Action items",
    ]


def test_nothing_steers_the_terminal_it_is_printed_on():
    assert text("a\x1b[31m\u202eb") == "a \\[31m b"


def test_it_tells_what_happened():
    taken = timed(people.ack(opened(), "person:ana", after(minutes=4)).incident, {}, after(minutes=4))
    (over,) = observe([ended(one, after(minutes=30)) for one in taken.alerts], [taken], after(minutes=30))
    entry = Entry(
        at=NOW, actor="agentpager", action="incident.fired", subject="INC-1", why="it fired", detail={"woken": "ana"}
    )
    sent = Page(
        id="INC-1.1.page.ana", incident="INC-1", kind=PageKind.PAGE, person="ana", channel="U0ANA", attempt=2,
        state=PageState.SENT, due_at=NOW, sent_at=after(seconds=12), reason="",
    )  # fmt: skip
    page = exported([entry], [sent], over.incident)
    assert page.startswith("# INC-1: ErrorsHigh of refund-agent\n")
    assert "ErrorsHigh of refund-agent. It lasted 30m: Ana took it after 4m, its alerts ended.\n" in page
    assert "| 2026-11-04 02:00:00 | opened | agentpager | it fired; wakes Ana |" in page
    assert "| ErrorsHigh | critical | resolved | 2026-11-04 02:00:00 | 2026-11-04 02:30:00 |" in page
    assert "| Ana | Slack direct message | 2026-11-04 02:00:12 | 12s | 2 |" in page
    assert "| time to the first ack | 4m |" in page


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a|b", "a&#124;b"),
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
        ("[click](http://evil.example)", "\\[click\\]\\(http&#58;//evil.example\\)"),
        ("![x](y)", "\\!\\[x\\]\\(y\\)"),
        ("*bold* _it_ `code` ~~s~~", "\\*bold\\* \\_it\\_ \\`code\\` \\~\\~s\\~\\~"),
        ("back\\slash", "back\\\\slash"),
        ("# heading", "\\# heading"),
        ("- item", "&#45; item"),
        ("1. item", "&#49;. item"),
        ("@everyone", "&#64;everyone"),
        ("see www.evil.example", "see www&#46;evil.example"),
        ("&lt;", "&amp;lt;"),
        ("two\nlines\n\n# x", "two lines \\# x"),
        ("02:00:00 2026-11-04", "02:00:00 2026-11-04"),
    ],
)
def test_data_formats_nothing(written, expected):
    assert text(written) == expected


@given(st.lists(st.text(max_size=40), min_size=2, max_size=2))
def test_a_cell_stays_a_cell(cells):
    *_, row = table(["a", "b"], [cells])
    assert "\n" not in row
    assert row.count("|") == 3


def test_an_alert_that_is_hidden_is_shown_with_the_reason():
    silence = Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why="silenced by ana: deploy")
    incident = opened()
    hidden = tuple(one.model_copy(update={"suppressed": (silence,)}) for one in incident.alerts)
    page = exported(incident=incident.model_copy(update={"alerts": hidden}))
    assert "| ErrorsHigh | critical | firing, hidden: silenced by ana: deploy |" in page


def test_labels_cannot_break_out_of_their_table():
    hostile = alert(
        labels={"agent": "refund-agent", "x": "a | b\n# owned"}, annotations={"summary": "<img src=x>\n# owned"}
    )
    page = exported(incident=opened(hostile))
    assert "<img" not in page
    assert [line for line in page.splitlines() if line.startswith("# ")] == ["# INC-1: &lt;img src=x&gt; \\# owned"]
