from __future__ import annotations

import json
import math

import pytest
from core_world import NOW, alert, ended, no_data
from pydantic import ValidationError

from bot.joint import Heartbeat, Reply, Request, Update, decode, encode

MESSAGES = [
    Heartbeat(at=NOW, ready=True),
    Update(group="f;g", evaluated_at=NOW, alerts=(alert(), no_data(alert("Other")), ended(alert("Third"), NOW))),
    Update(group="f;g", evaluated_at=NOW, alerts=(), state={"version": 1, "rules": {"a": [1, None, "x"]}}),
    Request(id=1, method="query", params={"query": "up", "time": 1.5}),
    Reply(id=1, result={"resultType": "scalar", "result": [1.5, "2"]}),
    Reply(id=2, error="no such metric", error_kind="bad_data"),
    Reply(id=3, result={"status": 200, "packed": False}, size=10_000_000),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.kind)
def test_what_is_sent_arrives(message):
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == message


def test_a_line_break_in_a_label_does_not_end_the_line():
    update = Update(group="f;g", evaluated_at=NOW, alerts=(alert(labels={"text": "a\nb\r\u2028c"}),))
    line = encode(update)
    assert line.count(b"\n") == 1
    assert decode(line) == update


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_an_infinite_value_arrives(value):
    update = Update(group="f;g", evaluated_at=NOW, alerts=(alert(value=value),))
    received = decode(encode(update))
    assert isinstance(received, Update)
    assert received.alerts[0].value == value


def test_nan_arrives_as_nan():
    received = decode(encode(Update(group="f;g", evaluated_at=NOW, alerts=(alert(value=math.nan),))))
    assert isinstance(received, Update)
    assert math.isnan(received.alerts[0].value)


def test_a_nan_inside_a_free_form_reply_does_not_become_a_missing_value():
    received = decode(encode(Reply(id=1, result={"value": math.nan})))
    assert isinstance(received, Reply)
    assert received.result == {"value": "NaN"}


def test_instants_keep_their_microseconds_and_zone():
    at = NOW.replace(microsecond=123456)
    received = decode(encode(Heartbeat(at=at, ready=False)))
    assert isinstance(received, Heartbeat)
    assert received.at == at
    assert received.at.utcoffset() is not None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"not json\n",
        b'{"kind":"unknown"}\n',
        b'{"kind":"heartbeat"}\n',
        b'{"kind":"heartbeat","at":"2026-11-04T02:00:00Z","ready":true,"more":1}\n',
        b'{"kind":"reply","id":"x"}\n',
        b"\xff\xfe\n",
        b'{"kind":"heartbeat","at":"2026-11-04T02:00:00Z","ready":true}{}\n',
    ],
)
def test_anything_else_is_refused(line):
    with pytest.raises(ValidationError):
        decode(line)


def test_a_half_line_is_refused_not_guessed():
    line = encode(MESSAGES[1])
    with pytest.raises(ValidationError):
        decode(line[: len(line) // 2])


def test_a_message_is_one_json_object():
    assert json.loads(encode(Heartbeat(at=NOW, ready=True))) == {
        "kind": "heartbeat",
        "at": "2026-11-04T02:00:00Z",
        "ready": True,
    }


def update(*alerts, still=(), state=None):
    return Update(group="f;g", evaluated_at=NOW, alerts=alerts, still=still, state=state)


def test_changes_that_follow_a_whole_report_are_part_of_it():
    both = update(alert(), alert("Other")).followed_by(update(ended(alert(), NOW), still=None))
    assert both == update(ended(alert(), NOW), alert("Other"))


def test_a_whole_report_that_follows_keeps_what_was_new_and_drops_what_it_does_not_account_for():
    before = update(alert(), alert("Other"), still=None, state={"a": 1})
    both = before.followed_by(update(alert("Third"), still=(alert().fingerprint,)))
    assert both == update(alert(), alert("Third"), still=(alert().fingerprint,), state={"a": 1})


def test_changes_after_changes_are_changes():
    both = update(alert(), still=None, state={"a": 1}).followed_by(update(alert("Other"), still=None, state={"a": 2}))
    assert both == update(alert(), alert("Other"), still=None, state={"a": 2})


def many(count: int) -> tuple:
    """The critical ones stand last."""
    return tuple(
        alert(f"A{number}", labels={"severity": "critical" if number >= count - 2 else "warning"})
        for number in range(count)
    )


def test_a_report_of_very_many_alerts_falls_into_parts_the_worst_first():
    update = Update(group="f;g", evaluated_at=NOW, alerts=many(10), still=("old",), state={"version": 1})
    parts = update.in_parts(first=3, rest=4)
    assert [[one.name for one in part.alerts] for part in parts] == [
        ["A8", "A9", "A0"],
        ["A1", "A2", "A3", "A4"],
        ["A5", "A6", "A7"],
    ]
    assert [(part.still is None, part.state) for part in parts] == [(True, None), (True, None), (False, {"version": 1})]


def test_only_its_last_part_accounts_for_everything():
    parts = Update(group="f;g", evaluated_at=NOW, alerts=many(10), still=("old",)).in_parts(first=3, rest=4)
    named = {*parts[-1].still, *(one.fingerprint for one in parts[-1].alerts)}
    assert named == {"old", *(one.fingerprint for one in many(10))}


def test_a_report_of_changes_stays_one_in_parts():
    parts = Update(group="f;g", evaluated_at=NOW, alerts=many(10), still=None).in_parts(first=3, rest=4)
    assert [part.still for part in parts] == [None, None, None]


def test_a_small_report_is_left_as_it_is():
    update = Update(group="f;g", evaluated_at=NOW, alerts=many(3))
    assert update.in_parts(first=3, rest=4) == [update]
