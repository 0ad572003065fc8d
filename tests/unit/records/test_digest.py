"""Hand-overs and the weekly digest: when they come, and what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from core_world import BOOK, NOW, PEOPLE, WORLD, after, alert, opened

from bot.agents.budget import Budget
from bot.agents.cost import Spending
from bot.audit.chain import Head
from bot.forecast.coverage import Gap
from bot.incidents import people
from bot.incidents.decision import World
from bot.incidents.model import Promise, Severity, State
from bot.incidents.promises import timed
from bot.incidents.silences import Silence
from bot.oncall.almanac import NOTHING
from bot.oncall.model import Book, Policy, Schedule, Step, Team
from bot.paging.model import Page, PageKind, PageState
from bot.records.digest import (
    Handover,
    Present,
    as_markdown,
    as_text,
    channel_of,
    concerns,
    daily,
    daily_due,
    handover,
    last_handover,
    weekly,
    weekly_due,
)
from bot.records.report import case


def schedule(**changes) -> Schedule:
    layer = {"people": ["ana", "ben"], "every": "1w", "handoff": "Mon 09:00", "start": "2026-10-19"}
    return Schedule.model_validate(
        {"id": "primary", "timezone": "Europe/Madrid", "layers": [layer | changes.pop("layer", {})]} | changes
    )


def utc(*at: int) -> datetime:
    return datetime(*at, tzinfo=UTC)


BOOK_ = BOOK.model_copy(
    update={
        "schedules": {"primary": schedule()},
        "escalation_policies": {"payments": Policy(id="payments", steps=(Step(notify=("schedule:primary",)),))},
    }
)
CHANGE = Handover(utc(2026, 11, 9, 8), utc(2026, 11, 2, 8), ("ana",), ("ben",))


# When


def test_a_hand_over_is_found_with_the_shift_that_it_ends():
    assert last_handover(schedule(), NOTHING, utc(2026, 11, 9, 8)) == CHANGE
    assert last_handover(schedule(), NOTHING, utc(2026, 11, 16, 7, 59)) == CHANGE
    following = last_handover(schedule(), NOTHING, utc(2026, 11, 16, 8))
    assert following == Handover(utc(2026, 11, 16, 8), utc(2026, 11, 9, 8), ("ben",), ("ana",))


def test_a_hand_over_keeps_its_wall_clock_over_the_change_of_clocks():
    before = last_handover(schedule(layer={"start": "2026-10-05"}), NOTHING, utc(2026, 10, 24, 12))
    behind = last_handover(schedule(layer={"start": "2026-10-05"}), NOTHING, utc(2026, 10, 27, 12))
    assert (before.at, behind.at) == (utc(2026, 10, 19, 7), utc(2026, 10, 26, 8))


def test_always_the_same_people_are_no_hand_over():
    assert last_handover(schedule(layer={"people": ["ana"]}), NOTHING, utc(2026, 11, 20)) is None


def test_a_night_without_anybody_is_no_hand_over():
    office = {"people": ["ana"], "restrictions": [{"days": ["Mon-Fri"], "hours": "09:00-17:00"}]}
    assert last_handover(schedule(layer=office), NOTHING, utc(2026, 11, 20, 10)) is None


def test_an_override_is_handed_over_to_and_back():
    override = {"person": "cat", "from": "2026-11-12T18:00", "until": "2026-11-13T09:00"}
    changed = schedule(overrides=[override])
    assert last_handover(changed, NOTHING, utc(2026, 11, 12, 18)).after == ("cat",)
    back = last_handover(changed, NOTHING, utc(2026, 11, 13, 12))
    assert (back.at, back.before, back.after) == (utc(2026, 11, 13, 8), ("cat",), ("ben",))


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (utc(2026, 11, 9, 8), utc(2026, 11, 9, 8)),
        (utc(2026, 11, 9, 7, 59), utc(2026, 11, 2, 8)),
        (utc(2026, 11, 15, 23), utc(2026, 11, 9, 8)),
        (utc(2026, 10, 25, 12), utc(2026, 10, 19, 7)),  # summer time until that day
    ],
)
def test_the_week_ends_at_its_hour_on_the_wall(now, due):
    assert weekly_due("Mon 09:00", "Europe/Madrid", now) == due


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (utc(2026, 11, 9, 8), utc(2026, 11, 9, 8)),
        (utc(2026, 11, 9, 7, 59), utc(2026, 11, 8, 8)),
        (utc(2026, 10, 25, 7), utc(2026, 10, 24, 7)),  # 09:00 of summer time; the next is at 08:00 UTC
        (utc(2026, 10, 25, 8), utc(2026, 10, 25, 8)),
    ],
)
def test_the_day_ends_at_its_hour_on_the_wall(now, due):
    assert daily_due("09:00", "Europe/Madrid", now) == due


def test_the_channel_is_that_of_the_team_whose_policy_wakes_the_schedule():
    assert channel_of("primary", BOOK_) == "#payments-agents"
    assert channel_of("other", BOOK_) is None
    quiet = BOOK_.model_copy(update={"teams": {"payments": Team(id="payments", members=("ana",))}})
    assert channel_of("primary", quiet) is None


def test_an_incident_concerns_the_schedules_that_its_policy_wakes():
    incident = opened(world=World(WORLD.agents, BOOK_, "#c"))
    assert concerns(incident, "primary")
    assert not concerns(opened(), "primary")


# What


def present(*unresolved, silences=(), gaps=(), head=None, **at: float) -> Present:
    return Present(after(**at or {"minutes": 30}), unresolved, silences, gaps, head)


def world() -> World:
    return World(WORLD.agents, BOOK_, "#c")


def figures(digest) -> dict[str, str]:
    return {figure.name: figure.value for figure in digest.figures}


def sections(digest) -> dict[str, tuple[str, ...]]:
    return {section.heading: section.lines for section in digest.sections}


def test_a_hand_over_says_who_gives_to_whom_and_what_is_open():
    mine, theirs = opened(world=world()), opened(alert("Slow")).model_copy(update={"id": "INC-2"})
    told = handover("primary", CHANGE, present(mine, theirs), [], BOOK_)
    assert told.title == "Hand-over of primary: Ana to Ben"
    assert sections(told)["Open now"] == ("INC-1 critical ErrorsHigh of refund-agent, nobody has it, open for 30m",)
    assert figures(told)["The shift began"] == "Mon 2026-11-02 08:00 UTC"


def test_whoever_has_it_or_has_snoozed_it_is_named_and_what_nobody_has_comes_first():
    taken = people.ack(opened(), "person:ana", after(minutes=2)).incident
    snoozed = taken.model_copy(update={"id": "INC-2", "snoozed_until": after(hours=4)})
    free = opened().model_copy(update={"id": "INC-3", "opened_at": after(minutes=20)})
    told = weekly(after(days=-7), NOW, present(taken, snoozed, free), [], BOOK)
    assert [line.split(" ErrorsHigh of refund-agent, ") for line in sections(told)["Open now"]] == [
        ["INC-3 critical", "nobody has it, open for 10m"],
        ["INC-1 critical", "Ana has it, open for 30m"],
        ["INC-2 critical", "Ana has it, snoozed until Wed 2026-11-04 06:00 UTC, open for 30m"],
    ]


def test_a_promise_that_is_not_kept_is_told():
    late = timed(opened(), {"critical": Promise(ack=timedelta(minutes=5))}, NOW)
    told = weekly(after(days=-7), NOW, present(late), [], BOOK)
    assert sections(told)["Open now"][0].endswith("open for 30m; promise for the ack not kept")


def test_silences_gaps_and_the_head_of_the_audit_log_are_told():
    silence = Silence(
        id="SIL-1", matchers=('agent="refund-agent"',), starts_at=NOW, ends_at=after(hours=3), created_at=NOW,
        created_by="person:ana", reason="the vendor is down", max_severity=Severity.WARNING,
    )  # fmt: skip
    coming = silence.model_copy(update={"id": "SIL-2", "starts_at": after(hours=1)})
    gap = Gap("schedules", "primary", ("critical",), ("refund-agent",), ((after(days=1), after(days=1, hours=8)),))
    told = weekly(after(days=-7), NOW, present(silences=(silence, coming), gaps=(gap,), head=Head(7, "ab")), [], BOOK)
    assert sections(told)["Silenced"] == (
        'SIL-1 until Wed 2026-11-04 05:00 UTC: agent="refund-agent", Ana: the vendor is down',
        'SIL-2 from Wed 2026-11-04 03:00 UTC: agent="refund-agent", Ana: the vendor is down',
    )
    assert sections(told)["Nobody but the fallback, in the week ahead"] == (
        "primary: Thu 2026-11-05 02:00 UTC to Thu 2026-11-05 10:00 UTC, 8 h in all (refund-agent)",
    )
    assert sections(told)["Audit log"] == ("head 7:ab",)


def woken(minutes: float, person: str = "ana", **update):
    at = after(minutes=minutes)
    page = Page(
        id=f"INC-1.1.page.{person}", incident="INC-1", kind=PageKind.PAGE, person=person, channel="U0X", due_at=at,
        state=PageState.SENT, sent_at=at, reason="",
    )  # fmt: skip
    return case(opened().model_copy(update=update), [page], BOOK, after(hours=9))


def test_the_figures_say_how_the_nights_were():
    cases = [
        woken(0, answered_after=timedelta(minutes=2), answered_by="person:ana", mark="noise"),
        woken(600, answered_after=timedelta(minutes=4), answered_by="person:ana", mark="right"),
        woken(601, state=State.RESOLVED, how_resolved="cleared", resolved_at=after(minutes=660)),
    ]
    told = weekly(after(days=-7), after(days=1), present(), cases, BOOK)
    # 02:00, and 12:00 and 12:01 where Ana lives, which is UTC here; 3 minutes are the middle of 2 and 4.
    assert figures(told) == {
        "Pages": "3, 1 at night",
        "Ack p50 / p95": "3m / 4m",
        "Noise": "1 of 2 judged",
        "Nobody took": "1, ended by themselves",
        "Incidents": "3, 3 woke somebody",
    }


def test_more_than_two_pages_in_half_a_day_are_too_many():
    two_days = [woken(0), woken(12 * 60), woken(24 * 60), woken(0, "ben"), woken(5, "ben")]
    assert "Too many pages" not in sections(weekly(after(days=-7), NOW, present(), two_days, BOOK))
    told = weekly(after(days=-7), NOW, present(), [*two_days, woken(12 * 60 - 1), woken(11 * 60)], BOOK)
    assert sections(told)["Too many pages"] == (
        "Ana: 3 pages within 12 hours from Wed 2026-11-04 02:00 UTC; more than 2 leave no time to mend what they were "
        "about",
    )


def test_a_drill_that_goes_on_is_told_as_one():
    told = daily(after(days=-1), NOW, present(opened().model_copy(update={"exercise": "drill"})), [], BOOK)
    assert sections(told)["Open now"][0].startswith("INC-1 critical (drill) ErrorsHigh")


def test_the_day_is_told_as_the_week_is_without_the_runbooks_in_full():
    told = daily(after(days=-1), NOW, present(), [], BOOK)
    assert told.title == "The day until Wed 2026-11-04 02:00 UTC"
    assert sections(told) == {"Open now": ("nothing",)}


def test_the_rules_that_woke_most_and_who_was_woken_are_told():
    page = Page(
        id="INC-1.1.page.ana", incident="INC-1", kind=PageKind.PAGE, person="ana", channel="U0ANA", due_at=NOW,
        state=PageState.SENT, sent_at=NOW, reason="",
    )  # fmt: skip
    seen = case(opened().model_copy(update={"mark": "noise"}), [page], BOOK, after(hours=1))
    told = sections(weekly(after(days=-7), after(days=1), present(), [seen, seen], BOOK))
    assert told["Rules that woke most"] == ("ErrorsHigh: 2 pages, 2 at night, 2 of 2 marked as noise",)
    assert told["Who was woken"] == ("Ana: 2 pages, 2 at night, 0 acks",)
    assert told["Open now"] == ("nothing",)


def test_long_lists_are_cut_and_counted():
    many = [opened().model_copy(update={"id": f"INC-{number}"}) for number in range(1, 21)]
    lines = sections(weekly(after(days=-7), NOW, present(*many), [], BOOK))["Open now"]
    assert (len(lines), lines[-1]) == (9, "and 12 more")


def test_the_text_fits_into_one_message():
    many = [opened().model_copy(update={"id": f"INC-{number}", "title": "x" * 2000}) for number in range(1, 21)]
    text = as_text(weekly(after(days=-7), NOW, present(*many), [], BOOK))
    assert len(text) <= 9000
    assert text.endswith("\n…")
    assert as_text(weekly(after(days=-7), NOW, present(), [], BOOK)).startswith(
        "The week until Wed 2026-11-04 02:00 UTC\n▪ Pages: none\n▪ Incidents: 0, 0 woke somebody\nOpen now\n• nothing"
    )


def test_markdown_of_a_digest_escapes_what_people_wrote():
    hostile = opened(alert(annotations={"summary": "# [x](http://y)"}))
    page = as_markdown(weekly(after(days=-7), NOW, present(hostile), [], BOOK))
    assert "\n## Open now\n\n- INC-1 critical refund-agent: \\# \\[x\\]\\(http&#58;//y\\), nobody has it" in page


def test_a_person_who_left_the_book_is_named_by_id():
    change = Handover(NOW, after(days=-1), ("gone",), ("ana",))
    book = Book(people={"ana": PEOPLE["ana"]}, fallback="person:ana")
    assert handover("primary", change, present(), [], book).title == "Hand-over of primary: gone to Ana"


def test_budgets_and_money_are_told_of_the_week_and_not_of_a_shift():
    week = timedelta(days=7)
    budget = Budget("refund-agent", "success", "success of runs", 0.9, week, after(days=-7), after(days=-7), 100.0, 5.0)
    spent = Spending("refund-agent", NOW, since=after(days=-14), today=1.0, week=20.0, week_before=10.0)
    state = replace(present(), budgets=(budget,), spending=(spent, Spending("quiet-agent", NOW)))
    told = sections(weekly(after(days=-7), NOW, state, [], BOOK))
    assert told["Error budgets"] == ("refund-agent: 50 % left; 95 % good, target 90 %",)
    assert told["Cost"] == ("refund-agent, seven days: $20.00, 100 % more than the seven before",)
    assert "Error budgets" not in sections(weekly(after(days=-7), NOW, present(), [], BOOK))
