"""What must hold after every step, whatever happened: S1–S12 of docs/reliability.md, and at the end L1, L2 and L4.

Each looks at the rows, at what the triggers saw of them, and at what people can see in the model Slack; none of them
asks the bot what it thinks.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from model.slack import LATEST
from model.town import LONGEST_ACK, LONGEST_STEP, Town

GENESIS = "0" * 64
# What an incident's change may be about without anybody being told: the audit trail has a row for everything else.
_TOLD = (
    "state", "step", "round", "exhausted", "acked_by", "resolved_by", "declined", "suppressed", "snoozed_until",
    "assigned", "mark", "notes",
)  # fmt: skip
# Events after which the ladder begins again.
_ANEW = {
    "released", "ack_expired", "worsened", "still_firing", "reopened", "unsuppressed", "snooze_ended", "handed",
}  # fmt: skip
_PUNCTUAL = 1.0  # seconds a step may be early: what the ticks and the reading of two clocks cost


class BreachError(AssertionError):
    """An invariant does not hold."""


class Watch:
    """Checks one town step by step; keeps what it has read already."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self._claims = self._changes = 0
        self._audit: list[tuple[int, str, str]] = []
        self._due: dict[str, float] = {}  # incident → the monotonic instant of its deadline
        self.checks = (
            self.s1_committed_before_the_first_byte,
            self.s1_what_is_called_sent_is_there,
            self.s2_accepted_once,
            self.s2_a_picture_is_never_repeated,
            self.s3_nothing_claimed_after_it_was_taken,
            self.s4_s7_s8_s12_each_change,
            self.s5_who_was_replaced_changes_nothing,
            self.s6_one_open_incident_per_fingerprint,
            self.s8_audit_only_grows,
            self.s11_acks_and_silences_end,
        )

    def check(self) -> None:
        for one in self.checks:
            one()

    def _fail(self, rule: str, what: str) -> None:
        raise BreachError(f"{rule}: {what}\n\nWhat happened:\n{self.town.journal()}")

    # --- safety

    def s1_committed_before_the_first_byte(self) -> None:
        if self.town.slack.uncommitted:
            self._fail("S1", f"sent without a committed claim: {self.town.slack.uncommitted}")

    def s1_what_is_called_sent_is_there(self) -> None:
        """Nothing is taken for sent that no channel has accepted; it would never be sent again."""
        accepted = self.town.slack.accepted()
        rows = self.town.disk.rows("SELECT id, lead FROM pages WHERE state = 'sent' AND kind <> 'chart'")
        lost = [page for page, lead in rows if not accepted[page] and not accepted[lead or page]]
        if lost:
            self._fail("S1", f"called sent, and nobody has them: {lost}")

    def s2_accepted_once(self) -> None:
        """Once; where history could not be read, once more for each crash or missing answer that it was under."""
        slack = self.town.slack
        for page, times in slack.accepted().items():
            untold = slack.unknown[page] + self.town.touched.get(page, 0)
            # A process that was replaced while it was sending cannot be called back: Slack knows no epoch.
            stale = self.town.touched.get(page, 0) if self.town.replaced else 0
            allowed = 1 + (untold if slack.unread[page] else stale)
            if times > allowed:
                self._fail("S2", f"{page} is there {times} times, {allowed} allowed")

    def s2_a_picture_is_never_repeated(self) -> None:
        for incident, times in self.town.slack.pictures.items():
            ((rows,),) = self.town.disk.rows(
                "SELECT count(*) FROM pages WHERE kind = 'chart' AND incident = ?", incident
            )
            if times > rows:
                self._fail("S2", f"{times} pictures of {incident}, {rows} wanted")

    def s3_nothing_claimed_after_it_was_taken(self) -> None:
        rows = self.town.disk.rows("SELECT n, page, kind, incident_doc FROM seen_claims WHERE n > ?", self._claims)
        for n, page, kind, doc in rows:
            self._claims = n
            if doc is None:
                continue
            incident = json.loads(doc)
            if kind in {"page", "escalated"} and (incident["state"] != "open" or incident.get("suppressed")):
                self._fail("S3", f"{page} was claimed while its incident is {_short(incident)}")
            if kind == "reminder" and not (incident["state"] == "acked" and incident["ack_asked"]):
                self._fail("S3", f"{page} was claimed while its incident is {_short(incident)}")

    def s4_s7_s8_s12_each_change(self) -> None:
        query = "SELECT n, mono, incident, before, after FROM seen_changes WHERE n > ? ORDER BY n"
        for n, mono, name, before_doc, after_doc in self.town.disk.rows(query, self._changes):
            self._changes = n
            before = json.loads(before_doc) if before_doc else None
            after = json.loads(after_doc)
            told = before is None or any(before.get(key) != after.get(key) for key in _TOLD)
            events = self._audited(name, after["revision"]) if told else []
            if told and len(events) != 1:
                self._fail("S8", f"{name} became {_short(after)} with audit rows {events}")
            if told:
                self.s4_steps_in_order_and_not_early(name, before, after, events[0], mono)
                self.s7_only_who_may(name, before, after)
                self.s12_somebody_is_reached(name, before, after)
                self._due.pop(name, None)
                if after["next_at"] is not None:
                    # From what the deciding process took for now: it may not know yet that the clock was set.
                    self._due[name] = mono + _seconds(after["next_at"]) - _seconds(events[0][2])

    def s4_steps_in_order_and_not_early(
        self, name: str, before: Any, after: Any, event: tuple[str, str, str], mono: float
    ) -> None:
        action, actor, _ = event
        climbed = before is not None and before["paged_at"] != after["paged_at"]
        if not climbed or action in _ANEW or before["paged_at"] is None:
            return
        was, is_ = (before["round"], before["step"]), (after["round"], after["step"])
        if is_ <= was:
            self._fail("S4", f"{name} went from round, step {was} to {is_} by {action}")
        if action == "escalated" and actor == "agentpager" and not self._refused(name, after["revision"]):
            due = self._due.get(name)
            if due is not None and mono < due - _PUNCTUAL:
                self._fail("S4", f"{name} escalated {due - mono:.1f} s before it was due")

    def _refused(self, name: str, revision: int) -> bool:
        """Climbed at once because Slack refused everybody of the rung: a recorded cause."""
        query = "SELECT doc FROM audit WHERE subject = ?"
        docs = [json.loads(doc) for (doc,) in self.town.disk.rows(query, name)]
        return any(doc["detail"].get("revision") == str(revision) and "refused" in doc["why"] for doc in docs)

    def s7_only_who_may(self, name: str, before: Any, after: Any) -> None:
        for key in ("acked_by", "resolved_by", "marked_by"):
            actor = after.get(key)
            if actor and (before is None or before.get(key) != actor) and (name, actor) not in self.town.allowed:
                self._fail("S7", f"{name}: {key} is {actor}, whom nobody let in")

    def s12_somebody_is_reached(self, name: str, before: Any, after: Any) -> None:
        if after["paged_at"] is None or (before is not None and before["paged_at"] == after["paged_at"]):
            return
        query = "SELECT count(*) FROM pages WHERE incident = ? AND kind = 'page' AND id LIKE ?"
        if self.town.disk.rows(query, name, f"{name}.{after['revision']}.%") == [(0,)]:
            self._fail("S12", f"{name} climbed to {_short(after)}, and nobody is paged")

    def _audited(self, name: str, revision: int) -> list[tuple[str, str, str]]:
        docs = [json.loads(doc) for (doc,) in self.town.disk.rows("SELECT doc FROM audit WHERE subject = ?", name)]
        return [
            (doc["action"].removeprefix("incident."), doc["actor"], doc["at"])
            for doc in docs
            if doc["detail"].get("revision") == str(revision) and doc["action"] != "incident.updated"
        ]

    def s5_who_was_replaced_changes_nothing(self) -> None:
        for process, since in self.town.replaced.items():
            for table in ("seen_claims", "seen_changes", "seen_pages"):
                query = f"SELECT count(*) FROM {table} WHERE process = ? AND mono > ?"
                if self.town.disk.rows(query, process, since) != [(0,)]:
                    self._fail("S5", f"process {process} was replaced at {since:.1f} s and wrote {table} after it")

    def s6_one_open_incident_per_fingerprint(self) -> None:
        homes: dict[str, str] = {}
        for incident in self._unresolved():
            for alert in incident["alerts"]:
                if alert["state"] != "resolved":
                    other = homes.setdefault(alert["fingerprint"], incident["id"])
                    if other != incident["id"]:
                        self._fail("S6", f"one alert is in {other} and in {incident['id']}")

    def s8_audit_only_grows(self) -> None:
        known = len(self._audit)
        last = self._audit[-1][0] if known else 0
        previous = self._audit[-1][2] if known else GENESIS
        for sequence, doc, written in self.town.disk.rows(
            "SELECT sequence, doc, hash FROM audit WHERE sequence > ? ORDER BY sequence", last
        ):
            expected = hashlib.sha256(previous.encode() + doc.encode()).hexdigest()
            if sequence != last + 1 or written != expected:
                self._fail("S8", f"audit row {sequence} does not follow from {last}")
            last, previous = sequence, written
            self._audit.append((sequence, doc, written))

    def s8_nothing_of_the_audit_was_changed(self) -> None:
        rows = self.town.disk.rows("SELECT sequence, doc, hash FROM audit ORDER BY sequence")
        if rows[: len(self._audit)] != self._audit:
            self._fail("S8", "a row of the audit trail is not as it was")

    def s11_acks_and_silences_end(self) -> None:
        longest = LONGEST_ACK.total_seconds()
        for incident in self._unresolved():
            if incident["state"] != "acked" or incident["severity"] not in {"critical", "warning"}:
                continue
            if incident["next_at"] is None:
                self._fail("S11", f"the ack of {incident['id']} never ends")
            if incident["id"] in self._due and not incident.get("snoozed_until"):
                left = self._due[incident["id"]] - self.town.clock.mono
                if left > longest + 1:
                    self._fail("S11", f"the ack of {incident['id']} lasts {left:.0f} s more")

    # --- liveness: called once everything that failed works again

    def quiet_end(self) -> None:
        """Faults stop; two of the longest steps later nothing may be owed."""
        town = self.town
        healed = town.clock.mono
        waits = [until - healed for until in town.slack.closed_until.values()]
        town.slack.heal()
        if town.process is None:
            town.start()
        town.send()
        town.note("everything works again")
        town.advance(max([0.0, *waits]) + LATEST + 90)
        self.check()
        self.l2_everything_due_is_out(healed)
        town.advance(2 * LONGEST_STEP.total_seconds())
        self.check()
        self.s8_nothing_of_the_audit_was_changed()
        self.l1_nobody_is_forgotten()
        self.l4_cards_show_what_is()

    def l2_everything_due_is_out(self, healed: float) -> None:
        limit = town_wall(self.town, healed)
        rows = self.town.disk.rows(
            "SELECT id, state, due_at FROM pages WHERE state IN ('due', 'sending', 'unknown') AND due_at <= ?", limit
        )
        if rows:
            self._fail("L2", f"still not out: {rows}")

    def l1_nobody_is_forgotten(self) -> None:
        """Every alert that wakes is taken or hidden, or somebody has been paged for it not long ago."""
        now, wall = self.town.clock.mono, self.town.clock.wall()
        homes = {
            alert["fingerprint"]: incident
            for incident in self._live()
            for alert in incident["alerts"]
            if alert["state"] != "resolved"
        }
        for alert in self.town.report.values():
            if not alert.severity.wakes or alert.state != "firing" or alert.name not in self.town.rules:
                continue
            incident = homes.get(alert.fingerprint)
            if incident is None:
                self._fail("L1", f"{alert.labels} fires, and there is no incident")
            elif incident["state"] == "open" and not incident.get("suppressed"):
                told = (
                    "SELECT max(s.mono) FROM seen_pages s JOIN pages p ON p.id = s.page "
                    "WHERE p.incident = ? AND p.kind = 'page' AND s.after IN ('sending', 'sent')"
                )
                claimed = self.town.disk.rows(told, incident["id"])[0][0]
                if claimed is None or now - claimed > LONGEST_STEP.total_seconds() + 60:
                    self._fail("L1", f"{incident['id']} is open, and nobody was paged since {claimed}")
            elif incident["next_at"] is None and not incident.get("suppressed"):
                self._fail("L1", f"{_short(incident)} will never be looked at again")
            if incident["next_at"] is not None and (late := wall - _seconds(incident["next_at"])) > 60:
                self._fail("L1", f"the deadline of {incident['id']} has passed by {late:.0f} s")

    def l4_cards_show_what_is(self) -> None:
        rows = self.town.disk.rows(
            "SELECT p.id, p.lead, i.id, i.revision FROM pages p JOIN incidents i ON i.id = p.incident "
            "WHERE p.kind = 'card' AND p.state = 'sent'"
        )
        for page, lead, incident, revision in rows:
            messages = self.town.slack.landed(lead or page)
            shown = max((message.shows.get(incident, -1) for message in messages), default=-1)
            if shown < revision:
                self._fail("L4", f"the card of {incident} shows revision {shown}, it has {revision}")

    # --- reading

    def _unresolved(self) -> list[Any]:
        query = "SELECT doc FROM incidents WHERE state <> 'resolved'"
        return [json.loads(doc) for (doc,) in self.town.disk.rows(query)]

    def _live(self) -> list[Any]:
        query = "SELECT doc FROM incidents WHERE state <> 'resolved' OR next_at IS NOT NULL"
        return [json.loads(doc) for (doc,) in self.town.disk.rows(query)]


def town_wall(town: Town, mono: float) -> float:
    return town.clock.wall() - (town.clock.mono - mono)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _short(incident: Any) -> str:
    keys = ("id", "revision", "state", "step", "round", "acked_by", "next_at", "suppressed")
    return str({key: incident.get(key) for key in keys})
