"""Overrides and swaps beside the files: what makes sense, and who is on duty with them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from bot.errors import ConflictError, UsageError
from bot.oncall import changes
from bot.oncall.changes import Plan, RotaChange
from bot.oncall.duty import on_duty
from bot.oncall.model import Book, Layer, Person, Policy, Schedule, Step, Team

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
PEOPLE = {name: Person(id=name, name=name.title(), slack=f"U0{name.upper()}") for name in ("ana", "ben", "cat")}
WEEKS = Layer(people=("ana", "ben"), start=date(2026, 11, 2), handoff="Mon 09:00")  # Ana has the 16th to the 23rd
BOOK = Book(
    people=PEOPLE,
    teams={
        "payments": Team(id="payments", members=("ana", "ben"), escalation="ladder"),
        "lone": Team(id="lone", members=("cat",)),
        "both": Team(id="both", members=("cat",), escalation="wide"),
    },
    schedules={name: Schedule(id=name, layers=(WEEKS,)) for name in ("primary", "backup")},
    escalation_policies={
        "ladder": Policy(id="ladder", steps=(Step(notify=("schedule:primary",)), Step(notify=("schedule:backup",)))),
        "wide": Policy(id="wide", steps=(Step(notify=("schedule:primary", "schedule:backup")),)),
    },
    fallback="person:cat",
)


def plan(
    *people: str, schedule: str = "primary", start: datetime = NOW, hours: float = 4, kind: str = "override"
) -> Plan:
    return Plan(kind, "primary", people, start, start + timedelta(hours=hours), "dentist")


def made(a_plan: Plan, number: int = 1) -> RotaChange:
    return changes.make(a_plan, number, "person:ana", BOOK, NOW)


def on_call(*known: RotaChange, at: datetime = NOW) -> tuple[str, ...]:
    return on_duty(changes.applied(BOOK.schedules, known, BOOK.people)["primary"], at).people


def test_an_override_counts_from_its_begin_until_its_end_and_no_longer():
    override = made(plan("cat", start=NOW + timedelta(hours=1)))
    assert on_call(override) == ("ana",)
    assert on_call(override, at=NOW + timedelta(hours=1)) == ("cat",)
    assert on_call(override, at=NOW + timedelta(hours=4, minutes=59)) == ("cat",)
    assert on_call(override, at=NOW + timedelta(hours=5)) == ("ana",)


def test_of_two_overrides_the_one_made_later_counts():
    assert on_call(made(plan("cat")), made(plan("ben"), 2)) == ("ben",)


def test_a_swap_exchanges_the_turns_of_both():
    swap = made(plan("ana", "ben", kind="swap", hours=24 * 7))
    assert on_call(swap) == ("ben",)
    assert on_call(swap, at=NOW + timedelta(days=4)) == ("ana",)  # Ben's week has begun
    assert on_call(swap, at=NOW + timedelta(days=8)) == ("ben",)


def test_what_was_taken_back_or_names_a_schedule_that_is_gone_says_nothing():
    override = made(plan("cat"))
    assert on_call(changes.end(override, "person:ben", NOW)) == ("ana",)
    assert on_call(override.model_copy(update={"schedule": "gone"})) == ("ana",)


def test_a_change_counts_until_it_is_over_or_taken_back():
    override = made(plan("cat"))
    assert override.counts(NOW)
    assert not override.counts(NOW + timedelta(hours=4))
    assert not changes.end(override, "person:ben", NOW).counts(NOW)


@pytest.mark.parametrize(
    ("name", "schedule"),
    [("primary", "primary"), ("schedule:backup", "backup"), ("payments", "primary"), ("team:payments", "primary")],
)
def test_a_schedule_is_named_by_itself_or_by_its_team(name, schedule):
    assert changes.schedule_of(name, BOOK) == schedule


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("primry", 'there is no schedule and no team "primry"; did you mean "primary"'),
        ("lone", 'team "lone" has no schedule'),
        ("both", 'team "both" has several schedules; name one: primary, backup'),
    ],
)
def test_what_there_is_not_is_said_with_the_way_out(name, says):
    with pytest.raises(UsageError) as refused:
        changes.schedule_of(name, BOOK)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (plan("cat", hours=-1), "before it begins"),
        (plan("cat", start=NOW - timedelta(hours=9)), "is past: nothing would change"),
        (plan("cat", hours=24 * 91), "more than 90 days; write it into the on-call files"),
        (plan("ana", "ana", kind="swap"), "a swap is between two people"),
        (plan("bne"), 'there is no person "bne" in oncall/; did you mean "ben"'),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(wrong, says):
    with pytest.raises(UsageError) as refused:
        made(wrong)
    assert says in str(refused.value)


def test_what_is_over_cannot_be_taken_back():
    override = made(plan("cat"))
    ended = changes.end(override, "person:ben", NOW)
    with pytest.raises(ConflictError, match="ROTA-1 was taken back already, by ben"):
        changes.end(ended, "person:ana", NOW)
    with pytest.raises(ConflictError, match="ROTA-1 was over at Fri 2026-11-20 16:00 UTC"):
        changes.end(override, "person:ana", NOW + timedelta(hours=4))


def test_it_is_told_in_the_zone_of_who_reads_it():
    told = changes.told(made(plan("cat")), BOOK, "Europe/Madrid")
    assert told == (
        "Cat is on call in primary from Fri 2026-11-20 13:00 Europe/Madrid until Fri 2026-11-20 17:00 Europe/Madrid"
    )
