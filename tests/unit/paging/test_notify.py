from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import BOOK, NOW, POLICY, WORLD, after, alert, observe, opened

from bot.incidents import people
from bot.incidents.decision import Decision
from bot.incidents.escalation import due
from bot.incidents.model import Event, Incident, Severity, State
from bot.oncall.model import Book, NotificationRule, Person
from bot.paging import notify
from bot.paging.attempt import wanted
from bot.paging.model import Page, PageKind, PageState
from bot.paging.plan import pages_for, repeated, same_decision
from bot.settings import Notify

LIMIT = timedelta(seconds=30)
MAIL = Notify.model_validate({"email": {"host": "smtp.example.com", "from": "pager@example.com"}})
SMS = {"url": "https://sms.example.com", "body": '{"to": "{{ person.phone }}", "text": "{{ subject }}"}'}
BY_SMS = Notify.model_validate({"webhooks": {"sms": SMS}})
OWN = Notify.model_validate({"webhooks": {"own": {"url": "https://a.example"}}})
ANA = Person(id="ana", name="Ana", slack="U0ANA", email="ana@example.com")


def rules(*ways: tuple[str, int]) -> tuple[NotificationRule, ...]:
    return tuple(NotificationRule(by=by, after=timedelta(minutes=minutes)) for by, minutes in ways)


def person(**given: tuple[NotificationRule, ...]) -> Person:
    return ANA.model_copy(update={"phone": "+34600000000", "notification_rules": given})


def book(**given: tuple[NotificationRule, ...]) -> Book:
    return BOOK.model_copy(update={"people": {**BOOK.people, "ana": person(**given)}})


SLACK_THEN_MAIL = book(high=rules(("slack", 0), ("email", 3)), low=rules(("slack", 0)))


def first(of: Book = SLACK_THEN_MAIL, **labels: str) -> list[Page]:
    (decision,) = observe([alert(labels=labels)])
    return [page for page in pages_for(decision, of, NOW) if page.kind is PageKind.PAGE]


def again(incident: Incident, of: Book = SLACK_THEN_MAIL, **span: float) -> list[Page]:
    """The page of a later round to the same person."""
    later = incident.model_copy(update={"revision": incident.revision + 2})
    decision = Decision(later, Event.ESCALATED, "no ack", wake=observe([alert()])[0].wake)
    return [page for page in pages_for(decision, of, after(**span)) if page.kind is PageKind.PAGE]


def shown(pages: list[Page]) -> list[tuple[str, str, timedelta]]:
    return [(page.id, page.channel, page.due_at - NOW) for page in pages]


def test_one_row_for_each_rule_at_its_own_time():
    of = book(high=rules(("slack", 0), ("email", 2), ("webhook:sms", 5)))
    assert shown(first(of)) == [
        ("INC-1.1.page.ana", "U0ANA", timedelta()),
        ("INC-1.1.page.ana.email", "email:ana@example.com", timedelta(minutes=2)),
        ("INC-1.1.page.ana.webhook.sms", "webhook:sms", timedelta(minutes=5)),
    ]
    assert all(same_decision(first(of)[0], page) for page in first(of))


def test_a_warning_is_told_by_the_rules_of_low_urgency():
    assert [page.channel for page in first(severity="warning")] == ["U0ANA"]


def test_a_channel_may_be_used_twice():
    of = book(high=rules(("slack", 0), ("slack", 5), ("email", 6), ("email", 9)))
    assert [page.id.removeprefix("INC-1.1.page.ana") for page in first(of)] == ["", ".slack.2", ".email", ".email.2"]
    assert [notify.is_follow_up(page) for page in first(of)] == [False, True, True, True]


def test_a_person_whose_rules_lead_nowhere_is_told_in_slack():
    nowhere = ANA.model_copy(update={"email": None, "notification_rules": {"high": rules(("email", 0))}})
    of = BOOK.model_copy(update={"people": {**BOOK.people, "ana": nowhere}})
    assert [page.channel for page in first(of)] == ["U0ANA"]


def test_an_ack_takes_back_what_waits():
    acked = people.ack(opened(), "person:ana", NOW).incident
    assert acked.state is State.ACKED
    assert [wanted(page, opened()) for page in first()] == [True, True]
    assert [wanted(page, acked) for page in first()] == [False, False]


def test_a_second_page_neither_puts_off_nor_doubles_what_waits():
    slack, mail = first()
    new = again(opened(), minutes=2)
    assert not repeated(mail, new), "the mail of the first page stays on its way"
    assert repeated(slack, new)
    assert [page.channel for page in notify.without_pending(new, [mail])] == ["U0ANA"]
    sent = mail.model_copy(update={"state": PageState.SENT})
    assert [page.channel for page in notify.without_pending(new, [sent])] == ["U0ANA", "email:ana@example.com"]


@pytest.mark.parametrize(
    ("changed", "gone"),
    [({}, False), ({"declined": ("ana",)}, True), ({"assigned": "ben"}, True), ({"assigned": "ana"}, False)],
)
def test_what_waits_for_somebody_who_passed_it_on_is_taken_back(changed, gone):
    slack, mail = first()
    incident = opened().model_copy(update=changed)
    assert notify.given_up(mail, incident) is gone
    assert not notify.given_up(slack, incident), "a page to Slack is the ladder's own"


def test_a_webhook_of_a_step_is_a_page_to_nobody_in_particular():
    (decision,) = observe([alert()])
    page = pages_for(Decision(decision.incident, Event.FIRED, "", channels=("webhook:ops",)), BOOK, NOW)[0]
    assert (page.id, page.channel, page.person) == ("INC-1.1.page.webhook.ops", "webhook:ops", None)
    assert not notify.is_follow_up(page)


# What is filled in where somebody has no rules


@pytest.mark.parametrize(
    ("changes", "settings", "second"),
    [
        ({}, MAIL, "email"),
        ({}, Notify(), ""),
        ({"email": None}, MAIL, ""),
        ({"email": None, "phone": "+34600000000"}, BY_SMS, "webhook:sms"),
        ({"email": None}, BY_SMS, ""),
        (
            {"email": None, "contacts": {"telegram": "12"}},
            OWN,
            "webhook:own",
        ),
        ({"email": None}, OWN, ""),
    ],
)
def test_without_rules_slack_is_first_and_a_way_that_reaches_them_second(changes, settings, second):
    filled = notify.complete(ANA.model_copy(update=changes), settings).notification_rules
    later = ((second, timedelta(minutes=3)),) if second else ()
    assert tuple((rule.by, rule.after) for rule in filled["high"]) == (("slack", timedelta()), *later)
    assert [rule.by for rule in filled["low"]] == ["slack"]


def test_own_rules_stay_as_they_are():
    own = person(high=rules(("email", 0)))
    assert notify.complete(own, MAIL).notification_rules["high"] == rules(("email", 0))
    assert notify.urgency_of(Severity.CRITICAL) == "high"
    assert notify.urgency_of(Severity.WARNING) == "low"


# Slack fails

TROUBLES = {
    "untried for 30 s": ({}, 30, True),
    "untried for 29 s": ({}, 29, False),
    "being sent for 30 s": ({"state": PageState.SENDING}, 30, True),
    "token refused": ({"attempt": 1, "error": "invalid_auth: no", "due_at": after(seconds=30)}, 1, True),
    "one failed connection": ({"attempt": 1, "error": "unreachable: no"}, 1, False),
    "two failed connections": ({"attempt": 2, "error": "unreachable: no"}, 2, True),
    "told to wait 31 s": ({"attempt": 1, "error": "ratelimited: wait", "due_at": after(seconds=32)}, 1, True),
    "told to wait 30 s": ({"attempt": 1, "error": "ratelimited: wait", "due_at": after(seconds=31)}, 1, False),
    "unknown outcome": ({"state": PageState.UNKNOWN, "attempt": 1}, 1, True),
    "refused for good": ({"state": PageState.FAILED, "attempt": 1, "error": "user_disabled: no"}, 1, True),
    "sent": ({"state": PageState.SENT, "attempt": 1}, 600, False),
    "taken back": ({"state": PageState.CANCELLED}, 600, False),
}


@pytest.mark.parametrize(("changes", "seconds", "help_comes"), TROUBLES.values(), ids=TROUBLES)
def test_when_slack_is_not_relied_on_any_more(changes, seconds, help_comes):
    slack, mail = first()
    pages = [slack.model_copy(update=changes), mail]
    rows = notify.second_channels(pages, opened(), SLACK_THEN_MAIL, LIMIT, after(seconds=seconds))
    assert [row.id for row in rows] == ([mail.id] if help_comes else [])
    assert all(row.due_at == after(seconds=seconds) for row in rows)


def late(pages: list[Page], of: Book = SLACK_THEN_MAIL, incident: Incident | None = None, **span: float) -> list[Page]:
    return notify.second_channels(pages, incident or opened(), of, LIMIT, after(**(span or {"seconds": 40})))


def test_what_waits_is_pulled_forward_and_says_why():
    (row,) = late(first())
    assert (row.id, row.state, row.due_at) == ("INC-1.1.page.ana.email", PageState.DUE, after(seconds=40))
    assert row.reason.endswith("Slack has not confirmed the message for 40 s")


def test_where_nothing_waits_one_message_is_added():
    (slack,) = first(severity="warning")
    (row,) = late([slack])
    assert (row.id, row.channel, row.person, row.state) == (
        "INC-1.1.page.ana.email",
        "email:ana@example.com",
        "ana",
        PageState.DUE,
    )


def test_one_extra_message_for_a_page_at_the_most():
    pages = first()
    (row,) = late(pages)
    for state in (PageState.DUE, PageState.SENDING, PageState.SENT, PageState.UNKNOWN):
        done = row.model_copy(update={"state": state, "sent_at": after(seconds=41), "attempt": 1})
        assert late([pages[0], done], seconds=50) == []


def test_the_next_page_to_the_same_person_gets_its_own_message_when_slack_still_fails():
    slack, mail = first()
    sent = mail.model_copy(update={"state": PageState.SENT, "sent_at": after(seconds=40)})
    new = again(opened(), minutes=10)
    second_slack = new[0]
    (row,) = late([slack.model_copy(update={"state": PageState.CANCELLED}), sent, second_slack], minutes=11)
    assert row.id == "INC-1.3.page.ana.email"


def test_a_channel_that_refused_is_followed_by_the_next():
    of = book(high=rules(("slack", 0), ("email", 2), ("webhook:sms", 5)))
    slack, mail, sms = first(of)
    refused = mail.model_copy(update={"state": PageState.FAILED})
    (row,) = late([slack, refused, sms], of)
    assert row.id == sms.id
    (added,) = late([slack, refused], of)
    assert added.channel == "webhook:sms"
    assert late([slack, refused, sms.model_copy(update={"state": PageState.FAILED})], of) == []


def test_nobody_is_told_another_way_of_what_somebody_has():
    acked = people.ack(opened(), "person:ben", NOW).incident
    assert late(first(), incident=acked) == []
    assert late(first(), incident=opened().model_copy(update={"declined": ("ana",)})) == []


def test_an_old_refusal_does_not_come_back_on_later_levels():
    slack, mail = first()
    failed = slack.model_copy(update={"state": PageState.FAILED})
    climbed = due(opened(), WORLD, after(minutes=5))
    assert climbed is not None
    assert late([failed], incident=climbed.incident, minutes=6) == []
    assert POLICY.steps[1].notify == ("person:ben", "person:cat")
    assert mail.person == "ana"


def test_somebody_without_a_second_channel_stays_with_slack():
    assert late(first(BOOK), BOOK) == []
    assert not notify.has_second_channel(BOOK)
    assert notify.has_second_channel(SLACK_THEN_MAIL)


BY_MAIL_ONLY = book(high=rules(("email", 0)))


@pytest.mark.parametrize(
    ("changes", "seconds", "help_comes"),
    [
        ({"attempt": 1, "error": "mail_server_unreachable: no"}, 1, False),
        ({"attempt": 2, "error": "mail_server_unreachable: no"}, 2, True),
        ({"state": PageState.FAILED, "attempt": 1, "error": "550: no"}, 1, True),
        ({}, 30, True),
        ({"state": PageState.SENT}, 300, False),
    ],
)
def test_somebody_whose_rules_leave_slack_out_is_told_there_when_their_own_way_fails(changes, seconds, help_comes):
    (mail,) = first(BY_MAIL_ONLY)
    assert mail.channel == "email:ana@example.com"
    now = after(seconds=seconds)
    pages = [mail.model_copy(update=changes)]
    rows = notify.second_channels(pages, opened(), BY_MAIL_ONLY, LIMIT, now)
    assert [(row.id, row.channel, row.state, row.due_at) for row in rows] == (
        [("INC-1.1.page.ana", "U0ANA", PageState.DUE, now)] if help_comes else []
    )
    assert notify.second_channels([*pages, *rows], opened(), BY_MAIL_ONLY, LIMIT, now) == [], "once"


def test_a_mail_in_trouble_changes_nothing_for_somebody_whom_slack_tells():
    slack, mail = first()
    sent = slack.model_copy(update={"state": PageState.SENT, "sent_at": NOW})
    stuck = mail.model_copy(update={"attempt": 3, "error": "mail_server_unreachable: no"})
    assert late([sent, stuck], minutes=10) == []
