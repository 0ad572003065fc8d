"""What the alerts say that come before anything has happened, and whom they go to."""

from __future__ import annotations

from datetime import date, timedelta

from core_world import AGENTS, BOOK, NOW, PEOPLE, after

from bot.agents.model import Agent
from bot.forecast.coverage import Gap, gaps
from bot.forecast.warnings import of_feed, of_gaps, of_person
from bot.incidents.model import Severity
from bot.oncall.feeds import Copy
from bot.oncall.model import Layer, Policy, Schedule, Step, Window
from bot.oncall.reachability import Trouble

END = NOW + timedelta(days=7)
WEEKDAYS = Schedule(
    id="primary",
    timezone="Europe/Madrid",
    layers=(Layer(people=("ana",), start=date(2026, 11, 2), restrictions=(Window(days=("Mon-Fri",)),)),),
)
LONELY = BOOK.model_copy(
    update={
        "schedules": {"primary": WEEKDAYS},
        "escalation_policies": {"payments": Policy(id="payments", steps=(Step(notify=("schedule:primary",)),))},
    }
)


def found_for(agents):
    return of_gaps(gaps(agents, LONELY, NOW, END), agents, LONELY, END)


def test_a_gap_names_its_hours_and_who_mends_it():
    (told,) = found_for(AGENTS)
    when = "from Sat 2026-11-07 00:00 to Mon 2026-11-09 00:00 (Europe/Madrid)"
    assert told.summary == f"Nobody is on call in primary {when}"
    assert told.description == (
        f"Nobody but the fallback {when} for critical and warning of refund-agent. To mend, in schedules.primary: "
        "cover it by a layer or an override, or add a step that always reaches somebody. It is for team:payments."
    )
    assert (told.severity, told.labels, told.owner) == (
        Severity.WARNING,
        {"place": "schedules.primary"},
        "team:payments",
    )


def test_the_title_names_the_first_time_only():
    end = NOW + timedelta(days=21)
    (told,) = of_gaps(gaps(AGENTS, LONELY, NOW, end), AGENTS, LONELY, end)
    first = "from Sat 2026-11-07 00:00 to Mon 2026-11-09 00:00"
    assert told.summary == f"Nobody is on call in primary {first} and 2 more times (Europe/Madrid, 144 h in all)"


def test_a_gap_of_several_owners_agents_goes_to_the_fallback():
    agents = AGENTS | {"other": Agent(id="other", owner="person:cat", escalation="payments")}
    (told,) = found_for(agents)
    assert told.owner == ""
    assert "It is for the fallback, person:dan." in told.description


def test_one_place_is_told_once_whatever_is_wrong_with_it():
    """Another policy leaves the same schedule's hours to the fallback, for critical alerts only."""
    critical = Step(notify=("person:cat",), when={"severity": ["critical"]})
    both = Step(notify=("schedule:primary",))
    policies = LONELY.escalation_policies | {"second": Policy(id="second", steps=(both, critical))}
    book = LONELY.model_copy(update={"escalation_policies": policies})
    agents = AGENTS | {"other": Agent(id="other", owner="team:payments", escalation="second")}
    told = of_gaps(gaps(agents, book, NOW, END), agents, book, END)
    assert [one.labels["place"] for one in told] == ["schedules.primary"]


def test_of_many_places_the_nearest_are_told():
    def place(number: int) -> Gap:
        start = NOW + timedelta(days=30 - number)
        return Gap("agents", f"a{number}", ("critical",), (f"a{number}",), ((start, start + timedelta(hours=1)),))

    told = of_gaps([place(number) for number in range(25)], AGENTS, BOOK, NOW + timedelta(days=40))
    assert [one.labels["place"] for one in told] == [f"agents.a{number}" for number in range(24, 4, -1)]


def test_a_failing_calendar_is_a_warning_while_there_is_a_copy():
    copy = Copy(text="x", confirmed_at=NOW, failing_since=after(hours=1), error="server returned HTTP status 500")
    told = of_feed("https://u:s3cret@example.com/rota.ics", ("schedule primary",), copy)
    assert told.summary == "The calendar of schedule primary cannot be read"
    assert told.description == (
        "https://example.com/rota.ics fails since Wed 2026-11-04 03:00 UTC: server returned HTTP status 500. "
        "The copy of Wed 2026-11-04 02:00 UTC is used: changes made since then do not count."
    )
    assert told.severity is Severity.WARNING


def test_a_calendar_without_any_copy_is_critical():
    told = of_feed("${ROTA}", ("schedule primary",), Copy(failing_since=NOW, error="the variable ROTA is not set"))
    assert told.severity is Severity.CRITICAL
    assert "It has never been read: nobody is on duty by it" in told.description


def test_two_calendars_of_one_host_are_two_alerts():
    one, two = (
        of_feed(f"https://example.com/{'x' * 30}{name}", (f"schedule {name}",), Copy(failing_since=NOW))
        for name in ("a", "b")
    )
    assert one.labels != two.labels


def test_somebody_who_cannot_be_reached():
    found = [Trouble("U0ANA is deactivated", "reactivate", True), Trouble("no way besides Slack", "an email", False)]
    told = of_person(PEOPLE["ana"], found, True, "team:payments")
    assert told.summary == "No page to Ana would arrive: U0ANA is deactivated"
    assert "U0ANA is deactivated (reactivate); no way besides Slack (an email)" in told.description
    assert (told.severity, told.owner, told.labels) == (Severity.CRITICAL, "team:payments", {"person": "ana"})


def test_it_is_a_warning_when_it_can_wait_or_is_no_hindrance():
    guest = Trouble("U0ANA is a guest", "", False)
    gone = Trouble("U0ANA is deactivated", "", True)
    assert of_person(PEOPLE["ana"], [gone], False, "").severity is Severity.WARNING
    assert of_person(PEOPLE["ana"], [guest], True, "").severity is Severity.WARNING
    assert of_person(PEOPLE["ana"], [guest], True, "").summary.startswith("Not every page to Ana would arrive")
