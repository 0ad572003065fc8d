"""The trace of an incident, as its rows tell it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from core_world import GROUP, NOW, WORLD, after, alert, ended, observe, opened

from bot.audit import events
from bot.audit.model import Entry
from bot.incidents import notes, people, trace
from bot.incidents.escalation import due
from bot.incidents.model import Incident
from bot.paging.attempt import Verdict
from bot.paging.model import Page, PageKind, PageState
from bot.records.spans import Span, spans_of


def page(person: str, revision: int, at: float, **changes) -> Page:
    fields = {
        "id": f"INC-1.{revision}.page.{person}",
        "incident": "INC-1",
        "kind": PageKind.PAGE,
        "person": person,
        "channel": f"U0{person.upper()}",
        "due_at": after(seconds=at),
        "planned_at": after(seconds=at),
        "reason": "on call",
    }
    return Page(**fields | changes)


def tried(page: Page, number: int, claimed: float, heard: float, verdict: Verdict, why: str = "") -> Entry:
    then = page.model_copy(update={"attempt": number, "claimed_at": after(seconds=claimed), "error": why})
    return events.of_page(then, verdict, after(seconds=heard))


def numbered(entries: Sequence[Entry]) -> list[tuple[int, Entry]]:
    return list(enumerate(entries, start=41))


def drawn(spans: Sequence[Span]) -> list[tuple[str, str, float, float, str]]:
    """Name, name of the parent, seconds since NOW of start and end, what failed."""
    names = {span.id: span.name for span in spans}

    def seconds(at: datetime) -> float:
        return (at - NOW) / timedelta(seconds=1)

    return [
        (span.name, names.get(span.parent, span.parent), seconds(span.start), seconds(span.end), span.error_type)
        for span in spans
    ]


def night() -> tuple[Incident, list[Entry], list[Page]]:
    """An alert fires 30 s before it is reported. Ana's page is told to wait, then sent; she does not answer. Ben's has
    no known outcome and is found; he takes it, notes what he sees, and the alert ends."""
    firing = alert(starts_at=after(seconds=-30))
    (first,) = observe([firing])
    ana = page("ana", 1, 0, state=PageState.SENT, ts="1.1", slack_channel="D1")
    climbed = due(first.incident, WORLD, after(seconds=300))
    ben = page("ben", 2, 300, step=1, state=PageState.SENT, ts="2.2", slack_channel="D2")
    taken = people.ack(climbed.incident, "person:ben", after(seconds=400))
    noted = notes.note(taken.incident, "person:ben", "the key of the bank has run out", after(seconds=410))
    (over,) = observe([ended(firing, after(seconds=600))], [noted.incident], after(seconds=600))
    entries = [
        events.of_decision(first, NOW, evaluated_at=after(seconds=-1)),
        tried(ana, 1, 0.5, 1, Verdict.TOLD_TO_WAIT, "ratelimited: told to wait"),
        tried(ana, 2, 2, 2.5, Verdict.SENT),
        events.of_decision(climbed, after(seconds=300)),
        tried(ben, 1, 300.5, 310.5, Verdict.UNKNOWN, "no answer"),
        tried(ben, 1, 300.5, 321, Verdict.SENT),
        events.of_decision(taken, after(seconds=400)),
        events.of_decision(noted, after(seconds=410)),
        events.of_decision(over, after(seconds=600)),
    ]
    return over.incident, entries, [ana, ben]


def test_a_night_is_one_tree_with_the_times_of_its_rows():
    incident, entries, pages = night()
    spans = spans_of(incident, pages, numbered(entries))
    assert drawn(spans) == [
        ("evaluate", "", -1, 0, ""),
        ("alert ErrorsHigh", "", -30, 0, ""),
        ("incident.fired", "alert ErrorsHigh", 0, 0, ""),
        ("incident.escalated", "alert ErrorsHigh", 2.5, 300, ""),
        ("incident.acked", "page ben", 321, 400, ""),
        ("incident.noted", "alert ErrorsHigh", 410, 410, ""),
        ("incident.cleared", "alert ErrorsHigh", 600, 600, ""),
        ("incident", "alert ErrorsHigh", 0, 600, ""),
        ("send slack", "page ana", 0.5, 1, "told_to_wait"),
        ("send slack", "page ana", 2, 2.5, ""),
        ("page ana", "incident.fired", 0, 2.5, ""),
        ("send slack", "page ben", 300.5, 310.5, "unknown"),
        ("settle slack", "page ben", 310.5, 321, ""),
        ("page ben", "incident.escalated", 300, 321, ""),
    ]
    evaluation, *ours = spans
    assert {span.trace for span in ours} == {trace.trace_of(incident)} != {evaluation.trace}
    assert len({span.id for span in spans}) == len(spans)
    assert [(link.trace, link.span) for link in ours[0].links] == [(evaluation.trace, evaluation.id)]


def test_a_span_is_told_by_the_row_that_completes_it_so_that_each_is_told_once():
    incident, entries, pages = night()
    rows = numbered(entries)
    every = spans_of(incident, pages, rows)
    told: list[Span] = []
    for known in range(1, len(rows) + 1):  # each row is read when it is new
        told += [span for span in spans_of(incident, pages, rows[:known]) if span.told_by == rows[known - 1][0]]
    assert sorted(told, key=lambda span: span.id) == sorted(every, key=lambda span: span.id)


def test_ids_are_the_same_for_whoever_reads_the_rows_and_others_elsewhere():
    incident, entries, pages = night()
    again = Incident.model_validate_json(incident.model_dump_json())
    assert spans_of(again, pages, numbered(entries)) == spans_of(incident, pages, numbered(entries))
    elsewhere = incident.model_copy(update={"opened_at": after(microseconds=1)})
    assert trace.trace_of(elsewhere) != trace.trace_of(incident)
    assert trace.trace_of(incident) == trace.trace_of(again)
    assert len(bytes.fromhex(trace.trace_of(incident))) == 16


def test_what_people_write_for_colleagues_is_not_in_the_trace():
    incident, entries, pages = night()
    assert "bank" in entries[7].why
    assert "bank" not in str(spans_of(incident, pages, numbered(entries)))


def test_attributes_have_the_names_of_opentelemetry_where_it_has_one():
    incident, entries, pages = night()
    spans = spans_of(incident, pages, numbered(entries))
    sent = next(span for span in spans if span.name == "send slack" and not span.error)
    assert sent.kind == "client"
    assert sent.attributes == {
        "agentpager.incident.id": "INC-1",
        "agentpager.incident.severity": "critical",
        "gen_ai.agent.id": "refund-agent",
        "agentpager.page.id": "INC-1.1.page.ana",
        "agentpager.page.kind": "page",
        "agentpager.page.level": 1,
        "agentpager.person": "ana",
        "messaging.system": "slack",
        "messaging.operation.name": "chat.postMessage",
        "messaging.operation.type": "send",
        "messaging.destination.name": "D1",
        "messaging.message.id": "1.1",
        "agentpager.page.attempt": 2,
        "agentpager.verdict": "sent",
    }
    root = next(span for span in spans if span.name == "alert ErrorsHigh")
    assert root.attributes["agentpager.alerts"] == ("ErrorsHigh",)
    evaluation = spans[0]
    assert evaluation.attributes == {"agentpager.rule.group": GROUP}


def test_a_page_that_is_taken_back_after_an_attempt_ends_with_the_ack_that_took_it_back():
    incident, first = opened(), page("ana", 1, 0, state=PageState.CANCELLED)
    acked = people.ack(incident, "person:ben", after(seconds=60))
    entries = [
        tried(first, 1, 1, 2, Verdict.RETRY, "503"),
        events.of_decision(acked, after(seconds=60)),
    ]
    spans = spans_of(acked.incident, [first], numbered(entries))
    assert ("page ana", trace.root_span(trace.trace_of(incident)), 0, 60, "") in drawn(spans)


def test_a_page_on_its_way_is_not_told_yet_but_its_attempts_are():
    incident, first = opened(), page("ana", 1, 0)
    spans = spans_of(incident, [first], numbered([tried(first, 1, 1, 2, Verdict.RETRY, "503")]))
    assert [(span.name, span.error_type, span.error) for span in spans] == [("send slack", "retry", "503")]


def test_a_page_refused_for_good_says_why():
    incident, first = opened(), page("ana", 1, 0, state=PageState.FAILED)
    spans = spans_of(incident, [first], numbered([tried(first, 1, 1, 2, Verdict.REFUSED, "user_not_found: no")]))
    assert [(span.name, span.error_type, span.error) for span in spans] == [
        ("send slack", "refused", "user_not_found: no"),
        ("page ana", "refused", "user_not_found: no"),
    ]


def test_a_page_that_another_incident_s_message_shows_links_to_the_page_that_leads_it():
    incident, other = opened(), opened().model_copy(update={"id": "INC-9", "opened_at": after(seconds=3)})
    shared = page("ana", 1, 0, state=PageState.SENT, lead="INC-9.1.page.ana")
    rows = numbered([tried(shared, 1, 1, 2, Verdict.SENT)])
    sent = spans_of(incident, [shared], rows, {"INC-9.1.page.ana": other})[0]
    theirs = trace.trace_of(other)
    assert [(link.trace, link.span) for link in sent.links] == [(theirs, trace.page_span(theirs, "INC-9.1.page.ana"))]


def test_other_ways_than_slack_are_named_and_addresses_are_not():
    incident = opened()
    mail = page("ana", 1, 0, channel="email:ana@example.com", state=PageState.SENT)
    spans = spans_of(incident, [mail], numbered([tried(mail, 1, 1, 2, Verdict.SENT)]))
    assert [span.name for span in spans] == ["send email", "page ana"]
    assert "example.com" not in str(spans)
