"""Reports: expected numbers are computed by hand in the comments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from core_world import BOOK, after, alert, opened

from bot.incidents.model import Incident, Promise, State, StepMark, Suppression, SuppressionKind
from bot.oncall.model import Person
from bot.paging.model import Page, PageKind, PageState
from bot.records.report import BYS, Case, case, report
from bot.records.tables import as_markdown, by_group, people, sentences

BEGIN, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NEW_YORK = BOOK.people["ben"].model_copy(update={"timezone": "America/New_York"})
PLACES = BOOK.model_copy(update={"people": {**BOOK.people, "ben": NEW_YORK}})


def page(person: str | None = "ana", minutes: float = 0, **changes) -> Page:
    at = after(minutes=minutes)
    fields = {
        "id": f"INC-1.1.page.{person}",
        "incident": "INC-1",
        "kind": PageKind.PAGE,
        "person": person,
        "channel": "U0X",
        "state": PageState.SENT,
        "due_at": at,
        "sent_at": at,
        "reason": "",
    }
    return Page(**fields | changes)


def one(*pages: Page, incident: Incident | None = None, book=PLACES, **update) -> Case:
    return case((incident or opened()).model_copy(update=update), pages, book, after(hours=9))


def resolved(minutes: float, **update) -> dict:
    return {"state": State.RESOLVED, "resolved_at": after(minutes=minutes)} | update


def answered(minutes: float, by: str = "person:ana") -> dict:
    return {"answered_after": minutes * MINUTE, "answered_by": by}


def total(*cases: Case) -> dict:
    return report(cases, BEGIN, END)["total"]


def test_nothing_happened():
    told = report([], BEGIN, END, "agent")
    assert told["total"]["incidents"] == told["total"]["pages"] == 0
    assert told["total"]["ack_seconds"] is told["total"]["escalated_share"] is told["total"]["noise_share"] is None
    assert (told["rows"], told["people"]) == ([], [])


def test_acks_of_one_to_ten_minutes():
    cases = [one(page(), **answered(minutes)) for minutes in (10, 1, 9, 2, 8, 3, 7, 4, 6, 5)]
    # Mean and median of 1..10 minutes are 5.5; nine of the ten are at most 9, and nine and a half of them at most 10.
    assert total(*cases)["ack_seconds"] == {"mean": 330.0, "median": 330.0, "p90": 540.0, "p95": 600.0}


def test_an_odd_number_has_one_in_the_middle():
    cases = [one(page(), **answered(minutes)) for minutes in (1, 2, 30)]
    # Mean 11; the middle one 2; nine tenths of three are 2.7, so the third.
    assert total(*cases)["ack_seconds"] == {"mean": 660.0, "median": 120.0, "p90": 1800.0, "p95": 1800.0}


def test_the_end_counts_without_the_time_in_which_it_was_suppressed():
    seen = one(page(), **resolved(50, hidden_for=20 * MINUTE))
    assert total(seen)["resolve_seconds"] == {"mean": 1800.0, "median": 1800.0, "p90": 1800.0, "p95": 1800.0}
    assert total(seen)["ended"] == 1


def test_what_goes_on_and_what_nobody_took_is_in_no_mean():
    numbers = total(one(page()), one(page(), **answered(2), **resolved(4)))
    assert (numbers["incidents"], numbers["woke"], numbers["answered"], numbers["ended"]) == (2, 2, 1, 1)
    assert numbers["ack_seconds"]["mean"] == 120.0


def test_what_woke_nobody_is_counted_and_is_in_no_mean():
    info = one(incident=opened(alert(labels={"severity": "info"})), **answered(1), **resolved(2))
    numbers = total(info)
    assert (numbers["incidents"], numbers["woke"], numbers["answered"]) == (1, 0, 0)
    assert numbers["ack_seconds"] is numbers["resolve_seconds"] is None


def test_an_incident_that_stayed_suppressed_is_counted_as_that():
    why = (Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why="silenced"),)
    cancelled = page(state=PageState.CANCELLED, sent_at=None)
    numbers = total(one(cancelled, hidden_since=after(), suppressed=why), one(page(), hidden_for=MINUTE))
    assert (numbers["suppressed"], numbers["woke"], numbers["pages"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("utc_hour", "ana_night", "ben_night"),
    [
        (2, 1, 0),  # 21:00 in New York
        (3, 1, 1),  # 22:00 in New York
        (6, 1, 1),
        (7, 0, 1),  # 02:00 in New York
        (11, 0, 1),  # 06:00 in New York
        (12, 0, 0),  # 07:00 in New York
        (21, 0, 0),
        (22, 1, 0),
    ],
)
def test_nights_are_those_of_the_person_who_is_woken(utc_hour, ana_night, ben_night):
    minutes = (utc_hour - 2) * 60  # the test's world begins at two
    assert total(one(page("ana", minutes)))["night_pages"] == ana_night
    assert total(one(page("ben", minutes)))["night_pages"] == ben_night


def test_a_night_follows_the_change_of_clocks():
    """Madrid: 05:30 UTC is 06:30 in winter and 07:30 in summer."""
    book = PLACES.model_copy(
        update={"people": {"ana": Person(id="ana", name="Ana", slack="U0ANA", timezone="Europe/Madrid")}}
    )
    nights = [
        total(one(page(sent_at=datetime(2026, 10, day, 5, 30, tzinfo=UTC)), book=book))["night_pages"]
        for day in (24, 25)
    ]
    assert nights == [0, 1]


def test_messages_count_and_not_rows():
    seen = one(
        page("ana"),
        page("ben", lead="INC-9.1.page.ben"),  # shown by another message
        page("ana", channel="email:ana@example.com"),  # the second way to the same person
        page("ana", channel="webhook:sms"),
        page(None, channel="#payments"),
        page("cat", state=PageState.CANCELLED, sent_at=None),
        page("cat", state=PageState.FAILED, sent_at=None),
        page("cat", kind=PageKind.REMINDER),
    )
    assert total(seen)["pages"] == 1
    assert report([seen], BEGIN, END)["people"] == [
        {"person": "ana", "pages": 1, "night_pages": 1, "incidents": 1, "acks": 0}
    ]


def test_a_merged_page_woke_somebody_for_its_incident_too():
    assert total(one(page(lead="INC-9.1.page.ana")))["woke"] == 1


def test_a_message_about_several_incidents_counts_for_the_one_that_leads_it():
    leading = total(one(page(lead="INC-1.1.page.ana")))
    assert (leading["woke"], leading["pages"]) == (1, 1)
    assert total(one(page(lead="INC-9.1.page.ana")))["pages"] == 0


def test_who_was_told_by_mail_alone_was_woken_once():
    mail = page(id="INC-1.1.page.ana.email", channel="email:ana@example.com")
    sms = page(id="INC-1.1.page.ana.webhook.sms", channel="webhook:sms")
    refused = page(state=PageState.FAILED, sent_at=None)
    assert total(one(refused, mail, sms))["pages"] == 1
    assert total(one(page(), mail, page(id="INC-1.2.page.ana.email", channel="email:ana@example.com")))["pages"] == 2


@pytest.mark.parametrize(
    ("later", "escalated"),
    [({}, 0), ({"step": 1}, 1), ({"round": 1}, 1), ({"step": 1, "state": PageState.CANCELLED}, 0)],
)
def test_an_incident_is_escalated_when_a_page_of_a_later_level_went_out(later, escalated):
    numbers = total(one(page(), page("ben", **later)), one(page()))
    assert (numbers["escalated"], numbers["escalated_share"]) == (escalated, escalated / 2)


def test_the_share_of_noise_is_of_the_marked_ones():
    numbers = total(one(page(), mark="noise"), one(page(), mark="right"), one(page(), mark="right"), one(page()))
    assert (numbers["marked"], numbers["noise"], numbers["noise_share"]) == (3, 1, 0.3333)


def test_broken_promises_are_counted_as_they_were_written_down():
    promise = Promise(ack=MINUTE)
    numbers = total(
        one(page(), promised=promise, breached=("ack", "resolve")), one(page(), promised=promise), one(page())
    )
    assert numbers["sla"] == {"promised": 2, "ack_breached": 1, "resolve_breached": 1}


def week() -> list[Case]:
    """Two agents, three rules; Ana at two at night, Ben in New York at 21:00 and at 22:00."""
    slow = opened(alert("Slow", labels={"agent": "search-agent", "owner": "dan"}))
    both = opened(alert(), alert("CostRunaway"))
    return [
        one(page("ana"), page("ben", 5, step=1), **answered(6, "person:ben"), **resolved(30, mark="right")),
        one(page("ana"), incident=both, **answered(2), **resolved(10, mark="noise", reopened=(after(minutes=5),))),
        one(page("ben", 60), incident=slow, **resolved(70)),
    ]


def test_by_agent():
    rows = report(week(), BEGIN, END, "agent")["rows"]
    assert [(row["agent"], row["incidents"], row["pages"], row["night_pages"], row["escalated"]) for row in rows] == [
        ("refund-agent", 2, 3, 2, 1),
        ("search-agent", 1, 1, 1, 0),
    ]
    # Acks after 6 and 2 minutes; ends after 30 and 10; of two marked one is noise.
    assert rows[0]["ack_seconds"] == {"mean": 240.0, "median": 240.0, "p90": 360.0, "p95": 360.0}
    assert rows[0]["resolve_seconds"] == {"mean": 1200.0, "median": 1200.0, "p90": 1800.0, "p95": 1800.0}
    assert (rows[0]["noise_share"], rows[0]["reopened"], rows[1]["ack_seconds"]) == (0.5, 1, None)


def test_by_rule_an_incident_of_two_rules_is_in_both_rows():
    rows = report(week(), BEGIN, END, "rule")["rows"]
    assert [(row["rule"], row["incidents"], row["pages"], row["noise"]) for row in rows] == [
        ("ErrorsHigh", 2, 3, 1),
        ("CostRunaway", 1, 1, 1),
        ("Slow", 1, 1, 0),
    ]


def test_by_person_only_their_pages_and_acks_count():
    rows = report(week(), BEGIN, END, "person")["rows"]
    assert [(row["person"], row["incidents"], row["pages"], row["night_pages"], row["answered"]) for row in rows] == [
        ("ana", 2, 2, 2, 1),
        ("ben", 2, 2, 1, 1),
    ]
    assert [row["ack_seconds"]["mean"] for row in rows] == [120.0, 360.0]


def test_by_team():
    rows = report(week(), BEGIN, END, "team")["rows"]
    assert [(row["team"], row["incidents"]) for row in rows] == [("team:payments", 2), ("person:dan", 1)]


def test_who_was_woken_most_at_night_comes_first():
    assert report(week(), BEGIN, END)["people"] == [
        {"person": "ana", "pages": 2, "night_pages": 2, "incidents": 2, "acks": 1},
        {"person": "ben", "pages": 2, "night_pages": 1, "incidents": 2, "acks": 1},
    ]


def test_all_groupings_agree_with_the_total_on_what_is_counted_once():
    cases = week()
    for by in BYS:
        told = report(cases, BEGIN, END, by)
        if by in {"agent", "team", "person"}:
            assert sum(row["pages"] for row in told["rows"]) == told["total"]["pages"] == 4


# As text


def test_the_total_in_sentences():
    assert list(sentences(report(week(), BEGIN, END))) == [
        "2026-11-02T00:00 to 2026-11-09T00:00 UTC",
        "3 incidents, 3 woke somebody, 0 stayed suppressed",
        "4 pages, 3 at night (22:00-07:00 where the person lives)",
        "to the first ack: mean 4m, median 4m, p90 6m",
        "to the end: mean 36m40s, median 30m, p90 1h10m",
        "33% went past the first level; 50% of 2 marked ones were noise",
    ]


def test_a_quiet_week_takes_two_lines():
    assert list(sentences(report([], BEGIN, END)))[1:] == ["0 incidents, 0 woke somebody, 0 stayed suppressed"]


def test_one_is_one():
    lines = list(sentences(report([one(page(), promised=Promise(ack=MINUTE))], BEGIN, END)))
    assert lines[1].startswith("1 incident, ")
    assert lines[2].startswith("1 page, ")
    assert lines[-1].startswith("promises for 1 incident; ")


def test_tables():
    told = report(week(), BEGIN, END, "agent")
    assert by_group(told) == (
        ["agent", "incidents", "pages", "at night", "ack (mean/p90)", "end (mean/p90)", "escalated", "noise",
         "broken promises"],
        [
            ["refund-agent", "2", "3", "2", "4m / 6m", "20m / 30m", "50%", "50%", "0"],
            ["search-agent", "1", "1", "1", "-", "1h10m / 1h10m", "0%", "-", "0"],
        ],
    )  # fmt: skip
    assert people(told)[1] == [["ana", "2", "2", "2", "1"], ["ben", "2", "1", "2", "1"]]
    assert by_group(report(week(), BEGIN, END)) is None


def test_markdown_escapes_names():
    hostile = one(page(), incident=opened(), agent="a|b*")
    page_ = as_markdown(report([hostile], BEGIN, END, "agent"))
    assert page_.startswith("# On-call report, 2026-11-02 to 2026-11-09\n")
    assert "| a&#124;b\\* | 1 | 1 |" in page_
    assert "## Who was woken" in page_


# What came of it


def test_an_end_that_nobody_waited_for_is_counted():
    by_itself = resolved(4, how_resolved="cleared")
    cases = [
        one(page(), **by_itself),
        one(page(), **by_itself, **answered(2)),
        one(page(), **resolved(4, how_resolved="human")),
        one(**by_itself),  # woke nobody
        one(page()),  # goes on
    ]
    assert total(*cases)["unattended"] == 1


@pytest.mark.parametrize(
    ("update", "acted"),
    [
        ({}, False),
        (answered(2), False),
        (resolved(4, how_resolved="cleared"), False),
        (resolved(4, how_resolved="human"), True),
        ({"mark": "right"}, True),
        ({"progress": (StepMark(step="a", state="done", at=after(minutes=3), by="person:ana"),)}, True),
        ({"progress": (StepMark(step="a", state="skipped", at=after(minutes=3), by="person:ana"),)}, False),
        (resolved(4, how_resolved="human", mark="noise"), False),
    ],
)
def test_somebody_acted_when_waking_them_led_to_something(update, acted):
    assert one(page(), **update).acted is acted


def test_a_page_keeps_the_instant_at_which_it_woke():
    assert [woke.at for woke in one(page(minutes=3)).woke] == [after(minutes=3)]
