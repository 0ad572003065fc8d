"""Actions as a person meets them in Slack: the window, what submitting it answers, the buttons of the question.

The desk, the store and the client are the real ones; Slack is a small one on real sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from core_world import WORLD
from fake_slack import FakeSlack
from integration.test_acting import Town, town
from slack_world import desks, settings, until

from bot.commands import Desk
from bot.outbox import Outbox
from bot.renderings import Renderings
from bot.slack.app import SlackApp
from bot.slack.client import SlackMessenger

ANA, BEN, CAT = "U0ANA", "U0BEN", "U0CAT"


class DeadWatcher:
    async def ask(self, method, params, seconds):
        raise AssertionError("nothing is rendered here")


class Office:
    """Ana has been paged; the first step of the runbook is an action."""

    def __init__(self, town: Town, slack: FakeSlack) -> None:
        self.town, self.slack = town, slack

    async def press(self, action: str, value: str, *, user: str = ANA, view: bool = False) -> None:
        """A button of that value, on a message or in a window."""
        where = {"view": {"id": "V0", "type": "modal"}} if view else {"channel": {"id": "D0ANA"}}
        body = self.slack._from(user, "T0HOME") | where
        body |= {"type": "block_actions", "trigger_id": "t1", "container": {"type": "view" if view else "message"}}
        body |= {} if view else {"response_url": f"http://127.0.0.1:{self.slack.port}/response/r1"}
        body["actions"] = [{"type": "button", "action_id": action, "block_id": "b", "value": value, "action_ts": "1.0"}]
        assert (await self.slack.deliver("interactive", body))["acked"]

    async def window(self, *, user: str = ANA, action: str = "act.ask", value: str = "INC-1|1|pause") -> str:
        known = set(self.slack.views)
        await self.press(action, value, user=user)
        await until(lambda: any(self.ready(name) for name in set(self.slack.views) - known))
        return next(name for name in self.slack.views if name not in known)

    def ready(self, name: str) -> bool:
        return "Looking up" not in self.shown(name)

    def shown(self, name: str) -> str:
        return json.dumps(self.slack.views[name], ensure_ascii=False)

    def told(self) -> list[str]:
        return [answer["text"] for answer in self.slack.responses]

    async def question(self, user: str) -> dict:
        def found():
            messages = self.slack.posted(user)
            return [one for one in messages if one["metadata"]["event_payload"]["kind"] == "approval"]

        await until(found)
        return found()[-1]


@contextlib.asynccontextmanager
async def office(folder, *, commit_seconds=2.5, **approve):
    async with town(folder, **approve) as one, FakeSlack() as slack:
        config = settings(slack)
        desk = Desk(one.store, None, one.clock, lambda: WORLD, lambda _: {}, lambda _: None)
        client = SlackMessenger(config, lambda: WORLD.book, one.clock)
        client.run_of = one.store.run
        renderings = Renderings(one.store, DeadWatcher(), one.clock, lambda _: None)
        outbox = Outbox(one.store, client, renderings, one.clock, lambda: WORLD, lambda _: {})
        one.desk._changed = outbox.wake
        app = SlackApp(config, desks(desk, acting=one.desk), one.clock, commit_seconds=commit_seconds)
        await app.start()
        running = asyncio.create_task(outbox.run())
        try:
            await until(lambda: app.healthy() and slack.sockets)
            yield Office(one, slack)
        finally:
            running.cancel()
            await outbox.stop()
            await app.stop()
            await client.close()


async def test_the_window_shows_the_request_and_submitting_it_asks_for_it(tmp_path):
    async with office(tmp_path) as one:
        window = await one.window()
        assert "POST /agents/a/pause" in one.shown(window)
        assert await one.town.runs() == []
        answer = await one.slack.submit(ANA, window, {"reason": "customers wait"})
        assert answer["payload"] == {}, "the window closes"
        (run,) = await one.town.runs()
        assert (run.state, run.asked_by, run.reason) == ("approved", "person:ana", "customers wait")


async def test_over_another_window_it_is_put_on_top(tmp_path):
    async with office(tmp_path) as one:
        await one.press("act.ask", "INC-1|1|pause", view=True)
        await until(lambda: one.slack.calls("views.update"))
        assert len(one.slack.calls("views.push")) == 1
        assert one.slack.calls("views.open") == []


async def test_where_windows_cannot_be_stacked_it_is_opened(tmp_path):
    async with office(tmp_path) as one:
        one.slack.mode("refused", method="views.push", error="unknown_method")
        await one.press("act.ask", "INC-1|1|pause", view=True)
        await until(lambda: one.slack.calls("views.update"))
        assert len(one.slack.calls("views.open")) == 1


@pytest.mark.parametrize("view", [True, False])
async def test_where_no_window_opens_the_request_stands_in_a_message_with_its_button(tmp_path, view):
    async with office(tmp_path) as one:
        for method in ("views.push", "views.open"):
            one.slack.mode("refused", method=method, error="unknown_method")
        await one.press("act.ask", "INC-1|1|pause", view=view)

        def shown():
            answers = [*one.slack.responses, *one.slack.posted(ANA)]
            return next((answer for answer in answers if answer["text"] == "Action of INC-1"), None)

        await until(shown)
        assert "POST /agents/a/pause" in json.dumps(shown()["blocks"])
        assert await one.town.runs() == []
        (send,) = next(block for block in shown()["blocks"] if block["type"] == "actions")["elements"]
        await one.press("act.send", send["value"])
        await one.press("act.send", send["value"])
        assert [run.call.path for run in await one.town.runs()] == ["/agents/a/pause"]


async def test_a_request_that_has_changed_meanwhile_is_not_made(tmp_path):
    async with office(tmp_path, by=("person:ben",)) as one:
        window = await one.window()
        await one.town.runbook_calls("/agents/other/pause")
        answer = await one.slack.submit(ANA, window)
        assert "has changed since you looked at it" in json.dumps(answer["payload"])
        assert await one.town.runs() == []


async def test_whoever_comes_second_is_told_who_was_first(tmp_path):
    async with office(tmp_path, by=("person:ben",)) as one:
        mine, theirs = await one.window(), await one.window(user=CAT)
        await one.slack.submit(ANA, mine)
        answer = await one.slack.submit(CAT, theirs)
        assert "Ana has asked for it already" in json.dumps(answer["payload"])
        assert len(await one.town.runs()) == 1


async def test_the_same_window_submitted_twice_is_one_request(tmp_path):
    async with office(tmp_path) as one:
        window = await one.window()
        view = dict(one.slack.views)
        await one.slack.submit(ANA, window)
        one.slack.views.update(view)
        assert (await one.slack.submit(ANA, window))["payload"] == {}, "nothing is wrong with that"
        assert len(await one.town.runs()) == 1


async def test_a_stranger_and_somebody_of_another_company_get_no_window_and_submit_nothing(tmp_path):
    async with office(tmp_path) as one:
        await one.press("act.ask", "INC-1|1|pause", user="U0NOBODY")
        await until(one.told)
        assert one.slack.views == {}
        window = await one.window()
        answer = await one.slack.submit("U0NOBODY", window)
        assert "does not know you" in json.dumps(answer["payload"])
        answer = await one.slack.submit(ANA, window, team="T0OTHER")
        assert "nothing was done" in json.dumps(answer["payload"])
        assert await one.town.runs() == []


async def test_the_question_is_answered_by_a_button_and_shown_as_settled_to_all(tmp_path):
    async with office(tmp_path, by=("team:payments", "person:cat"), min=2) as one:
        await one.slack.submit(ANA, await one.window())
        bens, cats, own = [await one.question(user) for user in (BEN, CAT, ANA)]
        await one.slack.click(BEN, "act.refuse", BEN, bens["ts"])
        for message in (bens, cats, own):
            await until(lambda message=message: message["text"].startswith("🚫 REFUSED"))
        assert (await one.town.runs())[0].refused_by == "person:ben"


async def test_a_second_word_is_told_what_happened_meanwhile(tmp_path):
    async with office(tmp_path, by=("person:ben", "person:cat")) as one:
        await one.slack.submit(ANA, await one.window())
        bens, cats = await one.question(BEN), await one.question(CAT)
        button = {block["block_id"]: block for block in cats["blocks"] if block["type"] == "actions"}
        await one.slack.click(BEN, "act.refuse", BEN, bens["ts"])
        value = next(iter(button.values()))["elements"][0]["value"]
        await one.press("act.approve", value, user=CAT)
        await until(one.told)
        assert one.told() == ['Too late: "Pause" was refused by Ben.']


async def test_a_slow_database_is_told_honestly_in_the_window(tmp_path):
    async with office(tmp_path, commit_seconds=0.05) as one:
        window = await one.window()
        async with one.town.store.transaction():
            answer = await one.slack.submit(ANA, window)
            assert "Not recorded yet" in json.dumps(answer["payload"])
        await until(lambda: "Recorded. A message shows how it goes." in one.shown(window))
        assert len(await one.town.runs()) == 1


async def test_undo_is_a_request_of_its_own_from_the_message_and_from_the_step(tmp_path):
    async with office(tmp_path) as one:
        await one.slack.submit(ANA, await one.window())
        await one.town.work()
        (run,) = await one.town.runs()
        for value in (f"INC-1|3|{run.id}", "INC-1|3|pause"):
            window = await one.window(action="act.undo", value=value)
            assert "POST /agents/a/resume" in one.shown(window)
        one.town.clock.advance(seconds=1)
        await one.slack.submit(ANA, window)
        assert (await one.town.runs())[-1].undoes == run.id
