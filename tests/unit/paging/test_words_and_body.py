from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
from core_world import NOW, PEOPLE, after, alert, opened
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.verbs import ack
from bot.errors import TemplateError
from bot.incidents.model import Incident, Suppression, SuppressionKind
from bot.paging import body, words
from bot.paging.model import Page, PageKind
from bot.settings import Webhook

LINK = words.AckLink("https://pager.example.com/ack/abc", after(minutes=30))
ANA = PEOPLE["ana"].model_copy(update={"timezone": "Europe/Madrid", "phone": "+34600000000"})
PAGE = Page(
    id="INC-1.1.page.ana.email",
    incident="INC-1",
    kind=PageKind.PAGE,
    person="ana",
    channel="email:ana@example.com",
    due_at=NOW,
    reason="on call in payments-primary",
)


def told(incident: Incident | None = None, link: words.AckLink | None = LINK) -> words.Told:
    return words.tell(PAGE, incident or opened(), None, ANA, link)


def test_the_subject_begins_with_what_matters_on_a_lock_screen():
    assert words.subject_of(opened()) == "🔴 CRITICAL ErrorsHigh of refund-agent · INC-1"
    quiet = opened(alert(labels={"severity": "warning"}, annotations={"summary": "slow"}))
    assert words.subject_of(quiet) == "🔶 WARNING refund-agent: slow · INC-1"


def test_the_text_says_who_why_what_and_how():
    assert told().text.split("\n\n") == [
        "Ana, you are paged: on call in payments-primary.\n"
        "INC-1, critical, since Wed 03:00 (Europe/Madrid). Owner: team:payments.",
        "ErrorsHigh: ErrorsHigh of refund-agent",
        "Take it: https://pager.example.com/ack/abc\n"
        "The link works once, until 03:30 (Europe/Madrid); it asks before anything happens.",
        "Or in Slack, or by: agentpager ack INC-1 --as ana",
    ]


def test_without_a_link_the_text_says_how_else():
    assert told(link=None).text.endswith("Take it in Slack, or by: agentpager ack INC-1 --as ana")


def test_the_command_it_names_is_one_that_there_is():
    _, _, command = told().text.rpartition("agentpager ack ")
    assert ack.make_context("ack", command.split()).params["person"] == "ana"


def test_an_alert_that_is_hidden_says_so_and_why():
    why = "silenced by ana until 09:00 UTC: deploy (SIL-1)"
    silence = Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why=why)
    incident = opened(alert("Down"), alert("Slow"))
    shown, hidden = incident.alerts
    both = incident.model_copy(update={"alerts": (shown, hidden.model_copy(update={"suppressed": (silence,)}))})
    lines = told(both).paragraphs[1]
    assert [("hidden" in line) for line in lines] == [False, True]
    assert lines[1].endswith(f"Slow of refund-agent (hidden: {why})")


@given(st.text(max_size=400))
def test_no_value_makes_a_second_line_or_hides_itself(text):
    incident = opened().model_copy(update={"title": text, "agent": text})
    subject = words.subject_of(incident)
    assert len(subject) <= 140
    assert not any(ord(one) < 32 or one in "\u202e\u200b\u2028\x7f" for one in subject)
    assert subject.endswith("INC-1")


def values(**changes: object) -> dict[str, object]:
    return body.values(PAGE, opened(), ANA, told(), "high") | changes


def webhook(text: str | None, kind: str = "application/json") -> Webhook:
    headers = {"Content-Type": kind}
    return Webhook.model_validate({"url": "https://hooks.example.com", "body": text, "headers": headers})


def test_our_own_body():
    said = json.loads(body.own_body(values(), NOW))
    assert said["type"] == "incident.page"
    assert said["timestamp"] == "2026-11-04T02:00:00+00:00"
    assert said["data"] | {"text": "", "incident": "", "person": ""} == {
        "page": {
            "id": "INC-1.1.page.ana.email",
            "reason": "on call in payments-primary",
            "urgency": "high",
            "level": 1,
        },
        "incident": "",
        "person": "",
        "ack_url": "https://pager.example.com/ack/abc",
        "subject": "🔴 CRITICAL ErrorsHigh of refund-agent · INC-1",
        "text": "",
        "spoken": "CRITICAL ErrorsHigh of refund-agent INC-1",
    }
    assert said["data"]["person"]["phone"] == "+34600000000"
    assert set(said["data"]["incident"]) == {
        "id", "key", "title", "state", "severity", "agent", "owner", "opened_at",
    }  # fmt: skip


@given(st.text(max_size=2000))
def test_no_value_breaks_out_of_json_or_of_a_form(text):
    said = values(subject=text, text=text)
    filled = body.filled(webhook('{"a": "{{ subject }}", "b": "x"}'), said | {"text": ""})
    assert json.loads(filled) == {"a": text, "b": "x"}
    form = body.filled(webhook("a={{ subject|truncate(200) }}&b=x", "application/x-www-form-urlencoded"), said)
    assert parse_qs(form, keep_blank_values=True)["b"] == ["x"]


def test_a_text_that_is_too_long_gives_way_to_the_subject():
    filled = body.filled(webhook('{"a": "{{ text }}{{ text }}{{ text }}{{ text }}"}'), values(text="x" * 5000))
    assert json.loads(filled) == {"a": "🔴 CRITICAL ErrorsHigh of refund-agent · INC-1" * 4}


@pytest.mark.parametrize(
    ("text", "kind", "problem"),
    [
        (None, "application/json", ""),
        ('{"to": "{{ person.contacts.telegram }}"}', "application/json", ""),
        ("{{ subject }}", "text/plain", ""),
        ("{{ subject }}", "application/json", "the body is no JSON"),
        ('{"a": "{{ incident.titel }}"}', "application/json", '"incident.titel" is not known'),
        ('{"a": "{{ subject }"}', "application/json", "unexpected '}'"),
    ],
)
def test_a_template_is_checked_before_anybody_is_paged(text, kind, problem):
    found = body.problem_of(webhook(text, kind))
    assert found.startswith(problem)
    assert bool(found) is bool(problem)


def test_what_a_template_needs_of_a_person():
    assert body.needs_of(webhook('{"to": "{{ person.phone }}", "t": "{{ person.contacts.telegram }}"}')) == {
        "phone",
        "telegram",
    }
    assert body.needs_of(webhook('{"to": "{{ subject }}"}')) == frozenset()
    assert body.needs_of(webhook(None)) is None


def test_a_template_that_fails_at_night_is_an_error_with_its_reason():
    with pytest.raises(TemplateError, match="works on two numbers"):
        body.filled(webhook('{"a": "{{ subject - 1 }}"}'), values())


def test_many_incidents_are_one_message_with_a_link_for_each_of_the_first():
    others = [(opened().model_copy(update={"id": f"INC-{number}"}), LINK) for number in range(2, 15)]
    many = words.with_others(told(), others)
    assert many.subject == "🔴 CRITICAL ErrorsHigh of refund-agent · INC-1 (+13 more)"
    lines = many.text.split("\n\n")[3].split("\n")
    assert lines[0] == "13 more for you:"
    assert lines[1:3] == ["🔴 CRITICAL ErrorsHigh of refund-agent · INC-2", f"  take it: {LINK.url}"]
    assert lines[-1] == "and 3 more: agentpager incidents lists them"
    assert len(lines) == 1 + 2 * 10 + 1
