from __future__ import annotations

from datetime import timedelta

from core_world import NOW, alert, ended, opened

from bot.incidents.model import State
from bot.oncall.model import Book
from bot.paging.model import Page, PageKind
from bot.runbooks.rendered import History, Rendered
from bot.slack.blocks import draw

CARD = Page(id="INC-1.1.card", incident="INC-1", kind=PageKind.CARD, channel="#c", due_at=NOW, reason="because")
BOOK = Book.model_construct(people={}, teams={}, schedules={}, escalation_policies={}, fallback="person:ana")
POINTS = (0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, None, 7.0)
HISTORY = History(points=POINTS, step=timedelta(minutes=1), threshold=5.0, comparison=">")


def last_line(incident, history) -> str:
    rendered = Rendered(rendered_at=NOW, history=history)
    (context,) = [block for block in draw(CARD, incident, rendered, BOOK, NOW)["blocks"] if block["type"] == "context"]
    return context["elements"][0]["text"]


def test_a_page_shows_the_course_of_what_its_alert_watches():
    assert last_line(opened(), HISTORY).startswith("▁▁▂▃▄▅▆▇█\N{FIGURE SPACE}█ last 10 min · rule ")


def test_without_a_course_nothing_is_said_of_it():
    assert last_line(opened(), None).startswith("rule ")
    assert last_line(opened(), HISTORY.model_copy(update={"points": (None, 1.0)})).startswith("rule ")


def test_what_is_over_has_no_course_any_more():
    over = opened().model_copy(update={"state": State.RESOLVED, "resolved_at": NOW, "alerts": (ended(alert(), NOW),)})
    assert last_line(over, HISTORY).startswith("rule ")
