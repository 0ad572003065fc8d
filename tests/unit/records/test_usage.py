"""How runbooks age: what counts as use, what is said of those that nobody uses or reviews."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

from core_world import BOOK, NOW, after

from bot.incidents.model import RunbookFault, StepMark
from bot.oncall.model import Policy, Step, Team
from bot.records.usage import Usage, Use, complaints, of_person, usages, use
from bot.runbooks.model import Runbook

TODAY = date(2026, 11, 4)


def runbook(name: str = "crm", **changes) -> Runbook:
    steps = [
        {"id": "look", "kind": "manual", "title": "Look", "text": "look"},
        {"id": "rotate", "kind": "command", "title": "Rotate it", "text": "rotate", "run_on": "laptop"},
    ]
    plain = {"schema": "runbook/v1", "id": name, "title": name.title(), "owner": "team:payments", "steps": steps}
    return Runbook.model_validate(plain | changes)


def mark(state: str = "done", step: str = "rotate", by: str = "person:ana", **at: float) -> StepMark:
    return StepMark(step=step, state=state, at=after(**at), by=by)


def fault(text: str = "there is no such token", day: datetime = NOW, **changes) -> RunbookFault:
    return RunbookFault(at=day, by="person:ana", runbook="crm", kind="wrong", text=text, **changes)


def used(*marks: StepMark, name: str = "crm", opened: bool = True, **changes) -> Use:
    plain = {"incident": "INC-1", "at": NOW, "exercise": "", "woke": True, "faults": ()}
    return Use(**plain | {"runbook": name, "opened": opened, "marks": marks} | changes)


def told(*uses: Use, book: Runbook | None = None) -> Usage:
    return usages([book or runbook()], uses, TODAY)[0]


# What a row of the database means


def test_an_incident_of_an_older_release_has_no_use():
    assert use("INC-1", NOW, "crm", "[null, null, null, null, null]") == used(opened=False, woke=False)


def test_whoever_opened_it_or_marked_a_step_has_used_it():
    done = [mark().model_dump(mode="json")]
    by_itself = [mark(by="agentpager").model_dump(mode="json")]
    rows = [
        ["", NOW.isoformat(), ["person:ana"], [], []],
        ["", NOW.isoformat(), [], done, []],
        ["", NOW.isoformat(), [], by_itself, []],
    ]
    assert [use("INC-1", NOW, "crm", json.dumps(row)).opened for row in rows] == [True, True, False]


# What counts


def test_incidents_that_woke_somebody_count_and_those_in_which_it_was_opened():
    seen = told(used(), used(opened=False), used(woke=False), used(name="other"))
    assert (seen.fired, seen.opened) == (2, 1)


def test_a_test_counts_nowhere_and_a_drill_only_as_a_drill():
    test = used(mark(hours=5), exercise="test", at=after(days=3))
    drill = used(mark("skipped"), exercise="drill", at=after(days=2))
    unopened = used(exercise="drill", opened=False, at=after(days=9))
    seen = told(test, drill, unopened)
    assert (seen.fired, seen.opened, seen.last_used, seen.last_drilled) == (0, 0, None, after(days=2))


def test_the_last_use_is_the_last_step_else_the_opening_of_the_incident():
    seen = told(
        used(), used(mark(minutes=20), mark("skipped", "look", minutes=9)), used(opened=False, at=after(days=2))
    )
    assert (seen.last_used, seen.last_fired) == (after(minutes=20), after(days=2))
    assert told(used(at=after(hours=-3))).last_used == after(hours=-3)


def test_a_step_is_named_when_it_was_skipped_three_times_and_never_done():
    skipped = [used(mark("skipped")) for _ in range(3)]
    assert told(*skipped[:2]).skipped == ()
    (step,) = told(*skipped).skipped
    assert (step.number, step.id, step.title, step.times) == (2, "rotate", "Rotate it", 3)
    assert told(*skipped, used(mark("failed"))).skipped == ()


def test_a_review_answers_the_reports_before_it():
    before, on_the_day, behind = (fault(day=datetime(2026, 10, day, 12, tzinfo=UTC)) for day in (1, 2, 3))
    seen = told(used(faults=(behind, before, on_the_day)), book=runbook(reviewed_on="2026-10-02"))
    assert [one.at.day for one in seen.faults] == [2, 3]
    assert len(told(used(faults=(before,))).faults) == 1


def test_a_report_of_a_test_is_a_report():
    assert len(told(used(exercise="test", faults=(fault(),))).faults) == 1


def test_a_review_is_overdue_the_day_after_it_was_due():
    assert told(book=runbook(reviewed_on="2026-08-06")).overdue_days == 0  # 90 days before that day
    assert told(book=runbook(reviewed_on="2026-08-05")).overdue_days == 1
    assert told(book=runbook()).overdue_days == 0


# What is said


def test_everything_that_is_wrong_with_a_runbook_is_named():
    known = usages(
        [runbook(reviewed_on="2026-05-01"), runbook("etl", owner=None, reviewed_on="2026-01-01")],
        [*(used(mark("skipped"), faults=()) for _ in range(3)), used(faults=(fault(step="rotate"), fault("no")))],
        TODAY,
    )
    lately = usages([runbook(), runbook("etl")], [used(name="etl", opened=False)], TODAY)
    assert complaints(lately, known) == [
        "crm: something is wrong, says INC-1: no (2 reports)",
        "etl: woke somebody once, and nobody opened it",
        "crm: step 2 (Rotate it) was skipped each time, 3 times",
        "crm: last reviewed on 2026-05-01, due every 90 d, owner team:payments",
        "etl: last reviewed on 2026-01-01, due every 90 d, and nobody owns it",
    ]


def test_a_runbook_that_fares_well_is_not_named():
    well = usages([runbook(reviewed_on="2026-11-01")], [used(mark(minutes=3))], TODAY)
    assert complaints(well, well) == []


def test_a_report_stays_on_one_line_and_is_cut():
    hostile = fault("a\nb\x1b[2m " + "x" * 500, step="rotate")
    (line,) = complaints([], usages([runbook()], [used(faults=(hostile,))], TODAY))
    assert line.startswith("crm: step rotate is wrong, says INC-1: a b [2m xx")
    assert line.isprintable()
    assert len(line) < 200


# For whom


def test_the_runbooks_of_somebody_on_duty_are_those_of_their_teams_and_of_the_schedules_team_and_of_nobody():
    book = BOOK.model_copy(
        update={
            "teams": {
                "payments": Team(id="payments", members=("ana",)),
                "data": Team(id="data", members=("ben",), escalation="data"),
                "sales": Team(id="sales", members=("ben",)),
            },
            "escalation_policies": {"data": Policy(id="data", steps=(Step(notify=("schedule:nights",)),))},
        }
    )
    owners = ("team:payments", "team:data", "team:sales", "person:ana", "person:ben", "payments", None)
    known = usages([runbook(f"r{index}", owner=owner) for index, owner in enumerate(owners)], [], TODAY)
    assert [one.owner for one in of_person(known, "ana", ["nights"], book)] == [
        "team:payments", "team:data", "person:ana", "payments", "",
    ]  # fmt: skip


def test_a_month_of_review_is_said_in_days():
    assert told(book=runbook(review_every="30d")).review_every_days == timedelta(days=30).days
