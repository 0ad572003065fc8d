"""The home tab: in Slack's limits for any input, never empty, nothing from data as markup."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from fake_slack import layout_problem
from slack_world import ANA, BOOK, NOW, incident, silence

from bot.incidents.model import State
from bot.oncall.changes import RotaChange
from bot.oncall.model import Layer, Schedule
from bot.ports import AgentStatus
from bot.slack import home_view
from bot.slack.home_view import Facts, Shift
from bot.slack.scopes import OPTIONAL, REQUIRED

HOSTILE = "<!channel> <@U0X> *b* `c` https://evil.example \u202e" + "x" * 100_000
SCOPES = (*REQUIRED, *OPTIONAL)


def text_of(facts: Facts) -> str:
    return json.dumps(home_view.draw(facts, NOW), ensure_ascii=False)


def nothing(**changes) -> Facts:
    return replace(Facts(person=ANA, scopes=SCOPES, book=BOOK), **changes)


def change(**changes) -> RotaChange:
    fields = {"id": "ROTA-3", "kind": "override", "schedule": "p", "people": ("ana",), "start": NOW}
    fields |= {"until": NOW + timedelta(hours=1), "by": "person:ben", "at": NOW}
    return RotaChange(**fields | changes)


def good(view) -> bool:
    blocks = view["blocks"]
    parts = [{"text": "x", "blocks": blocks[start : start + 20]} for start in range(0, len(blocks), 20)]
    return view["type"] == "home" and 0 < len(blocks) <= 100 and not any(layout_problem(part) for part in parts)


def test_with_nothing_to_show_it_says_so():
    shown = text_of(nothing())
    for said in ("no shift in the 35 days ahead", "None is yours", "No agents are known yet", "Test my page"):
        assert said in shown


def test_shifts_are_told_with_the_pause_of_notifications():
    shifts = (Shift("primary", None, NOW + timedelta(hours=3)), Shift("backup", NOW + timedelta(days=2), None))
    pause = (datetime.fromisoformat("2026-11-20T21:00:00+00:00"), datetime.fromisoformat("2026-11-21T07:00:00+00:00"))
    shown = text_of(nothing(shifts=shifts, pause=pause))
    assert "On call in primary" in shown
    assert "Next: *backup*" in shown
    assert "pause from 22:00 CET until 08:00 CET" in shown  # Ana lives in Madrid


def test_only_what_waits_for_me_has_a_button():
    mine = (incident(), incident(id="INC-8", state=State.ACKED, acked_by="person:ana", acked_at=NOW))
    view = home_view.draw(nothing(mine=mine, teams=(incident(id="INC-9"),)), NOW)
    values = [block["accessory"]["value"] for block in view["blocks"] if "accessory" in block]
    assert values == ["INC-7|1"]


def test_missing_scopes_are_named_with_what_is_lost_and_unknown_ones_claim_nothing():
    lacking = text_of(nothing(scopes=tuple(scope for scope in SCOPES if scope not in {"commands", "dnd:read"})))
    assert "lacks the scope `commands`" in lacking
    assert "Not switched on: dnd:read." in lacking
    assert "lacks" not in text_of(nothing(scopes=()))


def test_any_amount_of_hostile_data_stays_in_the_limits_and_is_no_markup():
    people = BOOK.people | {"ana": ANA.model_copy(update={"name": HOSTILE})}
    many = tuple(incident(id=f"INC-{number}", title=HOSTILE) for number in range(60))
    facts = nothing(
        person=people["ana"],
        book=BOOK.model_copy(update={"people": people}),
        shifts=tuple(Shift(HOSTILE, None, NOW) for _ in range(30)),
        mine=many,
        teams=many,
        agents=tuple(AgentStatus(HOSTILE, HOSTILE, "firing", HOSTILE, (), ()) for _ in range(60)),
        silences=tuple(silence('agent="x"', reason=HOSTILE) for _ in range(60)),
        changes=tuple(change(why=HOSTILE, schedule=HOSTILE) for _ in range(60)),
        note=HOSTILE,
        external_url="https://pager.example.com",
    )
    view = home_view.draw(facts, NOW)
    assert good(view)
    shown = json.dumps(view, ensure_ascii=False)
    assert "<!channel>" not in shown
    assert "<@U0X>" not in shown
    assert "\u202e" not in shown
    assert shown.count("<http") == shown.count("<https://pager.example.com")


@pytest.mark.parametrize("view", [home_view.newcomer(HOSTILE, HOSTILE, NOW), home_view.failed(HOSTILE, NOW)])
def test_a_newcomer_and_a_fault_are_shown_as_safely(view):
    assert good(view)
    assert "<!channel>" not in json.dumps(view)


def test_shifts_are_those_of_now_and_the_next_of_each_schedule():
    layer = Layer(people=("ana", "ben"), start=date(2026, 11, 2), handoff="Mon 09:00")
    schedules = {name: Schedule(id=name, layers=(one,)) for name, one in {
        "primary": layer, "backup": layer.model_copy(update={"people": ("ben", "ana")}),
    }.items()}  # fmt: skip
    book = BOOK.model_copy(update={"schedules": schedules})
    found = home_view.shifts_of("ana", book, NOW)  # a Friday in Ana's week
    monday = datetime.fromisoformat("2026-11-23T09:00:00+00:00")
    assert found == (
        Shift("primary", None, monday),
        Shift("backup", monday, monday + timedelta(weeks=1)),
        Shift("primary", monday + timedelta(weeks=1), monday + timedelta(weeks=2)),
    )
