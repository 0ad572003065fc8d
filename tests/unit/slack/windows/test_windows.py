"""Every window as JSON: within Slack's limits and without a mention or a link of data's, whatever the data is."""

from __future__ import annotations

import json
import re  # noqa: TID251 - fixed patterns
from datetime import timedelta

import pytest
from slack_world import ANA, BEN, BOOK, NOW, FakeCommands, alert, desks, incident, silence

from bot.demo.blockkit import view_problems
from bot.errors import AgentpagerError
from bot.incidents.model import State
from bot.ports import Actor, Hidden
from bot.slack.windows.base import NothingToDoError, Visit
from bot.slack.windows.frame import Memory, Values, grouped, told, window
from bot.slack.windows.opening import WINDOWS

HOSTILE = "<!channel> <@U02ABCDEF> *b* `c` <https://evil.example|x> \u202e\x00& " + "x" * 100_000
ACKED = {"state": State.ACKED, "revision": 2, "acked_by": "person:ana", "acked_at": NOW - timedelta(seconds=3)}


class Silencing:
    """Says what would be hidden as it is told to."""

    def __init__(self, hidden: Hidden | None = None) -> None:
        self.hidden = hidden or Hidden((), ())

    async def preview(self, actor, draft):
        return silence(*draft.matchers, ends_at=draft.ends_at, reason=draft.reason), self.hidden


def visit(*incidents, actor=ANA, book=BOOK, silencing=None) -> Visit:
    commands = FakeCommands()
    commands.open, commands.book = list(incidents), book
    who = Actor(f"person:{actor.id}", actor.name, "slack", actor)
    return Visit(desks(commands, silencing or Silencing()), who, NOW)


def hostile(**changes):
    alerts = (alert(HOSTILE, HOSTILE, labels={"agent": HOSTILE}), alert("Other"))
    return incident(title=HOSTILE, agent=HOSTILE, owner=HOSTILE, alerts=alerts, **changes)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("state", [{}, ACKED])
@pytest.mark.parametrize("actor", [ANA, BEN])
async def test_no_data_breaks_a_window_or_means_anything_in_it(name, state, actor):
    people = {one.id: one.model_copy(update={"name": HOSTILE}) for one in BOOK.people.values()}
    book = BOOK.model_copy(update={"people": people})
    here = visit(hostile(**state), incident(id="INC-8", title=HOSTILE), actor=actor, book=book)
    memory = Memory("INC-7").seeing(hostile(**state))
    if name == "snooze" and state and actor is BEN:  # not his
        with pytest.raises(NothingToDoError, match="INC-7 is not yours to snooze"):
            await WINDOWS[name].draw(here, memory, Values())
        return
    if name == "take" and state and actor is ANA:
        with pytest.raises(NothingToDoError, match="You have INC-7 already"):
            await WINDOWS[name].draw(here, memory, Values())
        return
    view = await WINDOWS[name].draw(here, memory, Values())
    assert view_problems(view) == []
    text = json.dumps(view["blocks"], ensure_ascii=False)
    assert not re.search(r"<[!@#h]", text)
    assert "\u202e" not in text
    assert len(view.get("private_metadata", "")) <= 3000


async def test_a_window_keeps_what_was_typed_when_it_is_drawn_anew():
    typed = Values(
        {"why": {"why": {"value": "half a sen"}}, "what": {"win.input.what": {"selected_option": {"value": "agent"}}}}
    )
    view = await WINDOWS["silence"].draw(visit(incident()), Memory("INC-7"), typed)
    inputs = {block["block_id"]: block["element"] for block in view["blocks"] if block["type"] == "input"}
    assert inputs["why"]["initial_value"] == "half a sen"
    assert inputs["what"]["initial_option"]["value"] == "agent"
    assert inputs["long"]["initial_option"]["value"] == "resolved"


async def test_what_still_wakes_people_is_named_as_well():
    worse = incident(id="INC-9")
    silencing = Silencing(Hidden(((incident(), alert()),), ((worse, alert()),)))
    view = await WINDOWS["silence"].draw(visit(incident(), silencing=silencing), Memory("INC-7"), Values())
    assert view["blocks"][-1]["elements"][0]["text"] == (
        "Matches 1 firing (INC-7). Never hides more than warning. ⚠️ Still wakes people, being more severe: INC-9."
    )


async def test_an_incident_of_no_agent_offers_only_what_can_be_named():
    alerts = (alert(labels={"agent": ""}),)
    view = await WINDOWS["silence"].draw(visit(incident(agent=None, alerts=alerts)), Memory("INC-7"), Values())
    radio = next(block["element"] for block in view["blocks"] if block.get("block_id") == "what")
    assert [option["value"] for option in radio["options"]] == ["here"]


async def test_those_on_call_come_first_and_neither_oneself_nor_the_holder():
    view = await WINDOWS["hand"].draw(visit(incident(), actor=BEN), Memory("INC-7"), Values())
    groups = view["blocks"][0]["element"]["option_groups"]
    shown = [(group["label"]["text"], [one["value"] for one in group["options"]]) for group in groups]
    assert shown == [("On call now", ["ana"]), ("Everybody else", ["chris"])]
    assert view["blocks"][0]["element"]["initial_option"]["value"] == "ana"


async def test_who_has_it_is_offered_to_put_it_off_and_others_to_take_it():
    for actor, offered in ((ANA, ["snooze", "escalate"]), (BEN, ["take", "escalate"])):
        view = await WINDOWS["more"].draw(visit(incident(**ACKED), actor=actor), Memory("INC-7"), Values())
        assert [block["block_id"] for block in view["blocks"]] == offered


@pytest.mark.parametrize("name", ["snooze", "take", "escalate", "more", "resolve"])
async def test_what_is_over_is_not_asked_about(name):
    over = incident(state=State.RESOLVED, resolved_at=NOW, next_at=None)
    with pytest.raises(AgentpagerError, match="INC-7 is resolved"):
        await WINDOWS[name].draw(visit(over), Memory("INC-7"), Values())


async def test_only_what_is_not_resolved_can_be_split_out_the_worst_first():
    rows = [
        incident(id="INC-3", severity="warning"),
        incident(id="INC-4"),
        incident(id="INC-5", **ACKED),
        incident(id="INC-6", state=State.RESOLVED),
    ]
    view = await WINDOWS["split"].draw(visit(*rows), Memory("INC-3.1.card"), Values())
    groups = view["blocks"][0]["element"]["option_groups"]
    shown = [(group["label"]["text"], [one["value"] for one in group["options"]]) for group in groups]
    assert shown == [("Nobody has it", ["INC-4", "INC-3"]), ("Taken", ["INC-5"])]
    with pytest.raises(AgentpagerError, match="Only one incident"):
        await WINDOWS["split"].draw(visit(rows[0], rows[3]), Memory("INC-3.1.card"), Values())


def test_a_list_of_a_thousand_people_is_cut_into_groups_that_slack_takes():
    many = [(f"p{number}", f"P {number}") for number in range(1000)]
    element = grouped("person", "To whom", [("On call now", []), ("Everybody else", many)])
    view = window("hand", "Hand over", "Hand over", Memory("INC-7"), [element])
    assert view_problems(view) == []
    assert [len(group["options"]) for group in element["element"]["option_groups"]] == [100] * 10


def test_what_was_seen_comes_back_as_it_was_and_of_old_windows_the_incident():
    memory = Memory("INC-7", reply="https://hooks.slack.com/x|y").seeing(incident(**ACKED))
    assert Memory.unpacked(memory.packed()) == memory
    assert memory.packed().startswith("INC-7|2|")
    for old in ("INC-7", "INC-7|3", "INC-7|3|{", 'INC-7|x|{"strange":1}', 'INC-7|3|{"strange":1}'):
        assert Memory.unpacked(old) == Memory("INC-7")


def test_two_hundred_alerts_fit_into_what_a_window_may_remember():
    many = tuple(alert(f"A{number}", fingerprint=f"{number:016x}") for number in range(200))
    memory = Memory("INC-7", reply="https://hooks.slack.com/" + "x" * 200).seeing(incident(alerts=many))
    assert len(memory.packed()) <= 3000


def test_a_window_that_only_says_something_has_nothing_to_submit():
    assert "submit" not in told("Note", "x")
