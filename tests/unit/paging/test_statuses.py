"""What a receiver is told, change by change: Alertmanager's webhook, with our rule that the end is told at once."""

from __future__ import annotations

import json
from dataclasses import replace

from core_world import NOW, WORLD, after, alert, ended, observe, opened

from bot.incidents.model import Incident, State, Suppression, SuppressionKind
from bot.paging import statuses
from bot.paging.model import Page, PageState
from bot.paging.payload import body_of, payload
from bot.settings import Receiver


def receiver(**changes: object) -> Receiver:
    return Receiver.model_validate({"url": "https://there.example.com/", **changes})


class Line:
    """One receiver over time: what it is told of each state of an incident, if everything is delivered at once."""

    def __init__(self, **changes: object) -> None:
        self.world = replace(WORLD, receivers={"tickets": receiver(**changes)})
        self.rows: list[Page] = []
        self.taken_back: list[str] = []

    def see(self, incident: Incident, now=NOW, *, delivered: bool = True) -> list[tuple[str, str]] | None:
        """The alerts of the new row by name and status; None when there is nothing to tell."""
        added, gone = statuses.rows_for(incident, self.rows, self.world, now)
        self.taken_back += [row.id for row in gone]
        names = {row.id for row in gone}
        self.rows = [row for row in self.rows if row.id not in names]
        self.rows += [row.model_copy(update={"state": PageState.SENT}) if delivered else row for row in added]
        if not added:
            return None
        (row,) = added
        return [(one["labels"]["alertname"], one["status"]) for one in payload(row, incident, "")["alerts"]]


ONE, TWO = alert("One"), alert("Two")


def with_alerts(incident: Incident, *alerts, **changes) -> Incident:
    return incident.model_copy(update={"alerts": alerts, "revision": incident.revision + 1, **changes})


def test_the_beginning_what_joins_and_the_end():
    line, first = Line(), opened(ONE)
    assert line.see(first) == [("One", "firing")]
    both = with_alerts(first, ONE, TWO)
    assert line.see(both, after(minutes=1)) == [("One", "firing"), ("Two", "firing")]
    one_over = with_alerts(both, ended(ONE, after(minutes=7)), TWO)
    assert line.see(one_over, after(minutes=7)) == [("One", "resolved"), ("Two", "firing")]
    over = with_alerts(one_over, ended(ONE, after(minutes=7)), ended(TWO, after(minutes=9)), state=State.RESOLVED)
    assert line.see(over, after(minutes=9)) == [("Two", "resolved")]
    assert line.see(over, after(minutes=10)) is None


def test_changes_in_between_wait_for_the_group_interval_and_the_end_does_not():
    line, first = Line(), opened(ONE)
    line.see(first)
    line.see(with_alerts(first, ONE, TWO), after(minutes=1), delivered=False)
    assert line.rows[-1].due_at == after(minutes=5)
    over = with_alerts(first, ended(ONE, after(minutes=2)), ended(TWO, after(minutes=2)), state=State.RESOLVED)
    # Two was never told of, so its end is no news; what waited is taken back.
    assert line.see(over, after(minutes=2)) == [("One", "resolved")]
    assert line.rows[-1].due_at == after(minutes=2)
    assert len(line.taken_back) == 1


def test_what_ends_before_it_was_told_is_never_told():
    line, first = Line(), opened(ONE)
    line.see(first, delivered=False)
    over = with_alerts(first, ended(ONE, after(minutes=1)), state=State.RESOLVED)
    assert line.see(over, after(minutes=1)) is None
    assert (line.rows, len(line.taken_back)) == ([], 1)


def test_what_failed_once_goes_on_being_tried_whatever_else_happens():
    line, first = Line(), opened(ONE)
    line.see(first, delivered=False)
    line.rows = [line.rows[0].model_copy(update={"attempt": 2})]
    (tried,) = line.rows
    assert line.see(with_alerts(first, ONE, state=State.ACKED), after(minutes=1)) is None
    assert line.rows == [tried]
    # What joins goes at once: nothing has been told yet. And the end is told, for the request may have arrived.
    assert line.see(with_alerts(first, ONE, TWO), after(minutes=1), delivered=False) == [
        ("One", "firing"),
        ("Two", "firing"),
    ]
    assert line.rows[-1].due_at == after(minutes=1)
    line.rows = [tried]
    over = with_alerts(first, ended(ONE, after(minutes=2)), state=State.RESOLVED)
    assert line.see(over, after(minutes=2)) == [("One", "resolved")]


def test_an_end_that_may_have_been_told_is_taken_back_by_telling_that_it_fires():
    line, first = Line(), opened(ONE)
    line.see(first)
    over = with_alerts(first, ended(ONE, after(minutes=2)), state=State.RESOLVED)
    line.see(over, after(minutes=2), delivered=False)
    line.rows[-1] = line.rows[-1].model_copy(update={"attempt": 1})
    assert line.see(with_alerts(first, ONE), after(minutes=3)) == [("One", "firing")]


def test_new_values_alone_are_no_news_and_what_waits_stays():
    line, first = Line(), opened(ONE)
    line.see(first, delivered=False)
    (before,) = line.rows
    assert line.see(with_alerts(first, ONE.model_copy(update={"value": 0.5})), after(minutes=1)) is None
    assert line.rows == [before]


def test_what_is_hidden_is_not_told_but_its_end_is():
    line, first = Line(), opened(ONE)
    line.see(first)
    hiding = (Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why="known"),)
    hidden = with_alerts(first, ONE.model_copy(update={"suppressed": hiding}))
    assert line.see(hidden, after(minutes=1)) is None
    joined = with_alerts(hidden, *hidden.alerts, TWO)
    assert line.see(joined, after(minutes=6)) == [("Two", "firing")]
    over = with_alerts(joined, ended(ONE, NOW), ended(TWO, NOW), state=State.RESOLVED)
    assert sorted(line.see(over, after(minutes=12))) == [("One", "resolved"), ("Two", "resolved")]


def test_what_a_person_closes_is_over_although_it_fires_and_may_come_back():
    line, first = Line(), opened(ONE)
    line.see(first)
    closed = with_alerts(first, ONE, state=State.RESOLVED, resolved_at=after(minutes=3))
    assert line.see(closed, after(minutes=3)) == [("One", "resolved")]
    (told,) = statuses.content_of(line.rows[-1]).alerts
    assert told["endsAt"] == "2026-11-04T02:03:00Z"
    assert line.see(with_alerts(closed, ONE, state=State.OPEN), after(minutes=63)) == [("One", "firing")]


def test_an_end_is_told_even_of_alerts_that_the_incident_has_forgotten():
    line, first = Line(), opened(ONE, TWO)
    line.see(first)
    assert sorted(line.see(with_alerts(first, ended(ONE, NOW), state=State.RESOLVED), after(minutes=1))) == [
        ("One", "resolved"),
        ("Two", "resolved"),
    ]


def test_only_what_the_receiver_is_for():
    assert Line(owners=["team:other"]).see(opened(ONE)) is None
    assert Line(owners="payments").see(opened(ONE)) == [("One", "firing")]
    assert Line(matchers='alertname="Two"').see(opened(ONE, TWO)) == [("Two", "firing")]
    assert Line(matchers='agent_team="payments"').see(opened(ONE)) == [("One", "firing")]
    line = Line(send_resolved=False)
    line.see(opened(ONE))
    assert line.see(with_alerts(opened(ONE), ended(ONE, NOW), state=State.RESOLVED)) is None


def test_at_most_so_many_at_once_and_the_rest_counted():
    line, many = Line(max_alerts=2), [alert(name) for name in ("A", "B", "C", "D", "E")]
    first = opened(*many)
    assert line.see(first) == [("A", "firing"), ("B", "firing")]
    assert payload(line.rows[-1], first, "")["truncatedAlerts"] == 3
    fewer = with_alerts(first, ended(many[0], NOW), *many[1:])
    assert line.see(fewer, after(minutes=6)) == [("A", "resolved"), ("B", "firing"), ("C", "firing")]


def test_nothing_is_told_of_what_is_not_posted_yet_or_is_an_exercise():
    assert Line().see(opened(ONE).model_copy(update={"announced": False})) is None
    assert Line().see(opened(ONE).model_copy(update={"exercise": "test"})) is None


def test_the_payload_is_that_of_alertmanager():
    line, first = Line(), opened(ONE.model_copy(update={"generator_url": "http://p/g"}), TWO)
    line.see(first)
    body = payload(line.rows[0], first, "https://pager.example.com")
    assert body == {
        "receiver": "tickets",
        "status": "firing",
        "alerts": body["alerts"],
        "groupLabels": {"agent": "refund-agent"},
        "commonLabels": {"agent": "refund-agent", "severity": "critical"},
        "commonAnnotations": {},
        "externalURL": "https://pager.example.com",
        "version": "4",
        "groupKey": '{}/{owner="team:payments"}:{agent="refund-agent"}',
        "truncatedAlerts": 0,
    }
    assert body["alerts"][0] == {
        "status": "firing",
        "labels": {"alertname": "One", "agent": "refund-agent", "severity": "critical"},
        "annotations": {"summary": "One of refund-agent"},
        "startsAt": "2026-11-04T02:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://p/g",
        "fingerprint": ONE.fingerprint,
    }


def test_a_key_with_spaces_and_quotes_is_taken_apart():
    odd = opened(alert(labels={"cause": 'a "b" c=d'}))
    line = Line()
    line.see(odd)
    assert payload(line.rows[0], odd, "")["groupLabels"] == {"agent": "refund-agent", "cause": 'a "b" c=d'}


def test_an_alert_without_an_agent_is_grouped_by_its_name():
    (first, *_) = [one.incident for one in observe([alert(labels={"agent": ""})])]
    line = Line()
    line.see(first)
    assert payload(line.rows[0], first, "")["groupLabels"] == {"alertname": "ErrorsHigh"}


def test_a_body_of_ones_own_has_as_many_alerts_as_there_is_room_for():
    names = "{% for one in alerts %} {{ one.labels.alertname }}{% endfor %}"
    body = '{"text": "{{ status }}' + names + '", "more": {{ truncatedAlerts }} }'
    there = receiver(body=body)
    many = [
        {"labels": {"alertname": f"Errors of tool {number:04}" + "!" * 20}, "status": "firing"} for number in range(100)
    ]
    said = {"status": "firing", "alerts": many, "truncatedAlerts": 7}
    told = json.loads(body_of(there, said, None))
    assert told["text"].startswith(f"firing Errors of tool 0000{'!' * 20} Errors of tool 0001")
    assert (told["text"].count("Errors"), told["more"]) == (50, 57)
    long = {**said, "alerts": [{"labels": {"alertname": "x" * 5000}, "status": "firing"}]}
    assert json.loads(body_of(there, long, None)) == {"text": "firing", "more": 8}
