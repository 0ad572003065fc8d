"""What a digest says is to be mended first, and who had too many pages."""

from __future__ import annotations

from datetime import date, timedelta

from core_world import AGENTS, BOOK, NOW, after, alert, opened

from bot.agents.model import Agent
from bot.incidents.model import State
from bot.oncall.model import Policy, Step
from bot.paging.model import Page, PageKind, PageState
from bot.records.mending import busiest, fix_first, idle_rules, lonely_agents, noisy_rules
from bot.records.report import Case, case
from bot.records.usage import usages
from bot.runbooks.model import Runbook


def woken(rule: str = "ErrorsHigh", *, sent: bool = True, minutes: float = 0, **update) -> Case:
    page = Page(
        id="INC-1.1.page.ana", incident="INC-1", kind=PageKind.PAGE, person="ana", channel="U0ANA", due_at=NOW,
        state=PageState.SENT, sent_at=after(minutes=minutes), reason="",
    )  # fmt: skip
    return case(opened(alert(rule)).model_copy(update=update), [page] if sent else [], BOOK, after(hours=9))


ACTED = {"state": State.RESOLVED, "resolved_at": after(hours=1), "how_resolved": "human"}
IDLE = "rule ErrorsHigh woke somebody 3 times, and nobody did anything: raise its for:, or its limit"


def test_a_rule_that_woke_three_times_for_nothing_is_named():
    assert list(idle_rules([woken(), woken()])) == []
    assert list(idle_rules([woken(), woken(), woken(mark="noise")])) == [IDLE]


def test_one_time_with_something_to_do_is_enough_to_keep_a_rule():
    assert list(idle_rules([woken(), woken(), woken(), woken(**ACTED)])) == []


def test_what_woke_nobody_does_not_count():
    assert list(idle_rules([woken(), woken(), woken(sent=False)])) == []


def test_a_rule_that_is_mostly_called_noise_is_named_once():
    acted = [woken(mark="right"), woken(mark="noise"), woken(mark="noise"), woken()]
    assert list(noisy_rules(acted)) == ["rule ErrorsHigh was marked as noise twice of 3"]
    assert list(noisy_rules([woken(mark="right"), woken(mark="right"), *acted[1:3]])) == []
    assert list(noisy_rules([woken(mark="noise") for _ in range(4)])) == []  # told as one that nobody acts on


def test_an_agent_with_one_level_has_nobody_behind_it():
    alone = BOOK.model_copy(
        update={"escalation_policies": {"payments": Policy(id="payments", steps=(Step(notify=("person:ana",)),))}}
    )
    told = "agent refund-agent has nobody at level 2: after the first level only the fallback is left"
    assert list(lonely_agents(AGENTS, alone)) == [told]
    assert list(lonely_agents(AGENTS, BOOK)) == []
    retired = {"refund-agent": Agent(id="refund-agent", owner="team:payments", stage="retired")}
    assert list(lonely_agents(retired, alone)) == []


def test_three_things_are_named_the_worst_of_each_kind_first():
    def book(name: str, reviewed: str) -> Runbook:
        step = {"id": "look", "kind": "manual", "title": "Look", "text": "look"}
        plain = {"schema": "runbook/v1", "id": name, "title": name, "steps": [step], "reviewed_on": reviewed}
        return Runbook.model_validate(plain)

    known = usages([book("a", "2026-03-01"), book("b", "2026-01-01")], [], date(2026, 11, 4))
    rules = [woken(rule) for rule in ("ErrorsHigh", "Slow") for _ in range(3)]
    alone = BOOK.model_copy(update={"escalation_policies": {}})
    assert fix_first(rules, known, [], AGENTS, alone) == [
        IDLE,
        "runbook b: last reviewed on 2026-01-01, due every 90 d, and nobody owns it",
        "agent refund-agent has nobody at level 2: after the first level only the fallback is left",
    ]
    assert fix_first(rules, [], [], {}, BOOK) == [IDLE, IDLE.replace("ErrorsHigh", "Slow")]
    assert fix_first([], [], [], AGENTS, BOOK) == []


def test_half_a_day_ends_before_its_last_minute_comes_again():
    (busy,) = busiest([woken(minutes=minutes) for minutes in (0, 300, 719, 1440)])
    assert (busy.person, busy.pages, busy.since) == ("ana", 3, NOW)
    assert busiest([woken(minutes=minutes) for minutes in (0, 300, 720)]) == []
    (later,) = busiest([woken(minutes=minutes) for minutes in (0, 800, 900, 1000, 1100)])
    assert (later.pages, later.since - NOW) == (4, timedelta(minutes=800))
