"""Windows as a person meets them: from the message to the window, filled in, submitted, and what it changed.

The store, the outbox and the client are the real ones; Slack is a small one on real sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from core_world import BOOK, NOW, PEOPLE, WORLD, alert, ended
from fake_slack import FakeSlack
from integration.test_pipeline import Town
from slack_world import desks, settings, until

from bot.agents.model import Agent
from bot.incidents.model import Severity, State
from bot.silencing import SilenceDesk
from bot.slack.app import SlackApp
from bot.slack.client import SlackMessenger

CARDS, ANA, BEN, CAT = "#refunds", "U0ANA", "U0BEN", "U0CAT"
SEVERE = alert()


class Workspace:
    """One incident, paged to Ana, with a card in its channel."""

    def __init__(self, town: Town, slack: FakeSlack) -> None:
        self.town, self.slack = town, slack

    async def fire(self, *alerts) -> None:
        count = len(self.slack.calls("chat.postMessage"))
        await self.town.report(*alerts)
        await until(lambda: len(self.slack.calls("chat.postMessage")) > count)

    async def message(self, where: str, number: int = -1) -> dict:
        """The last message there that is not a reply in a thread."""
        await until(lambda: self._standing(where))
        return self._standing(where)[number]

    def _standing(self, where: str) -> list[dict]:
        return [each for each in self.slack.posted(where) if "thread_ts" not in each]

    async def choose(self, label: str, user: str = ANA, where: str = CARDS, menu: str = "inc.more") -> str:
        message = await self.message(where)
        assert (await self.slack.choose(user, menu, label, where, message["ts"]))["acked"]
        return await self.opened()

    async def click(self, action: str, user: str = ANA, where: str = CARDS) -> dict:
        return await self.slack.click(user, action, where, (await self.message(where))["ts"])

    async def opened(self) -> str:
        """The id of the newest window, once it is more than a skeleton."""
        await until(lambda: self.slack.views and not self._waits())
        return list(self.slack.views)[-1]

    def _waits(self) -> bool:
        return "One moment…" in json.dumps(list(self.slack.views.values())[-1], ensure_ascii=False)

    def view(self, name: str) -> str:
        return json.dumps(self.slack.views[name], ensure_ascii=False)

    async def submit(self, view: str, user: str = ANA, **values) -> dict:
        answer = await self.slack.submit(user, view, values)
        assert answer["acked"]
        return answer["payload"]

    async def incident(self, name: str = "INC-1"):
        return await self.town.store.incident(name)

    async def told(self) -> str:
        await until(lambda: self.slack.responses)
        return self.slack.responses[-1]["text"]


@contextlib.asynccontextmanager
async def workspace(folder, **options):
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FakeSlack())
        town = Town(folder)
        names = ("search-agent", "other-agent", "agent-0", "agent-1", "agent-2", "agent-3")
        agents = {name: Agent(id=name, owner="team:payments") for name in names}
        town.world = replace(WORLD, agents=WORLD.agents | agents)
        town.slack = SlackMessenger(settings(slack), lambda: BOOK, town.clock)
        stack.push_async_callback(town.slack.close)
        await town.open()
        stack.push_async_callback(town.crash)
        silencing = SilenceDesk(town.store, town.clock, lambda: town.world, lambda _: town.outbox.wake())
        app = SlackApp(settings(slack), desks(town.desk, silencing), town.clock, **options)
        await app.start()
        stack.push_async_callback(app.stop)
        await until(app.healthy)
        yield Workspace(town, slack)


@pytest.fixture
async def world(tmp_path):
    async with workspace(tmp_path) as world:
        await world.fire(SEVERE)
        await until(lambda: world.slack.posted(ANA) and world.slack.posted(CARDS))
        yield world


async def has(world, state: State, holder: str | None = None) -> None:
    incident = await world.incident()
    assert (incident.state, incident.acked_by) == (state, holder)


# Silence


async def test_a_silence_with_everything_preset_takes_three_taps(world):
    view = await world.choose("Silence")
    assert "Matches 1 firing (INC-1). Never hides more than critical." in world.view(view)
    assert await world.submit(view) == {}
    (made,) = await world.town.store.silences(NOW)
    assert made.matchers == ('agent="refund-agent"', 'alertname="ErrorsHigh"')
    assert (made.until_resolved, made.ends_at, made.max_severity) == (True, NOW + timedelta(hours=4), Severity.CRITICAL)
    assert (made.created_by, made.reason) == ("person:ana", "silenced from INC-1: ErrorsHigh of refund-agent")
    assert "SIL-1 silences" in await world.told()
    assert (await world.incident()).suppressed


async def test_what_it_would_hide_is_told_as_it_is_chosen(world):
    other = alert(labels={"agent": "search-agent", "severity": "warning"})
    await world.fire(SEVERE, other)
    view = await world.choose("Silence")
    before = world.slack.hashes[view]
    await world.slack.use(ANA, view, "win.input.what", {"win.input.what": "everywhere", "why": "half typed"})
    await until(lambda: world.slack.hashes[view] != before)
    assert "Matches 2 firing (INC-1, INC-2)." in world.view(view)
    assert "half typed" in world.view(view)


async def test_it_hides_nothing_more_severe_than_what_was_looked_at(world):
    warning = alert("SlowTools", labels={"agent": "search-agent", "severity": "warning"})
    worse = alert("SlowTools", labels={"agent": "other-agent"})
    await world.fire(SEVERE, warning, worse)
    await until(lambda: len(world._standing("#payments-agents")) == 2)
    message = next(each for each in world._standing("#payments-agents") if "search-agent" in each["text"])
    await world.slack.choose(ANA, "inc.more", "Silence", message["channel"], message["ts"])
    view = await world.opened()
    await world.submit(view, **{"win.input.what": "everywhere", "win.input.long": "2h"})
    (made,) = await world.town.store.silences(NOW)
    assert made.matchers == ('alertname="SlowTools"',)
    assert made.max_severity is Severity.WARNING


async def test_more_than_eight_hours_need_a_reason(world):
    view = await world.choose("Silence")
    said = await world.submit(view, **{"win.input.long": "24h"})
    assert said["response_action"] == "errors"
    assert "more than 8 hours" in said["errors"]["why"]
    assert await world.submit(view, **{"win.input.long": "24h", "why": "the bank moves"}) == {}
    (made,) = await world.town.store.silences(NOW)
    assert (made.ends_at, made.reason) == (NOW + timedelta(hours=24), "the bank moves")


async def test_until_nine_is_meant_where_the_person_lives(world, monkeypatch):
    madrid = PEOPLE["ana"].model_copy(update={"timezone": "Europe/Madrid"})
    monkeypatch.setitem(BOOK.people, "ana", madrid)
    view = await world.choose("Silence")
    assert "Until 09:00 my time, in 6 h" in world.view(view)  # 02:00 UTC is 03:00 there
    await world.submit(view, **{"win.input.long": "09:00"})
    (made,) = await world.town.store.silences(NOW)
    assert made.ends_at == NOW + timedelta(hours=6)


async def test_the_same_submit_delivered_twice_is_one_silence(world):
    view = await world.choose("Silence")
    again = dict(world.slack.views)
    await world.submit(view)
    world.slack.views = again
    said = await world.submit(view)
    assert "recorded already" in json.dumps(said)
    assert len(await world.town.store.silences(NOW)) == 1


# What has happened meanwhile


async def test_what_happened_meanwhile_is_told_and_a_second_press_is_meant(world):
    view = await world.choose("Silence", BEN)
    await world.click("inc.ack", ANA)
    world.town.clock.advance(seconds=3)
    said = await world.submit(view, BEN)
    assert said["response_action"] == "update"
    assert "*Ana* has INC-1 for 3 s." in json.dumps(said["view"], ensure_ascii=False)
    assert await world.town.store.silences(NOW) == []
    assert await world.submit(view, BEN) == {}
    assert len(await world.town.store.silences(NOW)) == 1


async def test_a_mere_new_drawing_of_the_message_stops_nobody(world):
    view = await world.choose("Silence")
    incident = await world.incident()
    async with world.town.store.transaction() as tx:
        await tx.save_incident(incident.model_copy(update={"revision": incident.revision + 1}))
    assert await world.submit(view) == {}


async def test_what_got_worse_is_told_before_it_is_resolved(world):
    view = await world.click("inc.resolve") and await world.opened()
    await world.town.report(SEVERE, alert("SpendHigh"))
    said = await world.submit(view)
    assert "1 alert joined it." in json.dumps(said["view"])
    await has(world, State.OPEN)


async def test_what_is_over_meanwhile_is_said_in_the_place_of_the_window(world):
    view = await world.choose("Hand")
    await world.town.report(ended(SEVERE, NOW))
    said = await world.submit(view, person="ben")
    assert "INC-1 cleared by itself" in json.dumps(said["view"])


# Hand over, note, noise


async def test_handing_over_presets_who_is_on_call_and_wakes_them_with_the_note(world):
    view = await world.choose("Hand")
    names = [each["text"]["text"] for each in _options(world.slack.views[view])]
    assert names == ["Ben", "Cat", "Dan"]  # not oneself
    assert await world.submit(view, person="cat", note="tried a restart <!channel>") == {}
    page = await world.message(CAT)
    assert "tried a restart" in json.dumps(page)
    assert "<!channel>" not in json.dumps(page)
    assert (await world.incident()).assigned == "cat"


async def test_a_note_is_written_down_whatever_happened_meanwhile(world):
    view = await world.choose("Add note")
    await world.click("inc.ack", ANA)
    assert await world.submit(view, BEN, text="the vendor is down") == {}
    (note,) = (await world.incident()).notes
    assert (note.by, note.text) == ("person:ben", "the vendor is down")
    assert "written down" in await world.told()


async def test_an_empty_note_is_asked_for(world):
    view = await world.choose("Add note")
    said = await world.submit(view, text="  ")
    assert said["errors"] == {"text": "Write what you saw or did."}


async def test_no_real_problem_is_filed_with_its_owner_and_wakes_nobody_else(world):
    view = await world.choose("Not a real problem")
    assert await world.submit(view, kind="known", text="load test", then="close") == {}
    task = await world.message("#payments-agents")
    assert task["text"].startswith("🛠️ To mend: ErrorsHigh: no real problem, known work")
    incident = await world.incident()
    assert (incident.state, incident.mark, incident.marked_by) == (State.RESOLVED, "noise", "person:ana")


async def test_no_real_problem_can_silence_it(world):
    view = await world.choose("Not a real problem")
    await world.submit(view)  # preset while nobody has it
    (made,) = await world.town.store.silences(NOW)
    assert (made.until_resolved, made.ends_at) == (True, NOW + timedelta(hours=4))
    await has(world, State.OPEN)


async def test_whoever_has_it_keeps_it_unless_they_say_otherwise(world):
    await world.click("inc.ack")
    view = await world.choose("Not a real problem")
    await world.submit(view)
    await has(world, State.ACKED, "person:ana")
    assert await world.town.store.silences(NOW) == []


# Resolve, snooze, take over


async def test_resolving_asks_and_keeps_the_cause(world):
    await world.click("inc.resolve")
    view = await world.opened()
    await has(world, State.OPEN)
    assert "Nobody has it yet" in world.view(view)
    assert "it opens again in 60 min if that stays" in world.view(view)
    assert await world.submit(view, cause="provider", note="their status page") == {}
    incident = await world.incident()
    assert (incident.state, incident.resolved_by) == (State.RESOLVED, "person:ana")
    assert incident.notes[-1].text == "Cause: a provider or dependency. their status page"


async def test_without_a_window_whoever_has_it_resolves_it_at_once_and_others_are_told_the_words(world):
    world.slack.mode("refused", method="views.open", error="unknown_method")
    await world.click("inc.resolve", BEN)
    assert "/agent resolve INC-1" in await world.told()
    await has(world, State.OPEN)
    await world.click("inc.ack")
    await world.click("inc.resolve")
    await until(lambda: len(world.slack.responses) == 2)
    assert (await world.incident()).state is State.RESOLVED


async def test_a_snooze_is_an_hour_unless_said_otherwise(world):
    view = await world.choose("Snooze")
    assert await world.submit(view) == {}
    assert (await world.incident()).snoozed_until == NOW + timedelta(hours=1)


async def test_a_snooze_until_a_picked_time(world):
    view = await world.choose("Snooze")
    past = await world.submit(view, until=int((NOW - timedelta(hours=1)).timestamp()))
    assert past["errors"] == {"until": "That is past; choose a time to come."}
    await world.submit(view, until=int((NOW + timedelta(hours=5)).timestamp()))
    assert (await world.incident()).snoozed_until == NOW + timedelta(hours=5)


async def test_who_was_not_paged_is_asked_before_taking_it(world):
    world.town.clock.advance(seconds=40)
    await world.click("inc.ack", CAT)
    view = await world.opened()
    await has(world, State.OPEN)
    assert "*Take over from Ana?*" in world.view(view)
    assert "Ana was paged 40 s ago for INC-1, you were not." in world.view(view)
    assert await world.submit(view, CAT) == {}
    await has(world, State.ACKED, "person:cat")


async def test_where_no_window_opens_the_ack_of_somebody_not_paged_counts(world):
    world.slack.mode("refused", method="views.open", error="unknown_method")
    await world.click("inc.ack", CAT)
    await until(lambda: "ACKED" in json.dumps(world._standing(CARDS)))
    await has(world, State.ACKED, "person:cat")


async def test_where_no_window_opens_and_the_database_is_away_they_are_told_that_nothing_is_recorded(
    world, monkeypatch
):
    async def away(*_args, **_more):
        raise OSError("the database is away")

    world.slack.mode("refused", method="views.open", error="unknown_method")
    monkeypatch.setattr(world.town.desk, "ack", away)
    await world.click("inc.ack", CAT)
    assert (await world.told()).startswith("Not recorded: something failed inside agentpager.")
    await has(world, State.OPEN)


async def test_the_second_one_is_told_who_was_faster_and_may_take_over(world):
    await world.click("inc.ack")
    world.town.clock.advance(seconds=3)
    old = {"action_id": "inc.ack", "block_id": "INC-1.1", "type": "button", "value": "INC-1|1", "action_ts": "9.9"}
    card = await world.message(CARDS)
    await world.slack._act(BEN, old, card["channel"], card, "T0HOME")  # pressed before the card was redrawn
    assert await world.told() == "Ana acknowledged INC-1 3 s ago."
    offer = world.slack.responses[-1]["blocks"][1]["elements"][0]
    take = {"type": "button", "block_id": "x", "action_id": offer["action_id"], "value": offer["value"]}
    await world.slack._act(BEN, take, card["channel"], card, "T0HOME")
    view = await world.opened()
    assert "*Take over from Ana?*" in world.view(view)
    assert await world.submit(view, BEN) == {}
    await has(world, State.ACKED, "person:ben")
    await until(lambda: "ben has taken over INC-1 from you" in json.dumps(world._standing(ANA)))


async def test_more_leads_to_what_the_menu_has_no_room_for(world):
    await world.click("inc.ack")
    card = await world.message(CARDS)
    await until(lambda: "ACKED" in json.dumps(card))
    view = await world.choose("More", BEN)
    assert [block["accessory"]["action_id"] for block in world.slack.views[view]["blocks"]] == [
        "win.open.take",
        "win.open.escalate",
    ]
    await world.slack.use(BEN, view, "win.open.escalate")
    await until(lambda: "Page the next" not in world.view(view))
    assert "*Ben, Cat* is paged now for INC-1." in world.view(view)
    assert await world.submit(view, BEN) == {}
    await has(world, State.OPEN)
    await until(lambda: world.slack.posted(CAT))
    assert await world.told() == "INC-1: Ben, Cat is being woken now."


async def test_two_who_ask_for_the_next_level_at_once_page_one_level(world):
    await world.click("inc.ack")
    card = await world.message(CARDS)
    await until(lambda: "ACKED" in json.dumps(card))
    views = {person: await world.choose("More", person) for person in (BEN, CAT)}
    await world.town.act("release", "ana")
    for person, view in views.items():
        await world.slack.use(person, view, "win.open.escalate")
        await until(lambda view=view: "is paged now for INC-1" in world.view(view))
    before = (await world.incident()).step
    assert await world.submit(views[BEN], BEN) == {}
    paged = (await world.incident()).step
    assert paged > before
    answer = await world.submit(views[CAT], CAT)
    assert "others have been paged for INC-1 since you looked" in json.dumps(answer["view"])
    assert (await world.incident()).step == paged


async def test_who_comes_next_is_named_by_the_rota_that_the_incident_began_with(world):
    """An override made since then puts somebody else on duty, but not for this incident."""
    begun = (await world.incident()).book_id
    since = BOOK.model_copy(update={"people": {name: one for name, one in BOOK.people.items() if name != "ben"}})
    world.town.world = replace(world.town.world, book=since, book_id="another", books={begun: BOOK})
    await world.click("inc.ack")
    card = await world.message(CARDS)
    await until(lambda: "ACKED" in json.dumps(card))
    view = await world.choose("More", CAT)
    await world.slack.use(CAT, view, "win.open.escalate")
    await until(lambda: "is paged now for INC-1" in world.view(view))
    assert "*Ben, Cat* is paged now for INC-1." in world.view(view)


# Messages about several, shortcuts, refusals


async def test_one_is_split_out_of_a_message_about_several(tmp_path):
    async with workspace(tmp_path) as world:
        agents = [f"agent-{number}" for number in range(4)]
        many = [alert(labels={"agent": name, "severity": "warning"}) for name in agents]
        await world.fire(*many)
        await until(lambda: world.slack.posted("#payments-agents"))
        where = "#payments-agents"
        await until(lambda: len(world._standing(where)) == 1 and "4 incidents" in world._standing(where)[0]["text"])
        view = await world.choose("Split one out", where=where, menu="storm.more")
        chosen = _options(world.slack.views[view])[0]
        assert chosen["text"]["text"].startswith("INC-1 · warning · agent-0")
        assert await world.submit(view, incident="INC-1") == {}
        await until(lambda: len(world._standing(where)) == 2)
        await until(lambda: "3 incidents" in world._standing(where)[0]["text"])
        assert "agent-0" not in json.dumps(world._standing(where)[0]["blocks"])
        alone = world._standing(where)[1]
        assert "agent-0" in alone["text"]
        await until(lambda: any(each.get("thread_ts") == alone["ts"] for each in world.slack.posted(where)))
        # Each goes on by itself.
        await world.slack.click(ANA, "inc.ack", where, alone["ts"])
        await until(lambda: "🟨" in world._standing(where)[1]["text"])
        assert "3 incidents" in world._standing(where)[0]["text"]


async def test_one_split_out_of_a_direct_message_wakes_the_same_person_once_more(tmp_path):
    async with workspace(tmp_path) as world:
        agents = [f"agent-{number}" for number in range(3)]
        await world.fire(*[alert(labels={"agent": name, "severity": "warning"}) for name in agents])
        await until(lambda: "3 incidents" in json.dumps(world._standing(ANA)))
        view = await world.choose("Split one out", where=ANA, menu="storm.more")
        assert await world.submit(view, incident="INC-3") == {}
        await until(lambda: len(world._standing(ANA)) == 2)
        assert "agent-2" in world._standing(ANA)[1]["text"]
        await until(lambda: "2 incidents" in world._standing(ANA)[0]["text"])
        # Taken meanwhile, another has nobody to wake: it stays where it is.
        view = await world.choose("Split one out", where="#payments-agents", menu="storm.more")
        assert "INC-3" in world.view(view)  # the card is another message


async def test_what_is_taken_is_not_split_out_of_a_direct_message_into_nothing(tmp_path):
    async with workspace(tmp_path) as world:
        agents = [f"agent-{number}" for number in range(3)]
        await world.fire(*[alert(labels={"agent": name, "severity": "warning"}) for name in agents])
        await until(lambda: "3 incidents" in json.dumps(world._standing(ANA)))
        await world.town.act("ack", "ana")
        view = await world.choose("Split one out", where=ANA, menu="storm.more")
        if "view" in (answer := await world.submit(view, incident="INC-1")):
            assert "INC-1 has been taken, so nobody is paged for it" in json.dumps(answer["view"])
        await asyncio.sleep(0.3)
        shown = [page.incident for page in await world.town.store.pages_of("INC-1") if page.channel == ANA]
        assert shown == ["INC-1"]


@pytest.mark.parametrize("reply", [False, True])
async def test_the_menu_of_a_message_acknowledges_and_takes_notes(world, reply):
    card = await world.message(CARDS)
    await until(lambda: len(world.slack.posted(CARDS)) > 1)
    ts = world.slack.posted(CARDS)[-1]["ts"] if reply else card["ts"]
    assert (await world.slack.shortcut(ANA, "message.note", CARDS, ts))["acked"]
    assert await world.submit(await world.opened(), text="seen") == {}
    assert (await world.incident()).notes[-1].text == "seen"
    assert (await world.slack.shortcut(ANA, "message.ack", CARDS, ts))["acked"]
    await until(lambda: "INC-1 is yours" in json.dumps(world.slack.responses))
    await has(world, State.ACKED, "person:ana")


async def test_the_menu_of_a_message_asks_who_was_not_paged_and_names_who_was_faster(world):
    card = await world.message(CARDS)
    await until(lambda: len(world.slack.posted(CARDS)) > 1)  # its runbook: the card's address is written down
    await world.slack.shortcut(CAT, "message.ack", CARDS, card["ts"])
    assert "*Take over from Ana?*" in world.view(await world.opened())
    await has(world, State.OPEN)
    await world.click("inc.ack", ANA)
    await world.slack.shortcut(BEN, "message.ack", CARDS, card["ts"])
    assert await world.told() == "Ana acknowledged INC-1 0 s ago."


async def test_where_a_whole_channel_was_paged_nobody_in_it_is_asked(world):
    lead = await world.town.page("INC-1.1.page.ana")
    everybody = {"id": "INC-1.1.page.refunds", "person": None, "channel": CARDS}
    async with world.town.store.transaction() as tx:
        await tx.add_pages([lead.model_copy(update=everybody)])
    await world.click("inc.ack", CAT)
    await has(world, State.ACKED, "person:cat")


async def test_a_strange_message_is_about_no_incident(world):
    world.slack.messages.setdefault(world.slack.channel_id("#chat"), []).append({"ts": "5.5", "text": "hi"})
    await world.slack.shortcut(ANA, "message.ack", "#chat", "5.5")
    assert await world.told() == "That message is about no incident of agentpager."


async def test_closing_a_window_changes_nothing(world):
    view = await world.choose("Silence")
    assert (await world.slack.close(ANA, view))["acked"]
    assert await world.town.store.silences(NOW) == []


@pytest.mark.parametrize("what", ["choose", "submit", "shortcut"])
async def test_a_stranger_opens_and_submits_nothing(world, what):
    card = await world.message(CARDS)
    if what == "submit":
        view = await world.choose("Add note")
        said = await world.submit(view, "U09STRANGER", text="me too")
        assert "does not know you yet" in json.dumps(said["view"])
    elif what == "choose":
        await world.slack.choose("U09STRANGER", "inc.more", "Silence", CARDS, card["ts"])
        assert "does not know you yet" in await world.told()
        assert world.slack.views == {}
    else:
        await world.slack.shortcut("U09STRANGER", "message.ack", CARDS, card["ts"])
        assert "does not know you yet" in await world.told()
    assert (await world.incident()).notes == ()
    await has(world, State.OPEN)


async def test_where_no_window_opens_the_words_for_it_are_told(world):
    world.slack.mode("refused", method="views.open", error="expired_trigger_id")
    card = await world.message(CARDS)
    await world.slack.choose(ANA, "inc.more", "Hand", CARDS, card["ts"])
    assert "Write instead: /agent hand INC-1 to ben" in await world.told()


async def test_was_it_right_to_wake_you_is_asked_and_the_answer_shown(world):
    await world.town.report(ended(SEVERE, NOW))
    await until(lambda: "✅" in world._standing(CARDS)[0]["text"])
    await world.click("inc.noise")
    await until(lambda: "*Ana*: it was noise." in json.dumps(world._standing(CARDS)[0]))
    assert "inc.right" not in json.dumps(world._standing(CARDS)[0])
    assert (await world.incident()).mark == "noise"


async def test_a_slow_submit_is_admitted_in_the_window_and_reported_there(tmp_path, monkeypatch):
    async with workspace(tmp_path, commit_seconds=0.1) as world:
        await world.fire(SEVERE)
        view = await world.choose("Add note")
        gate = asyncio.Event()
        note = world.town.desk.note

        async def slowly(*given, **more):
            await gate.wait()
            return await note(*given, **more)

        monkeypatch.setattr(world.town.desk, "note", slowly)
        said = await world.submit(view, text="late")
        assert "Not recorded yet" in json.dumps(said["view"])
        gate.set()
        await until(lambda: "written down, note 1" in world.view(view))


def _options(view: dict) -> list[dict]:
    element = next(block["element"] for block in view["blocks"] if block["type"] == "input")
    groups = element.get("option_groups") or [{"options": element.get("options", [])}]
    return [each for group in groups for each in group["options"]]
