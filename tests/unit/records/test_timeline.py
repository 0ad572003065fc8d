"""The story of an incident as told from its audit rows and pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import BOOK, NOW, WORLD, after, alert, observe, opened

from bot.audit import events
from bot.audit.model import Entry
from bot.incidents import notes, people
from bot.incidents.escalation import due
from bot.incidents.model import Event, Incident, Promise, State
from bot.incidents.promises import timed
from bot.paging.attempt import Verdict
from bot.paging.model import Page, PageKind, PageState
from bot.records import timeline
from bot.records.narrow import lines
from bot.records.timeline import FOUND, Moment, Story, plain, story, through


def page(number: int = 1, **changes) -> Page:
    fields = {
        "id": f"INC-1.{number}.page.ana",
        "incident": "INC-1",
        "kind": PageKind.PAGE,
        "person": "ana",
        "channel": "U0ANA",
        "due_at": NOW,
        "attempt": 1,
        "reason": "on call",
    }
    return Page(**fields | changes)


def attempt(verdict: Verdict, seconds: float, **changes) -> Entry:
    return events.of_page(page(**changes), verdict, after(seconds=seconds))


def told(entries, pages=(), incident: Incident | None = None, **until: float) -> Story:
    return story(incident or opened(), entries, pages, BOOK, after(**until or {"hours": 1}))


def moments(entries, pages=()) -> tuple[Moment, ...]:
    return told(entries, pages).timeline


def night() -> tuple[Incident, list[Entry], list[Page]]:
    """Ana is paged and does not answer, Ben takes it, notes what he sees, the alert ends."""
    sla = {"critical": Promise(ack=timedelta(minutes=5))}
    (first,) = observe([alert()])
    incident = timed(first.incident, sla, NOW)
    entries = [events.of_decision(first, NOW), attempt(Verdict.SENT, 1)]
    climbed = due(incident, WORLD, after(minutes=5))
    entries.append(events.of_decision(climbed, after(minutes=5)))
    taken = people.ack(climbed.incident, "person:ben", after(minutes=7))
    entries.append(events.of_decision(taken, after(minutes=7)))
    noted = notes.note(taken.incident, "person:ben", "queue is stuck\nrestarted it", after(minutes=9))
    entries.append(events.of_decision(noted, after(minutes=9)))
    incident = timed(noted.incident, sla, after(minutes=7))
    pages = [
        page(state=PageState.SENT, sent_at=after(seconds=1)),
        page(2, person="ben", channel="U0BEN", state=PageState.UNKNOWN, error="timeout"),
    ]
    return incident, entries, pages


def test_each_line_says_when_who_what_why_and_whom_it_woke():
    incident, entries, pages = night()
    lines_ = [(m.at - NOW, m.who, m.text, m.why, m.woken, m.through) for m in told(entries, pages, incident).timeline]
    minute = timedelta(minutes=1)
    assert lines_ == [
        (0 * minute, "agentpager", "opened", "ErrorsHigh fired; owner of agent refund-agent", ("Ana",), ""),
        (timedelta(seconds=1), "agentpager", "page to Ana: sent", "", (), "Slack direct message"),
        (5 * minute, "agentpager", "escalated", "no ack in 5 min", ("Ben", "Cat"), ""),
        (7 * minute, "Ben", "acknowledged", "acknowledged", (), ""),
        (9 * minute, "Ben", "note", "queue is stuck\nrestarted it", (), ""),
    ]


def test_it_says_who_has_it_how_long_it_took_and_what_was_promised():
    incident, entries, pages = night()
    it = told(entries, pages, incident, minutes=10)
    assert (it.state, it.acked_by, it.answered_by, it.answered_after_seconds) == (State.ACKED, "Ben", "Ben", 420)
    assert (it.lasted_seconds, it.suppressed_seconds) == (600, 0)
    assert [(one.what, one.promised_seconds, one.took_seconds, one.state) for one in it.sla] == [
        ("ack", 300, 420, "broken")
    ]
    assert [(note.by, note.text) for note in it.notes] == [("Ben", "queue is stuck\nrestarted it")]


def test_a_message_that_had_arrived_is_told_as_found_and_not_as_sent_again():
    entries = [attempt(Verdict.UNKNOWN, 1), attempt(Verdict.SENT, 21)]
    assert [m.text for m in moments(entries, [page()])] == [
        "page to Ana: outcome unknown, looked for later",
        f"page to Ana: {FOUND}",
    ]


def test_a_message_that_had_not_arrived_is_told_as_sent_again():
    entries = [
        attempt(Verdict.UNKNOWN, 1, error="timeout"),
        attempt(Verdict.NOT_LANDED, 21),
        attempt(Verdict.SENT, 22, attempt=2),
    ]
    assert [(m.text, m.why, m.attempt) for m in moments(entries, [page()])] == [
        ("page to Ana: outcome unknown, looked for later", "timeout", 1),
        ("page to Ana: had not arrived, sent again", "", 1),
        ("page to Ana: sent", "", 2),
    ]


def test_a_refused_message_says_why():
    (moment,) = moments([attempt(Verdict.REFUSED, 1, error="channel_not_found")], [page()])
    assert (moment.text, moment.why) == ("page to Ana: refused for good", "channel_not_found")


def test_what_this_page_has_no_words_for_is_told_all_the_same():
    entry = Entry(at=NOW, actor="cli:root", action="incident.sent_to_moon", subject="INC-1", why="because")
    odd = Entry(at=NOW, actor="agentpager", action="page.beamed", subject="gone", detail={"channel": "#x"})
    assert [m.text for m in moments([entry, odd])] == ["sent to moon", "message to #x: beamed"]


def test_only_the_first_change_is_the_opening():
    (decision,) = observe([alert()])
    entry = events.of_decision(decision, NOW)
    assert [m.text for m in moments([entry, entry])] == ["opened", "alerts changed"]


def test_ways_to_a_person_are_named():
    assert through("email:ana@example.com") == "e-mail ana@example.com"
    assert through("webhook:ops") == "webhook ops"
    assert through("U0ANA") == "Slack direct message"
    assert through("#agent-pages") == "Slack #agent-pages"
    assert through("C012345") == "Slack C012345"


def test_nothing_can_steer_a_terminal():
    assert plain("a\x1b[2J\u202eb\x00\nc") == "a [2J b c"
    incident = opened(alert(annotations={"summary": "x\x1b]0;owned\x07"}))
    entry = Entry(at=NOW, actor="cli:\x1b[31m", action="incident.\x1b", subject="INC-1", why="\x9b31m")
    text = "\n".join(lines(told([entry], [page(error="\x1b")], incident), 80))
    assert not [one for one in text if (ord(one) < 32 and one != "\n") or 127 <= ord(one) < 160]


@pytest.mark.parametrize("event", Event)
def test_every_change_has_words(event):
    assert f"incident.{event.value}" in timeline._WORDS


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("kind", PageKind)
def test_every_attempt_has_words(verdict, kind):
    (moment,) = moments([attempt(verdict, 1)], [page(kind=kind)])
    assert moment.text == f"{timeline._KINDS[kind]} to Ana: {timeline._OUTCOMES[verdict]}"


def test_a_page_shown_by_another_message_says_so():
    merged = page(lead="INC-9.1.page.ana")
    (moment,) = moments([events.of_page(merged, Verdict.SENT, NOW)], [merged])
    assert (moment.text, moment.why) == ("page to Ana: sent", "in one message with INC-9")
    leading = page(lead=page().id)
    (moment,) = moments([events.of_page(leading, Verdict.SENT, NOW)], [leading])
    assert moment.why == "", "of the others the message leads, not of itself"


def test_a_page_that_takes_another_way_says_so():
    mail = page(channel="email:ana@example.com", reason="Slack has not confirmed it for 30 s")
    (moment,) = moments([events.of_second_channel(mail, NOW)], [mail])
    assert (moment.text, moment.why, moment.through) == (
        "page to Ana: goes another way, for Slack fails",
        "Slack has not confirmed it for 30 s",
        "e-mail ana@example.com",
    )


# On a phone


def test_the_story_on_a_phone():
    incident, entries, pages = night()
    assert lines(told(entries, pages, incident, minutes=10), 40) == [
        "INC-1 ACKED critical",
        "ErrorsHigh of refund-agent",
        "owner team:payments, agent refund-agent",
        "Ben has it; open for 10m",
        "ack promised within 5m: broken, took 7m",
        "1 of 1 alerts going on",
        "",
        "Wed 2026-11-04 UTC",
        "02:00:00 +0s opened",
        "  ErrorsHigh fired; owner of agent",
        "    refund-agent",
        "  wakes Ana",
        "02:00:01 +1s page to Ana: sent",
        "  Slack direct message",
        "02:05:00 +5m escalated",
        "  no ack in 5 min",
        "  wakes Ben, Cat",
        "02:07:00 +7m acknowledged",
        "  by Ben",
        "  acknowledged",
        "02:09:00 +9m note",
        "  by Ben",
        "  queue is stuck",
        "  restarted it",
        "",
        "still on their way",
        "  page to Ben, Slack direct message,",
        "    unknown 02:00:00 UTC: timeout",
    ]


def test_a_channel_is_named_once_and_stays_whole():
    card = page(kind=PageKind.CARD, person=None, channel="#agent-pages-of-payments", state=PageState.SENT)
    told_ = lines(told([events.of_page(card, Verdict.SENT, NOW)], [card]), 32)
    assert told_[-2:] == ["02:00:00 +0s card to", "  #agent-pages-of-payments: sent"]


def test_no_line_is_wider_than_the_terminal():
    incident, entries, pages = night()
    long = incident.model_copy(update={"title": "word " * 40 + "x" * 200})
    for width in (32, 40, 60, 100):
        assert max(map(len, lines(told(entries, pages, long), width))) <= width


def test_a_story_survives_json():
    incident, entries, pages = night()
    it = told(entries, pages, incident)
    assert Story.model_validate_json(it.model_dump_json()) == it
