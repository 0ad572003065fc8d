"""Schedules of other systems as ours: who is on call at instants that were worked out by hand from the exports."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from config_files import IMPORTED_AT, imported_config, sources_of

from bot import config
from bot.importing.run import Wanted, imported
from bot.oncall.duty import at_duty
from bot.oncall.model import Book
from bot.oncall.owners import owner_of, people_of, policy_of

EXAMPLES = Path(__file__).parents[2] / "importing"
MADRID, NEW_YORK = ZoneInfo("Europe/Madrid"), ZoneInfo("America/New_York")


def book_of(kind: str, name: str) -> Book:
    """Without the calendars at an address, which nobody has read."""
    files, _ = imported_config(kind, name)
    return config.read_book(sources_of(files))


@pytest.fixture(scope="module")
def pagerduty() -> Book:
    return book_of("pagerduty", "pagerduty.json")


@pytest.fixture(scope="module")
def grafana() -> Book:
    return book_of("grafana-oncall", "grafana-oncall.json")


@pytest.mark.parametrize(
    ("at", "person"),
    [
        # Weeks from Monday 2026-01-05 09:00: Ana has the even ones. 2026-11-23 begins week 46.
        ("2026-11-23T08:59", "ben-cole"),
        ("2026-11-23T09:00", "cleo-angstrom"),  # office hours are the higher layer
        ("2026-11-23T16:59", "cleo-angstrom"),
        ("2026-11-23T17:00", "ana-ruiz"),
        ("2026-11-28T12:00", "ana-ruiz"),  # a Saturday has no office hours
        ("2026-11-30T08:59", "ana-ruiz"),
        ("2026-11-30T18:00", "ben-cole"),
        ("2026-12-24T17:59", "ana-ruiz"),  # a Thursday of week 50, after office hours
        ("2026-12-24T18:00", "ben-cole"),  # the override
        ("2026-12-25T12:00", "ben-cole"),  # also in office hours
        ("2026-12-26T08:59", "ben-cole"),
        ("2026-12-26T09:00", "ana-ruiz"),
        # Clocks change on 2027-03-28: 09:00 stays 09:00. 2027-03-29 begins week 64.
        ("2027-03-29T08:59", "ben-cole"),
        ("2027-03-29T17:00", "ana-ruiz"),
    ],
)
def test_weeks_with_office_hours_on_top_and_an_override(pagerduty, at, person):
    when = datetime.fromisoformat(at).replace(tzinfo=MADRID)
    assert at_duty(pagerduty.schedules["payments-primary"], when)[0] == (person,)


@pytest.mark.parametrize(
    ("at", "people"),
    [
        # Nights from 2026-01-01 22:00 UTC, three people; 2026-11-21 is the 324th night after it, and 324 is 3 * 108.
        ("2026-11-21T21:59", ()),
        ("2026-11-21T22:00", ("ana-ruiz",)),
        ("2026-11-22T05:59", ("ana-ruiz",)),
        ("2026-11-22T06:00", ()),
        ("2026-11-22T23:00", ("ben-cole",)),
        ("2026-11-24T02:00", ("cleo-angstrom",)),
    ],
)
def test_a_turn_each_night_with_nobody_by_day(pagerduty, at, people):
    assert at_duty(pagerduty.schedules["nights"], datetime.fromisoformat(at).replace(tzinfo=UTC))[0] == people


@pytest.mark.parametrize(
    ("at", "people"),
    [
        # Every other weekend from Friday 2026-01-02 17:00, 64 hours; 2026-11-20 is 46 weeks later: turn 23, Cleo's.
        ("2026-11-20T16:59", ()),
        ("2026-11-20T17:00", ("cleo-angstrom",)),
        ("2026-11-23T08:59", ("cleo-angstrom",)),
        ("2026-11-23T09:00", ()),
        ("2026-11-27T18:00", ("cleo-angstrom",)),
        ("2026-12-05T12:00", ("ben-cole",)),
        # The higher layer begins on Wednesday 2027-01-06; turns count from Monday 2026-12-28 08:00: this one is Ben's.
        ("2027-01-05T12:00", ()),
        ("2027-01-06T12:00", ("ben-cole",)),
        ("2027-01-11T08:00", ("ana-ruiz",)),
        ("2027-01-18T07:59", ("ana-ruiz",)),
        ("2027-01-18T08:00", ("ben-cole",)),
    ],
)
def test_a_layer_that_begins_later_and_weekends_of_two_weeks(pagerduty, at, people):
    when = datetime.fromisoformat(at).replace(tzinfo=NEW_YORK)
    assert at_duty(pagerduty.schedules["next-year"], when)[0] == people


def test_a_policy_its_team_and_the_route_of_a_service(pagerduty):
    policy = pagerduty.escalation_policies["payments"]
    assert [step.notify for step in policy.steps] == [
        ("schedule:payments-primary",),
        ("person:ben-cole", "schedule:nights"),
        ("person:old-timer",),
    ]
    assert [step.wait.total_seconds() for step in policy.steps] == [300, 600, 1800]
    assert policy.repeat == 2
    assert policy.ack_timeout["critical"].total_seconds() == 1800
    owner = owner_of({"route": "checkout-api"}, {}, pagerduty)
    assert (owner.id, policy_of(owner, {}, {}, pagerduty)[0]) == ("team:payments", "payments")


def test_what_the_file_itself_says_of_the_finished_schedule_is_compared():
    _, report = imported_config("pagerduty", "pagerduty.json")
    told = [entry.text for entry in report.entries if "final_schedule" in entry.text]
    assert told == ["all 4 spans of final_schedule have the same person on call here"]


def test_layers_in_the_other_order_are_turned_where_the_finished_schedule_says_so():
    data = json.loads((EXAMPLES / "pagerduty.json").read_text())
    data["schedules"][0]["schedule_layers"].reverse()
    made = imported([("pd.json", json.dumps(data))], Wanted("pagerduty"), IMPORTED_AT)
    told = [entry.text for entry in made.report.entries if "final_schedule" in entry.text]
    assert told == [
        "the first layer of the file is the lowest: so final_schedule says",
        "all 4 spans of final_schedule have the same person on call here",
    ]


def test_answers_of_single_objects_and_overrides_that_only_their_file_places():
    def layer(person: str) -> dict[str, object]:
        start = "2026-01-05T09:00:00Z"
        user = {"user": {"id": person, "type": "user_reference", "summary": person.lower()}}
        turn = {"rotation_virtual_start": start, "rotation_turn_length_seconds": 604800}
        return {"name": "L", "start": start, "end": None, "users": [user], "restrictions": [], **turn}

    override = {"start": "2026-12-01T00:00:00Z", "end": "2026-12-02T00:00:00Z", "user": {"id": "BEN", "summary": "ben"}}
    texts = [
        (f"{name}.json", json.dumps({"schedule": {"id": name, "name": name, "schedule_layers": [layer("ANA")]}}))
        for name in ("PONE", "PTWO")
    ]
    texts += [(f"overrides{name}.json", json.dumps({"overrides": [override]})) for name in ("-PTWO", "")]
    made = imported(texts, Wanted("pagerduty", {"ana": "U0ANA", "ben": "U0BEN"}), IMPORTED_AT)
    book = config.read_book(sources_of(dict(made.files)))
    at = datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert [at_duty(book.schedules[name], at)[0] for name in ("pone", "ptwo")] == [("ana",), ("ben",)]
    assert [(entry.file, entry.what) for entry in made.report.of("left")] == [("overrides.json", "override")]


@pytest.mark.parametrize(
    ("at", "people"),
    [
        # Weeks from Monday 2026-01-05 09:00: even ones are Ana's, odd ones Ben's and Cleo's together; Dan has weekends.
        ("2026-11-23T08:59", {"ben", "cleo"}),
        ("2026-11-25T12:00", {"ana-ruiz"}),
        ("2026-11-27T23:59", {"ana-ruiz"}),
        ("2026-11-28T00:00", {"dan"}),
        ("2026-11-29T23:59", {"dan"}),
        ("2026-11-30T00:00", {"ana-ruiz"}),
        ("2026-11-30T09:00", {"ben", "cleo"}),
        ("2026-12-24T20:00", {"cleo"}),  # a single event over everybody, of which one person is left
    ],
)
def test_shifts_at_a_time_are_schedules_that_are_asked_together(grafana, at, people):
    step = grafana.escalation_policies["payments-chain"].steps[0]
    assert step.notify == ("schedule:payments", "schedule:payments-together-2")
    reached, _ = people_of(step.notify, grafana, datetime.fromisoformat(at).replace(tzinfo=MADRID))
    assert {one.person for one in reached} == people


@pytest.mark.parametrize(
    ("at", "people"),
    [
        # Days 08:00 to 20:00 from 2026-01-05, the second of Ana, Ben, Dan first; 2026-11-23 is day 322, 322 % 3 = 1.
        ("2026-11-23T07:59", ()),
        ("2026-11-23T08:00", ("dan",)),
        ("2026-11-24T19:59", ("ana-ruiz",)),
        ("2026-11-24T20:00", ()),
        # Wednesday nights of every other week from 2026-01-07; 2026-11-25 is week 46.
        ("2026-11-25T20:00", ("cleo",)),
        ("2026-11-26T05:59", ("cleo",)),
        ("2026-11-26T06:00", ()),
        ("2026-12-02T21:00", ()),
        ("2026-12-09T21:00", ("cleo",)),
        # The swap of 7 to 14 December: 2026-12-08 is day 337, 337 % 3 = 1: Dan's; the 9th Ana's, which Ben has.
        ("2026-12-08T12:00", ("dan",)),
        ("2026-12-09T12:00", ("ben",)),
    ],
)
def test_days_in_turns_every_other_week_and_a_swap(grafana, at, people):
    assert at_duty(grafana.schedules["days"], datetime.fromisoformat(at).replace(tzinfo=MADRID))[0] == people


def test_routes_by_labels_and_a_calendar_that_stays_a_secret(grafana):
    assert [(entry.matchers, entry.owner) for entry in grafana.routing] == [
        (('team="payments"', 'env!="dev"'), "team:payments-chain"),
        (('severity="critical"',), "team:payments-chain"),
        ((), "team:payments-chain"),
    ]
    calendars = [layer.ical for layer in grafana.schedules["from-a-calendar"].layers]
    assert calendars == ["${FROM_A_CALENDAR_CALENDAR}", "${FROM_A_CALENDAR_OVERRIDES}"]


def test_services_whose_names_begin_alike_have_a_route_each():
    def policy(number: str) -> dict[str, object]:
        rule = {"targets": [{"id": f"U{number}", "type": "user", "summary": number}]}
        return {"id": f"P{number}", "name": f"Policy {number}", "escalation_rules": [rule]}

    services = [
        {
            "id": f"{kind}{number}",
            "name": f"{kind} of the payments cluster {number}",
            "escalation_policy": {"id": there},
        }
        for kind in ("Production service", "24x7 service")
        for number, there in (("1", "P1"), ("2", "P2"))
    ]
    said = {"escalation_policies": [policy("1"), policy("2")], "services": services}
    made = imported([("pd.json", json.dumps(said))], Wanted("pagerduty"), IMPORTED_AT)
    assert yaml.safe_load(made.files["oncall/pagerduty.yaml"])["routes"] == {
        "production-service-of-the-paymen": "team:policy-1",
        "production-service-of-the-pay-2": "team:policy-2",
        "s-24x7-service-of-the-payments-c": "team:policy-1",
        "s-24x7-service-of-the-payment-2": "team:policy-2",
    }


def test_what_two_integrations_route_otherwise_is_told():
    def route(number: int, integration: str, chain: str, severity: str) -> dict[str, object]:
        regex = f'"severity": "{severity}"'
        there = {"integration_id": integration, "escalation_chain_id": chain, "routing_regex": regex}
        return {"id": f"R{number}", **there, "position": number, "is_the_last_route": False}

    said = {
        "users": [{"id": "U1", "username": "ana"}],
        "integrations": [{"id": name, "name": name, "default_route": {"id": "D"}} for name in ("I1", "I2")],
        "escalation_chains": [{"id": "F1", "name": "One"}, {"id": "F2", "name": "Two"}],
        "escalation_policies": [
            {"escalation_chain_id": "F1", "position": 0, "type": "notify_persons", "persons_to_notify": ["U1"]},
            {"escalation_chain_id": "F2", "position": 0, "type": "notify_persons", "persons_to_notify": ["ANA"]},
        ],
        "routes": [route(0, "I1", "F1", "critical"), route(0, "I2", "F2", "critical"), route(1, "I2", "F2", "info")],
    }
    made = imported([("g.json", json.dumps(said))], Wanted("grafana-oncall"), IMPORTED_AT)
    oncall = yaml.safe_load(made.files["oncall/grafana-oncall.yaml"])
    assert [(entry["matchers"], entry["owner"]) for entry in oncall["routing"]] == [
        (['severity="critical"'], "team:one"),
        (['severity="info"'], "team:two"),
    ]
    assert {name: person["name"] for name, person in oncall["people"].items()} == {"ana": "ana", "ana-2": "ANA"}
    told = [(entry.outcome, entry.what) for entry in made.report.entries if entry.what.startswith("route ")]
    assert told == [
        ("changed", "route 0 of integration I1"),
        ("left", "route 1 of integration I2"),
        ("changed", "route 2 of integration I2"),
    ]
