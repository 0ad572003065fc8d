"""What is posted, and what is shown. The meaning of the times is that of Alertmanager's `POST /api/v2/alerts`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import NOW, after, alert, opened

from bot.alertmanager import incoming, outgoing, silencing
from bot.alertmanager.incoming import PostedError
from bot.incidents.model import AlertState, Severity, Suppression, SuppressionKind
from bot.incidents.silences import Silence
from bot.labels import fingerprint

TIMEOUT = timedelta(minutes=5)
LABELS = {"alertname": "Slow", "agent": "refund-agent", "severity": "warning"}


def read(**more):
    (found,) = incoming.read([{"labels": LABELS} | more], TIMEOUT, NOW)
    return found


def test_without_times_it_begins_now_and_is_over_after_the_timeout():
    found = read(annotations={"summary": "s"}, generatorURL="http://p/graph")
    assert (found.state, found.starts_at, found.ends_at, found.expires_at) == (
        AlertState.FIRING, NOW, None, NOW + TIMEOUT,
    )  # fmt: skip
    assert (found.group, found.generator_url, found.annotations) == ("alertmanager", "http://p/graph", {"summary": "s"})
    assert found.fingerprint == fingerprint(LABELS)


@pytest.mark.parametrize(
    ("starts", "ends", "state", "began", "expires"),
    [
        (after(hours=-1), None, "firing", after(hours=-1), NOW + TIMEOUT),
        (None, after(minutes=9), "firing", NOW, after(minutes=9)),
        (after(hours=-1), NOW, "resolved", after(hours=-1), None),
        (None, after(hours=-2), "resolved", after(hours=-2), None),
        (after(hours=1), after(hours=2), "firing", NOW, after(hours=2)),
    ],
)
def test_an_end_that_is_past_resolves_and_one_ahead_is_when_it_expires(starts, ends, state, began, expires):
    times = {"startsAt": starts and starts.isoformat(), "endsAt": ends and ends.isoformat()}
    found = read(**{name: value for name, value in times.items() if value})
    assert (found.state, found.starts_at, found.expires_at) == (state, began, expires)
    assert found.ends_at == (ends if state == "resolved" else None)


def test_gos_zero_time_is_no_time():
    assert read(endsAt="0001-01-01T00:00:00Z", startsAt="0001-01-01T00:00:00Z").expires_at == NOW + TIMEOUT


def test_an_empty_label_is_none():
    assert "env" not in read(labels=LABELS | {"env": ""}).labels


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"labels": {}}, "expected a list"),
        ([{"labels": {}}], "alert 0.labels"),
        ([{"labels": {"a": ""}}], "alert 0: at least one label"),
        ([{"labels": LABELS}, {"labels": {"a": 1}}], "alert 1.labels.a"),
        ([{"labels": LABELS, "startsAt": "yesterday"}], "alert 0.startsAt"),
        (
            [{"labels": LABELS, "startsAt": after(hours=1).isoformat(), "endsAt": NOW.isoformat()}],
            "ends before it starts",
        ),
        ([{"labels": LABELS}] * 10_001, "10001 alerts"),
    ],
)
def test_what_is_not_an_alert_is_refused_with_its_place(body, why):
    with pytest.raises(PostedError) as refused:
        incoming.read(body, TIMEOUT, NOW)
    assert why in str(refused.value)


def test_one_that_cannot_be_read_takes_no_other_with_it():
    with pytest.raises(PostedError, match=r"alert 0\.labels.*; and 1 more") as refused:
        incoming.read([{"labels": {}}, {"labels": LABELS}, {"labels": {"a": ""}}], TIMEOUT, NOW)
    assert [one.labels for one in refused.value.others] == [LABELS]


def test_what_prometheus_3_can_say_and_we_cannot_is_said_as_nearly_as_possible():
    given = LABELS | {"service.name": "refunds", "0": "x", "query": "q" * 2000}
    found = read(labels=given, annotations={"summary": "cut \ud83d", "description": "d" * 5000})
    assert (found.labels["service_name"], found.labels["_0"], found.annotations["summary"]) == ("refunds", "x", "cut ?")
    assert (len(found.labels["query"]), len(found.annotations["description"])) == (1024, 4096)
    assert found.fingerprint == fingerprint(given)


def test_the_last_hours_of_the_last_year_are_an_instant_too():
    assert read(endsAt="9999-12-31T23:59:59-10:00").state is AlertState.FIRING


SILENCED = Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why="w")
INHIBITED = Suppression(kind=SuppressionKind.INHIBITION, by="agent down", why="w")
MUTED = Suppression(kind=SuppressionKind.MUTE_WINDOW, by="nights", why="w")


def incident():
    alerts = (
        alert("Plain"),
        alert("Silenced", suppressed=(SILENCED,)),
        alert("Inhibited", suppressed=(INHIBITED,)),
        alert("Muted", suppressed=(MUTED,), generator_url="http://p/graph"),
        alert("Over", state=AlertState.RESOLVED, ends_at=NOW),
    )
    return opened().model_copy(update={"alerts": alerts, "policy_id": "payments"})


def names(found) -> set[str]:
    return {one["labels"]["alertname"] for one in found}


def shown(filters=(), **params) -> set[str]:
    return names(outgoing.alerts([incident()], outgoing.wanted(params, filters), NOW))


def test_what_goes_on_is_shown_with_what_hides_it():
    found = {one["labels"]["alertname"]: one for one in outgoing.alerts([incident()], outgoing.Wanted(), NOW)}
    assert set(found) == {"Plain", "Silenced", "Inhibited", "Muted"}
    assert found["Plain"]["status"] == {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []}
    assert found["Silenced"]["status"]["silencedBy"] == ["SIL-1"]
    assert found["Inhibited"]["status"]["inhibitedBy"] == ["agent down"]
    assert (found["Muted"]["status"]["mutedBy"], found["Muted"]["status"]["state"]) == (["nights"], "suppressed")
    assert found["Plain"]["receivers"] == [{"name": "payments"}]
    assert ("generatorURL" in found["Plain"], found["Muted"]["generatorURL"]) == (False, "http://p/graph")
    assert found["Plain"]["endsAt"] > found["Plain"]["startsAt"]


def test_alerts_are_asked_for_by_state_matcher_and_receiver():
    assert shown(active="false") == {"Silenced", "Inhibited", "Muted"}
    assert shown(silenced="false", inhibited="false", muted="false") == {"Plain"}
    assert shown(["alertname=~S.*"]) == {"Silenced"}
    assert shown(['alertname!="Plain"', "agent=refund-agent"]) == {"Silenced", "Inhibited", "Muted"}
    assert shown(receiver="pay.*") == {"Plain", "Silenced", "Inhibited", "Muted"}
    assert shown(receiver="pay") == set()
    with pytest.raises(ValueError, match="active"):
        outgoing.wanted({"active": "maybe"}, [])


def test_an_incident_is_a_group():
    (group,) = outgoing.groups([incident()], outgoing.wanted({}, ["alertname=Plain"]), NOW)
    assert (group["labels"], group["receiver"], names(group["alerts"])) == (
        {"agent": "refund-agent"}, {"name": "payments"}, {"Plain"},
    )  # fmt: skip
    assert outgoing.groups([incident()], outgoing.wanted({}, ["alertname=None"]), NOW) == []


def test_an_alert_without_a_name_is_in_a_group_too():
    nameless = opened(alert("", labels={"agent": "", "owner": "payments"}))
    (group,) = outgoing.groups([nameless], outgoing.Wanted(), NOW)
    assert group["labels"] == {"alertname": ""}


def silence(**more) -> Silence:
    return Silence(
        id="SIL-1", matchers=('agent!~"a|b"', 'env="prod"'), created_by="person:ana", reason="because",
        created_at=NOW, starts_at=NOW, ends_at=after(hours=1), **more,
    )  # fmt: skip


def test_a_silence_has_its_matchers_apart():
    found = outgoing.silence(silence(), NOW)
    assert found["matchers"] == [
        {"name": "agent", "value": "a|b", "isRegex": True, "isEqual": False},
        {"name": "env", "value": "prod", "isRegex": False, "isEqual": True},
    ]
    assert (found["createdBy"], found["status"]["state"]) == ("ana", "active")
    assert found["endsAt"] == "2026-11-04T03:00:00.000Z"
    assert outgoing.silence(silence(), after(hours=2))["status"]["state"] == "expired"
    assert [one["id"] for one in outgoing.silences([silence()], ["env=prod"], NOW)] == ["SIL-1"]
    assert outgoing.silences([silence()], ["env=staging"], NOW) == []


def test_a_posted_silence_hides_whatever_it_matches():
    body = {
        "matchers": [{"name": "a", "value": "x.*", "isRegex": True, "isEqual": False}],
        "startsAt": NOW.isoformat(), "endsAt": after(hours=1).isoformat(), "createdBy": "ana", "comment": "c",
    }  # fmt: skip
    replaced, author, draft = silencing.read(body)
    assert (replaced, author, draft.matchers) == ("", "ana", ('a!~"x.*"',))
    assert (draft.ends_at, draft.max_severity) == (after(hours=1), Severity.CRITICAL)
    assert silencing.read(body | {"id": "SIL-3"})[0] == "SIL-3"
    for wrong in ({"matchers": []}, {"endsAt": "soon"}, {"matchers": [body["matchers"][0] | {"value": "("}]}):
        with pytest.raises(PostedError):
            silencing.read(body | wrong)
