"""Anything may happen to incidents, in any order and at any pace: these rules hold all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from core_world import BOOK, GROUP, NOW, POLICY, WORLD, alert, ended, no_data, numbers, observe
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bot.errors import ConflictError
from bot.incidents import grouping, people
from bot.incidents.decision import Decision, World
from bot.incidents.escalation import due
from bot.incidents.grouping import come_due
from bot.incidents.model import Alert, Event, Incident, Severity, State
from bot.incidents.policy import IncidentRules
from bot.incidents.silences import Silence
from bot.incidents.suppression import suppressions, whole
from bot.oncall.model import Policy
from bot.paging.plan import pages_for

NAMES = ("ErrorsHigh", "Slow", "Note", "Orphan")
LABELS = {
    "ErrorsHigh": {},
    "Slow": {"severity": "warning"},
    "Note": {"severity": "info"},
    "Orphan": {"agent": "new-agent"},
}
ACTORS = ("person:ana", "person:ben", "person:cat", "person:dan", "cli:root")
HOLES = World(
    WORLD.agents,
    BOOK.model_copy(update={"people": {name: BOOK.people[name] for name in ("cat", "dan")}, "fallback": "person:gone"}),
    WORLD.channel,
)
OFFICE = {"days": ["Mon-Fri"], "hours": "09:00-17:00"}
# Steps for some hours and severities only, and channels; at some hours there is only the fallback.
HOURS = World(
    WORLD.agents,
    BOOK.model_copy(
        update={
            "escalation_policies": {
                "payments": Policy.model_validate(
                    {
                        "id": "payments",
                        "repeat": 1,
                        "steps": [
                            {"notify": ["person:ana", "channel:#payments"], "when": {"during": [OFFICE]}},
                            {"notify": ["channel:#night"], "when": {"severity": "critical", "outside": [OFFICE]}},
                            {"notify": ["team:payments"], "when": {"severity": "critical", "timezone": "Asia/Tokyo"}},
                        ],
                    }
                )
            }
        }
    ),
    WORLD.channel,
)
# Alerts wait for others, hide one another, flap soon, and are muted at noon.
RULES = IncidentRules.model_validate(
    {
        "grouping": [{"matchers": ['alertname="Slow"'], "group_by": ["alertname"], "group_wait": "30s"}],
        "inhibit_rules": [
            {"name": "cause", "source_matchers": ['alertname="ErrorsHigh"'], "target_matchers": ['alertname="Slow"']},
            {"name": "circle", "source_matchers": ['alertname="Slow"'], "target_matchers": ['alertname="ErrorsHigh"']},
        ],
        "mute_windows": {
            "noon": {
                "id": "noon",
                "matchers": ['alertname=~"Slow|Note"'],
                "during": [{"hours": "12:00-13:00"}],
                "reason": "lunch",
            }
        },
        "flapping": {"reopens": 2, "quiet": "10m"},
    }
)
HIDING = replace(WORLD, rules=RULES)
WORLDS = (WORLD, HOLES, HOURS, HIDING)
LONGEST_WAIT = timedelta(hours=4)


class Incidents(RuleBasedStateMachine):
    """Keeps the store's part by hand: incidents by id, and the last report of the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.rules = WORLD
        self.silences: list[Silence] = []
        self.incidents: dict[str, Incident] = {}
        self.report: dict[str, Alert] = {}
        self.page_ids: set[str] = set()

    # What the world does

    @rule(name=st.sampled_from(NAMES))
    def fire(self, name: str) -> None:
        known = self.report.get(name)
        if known is None or known.ends_at is not None:
            self.report[name] = alert(name, labels=LABELS[name], starts_at=self.now)
        else:
            self.report[name] = alert(name, labels=LABELS[name], starts_at=known.starts_at, value=self.now.timestamp())
        self.observe()

    @rule(name=st.sampled_from(NAMES))
    def resolve(self, name: str) -> None:
        if name in self.report:
            self.report[name] = ended(self.report[name], self.now)
            self.observe()

    @rule(name=st.sampled_from(NAMES))
    def lose_data(self, name: str) -> None:
        if name in self.report and self.report[name].ends_at is None:
            self.report[name] = no_data(self.report[name])
            self.observe()

    @rule(name=st.sampled_from(NAMES))
    def forget(self, name: str) -> None:
        """The watcher has lost its memory of an alert."""
        self.report.pop(name, None)
        self.observe()

    @rule(name=st.sampled_from(NAMES))
    def begin_anew_unseen(self, name: str) -> None:
        """It ended and fired again between two reports."""
        if name in self.report:
            self.report[name] = alert(name, labels=LABELS[name], starts_at=self.now)
            self.observe()

    @rule(seconds=st.sampled_from([1, 15, 60, 299, 300, 301, 900, 3600, 4 * 3600, 86400]))
    def advance(self, seconds: int) -> None:
        """Time goes on; the ticks in between are not missed, those of a suspended machine are."""
        self.now += timedelta(seconds=seconds)
        self.tick()

    @rule(world=st.sampled_from(WORLDS))
    def reload(self, world: World) -> None:
        """People leave, or come back; policies change, and what hides what."""
        self.rules = world
        self.resuppress()

    @property
    def world(self) -> World:
        return replace(self.rules, silences=tuple(self.silences))

    @rule(name=st.sampled_from(NAMES), seconds=st.sampled_from([60, 900, 7200]), wait=st.sampled_from([0, 120]))
    def silence(self, name: str, seconds: int, wait: int) -> None:
        start = self.now + timedelta(seconds=wait)
        made = Silence(
            id=f"SIL-{len(self.silences) + 1}",
            matchers=(f'alertname="{name}"',),
            starts_at=start,
            ends_at=start + timedelta(seconds=seconds),
            created_at=self.now,
            created_by="person:ana",
            reason="known",
            max_severity=Severity.CRITICAL,
        )
        self.silences.append(made)
        self.resuppress()

    @rule()
    def end_silences(self) -> None:
        self.silences = []
        self.resuppress()

    # What people do

    @rule(data=st.data(), actor=st.sampled_from(ACTORS))
    def ack(self, data: st.DataObject, actor: str) -> None:
        self.act(data, lambda incident: people.ack(incident, actor, self.now))

    @rule(data=st.data(), actor=st.sampled_from(ACTORS))
    def decline(self, data: st.DataObject, actor: str) -> None:
        self.act(data, lambda incident: people.decline(incident, actor, self.world, self.now))

    @rule(data=st.data(), actor=st.sampled_from(ACTORS))
    def release(self, data: st.DataObject, actor: str) -> None:
        self.act(data, lambda incident: people.release(incident, actor, self.world, self.now))

    @rule(data=st.data(), actor=st.sampled_from(ACTORS))
    def close(self, data: st.DataObject, actor: str) -> None:
        self.act(data, lambda incident: people.resolve(incident, actor, self.now))

    def act(self, data: st.DataObject, decide) -> None:
        if not self.incidents:
            return
        incident = self.incidents[data.draw(st.sampled_from(sorted(self.incidents)))]
        try:
            decision = decide(incident)
        except ConflictError:
            return
        self.record(decision)

    # What the pipeline does

    def observe(self) -> None:
        live = [incident for incident in self.incidents.values() if not incident.over]
        following = numbers(len(self.incidents) + 1)
        alerts = list(self.report.values())
        keys = grouping.missing_keys(alerts, live, self.world)
        since = self.now - self.world.rules.reopen_window
        cleared = [
            i
            for i in self.incidents.values()
            if i.key in keys and i.how_resolved == "cleared" and i.resolved_at is not None and i.resolved_at > since
        ]
        for decision in grouping.observe(GROUP, alerts, live, self.world, self.now, following, cleared=cleared):
            self.record(decision)

    def resuppress(self) -> None:
        live = [incident for incident in self.incidents.values() if not incident.over]
        for decision in grouping.resuppress(live, self.world, self.now):
            self.record(decision)

    def tick(self) -> None:
        """What ends by a deadline may have hidden something: the next tick looks."""
        self.resuppress()
        self.come_due()
        self.resuppress()

    def come_due(self) -> None:
        for incident_id in sorted(self.incidents):
            incident = self.incidents[incident_id]
            if incident.deadline is None or incident.deadline > self.now:
                continue
            same_key = (i for i in self.incidents.values() if i.key == incident.key and i.id != incident.id)
            other = next((i for i in same_key if i.state is not State.RESOLVED), None)
            decisions = come_due(incident, other, self.world, self.now)
            assert decisions, "a deadline that has come leads to a decision, or the tick never ends"
            for decision in decisions:
                self.record(decision)

    def record(self, decision: Decision) -> None:
        before, incident = self.incidents.get(decision.incident.id), decision.incident
        self.check(before, decision)
        for page in pages_for(decision, self.world.book, self.now):
            assert page.id not in self.page_ids, "the same decision never pages twice"
            self.page_ids.add(page.id)
        self.incidents[incident.id] = incident

    # The rules

    def check(self, before: Incident | None, decision: Decision) -> None:
        incident = decision.incident
        assert incident.revision >= (before.revision if before else 0)
        if decision.event in {Event.ESCALATED, Event.ACK_EXPIRED, Event.STILL_FIRING, Event.WORSENED, Event.RELEASED}:
            reached = decision.wake or decision.channels
            assert reached or incident.suppressed or not incident.severity.wakes, "recipients are never zero"
            assert decision.wake or incident.suppressed or not incident.exhausted, "behind the last step stand people"
        if decision.wake or decision.channels:
            assert not incident.suppressed, "what is hidden wakes nobody"
            assert incident.state is State.OPEN
            assert incident.next_at is not None
            assert incident.next_at > self.now
        if decision.event is Event.ESCALATED:
            assert before is not None
            assert before.state is State.OPEN, "nobody is woken after an ack"
            assert before.next_at is not None
            assert before.next_at <= self.now, "never earlier than due"
            assert (incident.round, incident.step) > (before.round, before.step), "steps in order"
        if decision.event is Event.ACK_EXPIRED:
            assert before is not None
            assert before.ack_expires_at is not None
            assert before.ack_expires_at <= self.now
        if before is not None and before.state is State.ACKED and decision.wake:
            assert decision.event in {Event.ACK_EXPIRED, Event.WORSENED, Event.RELEASED, Event.DECLINED}
        if before is not None and before.suppressed and not incident.suppressed and incident.state is State.OPEN:
            assert decision.wake or decision.channels or not incident.severity.wakes, "the end of hiding wakes somebody"
        if decision.event is Event.REOPENED:
            assert before is not None
            assert before.how_resolved == "cleared"
        if decision.event is Event.CLEARED:
            assert not incident.going_on

    @invariant()
    def at_most_one_unresolved_incident_per_key(self) -> None:
        keys = [incident.key for incident in self.incidents.values() if incident.state is not State.RESOLVED]
        assert len(keys) == len(set(keys))

    @invariant()
    def every_unresolved_waking_incident_has_a_deadline(self) -> None:
        for incident in self.incidents.values():
            if incident.state is not State.RESOLVED and incident.severity.wakes and not incident.suppressed:
                assert incident.next_at is not None
                assert incident.next_at <= self.now + LONGEST_WAIT

    @invariant()
    def whatever_is_not_hidden_has_been_told_or_will_be_within_its_wait(self) -> None:
        for incident in self.incidents.values():
            if incident.state is State.OPEN and incident.severity.wakes and not incident.suppressed:
                assert incident.paged_at is not None or incident.next_at <= self.now + timedelta(seconds=30)

    @invariant()
    def what_hides_an_alert_is_known_of_each_and_of_the_whole(self) -> None:
        live = [incident for incident in self.incidents.values() if not incident.over]
        found = suppressions([one for incident in live for one in incident.going_on], self.world, self.now)
        for incident in live:
            for held in incident.going_on:
                assert held.suppressed == found.get(held.fingerprint, ())
            if incident.state is not State.RESOLVED and incident.going_on:
                assert incident.suppressed == whole(incident.going_on)

    @invariant()
    def every_reported_alert_is_in_the_hands_of_an_incident(self) -> None:
        live = [incident for incident in self.incidents.values() if not incident.over]
        for one in self.report.values():
            if one.ends_at is None:
                holders = [i for i in live if any(held.fingerprint == one.fingerprint for held in i.going_on)]
                closed_without_data = one.state == "no_data"
                assert len(holders) == 1 or (closed_without_data and not holders)

    @invariant()
    def nothing_goes_on_that_no_rule_reports_and_nobody_holds(self) -> None:
        for incident in self.incidents.values():
            for held in incident.going_on if not incident.over else ():
                assert held.group != GROUP or held.name in self.report or held.state == "no_data"


TestIncidents = Incidents.TestCase
TestIncidents.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("world", WORLDS)
def test_nobody_answers_for_a_month_and_somebody_is_woken_every_quarter_of_an_hour(world):
    (first,) = observe([alert()], world=world)
    incident, last = first.incident, NOW
    assert first.wake or first.channels
    while incident.next_at is not None and incident.next_at < NOW + timedelta(days=30):
        decision = due(incident, world, incident.next_at)
        assert decision is not None
        assert decision.wake or decision.channels
        assert incident.next_at - last <= POLICY.fallback_wait
        incident, last = decision.incident, incident.next_at
    assert incident.exhausted
    assert last > NOW + timedelta(days=29)
